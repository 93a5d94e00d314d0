"""Malformed requests: what redis-server answers and whom it closes, byte for byte, and nobody else notices.

CASES holds each kind once, and both servers must do what it says; what FinCache means to do otherwise is in DIFFERENCES. A
connection that stays open is proved open: the case's second part completes the request, and is answered.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from resp_client import RespClient
from server_process import ServerProcess, serving

MIB = 1 << 20
PING = b"*1\r\n$4\r\nPING\r\n"
PONG = b"+PONG\r\n"
SET = b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n"
COUNT = b"-ERR Protocol error: invalid multibulk length\r\n"
BULK = b"-ERR Protocol error: invalid bulk length\r\n"
QUOTES = b"-ERR Protocol error: unbalanced quotes in request\r\n"


def expected(got: bytes) -> bytes:
    return b"-ERR Protocol error: expected '$', got '" + got + b"'\r\n"


def unknown(name: bytes, *arguments: bytes) -> bytes:
    shown = b"".join(b"'" + argument + b"' " for argument in arguments)
    return b"-ERR unknown command '" + name + b"', with args beginning with: " + shown + b"\r\n"


@dataclass(frozen=True)
class Malformed:
    """Bytes, and what comes back until the connection is closed; with `then`, it is open, and these bytes are answered, too."""

    name: str
    data: bytes
    reply: bytes
    then: bytes | None = None


def noise(seed: int) -> bytes:
    """Bytes of all kinds but those that mean something in a line: NUL, quotes, line ends, spaces, and an asterisk in front."""
    chosen = random.Random(seed).choices(sorted(set(range(256)) - set(b"\0\"'*\t\n\v\f\r ")), k=100)
    return bytes(chosen)


CASES = [
    Malformed("an argument that is a simple string", b"*1\r\n+PING\r\n", expected(b"+")),
    Malformed("an integer in the place of an argument", b"*2\r\n$3\r\nGET\r\n:1\r\n", expected(b":")),
    Malformed("an argument without its length", b"*1\r\n\r\n", expected(b" ")),
    Malformed("a reply where a request should be", b"+PING\r\n", unknown(b"+PING"), then=b""),
    Malformed("a bulk string where a request should be", b"$4\r\nPING\r\n", unknown(b"$4") + PONG, then=b""),
    Malformed("an attribute of RESP3", b"|1\r\nPING\r\n", unknown(b"|1") + PONG, then=b""),
    Malformed("a negative count", b"*-10\r\n" + PING, PONG, then=b""),
    Malformed("a null array", b"*-1\r\n" + PING, PONG, then=b""),
    Malformed("an empty array", b"*0\r\n" + PING, PONG, then=b""),
    Malformed("a count beyond 32 bits", b"*3000000000\r\n", COUNT),
    Malformed("a count beyond 64 bits", b"*99999999999999999999\r\n", COUNT),
    Malformed("a count that is no number", b"*blabla\r\n", COUNT),
    Malformed("a count that is empty", b"*\r\n", COUNT),
    Malformed("a count after a space", b"* 1\r\n", COUNT),
    Malformed("a count with a plus", b"*+1\r\n", COUNT),
    Malformed("a count with a zero in front", b"*01\r\n", COUNT),
    Malformed("a count without end", b"*" + b"1" * 65536, b"-ERR Protocol error: too big mbulk count string\r\n"),
    Malformed("a null argument", b"*2\r\n$3\r\nGET\r\n$-1\r\n", BULK),
    Malformed("a negative length", SET[:-7] + b"$-10\r\n", BULK),
    Malformed("a length above the limit", b"*2\r\n$3\r\nGET\r\n$536870913\r\n", BULK),
    Malformed("a gigabyte announced", b"*2\r\n$3\r\nGET\r\n$1073741824\r\n", BULK),
    Malformed("a length beyond 64 bits", b"*2\r\n$3\r\nGET\r\n$99999999999999999999\r\n", BULK),
    Malformed("a length that is no number", b"*2\r\n$3\r\nGET\r\n$blabla\r\n", BULK),
    Malformed("a length that is empty", b"*1\r\n$\r\n", BULK),
    Malformed("a length with a zero in front", b"*1\r\n$04\r\n", BULK),
    Malformed("a length with a plus", b"*1\r\n$+4\r\n", BULK),
    Malformed("a length without end", b"*1\r\n$" + b"1" * 65536, b"-ERR Protocol error: too big bulk count string\r\n"),
    Malformed("two other bytes in place of CRLF behind an argument", b"*1\r\n$4\r\nPINGxx" + PING, PONG + PONG, then=b""),
    Malformed("another byte in place of LF behind a length", b"*1\rx$4\rxPING\r\n", PONG, then=b""),
    Malformed("LF alone", b"*1\n$4\nPING\n\r\n", COUNT),
    Malformed("an argument longer than announced", b"*1\r\n$3\r\nPING\r\n", unknown(b"PIN"), then=b""),
    Malformed(
        "an argument shorter than announced", b"*1\r\n$5\r\nPING\r\n", unknown(b"PING\r").replace(b"\r'", b" '"), then=b"\n"
    ),
    Malformed("an empty name", b"*1\r\n$0\r\n\r\n", unknown(b""), then=b""),
    Malformed("a line with a quote left open", b'ping "a\r\n', QUOTES),
    Malformed("a line with bytes behind a quote", b'set """a""" b\r\n', QUOTES),
    Malformed("a line too long", b"a" * 65537, b"-ERR Protocol error: too big inline request\r\n"),
    Malformed("empty lines", b"\r\n\n \r\n\t\n", PONG, then=PING),
    Malformed("sound requests before the error", b"PING\r\n" + PING + b"*1\r\n:1\r\n", PONG + PONG + expected(b":")),
    Malformed("a request of HTTP", b"POST / HTTP/1.1\r\n", b""),
    Malformed("a header of HTTP", b"Host: localhost:6379\r\n", b""),
    Malformed("HTTP as a RESP array", b"*2\r\n$4\r\npost\r\n$1\r\n/\r\n", b""),
    *(Malformed(f"noise {seed}", noise(seed) + b"\r\n", unknown(noise(seed)), then=b"") for seed in range(5)),
]

# What redis-server answers otherwise. It looks for the end of a line by strchr, and so never finds one behind a NUL.
DIFFERENCES = [
    Malformed("a count above 1048576, the most arguments that a command may have", b"*1048577\r\n", COUNT),
    Malformed("a NUL in place of a type", b"*1\r\n\0PING\r\n", expected(b" ")),
    Malformed("a NUL in a count", b"*1\0\r\n", COUNT),
    Malformed("a NUL in a line", b"ping\0x\r\n", b"-ERR unknown command 'ping', with args beginning with: \r\n", then=b""),
]

CASES_WITHOUT_PASSWORD = [
    Malformed("more than ten arguments", b"*11\r\n", b"-ERR Protocol error: unauthenticated multibulk length\r\n"),
    Malformed(
        "an argument of more than 16 KiB",
        b"*2\r\n$4\r\nAUTH\r\n$16385\r\n",
        b"-ERR Protocol error: unauthenticated bulk length\r\n",
    ),
    Malformed("as much as is allowed", b"*10\r\n" + b"$1\r\nx\r\n" * 10, unknown(b"x", *[b"x"] * 9), then=b""),
]


class Neighbour(threading.Thread):
    """Another client of the server, at work all the while. What it meets is in `error`."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.round_count = 0
        self.error: Exception | None = None
        self.is_over = threading.Event()

    def run(self) -> None:
        try:
            with RespClient(self.port) as client:
                while self.round_count == 0 or not self.is_over.wait(0.001):
                    assert client.execute("SET", "neighbour", self.round_count) == "OK"
                    assert client.execute("GET", "neighbour") == b"%d" % self.round_count
                    self.round_count += 1
        except (OSError, EOFError, AssertionError) as error:
            self.error = error


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving("--threads", 1, "--size", 128 * MIB) as running:
        yield running


