"""records.py: arrays of records, read as one cut and written all-or-nothing."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import Child
from hypothesis import given
from hypothesis import strategies as st
from record_dtypes import QUOTE, few, record_dtypes, rows_of

import fincache
from fincache.records import Records

KEYS = [f"k{number}" for number in range(40)]


class Level(NamedTuple):
    px: float
    qty: int


def filled(records: Records[Any], count: int) -> Any:
    """`count` rows, no two alike."""
    rows = np.zeros(count, records.dtype)
    rows["bid"] = np.arange(count) + 0.5
    rows["sizes"] = np.arange(2 * count).reshape(count, 2)
    rows["venue"] = b"XNAS"
    return rows


@pytest.fixture
def quotes(cache: fincache.Cache) -> Records[np.void]:
    return cache.records(QUOTE)


@pytest.fixture(params=["keyset", "list", "generator"])
def keys_as(request: pytest.FixtureRequest, cache: fincache.Cache) -> Callable[[list[str]], Any]:
    """Keys in each of the forms that read and write take."""
    kinds: dict[str, Callable[[list[str]], Any]] = {"keyset": cache.keyset, "list": list, "generator": iter}
    return kinds[request.param]


@pytest.mark.parametrize("cut", [True, False])
def test_what_is_written_is_read(quotes: Records[np.void], keys_as: Callable[[list[str]], Any], cut: bool) -> None:
    """Row i is the record of key i; the mask is True."""
    rows, out = filled(quotes, 40), np.zeros(40, quotes.dtype)
    assert quotes.write(keys_as(KEYS), rows) is True
    valid = quotes.read(keys_as(KEYS), out, cut=cut)
    assert valid.dtype == np.bool_
    assert valid.shape == (40,)
    assert valid.all()
    assert out.tobytes() == rows.tobytes()
    assert quotes.get("k7", "bid") == 7.5


@pytest.mark.parametrize("cut", [True, False])
def test_a_missing_record_is_zeros_and_false(cache: fincache.Cache, quotes: Records[np.void], cut: bool) -> None:
    """Not what was in the array before, which might be taken for a quote."""
    quotes.write(KEYS, filled(quotes, 40))
    keys = cache.keyset(KEYS)
    cache.delete(*KEYS[::3])
    quotes.set("k1", (1, 1, (1, 1), b""), px=1)
    while cache.exists("k1"):
        time.sleep(0.001)
    out = np.frombuffer(b"\xff" * 40 * quotes.dtype.itemsize, quotes.dtype).copy()
    mask = np.ones(40, bool)
    assert quotes.read(keys, out, mask, cut=cut) is mask
    missing = np.array([number % 3 == 0 or number == 1 for number in range(40)])
    assert (mask == ~missing).all()
    assert out[missing].tobytes() == bytes(out[missing].nbytes)
    assert (out["bid"][~missing] == np.arange(40)[~missing] + 0.5).all()


@pytest.mark.parametrize("cut", [True, False])
def test_a_record_that_is_too_old_counts_as_missing(quotes: Records[np.void], cut: bool) -> None:
    """max_age, by the clock after the read; what is fresh stays. The engine's clock may be some microseconds off."""
    rows, out = filled(quotes, 2), np.zeros(2, quotes.dtype)
    slack_ns, limit_ns = 1_000_000, 20_000_000
    quotes.write(["old", "new"], rows)
    time.sleep(0.025)
    quotes.set("new", rows[1])
    entries = [quotes.entry("old"), quotes.entry("new")]
    before_ns = time.time_ns()
    valid = quotes.read(["old", "new"], out, cut=cut, max_age=limit_ns / 1e9)
    after_ns = time.time_ns()
    for row, entry in enumerate(entries):
        assert entry is not None
        if after_ns - entry.written_unix_ns < limit_ns - slack_ns:
            assert valid[row]
        if before_ns - entry.written_unix_ns > limit_ns + slack_ns:
            assert not valid[row]
        assert out[row] == (rows[row] if valid[row] else np.zeros((), quotes.dtype))
    assert not valid[0]
    for old in (3600, 1e15, timedelta.max):
        assert quotes.read(["old", "new"], out, cut=cut, max_age=old).all()
    assert not quotes.read(["old", "new"], out, cut=cut, max_age=1e-6).any()
    for wrong in (-1, float("nan")):
        with pytest.raises(fincache.InvalidArgument, match="max_age"):
            quotes.read(["old", "new"], out, cut=cut, max_age=wrong)


