"""bench_operations -- what does a single operation cost from Python, in FinCache and in what one would use instead?

Method   Keys of 16 bytes. Four groups: bytes keys with values of 32 bytes (get of a key that is there and of one that is not,
         set of a key that is there, incr, exists, delete), str keys (get, set), values of 1 KiB and of 64 KiB (get, set; fewer
         keys). All sides take turns in every round; each side is a process of its own, and its statements are what a program
         would write (sides.py, peers.py, servers.py). The number of operations in a round is chosen for each side so that it
         takes `round_ms`. Clients, and the servers behind them, run on one processor: no other placement was faster for the
         servers. The loop is inside every figure; "empty loop" is the loop alone, "dict" the least that an operation can cost.
         shared-memory-dict reads and writes all keys with every operation: its figures grow with their number.
Reads    Before and after the clock has run everything is read back and compared with what was written last; counters are
         compared with the number of increments.
Command  python bench/bench_operations.py           or bench/run_benches.py operations
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from harness import Bench, Parameter, Target, ratio_of_rounds
from rounds import Measured, is_ours, last_line, take_turns
from side_process import SideError, SideProcess, Stage

PARAMETERS = (
    Parameter("keys", 1024, 1024, 64, "keys with values of 32 bytes"),
    Parameter("keys_1k", 128, 128, 16, "keys with values of 1 KiB"),
    Parameter("keys_64k", 16, 16, 4, "keys with values of 64 KiB"),
    Parameter("round_ms", 40, 15, 1, "time of one side in a round, in ms"),
    Parameter("rounds", 19, 7, 2, "rounds"),
    Parameter("cpu", 0, 0, 0, "processor to stay on"),
)
SIDES = (
    "empty loop",
    "dict (floor)",
    "fincache",
    "fincache, cffi",
    "py-lmdb, open txn",
    "py-lmdb, txn per call",
    "UltraDict",
    "diskcache",
    "Manager().dict()",
    "shared-memory-dict",
    "redis-py",
    "pymemcache",
)
REFERENCE = "fincache"


@dataclass(frozen=True)
class Group:
    """Operations that share a filling of the store."""

    label: str
    keys_parameter: str
    value_bytes: int
    operations: tuple[str, ...]
    is_str: bool = False


GROUPS = (
    Group("bytes key, 32 B", "keys", 32, ("get", "miss", "set", "incr", "exists", "delete")),
    Group("str key, 32 B", "keys", 32, ("get", "set"), is_str=True),
    Group("1 KiB", "keys_1k", 1024, ("get", "set")),
    Group("64 KiB", "keys_64k", 65536, ("get", "set")),
)
TITLES = {"get": "get", "miss": "get of a missing key", "set": "set", "incr": "incr", "exists": "exists", "delete": "delete"}

TARGETS = {
    ("fincache", "get"): Target("<=", 80),
    ("fincache", "set"): Target("<=", 130),
    ("fincache, cffi", "get"): Target("<=", 350),
    ("fincache, cffi", "set"): Target("<=", 450),
}
"""For values of 32 bytes, bytes and str keys."""
RATIO_TARGETS = {"py-lmdb, open txn": Target(">=", 2), "redis-py": Target(">=", 100)}
"""How many times FinCache's get the peer's is to be."""


def report(bench: Bench, group: Group, operation: str, found: dict[str, Measured]) -> None:
    """One figure a side, and the promised ratios."""
    title = f"{TITLES[operation]}, {group.label}"
    reference = found.get(REFERENCE)
    for name, kept in found.items():
        bench.figure(
            f"{title}, {name}",
            "ns",
            kept.wall,
            side=name,
            operation=title,
            target=TARGETS.get((name, operation)) if group.value_bytes == 32 else None,
            ratio=ratio_of_rounds(kept.wall, reference.wall) if reference else None,
            cpu=statistics.median(kept.cpu),
            server_cpu=statistics.median(kept.server) if kept.server else None,
        )
    if operation != "get" or group.label != GROUPS[0].label or reference is None:
        return
    for name, target in RATIO_TARGETS.items():
        if name in found:
            ratios = [theirs / ours for theirs, ours in zip(found[name].wall, reference.wall, strict=True)]
            bench.figure(f"get, {name} against fincache", "x", ratios, target=target)


def prepare(bench: Bench, sides: list[SideProcess], group: Group) -> None:
    """Fills the stores, all at once."""
    counters = 64 if "incr" in group.operations else 0
    for side in sides:
        keys = bench[group.keys_parameter]
        side.send("prepare", keys=keys, value_bytes=group.value_bytes, counters=counters, is_str=group.is_str)
    sides[:] = [side for side in sides if is_prepared(bench, side, group)]


def is_prepared(bench: Bench, side: SideProcess, group: Group) -> bool:
    """Takes the answer; a peer that failed is reported and left out from here on."""
    try:
        side.receive()
    except SideError as failure:
        if is_ours(side.name):
            raise
        bench.skip(f"{side.name}, {group.label}", last_line(failure))
        return False
    return True


def main(arguments: Sequence[str]) -> None:
    """Measures and prints."""
    bench = Bench("operations", "What does a single operation cost from Python?", PARAMETERS, arguments)
    checksums: dict[str, int] = defaultdict(int)
    with Stage(bench) as stage:
        sides = stage.start(SIDES, cpu=bench["cpu"])
        for group in GROUPS:
            prepare(bench, sides, group)
            for operation in group.operations:
                pairs = [(side, operation) for side in sides if operation in side.operations]
                found = take_turns(bench, pairs, bench["round_ms"] * 1e6, bench["rounds"])
                report(bench, group, operation, {name: kept for (name, _), kept in found.items()})
            for side in sides:
                if side.name != "empty loop":
                    checksums[side.name] += side.ask("probe")["checksum"]
    bench.end(sum(checksums.values()))


if __name__ == "__main__":
    main(sys.argv[1:])
