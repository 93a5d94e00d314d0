"""Arrays that records are read into and written from: what they have to be, and what is said of those that are not.

An array that is filled must have the records' own dtype and lie in memory in one piece, for records are copied straight into
it. An array that is written from may be any that has the same fields, in any order of memory: it is read as numpy reads it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fincache._core import refusal, refused_type
from fincache._rows import Codec


def require_filled(array: object, dtype: np.dtype[Any], count: int | None, hint: str) -> NDArray[Any]:
    """`array`, if `count` records (None: one, in any shape) can be copied into it. `hint` is one that would do.

    Raises:
        InvalidType, SchemaMismatch, InvalidArgument: it is no array, of another dtype, or of another shape or order.
    """
    if not isinstance(array, np.ndarray):
        raise refused_type(f"out is {type(array).__name__}", f"Use an array, such as {hint}.")
    if array.dtype is not dtype and array.dtype != dtype:
        order = " It differs in byte order only." if array.dtype.newbyteorder("<") == dtype else ""
        raise refusal(
            "SCHEMA_MISMATCH", f"out is {array.dtype}, the records are {dtype}", f"Use an array of records.dtype.{order}"
        )
    flags = array.flags
    if not flags.c_contiguous:
        raise refusal("INVALID_ARGUMENT", "out is not contiguous", f"Use {hint}, and copy from it.")
    if not flags.writeable:
        raise refusal("INVALID_ARGUMENT", "out is read-only", f"Use {hint}.")
    if count is None and array.size != 1:
        raise refusal("INVALID_ARGUMENT", f"out has {array.size} elements", "Use one, such as array[3:4].")
    if count is not None and array.shape != (count,):
        raise refusal("INVALID_ARGUMENT", f"out has the shape {array.shape}", f"It is ({count},) for {count} keys.")
    return array


def require_mask(mask: object, count: int, out: NDArray[Any]) -> NDArray[np.bool_]:
    """`mask`, or a new one for None, if it can tell of `count` rows of `out`. Raises InvalidType, InvalidArgument."""
    if mask is None:
        return np.empty(count, np.bool_)
    hint = f"Use numpy.zeros({count}, bool), or leave it out."
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        kind = f"an array of {mask.dtype}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise refused_type(f"mask is {kind}", hint)
    if mask.shape != (count,):
        raise refusal("INVALID_ARGUMENT", f"mask has the shape {mask.shape}, there are {count} keys", hint)
    if not mask.flags.c_contiguous or not mask.flags.writeable:
        state = "read-only" if mask.flags.c_contiguous else "not contiguous"
        raise refusal("INVALID_ARGUMENT", f"mask is {state}", hint)
    if np.may_share_memory(out, mask):  # of contiguous arrays their bounds tell
        raise refusal("INVALID_ARGUMENT", "out and mask share memory", hint)
    return mask


def packed_rows(rows: object, codec: Codec, count: int) -> object:
    """A buffer of the records of `count` rows, one behind the other: an array's, or those of a list.

    Raises:
        InvalidType, SchemaMismatch, InvalidArgument: they are neither, others, or too many or too few; a row does not fit.
    """
    if isinstance(rows, np.ndarray):
        if rows.shape != (count,):
            raise refusal("INVALID_ARGUMENT", f"rows has the shape {rows.shape}", f"It is ({count},) for {count} keys.")
        return np.ascontiguousarray(codec.rows(rows, "rows")).view(np.uint8)
    if not isinstance(rows, (list, tuple)):
        raise refused_type(f"rows is {type(rows).__name__}", "Pass an array, or a list of rows.")
    if len(rows) != count:
        raise refusal("INVALID_ARGUMENT", f"{len(rows)} rows for {count} keys", "Pass one row for each key.")
    return b"".join(map(codec.pack, rows))
