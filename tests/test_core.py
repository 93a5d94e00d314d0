"""_core.py: what Python declares by hand is what the C library has."""

from __future__ import annotations

from dataclasses import fields

import pytest
from fincache._fincache import ffi

import fincache
from fincache import _core

STRUCTS = [
    (fincache.Stats, "fc_stats"),
    (fincache.SegmentInfo, "fc_cache_info"),
    (fincache.SessionInfo, "fc_session_info"),
]


@pytest.mark.parametrize(("report", "struct"), STRUCTS)
def test_a_report_has_the_fields_of_its_struct(report: type, struct: str) -> None:
    """A field that is added in C appears in Python, or this fails."""
    declared = [field.name for field in fields(report)]
    assert declared == [name for name, _ in ffi.typeof(struct).fields]


def test_options_have_the_fields_of_their_struct() -> None:
    """Every option of C can be set from Python, except the hash seed, which is for tests in C."""
    declared = {field.name for field in fields(_core.Options)}
    assert declared | {"hash_seed"} == {name for name, _ in ffi.typeof("fc_options").fields}


def test_the_handle_is_given_back_once_and_last() -> None:
    """Closing with a pin out waits for it; closing again does nothing."""
    handle = _core.Handle(ffi.NULL)  # fc_cache_close takes NULL
    pin = handle.pin()
    handle.closing = True
    handle.release()
    assert handle._owned == [ffi.NULL]
    handle.unpin(pin)
    assert handle._owned == []
    handle.release()
    with pytest.raises(fincache.Closed):
        handle.pin()
    assert handle.pins == {}
