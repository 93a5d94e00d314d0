"""records.py: rows of one numpy dtype."""

from __future__ import annotations

import math
import pickle
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import Child
from record_dtypes import QUOTE

import fincache
from fincache._rows import Codec
from fincache.records import Records

ROW = (1.5, 2.5, (10, 20), b"XNAS")


class Pair(NamedTuple):
    price: float
    count: int


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


def test_fields_come_without_the_rest(cache: fincache.Cache) -> None:
    """One field is its value, several a tuple, all of one record; a miss is None."""
    quotes = cache.records(QUOTE)
    quotes.set("a", ROW)
    assert quotes.get("a", "bid") == 1.5
    assert type(quotes.get("a", "bid")) is np.float64
    assert quotes.get("a", "venue", "ask") == (b"XNAS", 2.5)
    sizes = quotes.get("a", "sizes")
    assert sizes.tolist() == [10, 20]
    sizes[0] = 99
    assert quotes.get("a", "sizes").tolist() == [10, 20]
    assert quotes.get("miss", "bid") is None
    assert quotes.get("miss", "bid", "ask") is None


@pytest.mark.parametrize("key", ["a", "miss"])
def test_a_field_that_is_none_is_refused(cache: fincache.Cache, key: str) -> None:
    """With the fields that there are, whether or not the key exists."""
    quotes, prices = cache.records(QUOTE), cache.records("f8")
    quotes.set("a", ROW)
    with pytest.raises(fincache.InvalidArgument, match=r"no field 'bud'\. The fields are bid, ask, sizes, venue"):
        quotes.get(key, "bud")
    with pytest.raises(fincache.InvalidArgument, match="no field 'bud'"):
        quotes.get(key, "bid", "bud")
    with pytest.raises(fincache.InvalidType, match="field is int"):
        quotes.get(key, 0)  # type: ignore[call-overload]
    cache.delete("a")
    prices.set("a", 1)
    with pytest.raises(fincache.InvalidArgument, match="have no fields"):
        prices.get(key, "bid")


def test_a_record_that_is_too_old_is_a_miss(cache: fincache.Cache) -> None:
    """max_age: of the record, of its fields, and of a row in an array, which is zeros then."""
    quotes = cache.records(QUOTE)
    quotes.set("a", ROW)
    out = np.ones(1, quotes.dtype)
    for young in (3600, 0.5 * 3600, timedelta(hours=1)):
        assert quotes.get("a", max_age=young) is not None
        assert quotes.get("a", "bid", max_age=young) == 1.5
        assert quotes.get_into("a", out, max_age=young) is True
    entry = quotes.entry("a")
    assert entry is not None
    while time.time_ns() <= entry.written_unix_ns:  # the engine reads another clock
        pass
    assert quotes.get("a", max_age=0) is None
    assert quotes.get("a", "bid", max_age=0) is None
    assert quotes.get_into("a", out, max_age=0) is False
    assert out.tobytes() == bytes(out.nbytes)
    for wrong in (-1, timedelta(seconds=-1), float("nan")):
        for key in ("a", "miss"):
            with pytest.raises(fincache.InvalidArgument, match="max_age"):
                quotes.get(key, max_age=wrong)
            with pytest.raises(fincache.InvalidArgument, match="max_age"):
                quotes.get_into(key, out, max_age=wrong)
    with pytest.raises(fincache.InvalidType, match="max_age"):
        quotes.get("a", max_age="1")  # type: ignore[call-overload]


def test_get_into_leaves_zeros_for_a_miss(cache: fincache.Cache) -> None:
    """Not the record of another key."""
    quotes = cache.records(QUOTE)
    quotes.set("a", ROW)
    out = np.zeros(1, quotes.dtype)
    assert quotes.get_into("a", out)
    assert quotes.get_into("miss", out) is False
    assert out.tobytes() == bytes(out.nbytes)


