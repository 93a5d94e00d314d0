"""keyset.py: keys that are prepared once."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Sequence

import pytest
from conftest import Child

import fincache

SYMBOLS = [f"S{number:03d}" for number in range(300)]


@pytest.fixture
def board(cache: fincache.Cache) -> fincache.Cache:
    """A cache with a value for every other symbol, of lengths from none to beyond the first buffer of a read."""
    cache.mset({symbol: symbol * number for number, symbol in enumerate(SYMBOLS) if number % 2})
    return cache


def test_reading_with_a_keyset_is_reading_with_its_keys(board: fincache.Cache) -> None:
    """mget and get_many, again and again, also when values grow or go."""
    keyset = board.keyset(SYMBOLS)
    for _ in range(2):
        expected = board.mget(SYMBOLS)
        assert expected[3] == b"S003" * 3
        assert board.mget(keyset) == board.get_many(keyset) == expected
    board.set("S001", b"x" * 100_000)
    board.delete("S003")
    assert board.mget(keyset) == board.get_many(keyset) == board.mget(SYMBOLS)


def test_a_keyset_is_a_sequence_of_its_keys(cache: fincache.Cache) -> None:
    """bytes, as they would come back; index and in take a key in any form."""
    keyset = cache.keyset(["a", b"b", 3, 1.5, "b"])
    assert isinstance(keyset, Sequence)
    assert list(keyset) == [b"a", b"b", b"3", b"1.5", b"b"]
    assert (len(keyset), keyset[1], keyset[-1], keyset[1:3]) == (5, b"b", b"b", (b"b", b"3"))
    assert (keyset.index("b"), keyset.index(3), keyset.index(b"b", 2), keyset.count(b"b")) == (1, 2, 4, 2)
    assert ("a" in keyset, "missing" in keyset) == (True, False)
    assert next(reversed(keyset)) == b"b"
    for call in (lambda: keyset.index("missing"), lambda: keyset.index("a", 1)):
        with pytest.raises(ValueError, match="not in this KeySet"):
            call()
    with pytest.raises(IndexError):
        keyset[5]
    assert cache.mget(keyset) == [None] * 5


def test_a_keyset_is_immutable_and_hashable(cache: fincache.Cache) -> None:
    """Equal when segment, database and keys are."""
    names = ["a", "b"]
    keyset = cache.keyset(names)
    names.append("c")
    assert list(keyset) == [b"a", b"b"]
    assert keyset == cache.keyset(["a", "b"])
    assert hash(keyset) == hash(cache.keyset(["a", "b"]))
    assert keyset != cache.keyset(["b", "a"])
    assert keyset != cache.db(1).keyset(["a", "b"])
    assert keyset != ["a", "b"]
    assert repr(keyset) == f"<fincache.KeySet {cache.name!r} db=0 2 keys>"
    assert (keyset.segment, keyset.database) == (cache.name, 0)
    with pytest.raises(TypeError):
        keyset[0] = b"x"  # type: ignore[index]


def test_an_empty_keyset_reads_nothing(cache: fincache.Cache) -> None:
    """[] as for an empty list."""
    keyset = cache.keyset([])
    assert cache.mget(keyset) == cache.get_many(keyset) == []


def test_a_keyset_of_a_cache_of_str_holds_str(name: str) -> None:
    """And reads str."""
    with fincache.open(name, size="4MB", decode_responses=True) as cache:
        cache.set("ключ", "значение")
        keyset = cache.keyset(["ключ", b"b"])
        assert list(keyset) == ["ключ", "b"]
        assert cache.mget(keyset) == ["значение", None]
        assert keyset.index("ключ") == 0


def test_threads_share_a_keyset(board: fincache.Cache) -> None:
    """Each read has room of its own for its answers."""
    keyset = board.keyset(SYMBOLS)
    expected = board.mget(SYMBOLS)
    wrong: list[object] = []

    def read() -> None:
        for _ in range(30):
            values = board.get_many(keyset)
            if values != expected:
                wrong.append(values)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_child_of_fork_uses_its_parents_keyset(board: fincache.Cache) -> None:
    """P12: it holds no session."""
    keyset = board.keyset(SYMBOLS)
    expected = board.mget(keyset)

    def read() -> None:
        assert board.mget(keyset) == expected
        board.set("S000", "child")

    Child(read).join()
    assert board.mget(keyset)[0] == b"child"


def test_a_keyset_after_close(board: fincache.Cache) -> None:
    """P12: its keys are still known, reading raises Closed."""
    keyset = board.keyset(SYMBOLS)
    board.mget(keyset)
    board.close()
    assert keyset[0] == b"S000"
    for read in (board.mget, board.get_many):
        with pytest.raises(fincache.Closed):
            read(keyset)
    with pytest.raises(fincache.Closed):
        board.keyset(["a"])


def test_a_keyset_outlives_the_name_of_its_cache(name: str) -> None:
    """The last reference to the Cache is gone: the mapping stays as long as the KeySet may be used through a view."""
    cache = fincache.open(name, size="4MB")
    view, keyset = cache.db(0), cache.keyset(["a"])
    cache.set("a", 1)
    del cache
    assert view.mget(keyset) == [b"1"]
    view.close()


def test_a_keyset_is_refused_elsewhere(cache: fincache.Cache, new_name: Callable[[], str]) -> None:
    """Another database, another segment, another attachment: by name, with what to do."""
    keyset = cache.keyset(["a"])
    assert cache.db(0).mget(keyset) == [None]
    with fincache.attach(cache.name) as again, fincache.open(new_name(), size="1MB") as other:
        for wrong, detail in ((cache.db(1), "database 1"), (again, "another attachment"), (other, other.name)):
            for read in (wrong.mget, wrong.get_many):
                with pytest.raises(fincache.InvalidArgument, match=detail) as caught:
                    read(keyset)
                assert "keyset()" in caught.value.hint


@pytest.mark.parametrize("keys", ["abc", b"abc", 5, None, [None], [True], [["a"]]])
def test_what_is_no_list_of_keys_is_refused(cache: fincache.Cache, keys: object) -> None:
    """A str is one key, not a list of its letters."""
    with pytest.raises(fincache.InvalidType) as caught:
        cache.keyset(keys)  # type: ignore[arg-type]
    assert caught.value.hint


def test_keys_that_cannot_be(cache: fincache.Cache) -> None:
    """Too long; more keys beside a KeySet."""
    with pytest.raises(fincache.KeyTooLong):
        cache.keyset(["a", "k" * 65537])
    with pytest.raises(fincache.InvalidArgument, match="after a KeySet"):
        cache.mget(cache.keyset(["a"]), "b")
    with pytest.raises(fincache.InvalidType) as caught:
        pickle.dumps(cache.keyset(["a"]))
    assert "list(keyset)" in caught.value.hint


def test_mget_with_a_keyset_is_one_cut(cache: fincache.Cache) -> None:
    """P5: another process sets 12 keys to one number at a time; mget never sees two numbers."""
    keyset = cache.keyset(SYMBOLS[:12])
    cache.mset(dict.fromkeys(keyset, 0))

    def write() -> None:
        for number in range(1, 1500):
            cache.mset(dict.fromkeys(keyset, number))

    child = Child(write)
    cuts = 0
    while child.is_running():
        try:
            values = cache.mget(keyset)
        except fincache.Contended:
            continue
        assert len(set(values)) == 1
        cuts += 1
    child.join()
    assert cuts > 0
