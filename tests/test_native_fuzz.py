"""The accelerator against the Python methods it stands in front of, with arguments of every kind; and against a crash.

Twins: two segments get the same calls, one through the methods of C, the other through the Python functions that they fall back
on. Whatever the arguments are, both must return the same, or raise the same exception with the same words, and leave the same
values behind. FINCACHE_SEED repeats a run; tools/run_tests.sh runs the file once more under AddressSanitizer.
"""

from __future__ import annotations

import array
import mmap
import os
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import SEED

import fincache
from fincache import _core
from fincache.client import AllCommands
from fincache.records import RecordCommands

pytestmark = pytest.mark.skipif(_core.native is None, reason="FINCACHE_BINDING=cffi")
ROUNDS = 300 if os.environ.get("FC_QUICK") else 30_000 if os.environ.get("FC_SOAK") else 5_000


class Text(str):
    """A str that encodes itself otherwise."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"encoded by itself"


class Number(int):
    """Not exactly an int."""


class Real(float):
    """Not exactly a float."""

    def __repr__(self) -> str:
        return "nonsense"


class Index:
    """Only behaves like an int."""

    def __index__(self) -> int:
        return 7


class Broken:
    """Raises wherever it is looked at."""

    def __index__(self) -> int:
        raise ZeroDivisionError("index")

    def __len__(self) -> int:
        raise ZeroDivisionError("len")

    def __iter__(self) -> Iterator[object]:
        raise ZeroDivisionError("iter")

    def __float__(self) -> float:
        raise ZeroDivisionError("float")

    def __bool__(self) -> bool:
        raise ZeroDivisionError("bool")

    def __repr__(self) -> str:
        return "<broken>"


@dataclass
class Quote:
    bid: float
    size: int


class Level(NamedTuple):
    price: float
    orders: int


# ------------------------------------------------------------------ what is passed
# ruff: noqa: E501 -- tables

KEYS: list[Any] = ["a", b"a", "b", b"b", "k" * 40, b"\0\xff", "", b"", "é€", 7, -7, 1.5, Text("t"), Number(8), bytearray(b"a")]
ODD_KEYS: list[Any] = [
    None, True, object, [], ("a",), {"a"}, "\ud800", "k" * 65_536, "k" * 65_537, b"k" * 65_537, memoryview(b"a"), 1 << 70,
    float("nan"), Real(2.5), Index(), Broken(), np.str_("a"), np.bytes_(b"a"), np.int64(5), array.array("b", b"ab"),
]  # fmt: skip
VALUES: list[Any] = [
    b"", "", b"v", "text", "é€", b"\xff\xfe", 0, -1, 12345678901234567890123, -(1 << 63), (1 << 63) - 1, 1 << 63, 1.5, -0.0, 1e300,
    1e22, 5e-324, float("inf"), float("nan"), b"x" * 255, b"x" * 256, b"x" * 257, b"y" * 4096, b"y" * 4097, b"z" * 65_536,
    b"z" * 65_537, "12", b"9223372036854775807", Text("t"), Number(3), Real(0.5), bytearray(b"ba"), memoryview(b"mv"),
]  # fmt: skip
ODD_VALUES: list[Any] = [None, True, object(), [], {}, "\udfff", Index(), Broken(), np.float64(1.5), np.zeros(3), 10**5000]
AMOUNTS: list[Any] = [
    1,
    0,
    -3,
    (1 << 63) - 1,
    -(1 << 63),
    1 << 63,
    True,
    1.0,
    "1",
    None,
    Number(2),
    Index(),
    Broken(),
    np.int64(4),
]


METHODS = (
    *("get", "get", "set", "set", "exists", "delete", "incr", "mget", "get_many", "get_into"),
    *("__getitem__", "__setitem__", "__contains__", "__delitem__"),
)
OPTIONS: list[dict[str, Any]] = [
    {}, {}, {}, {}, {"nx": True}, {"xx": True}, {"get": True}, {"keepttl": True}, {"ex": 100}, {"px": 1e6}, {"ex": 0}, {"ex": -1.0},
    {"px": None}, {"ex": 1, "px": 1}, {"ex": float("nan")}, {"ex": 1e300}, {"px": 1 << 80}, {"ex": True}, {"ex": "1"}, {"ex": 1e-12},
]  # fmt: skip


def buffers() -> list[Any]:
    """New ones for each call, for they are written."""
    strided, frozen = np.zeros(40, np.uint8)[::2], np.zeros(40, np.uint8)
    frozen.flags.writeable = False
    released = memoryview(bytearray(10))
    released.release()
    return [
        bytearray(300), bytearray(3), bytearray(), memoryview(bytearray(300))[10:], array.array("d", [0.0] * 40), np.zeros(300, np.int8),
        np.zeros((5, 60), np.uint8), np.zeros(9, [("a", "f8"), ("b", "i4")]), mmap.mmap(-1, 4096), bytearray(70_000), bytearray(5_000),
        b"read-only", strided, frozen, released, None, 5, "text", [0] * 300, Broken(), memoryview(bytearray(300))[::2],
    ]  # fmt: skip


def contents(buffer: Any) -> object:
    """What a call left in a buffer; of records without the padding, which numpy copies or not as it likes."""
    if isinstance(buffer, np.ndarray) and buffer.dtype.names is not None:
        return repr(buffer.tolist())
    try:
        return bytes(memoryview(buffer).cast("B")) if not isinstance(buffer, np.ndarray) else buffer.tobytes()
    except (TypeError, ValueError):
        return None


# ------------------------------------------------------------------ twins


def outcome(function: Callable[..., object], *args: Any, **kwargs: Any) -> tuple[object, ...]:
    """What a call did, for comparison."""
    try:
        result = function(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the twin must raise the same
        return "raised", type(error), str(error)
    if isinstance(result, (np.generic, np.ndarray)):
        return "returned", type(result), result.dtype, result.tobytes()
    return "returned", type(result), repr(result)


class Twins:
    """A Cache called through C, and another called through Python, which must agree; and the same of their records."""

    def __init__(self, fast: fincache.Cache[Any], slow: fincache.Cache[Any]) -> None:
        self.fast, self.slow = fast, slow

    def call(self, method: str, *args: Any, **kwargs: Any) -> tuple[object, ...]:
        ours = outcome(getattr(self.fast, method), *args, **kwargs)
        theirs = outcome(getattr(AllCommands, method), self.slow, *args, **kwargs)
        assert ours == theirs, (method, args, kwargs)
        return ours


@pytest.fixture(params=["bytes", "str", "latin-1"])
def twins(request: pytest.FixtureRequest, new_name: Callable[[], str]) -> Iterator[Twins]:
    """Empty ones: of bytes, of str, and with an encoding that C leaves to Python."""
    options: dict[str, Any] = {"bytes": {}, "str": {"decode_responses": True}}.get(
        request.param, {"decode_responses": True, "encoding": "latin-1"}
    )
    with fincache.open(new_name(), size="4MB", **options) as fast, fincache.open(new_name(), size="4MB", **options) as slow:
        yield Twins(fast, slow)


def test_every_argument_alone(twins: Twins) -> None:
    """Each method with each key, each value, and too few and too many arguments."""
    for key in KEYS + ODD_KEYS:
        for method in ("get", "exists", "delete", "incr", "mget", "get_many", "__getitem__", "__contains__", "__delitem__"):
            twins.call(method, key)
        twins.call("set", key, "1")
        twins.call("get", key, "default")
        twins.call("get", key, default=None)
        for age in (60, 60.0, 0, -1, float("nan"), True, None, "1", 1 << 70):
            twins.call("get", key, max_age=age)
            twins.call("get", key, "default", max_age=age)
        twins.call("incr", key, 5)
        twins.call("mget", [key, "a"])
        twins.call("get_many", "a", key)
    for value in VALUES + ODD_VALUES:
        twins.call("set", "v", value)
        twins.call("__setitem__", "w", value)
        twins.call("__getitem__", "w")
        twins.call("get", "v")
        twins.call("mget", "v", "a")
        twins.call("incr", "v")
    for amount in AMOUNTS:
        twins.call("incr", "n", amount)
        twins.call("incr", "n", amount=amount)
    for method in ("get", "set", "get_into", "exists", "delete", "incr", "mget", "get_many"):
        twins.call(method)
        twins.call(method, *["a"] * 14)
        twins.call(method, nonsense=1)
        twins.call(method, "a", name="a")
        twins.call(method, *["a", "1"], **{f"n{number}": 1 for number in range(15)})


def test_every_buffer(twins: Twins) -> None:
    """get_into fills the same bytes, or says the same about what is no buffer."""
    for value in (b"", b"val", b"w" * 280, b"w" * 5_000, b"w" * 66_000):
        twins.fast.set("v", value)
        twins.slow.set("v", value)
        for ours, theirs in zip(buffers(), buffers(), strict=True):
            for key in ("v", "none", None):
                fast = outcome(twins.fast.get_into, key, ours)
                slow = outcome(AllCommands.get_into, twins.slow, key, theirs)  # type: ignore[arg-type]
                assert fast == slow
                assert contents(ours) == contents(theirs)


def test_random_calls(twins: Twins) -> None:
    """In any order, with state that builds up."""
    dice = random.Random(SEED)
    keys, values = KEYS[:9] * 4 + KEYS + ODD_KEYS, VALUES * 2 + ODD_VALUES
    for _ in range(ROUNDS):
        method = dice.choice(METHODS)
        if method in ("mget", "get_many"):
            names = dice.choices(keys if dice.random() < 0.3 else KEYS, k=dice.choice((0, 1, 2, 5, 16, 17, 40)))
            shape = dice.choice((list, tuple, iter, set, None))
            try:
                args = names if shape is None else [shape(names)] if shape is not iter else [list(names)]
            except TypeError:  # not hashable
                args = [names]
        elif method == "get_into":
            args = [dice.choice(keys), bytearray(dice.choice((0, 5, 300, 5_000)))]
        else:
            extra = {
                "set": [dice.choice(values)],
                "__setitem__": [dice.choice(values)],
                "incr": [dice.choice(AMOUNTS)] * dice.randrange(2),
            }.get(method, [])
            args = [dice.choice(keys), *extra]
        kwargs = dice.choice(OPTIONS) if method == "set" else {}
        twins.call(method, *args, **kwargs)
    live = [key for key in KEYS if not isinstance(key, (int, float))]
    assert [outcome(twins.fast.get, key) for key in live] == [outcome(AllCommands.get, twins.slow, key) for key in live]


# ------------------------------------------------------------------ records

DTYPES: list[Any] = [
    [("bid", "f8"), ("ask", "f8"), ("size", "i4")],
    np.dtype([("bid", "f8"), ("size", "i4"), ("at", "i8")], align=True),
    [("a", "i1"), ("b", "u1"), ("c", "i2"), ("d", "u2"), ("e", "i4"), ("f", "u4"), ("g", "i8"), ("h", "u8"), ("i", "f4"), ("j", "f8")],
    [("venue", "S4"), ("bid", "f8")], [("bid", ">f8"), ("sizes", "i4", (2,))], [("inner", [("x", "f4"), ("y", "?")]), ("z", "f2")],
    "f8", "i4", "u8", "S5", "U3", "M8[ns]", "?", "V6", "f4", float, int, bool, Quote, Level, [("big", "S5000"), ("n", "i4")],
]  # fmt: skip
NUMBERS: list[Any] = [
    0, 1, -1, 127, 128, 255, 256, -129, 1 << 31, (1 << 32) - 1, 1 << 63, (1 << 64) - 1, 1 << 64, 1.5, -0.0, 1e39, 3.5e38, 1e308, True,
    float("inf"), float("nan"), None, "x", b"x", Number(3), Real(1.0), Index(), Broken(), np.float32(2.5), np.int64(9), 1j, (1 << 1100),
]  # fmt: skip


def rows_for(dtype: np.dtype[Any], dice: random.Random) -> list[Any]:
    """Rows that fit, nearly fit, and do not fit at all."""
    rows: list[Any] = [
        np.zeros((), dtype)[()],
        np.zeros(1, dtype)[0],
        np.zeros(2, dtype),
        (),
        [],
        {},
        None,
        "row",
        b"row",
        5,
        1.5,
    ]
    rows += [dice.choice(NUMBERS) for _ in range(6)]
    names = dtype.names or ("only",)
    for _ in range(12):
        values = tuple(dice.choice([*NUMBERS[:8], 1.5] if dice.random() < 0.6 else NUMBERS) for _ in names)
        rows += [values, list(values), dict(zip(names, values, strict=True)), values[:-1], (*values, 1)]
    return [*rows, Quote(1.5, 2), Level(1.5, 2), Quote(1, 2.5), np.float64(1.5), np.zeros((), "f4,f4")[()]]  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_records_agree(dtype: Any, new_name: Callable[[], str]) -> None:
    """set, get and fields, read and write, of rows and arrays that fit and that do not."""
    dice = random.Random(SEED)
    with fincache.open(new_name(), size="4MB") as fast_cache, fincache.open(new_name(), size="4MB") as slow_cache:
        fast, slow = fast_cache.records(dtype), slow_cache.records(dtype)

        def call(method: str, *args: Any, **kwargs: Any) -> None:
            ours = outcome(getattr(fast, method), *args, **kwargs)
            theirs = outcome(getattr(RecordCommands, method), slow, *args, **kwargs)
            assert ours == theirs, (method, args, kwargs)

        for row in rows_for(fast.dtype, dice):
            call("set", "r", row)
            call("get", "r")
            call("set", dice.choice(KEYS + ODD_KEYS), row)
        for key in ["r", "none", *ODD_KEYS]:
            call("get", key)
            for field in ("bid", "size", "inner", "sizes", "nothing", 1, None, b"bid", Text("bid")):
                call("get", key, field)
                call("get", key, field, "bid")
            call("get", key, max_age=10)
        _compare_get_into(fast, slow)
        fast_cache.set("plain", b"x" * fast.dtype.itemsize)
        slow_cache.set("plain", b"x" * slow.dtype.itemsize)
        call("get", "plain")
        _compare_tables(fast_cache, slow_cache, fast, slow)


def _compare_get_into(fast: Any, slow: Any) -> None:
    def made() -> list[Any]:
        frozen = np.zeros(1, fast.dtype)
        frozen.flags.writeable = False
        ones = [np.full(shape, 0, fast.dtype) for shape in ((), 1, (1, 1), 0, 2)]
        return [*ones, np.zeros(4, fast.dtype)[2:3], np.zeros(4, fast.dtype)[::2][:1], frozen, np.zeros(1, "V7"), [0], None]

    for key in ("r", "none", "x" * 70_000, *KEYS[:4], None):
        for options in ({}, {"max_age": 60.0}, {"max_age": 0}, {"max_age": "1"}, {"nonsense": 1}):
            for ours, theirs in zip(made(), made(), strict=True):
                first = outcome(fast.get_into, key, ours, **options)
                assert first == outcome(RecordCommands.get_into, slow, key, theirs, **options)
                if first[0] == "returned":
                    assert contents(ours) == contents(theirs)
        assert outcome(fast.get_into, key) == outcome(RecordCommands.get_into, slow, key)


def _compare_tables(fast_cache: Any, slow_cache: Any, fast: Any, slow: Any) -> None:
    names = [f"t{number}" for number in range(20)]
    for count in (0, 1, 3, 16, 20):
        ours, theirs = fast_cache.keyset(names[:count]), slow_cache.keyset(names[:count])
        table = np.frombuffer(random.Random(SEED).randbytes(fast.dtype.itemsize * count), np.uint8).view(fast.dtype)
        for rows in (table, table[::-1], table[:-1], table.astype(fast.dtype), list(table), table.reshape(-1, 1), None, "rows"):
            assert outcome(fast.write, ours, rows) == outcome(RecordCommands.write, slow, theirs, rows)
        for out in _outs(fast.dtype, count):
            for arguments in _read_arguments(count):
                left, right = out(), out()
                first = outcome(fast.read, ours, left, **arguments())
                second = outcome(RecordCommands.read, slow, theirs, right, **arguments())
                assert first == second
                assert contents(left) == contents(right)
        assert outcome(fast.read, ours) == outcome(RecordCommands.read, slow, theirs)
        assert outcome(fast.read, ours, np.zeros(count, fast.dtype), None, True, 1) == outcome(
            RecordCommands.read, slow, theirs, np.zeros(count, fast.dtype), None, True, 1
        )
        with pytest.raises(fincache.InvalidArgument, match="made for database"):  # the names of the segments are in the message
            fast.read(theirs, np.zeros(count, fast.dtype))


def _outs(dtype: np.dtype[Any], count: int) -> list[Callable[[], Any]]:
    def frozen() -> Any:
        table = np.zeros(count, dtype)
        table.flags.writeable = False
        return table

    return [
        lambda: np.full(count, 0, dtype), lambda: np.zeros(count + 1, dtype), lambda: np.zeros(2 * count, dtype)[::2], frozen,
        lambda: np.zeros((count, 1), dtype), lambda: np.zeros(count, "i2"), lambda: [0] * count, lambda: None,
        lambda: np.zeros(count * 2, dtype)[count:], lambda: np.zeros(count, dtype).view(np.recarray),
    ]  # fmt: skip


def _read_arguments(count: int) -> list[Callable[[], dict[str, Any]]]:
    return [
        dict, lambda: {"mask": np.zeros(count, bool)}, lambda: {"mask": np.zeros(count + 1, bool)}, lambda: {"mask": [True] * count},
        lambda: {"mask": np.zeros(count, "i1")}, lambda: {"mask": np.zeros(2 * count, bool)[::2], "cut": False}, lambda: {"cut": False},
        lambda: {"cut": 1}, lambda: {"max_age": 60.0}, lambda: {"max_age": -1}, lambda: {"max_age": None}, lambda: {"nonsense": 1},
    ]  # fmt: skip


def test_a_mask_within_the_array_is_refused(cache: fincache.Cache) -> None:
    """Both are filled at once."""
    records, keyset = cache.records("u1"), cache.keyset(["a", "b", "c"])
    memory = np.zeros(8, np.uint8)
    with pytest.raises(fincache.InvalidArgument):
        records.read(keyset, memory[:3], memory[2:5].view(bool))
    assert records.read(keyset, memory[:3], memory[3:6].view(bool)).tolist() == [False] * 3


# ------------------------------------------------------------------ threads


def test_threads_that_share_everything(new_name: Callable[[], str]) -> None:
    """One Cache, KeySet, Records and array, used by several threads and closed by one: no crash, no torn value."""
    dice = random.Random(SEED)
    for _ in range(2 if ROUNDS < 1_000 else 6):
        cache = fincache.open(new_name(), size="4MB")
        records, keyset = cache.records([("a", "i8"), ("b", "i8")]), cache.keyset([f"k{number}" for number in range(30)])
        table, torn, ready = np.zeros(30, records.dtype), list[Any](), threading.Barrier(5)

        def work(
            seed: float, cache: Any, records: Any, keyset: Any, table: Any, torn: list[Any], ready: threading.Barrier
        ) -> None:
            mine = random.Random(seed)
            ready.wait()
            try:
                while True:
                    number = mine.randrange(1 << 60)
                    records.set(f"k{mine.randrange(30)}", (number, -number))
                    row = records.get(f"k{mine.randrange(30)}")
                    if row is not None and row["a"] != -row["b"]:
                        torn.append(row)
                    records.read(keyset, table, cut=bool(number % 2))
                    cache.mget(["x", *keyset])
                    cache.set("x", b"%d" % number)
                    cache.db(1).incr("n")
            except fincache.Closed:
                return

        shared = (cache, records, keyset, table, torn, ready)
        threads = [threading.Thread(target=work, args=(dice.random(), *shared)) for _ in range(4)]
        for thread in threads:
            thread.start()
        ready.wait()
        while cache.db(1).get("n", b"0") in (b"0", b"1", b"2", b"3"):
            pass
        cache.close()
        for thread in threads:
            thread.join()
        assert torn == []
