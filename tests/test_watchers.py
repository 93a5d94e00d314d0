"""Commands about other clients, across the server's threads: CLIENT LIST, KILL, PAUSE, and MONITOR."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import redis
from resp_client import RespClient
from server_process import ServerProcess, serving

CLIENTS = 12


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving("--threads", 4, "--size", 64 << 20) as running:
        yield running


@pytest.fixture
def admin(server: ServerProcess) -> Iterator[redis.Redis]:
    client = redis.Redis(port=server.port)
    yield client
    client.client_unpause()
    client.close()


@pytest.fixture
def clients(server: ServerProcess) -> Iterator[list[redis.Redis]]:
    """One connection each, spread over the threads."""
    made = [redis.Redis(port=server.port, single_connection_client=True) for _ in range(CLIENTS)]
    yield made
    for client in made:
        client.close()


def ask(client: redis.Redis) -> None:
    """A PING on the connection that there is, without a second try on a new one."""
    assert client.connection is not None
    client.connection.send_command("PING")
    client.connection.read_response()


def test_list_tells_of_clients_of_all_threads(admin: redis.Redis, clients: list[redis.Redis]) -> None:
    """Name, database, protocol and last command of every client, whichever thread serves it."""
    for i, client in enumerate(clients):
        client.client_setname(f"reader-{i}")
        client.execute_command("SELECT", i)
    listed = {client["name"]: client for client in admin.client_list()}
    for i in range(CLIENTS):
        assert listed[f"reader-{i}"]["db"] == str(i)
        assert listed[f"reader-{i}"]["cmd"] == "select"
        assert listed[f"reader-{i}"]["addr"].startswith("127.0.0.1:")


def test_names_change_while_others_list(admin: redis.Redis, clients: list[redis.Redis]) -> None:
    """A listing never meets a freed name: names change 400 times meanwhile."""
    ends = threading.Event()

    def rename(client: redis.Redis) -> None:
        for i in range(100):
            client.client_setname("n" * (1 + i % 60))
        ends.set()

    threads = [threading.Thread(target=rename, args=(client,)) for client in clients[:4]]
    for thread in threads:
        thread.start()
    while not ends.is_set():
        assert all(set(client["name"]) <= {"n"} for client in admin.client_list() if client["name"].startswith("n"))
    for thread in threads:
        thread.join()


def test_kill_closes_clients_of_other_threads(admin: redis.Redis, clients: list[redis.Redis]) -> None:
    """They are out of the count when KILL has answered, and notice it."""
    ids = [client.client_id() for client in clients]
    assert admin.execute_command("CLIENT", "KILL", "ID", ids[0]) == 1
    assert admin.execute_command("CLIENT", "KILL", "ID", ids[0]) == 0
    assert admin.execute_command("CLIENT", "KILL", "SKIPME", "yes") == CLIENTS - 1
    assert admin.info("clients")["connected_clients"] == 1
    for client in clients:
        with pytest.raises(redis.ConnectionError):
            ask(client)


def test_a_paused_write_waits_and_a_read_does_not(admin: redis.Redis, clients: list[redis.Redis]) -> None:
    """PAUSE WRITE holds writes of all threads back until UNPAUSE; they are counted as blocked, and run then."""
    admin.client_pause(60000, all=False)
    for i, client in enumerate(clients):
        assert client.connection is not None
        client.connection.send_command("SET", f"k{i}", "v")
    deadline = time.monotonic() + 5
    while admin.info("clients")["blocked_clients"] < CLIENTS:
        assert time.monotonic() < deadline
    assert admin.get("k0") is None
    admin.client_unpause()
    for client in clients:
        assert client.connection is not None
        assert client.connection.read_response() == b"OK"
    assert admin.get("k0") == b"v"
    assert admin.info("clients")["blocked_clients"] == 0


def test_a_pause_of_everything_ends_by_itself(admin: redis.Redis, clients: list[redis.Redis]) -> None:
    """PAUSE ALL of 100 ms: a PING waits as long, not for ever."""
    started = time.monotonic()
    admin.client_pause(100)
    assert clients[0].ping()
    assert time.monotonic() - started >= 0.09


def test_monitor_sees_commands_of_all_threads(server: ServerProcess, clients: list[redis.Redis]) -> None:
    """Every command once, in its client's order; passwords are not shown; RESET ends it."""
    with (
        socket.create_connection(("127.0.0.1", server.port)) as monitor,
        monitor.makefile("rb") as lines,
        RespClient(server.port, 2) as other,
    ):
        other.execute("PING")
        monitor.sendall(b"MONITOR\r\n")
        assert lines.readline() == b"+OK\r\n"
        for i, client in enumerate(clients):
            client.set(f"key{i}", "a\x00\n")
        seen = sorted(lines.readline() for _ in clients)
        for i in range(CLIENTS):
            assert sum(b'"SET" "key%d" "a\\x00\\n"' % i in line for line in seen) == 1
        other.execute("AUTH", "secret")
        assert b'"AUTH" "(redacted)"' in lines.readline()
        monitor.sendall(b"RESET\r\n")
        while (line := lines.readline()) != b"+RESET\r\n":
            assert b'"RESET"' not in line
        clients[0].ping()
        monitor.sendall(b"PING\r\n")
        assert lines.readline() in (b"+PONG\r\n", b"")


def test_a_monitor_that_does_not_read_is_closed(admin: redis.Redis, clients: list[redis.Redis], server: ServerProcess) -> None:
    """Nobody waits for it: after some 32 MiB that it owes it is gone, and the server goes on."""
    with socket.create_connection(("127.0.0.1", server.port)) as monitor:
        monitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        monitor.sendall(b"MONITOR\r\n")
        assert monitor.recv(5) == b"+OK\r\n"
        value = b"x" * (1 << 20)
        for _ in range(60):
            clients[0].set("large", value)
        deadline = time.monotonic() + 5
        while any("O" in client["flags"] for client in admin.client_list()):
            assert time.monotonic() < deadline
    assert clients[0].get("large") == value
