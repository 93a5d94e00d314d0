"""`fincache serve` as a real process: start, both doors to the same keys, signals, kill -9 and a new start, errors, logs."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

import fincache
from fincache.cli.exits import ExitCode
from tests.conftest import Child
from tests.daemon_process import DaemonProcess, free_port


@pytest.fixture
def daemon(name: str, tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon that serves."""
    with DaemonProcess(name, tmp_path) as process:
        yield process.ready()


def wait_until(is_true: Callable[[], bool], seconds_max: float = 30) -> None:
    """Looks again and again; a watchdog, not a measurement."""
    deadline_mono = time.monotonic() + seconds_max
    while not is_true():
        assert time.monotonic() < deadline_mono, "it did not come about"
        time.sleep(0.01)


# ------------------------------------------------------------------ serving


def test_both_doors_lead_to_the_same_keys(name: str, daemon: DaemonProcess) -> None:
    """What a strategy sets in-process is there for a Redis client at once, by TCP and UNIX socket, and the other way round."""
    with fincache.attach(name) as cache, daemon.client() as client, redis.Redis(unix_socket_path=daemon.unix_path) as local:
        assert client.ping()
        assert local.ping()
        cache.set("a", 1)
        assert client.get("a") == local.get("a") == b"1"
        client.set("b", "2")
        local.set("c", "3")
        assert cache.mget("b", "c") == [b"2", b"3"]
        address = {"bind": "127.0.0.1", "port": str(daemon.port), "unixsocket": daemon.unix_path, "unixsocketperm": "600"}
        assert client.config_get("bind", "port", "unixsocket", "unixsocketperm") == address
    assert stat.S_IMODE(Path(daemon.unix_path).stat().st_mode) == 0o600


def test_the_banner_says_what_is_served(name: str, daemon: DaemonProcess) -> None:
    """One line: version, pid, segment, size, policy, threads, addresses."""
    fields = dict(field.split("=", 1) for field in daemon.serving.split(" serving ")[1].split())
    assert fields == {
        "version": fincache.__version__,
        "pid": str(daemon.process.pid),
        "segment": name,
        "segment_size": "4MB",
        "policy": "noeviction",
        "keys": "0",
        "threads": "2",
        "max_connections": "10000",
        "listening": f"127.0.0.1:{daemon.port},unix:{daemon.unix_path}",
    }


def test_expired_keys_and_dead_sessions_go_by_themselves(name: str, daemon: DaemonProcess) -> None:
    """Nobody reads the keys, and nobody runs into the dead: the daemon gives both back."""
    with fincache.attach(name) as cache:
        for number in range(1000):
            cache.set(number, "v", px=20)

        def die() -> None:
            with fincache.attach(name) as other:
                other.set("a", 1)
                os.kill(os.getpid(), signal.SIGKILL)

        Child(die).join(killed=True)
        wait_until(lambda: cache.dbsize() == 1)
        assert cache.stats().expired > 0
        wait_until(lambda: cache.stats().recoveries == 1)
    assert daemon.process.poll() is None


def test_expired_keys_stay_when_told_so(name: str, tmp_path: Path) -> None:
    """store.ttl_enabled: they read as missing, and their memory waits."""
    with DaemonProcess(name, tmp_path, environment={"FINCACHE_TTL_ENABLED": "false"}) as process, fincache.open(name) as cache:
        process.ready()
        cache.set("a", 1, px=1)
        time.sleep(0.3)
        assert (cache.get("a"), cache.stats().expired) == (None, 0)


# ------------------------------------------------------------------ ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_leaves_the_segment(name: str, daemon: DaemonProcess, number: signal.Signals) -> None:
    """Exit code 0, no socket file, every key there for the next start."""
    with daemon.client() as client:
        client.set("a", 1)
        assert daemon.end(number) == 0
    assert not os.path.lexists(daemon.unix_path)
    assert "stopping reason=" + number.name in daemon.log()
    assert daemon.lines[-1].endswith(" ended exit_code=0")
    with fincache.attach(name) as cache:
        assert cache.get("a") == b"1"
        assert [session.pid for session in cache.sessions()] == [os.getpid()]


