"""The values that a row is made of, one by one: what goes into which, and how it comes out.

What goes into what, numpy's `same_kind` where that is no loss:

    bool      bool                                             integer   integers and bools within its range
    float     numbers; an f4 takes no number beyond its range  complex   numbers
    S         bytes, str (as UTF-8), no longer than the field  U         str, no longer
    V         bytes of exactly its length
    M8, m8    numpy's and datetime's times; int, in its unit

A float never goes into an integer, not even 3.0: whether to round is for the caller to say. Zero bytes at the end of a string are
not told from its padding, as in numpy and C.

Single numbers are left to struct, which is as exact as this table, where numpy is lenient: numpy would store 1.5 in an integer
field as 1, b"XNASDAQ" in an S4 field as b"XNAS" and, before version 2, 300 in a byte as 44.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fincache._core import refusal
from fincache._errors import FinCacheError
from fincache.dtypes import base_of, fields_of

STRUCT_CODES = {"b1": "?", "f2": "e", "f4": "f", "f8": "d"}
STRUCT_CODES |= {"i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q"}
"""struct's codes by numpy's kind and size."""
UNFIT = (struct.error, TypeError, ValueError, OverflowError)
"""What encoders, and struct, raise for a value that does not fit."""


@dataclass(frozen=True)
class Leaf:
    """A value that struct packs as one item.

    Attributes:
        dtype: of the element.
        shape: () or, for numbers, that of a whole array.
        code: for struct.
        encode: makes of the caller's value what struct takes; None: nothing to do. Raises one of UNFIT.
        decode: makes of what struct gives what the caller gets; None: nothing to do.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    code: str
    encode: Callable[[Any], object] | None
    decode: Callable[[Any], object] | None


def leaf_of(dtype: np.dtype[Any], shape: tuple[int, ...], decode: Callable[[Any], object] | None) -> Leaf:
    """The leaf of a scalar dtype, or of an array of numbers. `decode` None: what comes naturally."""
    code = STRUCT_CODES.get(f"{dtype.kind}{dtype.itemsize}")
    if shape:
        bytes_count = dtype.itemsize * prod(shape)
        return Leaf(dtype, shape, f"{bytes_count}s", _array_encoder(dtype, shape), decode or _array_decoder(dtype, shape))
    if code is not None:
        return Leaf(dtype, shape, code, _bool if code == "?" else None, decode)
    encode = {
        "S": _bytes_encoder,
        "U": _text_encoder,
        "V": _void_encoder,
        "M": _time_encoder,
        "m": _time_encoder,
        "c": _number_encoder,
    }[dtype.kind]
    return Leaf(dtype, shape, f"{dtype.itemsize}s", encode(dtype), decode or _decoder(dtype))


def _bool(value: object) -> object:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"its type is {type(value).__name__}")
    return value


def _bytes_encoder(dtype: np.dtype[Any]) -> Callable[[Any], bytes]:
    def encode(value: object) -> bytes:
        data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"its type is {type(value).__name__}")
        if len(data := bytes(data)) > dtype.itemsize:
            raise ValueError(f"it has {len(data)} bytes")
        return data

    return encode


def _text_encoder(dtype: np.dtype[Any]) -> Callable[[Any], bytes]:
    def encode(value: object) -> bytes:
        if not isinstance(value, str):
            raise TypeError(f"its type is {type(value).__name__}")
        if len(value) > dtype.itemsize // 4:
            raise ValueError(f"it has {len(value)} characters")
        return value.encode("utf-32-le", "surrogatepass")

    return encode


def _void_encoder(dtype: np.dtype[Any]) -> Callable[[Any], bytes]:
    def encode(value: object) -> bytes:
        if isinstance(value, (np.void, np.ndarray)):
            value = value.tobytes()
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise TypeError(f"its type is {type(value).__name__}")
        if len(data := bytes(value)) != dtype.itemsize:
            raise ValueError(f"it has {len(data)} bytes")
        return data

    return encode


def _time_encoder(dtype: np.dtype[Any]) -> Callable[[Any], bytes]:
    make = np.datetime64 if dtype.kind == "M" else np.timedelta64

    def encode(value: object) -> bytes:
        if isinstance(value, (bool, float, np.floating)) or value is None:
            raise TypeError(f"its type is {type(value).__name__}")
        if isinstance(value, (int, np.integer)) and not isinstance(value, np.timedelta64):
            return struct.pack("<q", value)
        if isinstance(value, datetime) and value.tzinfo is not None:
            value = value.astimezone(timezone.utc).replace(tzinfo=None)
        return converted(np.asarray(make(value)), dtype).tobytes()  # type: ignore[call-overload]

    return encode


def _number_encoder(dtype: np.dtype[Any]) -> Callable[[Any], bytes]:
    return lambda value: converted(_array_of(value), dtype).reshape(()).tobytes()