@pytest.mark.parametrize("cut", [True, False])
def test_scalars_fill_a_plain_array(cache: fincache.Cache, cut: bool) -> None:
    """float, int, a numpy type or a dtype by name."""
    for kind, dtype in ((float, "f8"), (int, "i8"), (np.uint16, "u2"), ("M8[ns]", "M8[ns]"), ("S5", "S5")):
        values: Records[Any] = cache.records(kind)  # type: ignore[call-overload]
        rows = np.arange(5).astype(dtype) if dtype != "S5" else np.array([b"a", b"", b"ccccc", b"\0d", b"e"], dtype)
        cache.flushdb()
        values.write(KEYS[:5], rows)
        out = np.zeros(6, dtype)
        assert values.read(KEYS[:6], out, cut=cut).tolist() == [True] * 5 + [False]
        assert (out[:5] == rows).all()
        assert out[5] == np.zeros((), dtype)


def test_rows_may_be_given_as_a_list(cache: fincache.Cache, quotes: Records[np.void]) -> None:
    """Of anything that `set` takes, instances of a declared class among them."""
    quotes.write(["a", "b"], [(1, 2, (3, 4), b"X"), {"bid": 5, "ask": 6, "sizes": (7, 8), "venue": "Y"}])
    assert (quotes.get("a", "bid"), quotes.get("b", "venue")) == (1, b"Y")
    levels = cache.records(Level)
    levels.write(("c", "d"), [Level(1.5, 2), Level(2.5, 3)])
    assert levels.get("d") == Level(2.5, 3)
    cache.records(float).write(["e", "f"], [1, 2.5])
    assert cache.records(float).get("f") == 2.5


def test_rows_may_lie_anyhow_in_memory(quotes: Records[np.void]) -> None:
    """write reads them as numpy does: strided, reversed, big-endian, read-only, with fields that fit."""
    rows = filled(quotes, 40)
    locked = rows.copy()
    locked.flags.writeable = False
    wide = rows.astype([("bid", "f4"), ("ask", "f8"), ("sizes", "u8", (2,)), ("venue", "S4")])
    for given_rows in (rows[::-1], np.repeat(rows, 2)[::2], rows.astype(quotes.dtype.newbyteorder(">")), locked, wide):
        quotes.write(KEYS, given_rows)
        out = np.zeros(40, quotes.dtype)
        assert quotes.read(KEYS, out).all()
        assert (out == given_rows.astype(quotes.dtype)).all()


def test_an_expiry_is_that_of_all_rows(cache: fincache.Cache, quotes: Records[np.void]) -> None:
    """ex, px, exat, pxat; without, an old expiry goes, as with mset."""
    rows = filled(quotes, 3)
    for options in ({"ex": 100}, {"px": 100_000}, {"exat": time.time() + 100}, {"pxat": time.time() * 1000 + 100_000}):
        quotes.write(KEYS[:3], rows, **options)  # type: ignore[arg-type]
        assert all(90 < cache.ttl(key) <= 100 for key in KEYS[:3])
    quotes.write(KEYS[:3], rows)
    assert cache.ttl("k0") == -1
    for wrong in ({"ex": 1, "px": 1}, {"ex": 0}):
        with pytest.raises(fincache.InvalidArgument):
            quotes.write(KEYS[:3], rows, **wrong)  # type: ignore[arg-type]


