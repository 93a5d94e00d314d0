"""The C library as Python objects. The only module that touches cffi; everything above it speaks bytes, ints and exceptions.

Who owns what:

    Attachment ---- Handle (fc_cache *, and who still needs it)
        |              |
        threading.local|      one for each thread that ever asked
        `-- Session ---'----- fc_session *, and idle _Calls (out-parameters and a buffer of BUFFER_BYTES)

A pointer must never be used after it was freed, whatever threads, signal handlers, fork() and the garbage collector do, and no
lock may be needed for that (a child of fork() would inherit it locked, a signal handler would wait for itself). Three rules:

  1. Whoever uses the mapping has a *pin* in Handle.pins. It pins first and looks at `closing` then; close() sets `closing` first
     and looks at the pins then. So one of them sees the other, and the last to leave takes the pointer out of a list (list.pop
     is atomic) and gives it back to the C library. A Session is pinned while it exists.
  2. A session is closed by the destructor of its Session, not by close(): a frame that is in the middle of a call holds a
     reference to it (every call is a method of Session), so a signal handler that closes the cache only lets go of it. When a
     thread ends, Python drops the thread's `local`, and with it the Session, on that very thread.
  3. Out-parameters are borrowed: a call pops a _Call and puts it back when it has read the results, so that a signal handler
     which reads in the middle of a read gets other ones. A call that raises does not put it back; the next makes a new one.

fork(): the child inherits the mapping, not the sessions. `_after_fork_in_child` gives each Attachment a new `local`, and makes
what is left of the parent's sessions forget their pointers. A fork() that Python does not see (from C) is caught by the C
library, as Forked.

cffi releases the GIL around every call, also around those that wait (P13).
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from fincache._errors import CLASSES, FinCacheError, InvalidType, NoSuchKey
from fincache._fincache import ffi as _ffi
from fincache._fincache import lib as _lib
from fincache._reports import Entry, Policy, SegmentInfo, SessionInfo, Stats, Writer

# ------------------------------------------------------------------ statuses


@dataclass(frozen=True)
class StatusRow:
    """One row of csrc/base/status.def."""

    status: int
    name: str
    resp_prefix: str
    python_class: str
    message: str
    hint: str


def _read_rows() -> dict[int, StatusRow]:
    rows: dict[int, StatusRow] = {}
    index = 0
    while (row := _lib.fc_status_at(index)) != _ffi.NULL:
        texts = (row.name, row.resp_prefix, row.python_class, row.message, row.hint)
        rows[row.status] = StatusRow(row.status, *(_ffi.string(text).decode() for text in texts))
        index += 1
    missing = sorted({row.python_class for row in rows.values()} - {"-"} - CLASSES.keys())
    if missing:
        raise ImportError(f"fincache's C library is newer than its Python modules: no exception class {', '.join(missing)}")
    return rows


STATUS_ROWS = _read_rows()
_BY_NAME = {row.name: row for row in STATUS_ROWS.values()}

_OK = _BY_NAME["OK"].status
_MISS = _BY_NAME["MISS"].status
_NOT_STORED = _BY_NAME["NOT_STORED"].status
_VERSION_MISMATCH = _BY_NAME["VERSION_MISMATCH"].status
_BUFFER_SMALL = _BY_NAME["BUFFER_SMALL"].status
_WRONG_TYPE = _BY_NAME["WRONG_TYPE"].status


def refusal(name: str, detail: str, hint: str | None = None) -> FinCacheError:
    """The exception of a status by its name, for arguments that are refused before the C library sees them."""
    row = _BY_NAME[name]
    error = CLASSES[row.python_class]
    return error(row.message, code=row.status, detail=detail, hint=row.hint if hint is None else hint)


def refused_type(detail: str, hint: str) -> FinCacheError:
    """The exception for an argument of a type that FinCache does not take."""
    return InvalidType("an argument has the wrong type", code=_BY_NAME["INVALID_ARGUMENT"].status, detail=detail, hint=hint)


def _failure(status: int) -> FinCacheError:
    """The exception of a status that the C library returned just now, on this thread."""
    row = STATUS_ROWS.get(status)
    detail = _ffi.string(_lib.fc_error_detail(status)).decode("utf-8", "replace")
    if row is None or row.python_class == "-":
        detail = f"status {status if row is None else row.name} where none is due; {detail}"
        row = _BY_NAME["INTERNAL"]
    return CLASSES[row.python_class](row.message, code=row.status, detail=detail, hint=row.hint)


def _check(status: int) -> None:
    if status != _OK:
        raise _failure(status)


def _no_such_key(key: bytes) -> FinCacheError:
    row = _BY_NAME["MISS"]
    return NoSuchKey(row.message, code=row.status, detail=repr(key[:64]), hint="The source must exist.")


# ------------------------------------------------------------------ constants of the C library

KEY_BYTES_MAX: int = _lib.FC_KEY_BYTES_MAX
NAME_BYTES_MAX: int = _lib.FC_NAME_BYTES_MAX
DATABASES_MAX: int = _lib.FC_DATABASES_MAX
SESSIONS_LIMIT: int = _lib.FC_SESSIONS_LIMIT
MULTI_KEYS_MAX: int = _lib.FC_MULTI_KEYS_MAX
SEGMENT_BYTES_MIN: int = _lib.FC_SEGMENT_BYTES_MIN
VALUE_BYTES_LIMIT: int = _lib.FC_VALUE_BYTES_LIMIT
SCHEMA_BYTES_MAX: int = _lib.FC_SCHEMA_BYTES_MAX

SET_NX: int = _lib.FC_SET_NX
SET_XX: int = _lib.FC_SET_XX
SET_KEEPTTL: int = _lib.FC_SET_KEEPTTL
SET_VERSION: int = _lib.FC_SET_VERSION
SET_SCHEMA: int = _lib.FC_SET_SCHEMA
EXPIRE_NX: int = _lib.FC_EXPIRE_NX
EXPIRE_XX: int = _lib.FC_EXPIRE_XX
EXPIRE_GT: int = _lib.FC_EXPIRE_GT
EXPIRE_LT: int = _lib.FC_EXPIRE_LT

POLICIES: dict[str, int] = {
    "noeviction": _lib.FC_POLICY_NOEVICTION,
    "allkeys-lru": _lib.FC_POLICY_ALLKEYS_LRU,
    "allkeys-random": _lib.FC_POLICY_ALLKEYS_RANDOM,
}
_POLICY_NAMES: dict[int, Policy] = {
    _lib.FC_POLICY_NOEVICTION: "noeviction",
    _lib.FC_POLICY_ALLKEYS_LRU: "allkeys-lru",
    _lib.FC_POLICY_ALLKEYS_RANDOM: "allkeys-random",
}
_TYPE_NAMES: dict[int, bytes] = {_lib.FC_TYPE_NONE: b"none", _lib.FC_TYPE_STRING: b"string"}
_WRITER_NAMES: dict[int, Writer] = {
    _lib.FC_WRITER_UNKNOWN: "unknown",
    _lib.FC_WRITER_ALIVE: "alive",
    _lib.FC_WRITER_DEAD: "dead",
}

BUFFER_BYTES = 4096  # of a _Call: one page holds nearly every value of a market-data cache
SLOT_BYTES = 256  # of one key in the first attempt of a multi-key read
GROW_COUNT_MAX = 8  # attempts with a larger buffer, each 1/8 larger than asked for: a value that outgrows all is a moving target

# numpy arrays are too large to clear before they are overwritten, and so are these.
_new_uncleared = _ffi.new_allocator(should_clear_after_alloc=False)


def version() -> str:
    """Version of the C library, "major.minor.patch"."""
    text: str = _ffi.string(_lib.fc_version()).decode()
    return text


# ------------------------------------------------------------------ callbacks of the C library


@_ffi.def_extern(name="fcpy_visit_name", error=1)  # type: ignore[untyped-decorator]
def _visit_name(context: Any, name: Any) -> int:
    _ffi.from_handle(context).append(_ffi.string(name).decode())
    return 0


@_ffi.def_extern(name="fcpy_visit_session", error=1)  # type: ignore[untyped-decorator]
def _visit_session(context: Any, info: Any) -> int:
    values = {field.name: getattr(info, field.name) for field in fields(SessionInfo)}
    _ffi.from_handle(context).append(SessionInfo(**values | {"live": bool(info.live)}))
    return 0


@_ffi.def_extern(name="fcpy_visit_key", error=1)  # type: ignore[untyped-decorator]
def _visit_key(context: Any, key: Any, key_bytes: int, kind: int) -> int:
    _ffi.from_handle(context).append((_ffi.buffer(key, key_bytes)[:], _TYPE_NAMES.get(kind, b"unknown")))
    return 0


# ------------------------------------------------------------------ segments


def unlink(name: bytes) -> None:
    """Removes the name of a segment; who is attached goes on."""
    _check(_lib.fc_cache_unlink(name))


def list_names() -> list[str]:
    """Names of the segments of this host that this user can see, in no order."""
    names: list[str] = []
    context = _ffi.new_handle(names)
    _check(_lib.fc_cache_list(_lib.fcpy_visit_name, context))
    return names


@dataclass(frozen=True)
class Options:
    """fc_options. Zeros are defaults of the C library, except for size_bytes, which always counts."""

    size_bytes: int = SEGMENT_BYTES_MIN
    item_bytes: int = 0
    keys: int = 0
    value_bytes_max: int = 0
    databases: int = 0
    sessions_max: int = 0
    policy: int = 0
    mode: int = 0o600
    group: int = -1
    huge_pages: bool = False
    prefault: bool = False
    lock_memory: bool = False
    read_only: bool = False

    def pack(self) -> Any:
        """The C struct."""
        packed = _ffi.new("fc_options *")
        _lib.fc_options_init(packed)
        for field in fields(self):
            setattr(packed, field.name, int(getattr(self, field.name)))
        return packed


class Handle:
    """An fc_cache pointer, and who still needs it (rule 1 of the module)."""

    def __init__(self, pointer: Any) -> None:
        self.pointer = pointer
        self.closing = False
        self.epoch = 0  # forks since the pointer was made, in this line of processes
        self.pins: dict[object, int] = {}  # pin -> ident of the thread that holds it
        self._owned = [pointer]

    def pin(self) -> object:
        """Keeps the mapping until `unpin`. Raises Closed."""
        pin = object()
        self.pins[pin] = threading.get_ident()
        if self.closing:
            self.unpin(pin)
            raise closed()
        return pin

    def unpin(self, pin: object) -> None:
        """The counterpart of `pin`; the last one after `close` unmaps."""
        self.pins.pop(pin, None)
        if self.closing:
            self.release()

    def release(self) -> None:
        """Unmaps if nobody is left who needs the mapping."""
        if self.pins:
            return
        try:
            pointer = self._owned.pop()
        except IndexError:
            return  # somebody else was the last
        # FC_BUSY: a session was dropped by another thread than its own (a cache that was never closed, collected elsewhere). The
        # C library closes that session when its thread ends; the mapping stays until the process ends.
        _lib.fc_cache_close(pointer)


def closed() -> FinCacheError:
    """The exception for use after close."""
    return refusal("CLOSED", "this fincache.Cache was closed")


class _Local(threading.local):
    """`session` of the thread that asks, once it has one."""

    session: Session


class _ClosedLocal:
    """Takes the place of a _Local in a closed Attachment, and lets go of the asking thread's session.

    The old one lives on in here: dropping it would run the destructors of all threads' sessions on this thread, and a session
    can only be closed by its own.
    """

    def __init__(self, buried: _Local) -> None:
        self._buried = buried

    def bury(self) -> None:
        """Closes the calling thread's session, if it has one."""
        self._buried.__dict__.pop("session", None)

    @property
    def session(self) -> Session:
        """Raises Closed."""
        self.bury()
        raise closed()


