"""`fincache doctor`: segments with dead, stopped and departed users, damage, leftovers; what --fix does and what it leaves alone.

The host is not ours alone: doctor is always asked about one name, and what it says of the host itself is tested with a made-up
one (test_cli_doctor_host.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cli_programs import call, program
from conftest import SHM, Child

import fincache
from fincache.cli.exits import ExitCode

NewName = Callable[[], str]
LAYOUT_VERSION_OFF = 8  # in the header (csrc/layout/layout.h, fc_geometry)


def doctor(name: str, *options: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The findings about a segment by check, and the whole report."""
    found = call("doctor", name, "--json", *options)
    assert found.exit_code in {ExitCode.OK, ExitCode.UNHEALTHY}, found.output
    report = json.loads(found.stdout)
    assert (found.exit_code == ExitCode.OK) == report["healthy"]
    return {finding["check"]: finding for finding in report["findings"] if finding["segment"] == name}, report


@contextmanager
def child_that(function: Callable[[], object]) -> Iterator[Child]:
    """A child that runs a function and then stays to the end of the block."""
    ready, is_ready = os.pipe()

    def stay() -> None:
        kept = function()
        os.write(is_ready, b"1")
        while os.getppid() == parent:
            time.sleep(0.02)
        del kept

    parent = os.getpid()
    child = Child(stay)
    os.close(is_ready)
    try:
        assert os.read(ready, 1) == b"1"
        yield child
    finally:
        os.close(ready)
        if child.is_running():
            os.kill(child.pid, signal.SIGKILL)
            child.join(killed=True)


class TestSessions:
    def test_a_killed_process_is_found_and_settled_by_fix(self, name: str) -> None:
        fincache.open(name, "4MB").close()
        with child_that(lambda: _write(name)) as child:
            os.kill(child.pid, signal.SIGKILL)
            child.join(killed=True)
        found, report = doctor(name)
        assert found["dead-sessions"]["level"] == "problem"
        assert f"pid {child.pid};" in found["dead-sessions"]["seen"]
        assert found["dead-sessions"]["repair"] == f"settle the dead sessions of segment {name}"
        assert report["repairs"] == []
        assert _recoveries(name) == 0  # looking changed nothing
        fixed, report = doctor(name, "--fix")
        assert [(done["done"], done["result"]) for done in report["repairs"]] == [
            (True, f"settled 1 dead session of segment {name}")
        ]
        assert "dead-sessions" not in fixed
        assert _recoveries(name) == 1

    def test_text_says_what_fix_would_do_and_the_exit_code_that_it_is_needed(self, name: str) -> None:
        fincache.open(name, "4MB").close()
        with child_that(lambda: _write(name)) as child:
            os.kill(child.pid, signal.SIGKILL)
            child.join(killed=True)
        found = program("doctor", "-q", name)
        assert found.returncode == ExitCode.UNHEALTHY
        assert f"--fix would settle the dead sessions of segment {name}".encode() in found.stdout
        fixed = program("doctor", "-q", "--fix", name)
        assert f"fix      settled 1 dead session of segment {name}".encode() in fixed.stdout
        assert (fixed.returncode, fixed.stderr) == (ExitCode.OK, b"")

    def test_a_living_process_is_in_order(self, cache: fincache.Cache) -> None:
        cache.set("k", "v")
        found, report = doctor(cache.name, "--fix")
        assert found["segment"]["level"] == "ok"
        assert report["repairs"] == []
        assert cache.get("k") == b"v"

    def test_a_stopped_process_is_named(self, name: str) -> None:
        fincache.open(name, "4MB").close()
        with child_that(lambda: _write(name)) as child:
            os.kill(child.pid, signal.SIGSTOP)
            os.waitpid(child.pid, os.WUNTRACED)
            found, _ = doctor(name)
            os.kill(child.pid, signal.SIGCONT)
        assert found["stopped-session"]["level"] == "warning"
        assert f"process {child.pid} (" in found["stopped-session"]["seen"]

    def test_slots_that_run_out_are_announced(self, name: str) -> None:
        with fincache.open(name, "4MB", sessions_max=16) as cache:
            cache.set("k", "v")
            children = [child_that(lambda: _write(name)) for _ in range(14)]
            for child in children:
                child.__enter__()
            found, _ = doctor(name)
            for child in children:
                child.__exit__(None, None, None)
            cache.reap()
        assert found["session-slots"]["seen"] == "15 of 16 session slots are taken"


