"""How a command ends: the one table of exit codes, and which exception is which.

Numbers are stable: scripts branch on them. 1 is an answer ("no"), as for grep; 2 is click's own for a command line that cannot be
understood; from 3 on each number says what to look at; 128 + n is the shell's way to say "ended by signal n".
"""

from __future__ import annotations

import signal
from enum import IntEnum

import fincache
from fincache.daemon.failures import AddressRefused, ConfigurationError, HandoverFailed, PathRefused, SegmentServed


class ExitCode(IntEnum):
    """An exit code, what it means, and the exceptions that lead to it (with their subclasses)."""

    meaning: str
    errors: tuple[type[BaseException], ...]

    def __new__(cls, code: int, meaning: str, *errors: type[BaseException]) -> ExitCode:
        """One row of the table."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        member.errors = errors
        return member

    OK = 0, "done"
    NO = 1, "the answer is no: no such key, or a condition (--nx, --xx) did not hold", fincache.NoSuchKey
    USAGE = (
        2,
        "the command line cannot be understood, or an argument is not allowed",
        fincache.InvalidArgument,
        fincache.InvalidName,
        fincache.InvalidType,
        fincache.KeyTooLong,
        fincache.ValueTooLong,
        fincache.TooManyKeys,
        fincache.SizeTooSmall,
    )
    MISSING = 3, "no such segment", fincache.SegmentMissing, fincache.SegmentRetired
    PERMISSION = 4, "no permission for the segment", fincache.PermissionDenied, fincache.ReadOnly
    UNUSABLE = (
        5,
        "the object is no usable segment: foreign, truncated, of another layout, or damaged",
        fincache.ForeignSegment,
        fincache.TruncatedSegment,
        fincache.LayoutNewer,
        fincache.LayoutOlder,
        fincache.CorruptSegment,
    )
    FULL = (
        6,
        "no room: the segment, /dev/shm, the session slots or the memory lock limit is used up",
        fincache.OutOfMemory,
        fincache.NoSpace,
        fincache.SessionsFull,
        fincache.MemoryLockRefused,
        fincache.Exhausted,
    )
    BUSY = 7, "somebody else is in the way: a lock is held, or a key is rewritten all the time", fincache.Busy, fincache.Contended
    IN_USE = 8, "it exists already, or is still in use", fincache.SegmentExists
    DATA = (
        9,
        "a value or a file is not what the operation needs",
        fincache.NotAnInteger,
        fincache.NotAFloat,
        fincache.IncrementOverflow,
        fincache.WrongType,
        fincache.SchemaMismatch,
    )
    UNHEALTHY = 10, "doctor found problems, and they are still there"
    FAILED = 11, "the system, or FinCache itself, failed", fincache.FinCacheError, OSError
    CONFIGURATION = 20, "the configuration is wrong", ConfigurationError
    ADDRESS_IN_USE = 21, "the port or the socket path is in use", fincache.AddressInUse
    ADDRESS_REFUSED = 22, "protected mode: an address that other hosts can reach, and no password", AddressRefused
    PATH_TOO_LONG = 23, "the path is too long for a UNIX socket", fincache.PathTooLong, PathRefused
    SERVED = 24, "another daemon serves the segment", SegmentServed
    HANDOVER = 25, "--takeover did not come about; the old daemon goes on", HandoverFailed
    HANGUP = 128 + signal.SIGHUP, "the terminal went away"
    INTERRUPTED = 128 + signal.SIGINT, "ended by Ctrl-C", KeyboardInterrupt
    PIPE = 128 + signal.SIGPIPE, "whoever read the output went away", BrokenPipeError
    TERMINATED = 128 + signal.SIGTERM, "ended by SIGTERM"


_CODE_OF: dict[type[BaseException], ExitCode] = {error: code for code in ExitCode for error in code.errors}


def exit_code_of(error: BaseException) -> ExitCode | None:
    """The exit code of an exception; None for one that is a fault of this program."""
    return next((_CODE_OF[kind] for kind in type(error).__mro__ if kind in _CODE_OF), None)


def table_text() -> str:
    """The table, as `fincache --help` ends with it."""
    return "\n".join(f"{code.value:>5}  {code.meaning}" for code in ExitCode)


# What the library advises is for programs; where a command says the same better, it is here.
_HINTS: dict[type[BaseException], str] = {
    fincache.SegmentMissing: "Create it with fincache create; fincache ls shows what there is.",
    fincache.SegmentExists: "Remove it with fincache rm, or pass --if-missing to be content with it.",
    fincache.PermissionDenied: "fincache ls shows modes and owners; fincache create --mode 660 --group GROUP admits a group.",
    fincache.SegmentRetired: "It was removed, and perhaps created again: try again.",
    fincache.TruncatedSegment: "Something truncated it; remove it with fincache rm and create it again.",
    fincache.ForeignSegment: "Choose another name, or remove the object with fincache rm --force.",
    fincache.LayoutOlder: "Remove it with fincache rm and create it again, or use the FinCache that wrote it.",
    fincache.LayoutNewer: "Upgrade this FinCache, or remove the segment with fincache rm.",
    fincache.CorruptSegment: "Remove it with fincache rm and create it again.",
    fincache.OutOfMemory: "Delete keys, or create a larger segment or one with an eviction policy.",
    fincache.SessionsFull: "fincache stat shows who is attached; fincache create --sessions-max makes more room.",
    fincache.MemoryLockRefused: "Raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=) or do without --lock-memory.",
}


def message_of(error: BaseException) -> str:
    """One line for people: what happened, and what to do."""
    if isinstance(error, fincache.FinCacheError):
        happened = f"{error.message}: {error.detail}" if error.detail else error.message
        hint = _HINTS.get(type(error), error.hint)
        text = f"{happened}. {hint}" if hint else happened
    elif isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
    else:
        text = str(error)
    return " ".join(text.split())
