"""The picture that `top` draws: a Frame as lines of text."""

from __future__ import annotations

import time

from fincache.cli.output import count_text, duration_text, size_text, table
from fincache.cli.processes import shorten
from fincache.cli.segment_view import class_lines
from fincache.cli.top_sample import Frame, SessionRow

COMMAND_CHARACTERS_MAX = 60


def lines_of(frame: Frame, width: int | None = None, height: int | None = None) -> list[str]:
    """The picture; cut to a terminal's columns and lines, if given, the least busy sessions first.

    Of the size classes a terminal gets the largest, as many as leave half of it to the sessions.
    """
    head, classes = _head(frame), class_lines(frame.reading.classes)
    if height is not None:
        classes = classes[: max(2, height // 2 - len(head))]
    lines = [*head, "", *classes, "", *_session_lines(frame.sessions)]
    if height is not None and len(lines) > height:
        hidden = len(lines) - height + 1
        lines = [*lines[: height - 1], f"... {hidden} more"]
    return lines if width is None else [line[:width] for line in lines]


def _head(frame: Frame) -> list[str]:
    info, stats, rates = frame.reading.info, frame.reading.stats, frame.rates
    clock = time.strftime("%H:%M:%S", time.localtime(frame.reading.unix_ns / 1e9))
    age = duration_text(max(0, frame.reading.unix_ns - info.created_unix_ns))
    ratio = "-" if frame.hit_ratio is None else f"{100 * frame.hit_ratio:.1f}%"
    arena = max(1, stats.arena_bytes)

    def per_s(name: str) -> str:
        return f"{count_text(rates[name])}/s"

    def part(size_bytes: int) -> str:
        return f"{size_text(size_bytes)} ({100 * size_bytes / arena:.1f}%)"

    return [
        f"{info.name}   {size_text(info.size_bytes)}  {info.policy}  created {age} ago   {clock}"
        f"{'   REMOVED: nobody can join' if info.retired else ''}",
        f"gets {per_s('gets')}   hits {ratio}   sets {per_s('sets')}   deletes {per_s('deletes')}"
        f"   multi {per_s('multi_commits')}",
        f"expired {per_s('expired')}   evicted {per_s('evicted')}   out of memory {per_s('out_of_memory')}",
        f"retries {per_s('read_retries')}   contended {per_s('contended')}   lock waits {per_s('lock_waits')}"
        f"   busy {per_s('busy')}",
        f"in all: recoveries {stats.recoveries:,} ({stats.rolled_forward:,} rolled forward)   busy {stats.busy:,}"
        f"   contended {stats.contended:,}",
        f"memory {size_text(stats.arena_bytes)}   used {part(stats.used_bytes)}   magazines {part(stats.magazine_bytes)}"
        f"   free {part(stats.free_bytes)}",
        f"keys {stats.key_count:,} of {info.keys_configured:,} planned   sessions {len(frame.sessions)} of {info.sessions_max}",
    ]


def _session_lines(rows: tuple[SessionRow, ...]) -> list[str]:
    headings = ("PID", "TID", "STATE", "AGE", "GETS/S", "SETS/S", "GETS", "SETS", "MAGAZINES", "COMMAND")
    cells = [
        (
            str(row.info.pid),
            str(row.info.tid),
            "live" if row.info.live else "DEAD",
            duration_text(row.age_ns),
            count_text(row.gets_per_s),
            count_text(row.sets_per_s),
            count_text(row.info.gets),
            count_text(row.info.sets),
            size_text(row.info.magazine_bytes),
            shorten(row.command, COMMAND_CHARACTERS_MAX),
        )
        for row in rows
    ]
    return table(headings, cells, left={"COMMAND"})
