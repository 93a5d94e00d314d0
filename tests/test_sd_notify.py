"""sd_notify.py: what systemd reads on its socket, the watchdog's interval, and sockets that were opened before."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fincache.daemon.sd_notify import Notifier, sockets_from_manager


def received(manager: socket.socket) -> list[str]:
    """The lines of the next message."""
    manager.settimeout(10)
    return manager.recv(4096).decode().split("\n")


@pytest.mark.parametrize("is_abstract", [False, True])
def test_messages_are_lines_in_one_datagram(tmp_path: Path, is_abstract: bool) -> None:
    """To a path or to an abstract name, which systemd writes with an @."""
    name = f"@fincache-test-{secrets.token_hex(6)}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if is_abstract else name)
        environment = {"NOTIFY_SOCKET": name}
        notifier = Notifier(environment)
        assert notifier.is_listening
        assert environment == {}  # children must not speak for us
        notifier.ready("serving\nall")
        assert received(manager) == ["READY=1", "STATUS=serving all"]
        notifier.status("busy")
        assert received(manager) == ["STATUS=busy"]
        notifier.reloading()
        reloading, monotonic = received(manager)
        assert reloading == "RELOADING=1"
        assert int(monotonic.removeprefix("MONOTONIC_USEC=")) > 0
        notifier.watchdog()
        assert received(manager) == ["WATCHDOG=1"]
        notifier.main_pid(7)
        assert received(manager) == ["MAINPID=7"]
        notifier.stopping("bye")
        assert received(manager) == ["STOPPING=1", "STATUS=bye"]
        notifier.close()


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1", "/no/such/socket"])
def test_without_a_manager_nothing_happens(address: str) -> None:
    """Nor with one that does not read."""
    notifier = Notifier({"NOTIFY_SOCKET": address})
    assert notifier.is_listening == address.startswith("/")
    notifier.ready("x")
    notifier.watchdog()
    notifier.close()
    notifier.watchdog()


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "20000000"}, 20.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_watchdog_is_for_the_process_that_it_names(environment: dict[str, str], seconds: float) -> None:
    """Seconds until systemd loses patience; 0: it does not wait for us."""
    assert Notifier(environment).watchdog_seconds == seconds


def test_sockets_are_taken_by_the_process_that_they_are_for() -> None:
    """Descriptors from 3 on, not inherited by children; the variables are gone."""
    code = """
import os, sys
from fincache.daemon.sd_notify import sockets_from_manager
os.dup2(int(sys.argv[1]), 3)
environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "redis"}
(item,) = sockets_from_manager(environment)
print(item.getsockname()[1], item.get_inheritable(), environment)
"""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = [sys.executable, "-c", code, str(listening.fileno())]
        found = subprocess.run(command, pass_fds=[listening.fileno()], capture_output=True, text=True, timeout=60, check=False)
        assert found.stdout == f"{listening.getsockname()[1]} False {{}}\n", found.stderr


@pytest.mark.parametrize(
    "environment", [{}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "x"}]
)
def test_sockets_of_others_are_left_alone(environment: dict[str, str]) -> None:
    """No LISTEN_PID of ours, no sockets."""
    assert sockets_from_manager(environment) == []
