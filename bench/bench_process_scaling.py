"""bench_process_scaling -- how much more do two processes get done than one, from Python?

Method   Each process gets keys of 16 bytes with values of 32 in a loop until an instant given beforehand; one reader, two
         readers, and one reader beside one writer of the same keys take turns in every round, for every side. What is held
         against the target is what two readers did in the time that one did alone. By the clock on the wall it says what a busy
         machine left over; by processor time (gets for a second of it) what the readers cost each other. "nothing shared" is
         the control: two processes that each read a dict of their own. Readers have a processor each; a server has both to
         choose from, and with two clients must share one.
Command  python bench/bench_process_scaling.py           or bench/run_benches.py process_scaling
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness import Bench, Parameter, Target, ratio_of_rounds
from side_process import Answer, SideProcess, Stage

PARAMETERS = (
    Parameter("keys", 1024, 1024, 64, "keys"),
    Parameter("round_ms", 100, 50, 10, "time of one side in a round, in ms"),
    Parameter("rounds", 15, 7, 2, "rounds"),
)
SIDES = ("fincache", "py-lmdb, txn per call", "redis-py", "pymemcache")
CONTROL = "dict (floor)"
START_NS = 20_000_000
TARGET = Target(">=", 1.9)
"""design.md: two processes reading do 1.9 times the work of one."""


@dataclass
class Rates:
    """Of one side: thousand operations a second in each round."""

    one: list[float] = field(default_factory=list)
    two: list[float] = field(default_factory=list)
    beside_writer: list[float] = field(default_factory=list)
    written: list[float] = field(default_factory=list)
    one_cpu: list[float] = field(default_factory=list)
    two_cpu: list[float] = field(default_factory=list)


def together(work: Sequence[tuple[SideProcess, str]], round_ms: int) -> list[Answer]:
    """Processes that work at the same time."""
    start_ns = time.perf_counter_ns() + START_NS
    for side, operation in work:
        side.send("until", operation=operation, start_ns=start_ns, stop_ns=start_ns + round_ms * 1_000_000)
    return [side.receive() for side, _ in work]


def rate(answers: Sequence[Answer], clock: str = "wall_ns") -> float:
    """Thousand operations a second of all together."""
    return sum(float(answer["count"]) / float(max(1, answer[clock])) for answer in answers) * 1e6


def one_round(first: SideProcess, second: SideProcess, kept: Rates, round_ms: int) -> None:
    """One side's turn."""
    alone = together([(first, "get")], round_ms)
    both = together([(first, "get"), (second, "get")], round_ms)
    kept.one.append(rate(alone))
    kept.two.append(rate(both))
    kept.one_cpu.append(rate(alone, "cpu_ns"))
    kept.two_cpu.append(rate(both, "cpu_ns"))
    if first.name != CONTROL:
        reading, writing = together([(first, "get"), (second, "set")], round_ms)
        kept.beside_writer.append(rate([reading]))
        kept.written.append(rate([writing]))


def report(bench: Bench, found: dict[str, Rates]) -> None:
    """The figures of all sides."""
    for name, kept in found.items():
        side = "nothing shared (control)" if name == CONTROL else name
        is_ours = name == "fincache"
        for label, one, two in (("wall", kept.one, kept.two), ("processor", kept.one_cpu, kept.two_cpu)):
            title = f"two readers against one, by {label} time"
            ratios = [both / alone for both, alone in zip(two, one, strict=True)]
            bench.figure(f"{title}, {side}", "x", ratios, side=side, operation=title, target=TARGET if is_ours else None)
        if name == CONTROL:
            continue
        reference = found["fincache"]
        for title, rates, ours in (
            ("one reader", kept.one, reference.one),
            ("two readers together", kept.two, reference.two),
            ("one reader beside a writer", kept.beside_writer, reference.beside_writer),
            ("a writer beside one reader", kept.written, reference.written),
        ):
            bench.figure(f"{title}, {side}", "k/s", rates, side=side, operation=title, ratio=ratio_of_rounds(rates, ours))
    if "fincache" in found and CONTROL in found:
        shared, control = found["fincache"], found[CONTROL]
        against = statistics.median(shared.two_cpu) / statistics.median(shared.one_cpu)
        against /= statistics.median(control.two_cpu) / statistics.median(control.one_cpu)
        bench.figure("two readers of one segment against two that share nothing, by processor time", "x", [against])


def main(arguments: Sequence[str]) -> None:
    """Measures and prints."""
    bench = Bench("process_scaling", "How much more do two processes get done than one, from Python?", PARAMETERS, arguments)
    with Stage(bench) as stage:
        firsts = stage.start((*SIDES, CONTROL), cpu=0)
        pairs = [(first, stage.attach(first, cpu=1)) for first in firsts]
        for side in (side for pair in pairs for side in pair):
            side.ask("prepare", keys=bench["keys"], value_bytes=32)
            side.ask("unpin_server")
        found = {first.name: Rates() for first in firsts}
        for number in range(bench["rounds"]):
            at = number % len(pairs)
            for first, second in (*pairs[at:], *pairs[:at]):
                one_round(first, second, found[first.name], bench["round_ms"])
        report(bench, found)
        checksum = sum(first.ask("probe")["checksum"] for first in firsts)
    bench.end(checksum)


if __name__ == "__main__":
    main(sys.argv[1:])
