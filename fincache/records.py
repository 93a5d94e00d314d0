"""Typed records: values that are rows of one numpy dtype. The only module that imports numpy.

A record is stored as the bytes of one array element, little-endian, padding included, and carries the id of its *schema*: a
text, registered once in the segment, that any language can read. The text is JSON without blanks:

    a scalar dtype        its numpy string:  "<f8"
    a structured dtype    an array of fields in the order of their offsets, each [name, type] or [name, type, shape]; type is a
                          numpy string or again such an array; a field with the name "" and a type |V<n> is n bytes of padding:
                          [["bid","<f8"],["ask","<f8"],["sizes","<i4",[2]],["","|V4"]]

That is numpy.dtype.descr. Byte order is normalised first, so a dtype declared big-endian has the same schema, and its rows are
converted on the way in. Equal texts are the same schema; nothing is said about dtypes that merely have the same size. The names
of record types (numpy.dtype((Quote, ...))), titles and metadata are not part of a schema; dtypes with titles are refused.

A record is replaced by records of the same schema only. Plain bytes are no record: `get` refuses them, `set` replaces them; and a
plain `Cache.set` replaces a record as it replaces anything, and `Cache.get` shows its bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fincache import _core
from fincache._arguments import Encodable, Instant, Milliseconds, Seconds, expiry_of_set
from fincache._core import Session, refusal, refused_type
from fincache._reports import Entry

if TYPE_CHECKING:
    from fincache.client import Cache

ScalarT = TypeVar("ScalarT", bound=np.generic)
Row = tuple[object, ...] | Mapping[str, object] | np.generic | NDArray[np.generic] | int | float | bytes | str
"""A tuple in field order, a dict by field name, a numpy scalar or one-element array of the dtype; a number for a scalar dtype."""


class Records(Generic[ScalarT]):
    """A database seen as records of one dtype. Made by `Cache.records`; shares the Cache, its sessions and its end.

    Thread-safe; usable in a child of fork().

    Attributes:
        dtype: the dtype of what is read, little-endian.
        schema_text: how the dtype is described in the segment.
    """

    def __init__(self, cache: Cache[Any], dtype: DTypeLike) -> None:
        self._cache = cache
        self.dtype: np.dtype[ScalarT] = cast("np.dtype[ScalarT]", normalise(dtype))
        self.schema_text: str = schema_text(self.dtype)
        self._schema = 0  # id in the segment, once known; 0 is no id

    def __repr__(self) -> str:
        return f"<fincache.Records {self._cache.name!r} db={self._cache.database} {self.schema_text}>"

    def set(
        self,
        key: Encodable,
        row: Row,
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
            row: a tuple in field order; a dict with exactly the field names; a numpy scalar, 0-d array or array of one element
                of this dtype; for a scalar dtype also a number.
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
            InvalidArgument: the row does not fit: fields missing or too many, a number out of range.
            What `Cache.set` raises.
        """
        session = self._cache._session()
        if nx and xx:
            raise refusal("INVALID_ARGUMENT", "nx and xx exclude each other", "Drop one of them.")
        data = self._pack(row)
        flags = _core.SET_SCHEMA | _core.SET_NX * nx | _core.SET_XX * xx | _core.SET_KEEPTTL * keepttl
        expires_unix_ns = expiry_of_set(ex, px, exat, pxat, keepttl)
        stored = session.set(
            self._cache.database, self._cache._encode(key), data, flags, expires_unix_ns, schema=self._schema_of(session)
        )
        return None if stored is None else True

    def get(self, key: Encodable) -> ScalarT | None:
        """The record of a key.

        Returns:
            A numpy scalar of `dtype` (numpy.void for a structured one: row["bid"]), a copy that is the caller's alone; None for
            a miss.

        Raises:
            SchemaMismatch: the key holds something else than a record of this dtype.
            Contended, CorruptSegment, Closed.

        Never waits (P1).
        """
        raw = np.empty(self.dtype.itemsize, np.uint8)
        return None if self._read(key, raw, with_writer=False) is None else raw.view(self.dtype)[0]

    def get_into(self, key: Encodable, out: NDArray[ScalarT]) -> bool:
        """Copies the record of a key into an array, without making an object for it.

        Args:
            key: the key.
            out: an array of `dtype` with one element (array[3:4] is one), contiguous and writable.

        Returns:
            True; False for a miss. After a miss or an exception what is in `out` is undefined.

        Raises:
            What `get` raises; SchemaMismatch and InvalidArgument also for `out`.
        """
        if not isinstance(out, np.ndarray):
            raise refused_type(f"out is {type(out).__name__}", "Use a numpy array of one element, such as array[3:4].")
        if out.dtype != self.dtype:
            raise refusal("SCHEMA_MISMATCH", f"out is {out.dtype}, the records are {self.dtype}", "Use an array of `dtype`.")
        if out.size != 1 or not out.flags.c_contiguous or not out.flags.writeable:
            raise refusal("INVALID_ARGUMENT", "out has not one contiguous, writable element", "Use such as array[3:4].")
        return self._read(key, out.reshape(1).view(np.uint8), with_writer=False) is not None

    def entry(self, key: Encodable) -> Entry[ScalarT] | None:
        """The record of a key with its version, age, time to live and writer, all from one instant; None for a miss.

        Raises what `get` raises.
        """
        raw = np.empty(self.dtype.itemsize, np.uint8)
        found = self._read(key, raw, with_writer=True)
        if found is None:
            return None
        return Entry(
            value=raw.view(self.dtype)[0],
            version=found.version,
            age_ns=found.age_ns,
            ttl_ns=found.ttl_ns,
            written_unix_ns=found.written_unix_ns,
            expires_unix_ns=found.expires_unix_ns,
            writer=found.writer,
        )

    def _read(self, key: Encodable, raw: NDArray[np.uint8], *, with_writer: bool) -> Entry[None] | None:
        session = self._cache._session()
        return session.entry_into(self._cache.database, self._cache._encode(key), raw, self._schema_of(session), with_writer)

    def _schema_of(self, session: Session) -> int:
        if self._schema == 0:
            self._schema = session.schema_register(self.schema_text.encode())
        return self._schema

    def _pack(self, row: Row) -> bytes:
        if type(row) is np.void and row.dtype == self.dtype:
            return row.tobytes()
        if isinstance(row, (np.ndarray, np.void)) or (isinstance(row, np.generic) and self.dtype.names is not None):
            if row.dtype.newbyteorder("<") != self.dtype:
                raise refusal("SCHEMA_MISMATCH", f"the row is {row.dtype}, the records are {self.dtype}")
            if row.size != 1:
                raise refusal("INVALID_ARGUMENT", f"the row has {row.size} elements", "Pass one row.")
            packed = np.asarray(row).reshape(()).astype(self.dtype)
        else:
            arranged = _arrange(row, self.dtype)
            try:
                packed = np.array(arranged, dtype=self.dtype)
            except (ValueError, TypeError, OverflowError) as error:
                raise refusal("INVALID_ARGUMENT", f"the row does not fit {self.schema_text}: {error}") from None
            if packed.shape != ():
                raise refusal("INVALID_ARGUMENT", f"the row has shape {packed.shape}", "Pass one row, a tuple and not a list.")
        return packed.tobytes()


