"""The C server as a Python object: one fc_server on one mapping. Its threads run without the GIL and open sessions of their own.

The server pins the mapping (rule 1 of the package) from its making to its closing. One thread at a time may call it, except
`configure`, `config_text`, `stats` and `answer`, which any thread may call at any time before `close`. It is not for a child of
fork(): its threads are not there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from fincache._core.attachment import Attachment
from fincache._core.handle import closed
from fincache._core.statuses import BUFFER_SMALL, MISS, OK, check, failure
from fincache._fincache import ffi, lib

THREADS_MAX: int = lib.FC_SERVER_THREADS_MAX

EVENT_LOG: int = lib.FC_SERVER_EVENT_LOG
EVENT_SHUTDOWN: int = lib.FC_SERVER_EVENT_SHUTDOWN
EVENT_CONFIG_REWRITE: int = lib.FC_SERVER_EVENT_CONFIG_REWRITE
EVENT_CONFIG_SET: int = lib.FC_SERVER_EVENT_CONFIG_SET
EVENT_COMMAND: int = lib.FC_SERVER_EVENT_COMMAND

LEVEL_DEBUG: int = lib.FC_SERVER_LEVEL_DEBUG
LEVEL_VERBOSE: int = lib.FC_SERVER_LEVEL_VERBOSE
LEVEL_NOTICE: int = lib.FC_SERVER_LEVEL_NOTICE
LEVEL_WARNING: int = lib.FC_SERVER_LEVEL_WARNING

_CONFIG_TEXT_BYTES = 4096


@dataclass(frozen=True)
class Listener:
    """A socket that the server listens on. `port` is 0 for a UNIX socket; `fd` stays the server's own."""

    fd: int
    port: int
    address: str


@dataclass(frozen=True)
class ServerEvent:
    """Something for the control plane: see FC_SERVER_EVENT_* in server_api.h. `ticket` is not 0 if `answer` is waited for."""

    kind: int
    level: int
    ticket: int
    client_id: int
    at_unix_ns: int
    text: bytes


@dataclass(frozen=True)
class ServerStats:
    """fc_server_stats, by the same names."""

    started_unix_ns: int
    connections_received: int
    connections_rejected: int
    connections: int
    connections_blocked: int
    commands_processed: int
    commands_failed: int
    protocol_errors: int
    busy_parked: int
    busy_given_up: int
    input_bytes: int
    output_bytes: int
    connection_bytes: int
    threads: int
    draining: int


class Server:
    """Serves a segment to Redis clients."""

    def __init__(self, attachment: Attachment) -> None:
        self._handle, self._pin = attachment.pinned()
        try:
            out = ffi.new("fc_server **")
            check(lib.fc_server_create(self._handle.pointer, out))
        except BaseException:
            self._handle.unpin(self._pin)
            raise
        self._pointer: Any = out[0]

    @property
    def _open_pointer(self) -> Any:
        if self._pointer is None:
            raise closed()
        return self._pointer

    def configure(self, name: str, value: str) -> None:
        """fc_server_configure: a parameter by its name in CONFIG SET. Raises InvalidArgument."""
        check(lib.fc_server_configure(self._open_pointer, name.encode(), value.encode()))

    def config_text(self, name: str) -> str | None:
        """fc_server_config_text: the value of a parameter; None: there is none of that name."""
        room = _CONFIG_TEXT_BYTES
        while True:
            text = ffi.new("char[]", room)
            status = lib.fc_server_config_text(self._open_pointer, name.encode(), text, room)
            if status == BUFFER_SMALL:
                room *= 8
            elif status == MISS:
                return None
            else:
                check(status)
                return bytes(ffi.string(text)).decode("utf-8", "surrogateescape")

    def rename_command(self, name: str, new_name: str) -> bool:
        """fc_server_rename_command: "" takes the command out. False: there is no such command. Raises InvalidArgument."""
        status = lib.fc_server_rename_command(self._open_pointer, name.encode(), new_name.encode())
        if status == MISS:
            return False
        check(status)
        return True

    def listen_tcp(self, host: str, port: int) -> None:
        """fc_server_listen_tcp. Raises AddressInUse, InvalidArgument, PermissionDenied, SystemFailure."""
        check(lib.fc_server_listen_tcp(self._open_pointer, host.encode(), port))

    def listen_unix(self, path: str, mode: int) -> None:
        """fc_server_listen_unix. Raises PathTooLong, AddressInUse, PermissionDenied, SystemFailure."""
        check(lib.fc_server_listen_unix(self._open_pointer, path.encode("utf-8", "surrogateescape"), mode))

    def listen_fd(self, fd: int) -> None:
        """fc_server_listen_fd: a socket that listens already; the server owns it from then on. Raises InvalidArgument."""
        check(lib.fc_server_listen_fd(self._open_pointer, fd))

    def listeners(self) -> list[Listener]:
        """fc_server_listener_at: all of them."""
        found: list[Listener] = []
        out = ffi.new("fc_server_listener *")
        while (status := lib.fc_server_listener_at(self._open_pointer, len(found), out)) == OK:
            address = bytes(ffi.string(out.address)).decode("utf-8", "surrogateescape")
            found.append(Listener(out.fd, out.port, address))
        if status != MISS:
            raise failure(status)
        return found

    def start(self, thread_count: int) -> None:
        """fc_server_start; 0: one thread fewer than cores, 1 to 4. Raises SessionsFull, SystemFailure."""
        check(lib.fc_server_start(self._open_pointer, thread_count))

    def drain(self, timeout_ns: int, *, keep_listeners: bool) -> int:
        """fc_server_drain: ends the service; how many connections had replies left to write. Waits without the GIL."""
        dropped = ffi.new("uint64_t *")
        check(lib.fc_server_drain(self._open_pointer, timeout_ns, keep_listeners, dropped))
        count: int = dropped[0]
        return count

    def close(self) -> None:
        """fc_server_close; a second time is nothing."""
        pointer, self._pointer = self._pointer, None
        if pointer is not None:
            lib.fc_server_close(pointer)
            self._handle.unpin(self._pin)

    def event_fd(self) -> int:
        """fc_server_event_fd: readable while events wait."""
        fd: int = lib.fc_server_event_fd(self._open_pointer)
        return fd

    def next_event(self) -> ServerEvent | None:
        """fc_server_next_event: the oldest; None: none waits."""
        out = ffi.new("fc_server_event *")
        status = lib.fc_server_next_event(self._open_pointer, out)
        if status == MISS:
            return None
        check(status)
        text = bytes(ffi.buffer(out.text, out.text_bytes)[:]) if out.text_bytes else b""
        return ServerEvent(out.kind, out.level, out.ticket, out.client_id, out.at_unix_ns, text)

    def answer(self, ticket: int, reply: bytes) -> bool:
        """fc_server_answer: RESP bytes for who waits. False: nobody does any more."""
        status = lib.fc_server_answer(self._open_pointer, ticket, reply, len(reply))
        if status == MISS:
            return False
        check(status)
        return True

    def stats(self) -> ServerStats:
        """fc_server_stats_read."""
        out = ffi.new("fc_server_stats *")
        check(lib.fc_server_stats_read(self._open_pointer, out))
        return ServerStats(**{field.name: getattr(out, field.name) for field in fields(ServerStats)})