class TestLeftovers:
    def test_an_orphaned_lock_file_is_removed_by_fix(self, name: str) -> None:
        fincache.open(name, "1MB").close()
        lock = _lock_file(name)
        (SHM / f"fincache.{name}").unlink()  # as rm and logind do
        found, _ = doctor(name)
        assert found["lock-file"]["level"] == "problem"
        assert found["lock-file"]["repair"] == f"remove the lock file {lock}"
        assert lock.exists()
        fixed, report = doctor(name, "--fix")
        assert [done["result"] for done in report["repairs"]] == [f"removed {lock}"]
        assert not lock.exists()
        assert "lock-file" not in fixed

    def test_the_lock_file_of_a_segment_that_was_created_again_is_an_orphan_too(self, name: str) -> None:
        fincache.open(name, "1MB").close()
        lock = _lock_file(name)
        (SHM / f"fincache.{name}").unlink()
        with fincache.open(name, "1MB") as cache:
            cache.set("k", "v")
            doctor(name, "--fix")
            assert not lock.exists()
            assert _lock_file(name).exists()

    def test_a_lock_file_in_use_is_left_alone(self, name: str) -> None:
        fincache.open(name, "1MB").close()
        lock = _lock_file(name)
        with child_that(lambda: _write(name)) as child:
            (SHM / f"fincache.{name}").unlink()
            found, report = doctor(name, "--fix")
            assert found["lock-file"]["level"] == "warning"
            assert f"in use by {child.pid} (" in found["lock-file"]["seen"]
            assert report["repairs"] == []
            assert lock.exists()
        doctor(name, "--fix")
        assert not lock.exists()

    def test_the_lock_file_of_a_segment_under_construction_is_left_alone(self, name: str) -> None:
        """The creator links the lock file first, and has it open until the segment has its name."""
        lock = SHM / f"fincache-lock.{name}.{1:016x}"
        with child_that(lambda: os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)):
            found, report = doctor(name, "--fix")
            assert (found["lock-file"]["level"], report["repairs"]) == ("warning", [])
            assert lock.exists()
        doctor(name, "--fix")
        assert not lock.exists()

    @pytest.mark.parametrize("creates", [True, False])
    def test_memory_without_a_name_is_told_with_who_has_it(self, name: str, creates: bool) -> None:
        """A creator maps it under the nameless path of its making, anybody else under its name."""
        if not creates:
            fincache.open(name, "2MB").close()
        with child_that(lambda: _write(name, create=creates)) as child:
            fincache.unlink(name)
            _, report = doctor(name) if not creates else ({}, _whole_report())
            texts = [finding["seen"] for finding in report["findings"] if finding["check"] == "removed-segment"]
            assert any(f"a removed segment of 2.0 MiB is still mapped by {child.pid} (" in text for text in texts)

    def test_a_name_that_is_nowhere_is_a_problem(self) -> None:
        report = json.loads(call("doctor", "no-such-segment", "--json").stdout)
        found = {finding["check"]: finding for finding in report["findings"]}
        assert found["segment"]["seen"] == "there is no such segment"
        assert not report["healthy"]

    @pytest.mark.parametrize("arguments", [("doctor", "no-such-segment"), ("-s", "no-such-segment", "doctor")])
    def test_a_name_that_is_nowhere_ends_with_the_code_of_a_missing_segment(self, arguments: tuple[str, ...]) -> None:
        done = call(*arguments)
        assert done.exit_code == ExitCode.MISSING
        assert "there is no such segment" in done.stdout


