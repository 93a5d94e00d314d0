"""keys, scan: what is in a database.

Both go through the keys by SCAN, which holds nothing and disturbs nobody; a key that is there from beginning to end is found.
`keys` collects, sorts and names each key once; `scan` prints keys as it meets them, in constant memory, some of them
perhaps twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, TypeVar

import click

import fincache
from fincache.cli.keyarg import argument_bytes, escaped_option
from fincache.cli.output import Json, duration_text, is_terminal, json_bytes, json_option, print_json, quote, write_bytes
from fincache.cli.target import Target, pass_target, target_options

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
STEP_KEYS = 256  # that one step of a scan looks at
ANYTHING = "*"


def listing_options(function: FunctionT) -> FunctionT:
    """The options that keys and scan have in common."""
    for option in (
        json_option,
        click.option("-0", "--null", is_flag=True, help="End each key with a zero byte instead of a newline, for xargs -0."),
        click.option("-l", "--long", "is_long", is_flag=True, help="With type, value bytes, age and time to live."),
        click.option("-t", "--type", "kind", metavar="TYPE", help="Only keys of this type, such as string."),
        escaped_option,
        target_options,
    ):
        function = option(function)
    return function


class _Printer:
    """Writes keys in the form that was asked for."""

    def __init__(self, cache: fincache.Cache, null: bool, is_long: bool, as_json: bool) -> None:
        if null and (is_long or as_json):
            raise click.UsageError("--null goes with neither --long nor --json.")
        self._cache = cache
        self._end = b"\0" if null else b"\n"
        self._is_quoted = not null and is_terminal()
        self._is_long = is_long
        self._as_json = as_json

    def print(self, key: bytes) -> None:
        """One key. A key that went meanwhile is left out of --long."""
        if self._as_json:
            found = self.details(key)
            if found is not None:
                print_json(found, line=True)
        elif self._is_long:
            self._print_long(key)
        elif self._is_quoted:
            click.echo(quote(key))
        else:
            write_bytes(key + self._end)

    def details(self, key: bytes) -> dict[str, Json] | None:
        """A key for JSON, with what --long adds; None when it is gone."""
        if not self._is_long:
            return {"key": json_bytes(key)}
        entry = self._cache.entry(key)
        if entry is None:
            return None
        return {
            "key": json_bytes(key),
            "type": self._cache.type(key).decode(),
            "value_bytes": len(entry.value),
            "age_ns": entry.age_ns,
            "ttl_ns": entry.ttl_ns,
        }

    def _print_long(self, key: bytes) -> None:
        entry = self._cache.entry(key)
        if entry is None:
            return
        ttl = "-" if entry.ttl_ns is None else duration_text(entry.ttl_ns)
        kind = self._cache.type(key).decode()
        click.echo(f"{kind:<8}{len(entry.value):>10,}  {duration_text(entry.age_ns):>9}  {ttl:>9}  {quote(key)}")


@click.command("keys")
@listing_options
@click.argument("pattern", default=ANYTHING)
@pass_target
def keys_command(target: Target, pattern: str, escaped: bool, kind: str | None, is_long: bool, null: bool, as_json: bool) -> None:
    r"""List keys, sorted.

    PATTERN is Redis's: * any bytes, ? one byte, [a-z] one of these, [^a] none of these, \ takes the next byte as it is. Quote it
    against the shell. On a terminal keys are quoted; elsewhere they are as they are, one per line (--null, where a key may hold a
    newline).
    """
    match = argument_bytes(pattern, escaped)
    with target.attach(readonly=True) as cache:
        printer = _Printer(cache, null, is_long, as_json)
        found = sorted(set(cache.scan_iter(None if match == ANYTHING.encode() else match, STEP_KEYS, kind)))
        if as_json:
            print_json([details for key in found if (details := printer.details(key)) is not None])
            return
        for key in found:
            printer.print(key)


@click.command("scan")
@listing_options
@click.option("-m", "--match", "pattern", default=ANYTHING, metavar="PATTERN", help="Only keys that fit, as for keys.")
@click.option(
    "-c",
    "--count",
    type=click.IntRange(1),
    default=STEP_KEYS,
    show_default=True,
    metavar="N",
    help="Keys to look at in one step.",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="End after so many keys.")
@click.option("--cursor", type=click.IntRange(0, (1 << 64) - 1), metavar="N", help="Only the step that begins at this cursor.")
@pass_target
def scan_command(
    target: Target,
    pattern: str,
    escaped: bool,
    kind: str | None,
    count: int,
    limit: int | None,
    cursor: int | None,
    is_long: bool,
    null: bool,
    as_json: bool,
) -> None:
    """Print keys as they are met.

    A key that is there all the time is printed at least once, and perhaps twice. With --cursor one step is made, and the cursor
    of the next is printed first, 0 at the end: {"cursor": "N"} as the first line of --json.
    """
    match = argument_bytes(pattern, escaped)
    wanted = None if match == ANYTHING.encode() else match
    with target.attach(readonly=True) as cache:
        printer = _Printer(cache, null, is_long, as_json)
        keys: Iterable[bytes]
        if cursor is None:
            keys = cache.scan_iter(wanted, count, kind)
        else:
            following, keys = cache.scan(cursor, wanted, count, kind)
            if as_json:
                print_json({"cursor": str(following)}, line=True)
            else:
                write_bytes(f"{following}".encode() + (b"\0" if null else os.linesep.encode()))
        for key in islice(keys, limit):
            printer.print(key)
