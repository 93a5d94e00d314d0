"""`fincache keys` and `scan`."""

from __future__ import annotations

import json

import pytest
from cli_programs import call, loaded

import fincache

NAMES = [f"AAPL:{number}" for number in range(30)] + [f"MSFT:{number}" for number in range(30)]


@pytest.fixture
def filled(cache: fincache.Cache) -> fincache.Cache:
    cache.mset(dict.fromkeys(NAMES, "v"))
    return cache


class TestKeys:
    def test_all_keys_sorted(self, filled: fincache.Cache) -> None:
        assert call("-s", filled.name, "keys").stdout.splitlines() == sorted(NAMES)

    def test_a_pattern_selects(self, filled: fincache.Cache) -> None:
        assert call("-s", filled.name, "keys", "AAPL:[12]?").stdout.split() == sorted(NAMES[10:30])

    def test_a_key_with_a_newline_is_ended_by_a_zero_byte(self, cache: fincache.Cache) -> None:
        cache.mset({b"a\nb": 1, b"\xff": 2})
        assert call("-s", cache.name, "keys", "--null").stdout_bytes == b"a\nb\0\xff\0"

    def test_json(self, cache: fincache.Cache) -> None:
        cache.mset({b"a": 1, b"\xff": 2})
        cache.pexpire("a", 50_000)
        assert loaded(call("-s", cache.name, "keys", "--json")) == [{"key": "a"}, {"key": {"base64": "/w=="}}]
        detailed = loaded(call("-s", cache.name, "keys", "--json", "--long"))[0]
        assert (detailed["type"], detailed["value_bytes"]) == ("string", 1)
        assert 0 < detailed["ttl_ns"] <= 50e9

    def test_long_shows_type_size_age_ttl_and_key(self, cache: fincache.Cache) -> None:
        cache.set("k", "12345")
        [line] = call("-s", cache.name, "keys", "-l").stdout.splitlines()
        assert line.split()[:2] == ["string", "5"]
        assert line.endswith('-  "k"')

    def test_type_selects(self, filled: fincache.Cache) -> None:
        assert len(call("-s", filled.name, "keys", "-t", "string").stdout.split()) == len(NAMES)
        assert call("-s", filled.name, "keys", "-t", "hash").stdout == ""

    def test_null_goes_not_with_json(self, filled: fincache.Cache) -> None:
        assert call("-s", filled.name, "keys", "--null", "--json").exit_code == 2


class TestScan:
    def test_every_key_is_met(self, filled: fincache.Cache) -> None:
        assert set(call("-s", filled.name, "scan").stdout.split()) == set(NAMES)
        assert set(call("-s", filled.name, "scan", "-m", "A*", "-c", "3").stdout.split()) == set(NAMES[:30])

    def test_limit_ends_it(self, filled: fincache.Cache) -> None:
        assert len(call("-s", filled.name, "scan", "--limit", "7").stdout.split()) == 7

    def test_steps_by_cursor_lead_to_the_end(self, filled: fincache.Cache) -> None:
        met: set[str] = set()
        cursor = "0"
        for _ in range(len(NAMES)):
            cursor, *keys = call("-s", filled.name, "scan", "--cursor", cursor, "-c", "8").stdout.split()
            met.update(keys)
            if cursor == "0":
                break
        assert cursor == "0"
        assert met == set(NAMES)

    def test_json_is_an_object_per_line(self, filled: fincache.Cache) -> None:
        lines = call("-s", filled.name, "scan", "--json").stdout.splitlines()
        assert {json.loads(line)["key"] for line in lines} == set(NAMES)
        first, *_ = call("-s", filled.name, "scan", "--json", "--cursor", "0", "-c", "4").stdout.splitlines()
        assert int(json.loads(first)["cursor"]) > 0
