"""Is the server alive? What the daemon asks itself before it gives the watchdog a sign of life.

If bytes came in since the last time, its threads work. If not, nobody may have asked for anything: then a connection is made to
one of its own listeners, and accepting it is the sign. Nothing is sent: a command could be held up by CLIENT PAUSE, which is no
illness.
"""

from __future__ import annotations

import contextlib
import socket
import time

from fincache._core.serving import Listener, Server, ServerStats

ACCEPT_SECONDS_MAX = 1.0
POLL_SECONDS = 0.002

_REACHABLE = {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "::1", "::*": "::1"}


class SelfCheck:
    """Remembers what the server had done the last time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._input_bytes = -1

    def is_alive(self) -> bool:
        """Whether the server's threads do their work. Waits for ACCEPT_SECONDS_MAX at most."""
        before = self._server.stats()
        seen_bytes, self._input_bytes = self._input_bytes, before.input_bytes
        if before.input_bytes != seen_bytes and seen_bytes >= 0:
            return True
        deadline_mono = time.monotonic() + ACCEPT_SECONDS_MAX
        with contextlib.ExitStack() as stack:
            for listener in self._server.listeners():
                with contextlib.suppress(OSError):
                    stack.enter_context(_connect(listener))
                    break
            while time.monotonic() < deadline_mono:
                if _came(self._server.stats()) > _came(before):
                    return True
                time.sleep(POLL_SECONDS)
        return False


def _came(stats: ServerStats) -> int:
    return stats.connections_received + stats.connections_rejected


def _connect(listener: Listener) -> socket.socket:
    if not listener.port:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            connection.settimeout(ACCEPT_SECONDS_MAX)
            connection.connect(listener.address)
        except OSError:
            connection.close()
            raise
        return connection
    host = _REACHABLE.get(listener.address, listener.address)
    return socket.create_connection((host, listener.port), timeout=ACCEPT_SECONDS_MAX)
