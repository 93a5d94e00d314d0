"""_rows.py and _leaves.py: Python's values go into a record without loss, or not at all."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import DTypeLike
from record_dtypes import QUOTE, few, record_dtypes, rows_of

import fincache
from fincache._rows import Codec
from fincache.dtypes import normalise

UTC = timezone.utc
LARGE = 10**400


class Level(NamedTuple):
    """Has the fields of a dtype, or not."""

    px: float
    qty: int


ACCEPTED: list[tuple[DTypeLike, Any, Any]] = [
    ("f8", 1, 1.0),
    ("f8", True, 1.0),
    ("f8", np.float32(1.5), 1.5),
    ("f8", np.int64(3), 3.0),
    ("f8", Decimal("1.5"), 1.5),
    ("f8", float("inf"), float("inf")),
    ("f4", 0.1, np.float32(0.1)),
    ("f4", -float("inf"), -np.inf),
    ("f2", 1.5, 1.5),
    ("i1", -128, -128),
    ("u8", (1 << 64) - 1, (1 << 64) - 1),
    ("i8", np.uint8(7), 7),
    ("i4", True, 1),
    ("?", np.True_, True),
    ("c16", 2, 2 + 0j),
    ("c8", 1 + 2j, 1 + 2j),
    ("S4", b"XNAS", b"XNAS"),
    ("S4", "XNAS", b"XNAS"),
    ("S4", "\u20ac", "\u20ac".encode()),
    ("S4", bytearray(b"ab"), b"ab"),
    ("S4", memoryview(b"ab"), b"ab"),
    ("S4", b"a\0b", b"a\0b"),
    ("S4", b"ab\0", b"ab"),
    ("U3", "a\u20ac\U0001f600", "a\u20ac\U0001f600"),
    ("V3", b"abc", np.void(b"abc")),
    ("M8[ns]", datetime(2024, 8, 8, 12, tzinfo=timezone(timedelta(hours=2))), np.datetime64("2024-08-08T10", "ns")),
    ("M8[us]", datetime(2024, 8, 8, 12), np.datetime64("2024-08-08T12", "us")),
    ("M8[ns]", date(2024, 8, 8), np.datetime64("2024-08-08", "ns")),
    ("M8[s]", np.datetime64("2024-08-08T01:02:03.5", "ms"), np.datetime64("2024-08-08T01:02:03", "s")),
    ("M8[ns]", 1_700_000_000_000_000_001, np.datetime64(1_700_000_000_000_000_001, "ns")),
    ("M8[ns]", "2024-08-08", np.datetime64("2024-08-08", "ns")),
    ("m8[ms]", timedelta(seconds=1.5), np.timedelta64(1500, "ms")),
    ("m8[ms]", 7, np.timedelta64(7, "ms")),
    ([("a", "f8", (2,))], ([1, 2],), ((1.0, 2.0),)),
    ([("a", "i4", (2, 2))], (np.array([[1, 2], [3, 4]]),), (((1, 2), (3, 4)),)),
    ([("a", "M8[s]", (2,))], ([1, 2],), ((np.datetime64(1, "s"), np.datetime64(2, "s")),)),
    ([("a", "?", (2,))], ([True, False],), ((True, False),)),
    ([("a", "S3", (2,))], (["ab", b"c"],), ((b"ab", b"c"),)),
    ([("a", [("px", "f8"), ("qty", "i4")], (2,))], ([{"px": 1, "qty": 2}, (3, 4)],), (((1.0, 2), (3.0, 4)),)),
    ([("a", [("px", "f8"), ("qty", "i4")])], {"a": Level(1, 2)}, ((1.0, 2),)),
]

REFUSED: list[tuple[DTypeLike, Any, str]] = [
    ("i4", 1.0, r"cannot hold 1\.0: its type is float\. Round it yourself"),
    ("i4", np.float64(1), "Round it yourself"),
    ("i4", Decimal(1), "its type is Decimal"),
    ("i4", "1", "its type is str. Use an integer"),
    ("i4", None, "NoneType"),
    ("i4", 1 << 31, "out of range. Use an integer from -2147483648 to 2147483647"),
    ("u1", 256, "from 0 to 255"),
    ("u1", -1, "from 0 to 255"),
    ("u8", 1 << 64, "from 0 to 18446744073709551615"),
    ("i8", LARGE, "out of range"),
    ("f8", LARGE, "out of range"),
    ("f4", 1e39, r"out of range. Use a number of at most 3\.40282e\+38"),
    ("f2", 70000.0, "at most 65504"),
    ("f8", "1.5", "its type is str"),
    ("f8", 1j, "complex"),
    ("?", 1, "its type is int. Use True or False"),
    ("?", "True", "its type is str"),
    ("c16", "1", "does not go into"),
    ("c8", 1e300, "range"),
    ("S4", b"XNASX", "it has 5 bytes. Use at most 4 bytes"),
    ("S4", "\u20ac\u20ac", "it has 6 bytes"),
    ("S4", 5, "its type is int"),
    ("U2", "abc", "it has 3 characters. Use at most 2 characters"),
    ("U2", b"ab", "its type is bytes"),
    ("V3", b"ab", "it has 2 bytes. Use exactly 3 bytes"),
    ("V3", "abc", "its type is str"),
    ("M8[ns]", 1.5, "its type is float"),
    ("M8[ns]", None, "its type is NoneType"),
    ("M8[ns]", datetime(9999, 1, 1), "M8"),
    ("M8[ns]", "yesterday", "M8"),
    ("M8[ns]", timedelta(1), "M8"),
    ("M8[ns]", 1 << 63, "M8"),
    ("m8[ns]", np.datetime64("2024-08-08"), "m8"),
    ([("a", "i4", (2,))], ([1, 2.5],), r"a \(<i4\) .* <f8 does not go into <i4"),
    ([("a", "i4", (2,))], ([1, 1 << 40],), r"a \(<i4\) .* range"),
    ([("a", "i4", (2,))], ([1],), r"the shape \(1,\)"),
    ([("a", "i4", (2,))], (1,), r"the shape \(\)"),
    ([("a", "u1", (2,))], ([1, None],), "numpy has no type for it"),
    ([("a", "f4", (2,))], ([1, 1e39],), "range"),
    ([("a", "S3", (2,))], (["a"],), "a is 1 elements. Pass a list of 2"),
    ([("a", "S3", (2,))], ("ab",), "a is str. Pass a list of 2"),
    ([("a", "S3", (2,))], (["a", "toolong"],), r"a\[1\] \(\|S3\)"),
    ([("a", [("px", "f8")], (2,))], ([(1,), ("x",)],), r"a\[1\]\.px \(<f8\)"),
    ([("a", [("px", "f8")])], ({"px": "x"},), r"a\.px \(<f8\)"),
    ([("a", [("px", "f8")])], ({"py": 1},), r"a lacks \['px'\]. The fields are px"),
    ([("a", [("px", "f8")])], (7,), "a is int. Pass a tuple or dict of px"),
    ([("px", "f8"), ("size", "i4")], Level(1, 2), "the row has the fields px, qty. The fields are px, size"),
    (QUOTE, {"bid": 1, "ask": 2, "sizes": (1, 2)}, r"lacks \['venue'\]"),
    (QUOTE, {"bid": 1, "ask": 2, "sizes": (1, 2), "venue": b"", "x": 1}, r"has \['x'\]"),
    (QUOTE, (1, 2, (1, 2)), "has 3 fields, the dtype 4"),
    (QUOTE, (1, 2, (1, 2), b"X", 5), "has 5 fields, the dtype 4"),
    (QUOTE, "text", "the row is str"),
    (QUOTE, object(), "the row is object"),
]


def codec_of(dtype: DTypeLike) -> Codec:
    return Codec(normalise(dtype))


def array_of(codec: Codec, row: object) -> Any:
    """The packed row as numpy sees it."""
    return np.frombuffer(codec.pack(row), codec.dtype)[0]


def plain(value: Any) -> Any:
    """numpy's rows and arrays as tuples, scalars as they are."""
    if isinstance(value, np.void) and value.dtype.names is not None:
        return tuple(plain(value[name]) for name in value.dtype.names)
    return tuple(plain(item) for item in value) if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize(("dtype", "row", "stored"), ACCEPTED)
