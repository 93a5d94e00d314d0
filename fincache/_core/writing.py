"""The writing half of class Session."""

from __future__ import annotations

from typing import Any

from fincache._core.calls import Calls
from fincache._core.keys import Keys, prepare
from fincache._core.statuses import (
    BUFFER_BYTES,
    BUFFER_SMALL,
    GROW_COUNT_MAX,
    MISS,
    NOT_STORED,
    OK,
    VERSION_MISMATCH,
    check,
    failure,
    new_uncleared,
    no_such_key,
    refusal,
)
from fincache._fincache import ffi, lib

_put = lib.fcpy_put


class Writes(Calls):
    """What holds a key's lock for a moment. Base of `Session`."""

    def put(self, database: int, key: bytes, value: bytes) -> None:
        """fc_set without options."""
        status = _put(self._place, database, key, len(key), value, len(value))
        if status:
            raise failure(status)

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
            self.put(database, key, value)
            return 0
        call = self._borrow()
        options, result = call.options, call.result
        options.flags = flags
        options.expires_unix_ns = expires_unix_ns
        options.if_version = if_version
        options.schema = schema
        status = lib.fcpy_set(self._cache, self._pointer, database, key, len(key), value, len(value), options, result)
        if status not in (OK, NOT_STORED, VERSION_MISMATCH):
            raise failure(status)
        stored: int | None = result.version if status == OK else None
        self._idle.append(call)
        return stored

    def set_get(self, database: int, key: bytes, value: bytes, flags: int, expires_unix_ns: int) -> tuple[bool, bytes | None]:
        """fc_set with FC_SET_GET: whether it was stored, and the old value."""
        call = self._prepare(database, key)
        options, result = call.options, call.result
        options.flags = flags | lib.FC_SET_GET
        options.expires_unix_ns = expires_unix_ns
        need = BUFFER_BYTES
        buffer = call.buffer
        for _ in range(GROW_COUNT_MAX):
            options.old_buffer = buffer
            options.old_buffer_bytes = need
            result.old_exists = 0
            status = lib.fc_set(self._pointer, call.key, value, len(value), options, result)
            if status in (OK, NOT_STORED):
                old: bytes | None = ffi.unpack(buffer, result.old_bytes) if result.old_exists else None
                options.old_buffer = ffi.NULL
                self._idle.append(call)
                return status == OK, old
            if status != BUFFER_SMALL:
                raise failure(status)
            need = result.old_bytes + result.old_bytes // 8
            buffer = new_uncleared("char[]", need)
        raise refusal("CONTENDED", f"the value outgrew {GROW_COUNT_MAX} buffers in a row")

    def get_delete(self, database: int, key: bytes) -> bytes | None:
        """fc_get_delete: the value that was deleted, None for a miss."""
        call = self._prepare(database, key)
        status, value = self._fill(
            call,
            lambda buffer, room: (
                lib.fc_get_delete(self._pointer, call.key, buffer, room, call.count),
                call.count[0],
            ),
        )
        self._idle.append(call)
        return value if status == OK else None

    def get_expire(self, database: int, key: bytes, expires_unix_ns: int) -> bytes | None:
        """fc_get_expire: the value, None for a miss; its expiry is expires_unix_ns then, or none for 0."""
        call = self._prepare(database, key)
        status, value = self._fill(
            call,
            lambda buffer, room: (
                lib.fc_get_expire(self._pointer, call.key, buffer, room, call.count, expires_unix_ns, 0),
                call.count[0],
            ),
        )
        self._idle.append(call)
        return value if status == OK else None

    def delete(self, database: int, key: bytes) -> bool:
        """fc_delete."""
        call = self._prepare(database, key)
        found = self._answer(lib.fc_delete(self._pointer, call.key))
        self._idle.append(call)
        return found

    def increment(self, database: int, key: bytes, delta: int) -> int:
        """fc_increment."""
        call = self._prepare(database, key)
        check(lib.fc_increment(self._pointer, call.key, delta, call.number))
        number: int = call.number[0]
        self._idle.append(call)
        return number

    def increment_float(self, database: int, key: bytes, delta: bytes) -> bytes:
        """fc_increment_float by the decimal number in `delta`; the new value's text."""
        amount = ffi.new("long double *")
        if lib.fcpy_long_double(delta, amount) != 0:
            raise refusal("NOT_FLOAT", repr(delta))
        call = self._prepare(database, key)
        text = ffi.new("char[]", lib.FC_FLOAT_TEXT_BYTES)
        check(lib.fc_increment_float(self._pointer, call.key, amount[0], text, lib.FC_FLOAT_TEXT_BYTES))
        self._idle.append(call)
        value: bytes = ffi.string(text)
        return value

    def append(self, database: int, key: bytes, data: bytes) -> int:
        """fc_append."""
        call = self._prepare(database, key)
        check(lib.fc_append(self._pointer, call.key, data, len(data), call.count))
        value_bytes: int = call.count[0]
        self._idle.append(call)
        return value_bytes

    def set_range(self, database: int, key: bytes, offset: int, data: bytes) -> int:
        """fc_set_range."""
        call = self._prepare(database, key)
        check(lib.fc_set_range(self._pointer, call.key, offset, data, len(data), call.count))
        value_bytes: int = call.count[0]
        self._idle.append(call)
        return value_bytes

    def expire(self, database: int, key: bytes, expires_unix_ns: int, flags: int) -> bool:
        """fc_expire."""
        call = self._prepare(database, key)
        changed = self._answer(lib.fc_expire(self._pointer, call.key, expires_unix_ns, flags))
        self._idle.append(call)
        return changed

    def persist(self, database: int, key: bytes) -> bool:
        """fc_persist."""
        call = self._prepare(database, key)
        changed = self._answer(lib.fc_persist(self._pointer, call.key))
        self._idle.append(call)
        return changed

    def touch(self, database: int, key: bytes) -> bool:
        """fc_touch."""
        call = self._prepare(database, key)
        found = self._answer(lib.fc_touch(self._pointer, call.key))
        self._idle.append(call)
        return found

    def rename(self, database: int, source: bytes, target: bytes, *, only_if_absent: bool) -> bool:
        """fc_rename. Raises NoSuchKey."""
        call = self._prepare_two(database, source, database, target)
        status = lib.fc_rename(self._pointer, call.key, call.target, only_if_absent)
        if status == MISS:
            raise no_such_key(source, "The source must exist.")
        renamed = self._answer(status)
        self._idle.append(call)
        return renamed

    def copy(self, database: int, source: bytes, target_database: int, target: bytes, *, replace: bool) -> bool:
        """fc_copy."""
        call = self._prepare_two(database, source, target_database, target)
        copied = self._answer(lib.fc_copy(self._pointer, call.key, call.target, replace))
        self._idle.append(call)
        return copied

    def set_many(self, database: int, items: list[tuple[bytes, bytes]], *, only_if_absent: bool) -> bool:
        """fc_set_many."""
        prepared, _hold = prepare(self._cache, database, [key for key, _ in items])
        writes = ffi.new("fc_write[]", len(items))
        return self._write_values(prepared, writes, [value for _, value in items], only_if_absent)

    def set_keys(self, keys: Keys, values: list[bytes], *, only_if_absent: bool) -> bool:
        """fc_set_many with Keys, one value for each."""
        self._require_own(keys)
        if len(values) != keys.count:
            raise refusal("INVALID_ARGUMENT", f"{len(values)} values for {keys.count} keys")
        scratch = keys.borrow()
        stored = self._write_values(keys.prepared, scratch.writes, values, only_if_absent)
        keys.idle.append(scratch)
        return stored

    def _write_values(self, prepared: Any, writes: Any, values: list[bytes], only_if_absent: bool) -> bool:
        flags = lib.FC_SET_MANY_NX if only_if_absent else 0
        hold = ffi.from_buffer(b"".join(values))  # one more copy, but filling a struct in C costs a hundredth of filling it here
        sizes = [len(value) for value in values]
        return self._answer(lib.fcpy_set_values(self._pointer, prepared, hold, sizes, len(values), writes, flags))

    def write_rows(self, keys: Keys, rows: object, row_bytes: int, schema: int, expires_unix_ns: int = 0) -> None:
        """fc_set_many of records from the memory of an array.

        Args:
            keys: whose records; a key that is in it twice gets its last row.
            rows: a contiguous buffer of exactly keys.count * row_bytes; row i becomes the record of key i.
            row_bytes: length of a record.
            schema: the records' schema, as `schema_register` gave it.
            expires_unix_ns: of all of them; 0: none.

        Raises:
            SchemaMismatch: a key holds a record of another schema; nothing is written.
            TooManyKeys, Busy, OutOfMemory, ReadOnly: nothing is written.
        """
        self._require_own(keys)
        source = ffi.from_buffer(rows)
        if len(source) != keys.count * row_bytes:
            raise refusal("INVALID_ARGUMENT", f"{len(source)} bytes of rows for {keys.count} records of {row_bytes}")
        scratch = keys.borrow()
        from_rows = ffi.new("fcpy_rows *", (source, row_bytes, row_bytes, schema))
        check(lib.fcpy_write_rows(self._pointer, keys.prepared, keys.count, from_rows, scratch.writes, expires_unix_ns, 0))
        keys.idle.append(scratch)

    def flush(self, database: int) -> None:
        """fc_flush."""
        check(lib.fc_flush(self._pointer, database))

    def flush_all(self) -> None:
        """fc_flush_all."""
        check(lib.fc_flush_all(self._pointer))
