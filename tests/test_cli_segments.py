"""`fincache create`, `ls`, `stat`, `rm`, and how a command finds its segment."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_programs import call, loaded
from conftest import SHM, Child

import fincache
from fincache.cli.exits import ExitCode

NewName = Callable[[], str]


class TestCreate:
    def test_options_reach_the_segment(self, name: str) -> None:
        found = loaded(
            call(
                *("create", name, "--size", "8MB", "--policy", "allkeys-lru", "--keys", "1000", "--item-bytes", "500"),
                *("--databases", "4", "--sessions-max", "20", "--value-bytes-max", "1MB", "--mode", "640", "--json"),
            )
        )
        assert found["size_bytes"] == 8 << 20
        assert (found["policy"], found["keys_configured"], found["databases"]) == ("allkeys-lru", 1000, 4)
        assert (found["sessions_max"], found["value_bytes_max"], found["mode"]) == (20, 1 << 20, "0640")
        assert stat.S_IMODE((SHM / f"fincache.{name}").stat().st_mode) == 0o640

    def test_a_second_time_is_refused_unless_if_missing(self, cache: fincache.Cache) -> None:
        cache.set("k", "v")
        found = call("create", cache.name)
        assert found.exit_code == ExitCode.IN_USE
        assert "--if-missing" in found.stderr
        assert call("create", cache.name, "--if-missing").exit_code == 0
        assert cache.get("k") == b"v"

    def test_the_name_may_come_from_the_option_or_the_environment(
        self, new_name: NewName, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = new_name(), new_name()
        assert call("-s", first, "create", "-b", "1MB").exit_code == 0
        monkeypatch.setenv("FINCACHE_SEGMENT", second)
        assert call("create", "-b", "1MB").exit_code == 0
        assert {first, second} <= set(fincache.segments())

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (["bad name"], ExitCode.USAGE),
            (["x" * 80], ExitCode.USAGE),
            (["n", "--size", "much"], ExitCode.USAGE),
            (["n", "--size", "1KB"], ExitCode.USAGE),
            (["n", "--size", "60TB"], ExitCode.USAGE),
            (["n", "--size", "200GB"], ExitCode.FULL),
            (["n", "--mode", "9"], ExitCode.USAGE),
            (["n", "--mode", "1777"], ExitCode.USAGE),
            (["n", "--group", "no-such-group"], ExitCode.USAGE),
            (["n", "--policy", "wish"], ExitCode.USAGE),
            (["n", "--databases", "64"], ExitCode.USAGE),
        ],
    )
    def test_what_is_not_allowed_has_a_code_and_leaves_nothing(self, name: str, arguments: list[str], code: ExitCode) -> None:
        wanted = [name if argument == "n" else argument for argument in arguments]
        found = call("create", *wanted)
        assert (found.exit_code, found.stdout) == (code, "")
        assert name not in fincache.segments()


class TestWhichSegment:
    def test_without_a_name_the_only_one_is_meant(self, cache: fincache.Cache, monkeypatch: pytest.MonkeyPatch) -> None:
        cache.set("k", "v")
        monkeypatch.setattr(fincache, "segments", lambda: [cache.name])
        assert call("get", "k").stdout == "v"

    def test_several_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fincache, "segments", lambda: ["a", "b"])
        found = call("get", "k")
        assert found.exit_code == ExitCode.USAGE
        assert "there are 2 segments: a, b. Name one with -s, or in FINCACHE_SEGMENT." in found.stderr

    def test_none_is_said_with_how_to_create_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fincache, "segments", list)
        found = call("get", "k")
        assert found.exit_code == ExitCode.MISSING
        assert "fincache create NAME" in found.stderr

    def test_the_option_goes_before_the_environment(self, cache: fincache.Cache, monkeypatch: pytest.MonkeyPatch) -> None:
        cache.set("k", "v")
        monkeypatch.setenv("FINCACHE_SEGMENT", "another")
        assert call("get", "-s", cache.name, "k").stdout == "v"
        assert call("get", "k").exit_code == ExitCode.MISSING


class TestLs:
    def test_segments_are_listed_with_what_they_hold(self, cache: fincache.Cache) -> None:
        cache.mset({"a": 1, "b": 2})
        [found] = [row for row in loaded(call("ls", "--json")) if row["name"] == cache.name]
        assert (found["usable"], found["keys"], found["sessions"], found["size_bytes"]) == (True, 2, 1, 4 << 20)
        [line] = [line for line in call("ls").stdout.splitlines() if line.startswith(cache.name)]
        assert line.split()[1:5] == ["rw-------", f"{_user()}:{_group()}", "4.0", "MiB"]

    def test_an_object_that_is_no_segment_is_listed_as_such(self, name: str) -> None:
        (SHM / f"fincache.{name}").write_bytes(b"something else")
        [found] = [row for row in loaded(call("ls", "--json")) if row["name"] == name]
        assert found["usable"] is False
        assert "not a FinCache segment" in found["problem"]
        listing = call("ls")
        assert "unusable" in next(line for line in listing.stdout.splitlines() if line.startswith(name))
        assert f"fincache: {name}: " in listing.stderr


class TestStat:
    def test_json_has_all_that_is_known(self, cache: fincache.Cache) -> None:
        cache.set("k", "v")
        cache.db(3).set("k", "v")
        cache.get("k")
        cache.get("absent")
        found = loaded(call("stat", cache.name, "--json"))
        assert found["segment"]["segment_id"] == f"{cache.info().segment_id:016x}"
        assert found["databases"] == [{"db": 0, "keys": 1}, {"db": 3, "keys": 1}]
        assert (found["stats"]["gets"], found["stats"]["hit_ratio"]) == (2, 0.5)
        assert sum(size_class["used_bytes"] for size_class in found["classes"]) == found["stats"]["used_bytes"]
        [session] = found["sessions"]
        assert (session["pid"], session["live"], session["sets"]) == (os.getpid(), True, 2)
        assert session["command"]

    def test_text_says_the_same(self, cache: fincache.Cache) -> None:
        cache.set("k", "v")
        text = call("stat", cache.name).stdout
        for word in ("noeviction", "4.0 MiB", "0: 1 keys", "sessions (1 of 16)", str(os.getpid())):
            assert word in text

    def test_a_process_that_only_reads_is_seen_as_one_that_maps(self, cache: fincache.Cache) -> None:
        with Reader(cache.name) as pid:
            found = loaded(call("stat", cache.name, "--json"))
        assert pid in [process["pid"] for process in found["processes"]]
        assert pid not in [session["pid"] for session in found["sessions"]]

    def test_a_session_of_another_pid_namespace_is_not_taken_for_a_process_here(self, cache: fincache.Cache) -> None:
        """There it is pid 2; here that is a thread of the kernel."""
        code = "import fincache, sys; c = fincache.attach(sys.argv[1]); c.set('k', 1); print(flush=True); sys.stdin.read()"
        command = ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", '"$@"; true', "sh"]
        command += [sys.executable, "-c", code, cache.name]
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except FileNotFoundError:
            pytest.skip("there is no unshare")
        assert process.stdout is not None
        if process.stdout.readline() != b"\n":
            pytest.skip(f"no new PID namespace: {process.communicate()[1].decode()}")
        found = loaded(call("stat", cache.name, "--json"))
        process.communicate(b"")
        [session] = found["sessions"]
        assert (session["pid"], session["live"], session["command"]) == (2, True, None)


class TestRm:
    def test_an_unused_segment_goes(self, new_name: NewName) -> None:
        names = [new_name(), new_name()]
        for name in names:
            fincache.open(name, "1MB").close()
        assert call("rm", *names).exit_code == 0
        assert not set(names) & set(fincache.segments())

    @pytest.mark.parametrize("readonly", [True, False])
    def test_a_segment_in_use_stays_and_its_users_are_named(self, name: str, readonly: bool) -> None:
        fincache.open(name, "1MB").close()
        with Reader(name, readonly) as pid:
            found = call("rm", name)
            assert found.exit_code == ExitCode.IN_USE
            assert f"segment {name} is in use by {pid} (" in found.stderr
            assert name in fincache.segments()
            assert call("rm", "--force", name).exit_code == 0
        assert name not in fincache.segments()

    def test_a_killed_user_does_not_hold_it(self, name: str) -> None:
        fincache.open(name, "1MB").close()
        child = Child(lambda: _use_and_die(name))
        child.join(killed=True)
        assert call("rm", name).exit_code == 0

    def test_the_others_go_when_one_is_missing(self, name: str) -> None:
        fincache.open(name, "1MB").close()
        found = call("rm", "no-such-segment", name)
        assert found.exit_code == ExitCode.MISSING
        assert name not in fincache.segments()

    def test_a_foreign_object_needs_force(self, name: str) -> None:
        path = SHM / f"fincache.{name}"
        path.write_bytes(b"something else")
        assert call("rm", name).exit_code == ExitCode.UNUSABLE
        assert path.exists()
        assert call("rm", "-f", name).exit_code == 0
        assert not path.exists()

    def test_a_truncated_segment_goes(self, name: str) -> None:
        fincache.open(name, "1MB").close()
        os.truncate(SHM / f"fincache.{name}", 8192)
        assert call("rm", name).exit_code == 0
        assert not [path for path in SHM.iterdir() if name in path.name]


class Reader:
    """A child that is attached for the length of a block."""

    def __init__(self, name: str, readonly: bool = True) -> None:
        self._ready, ready = os.pipe()
        leave, self._leave = os.pipe()

        def read() -> None:
            os.close(self._leave)
            with fincache.attach(name, readonly=readonly) as cache:
                cache.get("k")
                os.write(ready, b"1")
                os.read(leave, 1)

        self._child = Child(read)
        os.close(ready)
        os.close(leave)

    def __enter__(self) -> int:
        assert os.read(self._ready, 1) == b"1"
        return self._child.pid

    def __exit__(self, *_: object) -> None:
        os.close(self._leave)
        self._child.join()
        os.close(self._ready)


def _use_and_die(name: str) -> None:
    cache = fincache.attach(name)
    cache.set("k", "v")
    os.kill(os.getpid(), 9)


def _user() -> str:
    return Path("/dev/shm").owner() if os.geteuid() == 0 else Path.home().owner()


def _group() -> str:
    return Path("/dev/shm").group() if os.geteuid() == 0 else Path.home().group()
