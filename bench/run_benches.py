"""Runs the benches, C and Python, and makes of them one table, build/bench/results.json, docs/benchmarks.md and its chart.

    python bench/run_benches.py [NAME ...] [--quick | --tiny] [--peers WORDS] [--rounds N]
                                [--build DIR] [--results FILE] [--publish [ROOT]]

The full output of a bench (percentiles, settings, checksum) comes from `bench_NAME` itself; this reads its --json. With
--rounds the C benches are run so often, and the round with the best judged figure is shown for each, with the median over the
rounds beside it: on a machine that others use, the best round says what the code needs and the median what it got. The Python
benches have their own rounds, in which all sides take turns, and are run once. --publish rewrites the generated part of
docs/benchmarks.md and docs/benchmarks.png.

Exit code: 0 if everything ran, whether or not the targets were met; a target is a promise about a quiet machine, not a test.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import benchmarks_page
from harness import machine_line

ROOT = Path(__file__).resolve().parent.parent
Row = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One bench in one set of parameters.

    Attributes:
        name: of bench_NAME.
        is_c: whether it is a compiled program.
        arguments: beside --json and the length.
        quick: arguments of a quick run; None: left out of it. The C benches have no --quick of their own.
    """

    name: str
    is_c: bool
    arguments: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = ()


RUNS = (
    Run("get", is_c=True),
    Run("set", is_c=True),
    Run("contended_get", is_c=True),
    Run("cut", is_c=True),
    Run("scaling", is_c=True, quick=("--rounds", "30")),
    Run("recovery", is_c=True, quick=("--kills", "20")),
    Run("memory", is_c=True),
    Run("random_get", is_c=True, quick=("--samples", "500")),
    Run("random_get", is_c=True, arguments=("--huge", "1"), quick=None),
    Run("operations", is_c=False),
    Run("array_reads", is_c=False),
    Run("latency", is_c=False),
    Run("process_scaling", is_c=False),
    Run("process_memory", is_c=False),
    Run("import_time", is_c=False),
    Run("resp", is_c=False),
)
CFLAGS = ("-std=c11", "-D_GNU_SOURCE", '-DFC_VERSION_STRING="by hand"', "-O2", "-g")
BASELINES = {"x86_64": "-march=x86-64-v2", "aarch64": "-march=armv8-a"}


def build_by_hand(target: Path) -> None:
    """Compiles engine and benches without meson: a machine with a compiler and xxhash.h is enough."""
    flags = [*CFLAGS, BASELINES[platform.machine()], f"-I{ROOT / 'csrc'}"]
    engine = sorted(str(path) for path in (ROOT / "csrc").glob("*/*.c"))
    for source in sorted((ROOT / "bench").glob("bench_*.c")):
        subprocess.run(["cc", *flags, *engine, str(source), "-o", str(target / source.stem), "-lm", "-lpthread"], check=True)


def command_of(run: Run, directory: Path, size: str, peers: str | None) -> list[str]:
    """What is run, for one of the sizes full, quick, tiny."""
    program = (
        [str(directory / f"bench_{run.name}")] if run.is_c else [sys.executable, str(ROOT / "bench" / f"bench_{run.name}.py")]
    )
    length = [] if size == "full" or (run.is_c and size == "quick") else [f"--{size}"]
    chosen = [] if run.is_c or peers is None else ["--peers", peers]
    return [*program, "--json", *length, *chosen, *run.arguments, *(run.quick or () if size == "quick" and run.is_c else ())]


def run_bench(command: Sequence[str]) -> list[Row]:
    """The JSON objects that one bench prints."""
    output = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout
    return [json.loads(line) for line in output.splitlines()]


def judged(figure: Row) -> float:
    """The number of a figure that is held against its target, or else its median."""
    return float(figure[figure.get("judged", "p50")])


def merge(rounds: Sequence[Row]) -> Row:
    """One figure of several rounds: the best of them, with the median over all beside it."""
    best = (max if rounds[0].get("relation") == ">=" else min)(rounds, key=judged)
    return {**best, "median_of_rounds": statistics.median(judged(figure) for figure in rounds), "rounds": len(rounds)}


