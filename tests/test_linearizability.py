"""P4 and P5 by recorded histories; and the checker itself, on histories whose verdict is known."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from linearizability import KEY, find_order, group_violation, parse, read, violations_by_key
from stress_programs import SECONDS_MAX, SOAK, program, run, seed

GROUP = ("k0", "k1", "k2")


# What a line is: process operation keys argument invoked returned status result version
GOOD = {
    "nothing happened": "",
    "one after the other": """
        0 set k 1 0 10 OK - 5
        1 get k - 20 30 OK 1 5
        0 delete k - 40 50 OK - 0
        1 get k - 60 70 MISS - 0""",
    "a read beside a write sees either": """
        0 set k 1 0 10 OK - 5
        0 set k 2 20 60 OK - 6
        1 get k - 30 40 OK 2 6
        2 get k - 30 50 OK 1 5""",
    "two increments beside each other": """
        0 incr k 1 0 50 OK 2 0
        1 incr k 1 0 50 OK 1 0
        0 get k - 60 70 OK 2 9""",
    "a killed set that happened later": """
        0 set k 1 0 - - - -
        1 get k - 10 20 MISS - 0
        1 get k - 30 40 OK 1 5
        1 get k - 50 60 OK 1 5""",
    "a killed set that never happened": """
        0 set k 1 0 - - - -
        1 setnx k 2 10 20 OK - 7
        1 get k - 30 40 OK 2 7""",
    "compare and set": """
        0 set k 1 0 10 OK - 5
        1 cas k 2,5 20 30 OK - 6
        0 cas k 3,5 40 50 VERSION_MISMATCH - 0
        0 append k 7 60 70 OK 2 0
        0 get k - 80 90 OK 27 8""",
    "a flush empties the key": """
        0 set k 1 0 10 OK - 5
        1 flush * - 20 30 OK - 0
        0 setxx k 2 40 50 NOT_STORED - 0""",
    "expiry changes the version alone": """
        0 set k 1 0 10 OK - 5
        1 expire k - 20 30 OK - 0
        0 get k - 40 50 OK 1 6
        0 cas k 2,5 60 70 VERSION_MISMATCH - 0""",
    "what an increment refuses": """
        0 set k 007 0 10 OK - 5
        1 incr k 1 20 30 NOT_INTEGER - 0
        0 set k 9223372036854775807 40 50 OK - 6
        1 incr k 1 60 70 OVERFLOW - 0""",
}

BAD = {
    "stale read": """
        0 set k 1 0 10 OK - 5
        0 set k 2 20 30 OK - 6
        1 get k - 40 50 OK 1 5""",
    "lost update": """
        0 incr k 1 0 30 OK 1 0
        1 incr k 1 10 40 OK 1 0
        0 get k - 50 60 OK 1 9""",
    "new, then old": """
        0 set k 1 0 10 OK - 5
        0 set k 2 20 100 OK - 6
        1 get k - 30 40 OK 2 6
        2 get k - 50 60 OK 1 5""",
    "a value that nobody wrote": """
        0 set k 1 0 10 OK - 5
        1 get k - 20 30 OK 3 5""",
    "a miss in the middle of a value's life": """
        0 set k 1 0 10 OK - 5
        1 get k - 20 30 MISS - 0
        1 get k - 40 50 OK 1 5""",
    "read before it was written": """
        1 get k - 0 10 OK 1 5
        0 set k 1 20 30 OK - 5""",
    "both win a set NX": """
        0 setnx k 1 0 30 OK - 5
        1 setnx k 2 10 40 OK - 6""",
    "compare and set with a version that was gone": """
        0 set k 1 0 10 OK - 5
        0 set k 2 20 30 OK - 6
        1 cas k 3,5 40 50 OK - 7""",
    "a killed set that happened, then did not": """
        0 set k 1 0 - - - -
        1 get k - 10 20 OK 1 5
        1 get k - 30 40 MISS - 0""",
    "a value from before a flush": """
        0 set k 1 0 10 OK - 5
        1 flush * - 20 30 OK - 0
        0 incr k 1 40 50 OK 2 0""",
    "deleted twice": """
        0 set k 1 0 10 OK - 5
        0 delete k - 20 50 OK - 0
        1 getdel k - 30 60 OK 1 0""",
}

GOOD_GROUPS = {
    "a cut beside a write sees all of it or nothing": """
        0 mset k0,k1,k2 1,2,3 0 10 OK - 0
        0 mset k0,k1,k2 4,-,6 20 60 OK - 0
        1 mget k0,k1,k2 - 30 40 OK 1,2,3 0
        2 mget k0,k1,k2 - 30 50 OK 4,-,6 0""",
    "rename": """
        0 set k0 1 0 10 OK - 0
        0 rename k0,k1 - 20 40 OK - 0
        1 mget k0,k1 - 30 50 OK -,1 0
        1 copy k0,k2 - 60 70 MISS - 0""",
    "a killed write of several keys that happened": """
        0 mset k0,k1,k2 1,2,3 0 - - - -
        1 get k0 - 10 20 MISS - 0
        1 mget k0,k1,k2 - 30 40 OK 1,2,3 0""",
}

BAD_GROUPS = {
    "half of a write in a cut": """
        0 mset k0,k1,k2 1,2,3 0 10 OK - 0
        0 mset k0,k1,k2 4,5,6 20 60 OK - 0
        1 mget k0,k1,k2 - 30 40 OK 4,2,6 0""",
    "new, then old, over plain gets of two keys": """
        0 mset k0,k1,k2 1,2,3 0 10 OK - 0
        0 mset k0,k1,k2 4,5,6 20 100 OK - 0
        1 get k0 - 30 40 OK 4 0
        1 get k1 - 50 60 OK 2 0""",
    "a renamed value in both places": """
        0 set k0 1 0 10 OK - 0
        0 rename k0,k1 - 20 40 OK - 0
        1 mget k0,k1 - 30 50 OK 1,1 0""",
    "a killed write of which half happened": """
        0 mset k0,k1,k2 1,2,3 0 - - - -
        1 mget k0,k1 - 10 20 OK 1,- 0""",
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_the_checker_accepts(text: str) -> None:
    """A history that some order explains is accepted."""
    assert violations_by_key(parse(text.splitlines())) == {}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_the_checker_rejects(text: str) -> None:
    """A history that no order explains is rejected, and the explanation names the operation that fits nowhere."""
    found = violations_by_key(parse(text.splitlines()))
    assert list(found) == ["k"]
    assert "then none of these fits" in found["k"]


@pytest.mark.parametrize("text", GOOD_GROUPS.values(), ids=GOOD_GROUPS.keys())
def test_the_checker_accepts_groups(text: str) -> None:
    """The same for keys that are written together."""
    assert group_violation(parse(text.splitlines()), GROUP) is None


@pytest.mark.parametrize("text", BAD_GROUPS.values(), ids=BAD_GROUPS.keys())
def test_the_checker_rejects_groups(text: str) -> None:
    """The same for keys that are written together."""
    assert group_violation(parse(text.splitlines()), GROUP) is not None


def test_the_order_that_is_found_is_one() -> None:
    """The witness holds every finished operation once and respects real time."""
    operations = parse(GOOD["a read beside a write sees either"].splitlines())
    order, is_linearizable = find_order(operations, KEY)
    assert is_linearizable
    assert sorted(map(id, order)) == sorted(map(id, operations))
    assert [operation.result for operation in order if operation.name == "get"] == ["1", "2"]


def record(directory: Path, *arguments: str) -> list[Path]:
    """Records histories; the seed is printed with a failure."""
    run(program("record_history"), "--directory", str(directory), "--seed", seed(), *arguments)
    return sorted(directory.glob("history.*.txt"))


HISTORIES = "200" if SOAK else "8"


@pytest.mark.parametrize("kills", ["0", "4"])
def test_keys_are_linearizable(tmp_path: Path, kills: str) -> None:
    """P4: whatever mix of processes works on a key, also when some are killed in the middle."""
    for path in record(tmp_path, "--histories", HISTORIES, "--kills", kills):
        operations = read(path)
        assert len(operations) > 100
        assert violations_by_key(operations) == {}, path.read_text().splitlines()[0]


@pytest.mark.parametrize("kills", ["0", "4"])
def test_keys_written_together_are_linearizable_as_one(tmp_path: Path, kills: str) -> None:
    """P5: set_many, rename and copy take effect at one instant for cuts and for plain gets, also under kill -9."""
    for path in record(tmp_path, "--histories", HISTORIES, "--multi", "1", "--operations", "120", "--kills", kills):
        operations = read(path)
        assert len(operations) > 100
        assert group_violation(operations, GROUP) is None, path.read_text().splitlines()[0]


def test_the_recorder_says_what_it_does_not_know() -> None:
    """An unknown argument is refused."""
    done = subprocess.run(
        [program("record_history"), "--nonsense", "1"], capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )
    assert done.returncode == 1
    assert "--nonsense" in done.stderr
