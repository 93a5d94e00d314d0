"""--takeover: the new daemon gets the old one's lock and listening sockets, so that the port never drops.

    new                                         old
    connects to the control socket   --------->  checks that it is the same user, or root
    request: JSON with version and pid  ------>
                                     <---------  offer: JSON with a line for each descriptor, and the descriptors (SCM_RIGHTS)
    serves on them; takes the lock and the control socket
    "serving"                        --------->  stops accepting, drains, leaves the segment and the sockets' paths alone, exits
                                     <---------  "gone", when the last connection is closed: the new one need not wait for it

A new daemon that fails before "serving" just closes the connection; the old one goes on as if nothing had been. In between both
accept, each connection being one's or the other's.

The control socket is an abstract UNIX socket whose name holds the segment's id. So there is no path that two daemons might see
differently or that a killed one leaves behind; and only who may read the segment knows the name, which keeps others from taking
it first. Both sides ask the kernel who the other is (SO_PEERCRED) before anything is sent. Like every abstract socket it is
seen within one network namespace; in another one the listening sockets would be of no use.

Messages are SOCK_SEQPACKET packets, so that each arrives whole.
"""

from __future__ import annotations

import array
import contextlib
import errno
import json
import os
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

import fincache
from fincache.daemon.failures import HandoverFailed

PROTOCOL = 1
MESSAGE_BYTES_MAX = 65536
DESCRIPTORS_MAX = 32
ANSWER_SECONDS_MAX = 5.0
BIND_SECONDS_MAX = 0.5
BIND_PAUSE_SECONDS = 0.01

SERVING = b"serving"
GONE = b"gone"

_CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid


@dataclass(frozen=True)
class Offer:
    """What the old daemon hands over.

    Attributes:
        pid: of the old daemon.
        version: of the old daemon's FinCache.
        lock_fd: the service lock.
        control_fd: the control socket, listening.
        listener_fds: listening sockets.
        paths: of those that are UNIX sockets and whose file the old daemon made: the new one removes them at its end.
    """

    pid: int
    version: str
    lock_fd: int
    control_fd: int
    listener_fds: tuple[int, ...]
    paths: tuple[str, ...]


def control_address(name: str, segment_id: int) -> str:
    """The abstract name of a segment's control socket."""
    return f"\0fincache/{name}/{segment_id:016x}"


def listen(name: str, segment_id: int) -> socket.socket:
    """The control socket of the daemon that holds the lock.

    Raises:
        OSError: the name is taken, which only a process with access to the segment can have done.
    """
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        _bind(control, control_address(name, segment_id))
        control.listen(1)
    except OSError:
        control.close()
        raise
    return control


def _bind(control: socket.socket, address: str) -> None:
    """A daemon that was killed may keep the name for some milliseconds longer than the lock."""
    deadline_mono = time.monotonic() + BIND_SECONDS_MAX
    while True:
        try:
            return control.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline_mono:
                raise
        time.sleep(BIND_PAUSE_SECONDS)


def adopt_control(fd: int) -> socket.socket:
    """The control socket that came with an offer; to those who connect, it is ours from now on."""
    control = socket.socket(fileno=fd)
    control.setblocking(False)
    control.listen(1)  # again: that is when the kernel notes the credentials for SO_PEERCRED
    return control


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """(pid, uid) of the other side, as the kernel knows them."""
    pid, uid, _gid = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid


def may_hand_over_to(uid: int) -> bool:
    """The same user, or root."""
    return uid in (0, os.geteuid())


# ------------------------------------------------------------------ the new daemon