@pytest.fixture(autouse=True)
def neighbour(server: ServerProcess) -> Iterator[Neighbour]:
    """Every test here runs beside a client that does nothing wrong, on the same thread of the server."""
    thread = Neighbour(server.port)
    thread.start()
    yield thread
    thread.is_over.set()
    thread.join()
    assert thread.error is None
    assert thread.round_count > 0


def answer(address: int | str, case: Malformed, piece_bytes: int) -> bytes:
    """All that comes back until the server closes, the request being sent in pieces."""
    with RespClient(address) as client:
        connection = client.socket
        if connection.family == socket.AF_INET:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = case.data + (case.then or b"")
        for at in range(0, len(data), piece_bytes):
            connection.sendall(data[at : at + piece_bytes])
        if case.then is not None:
            connection.sendall(PING)
            connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(1 << 16):
            parts.append(part)
        return b"".join(parts)


@pytest.mark.parametrize("piece_bytes", [1 << 20, 1], ids=["whole", "in single bytes"])
@pytest.mark.parametrize("which", ["fincache", "redis"])
def test_malformed_requests_are_answered_as_redis_answers(
    reference_socket: str, server: ServerProcess, which: str, piece_bytes: int
) -> None:
    """Reply and end of the connection are those of the table, on both servers."""
    for case in CASES:
        if piece_bytes == 1 and len(case.data) > 1000:
            continue
        actual = answer(server.port if which == "fincache" else reference_socket, case, piece_bytes)
        assert actual == case.reply + (PONG if case.then is not None else b""), case.name