def collect(runs: Sequence[Run], directory: Path, options: argparse.Namespace) -> list[Row]:
    """Runs everything; all lines that the benches printed, the figures of several rounds merged."""
    lines: list[Row] = []
    figures: dict[tuple[str, str, str], list[Row]] = {}
    for number in range(options.rounds):
        for run in runs:
            if number > 0 and not run.is_c:
                continue
            command = command_of(run, directory, options.size, options.peers)
            begin = time.monotonic()
            for line in run_bench(command):
                if "figure" in line:
                    figures.setdefault((run.name, " ".join(run.arguments), line["figure"]), []).append(line)
                elif number == 0:
                    lines.append(line)
            print(f"# bench_{run.name} {' '.join(command[1:])}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    return [*lines, *(merge(found) for found in figures.values())]


def commit() -> str:
    """The commit that is checked out, with a + if files differ from it; "" outside of a clone."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+"], text=True, capture_output=True, check=False
    )
    return done.stdout.strip()


def print_table(figures: Sequence[Row], skipped: Sequence[Row]) -> None:
    """One row a figure: first what it is against FinCache, then the number, then whether a promise was kept."""
    print(f"{'bench':<15} {'figure':<92} {'ratio':>10} {'measured':>14} {'unit':<5} {'median':>14} {'target':>12}  {'met':<4}")
    for figure in figures:
        ratio = f"{figure['ratio']:,.2f} x" if "ratio" in figure else ""
        target = f"{figure['relation']} {figure['target']:g}" if "target" in figure else ""
        met = benchmarks_page.verdict(figure).replace("*", "") if target else ""
        print(
            f"{figure['bench']:<15} {figure['figure']:<92} {ratio:>10} {judged(figure):>14,.2f} {figure['unit']:<5} "
            f"{figure['median_of_rounds']:>14,.2f} {target:>12}  {met:<4}"
        )
    for line in skipped:
        print(f"skipped, {line['bench']}: {line['skipped']}: {line['reason']}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    names = sorted({run.name for run in RUNS})
    parser = argparse.ArgumentParser(description="Runs the benches and prints one table.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"benches to run: {', '.join(names)} (default: all)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_const", const="quick", dest="size", help="in a minute or two")
    length.add_argument("--tiny", action="store_const", const="tiny", dest="size", help="with the parameters of the test suite")
    parser.add_argument("--peers", metavar="WORDS", help="only peers whose name has one of these words, with commas between")
    parser.add_argument("--build", type=Path, help="where the compiled benches are (default: compile them)")
    parser.add_argument("--rounds", type=int, default=1, help="how often to run the C benches")
    parser.add_argument("--results", type=Path, help="write all that was measured to this JSON file")
    where = "rewrite docs/benchmarks.md, its chart and the figures of README.md, below this folder (default: this tree)"
    parser.add_argument("--publish", type=Path, nargs="?", const=ROOT, metavar="ROOT", help=where)
    options = parser.parse_args(arguments)
    options.size = options.size or "full"
    unknown = set(options.names) - set(names)
    if unknown:
        parser.error(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if options.rounds < 1:
        parser.error("--rounds is 1 or more")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what was asked for."""
    options = parse(arguments)
    runs = [run for run in RUNS if not options.names or run.name in options.names]
    runs = [run for run in runs if options.size != "quick" or run.quick is not None]
    begun = datetime.datetime.now(datetime.timezone.utc)
    with tempfile.TemporaryDirectory(prefix="fincache-bench-") as scratch:
        directory = options.build or Path(scratch)
        if options.build is None and any(run.is_c for run in runs):
            build_by_hand(directory)
        machine = machine_line()
        lines = collect(runs, directory, options)
    results: Row = {
        "machine": machine,
        "begun": begun.isoformat(timespec="seconds"),
        "seconds": round((datetime.datetime.now(datetime.timezone.utc) - begun).total_seconds()),
        "commit": commit(),
        "command": " ".join(["python", "bench/run_benches.py", *(sys.argv[1:] if arguments is None else arguments)]),
        "size": options.size,
        "benches": [line for line in lines if "question" in line],
        "sides": [line for line in lines if "settings" in line],
        "figures": [line for line in lines if "figure" in line],
        "skipped": [line for line in lines if "skipped" in line],
        "notes": [line for line in lines if "note" in line],
        "checksums": [line for line in lines if "checksum" in line],
    }
    if options.results is not None:
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print_table(results["figures"], results["skipped"])
    if options.publish is not None:
        benchmarks_page.publish(results, options.publish)
    return 0


if __name__ == "__main__":
    sys.exit(main())
