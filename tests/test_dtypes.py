"""dtypes.py: which dtypes can be records, and the schema text by which every language knows them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import DTypeLike
from record_dtypes import QUOTE, few, record_dtypes

import fincache
from fincache.dtypes import dtype_of_schema, normalise, schema_text

SCHEMAS: list[tuple[DTypeLike, str]] = [
    ("f8", '"<f8"'),
    (">i4", '"<i4"'),
    ("u1", '"|u1"'),
    ("?", '"|b1"'),
    ("S16", '"|S16"'),
    ("U8", '"<U8"'),
    ("V5", '"|V5"'),
    ("c16", '"<c16"'),
    ("datetime64[ns]", '"<M8[ns]"'),
    ("m8[25s]", '"<m8[25s]"'),
    (QUOTE, '[["bid","<f8"],["ask","<f8"],["sizes","<i4",[2]],["venue","|S4"]]'),
    ([("a", ">f4"), ("b", [("c", ">u2"), ("d", "?")])], '[["a","<f4"],["b",[["c","<u2"],["d","|b1"]]]]'),
    ([("a", [("b", "u1")], (2, 3))], '[["a",[["b","|u1"]],[2,3]]]'),
    ([("a", ("f8", (2,)), (3,))], '[["a","<f8",[3,2]]]'),
    (np.dtype([("a", "u1"), ("b", "f8")], align=True), '[["a","|u1"],["","|V7"],["b","<f8"]]'),
    (np.dtype([("a", "f8"), ("b", "u1")], align=True), '[["a","<f8"],["b","|u1"],["","|V7"]]'),
    ({"names": ["a"], "formats": ["u1"], "offsets": [3], "itemsize": 8}, '[["","|V3"],["a","|u1"],["","|V4"]]'),
    ([("prix_\u20ac", "f8")], '[["prix_\\u20ac","<f8"]]'),
    (np.dtype((np.record, [("a", "f8")])), '[["a","<f8"]]'),
]

REFUSED: list[tuple[object, str]] = [
    ("O", "Python objects"),
    ([("a", "f8"), ("b", "O")], "'b' .* Python objects"),
    ("S0", "no size"),
    ("V0", "no size"),
    ([("a", "S0"), ("b", "f8")], "'a' .* no size"),
    ([("a", "f8", (0,))], "'a' .* no size"),
    ([], "no fields"),
    (None, "None"),
    (("f8", (3,)), "array"),
    ("nonsense", "not a dtype"),
    (5, "not a dtype"),
    ("g", "long double"),
    ([("a", "G")], "long double"),
    ("M8", "without a unit"),
    ([("a", "m8", (2,))], "'a' .* without a unit"),
    ({"names": ["a", "b"], "formats": ["f8", "f8"], "offsets": [0, 4]}, "'b' .* overlaps"),
    ({"names": ["a", "b"], "formats": ["f8", "f8"], "offsets": [8, 0]}, "'b' .* comes before"),
    ({"names": [""], "formats": ["f8"]}, "without a name"),
    ([(("title", "a"), "f8")], "titles"),
    ([(f"field{index:05}", "f8") for index in range(500)], "bytes"),
]

NO_SCHEMAS = [
    "",
    "f8",
    '"f8"',
    '">f8"',
    '"<f8" ',
    '"O"',
    "null",
    "[]",
    '[["","|V8"]]',
    '[["a"]]',
    '[["a","<f8",[2],7]]',
    '[["a", "<f8"]]',
    '[["a","<f8",[0]]]',
    '[["a","<f8",[-1]]]',
    '[["a","<f8",2]]',
    '[["a","<f8"],["a","<f8"]]',
    '[["","|V8"]]',
    '[["a","<f8"],["","<f8"]]',
    '{"a":"<f8"}',
    "[[1,2]]",
    '[["a",' * 100 + '"<f8"' + "]]" * 100,
    "[" * 3000,
]


@pytest.mark.parametrize(("dtype", "text"), SCHEMAS)
def test_the_schema_is_the_little_endian_description_as_json(dtype: DTypeLike, text: str) -> None:
    """The encoding that other languages read, byte for byte."""
    assert schema_text(normalise(dtype)) == text
    assert json.loads(text) is not None
    assert schema_text(dtype_of_schema(text)) == text


@pytest.mark.parametrize(("dtype", "reason"), REFUSED)
def test_a_dtype_that_cannot_be_stored_is_refused(cache: fincache.Cache, dtype: object, reason: str) -> None:
    """With the reason and what to use instead, before anything is written."""
    with pytest.raises(fincache.InvalidArgument, match=reason) as caught:
        cache.records(dtype)  # type: ignore[call-overload]
    assert caught.value.hint
    assert cache.dbsize() == 0


@pytest.mark.parametrize("text", NO_SCHEMAS)
def test_what_is_no_canonical_schema_is_refused(text: str) -> None:
    """Two texts for one dtype would be two schemas, so only one of them is one."""
    with pytest.raises(fincache.InvalidArgument) as caught:
        dtype_of_schema(text)
    assert caught.value.hint


@few
@given(record_dtypes)
def test_every_dtype_comes_back_from_its_schema(dtype: np.dtype[np.generic]) -> None:
    """Fields, offsets, sizes and padding; and the text is numpy's own description."""
    text = schema_text(dtype)
    assert dtype_of_schema(text) == dtype
    assert dtype_of_schema(text).itemsize == dtype.itemsize
    assert json.loads(text) == json.loads(json.dumps(dtype.descr if dtype.names else dtype.str))
