"""create, ls, rm: the life of segments. `stat` is in cmd_stat.py."""

from __future__ import annotations

import stat
import time

import click

import fincache
from fincache import _core
from fincache._reports import Policy
from fincache.cli.exits import ExitCode, exit_code_of, message_of
from fincache.cli.output import duration_text, json_option, print_json, size_text, table
from fincache.cli.processes import read_mappings, who
from fincache.cli.segment_view import info_json
from fincache.cli.shm_objects import Listed, list_segments, object_path
from fincache.cli.target import complete_segment, target_of
from fincache.segment import parse_size

# ------------------------------------------------------------------ create


def size_given(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    """Bytes of a size such as 256MB. Raises BadParameter."""
    try:
        return None if value is None else parse_size(value, "it")
    except fincache.InvalidArgument as error:
        raise click.BadParameter(f"{error.detail}. {error.hint}") from None


def _mode_given(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
    """Permission bits, in octal. Raises BadParameter."""
    try:
        mode = int(value, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise click.BadParameter(f"{value!r} is no mode. Write it in octal, such as 600 or 0660.")
    return mode


@click.command("create")
@click.option(
    "-b",
    "--size",
    metavar="SIZE",
    callback=size_given,
    default="64MB",
    show_default=True,
    help="Of the whole segment; reserved at once.",
)
@click.option(
    "--policy", type=click.Choice(list(_core.POLICIES)), default="noeviction", show_default=True, help="When it is full."
)
@click.option("--keys", type=click.IntRange(1), metavar="N", help="Expected number of keys [default: what fits].")
@click.option("--item-bytes", type=click.IntRange(1), metavar="N", help="Expected average of key + value bytes [default: 200].")
@click.option("--databases", type=click.IntRange(1, _core.DATABASES_MAX), default=16, show_default=True, metavar="N")
@click.option(
    "--sessions-max",
    type=click.IntRange(16, _core.SESSIONS_LIMIT),
    metavar="N",
    help="Threads that can be attached for writing at a time [default: by size].",
)
@click.option("--value-bytes-max", metavar="SIZE", callback=size_given, help="Longest value [default: 512 MiB].")
@click.option(
    "--mode",
    metavar="OCTAL",
    callback=_mode_given,
    default="600",
    show_default=True,
    help="Permission bits; the umask does not apply.",
)
@click.option("--group", metavar="GROUP", help="Group that owns it, by name or number [default: yours].")
@click.option("--huge-pages", is_flag=True, help="Collapse it into huge pages: 1 to 4 s a GiB, once.")
@click.option("--if-missing", is_flag=True, help="Be content with a segment that is there, whatever its options.")
@json_option
@click.argument("name", required=False)
@click.pass_context
def create_command(
    context: click.Context,
    name: str | None,
    size: int,
    policy: Policy,
    keys: int | None,
    item_bytes: int | None,
    databases: int,
    sessions_max: int | None,
    value_bytes_max: int | None,
    mode: int,
    group: str | None,
    huge_pages: bool,
    if_missing: bool,
    as_json: bool,
) -> None:
    """Create a segment.

    It stays until "fincache rm" or the next boot. NAME has 1 to 63 characters out of A-Z a-z 0-9 _ . - and may also be given by
    -s or FINCACHE_SEGMENT. A SIZE such as 256MB is counted in units of 1024, as in redis.conf.
    """
    cache = fincache.open(
        _name_to_create(context, name),
        size,
        exclusive=not if_missing,
        policy=policy,
        keys=keys,
        item_bytes=item_bytes,
        databases=databases,
        sessions_max=sessions_max,
        value_bytes_max=value_bytes_max,
        mode=mode,
        group=int(group) if group is not None and group.isdecimal() else group,
        huge_pages=huge_pages,
    )
    with cache:
        info = cache.info()
    if as_json:
        print_json(info_json(info))
    else:
        sizes = f"{size_text(info.size_bytes)}, {size_text(info.arena_bytes)} of them for {info.keys_configured:,} keys"
        huge = f", {size_text(info.huge_bytes)} in huge pages" if info.huge_bytes else ""
        click.echo(f"{info.name}: {sizes}{huge}")
        if huge_pages and not info.huge_bytes:
            click.echo("fincache: the kernel gave no huge pages; fincache doctor says why", err=True)


def _name_to_create(context: click.Context, name: str | None) -> str:
    target = target_of(context)
    named = name if name is not None else target.named()
    if named is None:
        raise click.UsageError("Missing argument 'NAME'.", context)
    return named


# ------------------------------------------------------------------ ls


@click.command("ls")
@json_option
def ls_command(as_json: bool) -> None:
    """List the segments of this host.

    Sessions are threads that are attached for writing; "fincache stat" also shows who only reads.
    """
    found = list_segments()
    if as_json:
        print_json([listed.to_json() for listed in found])
        return
    if not found:
        return
    now_ns = time.time_ns()
    rows = [_row(listed, now_ns) for listed in found]
    headings = ("NAME", "MODE", "OWNER", "SIZE", "USED", "KEYS", "SESSIONS", "POLICY", "AGE")
    for line in table(headings, rows, left={"NAME", "MODE", "OWNER", "POLICY"}):
        click.echo(line)
    for listed in found:
        if listed.problem and not isinstance(listed.error, fincache.PermissionDenied):  # which MODE and OWNER show
            click.echo(f"fincache: {listed.name}: {listed.problem}", err=True)


def _row(listed: Listed, now_ns: int) -> tuple[str, ...]:
    who_may = (listed.name, stat.filemode(listed.mode)[1:], f"{listed.owner}:{listed.group}")
    if listed.info is None or listed.stats is None:
        is_denied = isinstance(listed.error, fincache.PermissionDenied)
        return (*who_may, "-", "-", "-", "-", "denied" if is_denied else "unusable", "-")
    return (
        *who_may,
        size_text(listed.info.size_bytes),
        f"{100 * listed.stats.used_bytes / listed.stats.arena_bytes:.1f}%",
        f"{listed.stats.key_count:,}",
        f"{listed.stats.sessions_used}/{listed.info.sessions_max}",
        listed.info.policy,
        duration_text(max(0, now_ns - listed.info.created_unix_ns)),
    )


# ------------------------------------------------------------------ rm


@click.command("rm")
@click.option("-f", "--force", is_flag=True, help="Also while processes use it, or when it is no segment of FinCache.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_segment)
def rm_command(names: tuple[str, ...], force: bool) -> ExitCode:
    """Remove segments.

    A segment that living processes use is left alone, with exit code 8, unless --force is given. Threads that have
    used it then go on with what they have, as do read-only attachments; threads and forked children that had not used it yet get
    an error. Nobody can attach any more; the memory comes back when the last process ends.
    """
    return max([_remove(name, force) for name in names])


def _remove(name: str, force: bool) -> ExitCode:
    try:
        pids = [] if force else users_of(name)
        if pids:
            click.echo(f"fincache: segment {name} is in use by {who(pids)}. Stop them, or pass --force.", err=True)
            return ExitCode.IN_USE
        fincache.unlink(name)
    except fincache.FinCacheError as error:
        click.echo(f"fincache: {message_of(error)}", err=True)
        return exit_code_of(error) or ExitCode.FAILED
    return ExitCode.OK


def users_of(name: str) -> list[int]:
    """Living processes that have a session in a segment, or map it. Raises ForeignSegment; other damage is nobody's."""
    pids: set[int] = set()
    try:
        with fincache.attach(name, readonly=True) as cache:
            pids.update(session.pid for session in cache.sessions() if session.live)
    except (fincache.TruncatedSegment, fincache.CorruptSegment, fincache.LayoutNewer, fincache.LayoutOlder):
        pass  # who still maps it is asked below
    try:
        pids.update(read_mappings().pids_of(object_path(name).stat().st_ino))
    except FileNotFoundError:
        pids.clear()  # it went meanwhile, and unlink will say so
    return sorted(pids)