def test_no_keys_and_no_rows(cache: fincache.Cache, quotes: Records[np.void]) -> None:
    """An empty set of keys is one as any other."""
    nothing = np.zeros(0, quotes.dtype)
    mask = np.zeros(0, bool)
    for keys in ([], cache.keyset([])):
        assert quotes.read(keys, nothing).shape == (0,)
        assert quotes.read(keys, nothing, mask) is mask
        assert quotes.write(keys, nothing) is True
        assert quotes.write(keys, []) is True
    with pytest.raises(fincache.InvalidArgument, match="shape"):
        quotes.read([], np.zeros(1, quotes.dtype))


def test_a_key_may_be_named_twice(quotes: Records[np.void]) -> None:
    """Both rows show its record; of two rows that are written the last stays."""
    rows = filled(quotes, 3)
    quotes.write(["a", "b", "a"], rows)
    out = np.zeros(3, quotes.dtype)
    for cut in (True, False):
        assert quotes.read(["a", "b", "a"], out, cut=cut).all()
        assert out["bid"].tolist() == [2.5, 1.5, 2.5]


OUTS: list[tuple[Callable[[np.dtype[Any]], Any], type[Exception], str]] = [
    (lambda dtype: [0] * 40, fincache.InvalidType, r"out is list\. Use an array"),
    (lambda dtype: None, fincache.InvalidType, "out is NoneType"),
    (lambda dtype: bytearray(40 * dtype.itemsize), fincache.InvalidType, "out is bytearray"),
    (lambda dtype: np.zeros(40, "f8"), fincache.SchemaMismatch, "out is float64, the records are"),
    (lambda dtype: np.zeros(40, object), fincache.SchemaMismatch, "out is object"),
    (lambda dtype: np.zeros(40, f"V{dtype.itemsize}"), fincache.SchemaMismatch, "out is"),
    (lambda dtype: np.zeros(40, dtype.newbyteorder(">")), fincache.SchemaMismatch, "byte order only"),
    (lambda dtype: np.zeros(39, dtype), fincache.InvalidArgument, r"shape \(39,\)\. It is \(40,\) for 40 keys"),
    (lambda dtype: np.zeros(41, dtype), fincache.InvalidArgument, r"shape \(41,\)"),
    (lambda dtype: np.zeros((40, 1), dtype), fincache.InvalidArgument, r"shape \(40, 1\)"),
    (lambda dtype: np.zeros((), dtype), fincache.InvalidArgument, r"shape \(\)"),
    (lambda dtype: np.zeros(80, dtype)[::2], fincache.InvalidArgument, "out is not contiguous"),
    (lambda dtype: np.zeros(40, dtype)[::-1], fincache.InvalidArgument, "out is not contiguous"),
    (lambda dtype: np.broadcast_to(np.zeros(1, dtype), 40), fincache.InvalidArgument, "out is"),
    (lambda dtype: np.frombuffer(bytes(40 * dtype.itemsize), dtype), fincache.InvalidArgument, "out is read-only"),
]


@pytest.mark.parametrize(("make", "error", "reason"), OUTS)
def test_an_array_that_cannot_be_filled_is_refused(
    cache: fincache.Cache, quotes: Records[np.void], make: Callable[[np.dtype[Any]], Any], error: type[Exception], reason: str
) -> None:
    """Wrong type, dtype, size, shape or order, each by name with what would do; the array stays as it is."""
    quotes.write(KEYS, filled(quotes, 40))
    out = make(quotes.dtype)
    before = out.tobytes() if isinstance(out, np.ndarray) and not out.dtype.hasobject else None
    for keys in (KEYS, cache.keyset(KEYS)):
        with pytest.raises(error, match=reason) as caught:
            quotes.read(keys, out)
        assert caught.value.hint  # type: ignore[attr-defined]
    assert before is None or out.tobytes() == before


