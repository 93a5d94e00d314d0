"""`fincache top`: rates of two processes, frames on pipes, and what it does to a terminal."""

from __future__ import annotations

import json
import os
import pty
import shlex
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from fcntl import ioctl

import pytest
from cli_programs import FINCACHE, call, finish, loaded, program, start
from conftest import Child

import fincache
from fincache.cli.cmd_top import ENTER_SCREEN, LEAVE_SCREEN
from fincache.cli.exits import ExitCode
from fincache.cli.top_sample import Frame, Reading

SET_PERIOD_SECONDS = 0.01


class Worker:
    """A child that does `gets` gets for each set, until it is told to leave."""

    def __init__(self, name: str, gets: int) -> None:
        leave, self._leave = os.pipe()
        self._ready, ready = os.pipe()

        def work() -> None:
            os.close(self._leave)
            os.set_blocking(leave, False)
            with fincache.attach(name) as cache:
                cache.set("k", 1)
                os.write(ready, b"1")
                while True:
                    for _ in range(gets):
                        cache.get("k")
                    cache.set("k", 1)
                    time.sleep(SET_PERIOD_SECONDS)
                    try:
                        os.read(leave, 1)
                    except BlockingIOError:
                        continue
                    return

        self.child = Child(work)
        os.close(leave)
        os.close(ready)
        assert os.read(self._ready, 1) == b"1"
        os.close(self._ready)

    def leave(self) -> None:
        """Lets it end, and waits."""
        os.write(self._leave, b"1")  # closing would not do: a worker that was forked later has the other end, too
        os.close(self._leave)
        self.child.join()


class TestOnce:
    def test_two_processes_with_their_rates(self, cache: fincache.Cache) -> None:
        workers = [Worker(cache.name, 10), Worker(cache.name, 40)]
        frame = loaded(call("-s", cache.name, "top", "--once", "--json", "-i", "0.5"))
        for worker in workers:
            worker.leave()
        assert frame["segment"] == cache.name
        assert frame["interval_ns"] > 0.45e9
        by_pid = {session["pid"]: session for session in frame["sessions"]}
        slow, fast = (by_pid[worker.child.pid] for worker in workers)
        assert frame["sessions"][0] == fast
        assert (slow["live"], fast["live"]) == (True, True)
        assert slow["command"]
        assert 0 < slow["sets_per_s"] <= 1 / SET_PERIOD_SECONDS
        # Each round is so many gets and one set, and an interval may begin and end within a round.
        seconds = frame["interval_ns"] / 1e9
        for session, gets in ((slow, 10), (fast, 40)):
            assert abs(session["gets_per_s"] - gets * session["sets_per_s"]) <= (gets + 1) / seconds + 1
        assert frame["rates_per_s"]["gets"] >= fast["gets_per_s"]
        assert frame["hit_ratio"] == 1.0
        assert sum(size_class["used_bytes"] for size_class in frame["classes"]) == frame["used_bytes"]

    def test_a_killed_session_is_shown_as_dead(self, cache: fincache.Cache) -> None:
        child = Child(lambda: _die_attached(cache.name))
        child.join(killed=True)
        frame = loaded(call("-s", cache.name, "top", "--once", "--json", "-i", "0.05"))
        [dead] = [session for session in frame["sessions"] if session["pid"] == child.pid]
        assert (dead["live"], dead["command"]) == (False, None)
        assert "DEAD" in call("-s", cache.name, "top", "--once", "-i", "0.05").stdout
        cache.reap()
        assert cache.stats().recoveries == 1

    def test_top_itself_takes_no_slot(self, cache: fincache.Cache) -> None:
        frame = loaded(call("-s", cache.name, "top", "--once", "--json", "-i", "0.05"))
        assert frame["sessions"] == []


