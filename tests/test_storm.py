"""P2, P5, P13: the storms of tests/c/stress/test_storm.c once more, started with bounds and a seed of their own.

The C test suite runs every mode briefly; here the numbers it prints are looked at: what was killed was recovered, and the
survivors could write again.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from stress_programs import SOAK, program, run, seed

SECONDS = "120" if SOAK else "2"
SHM = Path("/dev/shm")


def numbers(output: str, word: str) -> list[int]:
    """Every number that stands before a word."""
    return [int(number) for number in re.findall(rf"(\d+) {word}", output)]


@pytest.mark.parametrize("policy", ["0", "1"])
@pytest.mark.parametrize("mode", ["kill", "stop"])
def test_a_storm_leaves_nothing_behind(mode: str, policy: str) -> None:
    """P2, P13: workers are killed or stopped all the time; values stay whole, memory is accounted for, nothing stays locked."""
    before = {path.name for path in SHM.glob("fincache*stress*")}
    output = run(program("test_storm"), "--mode", mode, "--policy", policy, "--seconds", SECONDS, "--seed", seed())
    assert sum(numbers(output, "recoveries")) > 0
    assert {path.name for path in SHM.glob("fincache*stress*")} <= before


def test_a_dead_writers_key_is_writable_again() -> None:
    """P2: each time the writer of a key is killed, the survivor's next set of that key succeeds."""
    output = run(program("test_storm"), "--mode", "writable", "--seconds", SECONDS, "--seed", seed())
    (samples,) = re.findall(r"writable after kill -9: (\d+) samples, median (\S+) us", output)
    assert int(samples[0]) > 0
    print(output)