MASKS: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (lambda out: [False] * 40, fincache.InvalidType, r"mask is list\. Use numpy.zeros\(40, bool\)"),
    (lambda out: bytearray(40), fincache.InvalidType, "mask is bytearray"),
    (lambda out: np.zeros(40, "u1"), fincache.InvalidType, "mask is an array of uint8"),
    (lambda out: np.zeros(39, bool), fincache.InvalidArgument, r"mask has the shape \(39,\), there are 40 keys"),
    (lambda out: np.zeros((40, 1), bool), fincache.InvalidArgument, r"mask has the shape \(40, 1\)"),
    (lambda out: np.zeros(80, bool)[::2], fincache.InvalidArgument, "mask is not contiguous"),
    (lambda out: np.frombuffer(bytes(40), bool), fincache.InvalidArgument, "mask is read-only"),
    (lambda out: out.view("u1")[:40].view(bool), fincache.InvalidArgument, "share memory"),
    (lambda out: out.view("u1")[-40:].view(bool), fincache.InvalidArgument, "share memory"),
]


@pytest.mark.parametrize(("make", "error", "reason"), MASKS)
def test_a_mask_that_cannot_be_filled_is_refused(
    cache: fincache.Cache, quotes: Records[np.void], make: Callable[[Any], Any], error: type[Exception], reason: str
) -> None:
    """Wrong type, dtype, length or order, or a part of `out`."""
    out = np.zeros(40, quotes.dtype)
    for keys in (KEYS, cache.keyset(KEYS)):
        with pytest.raises(error, match=reason) as caught:
            quotes.read(keys, out, make(out))
        assert caught.value.hint  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("rows", "error", "reason"),
    [
        (np.zeros(2, QUOTE), fincache.InvalidArgument, r"rows has the shape \(2,\)\. It is \(3,\) for 3 keys"),
        (np.zeros((3, 1), QUOTE), fincache.InvalidArgument, r"shape \(3, 1\)"),
        (np.zeros(3, "f8"), fincache.SchemaMismatch, "rows is float64, the records are"),
        (np.zeros(3, object), fincache.SchemaMismatch, "rows is object"),
        ([(1, 2, (3, 4), b"X")] * 2, fincache.InvalidArgument, "2 rows for 3 keys"),
        ([(1, 2, (3, 4), b"X")] * 2 + [(1, 2)], fincache.InvalidArgument, "the row has 2 fields"),
        ("abc", fincache.InvalidType, "rows is str. Pass an array, or a list of rows"),
        (None, fincache.InvalidType, "rows is NoneType"),
        (iter([]), fincache.InvalidType, "rows is list_iterator"),
    ],
)
def test_rows_that_cannot_be_written_are_refused(
    cache: fincache.Cache, quotes: Records[np.void], rows: Any, error: type[Exception], reason: str
) -> None:
    """And none of them is."""
    for keys in (KEYS[:3], cache.keyset(KEYS[:3])):
        with pytest.raises(error, match=reason):
            quotes.write(keys, rows)
    assert cache.dbsize() == 0


def test_other_keys_are_refused(cache: fincache.Cache, quotes: Records[np.void], new_name: Callable[[], str]) -> None:
    """A KeySet of another database or segment, a single key, what is no key."""
    out = np.zeros(1, quotes.dtype)
    with fincache.open(new_name(), size="2MB") as other:
        for keyset in (cache.db(1).keyset(["a"]), other.keyset(["a"])):
            for attempt in (lambda: quotes.read(keyset, out), lambda: quotes.write(keyset, out)):  # noqa: B023
                with pytest.raises(fincache.InvalidArgument, match="the KeySet was made for"):
                    attempt()
    for wrong in ("a", b"a", 5, None, [None], ["a", True], [["a"]]):
        with pytest.raises(fincache.InvalidType):
            quotes.read(wrong, out)  # type: ignore[arg-type]
        with pytest.raises(fincache.InvalidType):
            quotes.write(wrong, out)  # type: ignore[arg-type]
    with pytest.raises(fincache.KeyTooLong):
        quotes.read(["x" * 70_000], out)
    assert cache.dbsize() == 0


