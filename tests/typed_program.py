"""A user's program to a type checker: never run, but checked by mypy --strict with everything else (make lint).

Each line says what a call returns. What must be an error is marked by an ignore, which mypy reports when it is of no use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typing_extensions import assert_type

import fincache


def returns_bytes(cache: fincache.Cache) -> None:
    """Cache alone is Cache[bytes]."""
    assert_type(cache, fincache.Cache[bytes])
    assert_type(cache.get("a"), bytes | None)
    assert_type(cache.get("a", 0), bytes | int)
    assert_type(cache.get("a", max_age=0.5), bytes | None)
    assert_type(cache.get_into("a", bytearray(8)), int | None)
    assert_type(cache.set("a", 1, ex=1.5), bool | None)
    assert_type(cache.set("a", 1, get=True), bytes | None)
    assert_type(cache.getex("a", persist=True), bytes | None)
    assert_type(cache.mget("a", "b"), list[bytes | None])
    assert_type(cache.mget(cache.keyset(["a"])), list[bytes | None])
    assert_type(cache.mset({"a": 1, "b": 2.5}), bool)
    assert_type(cache["a"], bytes)
    assert_type(cache.pop("a"), bytes)
    assert_type(cache.pop("a", None), bytes | None)
    assert_type(cache.setdefault("a", 1), bytes)
    assert_type(cache.update("a", lambda old: int(old or 0) + 1), bytes | None)
    assert_type(list(cache), list[bytes])
    assert_type(cache.keys("a*"), list[bytes])
    assert_type(cache.items(), Iterator[tuple[bytes, bytes]])
    assert_type(cache.scan(), tuple[int, list[bytes]])
    assert_type(cache.entry("a"), fincache.Entry[bytes] | None)
    assert_type(cache.cas("a", 1, 0), int | None)
    assert_type(cache.db(1), fincache.Cache[bytes])
    assert_type(cache.keyset(["a"]), fincache.KeySet[bytes])
    assert_type(cache.keyset(["a"])[0], bytes)
    assert_type(cache.stats().key_count, int)
    cache.update({"a": 1})
    cache.update([("a", 1)])


def returns_str(cache: fincache.Cache[str]) -> None:
    """With decode_responses."""
    assert_type(cache.get("a"), str | None)
    assert_type(cache.set("a", 1, get=True), str | None)
    assert_type(cache.get_many(["a"]), list[str | None])
    assert_type(cache["a"], str)
    assert_type(cache.entry("a"), fincache.Entry[str] | None)
    assert_type(cache.db(1), fincache.Cache[str])
    assert_type(cache.keyset(["a"]), fincache.KeySet[str])
    assert_type(cache.update("a", lambda old: (old or "") + "x"), str | None)


def opens(text: bool) -> None:
    """The type follows decode_responses."""
    assert_type(fincache.open("a"), fincache.Cache[bytes])
    assert_type(fincache.attach("a", readonly=True), fincache.Cache[bytes])
    assert_type(fincache.open("a", decode_responses=True), fincache.Cache[str])
    assert_type(fincache.attach("a", decode_responses=True), fincache.Cache[str])
    assert_type(fincache.open("a", decode_responses=text), fincache.Cache[bytes] | fincache.Cache[str])
    with fincache.open("a", decode_responses=True) as cache:
        assert_type(cache, fincache.Cache[str])


def is_refused(cache: fincache.Cache, anything: Any) -> None:
    """What fails at run time fails here before."""
    cache.set("a", None)  # type: ignore[call-overload]
    cache.set("a", [1])  # type: ignore[call-overload]
    cache.get(None)  # type: ignore[call-overload]
    cache.set("a", 1, ex="10")  # type: ignore[call-overload]
    cache.mset([("a", 1)])  # type: ignore[arg-type]
    cache.update("a", lambda old: [old])  # type: ignore[arg-type, return-value]
    cache.keyset(5)  # type: ignore[arg-type]
    cache.setdefault("a", None)  # type: ignore[arg-type]
    cache.set("a", anything)
