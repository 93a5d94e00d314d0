"""The RESP server from outside: clients that are slow, greedy, many, unknown or gone, and redis-py."""

from __future__ import annotations

import resource
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import redis.asyncio
from resp_client import RespClient
from server_process import ServerProcess, serving

MIB = 1 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving("--threads", 2, "--size", 256 * MIB) as running:
        yield running


def receive(connection: socket.socket, count: int) -> bytes:
    """Exactly so many bytes."""
    data = bytearray(count)
    at = 0
    while at < count:
        got = connection.recv_into(memoryview(data)[at:])
        assert got > 0, "the server closed"
        at += got
    return bytes(data)


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_speaks_with_it(server: ServerProcess, protocol: int) -> None:
    """Values, pipelines, transactions, a lock, INFO: what a client library does by itself works."""
    client = redis.Redis(port=server.port, protocol=protocol)
    client.flushall()
    assert client.set("k", "v", ex=100)
    assert client.get("k") == b"v"
    assert client.mget("k", "none") == [b"v", None]
    with client.pipeline(transaction=False) as pipe:
        for i in range(5000):
            pipe.set(f"k{i}", i).get(f"k{i}")
        assert pipe.execute()[1::2] == [b"%d" % i for i in range(5000)]
    with client.pipeline() as pipe:
        assert pipe.incr("n").incrby("n", 4).get("n").execute() == [1, 5, b"5"]
    with client.pipeline() as pipe:
        pipe.watch("n")
        client.incr("n")
        pipe.multi()
        pipe.set("n", "lost")
        with pytest.raises(redis.WatchError):
            pipe.execute()
    assert client.info("server")["redis_version"].startswith("7.2.")
    client.close()


def test_redis_py_under_asyncio(server: ServerProcess) -> None:
    """The asynchronous client, many requests at a time."""
    import asyncio

    async def talk() -> list[object]:
        client = redis.asyncio.Redis(port=server.port)
        await client.set("a", "0")
        await asyncio.gather(*(client.incr("a") for _ in range(50)))
        value = await client.get("a")
        await client.aclose()
        return [value]

    assert asyncio.run(talk()) == [b"50"]


