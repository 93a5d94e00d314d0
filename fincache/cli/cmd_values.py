"""get, set, del, ttl: one key, or a few.

Keys and values are taken from the command line byte for byte; with -e they are read as `get` and `keys` show them on a terminal,
so that a key with a zero byte or a newline in it can be named, too.
"""

from __future__ import annotations

import sys
from typing import IO

import click

from fincache.cli.exits import ExitCode
from fincache.cli.keyarg import argument_bytes, complete_key, escaped_option
from fincache.cli.output import Json, finite, is_terminal, json_bytes, json_option, print_json, quote, raw_option, write_bytes
from fincache.cli.target import Target, pass_target, target_options

# ------------------------------------------------------------------ get


@click.command("get")
@target_options
@escaped_option
@raw_option
@json_option
@click.option("-o", "--output", type=click.File("wb", lazy=True), metavar="FILE", help="Write the value to a file, for one key.")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...", shell_complete=complete_key)
@pass_target
def get_command(
    target: Target, keys: tuple[str, ...], escaped: bool, raw: bool | None, as_json: bool, output: IO[bytes] | None
) -> ExitCode:
    """Print the value of a key.

    A key that is not there gives exit code 1 and nothing on stdout. Several keys are read as they stand together at one instant,
    and printed one per line, quoted, as KEY <tab> VALUE.
    """
    if output is not None and (len(keys) > 1 or as_json):
        raise click.UsageError("--output is for the value of one key, as it is.")
    names = [argument_bytes(key, escaped) for key in keys]
    with target.attach(readonly=True) as cache:
        values: list[bytes | None] = [cache.get(names[0])] if len(names) == 1 else cache.mget(names)
    if as_json:
        _print_values_json(names, values)
    elif len(names) > 1:
        for name, value in zip(names, values, strict=True):
            click.echo(f"{quote(name)}\t{'(nil)' if value is None else quote(value)}")
    elif values[0] is not None:
        _write_value(values[0], raw, output)
    return ExitCode.NO if None in values else ExitCode.OK


def _print_values_json(names: list[bytes], values: list[bytes | None]) -> None:
    found: list[Json] = [
        {"key": json_bytes(name), "value": None if value is None else json_bytes(value)}
        for name, value in zip(names, values, strict=True)
    ]
    print_json(found[0] if len(found) == 1 else found)


def _write_value(value: bytes, raw: bool | None, output: IO[bytes] | None = None) -> None:
    if output is not None:
        output.write(value)
    elif raw is False or (raw is None and is_terminal()):
        click.echo(quote(value))
    else:
        write_bytes(value)


# ------------------------------------------------------------------ set


class _SetCommand(click.Command):
    """A command whose argument may begin with a dash: says how."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click has it, with a better hint."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(f'{error.format_message()} A value that begins with a dash goes behind "--".', ctx) from None


@click.command("set", cls=_SetCommand)
@target_options
@escaped_option
@click.option("-x", "from_stdin", is_flag=True, help="Read the value from stdin, as redis-cli -x does.")
@click.option("-i", "--input", "source", type=click.File("rb"), metavar="FILE", help="Read the value from a file; - is stdin.")
@click.option("--ex", type=float, metavar="S", help="Seconds to live; fractions are allowed.")
@click.option("--px", type=float, metavar="MS", help="Milliseconds to live.")
@click.option("--exat", type=float, metavar="UNIX_S", help="Instant at which it goes, in seconds since 1970.")
@click.option("--pxat", type=float, metavar="UNIX_MS", help="The same in milliseconds.")
@click.option("--nx", is_flag=True, help="Only if the key is missing.")
@click.option("--xx", is_flag=True, help="Only if it exists.")
@click.option("--keepttl", is_flag=True, help="Keep the expiry of the value that is replaced.")
@click.option("--get", "get_old", is_flag=True, help="Print the old value instead of OK.")
@raw_option
@click.option(
    "--timeout-ms",
    type=click.FloatRange(0, 86_400_000),
    callback=finite,
    metavar="MS",
    default=100,
    show_default=True,
    help="Wait for a lock.",
)
@click.argument("key", shell_complete=complete_key)
@click.argument("value", required=False)
@pass_target
def set_command(
    target: Target,
    key: str,
    value: str | None,
    escaped: bool,
    from_stdin: bool,
    source: IO[bytes] | None,
    ex: float | None,
    px: float | None,
    exat: float | None,
    pxat: float | None,
    nx: bool,
    xx: bool,
    keepttl: bool,
    get_old: bool,
    raw: bool | None,
    timeout_ms: float,
) -> ExitCode:
    """Set the value of a key; prints OK.

    Exit code 1, and nothing on stdout, if --nx or --xx did not hold. Without an expiry option the value stays for good, even
    where the one that it replaces had an expiry (--keepttl keeps it). A value that begins with a dash goes behind "--".
    """
    name = argument_bytes(key, escaped)
    data = _value_given(value, escaped, from_stdin, source)
    with target.attach(readonly=False, timeout_ms=timeout_ms) as cache:
        if get_old:
            old = cache.set(name, data, ex=ex, px=px, nx=nx, xx=xx, keepttl=keepttl, get=True, exat=exat, pxat=pxat)
            stored = not (nx and old is not None) and not (xx and old is None)
        else:
            old = None
            stored = bool(cache.set(name, data, ex=ex, px=px, nx=nx, xx=xx, keepttl=keepttl, exat=exat, pxat=pxat))
    if old is not None:
        _write_value(old, raw)
    elif stored and not get_old:
        click.echo("OK")
    return ExitCode.OK if stored else ExitCode.NO


def _value_given(value: str | None, escaped: bool, from_stdin: bool, source: IO[bytes] | None) -> bytes:
    if (value is not None) + from_stdin + (source is not None) != 1:
        raise click.UsageError("Give the value once: as an argument, with -x from stdin, or with --input FILE.")
    if value is not None:
        return argument_bytes(value, escaped)
    return sys.stdin.buffer.read() if source is None else source.read()


# ------------------------------------------------------------------ del, ttl


@click.command("del")
@target_options
@escaped_option
@click.argument("keys", nargs=-1, required=True, metavar="KEY...", shell_complete=complete_key)
@pass_target
def del_command(target: Target, keys: tuple[str, ...], escaped: bool) -> ExitCode:
    """Delete keys; prints how many there were.

    Exit code 1 if there was none.
    """
    names = [argument_bytes(key, escaped) for key in keys]
    with target.attach(readonly=False) as cache:
        deleted = cache.delete(*names)
    click.echo(str(deleted))
    return ExitCode.OK if deleted else ExitCode.NO


@click.command("ttl")
@target_options
@escaped_option
@click.option("--ms", "in_ms", is_flag=True, help="In milliseconds.")
@json_option
@click.argument("key", shell_complete=complete_key)
@pass_target
def ttl_command(target: Target, key: str, escaped: bool, in_ms: bool, as_json: bool) -> ExitCode:
    """Print how many seconds a key has to live.

    -1 for a key without expiry; -2, and exit code 1, without such a key.
    """
    name = argument_bytes(key, escaped)
    with target.attach(readonly=True) as cache:
        ttl_ms = cache.pttl(name)
    if as_json:
        print_json({"key": json_bytes(name), "exists": ttl_ms != -2, "ttl_ms": None if ttl_ms < 0 else ttl_ms})
    else:
        click.echo(str(ttl_ms if in_ms or ttl_ms < 0 else (ttl_ms + 500) // 1000))
    return ExitCode.NO if ttl_ms == -2 else ExitCode.OK
