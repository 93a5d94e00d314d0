"""examples/*.py run as they stand, and print what they promise."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PROMISES = {
    "quotes_board.py": [r"^\d+ consistent cuts of 500 quotes", r"^SYM042 \d+\.\d\d / \d+\.\d\d, widest spread 0\.01$"],
    "position_keeper.py": [r"booked by each: \[400, 400, \d+\], exit codes: \[0, 0, -9\]", r"^AAPL: -?\d+ at 150\."],
    "async_consumer.py": [r"^NVDA: \d+ changes seen, last 102\.39$", r"^\d+ cuts of all prices$"],
    "staleness_guard.py": [r"^stand aside: no quote yet$", r"^quotes are fresh$", r"older than 0\.1 s, its writer is dead$"],
}


def test_every_example_has_a_test() -> None:
    """An example that nobody runs is wrong sooner or later."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == PROMISES.keys()


@pytest.mark.parametrize("example", PROMISES)
def test_an_example_runs(example: str, new_name: Callable[[], str]) -> None:
    """Without a word on stderr, with the promised lines, and it leaves no segment behind (the fixture looks)."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / example), new_name()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd="/")
    assert (done.returncode, done.stderr) == (0, "")
    for promise in PROMISES[example]:
        assert re.search(promise, done.stdout, re.MULTILINE), done.stdout
