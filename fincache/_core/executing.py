"""Commands by name, as redis-cli sends them: the C library's command engine without a socket.

A Host is what the clients of one attachment share (configuration, counters); a Client is one conversation. A Session keeps idle
Clients by database and borrows them like out-parameters (rule 3 of the package), so that a signal handler that executes in the
middle of an execute has one of its own. What a conversation holds (SELECT, MULTI, WATCH, a name) therefore belongs to the calling
thread and the database of the Cache that is called.
"""

from __future__ import annotations

from typing import Any

from fincache._core.calls import Calls
from fincache._core.handle import Handle
from fincache._core.statuses import check
from fincache._fincache import ffi, lib


class Host:
    """An fc_host pointer; closed with the last reference, after the Clients that refer to it."""

    def __init__(self, handle: Handle) -> None:
        self.pointer = ffi.NULL
        pin = handle.pin()
        try:
            out = ffi.new("fc_host **")
            check(lib.fc_host_create(handle.pointer, out))
            self.pointer = out[0]
        finally:
            handle.unpin(pin)

    def __del__(self) -> None:
        lib.fc_host_close(self.pointer)


class Client:
    """An fc_client pointer that speaks RESP3 and has its database selected."""

    def __init__(self, host: Host, session: Any, database: int) -> None:
        self.pointer = ffi.NULL
        self._host = host
        out = ffi.new("fc_client **")
        check(lib.fc_client_open(host.pointer, out))
        self.pointer = out[0]
        self.execute(session, [b"HELLO", b"3"])
        if database != 0:
            self.execute(session, [b"SELECT", b"%d" % database])

    def __del__(self) -> None:
        lib.fc_client_close(self.pointer)

    def execute(self, session: Any, arguments: list[bytes]) -> bytes:
        """fc_client_execute: the reply as RESP bytes."""
        count = len(arguments)
        holds = [ffi.from_buffer(argument) for argument in arguments]
        pieces = ffi.new("void *[]", [ffi.cast("void *", hold) for hold in holds])
        lengths = ffi.new("uint64_t[]", [len(argument) for argument in arguments])
        reply = ffi.new("void **")
        reply_bytes = ffi.new("uint64_t *")
        check(lib.fc_client_execute(self.pointer, session, pieces, lengths, count, reply, reply_bytes))
        copied: bytes = ffi.buffer(reply[0], reply_bytes[0])[:]
        return copied


class Executes(Calls):
    """Commands by name. Part of `Session`."""

    def __init__(self, handle: Handle, timeout_ns: int) -> None:
        self._clients: dict[int, list[Client]] = {}
        super().__init__(handle, timeout_ns)

    def converse(self, host: Host, database: int) -> Client:
        """A Client that belongs to the caller: what it watches and queues is nobody else's."""
        return Client(host, self._pointer, database)

    def execute_as(self, client: Client, arguments: list[bytes]) -> bytes:
        """One command's reply in the caller's own conversation."""
        return client.execute(self._pointer, arguments)

    def execute(self, host: Host, database: int, arguments: list[bytes]) -> bytes:
        """One command's reply as RESP bytes."""
        idle = self._clients.setdefault(database, [])
        try:
            client = idle.pop()
        except IndexError:
            client = Client(host, self._pointer, database)
        reply = client.execute(self._pointer, arguments)
        idle.append(client)
        return reply
