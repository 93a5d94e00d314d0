"""A RESP client of a few lines, for tests that must see what kind of reply came, and may send what no client library would."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any

from fincache._core import parse_reply


class RespClient:
    """One connection, to a port or a UNIX socket.

    Simple strings come back as str, bulk strings as bytes, errors as exceptions (values, not raised).
    """

    def __init__(self, address: int | str, protocol: int = 2, timeout_s: float = 10) -> None:
        if isinstance(address, int):
            self.socket = socket.create_connection(("127.0.0.1", address), timeout=timeout_s)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout_s)
            self.socket.connect(address)
        self._pending = b""
        self.protocol = protocol
        if protocol == 3:
            self.execute("HELLO", 3)

    def __enter__(self) -> RespClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.socket.close()

    def send(self, *arguments: object) -> None:
        """Sends one command as an array of bulk strings."""
        words = [word if isinstance(word, bytes) else str(word).encode() for word in arguments]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))

    def read_raw(self) -> bytes:
        """The bytes of one whole reply. Raises EOFError when the server has closed."""
        while True:
            end = reply_end(self._pending, 0)
            if end is not None:
                reply, self._pending = self._pending[:end], self._pending[end:]
                return reply
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError(self._pending)
            self._pending += data

    def read(self) -> Any:
        """One reply."""
        return parse_reply(self.read_raw())

    def execute(self, *arguments: object) -> Any:
        """One command and its reply."""
        self.send(*arguments)
        return self.read()


def reply_end(data: bytes, at: int) -> int | None:
    """Where the reply that begins at `at` ends; None: it is not all there."""
    line_end = data.find(b"\r\n", at)
    if line_end < 0:
        return None
    kind, text, at = data[at : at + 1], data[at + 1 : line_end], line_end + 2
    if kind in (b"$", b"=") and int(text) >= 0:
        return at + int(text) + 2 if len(data) >= at + int(text) + 2 else None
    if kind in (b"*", b"%", b"~", b">"):
        for _ in range(int(text) * (2 if kind == b"%" else 1)):
            end = reply_end(data, at)
            if end is None:
                return None
            at = end
    return at
