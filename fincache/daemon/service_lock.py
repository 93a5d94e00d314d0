"""One daemon for each segment: a lock that the kernel drops when its holder dies, whatever way it dies. No pid file.

The lock is an OFD lock on the segment's lock file (/dev/shm/fincache-lock.<name>.<id>), far behind the bytes that sessions lock
there. It belongs to the segment and to nothing else: not to a directory for run files that two daemons may see differently, and
a segment that was removed and created again has another file.

Who holds it?    F_OFD_GETLK answers with the range of the lock that is in the way, not with a pid. So the range carries the pid:
                 the holder locks bytes [BASE, BASE + 1 + pid). All contend for the byte at BASE, and the length of what is in the
                 way says who it is. Lock and name come and go in one step; there is nothing that can be stale. The pid is as its
                 own PID namespace numbers it.
Handing over     an OFD lock belongs to the open file description. Its descriptor is sent to the new daemon (handover.py), which
                 so holds the same lock without an instant in between, and then writes its own pid into the range.
A dying holder   is one that the kernel is still tearing down: a killed process keeps its locks until its memory is unmapped, 130
                 ms and more for gigabytes. Such a holder is waited for; a living one is not. One that cannot be seen here has
                 either just gone, or lives in another PID namespace, so it is waited for a little.
Sources          fcntl(2), "Open file description locks"
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from pathlib import Path

from fincache import _core

BASE = 1 << 40
DYING_SECONDS_MAX = 10.0  # a core dump of gigabytes takes seconds
UNSEEN_SECONDS_MAX = 0.5
POLL_SECONDS = 0.01

# struct flock with 64-bit offsets: l_type, l_whence, l_start, l_len, l_pid (0, as OFD locks want it).
_FLOCK = struct.Struct("hhqqi4x")

_PF_EXITING = 0x4  # sched.h; /proc/<pid>/stat, field 9


class ServiceLock:
    """The right to be the daemon of a segment, held while the object is open."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def acquire(cls, name: str, segment_id: int) -> ServiceLock | int:
        """The lock, or the pid of the daemon that holds it. Waits for a holder that is dying.

        Raises:
            FinCacheError: SegmentRetired, PermissionDenied: the lock file is gone, or not ours to open.
        """
        fd = _open_lock_file(name, segment_id)
        since = time.monotonic()
        while True:
            if _lock(fd, fcntl.F_WRLCK, BASE, 1 + os.getpid()):
                return cls(fd)
            holder = _holder(fd)
            if holder is not None and time.monotonic() - since >= _patience_seconds(holder):
                os.close(fd)
                return holder
            time.sleep(POLL_SECONDS)

    def claim(self) -> None:
        """Writes our pid into the range of a lock whose descriptor came from the old daemon."""
        pid = os.getpid()
        _lock(self._fd, fcntl.F_WRLCK, BASE, 1 + pid)
        _lock(self._fd, fcntl.F_UNLCK, BASE + 1 + pid, 0)  # 0: to the end

    def fileno(self) -> int:
        """The descriptor, to send it to the daemon that takes over."""
        return self._fd

    def close(self) -> None:
        """Lets go; without effect on who got the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def holder_of(name: str, segment_id: int) -> int | None:
    """The pid of the daemon that serves a segment; None: nobody does."""
    fd = _open_lock_file(name, segment_id)
    try:
        return _holder(fd)
    finally:
        os.close(fd)


def _open_lock_file(name: str, segment_id: int) -> int:
    path = f"/dev/shm/fincache-lock.{name}.{segment_id:016x}"
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise _core.refusal("SEGMENT_RETIRED", f"{path} is gone") from None
    except PermissionError:
        raise _core.refusal("PERMISSION", f"the lock file of segment {name}") from None


def _lock(fd: int, kind: int, start: int, length: int) -> bool:
    """False: somebody else's lock is in the way."""
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, start, length, 0))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _holder(fd: int) -> int | None:
    answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, BASE, 1, 0))
    kind, _whence, _start, length, _pid = _FLOCK.unpack(answer)
    return None if kind == fcntl.F_UNLCK else length - 1


def is_gone(pid: int) -> bool:
    """Whether a process has ended, or is about to."""
    return _patience_seconds(pid) > 0.0


def _patience_seconds(pid: int) -> float:
    """How long to wait for a holder to let go: not at all for one that lives."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return UNSEEN_SECONDS_MAX
    state, *_, flags = stat[stat.rindex(b")") + 2 :].split()[:7]
    return DYING_SECONDS_MAX if state in (b"Z", b"X") or int(flags) & _PF_EXITING else 0.0