def test_a_mismatch_shows_both_schemas(cache: fincache.Cache) -> None:
    """What the key holds, and what was asked for: when reading, writing, and of one key among many."""
    quotes, prices = cache.records(QUOTE), cache.records("f8")
    prices.set("k", 1.5)
    cache.set("bytes", b"12345678")
    entry = prices.entry("k")
    assert entry is not None
    asked = re.escape(f"these records are {quotes.schema_text}")
    attempts: list[Callable[[], object]] = [
        lambda: quotes.get("k"),
        lambda: quotes.get("k", "bid"),
        lambda: quotes.entry("k"),
        lambda: quotes.get_into("k", np.zeros(1, quotes.dtype)),
        lambda: quotes.set("k", ROW),
        lambda: quotes.cas("k", ROW, entry.version),
        lambda: quotes.update("k", lambda row: row),
        lambda: quotes.read(["a", "k"], np.zeros(2, quotes.dtype)),
        lambda: quotes.read(["a", "k"], np.zeros(2, quotes.dtype), cut=False),
        lambda: quotes.write(["a", "bytes", "k"], np.zeros(3, quotes.dtype)),
    ]
    for attempt in attempts:
        with pytest.raises(fincache.SchemaMismatch, match=f"b'k' holds \"<f8\".*{asked}") as caught:
            attempt()
        assert caught.value.hint
    assert prices.get("k") == 1.5
    assert cache.exists("a") == 0
    assert cache.get("bytes") == b"12345678"
    with pytest.raises(fincache.SchemaMismatch, match=f"b'bytes' holds plain bytes.*{asked}"):
        quotes.get("bytes")


def test_cas_stores_only_over_the_version_that_was_read(cache: fincache.Cache) -> None:
    """As Cache.cas: the new version, or None; 0 for a key that must be missing."""
    quotes = cache.records(QUOTE)
    first = quotes.cas("a", ROW, 0)
    assert first
    assert quotes.cas("a", ROW, 0) is None
    entry = quotes.entry("a")
    assert entry is not None
    second = quotes.cas("a", (9, 9, (0, 0), b""), entry.version, ex=1000)
    assert second
    assert quotes.cas("a", ROW, entry.version) is None
    assert quotes.get("a", "bid") == 9
    assert quotes.cas("a", ROW, second, keepttl=True)
    assert cache.ttl("a") > 0
    with pytest.raises(fincache.InvalidArgument):
        quotes.cas("a", (1,), 0)
    with pytest.raises(fincache.InvalidType):
        quotes.cas("a", ROW, "1")  # type: ignore[arg-type]


def test_update_loses_no_write(cache: fincache.Cache) -> None:
    """Of two processes that count, and it keeps the expiry unless it is given one."""
    counts = cache.records(int)
    counts.set("n", 0, ex=1000)

    def count() -> None:
        for _ in range(300):
            counts.update("n", lambda n: (n or 0) + 1)

    child = Child(count)
    count()
    child.join()
    assert counts.get("n") == 600
    assert cache.ttl("n") > 0
    assert counts.update("new", lambda n: None) is None
    assert counts.update("new", lambda n: 5 if n is None else n) == 5
    assert counts.update("new", lambda n: None) == 5
    assert cache.ttl("new") == -1
    counts.update("new", lambda n: n, px=500_000)
    assert cache.ttl("new") > 0


def test_update_gets_a_row_of_its_own(cache: fincache.Cache) -> None:
    """The function may change it and return it, or change it and think better of it."""
    quotes = cache.records(QUOTE)
    quotes.set("a", ROW)

    def raise_bid(row: np.void | None) -> np.void | None:
        assert row is not None
        row["bid"] += 1
        return row

    raised = quotes.update("a", raise_bid)
    assert raised is not None
    assert raised["bid"] == 2.5
    kept = quotes.update("a", lambda row: raise_bid(row) and None)
    assert kept is not None
    assert kept["bid"] == 2.5
    with pytest.raises(ZeroDivisionError):
        quotes.update("a", lambda row: 1 / 0)  # type: ignore[arg-type, return-value]
    with pytest.raises(fincache.InvalidArgument):
        quotes.update("a", lambda row: (1,))


