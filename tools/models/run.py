#!/usr/bin/env python3
"""Check the Promela models: each protocol as built must hold, each broken variant must be caught.

Usage: run.py [--small] [--jobs N] [--only TEXT]

Every line of RUNS is one run of Spin. A run that must hold passes if the search was complete (no depth or memory bound was met),
found no error, and executed every line of the model at least once: a step that never happens proves nothing. A run that must be
caught passes if Spin found an assertion violated or a session stuck. Building happens in a temporary directory.

--small takes the bounds for CI, under a minute on two cores. Without it the bounds are larger: a few minutes, up to 4 GiB a run.
Needs spin and gcc. The exit code is 0 if everything passed, 1 if not, 2 if a tool is missing.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

MODELS = pathlib.Path(__file__).resolve().parent
DEPTH_MAX = 1_000_000
MEMORY_MIB = 6000
RUN_SECONDS_MAX = 900

# model, macros, expected: "holds" or "caught", then the macros that bound the run: with --small, and in full (None: the same).
HOLDS, CAUGHT = "holds", "caught"
SKIPPED = "skipped"  # in place of the small bounds: too large for CI
RUNS = [
    ("publish", "", HOLDS, "OPS=2 OTHER_OPS=1 READS=1", "OPS=2 READS=1"),
    ("publish", "SAME_HOME", HOLDS, "OPS=2 OTHER_OPS=1 READS=1", "OPS=2 READS=2"),
    ("publish", "STAMP_FIRST SAME_HOME", HOLDS, "OPS=2 OTHER_OPS=1 READS=1", "OPS=2 READS=1"),
    *[
        ("publish", variant, CAUGHT, "OPS=2 READS=1", None)
        for variant in (
            "NO_RELOAD SAME_HOME",
            "RELOAD_LATE SAME_HOME",
            "ZERO_STAMP_OK SAME_HOME",
            "KEY_COMPARE SAME_HOME",
            "MISMATCH_UNCHECKED SAME_HOME",
            "CHECK_EARLY SAME_HOME",
            "NO_ZERO SAME_HOME",
            "BODY_FIRST SAME_HOME",
            "RETIRE_EARLY",
        )
    ],
    ("settle", "", HOLDS, "", None),
    ("settle", "REOPEN ONE_DEATH", HOLDS, SKIPPED, ""),
    *[
        ("settle", variant, CAUGHT, "", None)
        for variant in (
            "UNLOCK_BEFORE_CLEAR",
            "UNLOCK_BEFORE_APPLY",
            "JOURNAL_LATE",
            "POP_BEFORE_REDO",
            "LOCK_ONLY",
            "LATE_SETTLE",
            "NO_RECHECK REOPEN ONE_DEATH",
            "RECHECK_INCARNATION REOPEN ONE_DEATH",
            "FLUSH_WITHOUT_REDO",
            "SETTLE_UNLOCKS_FIRST",
            "NO_TAKEOVER",
            "IGNORE_SETTLER",
        )
    ],
    ("multi", "", HOLDS, "COMMITS=1 DEATHS=1", "COMMITS=2 DEATHS=2"),
    ("multi", "CUT", HOLDS, "COMMITS=1 DEATHS=0", "COMMITS=1 DEATHS=2"),
    ("multi", "CUT", HOLDS, "COMMITS=2 DEATHS=0", None),
    ("multi", "CUT REUSE", HOLDS, "COMMITS=1 DEATHS=0 WRITES=2", "COMMITS=1 DEATHS=1 WRITES=2"),
    *[
        ("multi", variant, CAUGHT, "COMMITS=2 DEATHS=0", None)
        for variant in (
            "NO_MARK",
            "COMMIT_EARLY",
            "SWEEP_EARLY",
            "UNLOCK_EARLY",
            "NO_STATE_CHECK",
            "CUT CUT_BY_WORDS",
            "CUT CUT_BY_VERSIONS",
            "CUT NO_NEW_ROUND",
        )
    ],
    ("multi", "CUT REUSE PLAIN_BY_WORDS", CAUGHT, "COMMITS=1 DEATHS=0 WRITES=2", None),
    ("multi", "CUT REUSE VERSION_LATE", CAUGHT, "COMMITS=1 DEATHS=0 WRITES=2", None),
    ("multi", "CUT REUSE CHECK_VERSION_FIRST", CAUGHT, "COMMITS=0 DEATHS=0 WRITERS=2 WRITES=2", None),
    *[("multi", variant, CAUGHT, "COMMITS=2 DEATHS=1", None) for variant in ("STALE_OPS", "RETIRE_TWICE", "UNDO_COMMITTED")],
]


class Outcome(NamedTuple):
    passed: bool
    text: str  # what was found, or why it failed
    states: str
    seconds: float


def lines_never_executed(pan: pathlib.Path, report: str) -> list[str]:
    """Source lines of which no copy was executed. An inline has many copies; one that runs is enough."""
    unreached = set()
    proctype = ""
    for line in report.splitlines():
        if match := re.match(r"unreached in proctype (\w+)", line):
            proctype = match[1]
        elif match := re.match(r"\t\S+?:(\d+), state (\d+), ", line):
            unreached.add((proctype, match[2], match[1]))
    table = subprocess.run([pan, "-d"], capture_output=True, text=True, cwd=pan.parent, check=False).stdout
    reached = set()
    for line in table.splitlines():
        if match := re.match(r"proctype (\w+)", line):
            proctype = match[1]
            continue
        match = re.match(r"\s*state\s+(\d+) -\(tr.*?\S+\.pml:(\d+) =>", line)
        if match and (proctype, match[1], match[2]) not in unreached:
            reached.add(match[2])
    return sorted({line for _, _, line in unreached} - reached, key=int)


def run_one(model: str, macros: str, expected: str, bounds: str, compress: bool) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="fc-model-") as name:
        work = pathlib.Path(name)
        shutil.copy(MODELS / f"{model}.pml", work)
        defines = [f"-D{macro}" for macro in (macros + " " + bounds).split()]
        began = time.monotonic()
        for command in (
            ["spin", *defines, "-a", f"{model}.pml"],
            [
                "gcc",
                "-O2",
                "-w",
                "-DSAFETY",
                *(["-DCOLLAPSE"] if compress else []),
                f"-DMEMLIM={MEMORY_MIB}",
                "-o",
                "pan",
                "pan.c",
            ],
        ):
            built = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
            if built.returncode != 0 or not (work / "pan.c").exists():
                return Outcome(
                    False, f"{command[0]} failed: {(built.stdout + built.stderr).strip()[-300:]}", "0", time.monotonic() - began
                )
        try:
            report = subprocess.run(
                [work / "pan", f"-m{DEPTH_MAX}", "-w22"],
                cwd=work,
                capture_output=True,
                text=True,
                timeout=RUN_SECONDS_MAX,
                check=False,
            ).stdout
        except subprocess.TimeoutExpired:
            return Outcome(False, f"not finished after {RUN_SECONDS_MAX} s", "?", time.monotonic() - began)
        seconds = time.monotonic() - began
        errors = re.search(r"errors: (\d+)", report)
        states = re.search(r"(\S+) states, stored", report)
        states_text = f"{float(states[1]):,.0f}" if states else "?"
        error = re.search(r"pan:\d+: (.*)", report)
        error_text = error[1] if error else ""
        truncated = any(
            sign in report for sign in ("max search depth too small", "out of memory", "Search not completed", "memory limit")
        )
        if errors is None:
            return Outcome(False, f"no result: {report.strip()[-200:]}", states_text, seconds)
        if expected == CAUGHT:
            real = error_text.startswith(("assertion violated", "invalid end state"))
            return Outcome(real, error_text[:72] or "NOT CAUGHT", states_text, seconds)
        if errors[1] != "0":
            return Outcome(False, f"VIOLATED: {error_text}", states_text, seconds)
        if truncated:
            return Outcome(False, "search not complete", states_text, seconds)
        if unused := lines_never_executed(work / "pan", report):
            return Outcome(False, f"never executed: {model}.pml lines {', '.join(unused)}", states_text, seconds)
        return Outcome(True, "holds", states_text, seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="bounds for CI")
    parser.add_argument(
        "--jobs", type=int, default=min(2, os.cpu_count() or 1), help="runs at a time, each up to 4 GiB (default: 2 or fewer)"
    )
    parser.add_argument("--only", default="", help="only runs whose name contains this text")
    options = parser.parse_args()
    for tool in ("spin", "gcc"):
        if shutil.which(tool) is None:
            print(f"{tool} is not installed", file=sys.stderr)
            return 2
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        waiting = {}
        for model, macros, expected, small, full in RUNS:
            name = f"{model} {macros or 'as built'}"
            if options.only in name:
                bounds = small if options.small or full is None else full
                if bounds == SKIPPED:
                    continue
                waiting[pool.submit(run_one, model, macros, expected, bounds, not options.small)] = (name, expected)
        for future, (name, expected) in waiting.items():
            outcome = future.result()
            passed += outcome.passed
            failed += not outcome.passed
            verdict = "ok    " if outcome.passed else "FAILED"
            print(
                f"{verdict} {name:<46} must be {'verified' if expected == HOLDS else 'caught  '} "
                f"{outcome.states:>12} states {outcome.seconds:6.1f} s  {outcome.text}",
                flush=True,
            )
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