class TestDamage:
    def test_a_truncated_segment_is_removed_by_fix(self, name: str) -> None:
        fincache.open(name, "1MB").close()
        os.truncate(SHM / f"fincache.{name}", 100_000)
        found, _ = doctor(name)
        assert found["truncated"]["level"] == "problem"
        doctor(name, "--fix")
        assert not (SHM / f"fincache.{name}").exists()

    def test_one_that_is_mapped_is_left_alone(self, name: str) -> None:
        fincache.open(name, "1MB").close()
        with child_that(lambda: fincache.attach(name, readonly=True)) as child:
            os.truncate(SHM / f"fincache.{name}", 100_000)
            found, report = doctor(name, "--fix")
            assert [(done["done"], "somebody has it open" in done["result"]) for done in report["repairs"]] == [(False, True)]
            assert f"{child.pid} (" in found["truncated"]["why"]
            assert (SHM / f"fincache.{name}").exists()

    @pytest.mark.parametrize("content", [b"", bytes(8192)])
    def test_an_object_with_nothing_in_it_is_removed_by_fix(self, name: str, content: bytes) -> None:
        path = SHM / f"fincache.{name}"
        path.write_bytes(content)
        found, _ = doctor(name)
        assert found["half-built"]["level"] == "problem"
        doctor(name, "--fix")
        assert not path.exists()

    def test_what_somebody_else_made_is_left_alone(self, name: str) -> None:
        path = SHM / f"fincache.{name}"
        path.write_bytes(b"something else")
        found, report = doctor(name, "--fix")
        assert (found["foreign"]["level"], found["foreign"]["repair"], report["repairs"]) == ("warning", None, [])
        assert path.exists()

    def test_another_layout_is_told_and_left_alone(self, name: str) -> None:
        fincache.open(name, "1MB").close()
        path = SHM / f"fincache.{name}"
        with path.open("r+b") as file:
            file.seek(LAYOUT_VERSION_OFF)
            file.write(struct.pack("<I", 4_000_000))
        found, report = doctor(name, "--fix")
        assert (found["layout"]["level"], report["repairs"]) == ("warning", [])
        assert "newer FinCache" in found["layout"]["seen"]
        assert path.exists()
        fincache.unlink(name)
        lock = _lock_file(name)  # fincache.unlink cannot know where another layout keeps its id
        doctor(name, "--fix")
        assert not lock.exists()

    def test_a_damaged_header_is_a_problem_for_people(self, name: str) -> None:
        fincache.open(name, "1MB").close()
        path = SHM / f"fincache.{name}"
        with path.open("r+b") as file:
            file.seek(48)
            file.write(b"\xff" * 8)
        found, report = doctor(name, "--fix")
        assert (found["corrupt"]["level"], found["corrupt"]["repair"], report["repairs"]) == ("problem", None, [])
        assert path.exists()

    def test_a_missing_lock_file_is_a_problem(self, cache: fincache.Cache) -> None:
        _lock_file(cache.name).unlink()
        found, _ = doctor(cache.name)
        assert found["lock-file"]["seen"] == "its lock file is missing"


class TestState:
    def test_a_segment_that_is_nearly_full_is_announced(self, name: str) -> None:
        with fincache.open(name, "1MB") as cache:
            _fill(cache)
            found, _ = doctor(name)
        assert "its policy is noeviction" in found["memory"]["seen"]
        assert "1 writes were refused (OutOfMemory)" in found["counters"]["seen"]

    def test_one_that_evicts_may_be_full(self, name: str) -> None:
        with fincache.open(name, "1MB", policy="allkeys-lru") as cache:
            for number in range(200):
                cache.set(number, bytes(20_000))
            found, _ = doctor(name)
        assert "memory" not in found

    def test_too_many_keys_for_the_index(self, name: str) -> None:
        with fincache.open(name, "1MB", keys=100) as cache:
            cache.mset({str(number): number for number in range(101)})
            found, _ = doctor(name)
        assert found["keys"]["seen"] == "101 keys, and it was planned for 100"

    def test_a_mode_that_lets_everybody_write(self, name: str) -> None:
        fincache.open(name, "1MB", mode=0o666).close()
        found, _ = doctor(name)
        assert found["mode"]["seen"] == "its mode is 0666"

    def test_a_mode_that_was_changed(self, name: str) -> None:
        fincache.open(name, "1MB").close()
        (SHM / f"fincache.{name}").chmod(0o640)
        found, _ = doctor(name)
        assert found["mode"]["seen"] == "its mode is 0640, and was 0600 when it was created"


def _fill(cache: fincache.Cache) -> None:
    with contextlib.suppress(fincache.OutOfMemory):
        for number in range(1000):
            cache.set(number, bytes(20_000))


def _write(name: str, *, create: bool = False) -> fincache.Cache:
    cache = fincache.open(name, "2MB") if create else fincache.attach(name)
    cache.set("k", "v")
    return cache


def _recoveries(name: str) -> int:
    with fincache.attach(name, readonly=True) as cache:
        return cache.stats().recoveries


def _lock_file(name: str) -> Path:
    return max(SHM.glob(f"fincache-lock.{name}.*"), key=lambda path: path.stat().st_ctime_ns)


def _whole_report() -> dict[str, Any]:
    report: dict[str, Any] = json.loads(call("doctor", "--json").stdout)
    return report