def test_a_stop_removes_the_segment_when_told_so(name: str, tmp_path: Path) -> None:
    """--remove."""
    with DaemonProcess(name, tmp_path, "--remove") as process:
        process.ready()
        assert process.end() == 0
    assert f"segment removed segment={name}" in process.log()
    with pytest.raises(fincache.SegmentMissing):
        fincache.attach(name)


def test_shutdown_by_a_client_is_a_stop(name: str, daemon: DaemonProcess) -> None:
    """It drains and leaves the segment; the client sees the end of its connection."""
    with socket.create_connection(("127.0.0.1", daemon.port)) as client:
        client.sendall(b"SHUTDOWN NOSAVE\r\n")
        assert client.recv(100) == b""
    assert daemon.join() == 0
    assert "shutdown asked for" in daemon.log()
    with fincache.attach(name) as cache:
        assert cache.dbsize() == 0


def test_a_second_signal_ends_at_once(name: str, tmp_path: Path) -> None:
    """While a client that does not read its replies holds up the draining."""
    with DaemonProcess(name, tmp_path, "--max-memory", "16MB", "--set", "server.shutdown_grace=60s") as process:
        with process.ready().client() as client:
            client.set("a", b"x" * 4_000_000)
        with socket.create_connection(("127.0.0.1", process.port)) as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.sendall(b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n" * 8)
            assert deaf.recv(1) == b"$"
            process.process.send_signal(signal.SIGTERM)
            process.wait_for("stopping reason=SIGTERM")
            assert process.end(signal.SIGTERM) == ExitCode.TERMINATED
    assert "stopped at once signal=SIGTERM" in process.log()
    assert not os.path.lexists(process.unix_path)


def test_replies_that_are_owed_are_written_before_the_end(name: str, daemon: DaemonProcess) -> None:
    """A client that reads slowly gets all of a large reply."""
    with daemon.client() as client:
        client.set("a", b"x" * 1_000_000)
    with socket.create_connection(("127.0.0.1", daemon.port)) as slow:
        slow.sendall(b"GET a\r\nPING\r\n")
        assert slow.recv(1) == b"$"
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait_for("stopping")
        received = bytearray(b"$")
        while data := slow.recv(65536):
            received += data
    assert bytes(received) == b"$1000000\r\n" + b"x" * 1_000_000 + b"\r\n+PONG\r\n"
    assert daemon.join() == 0
    assert "dropped=0" in daemon.log()


def test_a_removed_segment_ends_the_daemon(name: str, daemon: DaemonProcess) -> None:
    """It would serve what no strategy can see; a new start makes a new segment."""
    fincache.unlink(name)
    assert daemon.join() == ExitCode.FAILED
    assert "segment was removed by somebody" in daemon.log()


def test_a_request_that_was_sent_before_the_end_is_answered(name: str, daemon: DaemonProcess) -> None:
    """It was on its way when the signal came: the client gets its answer, and then the end of the connection, not a reset."""
    with socket.create_connection(("127.0.0.1", daemon.port)) as client:
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait_for("stopping")
        client.sendall(b"PING\r\n")
        assert client.recv(100) == b"+PONG\r\n"
        assert client.recv(100) == b""
    assert daemon.join() == 0


# ------------------------------------------------------------------ timeouts


def test_who_keeps_the_server_waiting_is_shut_out_and_who_is_idle_is_not(name: str, tmp_path: Path) -> None:
    """A request that does not come to an end (read_timeout), replies that nobody takes (write_timeout)."""
    options = [
        "--max-memory",
        "16MB",
        "--set",
        "server.read_timeout=200ms",
        "--set",
        "server.write_timeout=200ms",
        "--log-level",
        "debug",
    ]
    with DaemonProcess(name, tmp_path, *options) as process, process.ready().client() as client:
        client.set("a", b"x" * 4_000_000)
        address = ("127.0.0.1", process.port)
        with (
            socket.create_connection(address) as idle,
            socket.create_connection(address) as half,
            socket.create_connection(address) as deaf,
        ):
            idle.sendall(b"PING\r\n")
            half.sendall(b"PING\r\n*2\r\n$3\r\nGET\r\n$1")
            deaf.sendall(b"GET a\r\n" * 8)
            assert idle.recv(100) == half.recv(100) == b"+PONG\r\n"
            half.settimeout(30)
            assert half.recv(100) == b""
            process.wait_for("write-timeout-ms")
            idle.sendall(b"PING\r\n")
            assert idle.recv(100) == b"+PONG\r\n"
        assert client.ping()
        assert process.end() == 0
    assert "read-timeout-ms" in process.log()


# ------------------------------------------------------------------ kill -9


def test_kill_9_and_a_new_start_lose_nothing_and_disturb_nobody(name: str, tmp_path: Path) -> None:
    """P9: every key is there, a strategy that writes all the time does not notice, and the socket's path is taken again."""
    with DaemonProcess(name, tmp_path) as first:
        with first.ready().client() as client:
            client.mset({f"k{number}": number for number in range(1000)})
        stop, beats = threading.Event(), []

        def strategy() -> None:
            with fincache.attach(name, timeout_ms=50) as cache:
                while not stop.is_set():
                    beats.append(cache.incr("beat"))

        thread = threading.Thread(target=strategy)
        thread.start()
        try:
            wait_until(lambda: len(beats) > 100)
            assert first.end(signal.SIGKILL) == -signal.SIGKILL
            after_kill = len(beats)
            wait_until(lambda: len(beats) > after_kill + 100)
            with DaemonProcess(name, tmp_path) as second, second.ready().client() as client:
                assert "keys=1001" in second.serving
                assert client.mget([f"k{number}" for number in range(1000)]) == [b"%d" % number for number in range(1000)]
                seen = int(client.get("beat") or 0)
                wait_until(lambda: int(client.get("beat") or 0) > seen)
                assert redis.Redis(unix_socket_path=second.unix_path).ping()
                assert second.end() == 0
        finally:
            stop.set()
            thread.join()
    assert beats == list(range(1, len(beats) + 1))


# ------------------------------------------------------------------ what keeps it from serving


def refused(name: str, folder: Path, *options: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit code and last line of a daemon that cannot serve."""
    with DaemonProcess(name, folder, *options, environment=environment) as process:
        code = process.join()
        return code, process.lines[-1]


def test_a_port_in_use_names_who_is_there(name: str, tmp_path: Path) -> None:
    """By command and pid."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        code, line = refused(name, tmp_path, "--port", str(port))
    assert code == ExitCode.ADDRESS_IN_USE
    assert f"(pid {os.getpid()})" in line
    assert str(port) in line


def test_a_path_in_use_names_who_is_there(name: str, tmp_path: Path) -> None:
    """A socket that somebody listens on is not taken away from them."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s.sock"))
        listening.listen()
        code, line = refused(name, tmp_path)
    assert code == ExitCode.ADDRESS_IN_USE
    assert f"(pid {os.getpid()})" in line


def test_a_second_daemon_is_refused_and_told_who_the_first_is(name: str, tmp_path: Path, daemon: DaemonProcess) -> None:
    """Whatever port it wants."""
    code, line = refused(name, tmp_path / "..", "--unixsocket", "none")
    assert code == ExitCode.SERVED
    assert f"segment {name} is served by another daemon, pid {daemon.process.pid}" in line


def test_of_two_that_start_at_once_one_serves(name: str, tmp_path: Path) -> None:
    """The other one is refused, whoever was first."""
    (tmp_path / "b").mkdir()
    with DaemonProcess(name, tmp_path) as one, DaemonProcess(name, tmp_path / "b") as two:
        wait_until(lambda: one.process.poll() is not None or two.process.poll() is not None)
        first, second = (one, two) if one.process.poll() is None else (two, one)
        assert second.join() == ExitCode.SERVED
        assert f"pid {first.process.pid}" in second.lines[-1]
        assert first.ready().client().ping()
        assert first.end() == 0


def test_a_missing_segment_is_not_created_when_told_so(name: str, tmp_path: Path) -> None:
    """--no-create."""
    code, line = refused(name, tmp_path, "--no-create")
    assert code == ExitCode.MISSING
    assert "no segment of that name" in line


def test_an_object_that_is_no_segment_is_left_alone(name: str, tmp_path: Path) -> None:
    """Nor one of another version: the library's words, an exit code of its own."""
    file = Path(f"/dev/shm/fincache.{name}")
    file.write_bytes(b"x" * 65536)
    code, line = refused(name, tmp_path)
    assert code == ExitCode.UNUSABLE
    assert "not a FinCache segment" in line
    assert file.read_bytes() == b"x" * 65536


def test_a_path_that_is_too_long_is_refused(name: str, tmp_path: Path) -> None:
    """The kernel takes 107 bytes."""
    code, line = refused(name, tmp_path, "--unixsocket", str(tmp_path / ("x" * 108)))
    assert code == ExitCode.PATH_TOO_LONG
    assert "107 bytes" in line


@pytest.mark.parametrize(
    ("options", "environment", "code", "text"),
    [
        (["--port", "70000"], {}, ExitCode.CONFIGURATION, "--port: server.port is '70000': it is out of range"),
        (["--host", "0.0.0.0"], {}, ExitCode.ADDRESS_REFUSED, "protected mode refuses that"),
        ([], {"FINCACHE_EVICTION_POLICY": "volatile-lru"}, ExitCode.CONFIGURATION, "this version does not have it yet"),
        (["--set", "server.disabled_commands=NOSUCH"], {}, ExitCode.CONFIGURATION, "there is no command NOSUCH"),
        (["--unixsocket", "/no/such/folder/s.sock"], {}, ExitCode.FAILED, "/no/such/folder/s.sock"),
        (["--host", "no.such.host.invalid"], {"FINCACHE_REQUIREPASS": "x"}, ExitCode.USAGE, "no.such.host.invalid"),
    ],
)
def test_a_wrong_configuration_is_refused(
    name: str, tmp_path: Path, options: list[str], environment: dict[str, str], code: int, text: str
) -> None:
    """With one clear line."""
    found, line = refused(name, tmp_path, *options, environment=environment)
    assert found == code
    assert text in line


# ------------------------------------------------------------------ logs, passwords


def test_every_line_of_the_json_log_is_an_object(name: str, tmp_path: Path) -> None:
    """With time, level and event; what is not used yet is a warning."""
    environment = {"FINCACHE_API_PORT": "9999"}
    with DaemonProcess(name, tmp_path, "--log-format", "json", environment=environment) as process:
        process.wait_for('"event":"serving"')
        assert process.end() == 0
        events = [json.loads(line) for line in process.lines]
    assert all({"time", "level", "event"} <= event.keys() for event in events)
    (unused,) = [event for event in events if event["event"] == "not used yet"]
    assert (unused["level"], unused["key"], unused["set_by"]) == ("warning", "api.port", "FINCACHE_API_PORT")
    (serving,) = [event for event in events if event["event"] == "serving"]
    assert serving["threads"] == 2


def test_a_password_lets_in_who_knows_it_and_is_logged_nowhere(name: str, tmp_path: Path) -> None:
    """From the environment."""
    with DaemonProcess(name, tmp_path, "--log-level", "debug", environment={"FINCACHE_REQUIREPASS": "s3cret"}) as process:
        process.ready()
        with process.client() as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with process.client(password="s3cret") as client:
            assert client.ping()
            client.config_set("requirepass", "an0ther")
        assert process.end() == 0
    assert "parameter set by a client" in process.log()
    assert "s3cret" not in process.log()
    assert "an0ther" not in process.log()


def test_an_adopted_segment_keeps_what_it_was_created_with(name: str, tmp_path: Path) -> None:
    """And a warning says so; its policy alone is changed, if somebody set it."""
    with fincache.open(name, size="8MB", policy="allkeys-random") as cache:
        with DaemonProcess(name, tmp_path) as process:
            process.ready()
            assert "key=store.max_memory configured=4MB segment_has=8MB" in process.log()
            assert cache.info().policy == "allkeys-random"
            assert process.end() == 0
        with DaemonProcess(name, tmp_path, "--eviction-policy", "lru") as process:
            assert "policy=allkeys-lru" in process.ready().serving
            assert cache.info().policy == "allkeys-lru"


def test_a_free_port_is_free() -> None:
    """The helper of these tests."""
    with socket.create_server(("127.0.0.1", free_port())):
        pass
