"""What systemd and a service tell each other: readiness, reloading, stopping, the watchdog, sockets that were opened before.

The protocol is one datagram of NAME=value lines to the UNIX socket in NOTIFY_SOCKET; sockets come as descriptors 3, 4, ... with
LISTEN_PID and LISTEN_FDS. Without these variables every function does nothing, so the daemon calls them in any case.

Children must not speak for the daemon, so the variables are taken out of the environment when they are read.

Sources: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3), systemd.service(5)
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping

FIRST_FD = 3


class Notifier:
    """Speaks to the service manager, if there is one."""

    def __init__(self, environment: MutableMapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        self._address = _address(environment.pop("NOTIFY_SOCKET", ""))
        self.watchdog_seconds = _watchdog_seconds(environment)
        self._socket: socket.socket | None = None
        if self._address is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    @property
    def is_listening(self) -> bool:
        """Whether somebody wants to know."""
        return self._socket is not None

    def ready(self, status: str) -> None:
        """The service serves (again: after reloading, too)."""
        self._send("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """A line for `systemctl status`."""
        self._send(f"STATUS={status}")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` follows."""
        now_mono_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now_mono_us}")

    def stopping(self, status: str) -> None:
        """The service ends."""
        self._send("STOPPING=1", f"STATUS={status}")

    def watchdog(self) -> None:
        """A sign of life; at half of watchdog_seconds, says sd_watchdog_enabled(3)."""
        self._send("WATCHDOG=1")

    def main_pid(self, pid: int) -> None:
        """Another process is the service from now on."""
        self._send(f"MAINPID={pid}")

    def close(self) -> None:
        """Nothing is told any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *lines: str) -> None:
        if self._socket is None or self._address is None:
            return
        message = "\n".join(line.replace("\n", " ") for line in lines)
        try:
            self._socket.sendto(message.encode("utf-8", "replace"), self._address)
        except OSError:
            # Nobody reads there now (systemd re-executes, say). A lost sign of life is followed by the next one.
            return


def _address(text: str) -> str | None:
    """A path, or an abstract name, which systemd writes with an @."""
    if text.startswith("/"):
        return text
    if text.startswith("@"):
        return "\0" + text[1:]
    return None  # vsock, say: a virtual machine's manager, which FinCache does not speak to


def _watchdog_seconds(environment: MutableMapping[str, str]) -> float:
    """How long the manager waits for a sign of life; 0: it does not."""
    microseconds, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(microseconds) / 1e6


def sockets_from_manager(environment: MutableMapping[str, str] | None = None) -> list[socket.socket]:
    """The listening sockets that systemd opened for this process (fincache.socket); [] when it did not.

    Raises:
        OSError: a descriptor is no socket.
    """
    environment = os.environ if environment is None else environment
    pid, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    sockets = [socket.socket(fileno=fd) for fd in range(FIRST_FD, FIRST_FD + int(count))]
    for item in sockets:
        item.set_inheritable(False)
    return sockets
