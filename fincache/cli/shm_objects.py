"""The objects of /dev/shm that bear the name of a segment: segments, and what cannot be attached to."""

from __future__ import annotations

import grp
import stat
from dataclasses import dataclass
from pathlib import Path

import fincache
from fincache import _core
from fincache.cli.output import Json
from fincache.cli.processes import SHM, user_name

OBJECT_PREFIX = "fincache."


def object_path(name: str) -> Path:
    """Where the object of a segment lies."""
    return SHM / f"{OBJECT_PREFIX}{name}"


@dataclass(frozen=True)
class Listed:
    """A segment, or what bears the name of one."""

    name: str
    uid: int
    owner: str
    group: str
    mode: int
    info: fincache.SegmentInfo | None
    stats: fincache.Stats | None
    error: fincache.FinCacheError | None  # why it is not usable

    @property
    def problem(self) -> str:
        """The same in words; "" when it is usable."""
        if self.error is None:
            return ""
        return f"{self.error.message}: {self.error.detail}" if self.error.detail else self.error.message

    def to_json(self) -> dict[str, Json]:
        """One element of ls --json."""
        found: dict[str, Json] = {
            "name": self.name,
            "usable": not self.problem,
            "problem": self.problem or None,
            "owner": self.owner,
            "group": self.group,
            "mode": f"{self.mode:04o}",
        }
        if self.info is None or self.stats is None:
            return found
        return found | {
            "size_bytes": self.info.size_bytes,
            "arena_bytes": self.stats.arena_bytes,
            "used_bytes": self.stats.used_bytes,
            "keys": self.stats.key_count,
            "keys_configured": self.info.keys_configured,
            "sessions": self.stats.sessions_used,
            "sessions_max": self.info.sessions_max,
            "policy": self.info.policy,
            "created_unix_ns": self.info.created_unix_ns,
            "layout_version": self.info.layout_version,
        }


def list_segments() -> list[Listed]:
    """Everything in /dev/shm that bears the name of a segment, in order."""
    return [found for name in sorted(_core.list_names()) if (found := look_at(name)) is not None]


def look_at(name: str) -> Listed | None:
    """One of them; None when it is gone."""
    try:
        seen = object_path(name).lstat()
    except FileNotFoundError:
        return None
    info: fincache.SegmentInfo | None = None
    stats: fincache.Stats | None = None
    problem: fincache.FinCacheError | None = None
    try:
        with fincache.attach(name, readonly=True) as cache:
            info, stats = cache.info(), cache.stats()
    except fincache.SegmentMissing:
        return None
    except fincache.FinCacheError as error:
        problem = error
    mode = stat.S_IMODE(seen.st_mode)
    return Listed(name, seen.st_uid, user_name(seen.st_uid), _group_name(seen.st_gid), mode, info, stats, problem)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
