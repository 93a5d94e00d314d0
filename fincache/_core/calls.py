"""What every call of the C library through a session needs: the session's life, and borrowed out-parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fincache._core.binding import native
from fincache._core.handle import Handle
from fincache._core.keys import Keys
from fincache._core.statuses import (
    BUFFER_BYTES,
    BUFFER_SMALL,
    GROW_COUNT_MAX,
    MISS,
    NOT_STORED,
    OK,
    check,
    failure,
    new_uncleared,
    refusal,
)
from fincache._fincache import ffi, lib


class Call:
    """Out-parameters and a buffer of one call (rule 3 of the module)."""

    __slots__ = ("buffer", "count", "entry", "hold", "key", "kind", "number", "options", "result", "target", "target_hold")

    def __init__(self) -> None:
        self.key = ffi.new("fc_key *")
        self.hold: Any = None  # keeps the bytes of `key` where they are
        self.target = ffi.new("fc_key *")
        self.target_hold: Any = None
        self.buffer = new_uncleared("char[]", BUFFER_BYTES)
        self.count = ffi.new("uint64_t *")
        self.number = ffi.new("int64_t *")
        self.kind = ffi.new("uint32_t *")
        self.entry = ffi.new("fc_entry *")
        self.options = ffi.new("fc_set_options *")
        self.result = ffi.new("fc_set_result *")


class Calls:
    """An fc_session pointer and the out-parameters of its calls. Base of `Session`."""

    def __init__(self, handle: Handle, timeout_ns: int) -> None:
        self._handle = handle
        self._cache = handle.pointer
        self._epoch = handle.epoch
        self._pointer = ffi.NULL
        self._pin = handle.pin()
        self._idle: list[Call] = []
        out = ffi.new("fc_session **")
        check(lib.fc_session_open(self._cache, out))
        self._pointer = out[0]
        check(lib.fc_session_set_timeout(self._pointer, timeout_ns))
        if native is not None:
            native.watch(self._pointer)
        self._lent: tuple[Any, Any] | None = self._new_place()
        self._place = self._lent[0]

    def __del__(self) -> None:
        pin = getattr(self, "_pin", None)
        if pin is None:
            return  # it was never pinned: the cache was closed
        self._handle.forget()
        if self._epoch == self._handle.epoch:
            # FC_WRONG_THREAD: the collector found it on another thread; the C library closes it when its own ends.
            lib.fc_session_close(self._pointer)
        self._handle.unpin(pin)

    def _new_place(self) -> tuple[Any, Any]:
        """A fcpy_place, and a view of its buffer from which slices are copied: what a get borrows, which needs no more.

        It stands in `_lent`, where a get leaves None while it uses it: half the time of a list. If a signal handler comes between
        the look and the None, it is done with the place before the get goes on.
        """
        place = new_uncleared("fcpy_place *")
        place.cache = self._cache
        place.session = self._pointer
        return place, ffi.buffer(place.buffer)

    def _borrow(self) -> Call:
        try:
            return self._idle.pop()
        except IndexError:
            return Call()

    def _prepare(self, database: int, key: bytes) -> Call:
        """A Call with `key` in it. The caller appends it to _idle when it has read its results."""
        call = self._borrow()
        call.hold = ffi.from_buffer(key)
        check(lib.fc_key_init(self._cache, database, call.hold, len(key), call.key))
        return call

    def _prepare_two(self, database: int, source: bytes, target_database: int, target: bytes) -> Call:
        call = self._prepare(database, source)
        call.target_hold = ffi.from_buffer(target)
        check(lib.fc_key_init(self._cache, target_database, call.target_hold, len(target), call.target))
        return call

    def _grow(self, need: int, attempt: Callable[[Any, int], tuple[int, int]]) -> tuple[int, bytes]:
        """Repeats a call that found its buffer too small, with larger ones; the status and the bytes.

        `attempt(buffer, buffer_bytes)` gives a status and the number of bytes that are there or needed.
        """
        for _ in range(GROW_COUNT_MAX):
            room = need + need // 8
            buffer = new_uncleared("char[]", room)
            status, need = attempt(buffer, room)
            if status == OK:
                value: bytes = ffi.unpack(buffer, need)
                return status, value
            if status in (MISS, NOT_STORED):
                return status, b""
            if status != BUFFER_SMALL:
                raise failure(status)
        raise refusal("CONTENDED", f"the value outgrew {GROW_COUNT_MAX} buffers in a row")

    def _fill(self, call: Call, attempt: Callable[[Any, int], tuple[int, int]]) -> tuple[int, bytes]:
        """The same from the start, with the buffer of `call` first."""
        status, used = attempt(call.buffer, BUFFER_BYTES)
        if status == OK:
            value: bytes = ffi.unpack(call.buffer, used)
            return status, value
        if status in (MISS, NOT_STORED):
            return status, b""
        if status == BUFFER_SMALL:
            return self._grow(used, attempt)
        raise failure(status)

    def _require_own(self, keys: Keys) -> None:
        """The hashes of Keys hold for the segment that they were made for."""
        if keys.handle is not self._handle:
            raise refusal("INVALID_ARGUMENT", "the keys were prepared by another attachment", "Make them with this one.")

    def _answer(self, status: int) -> bool:
        if status == OK:
            return True
        if status in (MISS, NOT_STORED):
            return False
        raise failure(status)