def test_a_read_only_attachment_reads_arrays(cache: fincache.Cache, quotes: Records[np.void], name: str) -> None:
    """P6; writing is refused."""
    quotes.write(KEYS, filled(quotes, 40))
    with fincache.attach(name, readonly=True) as reader:
        records = reader.records(QUOTE)
        out = np.zeros(40, records.dtype)
        for cut in (True, False):
            assert records.read(reader.keyset(KEYS), out, cut=cut).all()
        assert out.tobytes() == filled(quotes, 40).tobytes()
        with pytest.raises(fincache.ReadOnly):
            records.write(KEYS, out)


def test_too_many_keys_are_refused(cache: fincache.Cache) -> None:
    """A write is one step, and a step has a limit; a read has none."""
    values = cache.records("u1")
    keys = [str(number) for number in range(65_489)]
    with pytest.raises(fincache.TooManyKeys):
        values.write(keys, np.zeros(len(keys), "u1"))
    assert not values.read(keys, np.ones(len(keys), "u1")).any()


def test_a_full_segment_takes_all_rows_or_none(new_name: Callable[[], str]) -> None:
    """OutOfMemory, and what was there stays (P5, P8)."""
    with fincache.open(new_name(), size="2MB") as cache:
        big = cache.records([("number", "u8"), ("pad", "V50000")])
        keys = [f"k{number}" for number in range(100)]
        rows = np.zeros(100, big.dtype)
        big.write(keys[:5], rows[:5])
        rows["number"] = 7
        with pytest.raises(fincache.OutOfMemory):
            big.write(keys, rows)
        assert cache.dbsize() == 5
        assert big.get("k0", "number") == 0


def test_a_cut_shows_one_write_of_all_keys(cache: fincache.Cache) -> None:
    """P5: one process writes all keys with the same number again and again; every cut holds one number."""
    numbers = cache.records([("number", "u8"), ("pad", "V48"), ("again", "u8")])
    keys = cache.keyset(KEYS)
    rows = np.zeros(40, numbers.dtype)
    numbers.write(keys, rows)

    def write() -> None:
        for number in range(1, 2001):
            rows["number"] = rows["again"] = number
            numbers.write(keys, rows)

    child = Child(write)
    out = np.zeros(40, numbers.dtype)
    seen = set()
    while child.is_running():
        assert numbers.read(keys, out).all()
        assert len(set(out["number"].tolist())) == 1
        assert (out["number"] == out["again"]).all()
        seen.add(int(out["number"][0]))
        numbers.read(keys, out, cut=False)
        assert (out["number"] == out["again"]).all()
    child.join()
    assert len(seen) > 1
    assert numbers.read(keys, out).all()
    assert (out["number"] == 2000).all()


_numbers = itertools.count()


@few
@given(st.data())
def test_rows_of_any_dtype_come_back(cache: fincache.Cache, data: st.DataObject) -> None:
    """Through the segment, byte for byte: nested, subarrays, padding, strings; many at once and one by one."""
    dtype = data.draw(record_dtypes)
    rows = data.draw(rows_of(dtype, 3))
    records = cache.records(dtype)
    keys = [f"{next(_numbers)}" for _ in range(3)]
    records.write(keys, rows)
    out = np.zeros(3, dtype)
    assert records.read(keys, out).all()
    assert same(out, rows)
    for key, row in zip(keys, rows, strict=True):
        got = records.get(key)
        assert same(np.array([got], dtype), np.array([row], dtype))
        records.set(key, got)
        again = np.zeros(1, dtype)
        assert records.get_into(key, again)
        assert same(again, np.array([row], dtype))
    cache.flushdb()


def same(left: Any, right: Any) -> bool:
    """Equal in every bit of every field; the padding is nobody's."""
    if left.dtype.names is None:
        return bool(left.tobytes() == right.tobytes())
    return all(same(np.ascontiguousarray(left[name]), np.ascontiguousarray(right[name])) for name in left.dtype.names)