def _array_encoder(dtype: np.dtype[Any], shape: tuple[int, ...]) -> Callable[[Any], bytes]:
    def encode(value: object) -> bytes:
        array = _array_of(value)
        if array.shape != shape:
            raise ValueError(f"it has the shape {array.shape}")
        if dtype.kind in "mM" and array.dtype.kind in "iu":
            array = converted(array, np.dtype("i8")).view(dtype)  # in its unit
        return converted(array, dtype).tobytes()

    return encode


def _array_of(value: Any) -> NDArray[Any]:
    array = np.asarray(value)
    if array.dtype.kind == "O":
        raise TypeError("numpy has no type for it, or it is out of range")
    return array


def _decoder(dtype: np.dtype[Any]) -> Callable[[bytes], object]:
    if dtype.kind == "S":
        return lambda data: data.rstrip(b"\0")
    return lambda data: np.frombuffer(data, dtype)[0]


def _array_decoder(dtype: np.dtype[Any], shape: tuple[int, ...]) -> Callable[[bytes], object]:
    return lambda data: np.frombuffer(data, dtype).reshape(shape).copy()


# ------------------------------------------------------------------ casting


def converted(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """`values` as `dtype`, if nothing but digits of a float is lost. Raises TypeError, or OverflowError."""
    if values.dtype == dtype:
        return values
    if dtype.names is not None:
        return _converted_fields(values, dtype)
    source, target = values.dtype.kind, dtype.kind
    if target in "iu":
        allowed = source in "bui"  # in range, see below
    elif target in "mSUV":
        allowed = source == target and target != "V"
    else:
        allowed = np.can_cast(values.dtype, dtype, "same_kind")
    if not allowed:
        raise TypeError(f"{values.dtype.str} does not go into {dtype.str}")
    if target in "iu" and values.size:
        limits = np.iinfo(dtype)
        if not limits.min <= int(values.min()) <= int(values.max()) <= limits.max:
            raise OverflowError(f"it is out of the range of {dtype.str}")
    with np.errstate(all="ignore"):
        result = values.astype(dtype)
        if target in "fc" and not np.array_equal(np.isfinite(result), np.isfinite(values)):
            raise OverflowError(f"it is out of the range of {dtype.str}")
        # Times in a finer unit may overflow, strings may be cut; both show on the way back.
        exact = target in "SU" or (target in "mM" and np.can_cast(values.dtype, dtype, "safe"))
        if exact and not np.array_equal(result.astype(values.dtype), values, equal_nan=target in "mM"):
            raise OverflowError(f"it does not fit {dtype.str}")
    return result


def _converted_fields(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if values.dtype.names != dtype.names:
        raise TypeError(f"{values.dtype} has not the fields of {dtype}")
    result = np.zeros(values.shape, dtype)
    for name, (field, *_) in fields_of(dtype):
        element, shape = base_of(field)
        if values[name].shape != values.shape + shape:
            raise TypeError(f"{name!r} has not the shape {shape}")
        result[name] = converted(values[name], element)
    return result


def unfit(leaf: Leaf, path: str, value: object, error: Exception) -> FinCacheError:
    """The exception for a value that a leaf does not take, with what it takes."""
    kind = leaf.dtype.kind
    if leaf.shape:
        hint = f"Pass an array of {leaf.dtype.str} with the shape {leaf.shape}."
    elif kind in "iu" and isinstance(value, (float, np.floating)):
        hint = "Round it yourself, with int() or round(), or declare the field as a float."
    elif kind in "iu":
        hint = f"Use an integer from {np.iinfo(leaf.dtype).min} to {np.iinfo(leaf.dtype).max}."
    elif kind == "f":
        hint = f"Use a number of at most {np.finfo(leaf.dtype).max:g}."
    elif kind == "b":
        hint = "Use True or False."
    elif kind in "mM":
        hint = f"Use numpy.{leaf.dtype.type.__name__}, a datetime or timedelta, or an int in its unit."
    elif kind == "c":
        hint = "Use a number."
    else:
        count, unit = (leaf.dtype.itemsize // 4, "characters") if kind == "U" else (leaf.dtype.itemsize, "bytes")
        hint = f"Use {'exactly' if kind == 'V' else 'at most'} {count} {unit}."
    what = f"{path} ({leaf.dtype.str})" if path else leaf.dtype.str
    reason = str(error)
    if leaf.encode is None:  # struct has no good words
        is_number = isinstance(value, (int, np.integer)) or (kind == "f" and isinstance(value, (float, np.floating)))
        reason = "it is out of range" if is_number else f"its type is {type(value).__name__}"
    return refusal("INVALID_ARGUMENT", f"{what} cannot hold {_shown(value)}: {reason}", hint)


def _shown(value: object) -> str:
    try:
        return f"{value!r:.80}"
    except ValueError:  # an int of thousands of digits
        return "a very large number"
