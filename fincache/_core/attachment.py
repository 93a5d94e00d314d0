"""A process's mapping of a segment: opening, describing, closing, fork()."""

from __future__ import annotations

import os
import threading
import weakref
from dataclasses import dataclass, fields
from typing import Any

from fincache._core.executing import Host
from fincache._core.handle import Handle, closed
from fincache._core.keys import Keys
from fincache._core.session import Session, unpack_stats
from fincache._core.statuses import CLASS_KINDS, POLICY_NAMES, SEGMENT_BYTES_MIN, check
from fincache._fincache import ffi, lib
from fincache._reports import SegmentInfo, SessionInfo, SizeClass, Stats


@ffi.def_extern(name="fcpy_visit_name", error=1)  # type: ignore[untyped-decorator]
def _visit_name(context: Any, name: Any) -> int:
    ffi.from_handle(context).append(ffi.string(name).decode())
    return 0


@ffi.def_extern(name="fcpy_visit_session", error=1)  # type: ignore[untyped-decorator]
def _visit_session(context: Any, info: Any) -> int:
    values = {field.name: getattr(info, field.name) for field in fields(SessionInfo)}
    ffi.from_handle(context).append(SessionInfo(**values | {"live": bool(info.live)}))
    return 0


@ffi.def_extern(name="fcpy_visit_class", error=1)  # type: ignore[untyped-decorator]
def _visit_class(context: Any, info: Any) -> int:
    values = {field.name: getattr(info, field.name) for field in fields(SizeClass)}
    ffi.from_handle(context).append(SizeClass(**values | {"kind": CLASS_KINDS[info.kind]}))
    return 0


def unlink(name: bytes) -> None:
    """Removes the name of a segment; sessions that are open go on."""
    check(lib.fc_cache_unlink(name))


def list_names() -> list[str]:
    """Names of the segments of this host that this user can see, in no order."""
    names: list[str] = []
    context = ffi.new_handle(names)
    check(lib.fc_cache_list(lib.fcpy_visit_name, context))
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
        packed = ffi.new("fc_options *")
        lib.fc_options_init(packed)
        for field in fields(self):
            setattr(packed, field.name, int(getattr(self, field.name)))
        return packed


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
        self._hosts: list[Host] = []
        _attachments.add(self)

    @classmethod
    def open(cls, name: bytes, options: Options, timeout_ns: int) -> Attachment:
        """fc_cache_open."""
        return cls._obtain(lib.fc_cache_open, name, options, timeout_ns)

    @classmethod
    def create(cls, name: bytes, options: Options, timeout_ns: int) -> Attachment:
        """fc_cache_create."""
        return cls._obtain(lib.fc_cache_create, name, options, timeout_ns)

    @classmethod
    def attach(cls, name: bytes, options: Options, timeout_ns: int) -> Attachment:
        """fc_cache_attach."""
        return cls._obtain(lib.fc_cache_attach, name, options, timeout_ns)

    @classmethod
    def _obtain(cls, function: Any, name: bytes, options: Options, timeout_ns: int) -> Attachment:
        out = ffi.new("fc_cache **")
        check(function(name, options.pack(), out))
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

    def pinned(self) -> tuple[Handle, object]:
        """The pointer's Handle with a pin on it, for whoever calls the C library on its own. Raises Closed."""
        return self._handle, self._handle.pin()

    def describe(self) -> SegmentInfo:
        """fc_cache_describe."""
        pin = self._handle.pin()
        try:
            out = ffi.new("fc_cache_info *")
            check(lib.fc_cache_describe(self._handle.pointer, out))
        finally:
            self._handle.unpin(pin)
        values = {field.name: getattr(out, field.name) for field in fields(SegmentInfo)}
        flags = {name: bool(values[name]) for name in ("read_only", "retired", "locked", "huge_advised")}
        texts = {"name": ffi.string(out.name).decode(), "policy": POLICY_NAMES[out.policy]}
        return SegmentInfo(**values | flags | texts)

    def database_count(self) -> int:
        """Databases of the segment; looked up once, for it never changes. Raises Closed."""
        if self._handle.closing:
            raise closed()
        if self._database_count == 0:
            self._database_count = self.describe().databases
        return self._database_count

    def keys(self, database: int, names: list[bytes]) -> Keys:
        """Keys of a database, hashed for use with this attachment. Raises Closed, KeyTooLong, InvalidArgument."""
        return Keys(self._handle, database, names)

    def stats(self) -> Stats:
        """fc_cache_stats."""
        pin = self._handle.pin()
        try:
            out = ffi.new("fc_stats *")
            check(lib.fc_cache_stats(self._handle.pointer, out))
        finally:
            self._handle.unpin(pin)
        return unpack_stats(out)

    def sessions(self) -> list[SessionInfo]:
        """fc_session_list."""
        found: list[SessionInfo] = []
        context = ffi.new_handle(found)
        pin = self._handle.pin()
        try:
            check(lib.fc_session_list(self._handle.pointer, lib.fcpy_visit_session, context))
        finally:
            self._handle.unpin(pin)
        return found

    def host(self) -> Host:
        """What executing clients share, made when it is first asked for. Two threads that race leave one of two unused."""
        if not self._hosts:
            self._hosts.append(Host(self._handle))
        return self._hosts[0]

    def classes(self) -> list[SizeClass]:
        """fc_cache_classes."""
        found: list[SizeClass] = []
        context = ffi.new_handle(found)
        pin = self._handle.pin()
        try:
            check(lib.fc_cache_classes(self._handle.pointer, lib.fcpy_visit_class, context))
        finally:
            self._handle.unpin(pin)
        return found

    def set_policy(self, policy: int) -> None:
        """fc_cache_set_policy."""
        pin = self._handle.pin()
        try:
            check(lib.fc_cache_set_policy(self._handle.pointer, policy))
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
        self._hosts = []  # a lock of it may be held by a thread that is not here
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
