"""Who has the port, or the path, that we wanted: for the one line that says why the daemon does not start.

The kernel lists listening sockets with their inodes (/proc/net/tcp, tcp6, unix), and each process its descriptors
(/proc/<pid>/fd -> socket:[inode]). Another user's descriptors can only be seen by root; then the answer is the user, or nothing.

Source: proc_pid_net(5)
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

_TCP_LISTEN = "0A"
_UNIX_LISTEN_FLAG = 0x10000  # __SO_ACCEPTCON


def owner_of_port(port: int) -> str:
    """Such as "redis-server (pid 812)" or "a process of user redis"; "" when it cannot be told."""
    return _owner_of(list(_tcp_listeners(port)))


def owner_of_path(path: str) -> str:
    """The same for the listener on a UNIX socket."""
    return _owner_of([(inode, None) for inode in _unix_listeners(path)])


def _owner_of(listeners: list[tuple[str, int | None]]) -> str:
    for inode, _ in listeners:
        found = _process_with_socket(inode)
        if found:
            return found
    for _, uid in listeners:
        if uid is not None:
            return f"a process of user {_user_name(uid)}"
    return ""


def _tcp_listeners(port: int) -> Iterator[tuple[str, int | None]]:
    """(inode, uid) of the sockets that listen on a port, IPv4 or IPv6."""
    for file in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(file).read_text(encoding="ascii").splitlines()[1:]:
                _slot, local, _remote, state, _queues, _timer, _retransmits, uid, _timeout, inode = line.split()[:10]
                if state == _TCP_LISTEN and int(local.rpartition(":")[2], 16) == port:
                    yield inode, int(uid)


def _unix_listeners(path: str) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/unix").read_text(encoding="utf-8", errors="surrogateescape").splitlines()[1:]:
            fields = line.split(maxsplit=7)
            if len(fields) == 8 and fields[7] == path and int(fields[3], 16) & _UNIX_LISTEN_FLAG:
                yield fields[6]


def _process_with_socket(inode: str) -> str:
    wanted = f"socket:[{inode}]"
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and _has_descriptor(process, wanted):
            return f"{_command_name(process)} (pid {process.name})"
    return ""


def _has_descriptor(process: Path, wanted: str) -> bool:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:  # another user's, or gone
        return False
    for descriptor in descriptors:
        with contextlib.suppress(OSError):  # closed meanwhile
            if os.readlink(descriptor) == wanted:  # noqa: PTH115 -- it leads to no file
                return True
    return False


def _command_name(process: Path) -> str:
    try:
        name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        name = ""
    return name or "a process"


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
