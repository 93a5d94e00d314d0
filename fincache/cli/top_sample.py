"""What `top` measures: two readings of a segment, and the rates between them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import fincache
from fincache.cli.output import Json
from fincache.cli.processes import command_of, user_command
from fincache.cli.segment_view import class_json, hit_ratio
from fincache.cli.shm_objects import object_path

# Counters of Stats whose rates are shown, in the order of the JSON.
RATED = (
    "gets",
    "hits",
    "misses",
    "sets",
    "deletes",
    "read_retries",
    "contended",
    "lock_waits",
    "busy",
    "expired",
    "evicted",
    "multi_commits",
    "out_of_memory",
    "pages_moved",
)
SHOWN_TOTALS = ("recoveries", "rolled_forward", "busy", "contended", "out_of_memory", "evicted", "expired")


@dataclass(frozen=True)
class Reading:
    """A segment at one moment."""

    mono_ns: int
    unix_ns: int
    info: fincache.SegmentInfo
    stats: fincache.Stats
    sessions: tuple[fincache.SessionInfo, ...]
    classes: tuple[fincache.SizeClass, ...]
    inode: int  # of the segment's object; 0 when its name is gone

    @classmethod
    def take(cls, cache: fincache.Cache) -> Reading:
        """Some 15 us for each session, whose life the kernel is asked about, and up to 1 ms for the rest."""
        info, stats, sessions = cache.info(), cache.stats(), tuple(cache.sessions())
        classes = tuple(cache.classes())
        return cls(time.monotonic_ns(), time.time_ns(), info, stats, sessions, classes, _inode_of(cache.name))


@dataclass(frozen=True)
class SessionRow:
    """A session and what it did since the reading before."""

    info: fincache.SessionInfo
    command: str
    age_ns: int
    gets_per_s: float
    sets_per_s: float

    def to_json(self) -> dict[str, Json]:
        """One element of "sessions" of top --json."""
        info = self.info
        return {
            "slot": info.slot,
            "pid": info.pid,
            "tid": info.tid,
            "command": self.command or None,
            "live": info.live,
            "age_ns": self.age_ns,
            "gets": info.gets,
            "sets": info.sets,
            "gets_per_s": round(self.gets_per_s, 1),
            "sets_per_s": round(self.sets_per_s, 1),
            "magazine_bytes": info.magazine_bytes,
        }


@dataclass(frozen=True)
class Frame:
    """All that one picture of `top` shows."""

    reading: Reading
    interval_ns: int
    rates: dict[str, float]  # counter -> per second
    hit_ratio: float | None  # within the interval; None without reads
    sessions: tuple[SessionRow, ...]  # the busiest first

    @classmethod
    def between(cls, before: Reading, after: Reading) -> Frame:
        """Counters only rise, but for those of a slot that is cleared while it is read; such a rate is shown as 0."""
        seconds = max(after.mono_ns - before.mono_ns, 1) / 1e9
        rates = {name: max(0, getattr(after.stats, name) - getattr(before.stats, name)) / seconds for name in RATED}
        known = {_identity(session): session for session in before.sessions}
        rows = [_row(session, known.get(_identity(session)), after, seconds) for session in after.sessions]
        rows.sort(key=lambda row: (-(row.gets_per_s + row.sets_per_s), row.info.pid, row.info.tid))
        return cls(after, after.mono_ns - before.mono_ns, rates, hit_ratio(rates["hits"], rates["misses"]), tuple(rows))

    def to_json(self) -> dict[str, Json]:
        """One line of top --json."""
        info, stats = self.reading.info, self.reading.stats
        return {
            "segment": info.name,
            "segment_id": f"{info.segment_id:016x}",
            "at_unix_ns": self.reading.unix_ns,
            "interval_ns": self.interval_ns,
            "policy": info.policy,
            "size_bytes": info.size_bytes,
            "arena_bytes": stats.arena_bytes,
            "used_bytes": stats.used_bytes,
            "magazine_bytes": stats.magazine_bytes,
            "free_bytes": stats.free_bytes,
            "keys": stats.key_count,
            "keys_configured": info.keys_configured,
            "sessions_max": info.sessions_max,
            "rates_per_s": {name: round(rate, 1) for name, rate in self.rates.items()},
            "hit_ratio": None if self.hit_ratio is None else round(self.hit_ratio, 6),
            "totals": {name: getattr(stats, name) for name in (*RATED, "recoveries", "rolled_forward", "flushed")},
            "classes": [class_json(size_class) for size_class in self.reading.classes],
            "sessions": [row.to_json() for row in self.sessions],
        }


def _identity(session: fincache.SessionInfo) -> tuple[int, int, int, int]:
    """Slots are used again: pid, tid and the time of opening tell one session from the next."""
    return session.slot, session.pid, session.tid, session.opened_unix_ns


def _inode_of(name: str) -> int:
    try:
        return object_path(name).stat().st_ino
    except FileNotFoundError:
        return 0


def _command(session: fincache.SessionInfo, inode: int) -> str:
    if not session.live:
        return ""
    return user_command(session.pid, inode) if inode else command_of(session.pid)


def _row(session: fincache.SessionInfo, before: fincache.SessionInfo | None, after: Reading, seconds: float) -> SessionRow:
    age_ns = max(0, after.unix_ns - session.opened_unix_ns)
    gets, sets = (0, 0) if before is None else (before.gets, before.sets)
    span_seconds = seconds if before is not None else max(1e-9, min(seconds, age_ns / 1e9))
    return SessionRow(
        session,
        _command(session, after.inode),
        age_ns,
        max(0, session.gets - gets) / span_seconds,
        max(0, session.sets - sets) / span_seconds,
    )