def test_a_value_that_fits_is_stored(dtype: DTypeLike, row: object, stored: object) -> None:
    """numpy's same_kind, Python's own types, text as UTF-8."""
    assert plain(array_of(codec_of(dtype), row)) == stored


@pytest.mark.parametrize(("dtype", "row", "reason"), REFUSED)
def test_a_value_that_does_not_fit_is_named(dtype: DTypeLike, row: object, reason: str) -> None:
    """The field, the value, why not, and what would do. numpy would round, wrap or cut many of these."""
    with pytest.raises(fincache.InvalidArgument, match=reason) as caught:
        codec_of(dtype).pack(row)
    assert caught.value.hint


def test_a_number_too_long_to_be_printed_is_refused_all_the_same() -> None:
    """Python refuses to make text of thousands of digits."""
    with pytest.raises(fincache.InvalidArgument, match="a very large number"):
        codec_of("i8").pack(10**5000)


def test_digits_of_a_float_are_all_that_may_be_lost() -> None:
    """Also in arrays, where a field that is all right does not save one that is not."""
    quotes = codec_of([("px", "f4"), ("qty", "i4"), ("venue", "S2")])
    fits = np.array([(0.1, 5, b"ab"), (1e30, 6, b"")], [("px", "f8"), ("qty", "u8"), ("venue", "S9")])
    assert quotes.rows(fits, "rows").tolist() == np.array(fits, quotes.dtype).tolist()
    for field, value in (("px", 1e39), ("qty", 1 << 31), ("venue", b"abc")):
        wrong = fits.copy()
        wrong[field][1] = value
        with pytest.raises(fincache.InvalidArgument, match="rows does not fit"):
            quotes.rows(wrong, "rows")
    for field, kind in (("px", "c8"), ("qty", "f8"), ("qty", "M8[ns]"), ("venue", "U2")):
        dtype = [(name, kind if name == field else stored) for name, stored in (("px", "f4"), ("qty", "i4"), ("venue", "S2"))]
        with pytest.raises(fincache.SchemaMismatch, match="does not go into"):
            quotes.rows(np.zeros(2, dtype), "rows")


