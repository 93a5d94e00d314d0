"""Every command through every door, from the tables in tests/command_cases/."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from command_cases import Case, Error, all_cases, matches
from resp_client import RespClient
from server_process import serving

import fincache

CASES = list(all_cases())


@dataclass
class Doors:
    """One segment, and a server on it."""

    cache: fincache.Cache[bytes]
    port: int


@pytest.fixture(scope="module")
def doors() -> Iterator[Doors]:
    name = f"cases-{os.getpid()}"
    with fincache.open(name, size="64MB") as cache:
        try:
            with serving("--threads", 2, segment=name) as server:
                yield Doors(cache, server.port)
        finally:
            fincache.unlink(name)


def execute_in_process(cache: fincache.Cache[bytes], arguments: list[object]) -> Any:
    try:
        return cache.execute(*arguments)
    except fincache.FinCacheError as error:
        return error


def run(case: Case, execute: Any, protocol: int) -> None:
    for call, expected in case.steps:
        actual = execute(call)
        assert matches(expected, actual, protocol), f"{call}: {actual!r}, expected {expected!r}"


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[f"{family}-{case.name}" for family, case in CASES])
@pytest.mark.parametrize("door", ["in_process", "resp2", "resp3"])
def test_replies(doors: Doors, door: str, case: Case) -> None:
    """Each call of the case gets its reply, in the words of the door."""
    doors.cache.flushall()
    if door == "in_process":
        doors.cache.execute("RESET")
        doors.cache.execute("HELLO", 3)
        run(case, lambda call: execute_in_process(doors.cache, call), 3 if case.name != "hello" else 2)
        return
    protocol = 2 if door == "resp2" else 3
    with RespClient(doors.port, protocol) as client:
        run(case, lambda call: client.execute(*call), protocol)


def test_each_row_of_the_table_has_a_case(doors: Doors) -> None:
    """No command is without a case that it answers with something but an error."""
    called = set()
    for _, case in CASES:
        for call, expected in case.steps:
            if not isinstance(expected, Error):
                words = [word.decode() if isinstance(word, bytes) else str(word) for word in call[:2]] if call else []
                called.update({words[0].lower(), "|".join(words).lower()} if isinstance(call[0], str) else ())
    names = {name.decode() for name in doors.cache.execute("COMMAND", "LIST", "FILTERBY", "PATTERN", "*")}
    containers = {name.partition("|")[0] for name in names if "|" in name}
    needs_the_daemon = {"config|rewrite", "shutdown", "monitor", "object|freq"}
    assert names - called - containers - needs_the_daemon == set()
