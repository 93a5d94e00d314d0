"""config_kinds.py: text becomes a value, or is refused with the reason; what `format` writes, `parse` reads."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from fincache.daemon.config_keys import KEYS
from fincache.daemon.config_kinds import Choice, Duration, Integer, Kind, Mode, Names, Size, Switch, Text, format_duration
from tests.conftest import SEED

DAY = timedelta(days=1)
DURATION = Duration(timedelta(), DAY)
SIZE = Size(1 << 20, 1 << 40)
POLICY = Choice(("noeviction", "allkeys-lru"), {"lru": "allkeys-lru"}, ("volatile-ttl",))
PAIRS = Names("pairs", r"[A-Z]+=[a-z]+")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (DURATION, "30s", timedelta(seconds=30)),
        (DURATION, "5m", timedelta(minutes=5)),
        (DURATION, "1h30m", timedelta(minutes=90)),
        (DURATION, "250ms", timedelta(milliseconds=250)),
        (DURATION, "1.5s", timedelta(seconds=1.5)),
        (DURATION, "50us", timedelta(microseconds=50)),
        (DURATION, "0", timedelta()),
        (DURATION, "0s", timedelta()),
        (DURATION, "1d", DAY),
        (SIZE, "1GB", 1 << 30),
        (SIZE, "256mb", 256 << 20),
        (SIZE, "1g", 10**9),
        (SIZE, "1.5 GiB", 3 << 29),
        (SIZE, "1048576", 1 << 20),
        (Integer(0, 65535), "6379", 6379),
        (Integer(-5, 5), "-5", -5),
        (Switch(), "true", True),
        (Switch(), "No", False),
        (Switch(), "ON", True),
        (Switch(), "0", False),
        (Mode(), "0660", 0o660),
        (Mode(), "600", 0o600),
        (Mode(), "0o770", 0o770),
        (POLICY, "ALLKEYS-LRU", "allkeys-lru"),
        (POLICY, "lru", "allkeys-lru"),
        (Text(), "", ""),
        (PAIRS, "CONFIG=cfg, KEYS=k", ("CONFIG=cfg", "KEYS=k")),
        (PAIRS, "", ()),
    ],
)
def test_what_is_allowed_is_understood(kind: Kind[Any], text: str, value: object) -> None:
    """Each way of writing a value."""
    assert kind.parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (DURATION, "30", "no unit (seconds would be 30s)"),
        (DURATION, "30 s", "no duration"),
        (DURATION, "-1s", "no duration"),
        (DURATION, "s", "no duration"),
        (DURATION, "", "no duration"),
        (DURATION, "5 minutes", "no duration"),
        (DURATION, "25h", "out of range"),
        (DURATION, "9" * 400 + "d", "out of range"),
        (SIZE, "1XB", "no size"),
        (SIZE, "-1", "no size"),
        (SIZE, "1023KB", "out of range"),
        (SIZE, "99999GB", "out of range"),
        (Integer(0, 65535), "65536", "out of range"),
        (Integer(0, 65535), "6379.0", "no whole number"),
        (Integer(0, 65535), "0x10", "no whole number"),
        (Integer(0, 65535), "1_000", "no whole number"),
        (Integer(0, 65535), "9" * 5000, "no whole number"),
        (Switch(), "maybe", "neither true nor false"),
        (Mode(), "0999", "no octal mode"),
        (Mode(), "1777", "no octal mode"),
        (POLICY, "volatile-ttl", "this version does not have it yet"),
        (POLICY, "fifo", "no such choice"),
        (Text(length_max=3), "abcd", "4 characters"),
        (Text(), "a\nb", "cannot be printed"),
        (PAIRS, "CONFIG", "'CONFIG' does not fit"),
        (PAIRS, "A=a,,B=b", "'' does not fit"),
    ],
)
def test_what_is_not_allowed_is_refused_with_the_reason(kind: Kind[Any], text: str, reason: str) -> None:
    """ValueError, and nothing else, whatever is written."""
    with pytest.raises(ValueError, match=r"it |does not|there is") as caught:
        kind.parse(text)
    assert reason in str(caught.value)
    assert kind.allowed()


@seed(SEED)
@given(st.integers(0, 86_400_000_000))
def test_a_duration_survives_being_written(microseconds: int) -> None:
    """To the microsecond."""
    duration = timedelta(microseconds=microseconds)
    assert DURATION.parse(format_duration(duration)) == duration


@seed(SEED)
@given(st.integers(1 << 20, 1 << 40))
def test_a_size_survives_being_written(size_bytes: int) -> None:
    """To the byte."""
    assert SIZE.parse(SIZE.format(size_bytes)) == size_bytes


@seed(SEED)
@given(st.text())
def test_no_text_makes_a_kind_fail_otherwise(text: str) -> None:
    """Every kind of the table, with any text: a value that survives being written, or ValueError."""
    for config_key in KEYS.values():
        kind = config_key.row.kind
        try:
            value = kind.parse(text)
        except ValueError:
            continue
        assert kind.parse(kind.format(value)) == value
