"""The daemon under a service manager: readiness, watchdog, reloading, activation by socket, and one daemon after another."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import fincache
from fincache.cli.exits import ExitCode
from fincache.daemon import handover
from fincache.daemon.failures import HandoverFailed
from fincache.daemon.service_lock import ServiceLock, holder_of, is_gone
from tests.conftest import SEED
from tests.daemon_process import WAIT_SECONDS_MAX, DaemonProcess, free_port


class Manager:
    """The socket on which systemd would listen."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(WAIT_SECONDS_MAX)

    def wait_for(self, start: str) -> list[str]:
        """The lines of the next message whose first line begins so."""
        while True:
            lines = self._socket.recv(4096).decode().split("\n")
            if lines[0].startswith(start):
                return lines

    def close(self) -> None:
        """Nobody listens any more."""
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """Somebody who wants to know."""
    made = Manager(tmp_path)
    yield made
    made.close()


# ------------------------------------------------------------------ sd_notify


def test_systemd_is_told_of_each_step(name: str, tmp_path: Path, manager: Manager) -> None:
    """READY when clients can connect, signs of life at half the watchdog's interval, RELOADING and READY, STOPPING."""
    environment = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"}
    with DaemonProcess(name, tmp_path, environment=environment) as process:
        ready = manager.wait_for("READY=1")
        assert ready[1].startswith(f"STATUS=serving segment {name}: 0 connections, 0 keys")
        assert process.ready().client().ping()
        for _ in range(3):
            manager.wait_for("WATCHDOG=1")
        process.process.send_signal(signal.SIGHUP)
        reloading = manager.wait_for("RELOADING=1")
        assert reloading[1].startswith("MONOTONIC_USEC=")
        manager.wait_for("READY=1")
        process.process.send_signal(signal.SIGTERM)
        assert manager.wait_for("STOPPING=1")[1] == "STATUS=draining: SIGTERM"
        assert process.join() == 0


def test_a_paused_server_is_no_dead_one(name: str, tmp_path: Path, manager: Manager) -> None:
    """CLIENT PAUSE holds up every command, and not the sign of life."""
    environment = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "200000"}
    with DaemonProcess(name, tmp_path, environment=environment) as process:
        process.ready().client().client_pause(60_000)
        for _ in range(3):
            manager.wait_for("WATCHDOG=1")
        assert process.end() == 0


# ------------------------------------------------------------------ sockets from systemd


def test_sockets_that_systemd_opened_are_served(name: str, tmp_path: Path) -> None:
    """Exactly these; host, port and path of the configuration are not opened, and their files are not removed."""
    path = tmp_path / "activated.sock"
    program = [
        sys.executable,
        "-c",
        "import os, sys\n"
        "for fd, given in zip((3, 4), sys.argv[1:3]): os.dup2(int(given), fd)\n"
        "environment = {**os.environ, 'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '2'}\n"
        "os.execve(sys.executable, [sys.executable, '-m', 'fincache', *sys.argv[3:]], environment)",
    ]
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        unix.listen()
        # Numbers out of the way of 3 and 4.
        given = [os.dup(item.fileno()) for item in (tcp, unix)]
        given += [os.dup(fd) for fd in given]
        arguments = [*program, *map(str, given[-2:])]
        with DaemonProcess(name, tmp_path, pass_fds=given[-2:], program=arguments) as process:
            process.ready()
            assert process.port == tcp.getsockname()[1]
            assert f"unix:{path}" in process.serving
            assert process.client().ping()
            assert redis.Redis(unix_socket_path=str(path)).ping()
            assert not os.path.lexists(process.unix_path)
            assert process.end() == 0
        for fd in given:
            os.close(fd)
    assert path.exists()


# ------------------------------------------------------------------ SIGHUP


def test_sighup_applies_what_can_be_applied(name: str, tmp_path: Path) -> None:
    """And names what waits for the next start; a file that is wrong changes nothing."""
    file = tmp_path / "c.yaml"
    file.write_text("server:\n  max_connections: 50\n", encoding="utf-8")
    with DaemonProcess(name, tmp_path, "--config", str(file)) as process, process.ready().client() as client:
        assert client.config_get("maxclients") == {"maxclients": "50"}
        file.write_text(
            "server:\n  max_connections: 60\n  log_level: debug\n  idle_timeout: 90s\n  unixsocket_mode: 0660\n"
            "store:\n  eviction_policy: allkeys-lru\nredis:\n  slowlog-log-slower-than: 77\n",
            encoding="utf-8",
        )
        process.process.send_signal(signal.SIGHUP)
        process.wait_for("changed, and waits for the next start")
        assert process.lines[-1].endswith("key=server.unixsocket_mode")
        process.wait_for("configuration reloaded")
        assert process.lines[-1].endswith(
            "applied=server.max_connections,server.idle_timeout,server.log_level,store.eviction_policy,slowlog-log-slower-than"
        )
        assert client.config_get("maxclients") == {"maxclients": "60"}
        assert client.config_get("timeout") == {"timeout": "90"}
        assert client.config_get("slowlog-log-slower-than") == {"slowlog-log-slower-than": "77"}
        with fincache.attach(name) as cache:
            assert cache.info().policy == "allkeys-lru"
        file.write_text("server:\n  max_connections: 70\n  prot: 1\n", encoding="utf-8")
        process.process.send_signal(signal.SIGHUP)
        process.wait_for("configuration not reloaded")
        assert "c.yaml:3: server.prot is no key; did you mean server.port?" in process.lines[-1]
        assert process.end() == 0


