"""stat: everything that is known of one segment."""

from __future__ import annotations

import time
from dataclasses import dataclass

import click

import fincache
from fincache.cli.output import Json, duration_text, json_option, print_json, size_text, table
from fincache.cli.processes import command_of, read_mappings, shorten, user_command
from fincache.cli.segment_view import attached_json, class_json, class_lines, hit_ratio, info_json, session_json
from fincache.cli.shm_objects import object_path
from fincache.cli.target import Target, complete_segment, pass_target, segment_option

COMMAND_CHARACTERS_MAX = 60


@dataclass(frozen=True)
class Reading:
    """A segment at one moment."""

    info: fincache.SegmentInfo
    stats: fincache.Stats
    sessions: list[fincache.SessionInfo]
    classes: list[fincache.SizeClass]
    keys_by_database: dict[int, int]
    inode: int
    pids: list[int]  # of processes that map it, as far as they may be looked into

    @classmethod
    def take(cls, name: str) -> Reading:
        """Reads a segment, read-only."""
        with fincache.attach(name, readonly=True) as cache:
            info, stats, sessions, classes = cache.info(), cache.stats(), cache.sessions(), cache.classes()
            counts = {number: cache.db(number).dbsize() for number in range(info.databases)}
        inode = object_path(name).stat().st_ino
        filled = {number: count for number, count in counts.items() if count}
        return cls(info, stats, sessions, classes, filled, inode, read_mappings().pids_of(inode))

    def to_json(self) -> dict[str, Json]:
        """stat --json."""
        return {
            "segment": info_json(self.info),
            "stats": vars(self.stats) | {"hit_ratio": hit_ratio(self.stats.hits, self.stats.misses)},
            "classes": [class_json(size_class) for size_class in self.classes],
            "databases": [{"db": number, "keys": count} for number, count in self.keys_by_database.items()],
            "sessions": [session_json(session, self.inode) for session in self.sessions],
            "processes": attached_json(self.pids),
        }


@click.command("stat")
@segment_option
@json_option
@click.argument("name", required=False, shell_complete=complete_segment)
@pass_target
def stat_command(target: Target, name: str | None, as_json: bool) -> None:
    """Show everything about a segment: geometry, memory, counters, databases, sessions, processes.

    Counters are those of all sessions that ever were; read-only processes cannot count in the segment. NAME may also be given by
    -s or FINCACHE_SEGMENT.
    """
    reading = Reading.take(name if name is not None else target.name())
    if as_json:
        print_json(reading.to_json())
        return
    for title, lines in (
        ("segment", _pairs(_segment_rows(reading))),
        ("memory", _pairs(_memory_rows(reading))),
        ("memory by size class", class_lines(reading.classes)),
        ("operations", _pairs(_operation_rows(reading.stats))),
        ("trouble", _pairs(_trouble_rows(reading.stats))),
        (f"sessions ({len(reading.sessions)} of {reading.info.sessions_max})", _session_lines(reading)),
        ("processes that map it", [f"{pid}  {shorten(command_of(pid), COMMAND_CHARACTERS_MAX)}" for pid in reading.pids]),
    ):
        click.echo(title)
        for line in lines or ["none"]:
            click.echo(f"  {line}")


def _pairs(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {value}" for name, value in rows]


def _segment_rows(reading: Reading) -> list[tuple[str, str]]:
    info = reading.info
    created = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(info.created_unix_ns / 1e9))
    age = duration_text(max(0, time.time_ns() - info.created_unix_ns))
    databases = ", ".join(f"{number}: {count:,} keys" for number, count in reading.keys_by_database.items())
    return [
        ("name", info.name),
        ("id", f"{info.segment_id:016x}"),
        ("created", f"{created}, {age} ago"),
        ("size", f"{size_text(info.size_bytes)}, mode {info.mode:04o}, layout {info.layout_version}"),
        ("policy", info.policy),
        ("index", f"{info.home_count:,} homes for {info.keys_configured:,} keys"),
        ("longest value", size_text(info.value_bytes_max)),
        ("databases", f"{info.databases}; {databases or 'all empty'}"),
        ("huge pages", "yes" if info.huge_bytes else "no"),
    ]


def _memory_rows(reading: Reading) -> list[tuple[str, str]]:
    stats = reading.stats

    def part(size_bytes: int) -> str:
        return f"{size_text(size_bytes):>10}  {100 * size_bytes / stats.arena_bytes:5.1f}%"

    return [
        ("for keys and values", part(stats.arena_bytes)),
        ("used", part(stats.used_bytes)),
        ("in sessions' magazines", part(stats.magazine_bytes)),
        ("free", part(stats.free_bytes)),
        ("free pages", f"{stats.pages_free:>10,}"),
        ("extension buckets", f"{stats.extension_buckets:>10,}"),
        (
            "keys",
            f"{stats.key_count:>10,}  {100 * stats.key_count / max(1, reading.info.keys_configured):5.1f}% of those planned",
        ),
    ]


def _operation_rows(stats: fincache.Stats) -> list[tuple[str, str]]:
    ratio = hit_ratio(stats.hits, stats.misses)
    return [
        ("gets", f"{stats.gets:>14,}"),
        ("hits", f"{stats.hits:>14,}" + ("" if ratio is None else f"  {100 * ratio:5.1f}%")),
        ("sets", f"{stats.sets:>14,}"),
        ("deletes", f"{stats.deletes:>14,}"),
        ("multi-key writes", f"{stats.multi_commits:>14,}"),
        ("expired", f"{stats.expired:>14,}"),
        ("evicted", f"{stats.evicted:>14,}"),
        ("flushed", f"{stats.flushed:>14,}"),
        ("pages moved", f"{stats.pages_moved:>14,}"),
    ]


def _trouble_rows(stats: fincache.Stats) -> list[tuple[str, str]]:
    return [
        ("reads taken again", f"{stats.read_retries:>14,}"),
        ("reads given up (Contended)", f"{stats.contended:>14,}"),
        ("writes that met a lock", f"{stats.lock_waits:>14,}"),
        ("writes given up (Busy)", f"{stats.busy:>14,}"),
        ("writes refused (OutOfMemory)", f"{stats.out_of_memory:>14,}"),
        ("dead sessions settled", f"{stats.recoveries:>14,}"),
        ("their writes finished", f"{stats.rolled_forward:>14,}"),
    ]


def _session_lines(reading: Reading) -> list[str]:
    if not reading.sessions:
        return []
    now_ns = time.time_ns()
    rows = [
        (
            str(session.slot),
            str(session.pid),
            str(session.tid),
            "live" if session.live else "dead",
            duration_text(max(0, now_ns - session.opened_unix_ns)),
            f"{session.gets:,}",
            f"{session.sets:,}",
            size_text(session.magazine_bytes),
            shorten(user_command(session.pid, reading.inode), COMMAND_CHARACTERS_MAX) if session.live else "",
        )
        for session in reading.sessions
    ]
    return table(("SLOT", "PID", "TID", "STATE", "AGE", "GETS", "SETS", "MAGAZINES", "COMMAND"), rows, left={"COMMAND"})
