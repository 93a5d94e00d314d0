"""The old daemon's part in a takeover, within its main loop: hears who asks, offers, and learns that it was taken over.

Also SIGUSR2, which makes the daemon start its own successor: the program is started again with --takeover, and systemd is told
that the new process is the service. So an upgrade under systemd is `systemctl kill --signal=USR2 --kill-who=main fincache`, and
nothing but a second of two processes is to be seen of it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence

from fincache.daemon import handover
from fincache.daemon.structured_log import StructuredLog


class GivingOver:
    """The control socket, and the conversation with the one daemon at a time that wants to take over."""

    def __init__(
        self,
        control: socket.socket,
        selector: selectors.BaseSelector,
        log: StructuredLog,
        offer: Callable[[handover.Predecessor], None],
        taken_over: Callable[[int, bool], None],
    ) -> None:
        """`offer` sends what there is to hand over; `taken_over` gets the new daemon's pid, and whether we started it."""
        self.control = control
        self._selector = selector
        self._log = log
        self._offer = offer
        self._taken_over = taken_over
        self._conversation: handover.Predecessor | None = None
        self._process: subprocess.Popen[bytes] | None = None
        selector.register(control, selectors.EVENT_READ, self._hear_control)

    def start_successor(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Starts a daemon that will ask to take over."""
        if self._process is not None and self._process.poll() is None:
            self._log.warning("a successor is starting already", by_pid=self._process.pid)
            return
        try:
            self._process = subprocess.Popen(command, env=environment)
        except OSError as error:
            self._log.error("successor cannot be started", error=error.strerror)
            return
        self._log.info("successor started", by_pid=self._process.pid)

    def look_after_successor(self) -> None:
        """Notices that a successor ended before it took over."""
        if self._process is not None and self._process.poll() is not None:
            self._log.error("successor ended", by_pid=self._process.pid, exit_code=self._process.returncode)
            self._process = None

    def close(self) -> None:
        """Ends a conversation under way: the other side sees that we are gone, or that it did not come about."""
        self._forget()
        self.control.close()

    def _hear_control(self) -> None:
        try:
            asking = handover.Predecessor.accept(self.control)
        except BlockingIOError:
            return
        if self._conversation is None:
            self._conversation = asking
            self._selector.register(asking, selectors.EVENT_READ, self._hear)
            return
        with contextlib.suppress(OSError):
            asking.refuse("another takeover is under way")
        asking.close()

    def _hear(self) -> None:
        asking = self._conversation
        if asking is None:
            return
        pid, uid = asking.peer()
        try:
            message = asking.receive()
            if message and not asking.has_offered:
                reason = handover.parse_request(message)
                if not handover.may_hand_over_to(uid):
                    reason = f"user {uid} may not take over from user {os.geteuid()}"
                if not reason:
                    self._log.info("takeover asked for", by_pid=pid)
                    self._offer(asking)
                    return
                self._log.warning("takeover refused", by_pid=pid, reason=reason)
                asking.refuse(reason)
            elif message == handover.SERVING:
                self._selector.unregister(asking)  # it stays open: its end tells the other side that we are gone
                self._selector.unregister(self.control)
                self._taken_over(pid, self._process is not None and self._process.pid == pid)
                return
            elif asking.has_offered:
                self._log.warning("takeover given up by the other daemon", by_pid=pid)
        except BlockingIOError:
            return
        except OSError as error:
            self._log.warning("takeover failed", by_pid=pid, error=error.strerror)
        self._selector.unregister(asking)
        self._forget()

    def _forget(self) -> None:
        if self._conversation is not None:
            self._conversation.close()
            self._conversation = None