def test_values_of_many_megabytes_both_ways(server: ServerProcess) -> None:
    """A long request goes straight into its own buffer, a long reply straight out; neither is kept."""
    client = redis.Redis(port=server.port)
    value = bytes(range(256)) * (40 * MIB // 256)
    client.set("big", value)
    assert client.get("big") == value
    client.delete("big")
    client.close()
    assert server.resident_bytes() < 30 * MIB


@pytest.mark.parametrize("cuts", [(1,), (5000,), (40_000,), (65_536,), (130_000, 140_000), (65_600, 65_660)])
def test_long_values_cut_anywhere(server: ServerProcess, cuts: tuple[int, ...]) -> None:
    """Between reads, behind other requests, before the client goes away: what came whole is run and answered, in order."""
    value = bytes(range(256)) * 256
    requests = (b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % len(value) + value + b"\r\n") * 3 + b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
    unfinished = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$65536\r\n" + value[:20_000]
    with RespClient(server.port) as client, RespClient(server.port) as other:
        other.execute("DEL", "k")
        at = 0
        for cut in (*cuts, len(requests)):
            client.socket.sendall(requests[at:cut])
            at = cut
            assert other.execute("PING") == "PONG"
        assert [client.read() for _ in range(4)] == ["OK", "OK", "OK", value]
        client.socket.sendall(b"PING\r\n" * 3 + unfinished)
        client.socket.shutdown(socket.SHUT_WR)
        assert [client.read() for _ in range(3)] == ["PONG"] * 3
        assert other.execute("STRLEN", "k") == len(value)


def test_a_request_cut_into_single_bytes(server: ServerProcess) -> None:
    """However the network cuts it."""
    with RespClient(server.port) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$6\r\nva\r\nue\r\nGET k\r\n":
            client.socket.sendall(bytes([byte]))
        assert client.read() == "OK"
        assert client.read() == b"va\r\nue"


def test_a_client_that_does_not_read_is_not_served_further(server: ServerProcess) -> None:
    """500 MiB of replies asked for and not fetched cost a few MiB, nobody else waits, and all comes when it is fetched."""
    with RespClient(server.port) as greedy, RespClient(server.port) as other:
        other.execute("SET", "mib", b"x" * MIB)
        before = server.resident_bytes()
        greedy.socket.sendall(b"*2\r\n$3\r\nGET\r\n$3\r\nmib\r\n" * 500)
        for i in range(50):
            assert other.execute("SET", "k", i) == "OK"
        assert server.resident_bytes() - before < 20 * MIB
        expected = b"$%d\r\n" % MIB + b"x" * MIB + b"\r\n"
        for _ in range(500):
            assert receive(greedy.socket, len(expected)) == expected
        assert greedy.execute("PING") == "PONG"


def test_a_client_that_never_reads_is_closed_at_the_limit_of_its_output_buffer() -> None:
    """As in Redis, whether it is many replies or one; what is within the limit is served, and nobody else notices."""
    limit = 4 * MIB
    with serving("--threads", 1, "--size", 64 * MIB) as server, RespClient(server.port) as other:
        assert other.execute("CONFIG", "SET", "client-output-buffer-limit", "normal 4mb 0 0 replica 5 6 7") == "OK"
        told = other.execute("CONFIG", "GET", "client-output-buffer-limit")
        assert told == [b"client-output-buffer-limit", b"normal %d 0 0 slave 5 6 7 pubsub 33554432 8388608 60" % limit]
        for bad in ("normal 1 2", "none 1 2 3", "normal -1 0 0", "normal 1x 0 0", "normal 1 1 s"):
            refused = other.execute("CONFIG", "SET", "client-output-buffer-limit", bad)
            assert isinstance(refused, Exception)
            assert "buffer limit configuration" in str(refused)
        other.execute("SET", "mib", b"x" * MIB)
        before = server.resident_bytes()
        with RespClient(server.port) as greedy:
            greedy.socket.settimeout(10)
            closed = False
            try:
                greedy.socket.sendall(b"*2\r\n$3\r\nGET\r\n$3\r\nmib\r\n" * 100)
                while not closed:
                    closed = other.execute("INFO", "clients").count(b"connected_clients:1\r\n") == 1
                got = 0
                while chunk := greedy.socket.recv(MIB):
                    got += len(chunk)
                assert got < 50 * MIB
            except ConnectionError:
                closed = True
            assert closed
        with RespClient(server.port) as greedy:
            assert len(greedy.execute("MGET", *["mib"] * 3)) == 3
            greedy.send("MGET", *["mib"] * 60)
            assert greedy.socket.recv(1) == b""
        assert server.resident_bytes() - before < 5 * limit
        assert other.execute("PING") == "PONG"


def test_announcing_a_gigabyte_costs_nothing(server: ServerProcess) -> None:
    """What is announced is reserved as it comes."""
    before = server.resident_bytes()
    clients = [RespClient(server.port) for _ in range(20)]
    for client in clients:
        client.socket.sendall(b"*2\r\n$3\r\nSET\r\n$500000000\r\n" + b"x" * 100000)
    with RespClient(server.port) as other:
        assert other.execute("PING") == "PONG"
        assert server.resident_bytes() - before < 45 * MIB
        for client in clients:
            client.socket.close()
        assert other.execute("PING") == "PONG"


def test_idle_connections_cost_their_struct(server: ServerProcess) -> None:
    """A thousand of them, each having spoken once, take less than 4 KiB each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    before = server.resident_bytes()
    clients = [RespClient(server.port) for _ in range(1000)]
    for client in clients:
        assert client.execute("GET", "none") is None
    assert (server.resident_bytes() - before) / len(clients) < 4096
    for client in clients:
        client.socket.close()


def test_a_password_is_asked_for() -> None:
    """Nothing but AUTH, HELLO, QUIT and RESET before it; long requests of strangers are refused."""
    with serving("--requirepass", "secret", "--threads", 1) as server, RespClient(server.port) as client:
        assert str(client.execute("GET", "k")) == "NOAUTH Authentication required."
        assert str(client.execute("AUTH", "wrong")) == "WRONGPASS invalid username-password pair or user is disabled."
        assert str(client.execute("HELLO", 3)).startswith("NOAUTH HELLO must be called with the client already authenticated")
        assert client.execute("AUTH", "secret") == "OK"
        assert client.execute("SET", "k", "v") == "OK"
        assert client.execute("RESET") == "RESET"
        assert str(client.execute("GET", "k")) == "NOAUTH Authentication required."
        assert client.execute("HELLO", 3, "AUTH", "default", "secret")[b"proto"] == 3
        with RespClient(server.port) as stranger:
            stranger.socket.sendall(b"*11\r\n")
            assert str(stranger.read()) == "ERR Protocol error: unauthenticated multibulk length"
            with pytest.raises(EOFError):
                stranger.read()


def test_idle_clients_are_closed_by_the_timeout() -> None:
    """CONFIG SET timeout holds for connections that are there."""
    with serving("--threads", 1) as server, RespClient(server.port) as client:
        assert client.execute("CONFIG", "SET", "timeout", 1) == "OK"
        with pytest.raises(EOFError):
            client.read()


def test_a_unix_socket_has_its_mode_and_goes_with_the_server(tmp_path: Path) -> None:
    """0700 as asked for; the file is removed at the end."""
    path = tmp_path / "fincache.sock"
    with serving("--threads", 1, "--unixsocket", path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        client = redis.Redis(unix_socket_path=str(path))
        assert client.ping()
        client.close()
    assert not path.exists()
