"""decode_responses: str out wherever redis-py gives str, bytes in the segment all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import fincache


@pytest.fixture
def text(name: str) -> Iterator[fincache.Cache[str]]:
    """A cache that returns str."""
    with fincache.open(name, size="4MB", decode_responses=True) as opened:
        yield opened


def test_everything_that_redis_py_decodes_is_str(text: fincache.Cache[str]) -> None:
    """Values, keys, types; numbers and booleans stay what they are."""
    text.set("ключ", "значение")
    assert text.get("ключ") == text["ключ"] == "значение"
    assert text.get("ключ", max_age=60) == "значение"
    assert text.mget("ключ", "b") == text.get_many(["ключ", "b"]) == ["значение", None]
    assert text.getrange("ключ", 0, 1) == text.substr("ключ", 0, 1) == "з"
    assert text.keys() == list(text) == list(text.scan_iter()) == ["ключ"]
    assert text.scan() == (0, ["ключ"])
    assert text.randomkey() == "ключ"
    assert list(text.items()) == [("ключ", "значение")]
    assert list(text.values()) == ["значение"]
    assert text.type("ключ") == "string"
    assert text.echo(1.5) == "1.5"
    assert text.set("ключ", 1, get=True) == "значение"
    assert text.getset("ключ", "2") == "1"
    assert text.getex("ключ") == "2"
    assert text.setdefault("ключ", "3") == "2"
    assert text.update("ключ", lambda old: f"{old}!") == "2!"
    entry = text.entry("ключ")
    assert entry is not None
    assert entry.value == "2!"
    assert text.pop("ключ") == "2!"
    assert text.getdel("ключ") is None
    assert text.strlen("ключ") == 0
    assert text.incr("n") == 1


def test_bytes_stay_bytes_where_a_buffer_is_filled(text: fincache.Cache[str]) -> None:
    """get_into knows nothing of text; keys may be bytes as ever."""
    text.set(b"a", "é")
    buffer = bytearray(2)
    assert text.get_into("a", buffer) == 2
    assert buffer == "é".encode()


def test_views_decode_as_their_cache_does(text: fincache.Cache[str]) -> None:
    """db() hands the encoding on."""
    view = text.db(3)
    view.set("a", "x")
    assert view.get("a") == "x"
    with fincache.attach(text.name, db=3) as plain:
        assert plain.get("a") == b"x"


def test_a_value_that_is_not_text(text: fincache.Cache[str]) -> None:
    """NotText, which is a UnicodeDecodeError with all that belongs to one, and says what to do."""
    text.set("a", b"abc\xff")
    text.set("b", "fine")
    reads = [
        lambda: text.get("a"),
        lambda: text["a"],
        lambda: text.mget("b", "a"),
        lambda: text.entry("a"),
        lambda: list(text.values()),
        lambda: text.getrange("a", 3, 3),
        lambda: text.getdel("a"),
    ]
    for read in reads:
        with pytest.raises(UnicodeDecodeError) as caught:
            read()
        assert isinstance(caught.value, fincache.NotText)
        assert "decode_responses" in caught.value.hint
    assert caught.value.encoding == "utf-8"
    assert caught.value.object[caught.value.start : caught.value.end] == b"\xff"
    assert text.get("b") == "fine"


def test_another_encoding_holds_both_ways(name: str) -> None:
    """Keys and values; also without decode_responses, for what goes in."""
    with fincache.open(name, size="4MB", encoding="latin-1") as plain:
        plain.set("é", "é")
        assert plain.get(b"\xe9") == b"\xe9"
        assert plain.mget("é") == [b"\xe9"]
        assert "é" in plain
        assert plain.keyset(["é"]).index("é") == 0
        with pytest.raises(fincache.InvalidArgument, match="latin-1"):
            plain.set("€", 1)
    with fincache.attach(name, decode_responses=True, encoding="latin-1") as text:
        assert text.get("é") == "é"
    with fincache.attach(name, decode_responses=True, encoding_errors="replace") as text:
        assert text.get(b"\xe9") == "\ufffd"
        assert text.keys() == ["\ufffd"]
    with fincache.attach(name, decode_responses=True, encoding="ascii", encoding_errors="surrogateescape") as text:
        assert text.get("\udce9") == "\udce9"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"encoding": "klingon"}, fincache.InvalidArgument),
        ({"encoding": "base64"}, fincache.InvalidArgument),
        ({"encoding_errors": "shrug"}, fincache.InvalidArgument),
        ({"encoding": None}, fincache.InvalidType),
        ({"encoding_errors": 5}, fincache.InvalidType),
    ],
    ids=str,
)
def test_an_encoding_that_is_none(name: str, options: dict[str, object], error: type[fincache.FinCacheError]) -> None:
    """Refused at once, before anything is created."""
    with pytest.raises(error) as caught:
        fincache.open(name, size="1MB", **options)  # type: ignore[call-overload]
    assert caught.value.hint
    assert name not in fincache.segments()
