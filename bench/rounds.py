"""Rounds in which all sides of a question take turns, quiet: how many operations fit a round, and what each round gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness import Bench
from side_process import SideError, SideProcess
from sides import UnavailableError

COUNT_MAX = 10_000_000


@dataclass
class Measured:
    """What the rounds of one side and operation gave, in ns for an operation."""

    count: int = 1
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)


def is_ours(side: str) -> bool:
    """Whether a failure of this side is one of FinCache, and must not be passed over."""
    return side.startswith("fincache")


def calibrate(side: SideProcess, operation: str, round_ns: float) -> int:
    """How many operations take about `round_ns`. Also the warm-up. Raises UnavailableError, SideError."""
    count = 1
    while True:
        answer = side.ask("run", operation=operation, count=count)
        wall_ns = max(1, answer["wall_ns"])
        if wall_ns >= round_ns / 3 or count >= COUNT_MAX:
            return max(1, int(answer["count"] * round_ns / wall_ns))
        count *= max(2, min(16, int(round_ns / 2 / wall_ns)))


def count_or_skip(bench: Bench, side: SideProcess, operation: str, round_ns: float) -> int | None:
    """Calibrates; None, and a word why, if the side cannot take part."""
    try:
        return calibrate(side, operation, round_ns)
    except UnavailableError as reason:
        bench.skip(f"{side.name}: {operation}", str(reason))
    except SideError as failure:
        if is_ours(side.name):
            raise
        bench.skip(f"{side.name}: {operation}", last_line(failure))
    return None


def last_line(failure: SideError) -> str:
    """What a traceback ends with."""
    return str(failure).strip().splitlines()[-1]


def take_turns(
    bench: Bench, pairs: Sequence[tuple[SideProcess, str]], round_ns: float, rounds: int
) -> dict[tuple[str, str], Measured]:
    """Measures operations of sides in turns; every round begins with another one.

    Returns:
        What was measured by side and operation, in the order given. What a side cannot do is reported as skipped, and so is a
        peer that fails; a failure of FinCache is raised.
    """
    found: dict[tuple[str, str], Measured] = {}
    taking_part = []
    for side, operation in pairs:
        count = count_or_skip(bench, side, operation, round_ns)
        if count is not None:
            found[side.name, operation] = Measured(count)
            taking_part.append((side, operation))
    for number in range(rounds if taking_part else 0):
        first = number % len(taking_part)
        for side, operation in (*taking_part[first:], *taking_part[:first]):
            kept = found[side.name, operation]
            answer = side.ask("run", operation=operation, count=kept.count)
            kept.wall.append(answer["wall_ns"] / answer["count"])
            kept.cpu.append(answer["cpu_ns"] / answer["count"])
            if answer["server_cpu_ns"] is not None:
                kept.server.append(answer["server_cpu_ns"] / answer["count"])
    return found