def normalise(dtype: DTypeLike) -> np.dtype[np.generic]:
    """The little-endian dtype that is stored. Raises InvalidArgument for one that cannot be."""
    try:
        found: np.dtype[np.generic] = np.dtype(dtype)
    except (TypeError, ValueError) as error:
        raise refusal("INVALID_ARGUMENT", f"not a dtype: {error}", 'Use such as "f8" or [("bid", "f8")].') from None
    if dtype is None:
        raise refusal("INVALID_ARGUMENT", "dtype is None", 'Name it: "f8".')
    if found.hasobject:
        raise refusal("INVALID_ARGUMENT", f"{found} holds Python objects", "Use numbers and fixed-size strings, such as S16.")
    if found.itemsize == 0:
        raise refusal("INVALID_ARGUMENT", f"{found} has no size", "Give it fields, or a string a length, such as S16.")
    if found.subdtype is not None:
        raise refusal("INVALID_ARGUMENT", f"{found} is an array", "Make it a field: [('values', 'f8', (3,))].")
    stored: np.dtype[np.generic] = found.newbyteorder("<")
    return stored


def schema_text(dtype: np.dtype[Any]) -> str:
    """The canonical JSON text of a normalised dtype. Raises InvalidArgument for overlapping fields, titles, too many fields."""
    try:
        description = _describe(dtype)
    except ValueError as error:  # overlapping or out-of-order fields
        raise refusal("INVALID_ARGUMENT", f"{dtype}: {error}", "Use fields that do not overlap, in order of offset.") from None
    text = json.dumps(description, separators=(",", ":"))
    if len(text) > _core.SCHEMA_BYTES_MAX:
        detail = f"its description has {len(text)} bytes, {_core.SCHEMA_BYTES_MAX} are allowed"
        raise refusal("INVALID_ARGUMENT", detail, "Use fewer fields or shorter names.")
    return text


def _describe(dtype: np.dtype[Any]) -> object:
    if dtype.names is None:
        return dtype.str
    if any(len(field) > 2 for field in (dtype.fields or {}).values()):
        raise refusal("INVALID_ARGUMENT", f"{dtype} has titles", "Use names only.")
    return dtype.descr  # tuples become JSON arrays


def _arrange(row: object, dtype: np.dtype[Any]) -> object:
    """A dict, also within, becomes a tuple in field order. Raises InvalidArgument unless it has exactly the fields."""
    if dtype.names is None:
        return row
    if isinstance(row, Mapping):
        missing = [name for name in dtype.names if name not in row]
        surplus = [name for name in row if name not in dtype.names]
        if missing or surplus:
            detail = f"the row lacks {missing}" if missing else f"the row has {surplus}, which the dtype has not"
            raise refusal("INVALID_ARGUMENT", detail, f"The fields are {', '.join(dtype.names)}.")
        row = tuple(row[name] for name in dtype.names)
    if isinstance(row, Sequence) and not isinstance(row, (str, bytes)):
        if len(row) != len(dtype.names):
            detail = f"the row has {len(row)} fields, the dtype {len(dtype.names)}"
            raise refusal("INVALID_ARGUMENT", detail, f"The fields are {', '.join(dtype.names)}.")
        return tuple(_arrange(value, dtype[name]) for name, value in zip(dtype.names, row, strict=True))
    raise refusal("INVALID_ARGUMENT", f"the row is {type(row).__name__}", f"Pass a tuple or dict of {', '.join(dtype.names)}.")
