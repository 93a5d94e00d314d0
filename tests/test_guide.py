"""docs/python.md: every block runs, in order, and says what really comes back.

In a block `# -> x` behind an expression is its repr(), and `# raises X` the class of its exception, or one of that class's bases.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from redis_reference import DIFFERENCES
from test_redis_parity import SHARED

import fincache

GUIDE = Path(__file__).resolve().parent.parent / "docs" / "python.md"
TEXT = GUIDE.read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMISE = re.compile(r"#\s(->|raises)\s(.*)$")


class WrongPromiseError(AssertionError):
    """A line of the guide that is not so."""


def run(block: str, names: dict[str, object]) -> int:
    """Runs a block in a namespace and checks its promises; how many there were."""
    promises = 0
    for node in ast.parse(block).body:
        source = ast.unparse(node)
        found = PROMISE.search(block.splitlines()[(node.end_lineno or node.lineno) - 1])
        if found is None:
            exec(compile(ast.Module([node], []), str(GUIDE), "exec", dont_inherit=True), names)
        elif found[1] == "raises":
            promises += 1
            expected = getattr(fincache, found[2], None) or getattr(builtins, found[2])
            with pytest.raises(expected):
                exec(source, names)
        else:
            promises += 1
            answer = repr(eval(source, names))
            if answer != found[2].strip():
                raise WrongPromiseError(f"{source}\n  gives     {answer}\n  the guide {found[2]}")
    return promises


def blocks() -> Iterator[str]:
    for found in BLOCK.finditer(TEXT):
        yield found[1]


@pytest.mark.skipif(np.__version__ < "2", reason="numpy 2 writes scalars as np.float64(1.5)")
def test_every_block_of_the_guide_runs(new_name: Callable[[], str]) -> None:
    """From the first to the last, in one namespace, on a segment of a name of its own."""
    name, names = new_name(), {}  # type: tuple[str, dict[str, object]]
    promises = 0
    for block in blocks():
        promises += run(block.replace('"md"', f'"{name}"'), names)
    assert promises > 60


def test_a_wrong_promise_is_noticed() -> None:
    """The check of the check."""
    with pytest.raises(WrongPromiseError):
        run("1 + 1  # -> 3", {})
    with pytest.raises(pytest.fail.Exception):
        run("1 + 1  # raises KeyError", {})
    assert run("a = 1\na + 1  # -> 2", {}) == 1


def test_the_guide_tells_every_difference() -> None:
    """Its table of differences from redis-py has one row for each line of the tests' table, and no others."""
    rows = [line for line in TEXT.split("<!-- differences -->")[1].splitlines() if line.startswith("|")]
    assert {row.split("|")[1].strip() for row in rows[2:]} == {difference.what for difference in DIFFERENCES}


def test_the_guide_lists_every_shared_command() -> None:
    """What is compared is what is promised."""
    listed = re.search(r"`(get set [a-z_ \n]*)`", TEXT)
    assert listed is not None
    assert set(listed[1].split()) == {name for name in SHARED if not name.startswith("__")}


def test_every_link_within_the_guide_leads_somewhere() -> None:
    """Chapters and files."""
    chapters = {
        re.sub(r"[^a-z0-9 -]", "", line[3:].lower()).replace(" ", "-") for line in TEXT.splitlines() if line.startswith("## ")
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        assert target[1:] in chapters if target.startswith("#") else (GUIDE.parent / target).exists(), target
