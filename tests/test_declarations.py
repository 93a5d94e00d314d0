"""_declarations.py: dataclasses, NamedTuples and Python's own types as records."""

from __future__ import annotations

import collections
import ctypes
import subprocess
import sys
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, Optional, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

import fincache
from fincache.records import Records

T = TypeVar("T")


class Level(NamedTuple):
    px: float
    qty: np.uint32


@dataclass
class Quote:
    """One field of each kind."""

    venues: ClassVar[int] = 3
    bid: float
    size: int
    live: bool
    phase: complex
    flags: np.uint16
    venue: Annotated[bytes, 4]
    name: Annotated[str, 6]
    wide: Annotated[str, "U3"]
    tick: Annotated[float, "f4"]
    lots: Annotated[int, np.int16]
    at: Annotated[np.datetime64, "M8[ns]"]
    sizes: tuple[int, int]
    depths: Annotated[tuple[np.float32, ...], 3]
    tags: tuple[Annotated[str, 2], Annotated[str, 2]]
    curve: Annotated[NDArray[np.float64], (2, 2)]
    best: Level
    levels: Annotated[tuple[Level, ...], 2]


QUOTE = Quote(
    bid=1.5,
    size=-7,
    live=True,
    phase=1 + 2j,
    flags=np.uint16(5),
    venue=b"XNAS",
    name="Zo\u00eb",
    wide="\u20ac",
    tick=0.25,
    lots=3,
    at=np.datetime64("2024-08-08T12:00", "ns"),
    sizes=(1, 2),
    depths=(np.float32(1.5), np.float32(2), np.float32(3)),
    tags=("a", ""),
    curve=np.array([[1.0, 2.0], [3.0, 4.0]]),
    best=Level(1.25, np.uint32(9)),
    levels=(Level(1.0, np.uint32(1)), Level(2.0, np.uint32(2))),
)


@dataclass(frozen=True, slots=True)
class Frozen:
    bid: float
    ask: float = 0.0


@dataclass(kw_only=True)
class Keyworded:
    bid: float
    ask: float


@dataclass(frozen=True)
class Child(Frozen):
    extra: int = 0


def types_of(value: object) -> object:
    """Types all the way down."""
    if isinstance(value, tuple):
        return type(value), [types_of(item) for item in value]
    return (type(value), value.dtype) if isinstance(value, np.ndarray) else type(value)


def test_a_dataclass_is_stored_and_comes_back(cache: fincache.Cache) -> None:
    """Each field with the value and the type it was declared with."""
    quotes = cache.records(Quote)
    quotes.set("a", QUOTE)
    got = quotes.get("a")
    assert type(got) is Quote
    for name, written in vars(QUOTE).items():
        read = getattr(got, name)
        assert np.array_equal(read, written), name
        assert types_of(read) == types_of(written), name
        assert np.array_equal(quotes.get("a", name), written), name
    entry = quotes.entry("a")
    assert entry is not None
    assert entry.value.best == Level(1.25, np.uint32(9))


def test_a_declaration_has_the_layout_of_the_c_struct() -> None:
    """So a C program maps the record as it is."""

    class CLevel(ctypes.Structure):
        _fields_ = [("px", ctypes.c_double), ("qty", ctypes.c_uint32)]

    class CRow(ctypes.Structure):
        _fields_ = [
            ("flag", ctypes.c_bool),
            ("size", ctypes.c_int64),
            ("venue", ctypes.c_char * 3),
            ("lots", ctypes.c_int16),
            ("levels", CLevel * 2),
            ("last", ctypes.c_uint8),
        ]

    dtype = declared_dtype(CStructure)
    assert dtype.itemsize == ctypes.sizeof(CRow)
    for name, *_ in CRow._fields_:
        assert dtype.fields is not None
        assert dtype.fields[name][1] == getattr(CRow, name).offset, name


class CStructure(NamedTuple):
    flag: bool
    size: int
    venue: Annotated[bytes, 3]
    lots: np.int16
    levels: tuple[Level, Level]
    last: np.uint8


