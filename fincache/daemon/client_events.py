"""What clients' commands ask of the control plane: log lines, SHUTDOWN, CONFIG SET, CONFIG REWRITE.

The C server puts them into a queue with an eventfd; the main loop calls `take`. A client that waits for an answer is parked by
the server; its thread serves others meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable

from fincache._core import serving
from fincache._core.serving import Server, ServerEvent
from fincache.daemon.structured_log import StructuredLog

EVENTS_PER_TURN_MAX = 512  # then signals and timers have their turn

_LEVELS = {
    serving.LEVEL_DEBUG: "debug",
    serving.LEVEL_VERBOSE: "debug",
    serving.LEVEL_NOTICE: "info",
    serving.LEVEL_WARNING: "warning",
}


class ClientEvents:
    """Takes the server's events and does what they ask for."""

    def __init__(
        self, server: Server, log: StructuredLog, set_by_client: Callable[[str, str], None], rewrite: Callable[[], str]
    ) -> None:
        """`set_by_client` gets name and value of a CONFIG SET; `rewrite` writes the configuration and returns an error or ""."""
        self._server = server
        self._log = log
        self._set_by_client = set_by_client
        self._rewrite = rewrite

    def take(self) -> str | None:
        """Handles what waits; the reason to stop if a client called SHUTDOWN."""
        for _ in range(EVENTS_PER_TURN_MAX):
            event = self._server.next_event()
            if event is None:
                break
            reason = self._handle(event)
            if reason is not None:
                return reason
        return None

    def _handle(self, event: ServerEvent) -> str | None:
        text = event.text.decode("utf-8", "backslashreplace")
        if event.kind == serving.EVENT_LOG:
            self._log.line(_LEVELS.get(event.level, "info"), text, {"client": event.client_id or None}, event.at_unix_ns)
        elif event.kind == serving.EVENT_SHUTDOWN:
            self._log.info("shutdown asked for", client=event.client_id, arguments=text or None)
            words = text.lower().split()
            if "save" in words:
                self._log.warning("nothing is saved: this version has no snapshots. The segment stays", client=event.client_id)
            return "SHUTDOWN NOW" if "now" in words else "SHUTDOWN"
        elif event.kind == serving.EVENT_CONFIG_SET:
            name, _, value = text.partition("\0")
            self._log.info("parameter set by a client", client=event.client_id, name=name, value=_shown(name, value))
            self._set_by_client(name, value)
        elif event.kind == serving.EVENT_CONFIG_REWRITE:
            error = self._rewrite()
            self._log.line(
                "warning" if error else "info", "configuration rewritten", {"client": event.client_id, "error": error or None}
            )
            self._server.answer(event.ticket, f"-ERR {error}\r\n".encode() if error else b"+OK\r\n")
        elif event.ticket:
            self._server.answer(event.ticket, b"-ERR this daemon does not know that command\r\n")
        return None


def _shown(name: str, value: str) -> str:
    return "********" if name == "requirepass" and value else value
