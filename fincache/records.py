"""class Records: values that are rows of one numpy dtype, or instances of one dataclass or NamedTuple.

    quotes = cache.records([("bid", "f8"), ("ask", "f8"), ("size", "i4")])      or cache.records(Quote), cache.records(float)
    quotes.set("AAPL", (150.24, 150.26, 300))
    quotes.get("AAPL", "bid")                                                   150.24
    board = numpy.zeros(500, quotes.dtype)
    valid = quotes.read(keyset, out=board)                                      500 records, as they stood at one instant

This module and those that it imports for its rows and arrays are the only ones that import numpy; `Cache.records` imports it.

A record carries the id of its schema (dtypes.py has the encoding), so that a reader knows what the bytes are, in every language,
and a mistake is an exception and not a wrong number:

    the key holds            get, read, entry ...      set, write, cas, update
    nothing                  a miss                    stored
    a record of this schema  the record                replaced
    another record           SchemaMismatch            SchemaMismatch; nothing is written
    plain bytes              SchemaMismatch            replaced, as a set replaces anything

A plain `Cache.set` replaces a record as it replaces anything, and `Cache.get` shows its bytes.

A row that is not valid, because its key is missing or its record too old, is all zeros: never what an array held before, which
could be taken for a quote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, cast, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fincache import _core
from fincache._arguments import Encodable, Instant, Milliseconds, Seconds, age_limit_ns, expiry_of_set, integer
from fincache._core import Keys, Session, refusal, refused_type
from fincache._declarations import declared
from fincache._errors import SchemaMismatch
from fincache._record_arrays import packed_rows, require_filled, require_mask
from fincache._rows import Codec, Struct
from fincache._versions import ATTEMPTS
from fincache.dtypes import normalise, schema_text
from fincache.keyset import KeySet, prepared_for

if TYPE_CHECKING:
    from fincache._reports import Entry
    from fincache.client import Cache

RecordT = TypeVar("RecordT")
Value = int | float | complex | bytes | str | date | datetime | timedelta
Row = tuple[object, ...] | Mapping[str, object] | np.generic | NDArray[np.generic] | Value
"""A tuple in field order, a dict by field name, a numpy scalar or one-element array; for a scalar dtype also one value."""
if TYPE_CHECKING:
    Keyset = KeySet[bytes] | KeySet[str] | Iterable[Encodable]
    """What Cache.keyset made, or keys that are prepared for the one call."""


class RecordCommands(Generic[RecordT]):
    """What Records does, in Python. Not to be made alone: class Records is.

    The accelerator, where it is in use, stands before it among the bases of Records, and falls back on it.
    """

    def __init__(self, cache: Cache[Any], dtype: object) -> None:
        self._cache = cache
        declaration = declared(dtype)
        if declaration is None:
            self._codec = Codec(normalise(cast("DTypeLike", dtype)))
            self._decode: Callable[[bytearray], Any] = self._numpy_scalar
        else:
            self._codec = Codec(*declaration)
            self._decode = self._codec.unpack
        self.dtype: np.dtype[np.generic] = self._codec.dtype
        self.schema_text: str = schema_text(self.dtype)
        self._schema = _core.schema_id(self.schema_text.encode())
        self._is_registered = False  # as far as is known here
        leaves = self._codec.plain_format()
        unpack = None if declaration is None else self._decode
        self._arm(cache, self.dtype, self._schema, self._codec.pack, unpack, leaves, self.dtype.names is None)

    def _arm(
        self,
        cache: Cache[Any],
        dtype: np.dtype[Any],
        schema: int,
        pack: Callable[[Any], bytes],
        unpack: Callable[[bytearray], Any] | None,
        leaves: str,
        single: bool,
    ) -> None:
        """Lets the accelerator, where it is in use, take its short ways from now on."""

    def _allow_writes(self) -> None:
        """For writing, too: the schema is registered."""

    def __repr__(self) -> str:
        return f"<fincache.Records {self._cache.name!r} db={self._cache.database} {self.schema_text}>"

    def __reduce__(self) -> NoReturn:
        raise refused_type("Records cannot be pickled", "Attach in the other process, and call records() there.")

    # ------------------------------------------------------------------ one record

    @overload
    def get(self, key: Encodable, *, max_age: Seconds | None = None) -> RecordT | None: ...

    @overload
    def get(self, key: Encodable, field: str, /, *, max_age: Seconds | None = None) -> Any: ...

    @overload
    def get(
        self, key: Encodable, field: str, second: str, /, *fields: str, max_age: Seconds | None = None
    ) -> tuple[Any, ...] | None: ...

    def get(self, key: Encodable, *fields: str, max_age: Seconds | None = None) -> Any:
        """The record of a key, or some of its fields.

        Args:
            key: the key.
            fields: names of fields. One: its value. Several: a tuple of their values, all of one record.
            max_age: seconds (0.25 is allowed), or a timedelta: a record that was written longer ago counts as a miss.

        Returns:
            A copy that is the caller's alone; None for a miss. Of a dtype: a numpy scalar (numpy.void for a structured one:
            row["bid"]), and a field is what row["bid"] is. Of a declaration: an instance, or a field as it is declared.

        Raises:
            SchemaMismatch: the key holds something else than a record of this dtype. Both are named.
            InvalidArgument: no such field; the fields are listed.
            Contended, CorruptSegment, Closed.

        Never waits (P1). A field costs no less than the record: it is a whole record that is validated.
        """
        session = self._cache._session()
        if fields:
            self._require_fields(fields)
        age_max_ns = _core.AGE_ANY_NS if max_age is None else age_limit_ns(max_age)
        raw = bytearray(self.dtype.itemsize)
        found = self._read(session, key, raw, with_writer=False)
        if found is None or found.age_ns > age_max_ns:
            return None
        row = self._decode(raw)
        if not fields:
            return row
        values = tuple(row[name] if isinstance(row, np.void) else getattr(row, name) for name in fields)
        return values if len(fields) > 1 else values[0]

    def get_into(self, key: Encodable, out: NDArray[np.generic], *, max_age: Seconds | None = None) -> bool:
        """Copies the record of a key into an array, without making an object for it.

        Args:
            key: the key.
            out: an array of `dtype` with one element (array[3:4] is one), contiguous and writable.
            max_age: as for `get`.

        Returns:
            True; False for a miss, and `out` is all zeros then. After an exception what is in `out` is undefined.

        Raises:
            What `get` raises; SchemaMismatch, InvalidArgument and InvalidType also for `out`.
        """
        session = self._cache._session()
        age_max_ns = _core.AGE_ANY_NS if max_age is None else age_limit_ns(max_age)
        raw = require_filled(out, self.dtype, None, "numpy.zeros(1, records.dtype)").reshape(1).view(np.uint8)
        found = self._read(session, key, raw, with_writer=False)
        if found is None or found.age_ns > age_max_ns:
            raw[:] = 0
            return False
        return True

    def entry(self, key: Encodable) -> Entry[RecordT] | None:
        """The record of a key with its version, age, time to live and writer, all from one instant; None for a miss.

        Raises what `get` raises. Never waits; asking the kernel whether the writer lives takes some 15 us.
        """
        session = self._cache._session()
        raw = bytearray(self.dtype.itemsize)
        found = self._read(session, key, raw, with_writer=True)
        return None if found is None else cast("Entry[RecordT]", replace(found, value=self._decode(raw)))

    def set(
        self,
        key: Encodable,
        row: RecordT | Row,
        ex: Seconds | None = None,
        px: Milliseconds | None = None,
        nx: bool = False,
        xx: bool = False,
        keepttl: bool = False,
        exat: Instant | None = None,
        pxat: Instant | None = None,
    ) -> bool | None:
        """Stores a row.

        Args:
            key: the key.
            row: an instance of the declared class; a tuple in field order; a dict with exactly the field names; a numpy scalar,
                0-d array or array of one element with the same fields; for a scalar dtype also a number. Nothing is lost on the
                way but digits of a float: see `_rows`.
            ex: seconds to live, as for `Cache.set`, like the next six.
            px: milliseconds to live.
            nx: only if the key is missing.
            xx: only if it exists.
            keepttl: keep the expiry of the record that is replaced.
            exat: an instant, in seconds.
            pxat: an instant, in milliseconds.

        Returns:
            True, or None if nx or xx did not hold.

        Raises:
            SchemaMismatch: the row, or the record that the key holds, has another dtype. Nothing is written.
            InvalidArgument: the row does not fit: fields missing or too many, a float for an integer, a number out of range,
                a string too long.
            What `Cache.set` raises.
        """
        session = self._cache._session()
        if nx and xx:
            raise refusal("INVALID_ARGUMENT", "nx and xx exclude each other", "Drop one of them.")
        data = self._codec.pack(row)
        flags = _core.SET_NX * bool(nx) | _core.SET_XX * bool(xx) | _core.SET_KEEPTTL * bool(keepttl)
        stored = self._store(session, self._cache._encode(key), data, flags, expiry_of_set(ex, px, exat, pxat, keepttl))
        return None if stored is None else True

    def cas(
        self,
        key: Encodable,
        row: RecordT | Row,
        version: int,
        ex: Seconds | None = None,
        px: Milliseconds | None = None,
        keepttl: bool = False,
        exat: Instant | None = None,
        pxat: Instant | None = None,
    ) -> int | None:
        """Compare and set: stores the row only if the key still has the version that `entry` showed.

        Args:
            key: the key.
            row: as for `set`.
            version: of the record that is to be replaced; 0: the key must be missing.
            ex: as for `set`, like the next four.
            px: milliseconds to live.
            keepttl: keep the expiry.
            exat: an instant, in seconds.
            pxat: an instant, in milliseconds.

        Returns:
            The new version, for the next cas; None if the key has another version by now. None means "read again", not "somebody
            wrote": see Entry.

        Raises:
            What `set` raises.
        """
        session = self._cache._session()
        data = self._codec.pack(row)
        flags = _core.SET_VERSION | _core.SET_KEEPTTL * bool(keepttl)
        expires_unix_ns = expiry_of_set(ex, px, exat, pxat, keepttl)
        expected = integer(version, "version", 0, (1 << 64) - 1)
        return self._store(session, self._cache._encode(key), data, flags, expires_unix_ns, expected)

    def update(
        self,
        key: Encodable,
        function: Callable[[RecordT | None], RecordT | Row | None],
        *,
        ex: Seconds | None = None,
        px: Milliseconds | None = None,
        exat: Instant | None = None,
        pxat: Instant | None = None,
        attempts: int = ATTEMPTS,
    ) -> RecordT | None:
        """Replaces the record by what a function makes of it; nobody's write in between is lost.

            fills.update("AAPL", lambda filled: (filled or 0) + 100)

        Args:
            key: the key.
            function: gets the record, or None for a miss, and returns the new row; None: leave the key as it is. It may change
                and return what it got. It is called again when another write came in between, so it has no side effects.
            ex: seconds to live, as for `set`, like the next three. Without, the expiry is kept.
            px: milliseconds to live.
            exat: an instant, in seconds.
            pxat: an instant, in milliseconds.
            attempts: calls of the function before Contended.

        Returns:
            The record as it is now.

        Raises:
            Contended: the key was written by others during each of the attempts.
            What `set` and `get` raise, and what the function raises.
        """
        session = self._cache._session()
        name = self._cache._encode(key)
        keepttl = ex is px is exat is pxat is None
        flags = _core.SET_VERSION | _core.SET_KEEPTTL * keepttl
        for _ in range(integer(attempts, "attempts", 1)):
            raw = bytearray(self.dtype.itemsize)
            found = self._read(session, name, raw, with_writer=False)
            row = function(None if found is None else self._decode(bytearray(raw)))
            if row is None:
                return None if found is None else cast("RecordT", self._decode(raw))
            data = self._codec.pack(row)
            version = 0 if found is None else found.version
            if self._store(session, name, data, flags, expiry_of_set(ex, px, exat, pxat), version) is not None:
                return cast("RecordT", self._decode(bytearray(data)))
        detail = f"{name[:64]!r} was changed by others during each of {attempts} attempts"
        raise refusal("CONTENDED", detail, "Make the function shorter, or raise `attempts`.")

    # ------------------------------------------------------------------ many records

    def read(
        self,
        keyset: Keyset,
        out: NDArray[np.generic],
        mask: NDArray[np.bool_] | None = None,
        cut: bool = True,
        *,
        max_age: Seconds | None = None,
    ) -> NDArray[np.bool_]:
        """Fills an array with the records of many keys, as they stood together at one instant (P5), without locking writers.

        Args:
            keyset: what `Cache.keyset` made, or a list of keys, which costs 0.3 us a key more. A key may be in it twice.
            out: shape (n,) for n keys, of `dtype`, contiguous, writable. Row i is the record of key i; all zeros where mask[i]
                is False.
            mask: bool, shape (n,), contiguous, writable, no part of `out`; None: a new one.
            cut: False: each record is whole, but they are of no common instant, and no writer can make the call fail.
            max_age: seconds (0.25 is allowed), or a timedelta: a record that was written longer ago is not valid. Ages are taken
                after the read, by the clock of then.

        Returns:
            The mask: True where there is a record, and it is not too old.

        Raises:
            SchemaMismatch: a key holds something else than a record of this dtype, and is named; `out` has another dtype.
            InvalidArgument: another shape, order, or database than wanted; out or mask are read-only or share memory.
            InvalidType: out or mask are no arrays.
            Contended: writers changed the keys on every one of the bounded retries. Try again, or use cut=False.
            After any of these raised by the read itself, what is in `out` and `mask` is undefined.

        Copies straight from the segment into `out`.
        """
        session = self._cache._session()
        keys = self._keys_of(keyset)
        count = keys.count
        array = require_filled(out, self.dtype, count, f"numpy.zeros({count}, records.dtype)")
        marks = require_mask(mask, count, array)
        age_max_ns = _core.AGE_ANY_NS if max_age is None else min(age_limit_ns(max_age), _core.AGE_ANY_NS)
        if count == 0:
            return marks
        try:
            session.read_rows(
                keys, array.view(np.uint8), marks, self.dtype.itemsize, self._schema, cut=cut, age_max_ns=age_max_ns
            )
        except SchemaMismatch as error:
            raise self._mismatch(error.detail) from None
        return marks

    def write(
        self,
        keyset: Keyset,
        rows: NDArray[np.generic] | Sequence[RecordT | Row],
        ex: Seconds | None = None,
        px: Milliseconds | None = None,
        exat: Instant | None = None,
        pxat: Instant | None = None,
    ) -> bool:
        """Stores many records at one instant: every reader sees all of them or none (P5), also if this process is killed.

        Args:
            keyset: as for `read`, of at most 65488 keys. A key that is in it twice gets its last row.
            rows: an array of shape (n,) for n keys, of `dtype` or converted to it without loss, in any order of memory; or a list
                of n rows as for `set`. Row i becomes the record of key i.
            ex: seconds to live, of all of them, as for `set`, like the next three.
            px: milliseconds to live.
            exat: an instant, in seconds.
            pxat: an instant, in milliseconds.

        Returns:
            True.

        Raises:
            SchemaMismatch: a key holds a record of another dtype, or the array has one.
            InvalidArgument: another shape; a row that does not fit.
            TooManyKeys, Busy, OutOfMemory, ReadOnly.
            Nothing is written then.
        """
        session = self._cache._session()
        keys = self._keys_of(keyset)
        data = packed_rows(rows, self._codec, keys.count)
        expires_unix_ns = expiry_of_set(ex, px, exat, pxat)
        self._register(session)
        if keys.count == 0:
            return True
        try:
            session.write_rows(keys, data, self.dtype.itemsize, self._schema, expires_unix_ns)
        except SchemaMismatch as error:
            raise self._refused_write(session, keys.names, error) from None
        return True

    # ------------------------------------------------------------------ inside

    def _numpy_scalar(self, raw: bytearray) -> np.generic:
        scalar: np.generic = np.frombuffer(raw, self.dtype)[0]  # of a structured dtype: a view, and `raw` its own memory
        return scalar

    def _read(self, session: Session, key: Encodable, raw: object, *, with_writer: bool) -> Entry[None] | None:
        try:
            return session.entry_into(self._cache._database, self._cache._encode(key), raw, self._schema, with_writer)
        except SchemaMismatch as error:
            raise self._mismatch(error.detail) from None

    def _store(
        self, session: Session, name: bytes, data: bytes, flags: int, expires_unix_ns: int, if_version: int = 0
    ) -> int | None:
        self._register(session)
        flags |= _core.SET_SCHEMA
        try:
            return session.set(self._cache._database, name, data, flags, expires_unix_ns, if_version, self._schema)
        except SchemaMismatch as error:
            raise self._refused_write(session, (name,), error) from None

    def _register(self, session: Session) -> None:
        """Before the first write, so that whoever meets its record can find out what it is."""
        if not self._is_registered:
            session.schema_register(self.schema_text.encode())
            self._is_registered = not self._cache.readonly
            if self._is_registered:
                self._allow_writes()

    def _mismatch(self, detail: str) -> SchemaMismatch:
        error = refusal("SCHEMA_MISMATCH", f"{detail}; these records are {self.schema_text}")
        return cast("SchemaMismatch", error)

    def _refused_write(self, session: Session, names: Iterable[bytes], error: SchemaMismatch) -> SchemaMismatch:
        """The error of a write with the text of the record that was in its way, if it is still there."""
        for name in names:
            schema = session.schema_of(self._cache._database, name)
            if schema not in (0, self._schema):
                text = session.schema_text(schema)
                return self._mismatch(f"{name[:64]!r} holds {'an unknown schema' if text is None else text.decode()}")
        return self._mismatch(error.detail)

    def _require_fields(self, fields: tuple[str, ...]) -> None:
        node = self._codec.node
        names = node.names if isinstance(node, Struct) else ()
        for field in fields:
            if not isinstance(field, str):
                raise refused_type(f"field is {type(field).__name__}", "Use the name of a field.")
            if field not in names:
                hint = f"The fields are {', '.join(names)}." if names else "These records have no fields: leave the name out."
                raise refusal("INVALID_ARGUMENT", f"no field {field!r}", hint)

    def _keys_of(self, keyset: Keyset) -> Keys:
        cache = self._cache
        if isinstance(keyset, KeySet):
            return prepared_for(keyset, cache._attachment, cache._database)
        if isinstance(keyset, (str, bytes, bytearray, memoryview)) or not isinstance(keyset, Iterable):
            raise refused_type(f"keyset is {type(keyset).__name__}", "Pass a KeySet, or a list of keys.")
        return cache._attachment.keys(cache._database, [cache._encode(key) for key in keyset])


if TYPE_CHECKING:

    class _RecordDoor:
        pass
else:
    _RecordDoor = _core.record_door(RecordCommands)


class Records(_RecordDoor, RecordCommands[RecordT]):
    """A database seen as records of one dtype. Made by `Cache.records`; shares the Cache, its sessions and its end.

    RecordT is what `get` returns: a numpy scalar for a dtype, an instance for a dataclass or NamedTuple, a number for float, int
    and bool. Thread-safe; usable in a child of fork().

    Attributes:
        dtype: of what is stored, little-endian; arrays for `read` and `get_into` have it.
        schema_text: how the dtype is described in the segment.
    """