def test_config_rewrite_writes_what_clients_have_set(name: str, tmp_path: Path) -> None:
    """Into the file that the daemon was started with; the next start has it."""
    file = tmp_path / "c.yaml"
    file.write_text("# ours\nserver:\n  max_connections: 50 # few\n", encoding="utf-8")
    with DaemonProcess(name, tmp_path, "--config", str(file)) as process, process.ready().client() as client:
        client.config_set("maxclients", 60)
        client.config_set("slowlog-log-slower-than", 77)
        assert client.config_rewrite()
        assert process.end() == 0
    assert file.read_text(encoding="utf-8") == (
        "# ours\nserver:\n  max_connections: 60 # few\nredis:\n  slowlog-log-slower-than: 77\n"
    )
    with DaemonProcess(name, tmp_path) as process, process.ready().client() as client:
        with pytest.raises(redis.ResponseError, match="The server is running without a config file"):
            client.config_rewrite()
        assert process.end() == 0


# ------------------------------------------------------------------ one daemon after another


class Knocker:
    """Connects again and again and asks; every refusal is counted."""

    def __init__(self, port: int, path: str) -> None:
        self._addresses = [(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_UNIX, path)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answers = 0
        self.failures: list[str] = []

    def _run(self) -> None:
        while not self._stop.is_set():
            for family, address in self._addresses:
                with socket.socket(family) as knocking:
                    try:
                        knocking.settimeout(WAIT_SECONDS_MAX)
                        knocking.connect(address)
                        knocking.sendall(b"PING\r\n")
                        answer = knocking.recv(64)
                    except OSError as error:
                        self.failures.append(f"{address}: {error!r}")
                        continue
                    # A connection that the old daemon has just accepted may be closed by it: that is draining. A port that
                    # nobody serves would refuse.
                    if answer == b"+PONG\r\n":
                        self.answers += 1
                    elif answer:
                        self.failures.append(repr(answer))

    def __enter__(self) -> Knocker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def wait_for_answers(knocker: Knocker, count: int) -> None:
    """That many more."""
    enough = knocker.answers + count
    deadline_mono = time.monotonic() + WAIT_SECONDS_MAX
    while knocker.answers < enough:
        assert time.monotonic() < deadline_mono
        time.sleep(0.005)


def test_a_takeover_never_drops_the_port(name: str, tmp_path: Path) -> None:
    """Twice in a row; each old daemon drains and exits with 0, and the last one removes the socket's path."""
    with DaemonProcess(name, tmp_path) as first:
        segment_id = fincache.attach(name).info().segment_id if first.ready() else 0
        with Knocker(first.port, first.unix_path) as knocker, first.client() as client:
            client.set("a", 1)
            wait_for_answers(knocker, 20)
            with DaemonProcess(name, tmp_path, "--takeover") as second:
                second.ready()
                assert second.port == first.port
                assert f"place taken of_pid={first.process.pid}" in second.log()
                assert "another address is served key=server.port" in second.log()
                assert first.join() == 0
                assert f"place given up to_pid={second.process.pid}" in first.log()
                second.wait_for("the daemon before is gone")
                assert holder_of(name, segment_id) == second.process.pid
                wait_for_answers(knocker, 20)
                with DaemonProcess(name, tmp_path, "--takeover") as third:
                    third.ready()
                    assert second.join() == 0
                    wait_for_answers(knocker, 20)
                    assert third.client().get("a") == b"1"
                    assert holder_of(name, segment_id) == third.process.pid
                    knocker.__exit__()
                    assert third.end() == 0
        assert knocker.failures == []
        assert not os.path.lexists(first.unix_path)


def test_a_takeover_that_fails_changes_nothing(name: str, tmp_path: Path) -> None:
    """The new one cannot start: the old one goes on, is still named as the holder, and can be taken over later."""
    with DaemonProcess(name, tmp_path) as old, old.ready().client() as client:
        with DaemonProcess(name, tmp_path, "--takeover", "--set", "server.disabled_commands=NOSUCH") as new:
            assert new.join() == ExitCode.CONFIGURATION
        old.wait_for("takeover given up by the other daemon")
        assert client.ping()
        with fincache.attach(name) as cache:
            assert holder_of(name, cache.info().segment_id) == old.process.pid
        with DaemonProcess(name, tmp_path, "--takeover") as new:
            new.ready()
            assert old.join() == 0
            assert new.end() == 0


def test_a_takeover_without_anybody_is_a_start(name: str, tmp_path: Path) -> None:
    """So that a script need not look first."""
    with DaemonProcess(name, tmp_path, "--takeover") as process:
        process.ready()
        assert "nobody to take over from" in process.log()
        assert process.end() == 0


def test_sigusr2_starts_a_successor_and_tells_systemd(name: str, tmp_path: Path, manager: Manager) -> None:
    """An upgrade under systemd: MAINPID is the new process, which serves on the same sockets with the same options."""
    environment = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "10000000"}
    with DaemonProcess(name, tmp_path, environment=environment) as old, Knocker(old.ready().port, old.unix_path) as knocker:
        old.process.send_signal(signal.SIGUSR2)
        successor = int(manager.wait_for("MAINPID=")[0].removeprefix("MAINPID="))
        try:
            assert old.process.wait(WAIT_SECONDS_MAX) == 0
            manager.wait_for("READY=1")
            manager.wait_for("WATCHDOG=1")
            wait_for_answers(knocker, 20)
            knocker.__exit__()
            with redis.Redis(port=old.port) as client:
                assert client.ping()
        finally:
            os.kill(successor, signal.SIGTERM)
            old.join()  # its log ends when the successor, which writes to the same pipe, has ended
    assert knocker.failures == []
    assert f"place given up to_pid={successor}" in old.log()
    assert old.lines[-1].endswith("ended exit_code=0")


