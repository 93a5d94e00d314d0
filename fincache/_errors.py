# ruff: noqa: N818 -- the names say what happened; "Error" on each of forty would say nothing
"""Exceptions: one root, one class for each outcome that is a failure.

    FinCacheError
    |-- BufferTooSmall (BufferError)          only from calls that fill a buffer of the caller
    |-- InvalidArgument (ValueError)          |-- InvalidName (ValueError)
    |-- InvalidType (TypeError)               an argument of a Python type that FinCache does not take
    |-- NotText (UnicodeDecodeError)          decode_responses=True, and a value that is not text in the cache's encoding
    |-- KeyTooLong (ValueError)               |-- ValueTooLong (ValueError)
    |-- NotAnInteger (ValueError)             |-- NotAFloat (ValueError)
    |-- IncrementOverflow (OverflowError)     |-- TooManyKeys (ValueError)
    |-- WrongType (TypeError)                 |-- SchemaMismatch (TypeError)
    |-- NoSuchKey (KeyError)                  cache[key], del, pop, and rename without a source; else a miss is None
    |-- Closed (ValueError)                   as a closed file of Python's
    |-- Forked (RuntimeError)                 |-- WrongThread (RuntimeError)
    |-- Reentered (RuntimeError)              |-- ReadOnly (PermissionError)
    |-- OutOfMemory (MemoryError)             |-- NoSpace (OSError)
    |-- SessionsFull (RuntimeError)           |-- Exhausted (RuntimeError)
    |-- Busy (TimeoutError)                   |-- Contended (TimeoutError)
    |-- MemoryLockRefused (OSError)           |-- SystemFailure (OSError)
    |-- SegmentMissing (FileNotFoundError)    |-- SegmentExists (FileExistsError)
    |-- PermissionDenied (PermissionError)    |-- SegmentRetired (RuntimeError)
    |-- ForeignSegment, TruncatedSegment, LayoutNewer, LayoutOlder, CorruptSegment (ValueError)
    |-- SizeTooSmall (ValueError)
    |-- AddressInUse (OSError)                |-- PathTooLong (ValueError)
    |-- CommandError (RuntimeError)           an error that a command of Cache.execute() replied with
    |-- WatchError (RuntimeError)             a key that a Pipeline watched has changed
    `-- InternalError (RuntimeError)

Numbers, messages and hints are rows of csrc/base/status.def and are nowhere repeated here: `_core` reads the rows from the C
library when it is imported, looks each python_class up in `CLASSES`, and refuses to load when one is missing. The classes are
written out so that a type checker and a reader see them; a test compares both lists. Five classes have no row of their own:
NoSuchKey speaks for the answer MISS where Redis or a dict, too, has an error; InvalidType and NotText are the Python half of
INVALID_ARGUMENT; CommandError is an error reply, which has a text of its own; WatchError is EXEC's null.

Each class is also the built-in exception it resembles, so `except TimeoutError` catches Busy. All of them can be pickled, and so
cross from a multiprocessing worker to its parent.
"""

from __future__ import annotations

import errno as _errno


class FinCacheError(Exception):
    """Root of everything that FinCache raises.

    Attributes:
        code: number of the status, as in fincache.h; the same for ever.
        message: what happened, in words.
        detail: what this case adds (a path, an errno, the pid and tid that hold a lock); "" when nothing.
        hint: what the user can do; "" when there is nothing to do.
    """

    def __init__(self, message: str, *, code: int = 0, detail: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        happened = f"{self.message}: {self.detail}" if self.detail else self.message
        return f"{happened}. {self.hint}" if self.hint else happened

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.code, self.detail, self.hint)


def _rebuild(error_class: type[FinCacheError], message: str, code: int, detail: str, hint: str) -> FinCacheError:
    return error_class(message, code=code, detail=detail, hint=hint)


class BufferTooSmall(FinCacheError, BufferError):
    """The value does not fit the caller's buffer."""


class InvalidArgument(FinCacheError, ValueError):
    """An argument is outside its range, or two arguments exclude each other."""


class InvalidType(FinCacheError, TypeError):
    """An argument has a type that FinCache does not take, such as a bool, None or a list as a value."""


class InvalidName(FinCacheError, ValueError):
    """Not a segment name."""


class KeyTooLong(FinCacheError, ValueError):
    """The key is longer than 64 KiB."""


class ValueTooLong(FinCacheError, ValueError):
    """The value is longer than the segment's value_bytes_max."""


class NotAnInteger(FinCacheError, ValueError):
    """The value is not a decimal 64-bit integer."""


class NotAFloat(FinCacheError, ValueError):
    """The value is not a decimal number."""


