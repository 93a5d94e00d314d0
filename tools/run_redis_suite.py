"""Runs Redis's own Tcl test suite, from a checkout of the user's, against FinCache and beside it against redis-server.

    python tools/run_redis_suite.py CHECKOUT [UNIT ...] [--server 'COMMAND'] [--no-redis] [--verbose]

CHECKOUT is a source tree of Redis at tag 7.0.15 (the yardstick); the suite is not copied into this project. Each unit, such as
unit/type/string, runs in the harness's external-server mode (`runtest --host --port --single`) against a server started for it
alone: a unit changes CONFIG and does not always put it back. Tests tagged needs:debug, slow and needs:repl are left out.

COMMAND starts the server to test; {port} is replaced. Default: `fincache serve` of this tree, with a segment of its own.

A test that redis-server passes and FinCache does not is a failure, unless tools/redis_suite_exceptions.txt has a line for it:

    unit/type/string | LCS basic | why

Such a test is not run on either side: a command that FinCache does not have ends the harness's run of the whole file. --all runs
them, to see which exceptions are out of date. Prints one row for each unit; exit code 0, or 1 if anything failed that
redis-server passes. Needs tclsh 8.5 or newer, and redis-server (unless --no-redis).
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXCEPTIONS = Path(__file__).with_name("redis_suite_exceptions.txt")
UNITS = (
    "unit/type/string",
    "unit/type/incr",
    "unit/expire",
    "unit/keyspace",
    "unit/scan",
    "unit/bitops",
    "unit/bitfield",
    "unit/multi",
    "unit/protocol",
    "unit/auth",
    "unit/info",
    "unit/querybuf",
    "unit/introspection",
    "unit/introspection-2",
    "unit/dump",
    "unit/slowlog",
    "unit/latency-monitor",
    "unit/pause",
    "unit/other",
)
TAGS = "-needs:debug -slow -needs:repl"
SEGMENT = "redis-suite"
FINCACHE = f"{sys.executable} -m fincache serve --port {{port}} --segment {SEGMENT} --log-level warning"
REDIS = "redis-server --port {port} --save '' --appendonly no --bind 127.0.0.1 --enable-debug-command yes --dir {directory}"
START_SECONDS_MAX = 10
UNIT_SECONDS_MAX = 300

_LINE = re.compile(r"\[(ok|err|exception|ignore|timeout)\]: (.*)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TIME = re.compile(r" \(\d+ ms\)$")


@dataclass
class Outcome:
    """What one unit did on one server: names of tests by result, and why it broke off, if it did."""

    passed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    ignored: int = 0
    broken: str = ""


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_ping(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Whether the server answers PING before its time is up."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        if _answers_ping(port):
            return True
        time.sleep(0.05)
    return False


def _answers_ping(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False  # not listening yet


def parse(output: str) -> Outcome:
    """Results of the harness's output."""
    outcome = Outcome()
    for line in _COLOUR.sub("", output).splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        kind, name = found[1], _TIME.sub("", found[2])
        if kind == "ok":
            outcome.passed.append(name)
        elif kind == "ignore":
            outcome.ignored += 1
        elif kind == "err":
            test, _, reason = name.partition(" in tests/")
            outcome.failed[test] = reason.partition(" ")[2]
        else:
            outcome.broken = name
    if "All tests passed without errors" not in output and not outcome.failed and not outcome.broken:
        outcome.broken = " / ".join(_COLOUR.sub("", output).strip().splitlines()[-6:])
    return outcome


def run_unit(checkout: Path, unit: str, command: str, skipped: list[str]) -> Outcome:
    """Starts a server, runs one unit against it without the skipped tests, stops the server."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="redis-suite-") as directory, tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            shlex.split(command.format(port=port, directory=directory)), cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            if not wait_for_ping(port, server):
                log.seek(0)
                return Outcome(broken=f"the server did not start: {log.read().decode(errors='replace')[-500:]}")
            arguments = ["--host", "127.0.0.1", "--port", str(port), "--single", unit, "--tags", TAGS, "--clients", "1"]
            arguments += ["--baseport", str(20000 + os.getpid() % 250 * 40)]  # two runs at a time
            for test in skipped:
                arguments += ["--skiptest", test]
            try:
                run = subprocess.run(
                    ["./runtest", *arguments],
                    cwd=checkout,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    timeout=UNIT_SECONDS_MAX,
                )
            except subprocess.TimeoutExpired as late:
                outcome = parse((late.stdout or b"").decode(errors="replace"))
                outcome.broken = f"not over after {UNIT_SECONDS_MAX} s"
                return outcome
            outcome = parse(run.stdout.decode(errors="replace"))
            if server.poll() is not None:
                outcome.broken = f"the server ended with {server.returncode}; {outcome.broken}"
            return outcome
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def read_exceptions() -> dict[tuple[str, str], str]:
    """Reasons by unit and test."""
    reasons: dict[tuple[str, str], str] = {}
    if not EXCEPTIONS.exists():
        return reasons
    for line in EXCEPTIONS.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            unit, test, why = (part.strip() for part in line.split(" | ", 2))
            reasons[unit, test] = why
    return reasons


def judge(ours: Outcome, theirs: Outcome | None) -> list[str]:
    """What is wrong with a unit, a line each."""
    passed = set(ours.passed)
    expected = set(theirs.passed) if theirs is not None else passed | ours.failed.keys()
    wrong = [f"{test}: {ours.failed.get(test, 'did not run')}" for test in sorted(expected - passed)]
    if ours.broken:
        wrong.append(f"broke off: {ours.broken}")
    return wrong


def main() -> int:
    """Runs what was asked for, prints the table."""
    parser = argparse.ArgumentParser(description="Runs Redis's Tcl suite against FinCache.")
    parser.add_argument("checkout", type=Path, help="a source tree of Redis 7.0.15")
    parser.add_argument(
        "units", nargs="*", default=UNITS, metavar="UNIT", help="such as unit/type/string (default: all that concern us)"
    )
    parser.add_argument("--server", default=FINCACHE, help="starts the server; {port} and {directory} are replaced")
    parser.add_argument("--no-redis", action="store_true", help="do not run redis-server beside it")
    parser.add_argument("--all", action="store_true", help="run the excepted tests, too")
    options = parser.parse_args()
    if not (options.checkout / "runtest").exists():
        parser.error(f"{options.checkout} has no runtest; it must be a source tree of Redis")
    exceptions = read_exceptions()
    failed = 0
    print(f"{'unit':<24} {'redis-server':>12} {'FinCache':>9} {'excepted':>9} {'failed':>7}", flush=True)
    for unit in options.units:
        skipped = [] if options.all else [test for where, test in exceptions if where == unit]
        theirs = None if options.no_redis else run_unit(options.checkout, unit, REDIS, skipped)
        ours = run_unit(options.checkout, unit, options.server, skipped)
        wrong = judge(ours, theirs)
        reference = "-" if theirs is None else len(theirs.passed)
        print(f"{unit:<24} {reference:>12} {len(ours.passed):>9} {len(skipped):>9} {len(wrong):>7}", flush=True)
        for line in wrong:
            print(f"    {line}", flush=True)
        failed += len(wrong)
    print(f"{'all passed that redis-server passes' if failed == 0 else f'{failed} failed'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