class Successor:
    """The new daemon's side of a takeover."""

    def __init__(self, connection: socket.socket, offer: Offer) -> None:
        self._connection = connection
        self.offer = offer

    @classmethod
    def ask(cls, name: str, segment_id: int) -> Successor:
        """Asks the segment's daemon for its sockets.

        Raises:
            HandoverFailed: there is nobody to ask, or it refused, or it did not answer within ANSWER_SECONDS_MAX.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        connection.settimeout(ANSWER_SECONDS_MAX)
        try:
            connection.connect(control_address(name, segment_id))
            _pid, uid = peer_of(connection)
            if not may_hand_over_to(uid):
                raise HandoverFailed(f"the control socket of segment {name} belongs to user {uid}; it is not asked")
            request = {"protocol": PROTOCOL, "version": fincache.__version__, "pid": os.getpid()}
            with contextlib.suppress(BrokenPipeError):  # it has refused already, and hung up; its words are there to be read
                connection.send(json.dumps(request).encode())
            return cls(connection, _receive_offer(connection))
        except TimeoutError:
            connection.close()
            raise HandoverFailed(f"the daemon of segment {name} did not answer within {ANSWER_SECONDS_MAX:g} s") from None
        except OSError as error:
            connection.close()
            raise HandoverFailed(
                f"the daemon of segment {name} cannot be asked ({error.strerror}); "
                "a daemon in another network namespace, or of another user, cannot be taken over"
            ) from None
        except BaseException:
            connection.close()
            raise

    def confirm(self) -> None:
        """Tells the old daemon that we serve; it drains and exits.

        Raises:
            HandoverFailed: it is gone already, or it cannot hear.
        """
        try:
            self._connection.send(SERVING)
        except OSError as error:
            raise HandoverFailed(f"the old daemon (pid {self.offer.pid}) cannot be told: {error.strerror}") from None

    def fileno(self) -> int:
        """Readable when the old daemon is gone."""
        return self._connection.fileno()

    def close(self) -> None:
        """Ends the conversation. Before `confirm`: the old daemon goes on."""
        self._connection.close()


def _receive_offer(connection: socket.socket) -> Offer:
    fds = array.array("i")
    room = socket.CMSG_SPACE(DESCRIPTORS_MAX * fds.itemsize)
    try:
        message, ancillary, flags, _address = connection.recvmsg(MESSAGE_BYTES_MAX, room, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:  # it hung up without reading our request; what it said before is still there
        message, ancillary, flags, _address = connection.recvmsg(MESSAGE_BYTES_MAX, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    try:
        if not message:
            raise HandoverFailed("the old daemon closed the connection without an answer")
        answer = json.loads(message)
        if "refused" in answer:
            raise HandoverFailed(f"the old daemon refused: {answer['refused']}")
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or len(fds) != 2 + answer["listeners"]:
            raise HandoverFailed("the old daemon's answer arrived incomplete; is the limit of open files too low?")
        return Offer(answer["pid"], answer["version"], fds[0], fds[1], tuple(fds[2:]), tuple(answer["paths"]))
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise


# ------------------------------------------------------------------ the old daemon


class Predecessor:
    """The old daemon's side: one conversation with one that wants to take over."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.has_offered = False

    @classmethod
    def accept(cls, control: socket.socket) -> Predecessor:
        """The next one that asks. BlockingIOError: there is none."""
        connection, _address = control.accept()
        connection.setblocking(False)
        return cls(connection)

    def fileno(self) -> int:
        """Readable when there is something to `receive`."""
        return self._connection.fileno()

    def receive(self) -> bytes:
        """The next message; b"" when the other side is gone. BlockingIOError: nothing yet."""
        try:
            return self._connection.recv(MESSAGE_BYTES_MAX)
        except ConnectionError:
            return b""

    def peer(self) -> tuple[int, int]:
        """(pid, uid) of the other side."""
        return peer_of(self._connection)

    def offer(self, lock_fd: int, control_fd: int, listener_fds: Sequence[int], paths: Sequence[str]) -> None:
        """Sends lock, control socket and listeners. OSError: the other side is gone."""
        answer = {"pid": os.getpid(), "version": fincache.__version__, "listeners": len(listener_fds), "paths": list(paths)}
        fds = array.array("i", [lock_fd, control_fd, *listener_fds])
        self._connection.sendmsg([json.dumps(answer).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        self.has_offered = True

    def refuse(self, reason: str) -> None:
        """Says why not. OSError: the other side is gone."""
        self._connection.send(json.dumps({"refused": reason}).encode())

    def close(self) -> None:
        """Ends the conversation."""
        self._connection.close()


def parse_request(message: bytes) -> str:
    """What is wrong with a request; nothing ("") if this daemon understands it."""
    try:
        request = json.loads(message)
        protocol = request["protocol"]
    except (ValueError, KeyError, TypeError):
        return "that was no request for a takeover"
    return "" if protocol == PROTOCOL else f"it speaks version {protocol} of the takeover, this daemon version {PROTOCOL}"
