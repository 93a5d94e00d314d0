"""dtypes of records and arrays of them, for hypothesis: nested, with subarrays, padding and strings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import numpy as np
from conftest import SEED
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

import fincache
from fincache.dtypes import normalise

QUOTE = [("bid", "f8"), ("ask", "f8"), ("sizes", "i4", (2,)), ("venue", "S4")]
_settings = hypothesis.settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)


def few(test: Callable[..., None]) -> Callable[..., None]:
    """Decorates a test that @given follows: 60 examples, those of FINCACHE_SEED."""
    return _settings(hypothesis.seed(SEED)(test))


def _storable(dtype: np.dtype[Any], align: bool) -> np.dtype[np.generic] | None:
    """The dtype as records have it, laid out as C would if `align`; None if it cannot be stored (titles, no size)."""
    try:
        if dtype.names is not None and align:
            dtype = np.dtype([(name, dtype[name]) for name in dtype.names], align=True)
        return normalise(dtype)
    except fincache.InvalidArgument:
        return None


@st.composite
def _storables(draw: st.DrawFn) -> np.dtype[np.generic]:
    dtype = _storable(draw(hnp.nested_dtypes(max_leaves=5, max_itemsize=200)), draw(st.booleans()))
    hypothesis.assume(dtype is not None)
    assert dtype is not None
    return dtype


record_dtypes = _storables()


def rows_of(dtype: np.dtype[np.generic], count: int) -> st.SearchStrategy[NDArray[np.generic]]:
    """Arrays of `count` rows."""
    return hnp.arrays(dtype, count)
