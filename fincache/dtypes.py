r"""Which numpy dtypes can be records, and the text by which every language knows them: the *schema*.

A record is stored as the bytes of one array element, little-endian, padding included. The schema says what they are. Its text is
registered once in the segment, and each record carries its id, XXH3-64 of the text (`fc_schema_register` in fincache.h). The text
is JSON without blanks, non-ASCII characters as \u escapes:

    a scalar         its numpy string:   "<f8"  "<i4"  "|u1"  "|b1"  "|S16"  "<U8"  "<M8[ns]"
    a struct         an array of fields in the order of their offsets, each [name, type] or [name, type, shape]; type is a string
                     as above or again such an array of fields. Bytes between and behind the fields are written as fields, too,
                     with the name "" and the type "|V<n>", so that the sizes add up to the size of the record:

    [["bid","<f8"],["ask","<f8"],["sizes","<i4",[2]],["flags","|u1"],["","|V7"]]

which is the C struct { double bid, ask; int32_t sizes[2]; uint8_t flags; } with its padding. Equal texts are the same schema;
nothing is said about types that merely have the same size. The byte order is normalised first, so a dtype declared big-endian has
the same schema. A numpy reader knows the text as dtype.descr; `dtype_of_schema` reads it back.

Not to be stored: Python objects; fields of no size, or that overlap or run backwards; titles; long double, whose bytes differ
between processors; dates without a unit. The class of a record type (numpy.record), alignment flags and metadata are no part of a
schema: they say nothing about the bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fincache import _core
from fincache._core import refusal
from fincache._errors import FinCacheError

KINDS = "biufcSUVmM"  # numpy's kinds that can be stored
DEPTH_MAX = 32  # of structs within structs; a text of SCHEMA_BYTES_MAX may nest deeper than Python likes to recurse


def normalise(dtype: DTypeLike) -> np.dtype[np.generic]:
    """The little-endian dtype that is stored. Raises InvalidArgument for one that cannot be."""
    if dtype is None:
        raise refusal("INVALID_ARGUMENT", "dtype is None", 'Name it: "f8".')
    try:
        found: np.dtype[np.generic] = np.dtype(dtype)
    except (TypeError, ValueError) as error:
        raise refusal("INVALID_ARGUMENT", f"not a dtype: {error}", 'Use such as "f8" or [("bid", "f8")].') from None
    if found.subdtype is not None:
        raise refusal("INVALID_ARGUMENT", f"{found} is an array", 'Make it a field: [("values", "f8", (3,))].')
    _check(found, str(found), 0)
    stored: np.dtype[np.generic] = found.newbyteorder("<")
    return stored


def _check(dtype: np.dtype[Any], what: str, depth: int) -> None:
    """Raises InvalidArgument unless the dtype can be stored; `what` names it."""
    if dtype.names is None:
        _check_scalar(dtype, what)
        return
    if not dtype.names:
        raise refusal("INVALID_ARGUMENT", f"{what} has no fields", 'Give it some: [("bid", "f8")].')
    if depth == DEPTH_MAX:
        raise refusal("INVALID_ARGUMENT", f"{what} is {DEPTH_MAX} structs deep", "Use flatter structs.")
    end = 0
    for name, (field, offset, *title) in fields_of(dtype):
        if title:
            raise refusal("INVALID_ARGUMENT", f"{what} has titles", "Use names only.")
        if name == "":
            raise refusal("INVALID_ARGUMENT", f"{what} has a field without a name", "Name every field.")
        if offset < end:
            raise refusal(
                "INVALID_ARGUMENT",
                f"{name!r} of {what} overlaps, or comes before, another field",
                "Use fields that do not overlap, in the order of their offsets.",
            )
        end = offset + field.itemsize
        _check(field if field.subdtype is None else base_of(field)[0], f"{name!r} of {what}", depth + 1)
        if field.itemsize == 0:
            raise refusal("INVALID_ARGUMENT", f"{name!r} of {what} has no size", "Use shapes without a 0.")


def _check_scalar(dtype: np.dtype[Any], what: str) -> None:
    if dtype.hasobject or dtype.kind not in KINDS:
        kind = "holds Python objects" if dtype.hasobject else "is of a kind that cannot be stored"
        raise refusal("INVALID_ARGUMENT", f"{what} {kind}", "Use numbers and fixed-size strings, such as S16.")
    if dtype.itemsize == 0:
        raise refusal("INVALID_ARGUMENT", f"{what} has no size", "Give a string a length, such as S16.")
    if dtype.kind in "fc" and dtype.itemsize > {"f": 8, "c": 16}[dtype.kind]:
        raise refusal("INVALID_ARGUMENT", f"{what} is a long double, which differs between processors", 'Use "f8".')
    if dtype.kind in "mM" and np.datetime_data(dtype)[0] == "generic":
        raise refusal("INVALID_ARGUMENT", f"{what} is a time without a unit", 'Name the unit: "M8[ns]".')


def fields_of(dtype: np.dtype[Any]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """(name, (dtype, offset[, title])) of each field in the order of the names."""
    for name in dtype.names or ():
        yield name, dtype.fields[name]  # type: ignore[index]


def base_of(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """The dtype of one element of a field, and the shape of the field: () if it is no array. Arrays of arrays are one array."""
    shape: tuple[int, ...] = ()
    while dtype.subdtype is not None:
        dtype, inner = dtype.subdtype
        shape += inner
    return dtype, shape


def schema_text(dtype: np.dtype[Any]) -> str:
    """The canonical JSON text of a normalised dtype. Raises InvalidArgument if it is too long to be stored."""
    text = json.dumps(_describe(dtype), separators=(",", ":"))
    if len(text) > _core.SCHEMA_BYTES_MAX:
        detail = f"its description has {len(text)} bytes, {_core.SCHEMA_BYTES_MAX} are allowed"
        raise refusal("INVALID_ARGUMENT", detail, "Use fewer fields or shorter names.")
    return text


def _describe(dtype: np.dtype[Any]) -> object:
    if dtype.names is None:
        return dtype.str
    described: list[object] = []
    end = 0
    for name, (field, offset, *_) in fields_of(dtype):
        if offset > end:
            described.append(["", f"|V{offset - end}"])
        base, shape = base_of(field)
        described.append([name, _describe(base), list(shape)] if shape else [name, _describe(base)])
        end = offset + field.itemsize
    if dtype.itemsize > end:
        described.append(["", f"|V{dtype.itemsize - end}"])
    return described


def dtype_of_schema(text: str) -> np.dtype[np.generic]:
    """The dtype that a schema's text describes, whoever wrote it: the inverse of `schema_text`.

    Raises:
        InvalidArgument: the text is no schema, or not in its canonical form.
    """
    try:
        dtype = normalise(_undescribe(json.loads(text), 0))
    except FinCacheError:
        raise
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise refusal("INVALID_ARGUMENT", f"not a schema: {text[:200]!r}: {error}", _SCHEMA_HINT) from None
    if schema_text(dtype) != text:
        raise refusal("INVALID_ARGUMENT", f"not a canonical schema: {text[:200]!r}", _SCHEMA_HINT)
    return dtype


_SCHEMA_HINT = 'A schema is such as "<f8" or [["bid","<f8"],["","|V8"]]; see the documentation of records.'


def _undescribe(described: object, depth: int) -> np.dtype[Any]:
    if isinstance(described, str):
        return np.dtype(described)
    if not isinstance(described, list) or depth > DEPTH_MAX:
        raise TypeError(f"{described!r:.100} is neither a type nor fields")
    names, formats, offsets, end = [], [], [], 0
    for field in described:
        name, kind, shape = field if len(field) == 3 else (*field, [])
        dtype = np.dtype((_undescribe(kind, depth + 1), tuple(shape))) if shape else _undescribe(kind, depth + 1)
        if name != "":
            names.append(name)
            formats.append(dtype)
            offsets.append(end)
        end += dtype.itemsize
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": end})