class TestFrames:
    def test_a_pipe_gets_frames_one_after_the_other(self, cache: fincache.Cache) -> None:
        found = program("-s", cache.name, "top", "-i", "0.05", "-c", "3")
        assert found.returncode == 0
        assert found.stdout.count(cache.name.encode()) == 3
        assert b"\x1b" not in found.stdout

    def test_ctrl_c_ends_it_cleanly(self, cache: fincache.Cache) -> None:
        process = start("-s", cache.name, "top", "-i", "0.05", "--json")
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["segment"] == cache.name
        code, _, errors = finish(process, signal.SIGINT)
        assert (code, errors) == (ExitCode.INTERRUPTED, b"")

    def test_a_counter_that_falls_is_no_negative_rate(self, cache: fincache.Cache) -> None:
        first = Reading.take(cache)
        cache.get("k")
        second = Reading.take(cache)
        assert Frame.between(second, first).rates["gets"] == 0
        assert Frame.between(first, second).rates["gets"] > 0


class TestTerminal:
    def test_the_screen_is_taken_resized_and_given_back_by_q(self, cache: fincache.Cache) -> None:
        terminal = Terminal(cache.name, columns=100)
        terminal.read_until(b"COMMAND")
        before = terminal.text
        terminal.resize(40)
        terminal.read_until(b"q quits")
        picture = terminal.text[len(before) :].rpartition(b"\x1b[H")[2]
        assert max(len(line.replace(b"\x1b[K", b"").rstrip()) for line in picture.split(b"\n")) <= 40
        terminal.type(b"q")
        assert terminal.wait() == 0
        assert terminal.text.count(ENTER_SCREEN.encode()) == terminal.text.count(LEAVE_SCREEN.encode()) == 1
        assert terminal.is_as_before()

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)])
    def test_signals_give_it_back(self, cache: fincache.Cache, number: int, code: ExitCode) -> None:
        terminal = Terminal(cache.name)
        terminal.read_until(b"COMMAND")
        terminal.process.send_signal(number)
        assert terminal.wait() == code
        assert terminal.text.endswith(LEAVE_SCREEN.encode())
        assert terminal.is_as_before()

    def test_ctrl_z_lends_it_to_the_shell(self, cache: fincache.Cache) -> None:
        # A shell with job control: the kernel stops nobody whose parent could not wake it again.
        script = "{}; echo stopped $?; stty -a | grep -c -e -icanon; fg; echo ended $?"
        terminal = Terminal(cache.name, lambda command: ["bash", "-mc", script.format(shlex.join(command))])
        terminal.read_until(ENTER_SCREEN.encode())
        terminal.read_until(b"COMMAND")
        terminal.type(b"\x1a")
        terminal.read_until(LEAVE_SCREEN.encode())
        terminal.read_until(b"stopped 148\r\n0\r\n")
        terminal.read_until(ENTER_SCREEN.encode())
        terminal.read_until(b"COMMAND")
        terminal.type(b"q")
        terminal.read_until(b"ended 0")
        assert terminal.wait() == 0
        assert terminal.is_as_before()


class Terminal:
    """`top` on a terminal of its own."""

    def __init__(self, name: str, wrap: Callable[[list[str]], list[str]] = list, columns: int = 120) -> None:
        self._master, slave = pty.openpty()
        self._slave = slave
        self.resize(columns)
        self._before = termios.tcgetattr(slave)
        environment = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "LINES"}}
        command = [*FINCACHE, "-s", name, "top", "-i", "0.2"]
        self.process = subprocess.Popen(
            wrap(command), stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=environment, preexec_fn=self._take
        )
        self.text = b""
        self._seen = 0

    def _take(self) -> None:
        ioctl(0, termios.TIOCSCTTY, 0)

    def resize(self, columns: int) -> None:
        """Sets the size; the kernel sends SIGWINCH."""
        ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))

    def read_until(self, mark: bytes) -> None:
        """Reads up to a text behind the last one that was waited for."""
        while (found := self.text.find(mark, self._seen)) < 0:
            self.text += os.read(self._master, 1 << 16)
        self._seen = found + len(mark)

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def wait(self) -> int:
        """Reads to the end; the exit code."""
        code = self.process.wait(60)
        os.set_blocking(self._master, False)
        try:
            while piece := os.read(self._master, 1 << 16):
                self.text += piece
        except OSError:
            pass  # nothing left
        return code

    def is_as_before(self) -> bool:
        """Whether its settings are those that `top` found."""
        return termios.tcgetattr(self._slave) == self._before


def _die_attached(name: str) -> None:
    cache = fincache.attach(name)
    cache.set("k", "v")
    os.kill(os.getpid(), signal.SIGKILL)
