"""The reading half of class Session."""

from __future__ import annotations

import re
from typing import Any

from fincache._core.calls import Calls
from fincache._core.keys import Keys, Scratch, prepare
from fincache._core.statuses import (
    AGE_ANY_NS,
    BUFFER_BYTES,
    BUFFER_SMALL,
    GROW_COUNT_MAX,
    MISS,
    OK,
    SCHEMA_MISMATCH,
    STATUS_ROWS,
    TYPE_NAMES,
    WRITER_NAMES,
    WRONG_TYPE,
    check,
    failure,
    refusal,
    refused_type,
)
from fincache._fincache import ffi, lib
from fincache._reports import Entry, Writer

_FIELD_NAME = re.compile(":[^:]*:")  # in the format of a buffer
_fetch = lib.fcpy_fetch  # looking it up in `lib` takes a tenth of a get


class Reads(Calls):
    """What never waits. Base of `Session`."""

    def get(self, database: int, key: bytes) -> bytes | None:
        """fc_get."""
        lent = self._lent
        if lent is None:
            lent = self._new_place()
        self._lent = None
        place, view = lent
        found = _fetch(place, database, key, len(key))
        if found >= 0:
            value: bytes = view[:found]
            self._lent = lent
            return value
        self._lent = lent
        return None if found == -MISS else self._get_otherwise(database, key, -found)

    def _get_otherwise(self, database: int, key: bytes, status: int) -> bytes | None:
        """After a status of fc_get that is no answer."""
        if status != BUFFER_SMALL:
            raise failure(status)
        count = ffi.new("uint64_t *")
        status, value = self._grow(
            BUFFER_BYTES,
            lambda buffer, room: (
                lib.fcpy_get(self._cache, self._pointer, database, key, len(key), buffer, room, count),
                count[0],
            ),
        )
        return value if status == OK else None

    def get_into(self, database: int, key: bytes, out: object) -> int | None:
        """fc_get into a writable buffer: the value's length, None for a miss. Raises BufferTooSmall; nothing is copied then."""
        call = self._prepare(database, key)
        try:
            buffer = ffi.from_buffer(out, require_writable=True)
            if "O" in _FIELD_NAME.sub("", memoryview(out).format):  # type: ignore[arg-type]  # said above by cffi
                raise TypeError("it holds references to Python objects")
        except (TypeError, ValueError, BufferError) as error:
            hint = "Use something writable and contiguous: a bytearray, a memoryview, an mmap, an array of numbers."
            raise refused_type(f"no buffer to write into: {type(out).__name__}: {error}", hint) from None
        status = lib.fc_get(self._pointer, call.key, buffer, len(buffer), call.count)
        value_bytes: int = call.count[0]
        if status == BUFFER_SMALL:
            raise refusal("BUFFER_SMALL", f"{key[:64]!r} has {value_bytes} bytes, the buffer {len(buffer)}")
        found = self._answer(status)
        self._idle.append(call)
        return value_bytes if found else None

    def get_young(self, database: int, key: bytes, age_max_ns: int) -> bytes | None:
        """fc_get_entry: the value, None for a miss or if it was written more than age_max_ns ago."""
        call = self._prepare(database, key)
        entry = call.entry
        status, value = self._fill(
            call,
            lambda buffer, room: (
                lib.fc_get_entry(self._pointer, call.key, buffer, room, entry),
                entry.value_bytes,
            ),
        )
        is_young = status == OK and entry.age_ns <= age_max_ns
        self._idle.append(call)
        return value if is_young else None

    def entry(self, database: int, key: bytes, *, with_writer: bool = True) -> Entry[bytes] | None:
        """fc_get_entry. Without with_writer the entry's writer is "unknown", and the kernel is not asked."""
        call = self._prepare(database, key)
        entry = call.entry
        status, value = self._fill(
            call,
            lambda buffer, room: (
                lib.fc_get_entry(self._pointer, call.key, buffer, room, entry),
                entry.value_bytes,
            ),
        )
        found = None
        if status == OK:
            found = unpack_entry(entry, value, self._writer_of(entry) if with_writer else "unknown")
        self._idle.append(call)
        return found

    def version(self, database: int, key: bytes) -> int | None:
        """fc_get_entry without the value: the version alone, None for a miss."""
        call = self._prepare(database, key)
        found = self._answer(lib.fc_get_entry(self._pointer, call.key, ffi.NULL, 0, call.entry))
        version: int | None = call.entry.version if found else None
        self._idle.append(call)
        return version

    def _writer_of(self, entry: Any) -> Writer:
        """fc_entry_writer: asks the kernel, some 15 us."""
        writer = ffi.new("uint32_t *")
        check(lib.fc_entry_writer(self._pointer, entry, writer))
        return WRITER_NAMES.get(writer[0], "unknown")

    def entry_into(self, database: int, key: bytes, out: object, schema: int, with_writer: bool) -> Entry[None] | None:
        """fc_get_entry into a writable buffer, for a record of exactly its length and of `schema`.

        with_writer as for `entry`. Raises SchemaMismatch for anything else. After an exception or a miss `out` holds anything.
        """
        call = self._prepare(database, key)
        entry = call.entry
        buffer = ffi.from_buffer(out, require_writable=True)
        room = len(buffer)
        status = lib.fc_get_entry(self._pointer, call.key, buffer, room, entry)
        if status == MISS:
            self._idle.append(call)
            return None
        if status not in (OK, BUFFER_SMALL):
            raise failure(status)
        if status == BUFFER_SMALL or entry.schema != schema or entry.value_bytes != room:
            present = self.schema_text(entry.schema) if entry.schema else None
            kind = "plain bytes" if present is None else present.decode()
            raise refusal("SCHEMA_MISMATCH", f"{key[:64]!r} holds {kind} ({entry.value_bytes} bytes)")
        found = unpack_entry(entry, None, self._writer_of(entry) if with_writer else "unknown")
        self._idle.append(call)
        return found

    def range(self, database: int, key: bytes, first: int, last: int) -> bytes:
        """fc_get_range."""
        call = self._prepare(database, key)
        _, value = self._fill(
            call,
            lambda buffer, room: (
                lib.fc_get_range(self._pointer, call.key, first, last, buffer, room, call.count),
                call.count[0],
            ),
        )
        self._idle.append(call)
        return value

    def length(self, database: int, key: bytes) -> int:
        """Bytes of the value; 0 for a miss."""
        call = self._prepare(database, key)
        status = lib.fc_get_entry(self._pointer, call.key, ffi.NULL, 0, call.entry)
        value_bytes: int = call.entry.value_bytes if self._answer(status) else 0
        self._idle.append(call)
        return value_bytes

    def schema_of(self, database: int, key: bytes) -> int:
        """The schema of the record that a key holds; 0 for plain bytes, and for a miss."""
        call = self._prepare(database, key)
        found = self._answer(lib.fc_get_entry(self._pointer, call.key, ffi.NULL, 0, call.entry))
        schema: int = call.entry.schema if found else 0
        self._idle.append(call)
        return schema

    def exists(self, database: int, key: bytes) -> bool:
        """fc_exists."""
        call = self._prepare(database, key)
        found = self._answer(lib.fc_exists(self._pointer, call.key))
        self._idle.append(call)
        return found

    def type(self, database: int, key: bytes) -> bytes:
        """fc_type: b"none" or b"string"."""
        call = self._prepare(database, key)
        check(lib.fc_type(self._pointer, call.key, call.kind))
        name = TYPE_NAMES.get(call.kind[0], b"unknown")
        self._idle.append(call)
        return name

    def expires(self, database: int, key: bytes) -> int | None:
        """fc_expires: nanoseconds since 1970, 0 without expiry, None for a miss."""
        call = self._prepare(database, key)
        found = self._answer(lib.fc_expires(self._pointer, call.key, call.count))
        expires_unix_ns: int | None = call.count[0] if found else None
        self._idle.append(call)
        return expires_unix_ns

    def read_many(self, database: int, keys: list[bytes], *, cut: bool) -> list[bytes | None]:
        """fc_get_cut, or fc_get_many. A key that holds no string reads as None, as in Redis."""
        prepared, _hold = prepare(self._cache, database, keys)
        return self._read_values(prepared, len(keys), Scratch(len(keys)), cut)

    def read_keys(self, keys: Keys, *, cut: bool) -> list[bytes | None]:
        """The same with Keys."""
        self._require_own(keys)
        scratch = keys.borrow()
        values = self._read_values(keys.prepared, keys.count, scratch, cut)
        keys.idle.append(scratch)
        return values

    def _read_values(self, prepared: Any, count: int, scratch: Scratch, cut: bool) -> list[bytes | None]:
        reads = scratch.aim(count)
        read = lib.fc_get_cut if cut else lib.fc_get_many
        for _ in range(GROW_COUNT_MAX):
            check(read(self._pointer, prepared, reads, count))
            small = [index for index in range(count) if reads[index].status == BUFFER_SMALL]
            if not small:
                return [unpack_read(reads[index]) for index in range(count)]
            for index in small:
                scratch.grow(index, reads[index].value_bytes)
        raise refusal("CONTENDED", f"a value outgrew {GROW_COUNT_MAX} buffers in a row")

    def read_rows(
        self, keys: Keys, rows: object, mask: object, row_bytes: int, schema: int, *, cut: bool, age_max_ns: int = AGE_ANY_NS
    ) -> None:
        """fc_get_cut or fc_get_many, of records, into the memory of an array.

        Args:
            keys: whose records.
            rows: a writable contiguous buffer of exactly keys.count * row_bytes; row i gets the record of key i.
            mask: a writable contiguous buffer of keys.count bytes; byte i becomes 1, or 0 for a miss, whose row becomes zeros.
            row_bytes: length of a record.
            schema: the records' schema, as `schema_register` gave it.
            cut: all as they stood together at one instant.
            age_max_ns: a record that was written longer ago counts as a miss.

        Raises:
            SchemaMismatch: a key holds something else; the message names it.
            Contended. After any exception rows and mask hold anything.
        """
        self._require_own(keys)
        target, marks = ffi.from_buffer(rows, require_writable=True), ffi.from_buffer(mask, require_writable=True)
        if len(target) != keys.count * row_bytes or len(marks) != keys.count:
            detail = f"{len(target)} bytes of rows and {len(marks)} of mask for {keys.count} records of {row_bytes}"
            raise refusal("INVALID_ARGUMENT", detail)
        scratch = keys.borrow()
        into = ffi.new("fcpy_rows *", (target, row_bytes, row_bytes, schema))
        failed = ffi.new("uint64_t *")
        status = lib.fcpy_read_rows(self._pointer, keys.prepared, keys.count, into, scratch.reads, marks, cut, age_max_ns, failed)
        keys.idle.append(scratch)
        if status == OK:
            return
        if failed[0] == keys.count:
            raise failure(status)
        name = keys.names[failed[0]]
        if status != SCHEMA_MISMATCH:
            raise refusal(STATUS_ROWS[status].name, repr(name[:64]))
        self.entry_into(keys.database, name, bytearray(row_bytes), schema, False)  # raises, unless it was replaced meanwhile
        raise refusal("SCHEMA_MISMATCH", f"{name[:64]!r} held something else a moment ago")

    def schema_text(self, schema: int) -> bytes | None:
        """fc_schema_text."""
        call = self._borrow()
        status, text = self._fill(
            call,
            lambda buffer, room: (
                lib.fc_schema_text(self._pointer, schema, buffer, room, call.count),
                call.count[0],
            ),
        )
        self._idle.append(call)
        return None if status == MISS else text


def unpack_read(read: Any) -> bytes | None:
    if read.status == OK:
        value: bytes = ffi.buffer(read.buffer, read.value_bytes)[:]
        return value
    if read.status in (MISS, WRONG_TYPE):
        return None
    raise failure(read.status)


def unpack_entry(entry: Any, value: Any, writer: Writer) -> Entry[Any]:
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
        writer_slot=entry.writer_slot,
    )
