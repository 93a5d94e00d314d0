"""_mapping.py: a Cache where a dict was."""

from __future__ import annotations

import threading
from collections.abc import Mapping, MutableMapping

import pytest
from conftest import Child

import fincache


def test_the_protocol_of_dict(cache: fincache.Cache) -> None:
    """Setting, reading, in, del, len and iteration, as one writes them."""
    cache["a"] = 1
    cache[b"b"] = "two"
    assert cache["a"] == b"1"
    assert ("a" in cache, "c" in cache) == (True, False)
    assert len(cache) == 2
    assert sorted(cache) == [b"a", b"b"]
    del cache["a"]
    assert list(cache) == [b"b"]


def test_a_miss_is_a_key_error_that_names_the_key(cache: fincache.Cache) -> None:
    """cache[key], del and pop say which; the hint says what to do instead."""
    for attempt in (lambda: cache["AAPL"], lambda: cache.__delitem__("AAPL"), lambda: cache.pop("AAPL")):
        with pytest.raises(KeyError) as caught:
            attempt()
        assert isinstance(caught.value, fincache.NoSuchKey)
        assert "AAPL" in str(caught.value)
        assert "default" in caught.value.hint


def test_an_empty_cache_is_true(cache: fincache.Cache) -> None:
    """`if cache:` asks whether there is one, as with redis-py's client; len() says how many keys."""
    assert len(cache) == 0
    assert cache


def test_assignment_takes_the_expiry_away(cache: fincache.Cache) -> None:
    """As set does."""
    cache.set("a", 1, ex=100)
    cache["a"] = 2
    assert cache.ttl("a") == -1


def test_get_has_a_default(cache: fincache.Cache) -> None:
    """Any object, for a miss only."""
    cache["empty"] = b""
    assert cache.get("empty", 5) == b""
    assert cache.get("missing", 5) == 5
    assert cache.get("missing") is None


def test_pop_and_setdefault_are_one_step(cache: fincache.Cache) -> None:
    """pop deletes what it returns; setdefault writes only over nothing, and returns what get would show."""
    assert cache.setdefault("n", 1.5) == b"1.5"
    assert cache.setdefault("n", 2) == b"1.5"
    assert cache.pop("n") == b"1.5"
    assert cache.pop("n", None) is None
    assert cache.pop("n", "none") == "none"
    cache.set("long", b"x" * 100_000, ex=100)
    assert cache.setdefault("long", 1) == b"x" * 100_000
    assert cache.ttl("long") > 0
    assert cache.pop("long") == b"x" * 100_000


def test_each_value_is_popped_once(cache: fincache.Cache) -> None:
    """P4: two processes take the same 400 keys away; together they get each value once."""
    cache.mset({f"k{number}": number for number in range(400)})

    def take() -> None:
        mine = [number for number in range(400) if cache.pop(f"k{number}", None) is not None]
        cache.db(1).append("taken", b"".join(b"%d," % number for number in mine))

    for child in [Child(take), Child(take)]:
        child.join()
    taken = (cache.db(1).get("taken") or b"").split(b",")[:-1]
    assert sorted(map(int, taken)) == list(range(400))


def test_keys_are_a_list_and_take_a_pattern(cache: fincache.Cache) -> None:
    """Redis's keys(), each key once."""
    cache.mset({f"q:{number}": 1 for number in range(700)} | {"other": 1})
    assert len(cache.keys()) == 701
    assert sorted(cache.keys("q:1?")) == [b"q:%d" % number for number in range(10, 20)]
    assert cache.keys(b"other") == [b"other"]
    assert cache.keys("nothing*") == []


def test_items_and_values_are_read_in_batches(cache: fincache.Cache) -> None:
    """More keys than one batch; what is gone before its turn is left out."""
    expected = {b"k%d" % number: b"%d" % number for number in range(1000)}
    cache.mset(expected)
    assert dict(cache.items()) == expected
    assert sorted(cache.values()) == sorted(expected.values())
    assert {name: cache[name] for name in cache} == expected
    iterator = cache.items()
    seen = dict([next(iterator)])
    cache.flushdb()
    seen.update(iterator)
    assert seen.items() <= expected.items()
    assert len(seen) < 1000


def test_update_with_a_mapping_is_all_or_nothing(cache: fincache.Cache) -> None:
    """A dict, pairs, nothing at all."""
    cache.update({"a": 1, b"b": 2.5})
    cache.update([("c", "x"), (4, b"y")])
    cache.update({})
    cache.update(iter([]))
    assert dict(cache.items()) == {b"a": b"1", b"b": b"2.5", b"c": b"x", b"4": b"y"}
    with pytest.raises(fincache.InvalidType):
        cache.update({"new": 1, "bad": None})  # type: ignore[dict-item]
    assert "new" not in cache


