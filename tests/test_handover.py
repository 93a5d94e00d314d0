"""handover.py: what the two daemons of a takeover say to each other, and what each makes of one that does not keep to it."""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

import fincache
from fincache.daemon import handover
from fincache.daemon.failures import HandoverFailed

SEGMENT_ID = int.from_bytes(os.urandom(8), "little")


@pytest.fixture
def control(name: str) -> Iterator[socket.socket]:
    """The control socket of an old daemon."""
    with handover.listen(name, SEGMENT_ID) as listening:
        listening.setblocking(True)
        yield listening


@contextlib.contextmanager
def old_daemon(control: socket.socket, act: Callable[[handover.Predecessor], None]) -> Iterator[None]:
    """Somebody who accepts one conversation and does something with it."""

    def run() -> None:
        predecessor = handover.Predecessor.accept(control)
        predecessor._connection.setblocking(True)
        act(predecessor)
        predecessor.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()


def test_sockets_go_over_and_work(name: str, control: socket.socket) -> None:
    """Lock, control socket and listeners arrive as descriptors of the same things; pid and version with them."""
    with socket.create_server(("127.0.0.1", 0)) as listening, open(os.devnull, "rb") as lock:  # noqa: PTH123

        def act(predecessor: handover.Predecessor) -> None:
            assert handover.parse_request(predecessor.receive()) == ""
            assert predecessor.peer() == (os.getpid(), os.getuid())
            predecessor.offer(lock.fileno(), control.fileno(), [listening.fileno()], ["/run/x.sock"])
            assert predecessor.receive() == handover.SERVING

        with old_daemon(control, act):
            successor = handover.Successor.ask(name, SEGMENT_ID)
            offer = successor.offer
            assert (offer.pid, offer.version, offer.paths) == (os.getpid(), fincache.__version__, ("/run/x.sock",))
            assert os.path.sameopenfile(offer.lock_fd, lock.fileno())
            with socket.socket(fileno=offer.listener_fds[0]) as adopted:
                assert adopted.getsockname() == listening.getsockname()
                assert not adopted.get_inheritable()
            with handover.adopt_control(offer.control_fd) as adopted_control:
                assert adopted_control.getsockname() == handover.control_address(name, SEGMENT_ID).encode()
            os.close(offer.lock_fd)
            successor.confirm()
            successor.close()


def _silent(predecessor: handover.Predecessor) -> None:
    predecessor.receive()


def _short(predecessor: handover.Predecessor) -> None:
    answer = {"pid": 1, "version": "0", "listeners": 3, "paths": []}
    fds = array.array("i", [1])
    predecessor._connection.sendmsg([json.dumps(answer).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (_silent, "closed the connection without an answer"),
        (_short, "arrived incomplete"),
        (lambda predecessor: predecessor.refuse("not now"), "the old daemon refused: not now"),
    ],
)
def test_an_old_daemon_that_does_not_hand_over(
    name: str, control: socket.socket, act: Callable[[handover.Predecessor], None], text: str
) -> None:
    """The new one says why, and keeps no descriptor."""
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 -- names only
    with old_daemon(control, act), pytest.raises(HandoverFailed, match=text):
        handover.Successor.ask(name, SEGMENT_ID)
    assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208


def test_an_old_daemon_that_hangs(name: str, control: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for, but not for ever."""
    assert control.fileno() >= 0
    monkeypatch.setattr(handover, "ANSWER_SECONDS_MAX", 0.05)
    with pytest.raises(HandoverFailed, match=r"did not answer within 0.05 s"):
        handover.Successor.ask(name, SEGMENT_ID)


def test_nobody_to_ask(name: str) -> None:
    """A lock without a control socket: another network namespace, most likely."""
    with pytest.raises(HandoverFailed, match="another network namespace"):
        handover.Successor.ask(name, SEGMENT_ID)


@pytest.mark.parametrize("message", [b"", b"x", b"[]", b"{}", b'{"protocol": 2}', b"\xff"])
def test_a_request_that_is_none(message: bytes) -> None:
    """It is refused in words."""
    assert handover.parse_request(message)


def test_only_the_same_user_and_root_may_take_over() -> None:
    """As the kernel says who they are."""
    assert handover.may_hand_over_to(os.geteuid())
    assert handover.may_hand_over_to(0)
    assert not handover.may_hand_over_to(os.geteuid() + 1)