@pytest.mark.parametrize("case", DIFFERENCES, ids=lambda case: case.name)
def test_differences_are_as_the_table_says(server: ServerProcess, case: Malformed) -> None:
    """Here the reply comes at once; redis-server waits for more."""
    assert answer(server.port, case, 1 << 20) == case.reply + (PONG if case.then is not None else b"")


@pytest.mark.parametrize("which", ["fincache", "redis"])
def test_who_has_not_shown_the_password_may_send_little(reference_socket: str, server: ServerProcess, which: str) -> None:
    """Ten arguments of 16 KiB, so that strangers cannot take the server's memory."""
    address = server.port if which == "fincache" else reference_socket
    with RespClient(address) as owner:
        assert owner.execute("CONFIG", "SET", "requirepass", "secret") == "OK"
        try:
            for case in CASES_WITHOUT_PASSWORD:
                open_reply = b"-NOAUTH Authentication required.\r\n" if case.then is not None else b""
                assert answer(address, case, 1 << 20) == case.reply + open_reply, case.name
        finally:
            assert owner.execute("CONFIG", "SET", "requirepass", "") == "OK"


def test_a_gigabyte_announced_and_not_sent(server: ServerProcess) -> None:
    """Costs what was sent; when the sender goes, that is given back, too."""
    before = server.resident_bytes()
    with RespClient(server.port) as other:
        assert other.execute("CONFIG", "SET", "proto-max-bulk-len", "1gb") == "OK"
        clients = [RespClient(server.port) for _ in range(20)]
        for client in clients:
            client.socket.sendall(b"*2\r\n$3\r\nGET\r\n$1073741824\r\n" + b"x" * 10000)
        assert other.execute("PING") == "PONG"
        assert server.resident_bytes() - before < 40 * MIB
        for client in clients:
            client.socket.close()
        assert other.execute("CONFIG", "SET", "proto-max-bulk-len", 512 * MIB) == "OK"


def test_replies_follow_a_client_that_has_said_its_last_word(server: ServerProcess) -> None:
    """Half closed: every request that came before the end is answered, and then the server closes, too."""
    case = Malformed("requests", PING * 2000, PONG * 2000, then=b"")
    assert answer(server.port, case, 1 << 20) == PONG * 2001


def reset(client: RespClient) -> None:
    """Closes by RST, as a crashed host's kernel would."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


def test_resets_in_the_middle(server: ServerProcess) -> None:
    """In a count, a length, an argument, a transaction, and with replies that nobody fetches any more."""
    with RespClient(server.port) as other:
        other.execute("SET", "mib", b"x" * MIB)
        for data in (
            b"*",
            b"*1\r\n$",
            SET + b"$5\r\nab",
            SET + b"$5000000\r\n" + b"x" * 100000,
            b"MULTI\r\nSET lost 1\r\n",
            b"GET mib\r\n" * 50,
        ):
            for _ in range(5):
                client = RespClient(server.port)
                client.socket.sendall(data)
                reset(client)
        assert other.execute("GET", "lost") is None
        assert other.execute("EXISTS", "x") == 0


def test_replies_that_are_not_read(server: ServerProcess) -> None:
    """The server keeps few of them, goes on with others, and sends all when they are fetched."""
    with RespClient(server.port) as other, RespClient(server.port) as deaf:
        other.execute("SET", "mib", b"y" * MIB)
        before = server.resident_bytes()
        deaf.socket.sendall(b"GET mib\r\n" * 60)
        for i in range(20):
            assert other.execute("ECHO", i) == b"%d" % i
        assert server.resident_bytes() - before < 20 * MIB
        for _ in range(60):
            assert deaf.read() == b"y" * MIB
