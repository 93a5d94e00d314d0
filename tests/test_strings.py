"""_strings.py: what redis-py's get and set have not; what they have is in test_client.py and test_redis_parity.py."""

from __future__ import annotations

import array
import mmap
from datetime import timedelta

import numpy as np
import pytest
from test_client import wait_until

import fincache

SIZES = [0, 1, 255, 4095, 4096, 4097, 40_000, 1_000_000]


def test_a_value_older_than_max_age_is_a_miss(cache: fincache.Cache) -> None:
    """Stale-quote protection: seconds, fractions of them, a timedelta; the age is that of the last write."""
    cache.set("AAPL", 150.25)
    assert cache.get("AAPL", max_age=60) == b"150.25"
    assert cache.get("AAPL", max_age=timedelta(minutes=1)) == b"150.25"
    wait_until(lambda: cache.get("AAPL", max_age=0.002) is None)
    assert cache.get("AAPL", "stale", max_age=0.002) == "stale"
    assert cache.get("AAPL") == b"150.25"
    cache.set("AAPL", 150.26)
    assert cache.get("AAPL", max_age=60) == b"150.26"
    assert cache.get("missing", max_age=60) is None


def test_get_into_writes_over_no_references(cache: fincache.Cache) -> None:
    """An array of Python objects is refused by name, in a field as well; a field whose name has an O in it is none."""
    cache.set("k", b"x" * 16)
    for objects in (np.empty(2, object), np.empty(1, [("a", "f8"), ("b", object)])):
        with pytest.raises(TypeError, match="references to Python objects"):
            cache.get_into("k", objects)
    assert cache.get_into("k", np.empty(2, [("Open", "f8")])) == 16


def test_an_expiry_that_is_changed_makes_nothing_younger(cache: fincache.Cache) -> None:
    """expire and persist write no value, so its age goes on; so does it through rename and copy."""
    cache.set("a", 1)
    wait_until(lambda: cache.get("a", max_age=0.005) is None)
    cache.expire("a", 100)
    assert cache.get("a", max_age=0.005) is None
    cache.getex("a", persist=True)
    assert cache.get("a", max_age=0.005) is None


@pytest.mark.parametrize("value_bytes", SIZES)
def test_large_values_have_an_age_too(cache: fincache.Cache, value_bytes: int) -> None:
    """Beyond the buffer that is tried first."""
    value = b"x" * value_bytes
    cache.set("a", value)
    assert cache.get("a", max_age=60) == value


@pytest.mark.parametrize(
    ("max_age", "error"),
    [
        (-1, fincache.InvalidArgument),
        (float("nan"), fincache.InvalidArgument),
        ("1", fincache.InvalidType),
        (True, fincache.InvalidType),
    ],
)
def test_an_age_that_makes_no_sense(cache: fincache.Cache, max_age: object, error: type[fincache.FinCacheError]) -> None:
    """Refused by name, also when the key is missing."""
    with pytest.raises(error, match="max_age") as caught:
        cache.get("missing", max_age=max_age)  # type: ignore[call-overload]
    assert caught.value.hint


@pytest.mark.parametrize("value_bytes", SIZES)
def test_get_into_fills_a_buffer(cache: fincache.Cache, value_bytes: int) -> None:
    """The length is returned; what lies behind the value is left as it was."""
    value = b"v" * value_bytes
    cache.set("a", value)
    buffer = bytearray(b"." * (value_bytes + 3))
    assert cache.get_into("a", buffer) == value_bytes
    assert buffer == value + b"..."
    exact = bytearray(value_bytes)
    assert cache.get_into("a", exact) == value_bytes
    assert exact == value


def test_get_into_takes_whatever_can_be_written_into(cache: fincache.Cache) -> None:
    """memoryview, mmap, array, numpy."""
    cache.set("a", np.arange(4.0).tobytes())
    with mmap.mmap(-1, 4096) as mapping:
        assert cache.get_into("a", mapping) == 32
        assert mapping[:32] == np.arange(4.0).tobytes()
    doubles = array.array("d", [9.0] * 5)
    assert cache.get_into("a", doubles) == 32
    assert doubles.tolist() == [0.0, 1.0, 2.0, 3.0, 9.0]
    table = np.zeros((2, 2))
    assert cache.get_into("a", table) == 32
    assert table.tolist() == [[0.0, 1.0], [2.0, 3.0]]
    backing = bytearray(40)
    assert cache.get_into("a", memoryview(backing)[8:]) == 32
    assert backing[:8] == bytes(8)
    assert cache.get_into("missing", backing) is None


def test_a_buffer_that_is_too_small_says_what_is_needed(cache: fincache.Cache) -> None:
    """And is left as it was."""
    cache.set("a", "x" * 300)
    buffer = bytearray(b"old")
    with pytest.raises(fincache.BufferTooSmall, match="300") as caught:
        cache.get_into("a", buffer)
    assert isinstance(caught.value, BufferError)
    assert caught.value.hint
    assert buffer == b"old"


def test_what_cannot_be_written_into_is_refused(cache: fincache.Cache) -> None:
    """A TypeError with a hint; a buffer of another stride too."""
    cache.set("a", "x")
    for buffer in (b"bytes", "text", None, 5, [1], memoryview(b"ro"), memoryview(bytearray(9))[::2], np.zeros((3, 3)).T[:2]):
        with pytest.raises(fincache.InvalidType) as caught:
            cache.get_into("a", buffer)
        assert "bytearray" in caught.value.hint


def test_getex_and_getdel_return_large_values(cache: fincache.Cache) -> None:
    """One step each, whatever the length."""
    value = b"x" * 100_000
    cache.set("a", value)
    assert cache.getex("a", ex=100) == value
    assert 90 <= cache.ttl("a") <= 100
    assert cache.getex("a") == value
    assert 90 <= cache.ttl("a") <= 100
    assert cache.getex("a", persist=True) == value
    assert cache.ttl("a") == -1
    assert cache.getdel("a") == value
    assert cache.getdel("a") is None
    assert cache.getex("a", ex=100) is None


def test_getex_keeps_a_record_a_record(cache: fincache.Cache) -> None:
    """Its dtype is not lost with its expiry."""
    records = cache.records("f8")
    records.set("a", 1.5)
    cache.getex("a", ex=100)
    assert records.get("a") == 1.5


def test_the_old_names_do_what_they_did(cache: fincache.Cache) -> None:
    """setnx, setex, psetex, getset, substr, unlink."""
    assert cache.setnx("a", 1) is True
    assert cache.setnx("a", 2) is False
    assert cache.setex("a", 1000, "hello") is True
    assert 990 <= cache.ttl("a") <= 1000
    assert cache.psetex("a", timedelta(seconds=500), "hello") is True
    assert 490 <= cache.ttl("a") <= 500
    assert cache.getset("a", "world") == b"hello"
    assert cache.ttl("a") == -1
    assert cache.substr("a", 1) == b"orld"
    assert cache.unlink("a", "b") == 1
