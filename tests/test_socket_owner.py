"""socket_owner.py: who has a port or a socket's path."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from fincache.daemon.socket_owner import owner_of_path, owner_of_port


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_listener_on_a_port_is_named(family: socket.AddressFamily) -> None:
    """By its command and pid; IPv4 and IPv6."""
    try:
        listening = socket.create_server(("", 0), family=family)
    except OSError as error:
        pytest.skip(f"no {family.name} here: {error}")
    with listening:
        port = listening.getsockname()[1]
        assert owner_of_port(port).endswith(f" (pid {os.getpid()})")
    assert owner_of_port(port) == ""


def test_who_is_only_connected_is_not_named() -> None:
    """A port that a client has is not listened on."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as client:
        assert owner_of_port(client.getsockname()[1]) == ""


def test_the_listener_on_a_path_is_named(tmp_path: Path) -> None:
    """A file that nobody listens on any more has no owner."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        assert owner_of_path(path) == ""
        listening.listen()
        assert owner_of_path(path).endswith(f" (pid {os.getpid()})")
    assert owner_of_path(path) == ""
