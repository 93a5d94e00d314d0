"""Who uses a segment, as the kernel tells it: mappings from /proc/<pid>/maps, commands from /proc/<pid>/cmdline.

Sessions (fc_session_list) name the threads that may write; whoever attached read-only has no session and is found here. A segment
is known by device and inode, not by path: a creator's mapping bears the nameless path it was built under ("/dev/shm/#1234
(deleted)"), and a removed segment's path is worth nothing.

Limits      Processes of other users, and of other PID namespaces, cannot be looked into without privileges. `unreadable_count`
            says how many were left out; what must be certain asks the kernel by `is_open_anywhere`.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import signal
from dataclasses import dataclass
from pathlib import Path

SHM = Path("/dev/shm")
LOCK_PREFIX = "fincache-lock."  # then the segment's name, a dot and its id (csrc/memory/liveness.c)
PROC = Path("/proc")
COMMAND_CHARACTERS_MAX = 200
WHO_CHARACTERS_MAX = 60


@dataclass(frozen=True)
class Mapping:
    """One mapping of an object in /dev/shm into one process."""

    pid: int
    inode: int
    path: str  # as the kernel shows it; " (deleted)" at its end when the name is gone
    is_writable: bool
    address: int
    size_bytes: int


@dataclass(frozen=True)
class Mappings:
    """What can be seen of all processes."""

    found: tuple[Mapping, ...]
    unreadable_count: int  # processes that may not be looked into

    def pids_of(self, inode: int) -> list[int]:
        """Processes that map an object, in order."""
        return sorted({mapping.pid for mapping in self.found if mapping.inode == inode})


def read_mappings() -> Mappings:
    """All mappings of objects in /dev/shm, of every process but this one. Some 10 us a process."""
    mark = _mark()
    found: list[Mapping] = []
    unreadable_count = 0
    for entry in PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            text = (entry / "maps").read_text(encoding="utf-8", errors="replace")
        except PermissionError:
            unreadable_count += 1
            continue
        except OSError:
            continue  # it ended meanwhile
        found.extend(_mapping(int(entry.name), line) for line in text.splitlines() if mark in line)
    return Mappings(tuple(found), unreadable_count)


def _mark() -> str:
    """What a line of /proc/<pid>/maps has when it is about an object in /dev/shm: the device."""
    device = SHM.stat().st_dev
    return f" {os.major(device):02x}:{os.minor(device):02x} "


def _mapping(pid: int, line: str) -> Mapping:
    addresses, permissions, _offset, _device, inode, *path = line.split(None, 5)
    first, end = (int(address, 16) for address in addresses.split("-"))
    return Mapping(pid, int(inode), path[0] if path else "", "w" in permissions, first, end - first)


def command_of(pid: int) -> str:
    """The command line of a process, or its name in brackets where that is empty; "" when there is no such process."""
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        line = " ".join(word.decode("utf-8", "replace") for word in words)
        if not line:
            line = f"[{(PROC / str(pid) / 'comm').read_text(encoding='utf-8', errors='replace').rstrip()}]"
    except OSError:
        return ""
    printable = "".join(character if character.isprintable() else "?" for character in line)
    return printable[:COMMAND_CHARACTERS_MAX]


def maps(pid: int, inode: int) -> bool | None:
    """Whether a process maps an object of /dev/shm; None where that may not be looked into.

    A session's pid is the one that its own PID namespace gave it. Here it may be another process's, or nobody's: whoever does not
    map the segment is not meant.
    """
    try:
        text = (PROC / str(pid) / "maps").read_text(encoding="utf-8", errors="replace")
    except PermissionError:
        return None
    except OSError:
        return False
    mark = _mark()
    return any(_mapping(pid, line).inode == inode for line in text.splitlines() if mark in line)


def user_command(pid: int, inode: int) -> str:
    """The command of a process that has a session in the segment behind `inode`; "" when it cannot be seen from here."""
    return "" if maps(pid, inode) is False else command_of(pid)


def state_of(pid: int, tid: int) -> str:
    """The kernel's letter for a thread's state (R, S, D, T stopped, t traced, Z, X); "" when there is no such thread."""
    try:
        stat = (PROC / str(pid) / "task" / str(tid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[0]


def user_name(uid: int) -> str:
    """The name of a user, or the number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def who(pids: list[int]) -> str:
    """Processes as people name them: "4711 (python strategy.py), 4712 (feed)"."""
    return ", ".join(f"{pid} ({shorten(command_of(pid), WHO_CHARACTERS_MAX) or 'ended'})" for pid in pids)


def shorten(text: str, characters_max: int) -> str:
    """The text, or its beginning and "..."."""
    return text if len(text) <= characters_max else f"{text[: characters_max - 3]}..."


def is_open_anywhere(path: Path) -> bool | None:
    """Whether any process of any namespace has the file open or mapped, from the kernel; None where it does not tell.

    A write lease is granted only for a file that nobody else has open (fcntl(2), F_SETLEASE); a mapping counts. It is given back
    at once; an open() in between would wait or, being non-blocking, fail, so this is only for files that are to be removed.
    """
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # sent to whose lease is broken; its default is death
    try:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
    except OSError:  # no leases on this file system, not the owner, not a regular file
        return None
    finally:
        signal.signal(signal.SIGIO, before)
    return False