def test_a_successor_that_cannot_start_is_noticed(name: str, tmp_path: Path) -> None:
    """A file that is wrong by now: the old daemon goes on, and can try again."""
    file = tmp_path / "c.yaml"
    file.write_text("", encoding="utf-8")
    with DaemonProcess(name, tmp_path, "--config", str(file)) as process:
        process.ready()
        for _ in range(2):
            file.write_text("server:\n  prot: 1\n", encoding="utf-8")
            process.process.send_signal(signal.SIGUSR2)
            process.wait_for("successor started")
            process.wait_for("server.prot is no key")
            process.wait_for("successor ended without taking over")
        assert process.client().ping()
        assert process.end() == 0


def test_a_daemon_that_dies_while_it_hands_over_leaves_everything_to_the_new_one(name: str, tmp_path: Path) -> None:
    """Lock and sockets have arrived: nobody else can be the daemon, and clients who connect meanwhile wait in the backlog."""
    with DaemonProcess(name, tmp_path) as old:
        old.ready()
        with fincache.attach(name) as cache:
            segment_id = cache.info().segment_id
        successor = handover.Successor.ask(name, segment_id)
        assert old.end(signal.SIGKILL) == -signal.SIGKILL
        lock = ServiceLock(successor.offer.lock_fd)
        sockets = [socket.socket(fileno=fd) for fd in (successor.offer.control_fd, *successor.offer.listener_fds)]
        with pytest.raises(HandoverFailed):
            successor.confirm()
        successor.close()
        assert is_gone(old.process.pid)
        with DaemonProcess(name, tmp_path) as third:
            assert third.join() == ExitCode.SERVED
        lock.claim()
        assert holder_of(name, segment_id) == os.getpid()
        with socket.create_connection(("127.0.0.1", old.port)) as client:
            client.sendall(b"PING\r\n")
        lock.close()
        for item in sockets:
            item.close()


@pytest.mark.skipif("FC_SOAK" not in os.environ, reason="make soak runs it: a minute of kills and takeovers")
def test_soak_kills_and_takeovers_in_any_order(name: str, tmp_path: Path) -> None:
    """The next daemon starts while the killed one is still dying; no key is lost, and a strategy writes on all the time."""
    chance = random.Random(SEED)
    port = str(free_port())
    stop, beats = threading.Event(), [0]

    def strategy() -> None:
        with fincache.attach(name) as cache:
            while not stop.is_set():
                assert cache.incr("beat") == beats[0] + 1
                beats[0] += 1

    with fincache.open(name, size="16MB"), contextlib.ExitStack() as stack:
        thread = threading.Thread(target=strategy)
        thread.start()
        stack.callback(thread.join)
        stack.callback(stop.set)
        current = stack.enter_context(DaemonProcess(name, tmp_path, "--port", port)).ready()
        ends_mono = time.monotonic() + 60
        count = 0
        while time.monotonic() < ends_mono:
            with current.client() as client:
                client.set(f"k{count}", count)
                count += 1
            if chance.random() < 0.5:
                current.process.kill()
                current = stack.enter_context(DaemonProcess(name, tmp_path, "--port", port)).ready()
            else:
                before, options = current, ("--port", port, "--takeover")
                current = stack.enter_context(DaemonProcess(name, tmp_path, *options)).ready()
                assert before.join() == 0
        with current.client() as client:
            assert client.mget([f"k{number}" for number in range(count)]) == [b"%d" % number for number in range(count)]
        before_end = beats[0]
        assert current.end() == 0
        assert thread.is_alive()
        assert beats[0] > before_end
