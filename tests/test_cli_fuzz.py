"""The command line meets arguments of every kind: it answers with one of its exit codes, and never with a traceback."""

from __future__ import annotations

import random

from cli_programs import call
from conftest import SEED

import fincache
from fincache.cli.exits import ExitCode

RUNS = 400
# Commands that end by themselves and touch nothing but the segment that is named; what makes the others end.
COMMANDS = {name: [] for name in ("get", "set", "del", "ttl", "keys", "scan", "stat", "ls", "completion")} | {
    "watch": ["--timeout", "0"],
    "top": ["--once", "-i", "0.05"],
}
ENDLESS = {"-i", "--interval", "--timeout", "-c", "--count", "-"}  # would take back what makes watch and top end
POOL = [
    *("k", "n", "absent", "", "é", "\udcff", "a\nb", "\x1b[2J", "x" * 70_000, "*", "[a", "\\", "/", "/dev/null", "demo"),
    *("-1", "0", "1", "62", "63", "1e400", "nan", "inf", "99999999999999999999", "1MB", "bash", "string"),
    *("-", "--", "-e", "-x", "-l", "-0", "-n", "-t", "-m", "-c", "-i", "--json", "--raw", "--no-raw", "--help", "--version"),
    *("--ex", "--px", "--exat", "--pxat", "--nx", "--xx", "--keepttl", "--get", "--timeout-ms", "--ms"),
    *("--cursor", "--match", "--limit", "--count", "--interval", "--timeout", "--changes-only"),
]


def test_any_arguments_end_in_an_exit_code(cache: fincache.Cache) -> None:
    """`call` re-raises nothing: an exception that the program does not know is in `exception`."""
    print(f"FINCACHE_SEED={SEED}")
    chance = random.Random(SEED)
    cache.set("k", b"\xff\0")
    cache.set("n", 5)
    for _ in range(RUNS):
        name = chance.choice(list(COMMANDS))
        ending = COMMANDS[name]
        drawn = [chance.choice(POOL) for _ in range(chance.randrange(5))]
        arguments = [name, *ending, *(word for word in drawn if not (ending and word in ENDLESS))]
        found = call("-s", cache.name, *arguments, stdin=b"in\xff")
        assert found.exception is None or isinstance(found.exception, SystemExit), arguments
        assert found.exit_code in set(ExitCode), arguments
        assert found.exit_code < ExitCode.FAILED, (arguments, found.output)