def declared_dtype(kind: type) -> np.dtype[Any]:
    from fincache._declarations import declared

    found = declared(kind)
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        (Frozen, Frozen(1.5, 2.5)),
        (Keyworded, Keyworded(bid=1.5, ask=2.5)),
        (Child, Child(1.5, 2.5, -3)),
        (Level, Level(1.5, np.uint32(2))),
        (float, 1.5),
        (int, -3),
        (bool, True),
    ],
)
def test_every_kind_of_declaration(cache: fincache.Cache, kind: Any, row: Any) -> None:
    """dataclasses frozen, with slots, keyword-only, inherited; NamedTuples; Python's numbers."""
    records = cache.records(kind)
    assert records.set("a", row) is True
    got = records.get("a")
    assert (got, type(got)) == (row, type(row))
    entry = records.entry("a")
    assert entry is not None
    assert (entry.value, type(entry.value)) == (row, type(row))
    assert records.get("miss") is None


def test_a_row_of_a_declaration_may_have_other_forms(cache: fincache.Cache) -> None:
    """A tuple or a dict by field, within the instance too, or a numpy row of the same fields."""
    quotes = cache.records(Frozen)
    for row in ((1, 2), {"ask": 2, "bid": 1}, np.array((1, 2), quotes.dtype), np.array([(1, 2)], [("bid", "i4"), ("ask", "i4")])):
        quotes.set("a", row)
        assert quotes.get("a") == Frozen(1.0, 2.0)
        cache.delete("a")


def test_a_declaration_and_its_dtype_are_the_same_records(cache: fincache.Cache) -> None:
    """What one program declares as a class, another reads as a numpy row: the schema is the same."""
    cache.records(Level).set("a", Level(1.5, np.uint32(7)))
    plain = cache.records(np.dtype([("px", "f8"), ("qty", "u4")], align=True))
    row = plain.get("a")
    assert row is not None
    assert row["qty"] == 7
    cache.records("f8").set("b", 2)
    assert type(cache.records(float).get("b")) is float
    assert type(cache.records(np.float64).get("b")) is np.float64


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (Frozen("x", 1), r"bid \(<f8\) cannot hold 'x'"),  # type: ignore[arg-type]
        (Level(1, np.uint32(2)), "the row has the fields px, qty. The fields are bid, ask"),
        (QUOTE, "the row is Quote. Pass a Frozen of bid, ask"),
        ((1,), "the row has 1 fields"),
        (1.5, "the row is float"),
        (None, "the row is NoneType"),
        (Frozen, "the row is type"),
    ],
)
def test_what_is_no_row_of_a_declaration_is_refused(cache: fincache.Cache, row: Any, reason: str) -> None:
    """By name, and nothing is written."""
    with pytest.raises(fincache.InvalidArgument, match=reason):
        cache.records(Frozen).set("a", row)
    assert cache.dbsize() == 0


def test_text_keeps_bytes_that_are_none(cache: fincache.Cache) -> None:
    """What a C program wrote into a str field comes as lone surrogates and goes back as it was."""
    raw, text = cache.records(np.dtype([("name", "S4")])), cache.records(Name)
    raw.set("a", (b"\xff\xfe",))
    got = text.get("a")
    assert got is not None
    text.set("a", got)
    assert raw.get("a", "name") == b"\xff\xfe"


class Name(NamedTuple):
    name: Annotated[str, 4]


def test_a_str_is_measured_in_bytes(cache: fincache.Cache) -> None:
    """Not in characters: the field is as long as in C."""
    names = cache.records(Name)
    names.set("a", Name("abcd"))
    with pytest.raises(fincache.InvalidArgument, match="it has 5 bytes"):
        names.set("a", Name("abc\u00e9"))


# One class for each reason to refuse it.


class Bare(NamedTuple):
    a: bytes


class BareText(NamedTuple):
    a: str


class Listed(NamedTuple):
    a: list[float]


class Maybe(NamedTuple):
    a: Optional[float]  # noqa: UP045


class Mixed(NamedTuple):
    a: tuple[int, float]


