"""bench_import_time -- how long does `import fincache` take, and what does it bring in?

Method   Fresh interpreters, one after the other, take turns: each measures its own import with time.perf_counter_ns() and
         prints it. The files are in the page cache and compiled to bytecode (each module is imported once before). The start of
         the interpreter is not inside; `import numpy` is shown for scale, because fincache must not need it before the first
         call of Cache.records.
Command  python bench/bench_import_time.py           or bench/run_benches.py import_time
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from harness import Bench, Parameter, Target, ratio_of_rounds

PARAMETERS = (Parameter("rounds", 25, 9, 1, "rounds"),)
MODULES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("fincache", "fincache", {}),
    ("fincache, cffi", "fincache", {"FINCACHE_BINDING": "cffi"}),
    ("py-lmdb", "lmdb", {}),
    ("UltraDict", "UltraDict", {}),
    ("diskcache", "diskcache", {}),
    ("shared-memory-dict", "shared_memory_dict", {}),
    ("redis-py", "redis", {}),
    ("pymemcache", "pymemcache", {}),
    ("numpy", "numpy", {}),
)
TARGET = Target("<=", 60)
PROGRAM = """
import sys, time
before = set(sys.modules)
begin_cpu, begin = time.process_time_ns(), time.perf_counter_ns()
import {module}
wall, cpu = time.perf_counter_ns() - begin, time.process_time_ns() - begin_cpu
print(wall, cpu, len(set(sys.modules) - before), int("numpy" in sys.modules))
"""


@dataclass(frozen=True)
class Imported:
    """What one interpreter said."""

    wall_ms: float
    cpu_ms: float
    modules: int
    has_numpy: bool


def import_once(module: str, environment: dict[str, str]) -> Imported:
    """One fresh interpreter. Raises CalledProcessError if there is no such module."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module)],
        env={**os.environ, **environment},
        text=True,
        capture_output=True,
        check=True,
    )
    ns, cpu_ns, modules, has_numpy = done.stdout.split()
    return Imported(int(ns) / 1e6, int(cpu_ns) / 1e6, int(modules), has_numpy == "1")


def main(arguments: Sequence[str]) -> None:
    """Measures and prints."""
    bench = Bench("import_time", "How long does `import fincache` take?", PARAMETERS, arguments)
    taking_part = []
    modules = 0
    for side, module, environment in (row for row in MODULES if bench.takes(row[0])):
        try:
            first = import_once(module, environment)
        except subprocess.CalledProcessError as error:
            bench.skip(side, error.stderr.strip().splitlines()[-1])
            continue
        modules += first.modules
        taking_part.append((side, module, environment))
        if module == "fincache":
            bench.note(f"{side}: {first.modules} modules, {'WITH numpy' if first.has_numpy else 'without numpy'}")
    found: dict[str, list[Imported]] = {side: [] for side, _, _ in taking_part}
    for number in range(bench["rounds"]):
        at = number % len(taking_part)
        for side, module, environment in (*taking_part[at:], *taking_part[:at]):
            found[side].append(import_once(module, environment))
    reference = [one.wall_ms for one in found["fincache"]]
    for side, kept in found.items():
        samples = [one.wall_ms for one in kept]
        bench.figure(
            f"import, {side}",
            "ms",
            samples,
            side=side,
            operation="import",
            ratio=ratio_of_rounds(samples, reference),
            target=TARGET if side == "fincache" else None,
            cpu=statistics.median(one.cpu_ms for one in kept),
        )
    bench.end(modules)


if __name__ == "__main__":
    main(sys.argv[1:])