def test_update_with_a_function_computes_from_the_old_value(cache: fincache.Cache) -> None:
    """The old value, or None; what it returns is stored and returned; None from it stores nothing."""
    assert cache.update("n", lambda old: int(old or 0) + 5) == b"5"
    assert cache.update("n", lambda old: int(old or 0) * 1.5) == b"7.5"
    assert cache.update("n", lambda old: None) == b"7.5"
    assert cache.update("missing", lambda old: None) is None
    assert "missing" not in cache
    assert cache["n"] == b"7.5"


def test_update_with_a_function_keeps_the_expiry_unless_told_otherwise(cache: fincache.Cache) -> None:
    """As incr does; ex and its kin set it, persist takes it away."""
    cache.set("n", 1, ex=1000)
    cache.update("n", lambda old: 2)
    assert 990 <= cache.ttl("n") <= 1000
    cache.update("n", lambda old: 3, ex=50)
    assert 40 <= cache.ttl("n") <= 50
    cache.update("n", lambda old: 4, persist=True)
    assert cache.ttl("n") == -1


def test_update_loses_nothing_between_processes(cache: fincache.Cache) -> None:
    """P4: three processes add to one key through update; every addition is there."""

    def add() -> None:
        for _ in range(700):
            cache.update("n", lambda old: int(old or 0) + 1)

    children = [Child(add) for _ in range(2)]
    add()
    for child in children:
        child.join()
    assert cache["n"] == b"2100"


def test_update_tries_again_and_gives_up_by_name(cache: fincache.Cache) -> None:
    """A write in between makes it start over with the new value; when all attempts are used, Contended."""
    seen: list[bytes | None] = []

    def disturbed(old: bytes | None) -> int:
        seen.append(old)
        if len(seen) < 3:
            cache.incr("n", 10)
        return int(old or 0) + 1

    assert cache.update("n", disturbed) == b"21"
    assert seen == [None, b"10", b"20"]
    with pytest.raises(fincache.Contended, match="each of 4 attempts") as caught:
        cache.update("n", lambda old: cache.incr("n"), attempts=4)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.hint
    assert cache["n"] == b"25"


def test_what_the_function_raises_leaves_the_key_as_it_is(cache: fincache.Cache) -> None:
    """The exception comes out as it is."""
    cache["n"] = 1
    with pytest.raises(ZeroDivisionError):
        cache.update("n", lambda old: 1 // 0)
    with pytest.raises(fincache.InvalidType):
        cache.update("n", lambda old: [old])  # type: ignore[arg-type, return-value]
    assert cache["n"] == b"1"


def test_update_from_threads(cache: fincache.Cache) -> None:
    """Threads of one process have sessions of their own, and lose nothing either."""

    def add() -> None:
        for _ in range(200):
            cache.update("n", lambda old: int(old or 0) + 1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache["n"] == b"800"


def test_a_cache_is_no_mapping_to_isinstance(cache: fincache.Cache) -> None:
    """keys() is Redis's list, so code that was promised a Mapping is not handed one that differs."""
    assert not isinstance(cache, (Mapping, MutableMapping))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda cache: cache.update("key"), fincache.InvalidType),
        (lambda cache: cache.update(5), fincache.InvalidType),
        (lambda cache: cache.update("key", None), fincache.InvalidType),
        (lambda cache: cache.update("key", 5), fincache.InvalidType),
        (lambda cache: cache.update([1, 2]), fincache.InvalidType),
        (lambda cache: cache.update({"a": 1}, lambda old: 1), fincache.InvalidType),
        (lambda cache: cache.update({"a": 1}, ex=5), fincache.InvalidArgument),
        (lambda cache: cache.update("a", lambda old: 1, ex=1, px=1), fincache.InvalidArgument),
        (lambda cache: cache.update("a", lambda old: 1, ex=0), fincache.InvalidArgument),
        (lambda cache: cache.update("a", lambda old: 1, ex=1, persist=True), fincache.InvalidArgument),
        (lambda cache: cache.update("a", lambda old: 1, attempts=0), fincache.InvalidArgument),
        (lambda cache: cache.update("a", lambda old: 1, attempts=1.5), fincache.InvalidType),
        (lambda cache: cache.setdefault("a", None), fincache.InvalidType),
        (lambda cache: cache[None], fincache.InvalidType),
        (lambda cache: None in cache, fincache.InvalidType),
        (lambda cache: cache[1:2], fincache.InvalidType),
    ],
)
def test_what_makes_no_sense_is_refused(cache: fincache.Cache, call: object, error: type[fincache.FinCacheError]) -> None:
    """By a TypeError or ValueError of ours with a hint; the function is not called, and nothing is written."""
    with pytest.raises(error) as caught:
        call(cache)  # type: ignore[operator]
    assert caught.value.hint
    assert cache.dbsize() == 0