class Endless(NamedTuple):
    a: tuple[int, ...]


class Negative(NamedTuple):
    a: Annotated[bytes, -1]


class Flag(NamedTuple):
    a: Annotated[bytes, True]


class Twice(NamedTuple):
    a: Annotated[float, "f4", "f8"]


class FloatAsInt(NamedTuple):
    a: Annotated[float, "i4"]


class LongDouble(NamedTuple):
    a: np.longdouble


class NoUnit(NamedTuple):
    a: np.datetime64


class OtherNumpy(NamedTuple):
    a: Annotated[np.int32, "f8"]


class Shapeless(NamedTuple):
    a: NDArray[np.float64]


class Unknown(NamedTuple):
    a: NDArray[Any]


class Arrays(NamedTuple):
    a: tuple[tuple[int, int], tuple[int, int]]


class Anything(NamedTuple):
    a: Any


@dataclass
class Empty:
    pass


@dataclass
class Hidden:
    a: float
    b: float = field(init=False, default=0.0)


@dataclass
class Itself:
    a: Itself


@dataclass
class Lost:
    a: NotThere  # type: ignore[name-defined]  # noqa: F821


@dataclass
class Initialised:
    a: float
    b: InitVar[float]


Untyped = collections.namedtuple("Untyped", "a b")


@dataclass
class Container(Generic[T]):
    a: T


REFUSED = [
    (Bare, r"Bare\.a is bytes without a length. Use Annotated\[bytes, 16\]"),
    (BareText, r"BareText\.a is str without a length"),
    (Listed, r"Listed\.a is list\[float\]"),
    (Maybe, r"Maybe\.a is "),
    (Mixed, r"Mixed\.a is tuple"),
    (Endless, r"Endless\.a is tuple"),
    (Negative, r"Negative\.a is bytes as -1"),
    (Flag, r"Flag\.a is bytes as True"),
    (Twice, r"Twice\.a is float as 'f4', 'f8'"),
    (FloatAsInt, r"FloatAsInt\.a is float as 'i4'"),
    (LongDouble, r"LongDouble\.a.* long double"),
    (NoUnit, r"NoUnit\.a.* without a unit"),
    (OtherNumpy, r"OtherNumpy\.a is int32 as 'f8'"),
    (Shapeless, r"Shapeless\.a is "),
    (Unknown, r"Unknown\.a is "),
    (Arrays, r"Arrays\.a is a tuple of arrays"),
    (Anything, r"Anything\.a is "),
    (Empty, "Empty has no fields with types"),
    (Hidden, "__init__ of Hidden does not take its fields"),
    (Itself, "Itself contains itself"),
    (Lost, "annotations of Lost cannot be resolved"),
    (Initialised, "__init__ of Initialised does not take its fields"),
    (Untyped, "Untyped has no fields with types"),
    (Container, r"Container\.a is ~T"),
]


@pytest.mark.parametrize(("kind", "reason"), REFUSED)
def test_a_class_that_cannot_be_stored_is_refused(cache: fincache.Cache, kind: type, reason: str) -> None:
    """With the field, and with what may be declared."""
    with pytest.raises(fincache.InvalidArgument, match=reason) as caught:
        cache.records(kind)
    assert caught.value.hint


PROGRAM = Path(__file__).parent / "typed_records.py"


def run(*command: str) -> None:
    """Fails with all that was printed."""
    done = subprocess.run(
        [sys.executable, *command], cwd=PROGRAM.parent, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    assert done.returncode == 0, done.stdout


def test_a_users_program_passes_mypy_strict() -> None:
    """Its types: Records[Quote], a Quote from get, float from a scalar; misuse is an error of the checker."""
    cache_dir = PROGRAM.parents[1] / ".mypy_cache" / "user"
    run("-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(cache_dir), str(PROGRAM))


def test_the_program_runs_too(name: str) -> None:
    """What the checker was shown is what happens."""
    run(str(PROGRAM), name)


def test_records_is_generic() -> None:
    """Records[Quote] may be written in annotations that are evaluated."""
    assert Records[Quote] is not None
