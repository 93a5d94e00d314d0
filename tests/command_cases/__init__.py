"""What every command replies, as data: one module for each family, one list CASES in it.

A case is a name and steps; a step is a call and its reply. Each case starts with empty databases, and runs through every door:
Cache.execute(), RESP2, RESP3 (tests/test_command_cases.py). How replies are written:

    str         a simple string: "OK"               bytes       a bulk string
    int         an integer                          None        null
    list        an array                            dict, set   a map, a set; over RESP2 an array of as much
    float       a double; over RESP2 text           Error(text) an error with exactly this text
    ANY         whatever it is                      Range(a, b) an integer from a to b
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path


@dataclass(frozen=True)
class Error:
    """An error reply."""

    text: str


@dataclass(frozen=True)
class Range:
    """An integer between two bounds, both included."""

    least: int
    most: int


class _Any:
    def __repr__(self) -> str:
        return "ANY"


ANY = _Any()

Step = tuple[list[object], object]


@dataclass(frozen=True)
class Case:
    """Some calls and what they reply, in order."""

    name: str
    steps: list[Step]


def all_cases() -> Iterator[tuple[str, Case]]:
    """(family, case) of every module here."""
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem != "__init__":
            for case in import_module(f"command_cases.{path.stem}").CASES:
                yield path.stem, case


def matches(expected: object, actual: object, protocol: int) -> bool:
    """Whether a reply is what a case says, in the words of the protocol."""
    if expected is ANY:
        return True
    if isinstance(expected, Range):
        return type(actual) is int and expected.least <= actual <= expected.most
    if isinstance(expected, Error):
        return isinstance(actual, Exception) and str(actual) == expected.text
    if isinstance(expected, bool) and protocol == 2:
        return actual == int(expected)
    if isinstance(expected, float) and protocol == 2:
        return isinstance(actual, bytes) and float(actual) == expected
    if isinstance(expected, dict):
        return _matches_map(expected, actual, protocol)
    if isinstance(expected, set):
        return isinstance(actual, (set, list)) and len(actual) == len(expected) and set(actual) == expected
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(actual) == len(expected)
            and all(matches(one, other, protocol) for one, other in zip(expected, actual, strict=True))
        )
    return type(expected) is type(actual) and expected == actual


def _matches_map(expected: dict[object, object], actual: object, protocol: int) -> bool:
    if protocol == 2:
        if not isinstance(actual, list) or len(actual) % 2 != 0:
            return False
        actual = dict(zip(actual[::2], actual[1::2], strict=True))
    return (
        isinstance(actual, dict)
        and actual.keys() == expected.keys()
        and all(matches(value, actual[key], protocol) for key, value in expected.items())
    )