class IncrementOverflow(FinCacheError, OverflowError):
    """The sum leaves the range of its type; the key keeps its old value."""


class WrongType(FinCacheError, TypeError):
    """The key holds a value of another kind (Redis's WRONGTYPE)."""


class SchemaMismatch(FinCacheError, TypeError):
    """The key, or the row, is a record of another dtype."""


class NotText(FinCacheError, UnicodeDecodeError):
    """A value is not text in the encoding of a Cache with decode_responses=True.

    The attributes of UnicodeDecodeError (encoding, object, start, end, reason) are those of the codec's own exception. They do
    not travel when the exception is pickled: what is in `detail` does.
    """

    def __init__(self, message: str, *, code: int = 0, detail: str = "", hint: str = "") -> None:
        UnicodeDecodeError.__init__(self, "", b"", 0, 0, message)  # FinCacheError's would pass it one argument, and it wants five
        self.code = code
        self.message = message
        self.detail = detail
        self.hint = hint


class NoSuchKey(FinCacheError, KeyError):
    """The operation needs a key that is missing: cache[key], del cache[key], pop without a default, rename, renamenx."""


class TooManyKeys(FinCacheError, ValueError):
    """More keys than one multi-key write takes."""


class Closed(FinCacheError, ValueError):
    """The cache was closed."""


class Forked(FinCacheError, RuntimeError):
    """A session of the parent process was used in a child of fork()."""


class WrongThread(FinCacheError, RuntimeError):
    """A session was used by another thread than the one that opened it."""


class Reentered(FinCacheError, RuntimeError):
    """A write was interrupted by a signal handler that writes through the same session."""


class ReadOnly(FinCacheError, PermissionError):
    """A write through a read-only attachment."""

    errno = _errno.EROFS


class OutOfMemory(FinCacheError, MemoryError):
    """The segment is full, and its policy is noeviction (or nothing could be evicted)."""


class NoSpace(FinCacheError, OSError):
    """/dev/shm has not enough free space for the segment."""

    errno = _errno.ENOSPC


class SessionsFull(FinCacheError, RuntimeError):
    """All session slots of the segment belong to living threads."""


class Busy(FinCacheError, TimeoutError):
    """A live process held the key's lock beyond timeout_ms; pid and tid are in the detail."""

    errno = _errno.ETIMEDOUT


class Contended(FinCacheError, TimeoutError):
    """The key was rewritten on every one of the bounded retries of a read."""

    errno = _errno.EAGAIN


class MemoryLockRefused(FinCacheError, OSError):
    """The kernel refused mlock."""

    errno = _errno.ENOMEM


class Exhausted(FinCacheError, RuntimeError):
    """The segment has handed out every version number it has."""


class SegmentMissing(FinCacheError, FileNotFoundError):
    """There is no segment of that name."""

    errno = _errno.ENOENT


class SegmentExists(FinCacheError, FileExistsError):
    """There is a segment of that name already."""

    errno = _errno.EEXIST


class PermissionDenied(FinCacheError, PermissionError):
    """The segment's mode does not let this user in."""

    errno = _errno.EACCES


class ForeignSegment(FinCacheError, ValueError):
    """The object of that name was not made by FinCache."""


class TruncatedSegment(FinCacheError, ValueError):
    """The object is shorter than its header says."""


class LayoutNewer(FinCacheError, ValueError):
    """The segment was written by a newer FinCache."""


class LayoutOlder(FinCacheError, ValueError):
    """The segment was written by an older FinCache."""


class SegmentRetired(FinCacheError, RuntimeError):
    """The segment was unlinked: open sessions and read-only attachments go on, nobody can attach or open another session."""


class CorruptSegment(FinCacheError, ValueError):
    """Bytes in the segment are damaged."""


class SizeTooSmall(FinCacheError, ValueError):
    """The size is too small for a segment."""


class AddressInUse(FinCacheError, OSError):
    """Somebody listens on that address already."""


class PathTooLong(FinCacheError, ValueError):
    """The path is longer than a UNIX socket's may be."""


class SystemFailure(FinCacheError, OSError):
    """A system call failed; the detail names it and its errno."""


class CommandError(FinCacheError, RuntimeError):
    """A command that Cache.execute() ran replied with an error; the message is its text."""


class WatchError(FinCacheError, RuntimeError):
    """A key that a Pipeline watched has changed; its commands were not run."""


class InternalError(FinCacheError, RuntimeError):
    """FinCache found itself in an impossible state."""


CLASSES: dict[str, type[FinCacheError]] = {cls.__name__: cls for cls in FinCacheError.__subclasses__()}
"""Every class above except the root, by name."""
