"""`fincache watch`: versions as they appear."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

import pytest
from cli_programs import call, finish, start
from conftest import Child

import fincache
from fincache.cli.exits import ExitCode


def lines_of(process: subprocess.Popen[bytes], count: int) -> list[dict[str, Any]]:
    """The next lines of watch --json."""
    assert process.stdout is not None
    return [json.loads(process.stdout.readline()) for _ in range(count)]


class TestWatch:
    def test_a_real_writer_is_seen_with_value_version_age_and_pid(self, cache: fincache.Cache) -> None:
        process = start("-s", cache.name, "watch", "k", "--json", "-i", "0.002", "--count", "4")
        assert [line["event"] for line in lines_of(process, 1)] == ["absent"]
        pids = []
        for value in ("1", "2"):
            writer = Writer(cache.name, value)
            pids.append(writer.child.pid)
            [seen] = lines_of(process, 1)
            assert (seen["event"], seen["value"], seen["writer"], seen["writer_pid"]) == ("set", value, "alive", pids[-1])
            entry = cache.entry("k")
            assert entry is not None
            assert (seen["version"], seen["written_unix_ns"]) == (str(entry.version), entry.written_unix_ns)
            assert 0 <= seen["age_ns"] < 60e9
            writer.leave()
        cache.delete("k")
        assert [line["event"] for line in lines_of(process, 1)] == ["gone"]
        assert finish(process) == (0, b"", b"")

    def test_a_value_written_again_is_a_new_version(self, cache: fincache.Cache) -> None:
        cache.set("k", "same")
        process = start("-s", cache.name, "watch", "k", "--json", "-i", "0.002", "--count", "2")
        [first] = lines_of(process, 1)
        cache.set("k", "same")
        [second] = lines_of(process, 1)
        assert (first["event"], second["event"]) == ("present", "set")
        assert first["version"] != second["version"]
        assert finish(process)[0] == 0

    def test_a_new_expiry_is_a_move(self, cache: fincache.Cache) -> None:
        cache.set("k", "v")
        process = start("-s", cache.name, "watch", "k", "--json", "-i", "0.002", "--count", "2")
        lines_of(process, 1)
        cache.expire("k", 100)
        [moved] = lines_of(process, 1)
        assert (moved["event"], moved["value"]) == ("moved", "v")
        assert 0 < moved["ttl_ns"] <= 100e9
        assert finish(process)[0] == 0

    def test_no_change_is_missed_at_full_rate_and_the_last_value_is_seen(self, cache: fincache.Cache) -> None:
        process = start("-s", cache.name, "watch", "k", "--json", "-i", "0")
        lines_of(process, 1)
        for number in range(20_000):
            cache.set("k", number)
        cache.set("k", "end")
        values: list[str] = []
        while not values or values[-1] != "end":
            values += [line["value"] for line in lines_of(process, 1)]
        numbers = [int(value) for value in values[:-1]]
        assert numbers == sorted(set(numbers))
        assert finish(process, signal.SIGINT) == (ExitCode.INTERRUPTED, b"", b"")

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)])
    def test_signals_end_it_quietly(self, cache: fincache.Cache, number: int, code: ExitCode) -> None:
        process = start("-s", cache.name, "watch", "k", "--json")
        lines_of(process, 1)
        assert finish(process, number) == (code, b"", b"")

    def test_a_removed_segment_ends_it(self, name: str) -> None:
        fincache.open(name, "1MB").close()
        process = start("-s", name, "watch", "k", "--json", "-i", "0.01")
        lines_of(process, 1)
        fincache.unlink(name)
        assert finish(process) == (ExitCode.MISSING, b"", f"fincache: segment {name} was removed\n".encode())

    def test_timeout_is_exit_code_1(self, cache: fincache.Cache) -> None:
        found = call("-s", cache.name, "watch", "k", "--timeout", "0.01", "--changes-only")
        assert (found.exit_code, found.output) == (ExitCode.NO, "")

    def test_text_is_a_line_for_people(self, cache: fincache.Cache) -> None:
        cache.set("k", b"a\nb", ex=100)
        line = call("-s", cache.name, "watch", "k", "--count", "1").stdout
        entry = cache.entry("k")
        assert entry is not None
        assert f"  present  version {entry.version}  age " in line
        assert line.endswith(f'  pid {os.getpid()}  "a\\nb"\n')


class Writer:
    """A child that writes a value and stays."""

    def __init__(self, name: str, value: str) -> None:
        leave, self._leave = os.pipe()

        def write() -> None:
            os.close(self._leave)
            with fincache.attach(name) as cache:
                cache.set("k", value)
                os.read(leave, 1)

        self.child = Child(write)
        os.close(leave)

    def leave(self) -> None:
        """Lets it end, and waits."""
        os.close(self._leave)
        self.child.join()
