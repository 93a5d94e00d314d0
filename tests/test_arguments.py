"""_arguments.py: what callers write, as the engine gets it."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from enum import IntEnum

import pytest

import fincache
from fincache import _arguments
from fincache._arguments import NS_PER_MS, NS_PER_S, encode, expiry_of_set, glob


class Side(IntEnum):
    BUY = 1


ENCODED = [
    (b"\x00\xff", b"\x00\xff"),
    (b"", b""),
    ("", b""),
    ("é", b"\xc3\xa9"),
    (bytearray(b"ab"), b"ab"),
    (memoryview(b"abcd")[::2], b"ac"),
    (0, b"0"),
    (-(1 << 70), b"-1180591620717411303424"),
    (Side.BUY, b"1"),
    (150.25, b"150.25"),
    (0.1, b"0.1"),
    (1e22, b"1e+22"),
    (float("inf"), b"inf"),
]


@pytest.mark.parametrize(("value", "data"), ENCODED)
def test_values_become_bytes_as_in_redis_py(value: _arguments.Encodable, data: bytes) -> None:
    """bytes as they are, str as UTF-8, int in decimal, float by repr()."""
    assert encode(value) == data


def test_a_subclass_of_float_is_encoded_as_its_number() -> None:
    """numpy.float64 is a float whose repr() is no number."""

    class Price(float):
        def __repr__(self) -> str:
            return f"Price({float(self)})"

    assert encode(Price(1.5)) == b"1.5"


@pytest.mark.parametrize("value", [None, True, [1], {"a": 1}, (1,), object(), 1j])
def test_other_types_are_refused_by_name(value: object) -> None:
    """What they would be when read back is a guess, so they are a TypeError with a hint."""
    with pytest.raises(fincache.InvalidType) as caught:
        encode(value)  # type: ignore[arg-type]
    assert type(value).__name__ in str(caught.value)
    assert caught.value.hint


def test_text_that_is_not_unicode_is_refused() -> None:
    """A lone surrogate has no UTF-8."""
    with pytest.raises(fincache.InvalidArgument, match="surrogates"):
        encode("\ud800")


def test_relative_expiries_count_from_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """ex and px are added to the wall clock, to the nanosecond; a timedelta counts as itself."""
    monkeypatch.setattr(time, "time_ns", lambda: 1_000 * NS_PER_S)
    assert expiry_of_set(2, None, None, None) == 1_002 * NS_PER_S
    assert expiry_of_set(1.5, None, None, None) == 1_001 * NS_PER_S + 500_000_000
    assert expiry_of_set(None, 250, None, None) == 1_000 * NS_PER_S + 250 * NS_PER_MS
    assert expiry_of_set(None, timedelta(microseconds=7), None, None) == 1_000 * NS_PER_S + 7_000


def test_instants_are_taken_as_they_are() -> None:
    """exat and pxat are wall-clock instants; a datetime keeps its microseconds."""
    assert expiry_of_set(None, None, 5, None) == 5 * NS_PER_S
    assert expiry_of_set(None, None, None, 5) == 5 * NS_PER_MS
    moment = datetime(2031, 2, 3, 4, 5, 6, 789_123, tzinfo=timezone.utc)
    assert expiry_of_set(None, None, moment, None) == int(moment.timestamp()) * NS_PER_S + 789_123_000
    assert expiry_of_set(None, None, None, moment) == expiry_of_set(None, None, moment, None)


def test_no_expiry_is_zero() -> None:
    """0 is the engine's word for none."""
    assert expiry_of_set(None, None, None, None) == 0
    assert expiry_of_set(None, None, None, None, keepttl=True) == 0


MATCHES = [
    (b"*", b"", True),
    (b"", b"", True),
    (b"", b"a", False),
    (b"a*", b"abc", True),
    (b"a*", b"ba", False),
    (b"*c", b"abc", True),
    (b"a*c", b"abcd", False),
    (b"a**c", b"abc", True),
    (b"*b*", b"abc", True),
    (b"a*b*c", b"axbybzc", True),
    (b"h?llo", b"hello", True),
    (b"h?llo", b"hllo", False),
    (b"h[ae]llo", b"hallo", True),
    (b"h[ae]llo", b"hillo", False),
    (b"h[^e]llo", b"hallo", True),
    (b"h[^e]llo", b"hello", False),
    (b"h[a-b]llo", b"hbllo", True),
    (b"h[b-a]llo", b"hallo", True),
    (b"h[a-b]llo", b"hcllo", False),
    (b"[]", b"a", False),
    (b"[^]", b"a", True),
    (b"[a", b"a", True),
    (b"[\\]]", b"]", True),
    (b"\\*", b"*", True),
    (b"\\*", b"a", False),
    (b"a\\", b"a\\", True),
    (b"a.c", b"abc", False),
    (b"?", b"\n", True),
    (b"?", b"\xff", True),
    (b"[\xfe-\xff]", b"\xff", True),
    (b"(?P<g0>)*", b"(xP<g0>)", True),
]


@pytest.mark.parametrize(("pattern", "text", "matches"), MATCHES)
def test_patterns_match_as_in_redis(pattern: bytes, text: bytes, matches: bool) -> None:
    """The cases of Redis's stringmatchlen, on bytes."""
    assert (glob(pattern).fullmatch(text) is not None) == matches


def test_a_pattern_of_many_stars_ends() -> None:
    """The known trap of glob matching by regular expression; a wrong translation does not come back from this."""
    assert glob(b"a*" * 60 + b"b").fullmatch(b"a" * 20_000) is None
