"""watch: the versions of one key, as they appear.

A version is unique for ever, so a poll that finds another one proves a change, and one that finds the same proves that there was
none: nothing is missed between two polls but intermediate versions, and how many those were cannot be known (a version counts the
writes of a session, not those of a key). Two misses prove nothing: a key may come and go in between. A poll reads the version
alone: no copy, no system call, well under a microsecond. The value and its writer are read when the version is another one.

A version also changes without a write, when memory is compacted or the expiry is changed. Such a change is shown as "moved".
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import click

import fincache
from fincache.cli.exits import ExitCode
from fincache.cli.keyarg import argument_bytes, complete_key, escaped_option
from fincache.cli.output import Json, duration_text, finite, json_bytes, json_option, print_json, quote
from fincache.cli.target import Refused, Target, pass_target, target_options

RETIRED_CHECK_SECONDS = 1.0  # asking costs up to a millisecond


@dataclass(frozen=True)
class Change:
    """What a poll found."""

    event: str  # "present" or "absent" at the beginning, then "set", "moved" or "gone"
    seen_unix_ns: int
    entry: fincache.Entry[bytes] | None
    writer_pid: int | None

    def to_json(self, key: bytes) -> dict[str, Json]:
        """One line of watch --json."""
        found: dict[str, Json] = {"event": self.event, "key": json_bytes(key), "seen_unix_ns": self.seen_unix_ns}
        entry = self.entry
        if entry is None:
            return found
        return found | {
            "value": json_bytes(entry.value),
            "version": str(entry.version),
            "age_ns": entry.age_ns,
            "written_unix_ns": entry.written_unix_ns,
            "ttl_ns": entry.ttl_ns,
            "writer": entry.writer,
            "writer_pid": self.writer_pid,
        }

    def to_text(self) -> str:
        """One line for people."""
        seconds, rest_ns = divmod(self.seen_unix_ns, 1_000_000_000)
        clock = f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{rest_ns // 1000:06}"
        entry = self.entry
        if entry is None:
            return f"{clock}  {self.event}"
        ttl = "" if entry.ttl_ns is None else f"  ttl {duration_text(entry.ttl_ns)}"
        writer = "" if self.writer_pid is None else f"  pid {self.writer_pid}{' (dead)' if entry.writer == 'dead' else ''}"
        age = duration_text(entry.age_ns)
        return f"{clock}  {self.event:<7}  version {entry.version}  age {age}{ttl}{writer}  {quote(entry.value)}"


class Watcher:
    """The key's last known state."""

    def __init__(self, cache: fincache.Cache, key: bytes) -> None:
        self._cache = cache
        self._key = key
        self._known: fincache.Entry[bytes] | None = None
        self._is_first = True
        self._retired_check_at = time.monotonic() + RETIRED_CHECK_SECONDS

    def poll(self) -> Change | None:
        """A change since the last poll; the state of things at the first. Raises Refused when the segment was removed."""
        known_version = None if self._known is None else self._known.version
        if not self._is_first and self._cache.version(self._key) == known_version:
            self._check_retired()
            return None
        entry = self._cache.entry(self._key)
        event = self._event(entry)
        self._known = entry
        self._is_first = False
        if event is None:
            return None
        return Change(event, time.time_ns(), entry, None if entry is None else self._pid_of_writer(entry))

    def _event(self, entry: fincache.Entry[bytes] | None) -> str | None:
        known = self._known
        if self._is_first:
            return "absent" if entry is None else "present"
        if entry is None:
            return None if known is None else "gone"
        if known is not None and (known.value, known.written_unix_ns) == (entry.value, entry.written_unix_ns):
            return None if known.version == entry.version else "moved"
        return "set"

    def _pid_of_writer(self, entry: fincache.Entry[bytes]) -> int | None:
        """Known while the session that wrote it is open, or dead and unsettled; None once it was closed."""
        if entry.writer == "unknown":
            return None
        opened = [session for session in self._cache.sessions() if session.slot == entry.writer_slot]
        return next((session.pid for session in opened if session.opened_unix_ns <= entry.written_unix_ns), None)

    def _check_retired(self) -> None:
        now = time.monotonic()
        if now < self._retired_check_at:
            return
        self._retired_check_at = now + RETIRED_CHECK_SECONDS
        if self._cache.info().retired:
            raise Refused(f"segment {self._cache.name} was removed", ExitCode.MISSING)


@click.command("watch")
@target_options
@escaped_option
@json_option
@click.option("-c", "--count", type=click.IntRange(1), metavar="N", help="End after so many lines.")
@click.option(
    "-i",
    "--interval",
    type=click.FloatRange(0.0, 3600.0),
    callback=finite,
    default=0.05,
    show_default=True,
    metavar="S",
    help="Of polling.",
)
@click.option("--changes-only", is_flag=True, help="Leave out what is there at the beginning.")
@click.option("--timeout", type=click.FloatRange(0.0), callback=finite, metavar="S", help="End after so long, with exit code 1.")
@click.argument("key", shell_complete=complete_key)
@pass_target
def watch_command(
    target: Target,
    key: str,
    escaped: bool,
    as_json: bool,
    count: int | None,
    interval: float,
    changes_only: bool,
    timeout: float | None,
) -> ExitCode:
    """Print each new version of a key as it appears, until Ctrl-C.

    A line says when it was seen, what happened (present or absent at the beginning; then set, moved by compaction or a new
    expiry, gone), version, age at that moment, time to live, writer's pid while its session is open, and the value. That
    a value changed is never missed; of versions that come and go between two polls only the last is shown.
    """
    name = argument_bytes(key, escaped)
    deadline = None if timeout is None else time.monotonic() + timeout
    line_count = 0
    with target.attach(readonly=True) as cache:
        watcher = Watcher(cache, name)
        while True:
            change = watcher.poll()
            if change is not None and not (changes_only and change.event in {"present", "absent"}):
                if as_json:
                    print_json(change.to_json(name), line=True)
                else:
                    click.echo(change.to_text())
                sys.stdout.flush()
                line_count += 1
                if line_count == count:
                    return ExitCode.OK
            pause = interval if deadline is None else min(interval, deadline - time.monotonic())
            if pause < 0:
                return ExitCode.NO
            time.sleep(pause)
