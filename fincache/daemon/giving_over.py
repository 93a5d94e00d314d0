"""The old daemon's part in a takeover, within its main loop: hears who asks, offers, and learns that it was taken over.

Also SIGUSR2, which makes the daemon start its own successor: the program is started again with --takeover, and systemd is told
that the new process is the service. So an upgrade under systemd is `systemctl kill --signal=USR2 --kill-whom=main fincache`, and
nothing but a second of two processes is to be seen of it.

The successor is no child of ours but an orphan from the start, and so a child of systemd. Otherwise systemd would take it for a
stranger when it is told of it ("which is not our child"), also after we are gone, and would not wait for it at a stop: SIGKILL
would follow SIGTERM at once (seen with systemd 252).
"""

from __future__ import annotations

import contextlib
import errno
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
        self._is_given_up = False
        self._conversation: handover.Predecessor | None = None
        self._successor_pid = 0
        self._successor_fd = -1  # a pidfd: readable when it has ended
        selector.register(control, selectors.EVENT_READ, self._hear_control)

    def start_successor(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Starts a daemon that will ask to take over."""
        if self._successor_fd >= 0:
            self._log.warning("a successor is starting already", by_pid=self._successor_pid)
            return
        try:
            self._successor_pid = start_orphan(command, environment)
        except OSError as error:
            self._log.error("successor cannot be started", error=error.strerror)
            return
        self._log.info("successor started", by_pid=self._successor_pid)
        try:
            self._successor_fd = os.pidfd_open(self._successor_pid)
        except OSError as error:  # ESRCH: it has ended already. A kernel before 5.3 has no pidfd: then its end is not noticed
            self._log.warning("successor is not watched", by_pid=self._successor_pid, error=error.strerror)
            return
        self._selector.register(self._successor_fd, selectors.EVENT_READ, self._hear_successors_end)

    def _hear_successors_end(self) -> None:
        if not self._is_given_up:
            self._log.error("successor ended without taking over; its own lines say why", by_pid=self._successor_pid)
        self._forget_successor()

    def _forget_successor(self) -> None:
        if self._successor_fd >= 0:
            with contextlib.suppress(KeyError):
                self._selector.unregister(self._successor_fd)
            os.close(self._successor_fd)
        self._successor_pid, self._successor_fd = 0, -1

    def close(self) -> None:
        """Ends a conversation under way: the other side sees that we are gone, or that it did not come about."""
        self._forget()
        self._forget_successor()
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
                self._is_given_up = True
                self._taken_over(pid, pid == self._successor_pid)
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


def start_orphan(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Starts a program that is no child of ours; its pid. Raises OSError: there is no shell, or no process to be had."""
    with subprocess.Popen(
        ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", *command], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as shell:
        text, _ = shell.communicate()
    if not text.strip().isdigit():
        raise OSError(errno.ECHILD, "the shell did not start it")
    return int(text)