class Attachment:
    """One process's mapping of a segment, shared by its threads; hands each thread a session of its own.

    Thread-safe; usable in a child of fork().
    """

    def __init__(self, pointer: Any, name: str, read_only: bool, timeout_ns: int) -> None:
        self.name = name
        self.read_only = read_only
        self._timeout_ns = timeout_ns
        self._handle = Handle(pointer)
        self._database_count = 0  # not looked up yet
        self._open = [_Local()]  # emptied by whoever closes
        self._local: _Local | _ClosedLocal = self._open[0]
        _attachments.add(self)

    @classmethod
    def open(cls, name: bytes, options: Options, timeout_ns: int) -> Attachment:
        """fc_cache_open."""
        return cls._obtain(_lib.fc_cache_open, name, options, timeout_ns)

    @classmethod
    def attach(cls, name: bytes, options: Options, timeout_ns: int) -> Attachment:
        """fc_cache_attach."""
        return cls._obtain(_lib.fc_cache_attach, name, options, timeout_ns)

    @classmethod
    def _obtain(cls, function: Any, name: bytes, options: Options, timeout_ns: int) -> Attachment:
        out = _ffi.new("fc_cache **")
        _check(function(name, options.pack(), out))
        return cls(out[0], name.decode(), options.read_only, timeout_ns)

    @property
    def closed(self) -> bool:
        """True after close()."""
        return self._handle.closing

    def session(self) -> Session:
        """The calling thread's session, opened if need be. Raises Closed, SessionsFull, SegmentRetired.

        The caller keeps the result in a variable while it calls methods of it (rule 2 of the module).
        """
        try:
            return self._local.session
        except AttributeError:
            return self._open_session()

    def _open_session(self) -> Session:
        local = self._local
        if isinstance(local, _ClosedLocal):
            raise closed()
        session = Session(self._handle, self._timeout_ns)
        local.session = session
        if self._handle.closing:  # a signal handler or another thread closed in between
            del local.session
            raise closed()
        return session

    def close(self) -> None:
        """Ends the attachment for all threads; a second time is nothing.

        The calling thread's session closes now. Every other thread's closes when that thread ends or next asks for it; the last
        one takes the mapping with it.
        """
        try:
            local = self._open.pop()
        except IndexError:
            return
        self._handle.closing = True
        shut = _ClosedLocal(local)
        self._local = shut
        shut.bury()
        del local
        self._handle.release()

    def __del__(self) -> None:
        handle = self.__dict__.get("_handle")
        if handle is not None:
            handle.closing = True
            self.__dict__.clear()  # the sessions with it
            handle.release()

    def describe(self) -> SegmentInfo:
        """fc_cache_describe."""
        pin = self._handle.pin()
        try:
            out = _ffi.new("fc_cache_info *")
            _check(_lib.fc_cache_describe(self._handle.pointer, out))
        finally:
            self._handle.unpin(pin)
        values = {field.name: getattr(out, field.name) for field in fields(SegmentInfo)}
        flags = {name: bool(values[name]) for name in ("read_only", "retired", "locked", "huge_advised")}
        texts = {"name": _ffi.string(out.name).decode(), "policy": _POLICY_NAMES[out.policy]}
        return SegmentInfo(**values | flags | texts)

    def database_count(self) -> int:
        """Databases of the segment; looked up once, for it never changes. Raises Closed."""
        if self._handle.closing:
            raise closed()
        if self._database_count == 0:
            self._database_count = self.describe().databases
        return self._database_count

    def stats(self) -> Stats:
        """fc_cache_stats."""
        pin = self._handle.pin()
        try:
            out = _ffi.new("fc_stats *")
            _check(_lib.fc_cache_stats(self._handle.pointer, out))
        finally:
            self._handle.unpin(pin)
        return _unpack_stats(out)

    def sessions(self) -> list[SessionInfo]:
        """fc_session_list."""
        found: list[SessionInfo] = []
        context = _ffi.new_handle(found)
        pin = self._handle.pin()
        try:
            _check(_lib.fc_session_list(self._handle.pointer, _lib.fcpy_visit_session, context))
        finally:
            self._handle.unpin(pin)
        return found

    def set_policy(self, policy: int) -> None:
        """fc_cache_set_policy."""
        pin = self._handle.pin()
        try:
            _check(_lib.fc_cache_set_policy(self._handle.pointer, policy))
        finally:
            self._handle.unpin(pin)

    def after_fork_in_child(self) -> None:
        """Forgets the sessions of the parent; those of its other threads have nobody left to close them."""
        handle = self._handle
        handle.epoch += 1
        here = threading.get_ident()
        for pin, ident in list(handle.pins.items()):
            if ident != here:
                del handle.pins[pin]
        local = _Local()
        if handle.closing:
            self._local = _ClosedLocal(local)
            handle.release()
        else:
            self._open[:] = [local]
            self._local = local


