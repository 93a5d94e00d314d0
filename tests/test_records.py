"""records.py: rows of one numpy dtype."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Child
from record_dtypes import QUOTE

import fincache

ROW = (1.5, 2.5, (10, 20), b"XNAS")


@pytest.mark.parametrize(
    "row",
    [
        ROW,
        {"bid": 1.5, "ask": 2.5, "sizes": [10, 20], "venue": b"XNAS"},
        np.array([ROW], dtype=QUOTE)[0],
        np.array([ROW], dtype=QUOTE),
        np.array(ROW, dtype=QUOTE),
        np.array([ROW], dtype=np.dtype(QUOTE).newbyteorder(">")),
    ],
    ids=["tuple", "dict", "scalar", "one element", "0-d", "big-endian"],
)
def test_a_row_may_be_given_in_many_forms(cache: fincache.Cache, row: tuple[object, ...]) -> None:
    """All are the same record, which comes back as a numpy scalar of the caller's own."""
    quotes = cache.records(QUOTE)
    assert quotes.set("AAPL", row) is True
    got = quotes.get("AAPL")
    assert got is not None
    assert got.dtype == quotes.dtype
    assert got.tobytes() == np.array([ROW], dtype=QUOTE).tobytes()
    got["bid"] = 9
    again = quotes.get("AAPL")
    assert again is not None
    assert again["bid"] == 1.5


def test_nested_dicts_and_tuples(cache: fincache.Cache) -> None:
    """A field that is itself structured takes either."""
    book = cache.records([("bid", [("px", "f8"), ("qty", "u4")]), ("seq", "u8")])
    book.set("a", {"bid": {"qty": 3, "px": 1.5}, "seq": 7})
    book.set("b", ((1.5, 3), 7))
    first, second = book.get("a"), book.get("b")
    assert first == second
    assert first is not None
    assert first["bid"]["qty"] == 3


@pytest.mark.parametrize(("dtype", "value"), [("f8", 150.25), ("i8", -3), ("S8", b"abc"), (np.float32, 1.5)])
def test_scalar_dtypes(cache: fincache.Cache, dtype: str, value: float | bytes) -> None:
    """A record may be one number or one fixed-size string."""
    prices = cache.records(dtype)
    prices.set("a", value)
    assert prices.get("a") == value
    prices.set("a", np.array(value, dtype=dtype))
    assert prices.get("a") == value
    assert cache.strlen("a") == prices.dtype.itemsize


def test_a_miss_is_none(cache: fincache.Cache) -> None:
    """Also for entry and get_into."""
    quotes = cache.records(QUOTE)
    assert quotes.get("a") is None
    assert quotes.entry("a") is None
    assert quotes.get_into("a", np.zeros(1, QUOTE)) is False


def test_get_into_fills_one_element_of_an_array(cache: fincache.Cache) -> None:
    """And no other."""
    quotes = cache.records(QUOTE)
    quotes.set("a", ROW)
    out = np.zeros(3, QUOTE)
    assert quotes.get_into("a", out[1:2]) is True
    assert out[1].tobytes() == np.array([ROW], dtype=QUOTE).tobytes()
    assert out[0] == out[2] == np.zeros((), QUOTE)
    single = np.zeros((), QUOTE)
    assert quotes.get_into("a", single) is True
    assert single["ask"] == 2.5


def test_get_into_refuses_other_arrays(cache: fincache.Cache) -> None:
    """Wrong dtype, length, layout or type, each by name; the array stays as it is."""
    quotes = cache.records("f8")
    quotes.set("a", 1.5)
    with pytest.raises(fincache.SchemaMismatch):
        quotes.get_into("a", np.zeros(1, "f4"))  # type: ignore[arg-type]
    out = np.zeros(2, "f8")
    locked = np.zeros(1, "f8")
    locked.flags.writeable = False
    for wrong in (out, locked):
        with pytest.raises(fincache.InvalidArgument):
            quotes.get_into("a", wrong)
    with pytest.raises(fincache.InvalidType):
        quotes.get_into("a", [0.0])  # type: ignore[arg-type]
    assert (out == 0).all()


def test_entry_has_the_record_and_its_metadata(cache: fincache.Cache) -> None:
    """As Cache.entry, with the row as the value."""
    quotes = cache.records(QUOTE)
    quotes.set("a", ROW, ex=1000)
    entry = quotes.entry("a")
    assert entry is not None
    assert entry.value["ask"] == 2.5
    assert entry.version > 0
    assert entry.ttl is not None
    assert entry.ttl > 900


def test_conditions_and_expiries_are_those_of_set(cache: fincache.Cache) -> None:
    """nx, xx, keepttl, ex ..."""
    quotes = cache.records("i8")
    assert quotes.set("a", 1, xx=True) is None
    assert quotes.set("a", 1, nx=True, ex=1000) is True
    assert quotes.set("a", 2, nx=True) is None
    assert quotes.set("a", 3, keepttl=True) is True
    assert cache.ttl("a") > 0
    assert quotes.get("a") == 3


