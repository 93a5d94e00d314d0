"""One thread's right to read and write."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from fincache._core.executing import Executes
from fincache._core.reading import Reads
from fincache._core.statuses import KEY_BYTES_MAX, TYPE_NAMES, check, new_uncleared
from fincache._core.writing import Writes
from fincache._fincache import ffi, lib
from fincache._reports import Stats


class Session(Reads, Writes, Executes):
    """One thread's right to read and write. Methods take a database and keys as bytes, and never keep a reference to them.

    A miss is None (values) or False. Failures raise.
    """

    def stats(self) -> Stats:
        """fc_session_stats: the counters of this session alone."""
        out = ffi.new("fc_stats *")
        check(lib.fc_session_stats(self._pointer, out))
        return unpack_stats(out)

    def reap(self) -> int:
        """fc_session_reap: settles every dead session, and says how many."""
        settled = ffi.new("uint32_t *")
        check(lib.fc_session_reap(self._pointer, settled))
        count: int = settled[0]
        return count

    def sweep(self, home_count: int) -> int:
        """fc_session_sweep: removes what has expired from the next homes, and says how many values went."""
        call = self._borrow()
        check(lib.fc_session_sweep(self._pointer, home_count, call.count))
        count: int = call.count[0]
        self._idle.append(call)
        return count

    # -------------------------------------------------------------- the key space

    def count(self, database: int) -> int:
        """fc_count."""
        call = self._borrow()
        check(lib.fc_count(self._pointer, database, call.count))
        key_count: int = call.count[0]
        self._idle.append(call)
        return key_count

    def random_key(self, database: int) -> bytes | None:
        """fc_random_key, into a buffer for any key: a second draw after FC_BUFFER_SMALL would favour short keys."""
        call = self._borrow()
        buffer = new_uncleared("char[]", KEY_BYTES_MAX)
        key: bytes | None = None
        if self._answer(lib.fc_random_key(self._pointer, database, buffer, KEY_BYTES_MAX, call.count)):
            key = ffi.unpack(buffer, call.count[0])
        self._idle.append(call)
        return key

    def scan(self, database: int, cursor: int, count: int) -> tuple[int, list[tuple[bytes, bytes]]]:
        """fc_scan: the next cursor, and keys with the names of their types."""
        position = ffi.new("uint64_t *", cursor)
        found = ffi.new("fcpy_found *")
        try:
            check(lib.fcpy_scan(self._pointer, database, position, count, found))
            if found.is_short:
                raise MemoryError(f"scan({count}) in a database of many keys: use a smaller count")
            if found.count == 0:
                return position[0], []
            tags, names = ffi.unpack(found.tags, found.count), ffi.buffer(found.bytes, found.used_bytes)[:]
        finally:
            lib.fcpy_found_free(found)
        keys: list[tuple[bytes, bytes]] = []
        end = 0
        for tag in tags:
            start, end = end, end + (tag & 0xFFFFFF)
            keys.append((names[start:end], TYPE_NAMES.get(tag >> 24, b"unknown")))
        return position[0], keys

    # -------------------------------------------------------------- records

    def schema_register(self, text: bytes) -> int:
        """fc_schema_register."""
        call = self._borrow()
        check(lib.fc_schema_register(self._pointer, text, len(text), call.count))
        schema: int = call.count[0]
        self._idle.append(call)
        return schema


def schema_id(text: bytes) -> int:
    """fc_schema_id: the id of a schema in every segment, registered or not."""
    out = ffi.new("uint64_t *")
    check(lib.fc_schema_id(text, len(text), out))
    schema: int = out[0]
    return schema


def unpack_stats(out: Any) -> Stats:
    return Stats(**{field.name: getattr(out, field.name) for field in fields(Stats)})