_attachments: weakref.WeakSet[Attachment] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for attachment in list(_attachments):
        attachment.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)


# ------------------------------------------------------------------ sessions


class _Call:
    """Out-parameters and a buffer of one call (rule 3 of the module)."""

    __slots__ = ("buffer", "count", "entry", "hold", "key", "kind", "number", "options", "result", "target", "target_hold")

    def __init__(self) -> None:
        self.key = _ffi.new("fc_key *")
        self.hold: Any = None  # keeps the bytes of `key` where they are
        self.target = _ffi.new("fc_key *")
        self.target_hold: Any = None
        self.buffer = _new_uncleared("char[]", BUFFER_BYTES)
        self.count = _ffi.new("uint64_t *")
        self.number = _ffi.new("int64_t *")
        self.kind = _ffi.new("uint32_t *")
        self.entry = _ffi.new("fc_entry *")
        self.options = _ffi.new("fc_set_options *")
        self.result = _ffi.new("fc_set_result *")


class Session:
    """One thread's right to read and write. Methods take a database and keys as bytes, and never keep a reference to them.

    A miss is None (values) or False. Failures raise.
    """

    def __init__(self, handle: Handle, timeout_ns: int) -> None:
        self._handle = handle
        self._cache = handle.pointer
        self._epoch = handle.epoch
        self._pointer = _ffi.NULL
        self._pin = handle.pin()
        self._idle: list[_Call] = []
        out = _ffi.new("fc_session **")
        _check(_lib.fc_session_open(self._cache, out))
        self._pointer = out[0]
        _check(_lib.fc_session_set_timeout(self._pointer, timeout_ns))

    def __del__(self) -> None:
        pin = getattr(self, "_pin", None)
        if pin is None:
            return  # it was never pinned: the cache was closed
        if self._epoch == self._handle.epoch:
            # FC_WRONG_THREAD: the collector found it on another thread; the C library closes it when its own ends.
            _lib.fc_session_close(self._pointer)
        self._handle.unpin(pin)

    def _borrow(self) -> _Call:
        try:
            return self._idle.pop()
        except IndexError:
            return _Call()

    def _prepare(self, database: int, key: bytes) -> _Call:
        """A _Call with `key` in it. The caller appends it to _idle when it has read its results."""
        call = self._borrow()
        call.hold = _ffi.from_buffer(key)
        _check(_lib.fc_key_init(self._cache, database, call.hold, len(key), call.key))
        return call

    def _prepare_two(self, database: int, source: bytes, target_database: int, target: bytes) -> _Call:
        call = self._prepare(database, source)
        call.target_hold = _ffi.from_buffer(target)
        _check(_lib.fc_key_init(self._cache, target_database, call.target_hold, len(target), call.target))
        return call

    # -------------------------------------------------------------- reading

    def get(self, database: int, key: bytes) -> bytes | None:
        """fc_get."""
        call = self._borrow()
        buffer, count = call.buffer, call.count
        status = _lib.fcpy_get(self._cache, self._pointer, database, key, len(key), buffer, BUFFER_BYTES, count)
        if status == _OK:
            value: bytes = _ffi.unpack(buffer, count[0])
            self._idle.append(call)
            return value
        if status == _MISS:
            self._idle.append(call)
            return None
        if status != _BUFFER_SMALL:
            raise _failure(status)
        status, grown = self._grow(
            count[0],
            lambda buffer, room: (
                _lib.fcpy_get(self._cache, self._pointer, database, key, len(key), buffer, room, count),
                count[0],
            ),
        )
        self._idle.append(call)
        return grown if status == _OK else None

    def _grow(self, need: int, attempt: Callable[[Any, int], tuple[int, int]]) -> tuple[int, bytes]:
        """Repeats a call that found its buffer too small, with larger ones; the status and the bytes.

        `attempt(buffer, buffer_bytes)` gives a status and the number of bytes that are there or needed.
        """
        for _ in range(GROW_COUNT_MAX):
            room = need + need // 8
            buffer = _new_uncleared("char[]", room)
            status, need = attempt(buffer, room)
            if status == _OK:
                value: bytes = _ffi.unpack(buffer, need)
                return status, value
            if status in (_MISS, _NOT_STORED):
                return status, b""
            if status != _BUFFER_SMALL:
                raise _failure(status)
        raise refusal("CONTENDED", f"the value outgrew {GROW_COUNT_MAX} buffers in a row")

    def _fill(self, call: _Call, attempt: Callable[[Any, int], tuple[int, int]]) -> tuple[int, bytes]:
        """The same from the start, with the buffer of `call` first."""
        status, used = attempt(call.buffer, BUFFER_BYTES)
        if status == _OK:
            value: bytes = _ffi.unpack(call.buffer, used)
            return status, value
        if status in (_MISS, _NOT_STORED):
            return status, b""
        if status == _BUFFER_SMALL:
            return self._grow(used, attempt)
        raise _failure(status)

    def entry(self, database: int, key: bytes) -> Entry[bytes] | None:
        """fc_get_entry."""
        call = self._prepare(database, key)
        entry = call.entry
        status, value = self._fill(
            call,
            lambda buffer, room: (
                _lib.fc_get_entry(self._pointer, call.key, buffer, room, entry),
                entry.value_bytes,
            ),
        )
        found = None if status == _MISS else _unpack_entry(entry, value, self._writer_of(entry))
        self._idle.append(call)
        return found

    def stats(self) -> Stats:
        """fc_session_stats: the counters of this session alone."""
        out = _ffi.new("fc_stats *")
        _check(_lib.fc_session_stats(self._pointer, out))
        return _unpack_stats(out)

    def reap(self) -> int:
        """fc_session_reap: settles every dead session, and says how many."""
        settled = _ffi.new("uint32_t *")
        _check(_lib.fc_session_reap(self._pointer, settled))
        count: int = settled[0]
        return count

    def _writer_of(self, entry: Any) -> Writer:
        """fc_entry_writer: asks the kernel, some 15 us."""
        writer = _ffi.new("uint32_t *")
        _check(_lib.fc_entry_writer(self._pointer, entry, writer))
        return _WRITER_NAMES.get(writer[0], "unknown")

    def entry_into(self, database: int, key: bytes, out: object, schema: int, with_writer: bool) -> Entry[None] | None:
        """fc_get_entry into a writable buffer, for a record of exactly its length and of `schema`.

        Without with_writer the entry's writer is "unknown", and the kernel is not asked. Raises SchemaMismatch for
        anything else. What is in `out` after an exception or a miss is undefined.
        """
        call = self._prepare(database, key)
        entry = call.entry
        buffer = _ffi.from_buffer(out, require_writable=True)
        room = len(buffer)
        status = _lib.fc_get_entry(self._pointer, call.key, buffer, room, entry)
        if status == _MISS:
            self._idle.append(call)
            return None
        if status not in (_OK, _BUFFER_SMALL):
            raise _failure(status)
        if status == _BUFFER_SMALL or entry.schema != schema or entry.value_bytes != room:
            present = self.schema_text(entry.schema) if entry.schema else None
            kind = "plain bytes" if present is None else present.decode()
            raise refusal("SCHEMA_MISMATCH", f"{key[:64]!r} holds {kind} ({entry.value_bytes} bytes)")
        found = _unpack_entry(entry, None, self._writer_of(entry) if with_writer else "unknown")
        self._idle.append(call)
        return found

    def range(self, database: int, key: bytes, first: int, last: int) -> bytes:
        """fc_get_range."""
        call = self._prepare(database, key)
        _, value = self._fill(
            call,
            lambda buffer, room: (
                _lib.fc_get_range(self._pointer, call.key, first, last, buffer, room, call.count),
                call.count[0],
            ),
        )
        self._idle.append(call)
        return value

    def length(self, database: int, key: bytes) -> int:
        """Bytes of the value; 0 for a miss."""
        call = self._prepare(database, key)
        status = _lib.fc_get_entry(self._pointer, call.key, _ffi.NULL, 0, call.entry)
        value_bytes: int = call.entry.value_bytes if self._answer(status) else 0
        self._idle.append(call)
        return value_bytes

    def exists(self, database: int, key: bytes) -> bool:
        """fc_exists."""
        call = self._prepare(database, key)
        found = self._answer(_lib.fc_exists(self._pointer, call.key))
        self._idle.append(call)
        return found

    def type(self, database: int, key: bytes) -> bytes:
        """fc_type: b"none" or b"string"."""
        call = self._prepare(database, key)
        _check(_lib.fc_type(self._pointer, call.key, call.kind))
        name = _TYPE_NAMES.get(call.kind[0], b"unknown")
        self._idle.append(call)
        return name

    def expires(self, database: int, key: bytes) -> int | None:
        """fc_expires: nanoseconds since 1970, 0 without expiry, None for a miss."""
        call = self._prepare(database, key)
        found = self._answer(_lib.fc_expires(self._pointer, call.key, call.count))
        expires_unix_ns: int | None = call.count[0] if found else None
        self._idle.append(call)
        return expires_unix_ns

    def read_many(self, database: int, keys: list[bytes], *, cut: bool) -> list[bytes | None]:
        """fc_get_cut, or fc_get_many. A key that holds no string reads as None, as in Redis."""
        prepared, _hold = self._prepare_many(database, keys)
        reads = _ffi.new("fc_read[]", len(keys))
        arena = _new_uncleared("char[]", SLOT_BYTES * len(keys))
        for index in range(len(keys)):
            reads[index].buffer = arena + SLOT_BYTES * index
            reads[index].buffer_bytes = SLOT_BYTES
        read = _lib.fc_get_cut if cut else _lib.fc_get_many
        grown: dict[int, Any] = {}
        for _ in range(GROW_COUNT_MAX):
            _check(read(self._pointer, prepared, reads, len(keys)))
            small = [index for index in range(len(keys)) if reads[index].status == _BUFFER_SMALL]
            if not small:
                return [_unpack_read(reads[index]) for index in range(len(keys))]
            for index in small:
                room = reads[index].value_bytes + reads[index].value_bytes // 8
                grown[index] = _new_uncleared("char[]", room)
                reads[index].buffer = grown[index]
                reads[index].buffer_bytes = room
        raise refusal("CONTENDED", f"a value outgrew {GROW_COUNT_MAX} buffers in a row")

    def _prepare_many(self, database: int, keys: list[bytes]) -> tuple[Any, Any]:
        """fc_key[] of keys, and what keeps their bytes where they are: one copy of them all."""
        prepared = _ffi.new("fc_key[]", len(keys))
        hold = _ffi.from_buffer(b"".join(keys))
        offset = 0
        for index, key in enumerate(keys):
            _check(_lib.fc_key_init(self._cache, database, hold + offset, len(key), prepared + index))
            offset += len(key)
        return prepared, hold

    # -------------------------------------------------------------- writing

    def set(
        self,
        database: int,
        key: bytes,
        value: bytes,
        flags: int = 0,
        expires_unix_ns: int = 0,
        if_version: int = 0,
        schema: int = 0,
    ) -> int | None:
        """fc_set: the new version, or None if a condition did not hold. Without any option the version is 0: not asked for."""
        if flags == 0 and expires_unix_ns == 0:
            status = _lib.fcpy_set(self._cache, self._pointer, database, key, len(key), value, len(value), _ffi.NULL, _ffi.NULL)
            if status == _OK:
                return 0
            raise _failure(status)
        call = self._borrow()
        options, result = call.options, call.result
        options.flags = flags
        options.expires_unix_ns = expires_unix_ns
        options.if_version = if_version
        options.schema = schema
        status = _lib.fcpy_set(self._cache, self._pointer, database, key, len(key), value, len(value), options, result)
        if status not in (_OK, _NOT_STORED, _VERSION_MISMATCH):
            raise _failure(status)
        stored: int | None = result.version if status == _OK else None
        self._idle.append(call)
        return stored

    def set_get(self, database: int, key: bytes, value: bytes, flags: int, expires_unix_ns: int) -> tuple[bool, bytes | None]:
        """fc_set with FC_SET_GET: whether it was stored, and the old value."""
        call = self._prepare(database, key)
        options, result = call.options, call.result
        options.flags = flags | _lib.FC_SET_GET
        options.expires_unix_ns = expires_unix_ns
        need = BUFFER_BYTES
        buffer = call.buffer
        for _ in range(GROW_COUNT_MAX):
            options.old_buffer = buffer
            options.old_buffer_bytes = need
            result.old_exists = 0
            status = _lib.fc_set(self._pointer, call.key, value, len(value), options, result)
            if status in (_OK, _NOT_STORED):
                old: bytes | None = _ffi.unpack(buffer, result.old_bytes) if result.old_exists else None
                options.old_buffer = _ffi.NULL
                self._idle.append(call)
                return status == _OK, old
            if status != _BUFFER_SMALL:
                raise _failure(status)
            need = result.old_bytes + result.old_bytes // 8
            buffer = _new_uncleared("char[]", need)
        raise refusal("CONTENDED", f"the value outgrew {GROW_COUNT_MAX} buffers in a row")

    def delete(self, database: int, key: bytes) -> bool:
        """fc_delete."""
        call = self._prepare(database, key)
        found = self._answer(_lib.fc_delete(self._pointer, call.key))
        self._idle.append(call)
        return found

    def increment(self, database: int, key: bytes, delta: int) -> int:
        """fc_increment."""
        call = self._prepare(database, key)
        _check(_lib.fc_increment(self._pointer, call.key, delta, call.number))
        number: int = call.number[0]
        self._idle.append(call)
        return number

    def increment_float(self, database: int, key: bytes, delta: bytes) -> bytes:
        """fc_increment_float by the decimal number in `delta`; the new value's text."""
        amount = _ffi.new("long double *")
        if _lib.fcpy_long_double(delta, amount) != 0:
            raise refusal("NOT_FLOAT", repr(delta))
        call = self._prepare(database, key)
        text = _ffi.new("char[]", _lib.FC_FLOAT_TEXT_BYTES)
        _check(_lib.fc_increment_float(self._pointer, call.key, amount[0], text, _lib.FC_FLOAT_TEXT_BYTES))
        self._idle.append(call)
        value: bytes = _ffi.string(text)
        return value

    def append(self, database: int, key: bytes, data: bytes) -> int:
        """fc_append."""
        call = self._prepare(database, key)
        _check(_lib.fc_append(self._pointer, call.key, data, len(data), call.count))
        value_bytes: int = call.count[0]
        self._idle.append(call)
        return value_bytes

    def set_range(self, database: int, key: bytes, offset: int, data: bytes) -> int:
        """fc_set_range."""
        call = self._prepare(database, key)
        _check(_lib.fc_set_range(self._pointer, call.key, offset, data, len(data), call.count))
        value_bytes: int = call.count[0]
        self._idle.append(call)
        return value_bytes

    def expire(self, database: int, key: bytes, expires_unix_ns: int, flags: int) -> bool:
        """fc_expire."""
        call = self._prepare(database, key)
        changed = self._answer(_lib.fc_expire(self._pointer, call.key, expires_unix_ns, flags))
        self._idle.append(call)
        return changed

    def persist(self, database: int, key: bytes) -> bool:
        """fc_persist."""
        call = self._prepare(database, key)
        changed = self._answer(_lib.fc_persist(self._pointer, call.key))
        self._idle.append(call)
        return changed

    def touch(self, database: int, key: bytes) -> bool:
        """fc_touch."""
        call = self._prepare(database, key)
        found = self._answer(_lib.fc_touch(self._pointer, call.key))
        self._idle.append(call)
        return found

    def rename(self, database: int, source: bytes, target: bytes, *, only_if_absent: bool) -> bool:
        """fc_rename. Raises NoSuchKey."""
        call = self._prepare_two(database, source, database, target)
        status = _lib.fc_rename(self._pointer, call.key, call.target, only_if_absent)
        if status == _MISS:
            raise _no_such_key(source)
        renamed = self._answer(status)
        self._idle.append(call)
        return renamed

    def copy(self, database: int, source: bytes, target_database: int, target: bytes, *, replace: bool) -> bool:
        """fc_copy."""
        call = self._prepare_two(database, source, target_database, target)
        copied = self._answer(_lib.fc_copy(self._pointer, call.key, call.target, replace))
        self._idle.append(call)
        return copied

    def set_many(self, database: int, items: list[tuple[bytes, bytes]], *, only_if_absent: bool) -> bool:
        """fc_set_many."""
        prepared, _hold = self._prepare_many(database, [key for key, _ in items])
        writes = _ffi.new("fc_write[]", len(items))
        holds = [_ffi.from_buffer(value) for _, value in items]
        for index, hold in enumerate(holds):
            writes[index].value = hold
            writes[index].value_bytes = len(hold)
        flags = _lib.FC_SET_MANY_NX if only_if_absent else 0
        return self._answer(_lib.fc_set_many(self._pointer, prepared, writes, len(items), flags))

    def flush(self, database: int) -> None:
        """fc_flush."""
        _check(_lib.fc_flush(self._pointer, database))

    def flush_all(self) -> None:
        """fc_flush_all."""
        _check(_lib.fc_flush_all(self._pointer))

    # -------------------------------------------------------------- the key space

    def count(self, database: int) -> int:
        """fc_count."""
        call = self._borrow()
        _check(_lib.fc_count(self._pointer, database, call.count))
        key_count: int = call.count[0]
        self._idle.append(call)
        return key_count

    def random_key(self, database: int) -> bytes | None:
        """fc_random_key, into a buffer for any key: a second draw after FC_BUFFER_SMALL would favour short keys."""
        call = self._borrow()
        buffer = _new_uncleared("char[]", KEY_BYTES_MAX)
        key: bytes | None = None
        if self._answer(_lib.fc_random_key(self._pointer, database, buffer, KEY_BYTES_MAX, call.count)):
            key = _ffi.unpack(buffer, call.count[0])
        self._idle.append(call)
        return key

    def scan(self, database: int, cursor: int, count: int) -> tuple[int, list[tuple[bytes, bytes]]]:
        """fc_scan: the next cursor, and keys with the names of their types."""
        found: list[tuple[bytes, bytes]] = []
        context = _ffi.new_handle(found)
        position = _ffi.new("uint64_t *", cursor)
        _check(_lib.fc_scan(self._pointer, database, position, count, _lib.fcpy_visit_key, context))
        return position[0], found

    # -------------------------------------------------------------- records

    def schema_register(self, text: bytes) -> int:
        """fc_schema_register."""
        call = self._borrow()
        _check(_lib.fc_schema_register(self._pointer, text, len(text), call.count))
        schema: int = call.count[0]
        self._idle.append(call)
        return schema

    def schema_text(self, schema: int) -> bytes | None:
        """fc_schema_text."""
        call = self._borrow()
        status, text = self._fill(
            call,
            lambda buffer, room: (
                _lib.fc_schema_text(self._pointer, schema, buffer, room, call.count),
                call.count[0],
            ),
        )
        self._idle.append(call)
        return None if status == _MISS else text

    def _answer(self, status: int) -> bool:
        if status == _OK:
            return True
        if status in (_MISS, _NOT_STORED):
            return False
        raise _failure(status)


def _unpack_read(read: Any) -> bytes | None:
    if read.status == _OK:
        value: bytes = _ffi.buffer(read.buffer, read.value_bytes)[:]
        return value
    if read.status in (_MISS, _WRONG_TYPE):
        return None
    raise _failure(read.status)


def _unpack_stats(out: Any) -> Stats:
    return Stats(**{field.name: getattr(out, field.name) for field in fields(Stats)})


def _unpack_entry(entry: Any, value: Any, writer: Writer) -> Entry[Any]:
    expires: int | None = entry.expires_unix_ns or None
    now_unix_ns = entry.written_unix_ns + entry.age_ns
    return Entry(
        value=value,
        version=entry.version,
        age_ns=entry.age_ns,
        ttl_ns=None if expires is None else max(0, expires - now_unix_ns),
        written_unix_ns=entry.written_unix_ns,
        expires_unix_ns=expires,
        writer=writer,
    )