def test_a_record_of_another_dtype_is_neither_read_nor_overwritten(cache: fincache.Cache) -> None:
    """Both sides are named, whatever the lengths; the record stays as it is."""
    cache.records("f8").set("a", 1.5)
    integers = cache.records("i8")
    for attempt in (lambda: integers.get("a"), lambda: integers.entry("a"), lambda: integers.set("a", 1)):
        with pytest.raises(fincache.SchemaMismatch) as caught:
            attempt()
        assert caught.value.hint
    with pytest.raises(fincache.SchemaMismatch, match="<f8"):
        cache.records(QUOTE).get("a")
    assert cache.records("f8").get("a") == 1.5
    cache.delete("a")
    assert integers.set("a", 1) is True


def test_plain_bytes_are_no_record(cache: fincache.Cache) -> None:
    """Even of the right length. A plain set replaces a record, and a record plain bytes, as a set replaces anything."""
    prices = cache.records("f8")
    prices.set("a", 1.5)
    cache.set("a", b"12345678")
    with pytest.raises(fincache.SchemaMismatch, match="plain bytes"):
        prices.get("a")
    assert prices.set("a", 2.5) is True
    assert prices.get("a") == 2.5


@pytest.mark.parametrize(
    "row",
    [
        (1.0,),
        (1.0, 2.0, (1, 2), b"X", 5),
        {"bid": 1.0},
        {"bid": 1.0, "ask": 2.0, "sizes": (1, 2), "venue": b"", "more": 1},
        1.5,
        b"bytes",
        [ROW, ROW],
        ("not a number", 2.0, (1, 2), b"X"),
        (1.0, 2.0, (1, 2, 3), b"X"),
        (1.0, 2.0, (1 << 40, 2), b"X"),
        np.array([ROW, ROW], dtype=QUOTE),
    ],
    ids=str,
)
def test_a_row_that_does_not_fit_is_refused(cache: fincache.Cache, row: object) -> None:
    """Fields missing, too many or out of range: InvalidArgument, and nothing is written."""
    quotes = cache.records(QUOTE)
    with pytest.raises(fincache.InvalidArgument):
        quotes.set("a", row)  # type: ignore[arg-type]
    assert cache.dbsize() == 0


def test_a_numpy_row_of_another_dtype_is_converted_only_without_loss(cache: fincache.Cache) -> None:
    """Same fields in types that fit: converted, as numpy's same_kind has it. Other fields or kinds: SchemaMismatch."""
    quotes = cache.records([("px", "f8"), ("qty", "i4")])
    quotes.set("a", np.array((1.5, 7), [("px", "f4"), ("qty", ">i8")]))
    assert quotes.get("a", "px", "qty") == (1.5, 7)
    cache.records("f8").set("b", np.zeros((), "i8"))
    for wrong in (
        np.zeros((), [("px", "f8")]),
        np.zeros((), [("qty", "i4"), ("px", "f8")]),
        np.zeros((), [("px", "f8"), ("qty", "f8")]),
        np.zeros((), [("px", "f8"), ("qty", "i4", (1,))]),
        np.zeros((), "f8"),
    ):
        with pytest.raises(fincache.SchemaMismatch, match=r"the row is .*, the records are"):
            quotes.set("a", wrong)
    with pytest.raises(fincache.InvalidArgument, match="range"):
        quotes.set("a", np.array((1.5, 1 << 40), [("px", "f8"), ("qty", "i8")]))
    assert quotes.get("a", "qty") == 7


def test_two_processes_agree_on_a_dtype(cache: fincache.Cache) -> None:
    """The schema is in the segment: what one writes another reads, and another dtype is refused there too."""

    def write() -> None:
        cache.records(QUOTE).set("a", ROW)

    child = Child(write)
    child.join()
    row = cache.records(QUOTE).get("a")
    assert row is not None
    assert row["venue"] == b"XNAS"
    with pytest.raises(fincache.SchemaMismatch):
        cache.records("f8").get("a")


def test_a_read_only_attachment_reads_records(cache: fincache.Cache, name: str) -> None:
    """P6: also of a dtype that nobody registered."""
    cache.records(QUOTE).set("a", ROW)
    with fincache.attach(name, readonly=True) as reader:
        row = reader.records(QUOTE).get("a")
        assert row is not None
        assert row["ask"] == 2.5
        assert reader.records("u2").get("b") is None
        with pytest.raises(fincache.ReadOnly):
            reader.records(QUOTE).set("a", ROW)


def test_fields_are_read_together(cache: fincache.Cache) -> None:
    """P3: another process writes rows whose fields are equal; no read shows two different ones."""
    ticks = cache.records([("a", "i8"), ("pad", "S300"), ("b", "i8")])
    ticks.set("k", (0, b"", 0))

    def write() -> None:
        for number in range(10_000):
            ticks.set("k", (number, b"", number))

    child = Child(write)
    while child.is_running():
        row = ticks.get("k")
        assert row is not None
        assert row["a"] == row["b"]
    child.join()
