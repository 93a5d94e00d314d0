"""Runs the benches and prints one table: figure, target, measured, met.

    python bench/run_benches.py [NAME ...] [--tiny] [--build DIR] [--rounds N]

The full output (percentiles, machine, checksum) comes from `bench_NAME` itself; this reads its --json. With --rounds the whole
set is run so often, and the round with the best judged figure is shown for each, with the median over the rounds beside it: on a
machine that others use, the best round says what the code needs and the median what it got.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RUNS: tuple[tuple[str, ...], ...] = (
    ("get",),
    ("set",),
    ("random_get",),
    ("random_get", "--huge", "1"),
    ("contended_get",),
    ("cut",),
    ("scaling",),
    ("recovery",),
    ("memory",),
)
CFLAGS = ("-std=c11", "-D_GNU_SOURCE", '-DFC_VERSION_STRING="by hand"', "-O2", "-g")
BASELINES = {"x86_64": "-march=x86-64-v2", "aarch64": "-march=armv8-a"}


def build_by_hand(target: Path) -> None:
    """Compiles engine and benches without meson: a machine with a compiler and xxhash.h is enough."""
    machine = subprocess.run(["uname", "-m"], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    flags = [*CFLAGS, BASELINES[machine], f"-I{ROOT / 'csrc'}"]
    engine = sorted(str(path) for path in (ROOT / "csrc").glob("*/*.c"))
    for source in sorted((ROOT / "bench").glob("bench_*.c")):
        subprocess.run(["cc", *flags, *engine, str(source), "-o", str(target / source.stem), "-lm", "-lpthread"], check=True)


def run_bench(directory: Path, run: tuple[str, ...], tiny: bool) -> list[dict[str, Any]]:
    """The JSON objects that one bench prints."""
    command = [str(directory / f"bench_{run[0]}"), "--json", *(["--tiny"] if tiny else []), *run[1:]]
    output = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout
    return [json.loads(line) for line in output.splitlines()]


def best_and_median(rounds: list[dict[str, Any]]) -> tuple[float, float]:
    """The judged (or else middle) number of a figure: its best round, and the median over rounds."""
    numbers = [float(figure[figure.get("judged", "p50")]) for figure in rounds]
    best = max(numbers) if rounds[0].get("relation") == ">=" else min(numbers)
    return best, statistics.median(numbers)


def print_table(figures: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
    """One row a figure."""
    print(f"{'bench':<14} {'figure':<58} {'target':>14} {'best':>13} {'median':>13}  {'met':<4}")
    for (bench, name), rounds in figures.items():
        best, median = best_and_median(rounds)
        target = f"{rounds[0]['relation']} {rounds[0]['target']:g}" if "target" in rounds[0] else ""
        met = ("yes" if any(figure["met"] for figure in rounds) else "no") if target else ""
        print(f"{bench:<14} {name + ', ' + rounds[0]['unit']:<58} {target:>14} {best:>13.2f} {median:>13.2f}  {met:<4}")


def main() -> int:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(description="Runs the benches and prints one table.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="benches to run (default: all)")
    parser.add_argument("--tiny", action="store_true", help="with the parameters of the test suite")
    parser.add_argument("--build", type=Path, help="where the compiled benches are (default: compile them)")
    parser.add_argument("--rounds", type=int, default=1, help="how often to run everything")
    options = parser.parse_args()
    unknown = set(options.names) - {run[0] for run in RUNS}
    if unknown:
        parser.error(f"no such bench: {', '.join(sorted(unknown))}")
    figures: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="fincache-bench-") as scratch:
        directory = options.build or Path(scratch)
        if options.build is None:
            build_by_hand(directory)
        for number in range(options.rounds):
            for run in RUNS:
                if options.names and run[0] not in options.names:
                    continue
                for line in run_bench(directory, run, options.tiny):
                    if "figure" in line:
                        figures.setdefault((run[0], line["figure"]), []).append(line)
                    elif number == 0 and "machine" in line:
                        print(f"# {line['command']}: {line['machine']}", flush=True)
                    elif number == 0 and "note" in line:
                        print(f"#   {line['note']}", flush=True)
    print_table(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
