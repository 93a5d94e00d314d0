"""Keys that are hashed once and used any number of times, and what a call with all of them borrows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fincache._core.binding import native
from fincache._core.handle import Handle
from fincache._core.statuses import SLOT_BYTES, check, new_uncleared
from fincache._fincache import ffi, lib

if TYPE_CHECKING:
    from typing_extensions import Self


def prepare(cache: Any, database: int, keys: list[bytes] | tuple[bytes, ...]) -> tuple[Any, Any]:
    """fc_key[] of keys, and what keeps their bytes where they are: one copy of them all."""
    prepared = ffi.new("fc_key[]", len(keys))
    hold = ffi.from_buffer(b"".join(keys))
    check(lib.fcpy_prepare(cache, database, hold, [len(key) for key in keys], len(keys), prepared))
    return prepared, hold


class Scratch:
    """fc_read[] and fc_write[] for `count` keys, and buffers for values of SLOT_BYTES, or of what they were found to need."""

    __slots__ = ("_arena", "_grown", "reads", "writes")

    def __init__(self, count: int) -> None:
        self.reads = ffi.new("fc_read[]", count)
        self.writes = ffi.new("fc_write[]", count)
        self._arena: Any = None
        self._grown: dict[int, Any] = {}

    def aim(self, count: int) -> Any:
        """The reads, each with its own buffer; reading rows aims them elsewhere."""
        if self._arena is None:
            self._arena = new_uncleared("char[]", SLOT_BYTES * count)
        reads = self.reads
        for index in range(count):
            read = reads[index]
            read.buffer = self._arena + SLOT_BYTES * index
            read.buffer_bytes = SLOT_BYTES
        for index, buffer in self._grown.items():
            reads[index].buffer = buffer
            reads[index].buffer_bytes = len(buffer)
        return reads

    def grow(self, index: int, value_bytes: int) -> None:
        """A larger buffer for one read, to be kept."""
        room = value_bytes + value_bytes // 8
        buffer = self._grown[index] = new_uncleared("char[]", room)
        self.reads[index].buffer = buffer
        self.reads[index].buffer_bytes = room


class _PlainKeys:
    """Base of Keys where cffi is alone.

    Attributes:
        handle, database: what they were made for.
        names: the keys.
        count: how many there are.
        address: of the fc_key array, which is valid as long as this object.
    """

    __slots__ = ("_hold", "_prepared", "address", "count", "database", "handle", "names")
    address: int
    count: int
    database: int
    handle: Handle
    names: tuple[bytes, ...]
    _hold: Any
    _prepared: Any

    def __new__(cls, handle: Handle, database: int, names: list[bytes]) -> Self:
        """They are immutable, and so made here."""
        self = super().__new__(cls)
        self.handle = handle
        self.database = database
        self.names = tuple(names)
        self.count = len(self.names)
        self._prepared, self._hold = prepare(handle.pointer, database, self.names)
        self.address = int(ffi.cast("uintptr_t", self._prepared))
        return self


if TYPE_CHECKING:
    _KeysBase = _PlainKeys
else:
    _KeysBase = _PlainKeys if native is None else native.Keys


class Keys(_KeysBase):
    """Keys of one database of one segment. Made by `Attachment.keys`, used by methods of `Session`; any thread may use it.

    It stays usable after fork(), and until the attachment that made it is closed. A key may be in it twice.
    """

    __slots__ = ("idle", "prepared")
    idle: list[Scratch]  # rule 3 of the package: calls pop one and put it back
    prepared: Any

    def __new__(cls, handle: Handle, database: int, names: list[bytes]) -> Self:
        """Pins the handle while its seed is needed. Raises Closed, KeyTooLong, InvalidArgument."""
        pin = handle.pin()
        try:
            self = super().__new__(cls, handle, database, names)
        finally:
            handle.unpin(pin)
        self.prepared = ffi.cast("fc_key *", self.address)
        self.idle = []
        return self

    def borrow(self) -> Scratch:
        """A Scratch. The caller appends it to `idle` when it has read its results."""
        try:
            return self.idle.pop()
        except IndexError:
            return Scratch(self.count)
