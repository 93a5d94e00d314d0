"""What doctor finds: one finding for each thing it looked at, and the repair of some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from fincache.cli.output import Json


class Level(IntEnum):
    """How much it matters."""

    OK = 0  # as it should be
    NOTE = 1  # good to know
    WARNING = 2  # works, but slower, or not in every case
    PROBLEM = 3  # something is broken, or will break

    @property
    def word(self) -> str:
        """As it is written."""
        return self.name.lower()


@dataclass(frozen=True)
class Repair:
    """Something that is safe to do: it takes nothing away that a living process, or anybody later, could use."""

    what: str
    apply: Callable[[], tuple[bool, str]]  # whether it was done, and what; raises FinCacheError, OSError


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what was looked at, by a name that stays the same.
        level: how much it matters.
        seen: what was found.
        why: why it matters; "" where all is well.
        do: what to do about it; "" where nothing is to be done.
        segment: the segment or object that it is about; "" for the host.
        repair: what --fix does; None where that is left to people.
    """

    check: str
    level: Level
    seen: str
    why: str = ""
    do: str = ""
    segment: str = ""
    repair: Repair | None = None

    def to_json(self) -> dict[str, Json]:
        """One element of "findings" of doctor --json."""
        return {
            "check": self.check,
            "level": self.level.word,
            "segment": self.segment or None,
            "seen": self.seen,
            "why": self.why or None,
            "do": self.do or None,
            "repair": None if self.repair is None else self.repair.what,
        }
