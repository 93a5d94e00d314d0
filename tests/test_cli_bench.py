"""`fincache bench`: every operation is measured, and nothing is left behind."""

from __future__ import annotations

import signal

from cli_programs import call, finish, loaded, start
from conftest import SHM

import fincache
from fincache import _core
from fincache.cli.cmd_bench import BATCHES, CASES, Case, measure
from fincache.cli.exits import ExitCode


def left_behind() -> list[str]:
    return [path.name for path in SHM.iterdir() if "fincache-bench-" in path.name]


class TestBench:
    def test_json_has_every_operation_and_the_binding(self) -> None:
        found = loaded(call("bench", "--seconds", "0.1", "--value-bytes", "8", "--json"))
        assert (found["binding"], found["value_bytes"]) == (_core.BINDING, 8)
        assert [result["name"] for result in found["results"]] == [case.name for case in CASES]
        assert all(0 < result["ns_min"] <= result["ns_median"] for result in found["results"])

    def test_text_is_a_table(self) -> None:
        lines = call("bench", "--seconds", "0.1").stdout.splitlines()
        assert f"binding       {_core.BINDING}" in lines
        assert [line.split("  ")[0] for line in lines[-len(CASES) :]] == [case.name for case in CASES]

    def test_the_figures_are_those_of_the_clock(self) -> None:
        """A clock that moves by a known step at each look makes the arithmetic exact."""
        looks = iter(range(10_000))
        found = measure(Case("x", "pass", per=4), {}, 9.0, timer=lambda: float(next(looks)))
        # A batch looks twice, so it takes one second. The first of 4 turns is long enough; 9 s in 9 batches are 4 turns each.
        assert found.operation_count == 4 * BATCHES
        assert found.ns_median == found.ns_min == 1e9 / 4 / 4

    def test_its_segment_is_removed(self, name: str) -> None:
        fincache.open(name, "1MB").close()
        before = left_behind()
        call("bench", "--seconds", "0.05")
        assert left_behind() == before

    def test_it_is_removed_on_sigterm_too(self) -> None:
        before = left_behind()
        process = start("bench", "--seconds", "60")
        while left_behind() == before:
            assert process.poll() is None
        assert finish(process, signal.SIGTERM)[0] == ExitCode.TERMINATED
        assert left_behind() == before
