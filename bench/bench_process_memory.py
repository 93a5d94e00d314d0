"""bench_process_memory -- how much memory do keys take, and how much does one more process that reads them?

Method   Keys of 16 bytes with values of 32 are stored by one process; then a second one attaches and reads every key. Counted
         after each step, above what it was before the keys came: anonymous memory (Pss_Anon of smaps_rollup) of the processes
         and of the server, and the blocks of the side's files, in /dev/shm for all of them. What is left out: memory that the
         store reserves and never touches, and the kernel's page tables. FinCache reserves its segment at creation, so that no
         write can fail later for want of memory, and the whole segment is counted; it is made with `keys` and `item_bytes`, as
         large as bench_memory (C) found that keys of this size need, and some more. bench_memory finds the smallest segment
         exactly, beside redis-server's used_memory.
Command  python bench/bench_process_memory.py           or bench/run_benches.py process_memory
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from harness import Bench, Parameter
from rounds import is_ours
from side_process import Answer, SideProcess, Stage
from sides import UnavailableError

PARAMETERS = (Parameter("keys", 200_000, 50_000, 2000, "keys"),)
FLOOR = "dict (floor)"
SIDES = (
    "fincache",
    "py-lmdb, txn per call",
    "UltraDict",
    "diskcache",
    "Manager().dict()",
    "shared-memory-dict",
    "redis-py",
    "pymemcache",
    FLOOR,
)
ALONE, MORE = "memory a key", "memory a key, one more process that has read all"


def total_bytes(answer: Answer) -> int:
    """All that was counted."""
    return int(answer["process_bytes"] + answer["server_bytes"] + answer["file_bytes"])


def keys_bytes(side: SideProcess, keys: int) -> float:
    """Stores the keys; bytes for one."""
    before = side.ask("memory")
    side.ask("store_counted", keys=keys, value_bytes=32)
    after = side.ask("memory")
    # A segment is reserved when it is created, before the keys come: its file counts whole.
    is_reserved = is_ours(side.name)
    return (total_bytes(after) - total_bytes(before) + (before["file_bytes"] if is_reserved else 0)) / keys


def reader_bytes(stage: Stage, side: SideProcess, keys: int) -> float:
    """A second process attaches and reads all keys; bytes for one, its own and what it made others use."""
    reader = stage.attach(side)
    before, stored = reader.ask("memory"), side.ask("memory")
    reader.ask("read_counted", keys=keys, value_bytes=32)
    after, now = reader.ask("memory"), side.ask("memory")
    grown = after["process_bytes"] - before["process_bytes"] + total_bytes(now) - total_bytes(stored)
    reader.end()
    return float(grown / keys)


def one_more(bench: Bench, stage: Stage, side: SideProcess, keys: int) -> None:
    """The figure of a second process, where a second process can share."""
    if side.name == FLOOR:
        return
    try:
        bench.figure(f"{MORE}, {side.name}", "bytes", [reader_bytes(stage, side, keys)], side=side.name, operation=MORE)
    except UnavailableError as reason:
        bench.skip(f"{MORE}, {side.name}", str(reason))


def main(arguments: Sequence[str]) -> None:
    """Measures and prints."""
    bench = Bench("process_memory", "How much memory do keys take, and one more process that reads them?", PARAMETERS, arguments)
    keys = bench["keys"]
    checksum = 0
    with Stage(bench) as stage:
        for side in stage.start(SIDES, keys=keys):
            bench.figure(f"{ALONE}, {side.name}", "bytes", [keys_bytes(side, keys)], side=side.name, operation=ALONE)
            one_more(bench, stage, side, keys)
            checksum += side.ask("read_counted", keys=keys, value_bytes=32)["checksum"]
            side.end()
    bench.end(checksum)


if __name__ == "__main__":
    main(sys.argv[1:])
