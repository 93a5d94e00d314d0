"""bench_array_reads -- what does it cost to have 500 quotes in one numpy array, and what if somebody writes them meanwhile?

Method   500 records of 64 bytes. FinCache reads them with records.read and a KeySet into an array that is there; the peers read
         all keys with the call that they have for it (and py-lmdb, where that was faster, with a get for each) and make an
         array of the answers. Quiet: sides take turns in rounds of `round_ms`. Under a writer: a second process writes without
         a pause, either single rows at random or all 500 at once (and, for FinCache alone, a million single rows a second);
         reads are timed one by one, and every array that was read is looked at: no row may be torn, and under the writer of all
         rows all must be of one write. Where a peer does not promise that, the mixtures are counted. Then single rows:
         records.get and records.set beside the peers' get and set of the same bytes. The reader has the first processor, the
         writer the second; a server shares the reader's when quiet, and has both to choose from under a writer.
Command  python bench/bench_array_reads.py           or bench/run_benches.py array_reads
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence

from harness import Bench, Parameter, Target, ratio_of_rounds
from rounds import Measured, is_ours, take_turns
from side_process import Answer, SideProcess, Stage
from sides import UnavailableError

PARAMETERS = (
    Parameter("rows", 500, 500, 500, "records of 64 bytes"),
    Parameter("round_ms", 40, 15, 2, "time of one side in a quiet round, in ms"),
    Parameter("rounds", 15, 5, 2, "quiet rounds"),
    Parameter("writing_ms", 250, 150, 20, "time of one side in a round under a writer, in ms"),
    Parameter("writing_rounds", 10, 3, 1, "rounds under a writer"),
)
SIDES = ("fincache", "fincache, cffi", "py-lmdb, txn per call", "redis-py", "pymemcache", "dict (floor)")
WRITERS = {
    "write_row": "a writer of single rows",
    "write_row_paced": "a writer of a million single rows a second",
    "write": "a writer of all rows",
}
START_NS, MARGIN_NS = 20_000_000, 5_000_000
"""How long after the order work begins; how much before and after the reader the writer is at work."""
SHARE_MIN = 0.9
"""Below it, reader and writer took turns on a busy machine, and a figure says little about reading while somebody writes."""
CUTS = {"read"}
READS = ("read", "read_each", "read_loop", "mget")
READ_TITLES = {
    "read": "",
    "read_each": ", each row of its own instant",
    "read_loop": ", a get for each",
    "mget": ", mget, no array",
}
QUIET_TARGETS = {("fincache", "read"): Target("<=", 20_000)}
WRITING_TARGETS = {("fincache", "read"): Target("<=", 60_000)}
ROW_TARGETS = {("fincache", "read_row"): Target("<=", 250)}
ROW_TITLES = {
    "read_row": "one record of 64 bytes, get",
    "read_row_into": "one record of 64 bytes, get_into",
    "read_field": "one record of 64 bytes, one field",
    "write_row": "one record of 64 bytes, set",
}


def name_of(side: str, operation: str) -> str:
    """A side with the way it reads."""
    return f"{side}{READ_TITLES.get(operation, '')}"


def report(bench: Bench, title: str, found: dict[tuple[str, str], Measured], targets: dict[tuple[str, str], Target]) -> None:
    """One figure a side and way, beside the first one of FinCache."""
    reference = found.get(("fincache", next(iter(found))[1]))
    for (side, operation), kept in found.items():
        bench.figure(
            f"{title}, {name_of(side, operation)}",
            "ns",
            kept.wall,
            side=name_of(side, operation),
            operation=title,
            target=targets.get((side, operation)),
            ratio=ratio_of_rounds(kept.wall, reference.wall) if reference else None,
            cpu=statistics.median(kept.cpu),
            server_cpu=statistics.median(kept.server) if kept.server else None,
        )


def quiet(
    bench: Bench, sides: Sequence[SideProcess], title: str, operations: Sequence[str], targets: dict[tuple[str, str], Target]
) -> None:
    """Rounds without a writer."""
    pairs = [(side, operation) for operation in operations for side in sides if operation in side.operations]
    found = take_turns(bench, pairs, bench["round_ms"] * 1e6, bench["rounds"])
    if found:
        report(bench, title, found, targets)


def under_writer(bench: Bench, readers: Sequence[SideProcess], writers: dict[str, SideProcess], writing: str) -> None:
    """Rounds in which each side reads while a second process writes to the same store."""
    title = f"{bench['rows']} records of 64 bytes into an array, under {WRITERS[writing]}"
    able = [reader for reader in readers if writing in reader.operations]
    pairs = [(reader, read) for read in ("read", "read_loop") for reader in able if read in reader.operations]
    medians: dict[tuple[str, str], list[float]] = {(reader.name, read): [] for reader, read in pairs}
    rates: dict[str, list[float]] = {reader.name: [] for reader in readers}
    shares: dict[tuple[str, str], list[float]] = {(reader.name, read): [] for reader, read in pairs}
    if writing == "write":
        for reader in able:  # single rows were written before: until all rows are of one write, what is read is no mixture of two
            writers[reader.name].ask("run", operation="write", count=1)
    for _ in range(bench["writing_rounds"]):
        for reader, read in list(pairs):
            start_ns = time.perf_counter_ns() + START_NS
            stop_ns = start_ns + bench["writing_ms"] * 1_000_000
            writer = writers[reader.name]
            try:
                writer.send("until", operation=writing, start_ns=start_ns, stop_ns=stop_ns + MARGIN_NS)
                reader.send("checked", operation=read, start_ns=start_ns + MARGIN_NS, stop_ns=stop_ns, is_cut=writing == "write")
                written = writer.receive()
                was_read = reader.receive()
                medians[reader.name, read].append(was_read["p50"])
                shares[reader.name, read].append(min(share(written), share(was_read)))
                rates[reader.name].append(written["count"] / written["wall_ns"] * 1e9)
            except UnavailableError as reason:
                bench.skip(f"{name_of(reader.name, read)}: {title}", str(reason))
                pairs.remove((reader, read))
                writer.settle()
                reader.settle()
    reference = medians.get(("fincache", "read"))
    for reader, read in pairs:
        name = name_of(reader.name, read)
        numbers = reader.ask("distribution", operation=read)
        least = statistics.median(shares[reader.name, read])
        is_alone = least < SHARE_MIN and not reader.has_server
        bench.quantiles(
            f"{title}, {name}",
            "ns",
            {key: numbers[key] for key in ("min", "p50", "p99", "p99.9", "max")},
            numbers["count"],
            side=name,
            operation=title,
            target=WRITING_TARGETS.get((reader.name, read)),
            ratio=ratio_of_rounds(medians[reader.name, read], reference) if reference else None,
            doubt=f"not at once: reader or writer had {least:.0%} of a processor" if is_alone else None,
        )
        wrong = f"{numbers['torn']:,} with a torn row"
        if writing == "write":
            wrong += f", {numbers['mixtures']:,} mixtures of two writes"
        if numbers["refused"]:
            wrong += f", and {numbers['refused']:,} reads more ended with Contended"
        rate = statistics.median(rates[reader.name])
        bench.note(
            f"{name}, under {WRITERS[writing]}: {rate:,.0f} writes a second meanwhile; of {numbers['reads']:,} arrays {wrong}"
        )
        if is_ours(name) and (numbers["torn"] or (numbers["mixtures"] and read in CUTS)):
            raise SystemExit(f"{name} delivered what was never written: {wrong}")


def share(answer: Answer) -> float:
    """How much of a processor a process had while it worked."""
    return float(answer["cpu_ns"]) / float(max(1, answer["wall_ns"]))


def prepare_rows(sides: Sequence[SideProcess], rows: int) -> None:
    """Fills the stores with the same rows, or has an attached side learn of them."""
    for side in sides:
        side.ask("prepare_rows", keys=rows)


def compare_arrays(bench: Bench, sides: Sequence[SideProcess]) -> int:
    """All sides and ways deliver the same array, byte for byte. Its checksum."""
    checksums: dict[str, int] = {}
    for side in sides:
        for read in ("read", "read_loop"):
            if read not in side.operations:
                continue
            try:
                checksums[name_of(side.name, read)] = side.ask("rows_checksum", operation=read)["checksum"]
            except UnavailableError as reason:
                bench.skip(name_of(side.name, read), str(reason))
    if len(set(checksums.values())) != 1:
        raise SystemExit(f"the arrays differ: {checksums}")
    return checksums.popitem()[1]


def main(arguments: Sequence[str]) -> None:
    """Measures and prints."""
    bench = Bench("array_reads", "What does it cost to have 500 quotes in one numpy array?", PARAMETERS, arguments)
    rows = bench["rows"]
    with Stage(bench) as stage:
        sides = stage.start(SIDES, cpu=0)
        prepare_rows(sides, rows)
        checksum = compare_arrays(bench, sides)
        quiet(bench, sides, f"{rows} records of 64 bytes into an array", READS, QUIET_TARGETS)
        for operation, title in ROW_TITLES.items():
            quiet(bench, sides, title, (operation,), ROW_TARGETS)
        readers = [side for side in sides if side.name != "dict (floor)"]
        writers = {reader.name: stage.attach(reader, cpu=1) for reader in readers}
        prepare_rows(list(writers.values()), rows)
        for reader in readers:
            reader.ask("unpin_server")
        for writing in WRITERS:
            under_writer(bench, readers, writers, writing)
    bench.end(checksum)


if __name__ == "__main__":
    main(sys.argv[1:])