def test_update_gives_up_after_its_attempts(cache: fincache.Cache) -> None:
    """Contended, if others write faster than the function is."""
    counts = cache.records(int)

    def slow(n: int | None) -> int:
        cache.records(int).set("n", (n or 0) + 1)
        return -1

    with pytest.raises(fincache.Contended, match="each of 3 attempts"):
        counts.update("n", slow, attempts=3)
    assert counts.get("n") == 3
    with pytest.raises(fincache.InvalidArgument):
        counts.update("n", slow, attempts=0)


@pytest.mark.parametrize("max_bytes", [8, 4096, 70_000])
def test_records_of_any_length(cache: fincache.Cache, max_bytes: int) -> None:
    """From one number to several pages."""
    blobs = cache.records([("head", "u8"), ("rest", f"V{max_bytes}")])
    row = (7, bytes(range(256)) * (max_bytes // 256) + bytes(max_bytes % 256))
    blobs.set("a", row)
    got = blobs.get("a")
    assert got is not None
    assert (got["head"], got["rest"].tobytes()) == row
    out = np.zeros(1, blobs.dtype)
    assert blobs.read(["a"], out).all()
    assert out["rest"][0].tobytes() == row[1]


def test_a_reader_registers_nothing(cache: fincache.Cache) -> None:
    """A get writes nothing, not even what its records look like: it must work when the segment is full."""
    session = cache._session()
    quotes = cache.records(QUOTE)
    assert quotes.get("a") is None
    assert session.schema_text(quotes._schema) is None
    quotes.set("a", ROW)
    assert session.schema_text(quotes._schema) == quotes.schema_text.encode()
    cache.flushall()
    assert session.schema_text(quotes._schema) == quotes.schema_text.encode()


def test_records_end_with_their_cache(cache: fincache.Cache, name: str) -> None:
    """Closed, by name, from every method; and a view's records end with the view."""
    keys = cache.keyset(["a"])
    quotes, view = cache.records(QUOTE), cache.db(1)
    other = view.records(QUOTE)
    other.set("a", ROW)
    assert quotes.get("a") is None
    view.close()
    with pytest.raises(fincache.Closed):
        other.get("a")
    cache.close()
    out = np.zeros(1, quotes.dtype)
    attempts: list[Callable[[], object]] = [
        lambda: quotes.get("a"),
        lambda: quotes.get("a", "bid"),
        lambda: quotes.get_into("a", out),
        lambda: quotes.entry("a"),
        lambda: quotes.set("a", ROW),
        lambda: quotes.cas("a", ROW, 0),
        lambda: quotes.update("a", lambda row: row),
        lambda: quotes.read(keys, out),
        lambda: quotes.read(["a"], out),
        lambda: quotes.write(keys, out),
    ]
    for attempt in attempts:
        with pytest.raises(fincache.Closed):
            attempt()


def test_records_work_in_a_child(cache: fincache.Cache) -> None:
    """fork(): the child's first call opens a session of its own (P12); records cannot be pickled."""
    quotes, keys = cache.records(QUOTE), cache.keyset(["a", "b"])
    quotes.set("a", ROW)

    def work() -> None:
        out = np.zeros(2, quotes.dtype)
        assert quotes.read(keys, out).tolist() == [True, False]
        assert quotes.get("a", "bid") == 1.5
        quotes.write(keys, out[[0, 0]])

    child = Child(work)
    child.join()
    assert quotes.get("b", "bid") == 1.5
    with pytest.raises(fincache.InvalidType, match="pickled"):
        pickle.dumps(quotes)


def test_keys_are_encoded_as_the_caches(cache: fincache.Cache) -> None:
    """bytes, str, numbers; what is no key is refused."""
    prices = cache.records(float)
    for key, stored in ((b"a", b"a"), ("\u00e9", "\u00e9".encode()), (5, b"5"), (1.5, b"1.5"), (bytearray(b"x"), b"x")):
        prices.set(key, 2.5)
        assert cache.exists(stored)
        assert prices.get(key) == 2.5
    for wrong in (None, True, ["a"], object()):
        for attempt in (lambda: prices.get(wrong), lambda: prices.set(wrong, 1), lambda: prices.entry(wrong)):  # type: ignore[arg-type]  # noqa: B023
            with pytest.raises(fincache.InvalidType):
                attempt()


def test_options_that_exclude_each_other_are_refused(cache: fincache.Cache) -> None:
    """As by Cache.set."""
    prices = cache.records(float)
    for options in ({"nx": True, "xx": True}, {"ex": 1, "px": 1}, {"ex": 0}, {"px": -1}, {"keepttl": True, "ex": 1}):
        with pytest.raises(fincache.InvalidArgument):
            prices.set("a", 1.5, **options)  # type: ignore[arg-type]
    assert cache.dbsize() == 0


NUMBERS: list[object] = [
    0,
    1,
    -1,
    True,
    -0.0,
    1.5,
    1e39,
    3.4028235e38,
    3.4028236e38,
    1e300,
    math.inf,
    -math.inf,
    math.nan,
    10**400,
]
NUMBERS += [edge + step for bits in (7, 8, 15, 16, 31, 32, 63, 64) for edge in (1 << bits, -(1 << bits)) for step in (-1, 0)]
NUMBERS += [
    np.float64(1.5),
    np.float32(1.5),
    np.int8(-3),
    np.uint64(1 << 63),
    "1",
    b"1",
    None,
    1j,
    Decimal(1),
    [1],
    (1,),
]


@pytest.mark.parametrize("dtype", ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"])
def test_every_number_is_stored_exactly_or_refused(cache: fincache.Cache, dtype: str) -> None:
    """The accelerator packs plain numbers itself, and must agree with the Codec on every one, as a scalar and in a tuple."""
    single, pair = cache.records(dtype), cache.records([("a", dtype), ("b", dtype)])
    keys = ["single", "pair"]
    single.set("warm", np.zeros((), dtype))
    pair.set("warm pair", np.zeros((), pair.dtype))
    for number in NUMBERS:
        for records, row, key in ((single, number, "single"), (pair, (number, np.zeros((), dtype)[()]), "pair")):
            try:
                packed: bytes | None = Codec(records.dtype).pack(row)
            except fincache.InvalidArgument:
                packed = None
            cache.delete(*keys)
            if packed is None:
                with pytest.raises(fincache.InvalidArgument):
                    records.set(key, row)  # type: ignore[arg-type]
                assert cache.get(key) is None
            else:
                records.set(key, row)  # type: ignore[arg-type]
                assert cache.get(key) == packed, number
                assert records.get(key).tobytes() == packed


@pytest.mark.parametrize("kind", [float, int, bool, Pair])
def test_declared_numbers_come_back_exactly(cache: fincache.Cache, kind: type) -> None:
    """Also the largest, the smallest, and those that are none."""
    records: Records[Any] = cache.records(kind)
    extremes: dict[type, list[Any]] = {
        float: [0.0, -0.0, 5e-324, 1.7976931348623157e308, math.inf, -math.inf],
        int: [0, -(1 << 63), (1 << 63) - 1],
        bool: [True, False],
        Pair: [Pair(0.5, (1 << 63) - 1), Pair(-math.inf, -(1 << 63))],
    }
    for value in extremes[kind]:
        records.set("a", value)
        got = records.get("a")
        assert (repr(got), type(got)) == (repr(value), kind)


def test_threads_read_and_write_records_at_once(cache: fincache.Cache) -> None:
    """P3, P5: each with a session of its own; no row is torn, no cut mixed."""
    numbers = cache.records([("a", "i8"), ("pad", "V100"), ("b", "i8")])
    keys = cache.keyset([f"k{number}" for number in range(40)])
    rows = np.zeros(40, numbers.dtype)
    numbers.write(keys, rows)

    def read(_: int) -> int:
        out, cuts = np.zeros(40, numbers.dtype), 0
        while out["a"][0] < 400:
            assert numbers.read(keys, out).all()
            assert len(set(out["a"].tolist()) | set(out["b"].tolist())) == 1
            row = numbers.get("k7")
            assert row is not None
            assert row["a"] == row["b"]
            cuts += 1
        return cuts

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read, number) for number in range(3)]
        for number in range(1, 401):
            rows["a"] = rows["b"] = number
            numbers.write(keys, rows)
        assert all(reader.result() > 0 for reader in readers)
