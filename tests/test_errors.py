"""_errors.py: the exceptions and the table in csrc/base/status.def are the same list."""

from __future__ import annotations

import pickle

import pytest

import fincache
from fincache import _core, _errors

ROWS = [row for row in _core.STATUS_ROWS.values() if row.python_class != "-"]
WITHOUT_ROW = {"NoSuchKey", "InvalidType", "NotText", "CommandError", "WatchError"}
ANSWERS = {"OK", "MISS", "NOT_STORED", "VERSION_MISMATCH"}

BUILTIN_PARENTS = [
    (fincache.Busy, TimeoutError),
    (fincache.Contended, TimeoutError),
    (fincache.OutOfMemory, MemoryError),
    (fincache.NotAnInteger, ValueError),
    (fincache.NotAFloat, ValueError),
    (fincache.InvalidArgument, ValueError),
    (fincache.InvalidType, TypeError),
    (fincache.IncrementOverflow, OverflowError),
    (fincache.WrongType, TypeError),
    (fincache.SchemaMismatch, TypeError),
    (fincache.NoSuchKey, KeyError),
    (fincache.NotText, UnicodeDecodeError),
    (fincache.ReadOnly, PermissionError),
    (fincache.SegmentMissing, FileNotFoundError),
    (fincache.SegmentExists, FileExistsError),
    (fincache.PermissionDenied, PermissionError),
    (fincache.NoSpace, OSError),
    (fincache.Closed, ValueError),
]


def test_every_failure_in_the_table_has_a_class_and_every_class_a_row() -> None:
    """A status that is a failure has exactly one class of the name in its row, and there are no others."""
    assert {row.python_class for row in ROWS} | WITHOUT_ROW == _errors.CLASSES.keys()
    assert len({row.python_class for row in ROWS}) == len(ROWS)


def test_answers_are_no_exceptions() -> None:
    """A miss, a condition that did not hold and another version are things to branch on."""
    assert {row.name for row in _core.STATUS_ROWS.values()} - {row.name for row in ROWS} == ANSWERS


@pytest.mark.parametrize(("error", "parent"), BUILTIN_PARENTS)
def test_an_exception_is_also_the_builtin_it_resembles(error: type, parent: type) -> None:
    """`except TimeoutError` catches Busy, and so on; all are FinCacheError."""
    assert issubclass(error, parent)
    assert issubclass(error, fincache.FinCacheError)


@pytest.mark.parametrize("error", _errors.CLASSES.values())
def test_an_exception_says_what_happened_where_and_what_to_do(error: type[fincache.FinCacheError]) -> None:
    """str() is message, detail and hint, whatever the built-in parent would make of it."""
    assert str(error("it happened", code=7, detail="pid 1", hint="Do that.")) == "it happened: pid 1. Do that."
    assert str(error("it happened")) == "it happened"


@pytest.mark.parametrize("error", _errors.CLASSES.values())
def test_an_exception_survives_pickling(error: type[fincache.FinCacheError]) -> None:
    """multiprocessing carries it from a worker to its parent with everything in it."""
    first = error("it happened", code=7, detail="pid 1", hint="Do that.")
    second = pickle.loads(pickle.dumps(first))
    assert type(second) is error
    assert (second.message, second.code, second.detail, second.hint) == ("it happened", 7, "pid 1", "Do that.")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_refusal_carries_number_and_hint_of_its_row(row: _core.StatusRow) -> None:
    """What Python refuses by itself looks like what the C library refuses."""
    error = _core.refusal(row.name, "here")
    assert (error.code, error.hint, error.detail) == (row.status, row.hint, "here")
    assert row.message in str(error)


def test_a_failure_of_the_c_library_carries_its_detail(name: str) -> None:
    """Message, hint and fc_error_detail() of the failing call are all in the exception."""
    with pytest.raises(fincache.SegmentMissing) as caught:
        fincache.attach(name)
    assert caught.value.code == 60
    assert caught.value.errno == 2
    assert "open(name, size=" in caught.value.hint
    assert caught.value.message in str(caught.value)
