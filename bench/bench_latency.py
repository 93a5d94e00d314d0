"""bench_latency -- how long does a single get take at worst, while another process writes the same keys as fast as it can?

Method   One process sets 64 keys (16 bytes, values of 32) in a loop without a pause; another one gets them, and reads the clock
         before and after every single get. Sides take turns in rounds of `writing_ms`; the quantiles are over all gets of all
         rounds. Nothing is subtracted: what reading the clock takes is inside every sample, and is printed beside them. Reader
         and writer have a processor each; a server has both to choose from. On two processors a server competes with its
         clients, as it does on any machine that is busy; and the kernel's and the hypervisor's own interruptions are in every
         maximum: "the clock alone" shows them. In quiet rounds the same without the writer.
Command  python bench/bench_latency.py           or bench/run_benches.py latency
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from harness import Bench, Parameter, ratio_of_rounds
from side_process import SideProcess, Stage

PARAMETERS = (
    Parameter("keys", 64, 64, 64, "keys that are read and written"),
    Parameter("writing_ms", 500, 200, 20, "time of one side in a round, in ms"),
    Parameter("rounds", 5, 3, 1, "rounds"),
)
SIDES = ("empty loop", "fincache", "fincache, cffi", "py-lmdb, txn per call", "redis-py", "pymemcache")
CLOCK = "empty loop"
QUIET, WRITING = "get timed one by one, quiet", "get timed one by one, under a writer of the same keys"
START_NS, MARGIN_NS = 20_000_000, 5_000_000


def one_round(reader: SideProcess, writer: SideProcess | None, writing_ms: int) -> tuple[float, float]:
    """One side's turn: the reader's median in ns, and how many writes a second were done meanwhile."""
    start_ns = time.perf_counter_ns() + START_NS
    stop_ns = start_ns + writing_ms * 1_000_000
    if writer is not None:
        writer.send("until", operation="set", start_ns=start_ns, stop_ns=stop_ns + MARGIN_NS)
    reader.send("each", operation="get", start_ns=start_ns + MARGIN_NS, stop_ns=stop_ns)
    answer = writer.receive() if writer is not None else {"count": 0, "wall_ns": 1}
    return reader.receive()["p50"], answer["count"] / answer["wall_ns"] * 1e9


def phase(bench: Bench, title: str, readers: Sequence[SideProcess], writers: dict[str, SideProcess]) -> None:
    """All rounds, with or without writers."""
    medians: dict[str, list[float]] = {reader.name: [] for reader in readers}
    rates: dict[str, list[float]] = {reader.name: [] for reader in readers}
    for _ in range(bench["rounds"]):
        for reader in readers:
            median, rate = one_round(reader, writers.get(reader.name), bench["writing_ms"])
            medians[reader.name].append(median)
            rates[reader.name].append(rate)
    for reader in readers:
        numbers = reader.ask("distribution", operation="get")
        name = "the clock alone" if reader.name == CLOCK else reader.name
        bench.quantiles(
            f"{title}, {name}",
            "ns",
            {key: numbers[key] for key in ("min", "p50", "p99", "p99.9", "max")},
            numbers["count"],
            side=name,
            operation=title,
            ratio=ratio_of_rounds(medians[reader.name], medians["fincache"]),
        )
    if writers:
        told = ", ".join(f"{name} {max(found):,.0f}" for name, found in rates.items() if name in writers)
        bench.note(f"writes a second meanwhile: {told}")


def main(arguments: Sequence[str]) -> None:
    """Measures and prints."""
    bench = Bench("latency", "How long does a get take at worst, under a writer at full rate?", PARAMETERS, arguments)
    with Stage(bench) as stage:
        readers = stage.start(SIDES, cpu=0)
        writers = {reader.name: stage.attach(reader, cpu=1) for reader in readers if reader.name != CLOCK}
        for side in (*readers, *writers.values()):
            side.ask("prepare", keys=bench["keys"], value_bytes=32)
        phase(bench, QUIET, readers, {})
        for reader in readers:
            reader.ask("unpin_server")
        phase(bench, WRITING, readers, writers)
        checksum = sum(reader.ask("probe")["checksum"] for reader in readers if reader.name != CLOCK)
    bench.end(checksum)


if __name__ == "__main__":
    main(sys.argv[1:])
