"""bench_import_time -- how long does `import fincache` take, and what does it bring in?

Method   Fresh interpreters, one after the other, take turns: each measures its own import with time.perf_counter_ns() and
         prints it. The files are in the page cache and compiled to bytecode (each module is imported once before). The start of
         the interpreter is not inside; `import numpy` is shown for scale, because fincache must not need it before the first
         call of Cache.records.
Command  python bench/bench_import_time.py           or bench/run_benches.py import_time
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

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
begin = time.perf_counter_ns()
import {module}
print(time.perf_counter_ns() - begin, len(set(sys.modules) - before), int("numpy" in sys.modules))
"""


def import_once(module: str, environment: dict[str, str]) -> tuple[int, int, bool]:
    """Nanoseconds, how many modules came in, whether numpy is one of them. Raises CalledProcessError if there is no such."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module)],
        env={**os.environ, **environment},
        text=True,
        capture_output=True,
        check=True,
    )
    ns, modules, has_numpy = done.stdout.split()
    return int(ns), int(modules), has_numpy == "1"


def main(arguments: Sequence[str]) -> None:
    """Measures and prints."""
    bench = Bench("import_time", "How long does `import fincache` take?", PARAMETERS, arguments)
    taking_part = []
    counts: dict[str, int] = {}
    for side, module, environment in (row for row in MODULES if bench.takes(row[0])):
        try:
            _, counts[side], has_numpy = import_once(module, environment)
        except subprocess.CalledProcessError as error:
            bench.skip(side, error.stderr.strip().splitlines()[-1])
            continue
        taking_part.append((side, module, environment))
        if module == "fincache":
            bench.note(f"{side}: {counts[side]} modules, {'WITH numpy' if has_numpy else 'without numpy'}")
    found: dict[str, list[float]] = {side: [] for side, _, _ in taking_part}
    for number in range(bench["rounds"]):
        at = number % len(taking_part)
        for side, module, environment in (*taking_part[at:], *taking_part[:at]):
            found[side].append(import_once(module, environment)[0] / 1e6)
    for side, samples in found.items():
        ratio = ratio_of_rounds(samples, found["fincache"])
        target = TARGET if side == "fincache" else None
        bench.figure(f"import, {side}", "ms", samples, side=side, operation="import", ratio=ratio, target=target)
    bench.end(sum(counts.values()))


if __name__ == "__main__":
    main(sys.argv[1:])