def test_times_in_arrays_change_their_unit_only_if_they_fit() -> None:
    """NaT stays NaT; what overflows nanoseconds is refused."""
    times = codec_of([("at", "M8[ns]")])
    seconds = np.array([("2024-08-08",), ("NaT",)], [("at", "M8[s]")])
    assert times.rows(seconds, "rows")["at"].astype("M8[s]").tolist() == seconds["at"].tolist()
    with pytest.raises(fincache.InvalidArgument):
        times.rows(np.array([("2400-01-01",)], [("at", "M8[s]")]), "rows")
    with pytest.raises(fincache.SchemaMismatch):
        times.rows(np.zeros(2, [("at", "i8")]), "rows")


def as_python(value: Any) -> Any:
    """A numpy row as a caller would write it down."""
    if isinstance(value, np.void) and value.dtype.names is not None:
        return tuple(as_python(value[name]) for name in value.dtype.names)
    if isinstance(value, np.ndarray):
        return value if value.dtype.kind in "biufcmM" else [as_python(item) for item in value]
    return value


@few
@given(st.data())
def test_every_row_comes_back(data: st.DataObject) -> None:
    """What numpy shows of a packed row is what was packed, whatever the dtype: taken apart and put together, leaf by leaf."""
    dtype = data.draw(record_dtypes)
    codec = Codec(dtype)
    (row,) = data.draw(rows_of(dtype, 1))
    written = flat(as_python(row))
    packed = codec.pack(as_python(row))
    np.testing.assert_equal(flat(as_python(np.frombuffer(packed, dtype)[0])), written)
    np.testing.assert_equal(flat(codec.unpack(packed)), written)
    np.testing.assert_equal(flat(codec.unpack(codec.pack(row))), written)


def flat(value: Any) -> list[Any]:
    """The leaves of what `unpack` gives."""
    if isinstance(value, (tuple, list, np.ndarray)):
        return [leaf for item in value for leaf in flat(item)]
    return [value.rstrip(b"\0") if isinstance(value, bytes) else value.tobytes() if isinstance(value, np.void) else value]
