"""Bad input: each a named exception with a hint, and the segment untouched."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import pytest
from conftest import SHM, Child, refused

import fincache

NOBODY = 65534


# ------------------------------------------------------------------ segments


@pytest.mark.parametrize("bad", ["", "a/b", "../a", ".hidden", "-x", "a b", "a\0b", "é", "x" * 65, "a\n"])
@pytest.mark.parametrize("function", [fincache.open, fincache.attach, fincache.unlink])
def test_a_wrong_name(function: Callable[[str], object], bad: str) -> None:
    """No function gets anywhere with one, and nothing is created."""
    before = set(SHM.iterdir())
    with refused(fincache.InvalidName):
        function(bad)
    assert set(SHM.iterdir()) <= before


@pytest.mark.parametrize("bad", [None, 5, b"bytes"])
def test_a_name_that_is_no_text(bad: object) -> None:
    """A TypeError, as Python's users expect."""
    with refused(fincache.InvalidType):
        fincache.open(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 1, 4096, (1 << 20) - 1, "1k", "0MB"])
def test_a_size_that_is_too_small(name: str, size: int | str) -> None:
    """Nothing is created."""
    with refused(fincache.SizeTooSmall):
        fincache.open(name, size=size)
    assert not (SHM / f"fincache.{name}").exists()


def test_a_size_larger_than_dev_shm(name: str) -> None:
    """P8: an error now, and no half-built object; not a SIGBUS later."""
    room = os.statvfs(SHM)
    with refused(fincache.NoSpace):
        fincache.open(name, size=room.f_blocks * room.f_frsize + (1 << 30))
    assert not (SHM / f"fincache.{name}").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"size": "many"},
        {"size": "-1MB"},
        {"size": -5},
        {"size": 1 << 70},
        {"size": "1tb"},
        {"databases": 0},
        {"databases": 65},
        {"sessions_max": 15},
        {"sessions_max": 5000},
        {"policy": "lru-ish"},
        {"mode": 0o1777},
        {"mode": -1},
        {"group": "no such group"},
        {"group": -7},
        {"keys": 0},
        {"item_bytes": -1},
        {"value_bytes_max": 1 << 31},
        {"value_bytes_max": 0},
        {"timeout_ms": -1},
        {"timeout_ms": float("nan")},
        {"db": 16},
        {"db": -1},
    ],
    ids=str,
)
def test_options_out_of_range(name: str, options: dict[str, object]) -> None:
    """Each is refused by name."""
    with refused(fincache.InvalidArgument):
        fincache.open(name, **({"size": "1MB"} | options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"size": 1.5}, {"size": None}, {"databases": "16"}, {"mode": True}, {"timeout_ms": "100"}, {"db": 1.0}], ids=str
)
def test_options_of_a_wrong_type(name: str, options: dict[str, object]) -> None:
    """A TypeError that names the option."""
    with refused(fincache.InvalidType):
        fincache.open(name, **({"size": "1MB"} | options))  # type: ignore[arg-type]


def test_a_segment_that_is_missing(name: str) -> None:
    """attach and unlink do not create."""
    for function in (fincache.attach, fincache.unlink):
        with refused(fincache.SegmentMissing):
            function(name)
    assert not (SHM / f"fincache.{name}").exists()


def damage(name: str, change: Callable[[bytearray], None]) -> bytes:
    """Rewrites the object's first page; a digest of what it is then."""
    path = SHM / f"fincache.{name}"
    with path.open("r+b") as file:
        page = bytearray(file.read(4096))
        change(page)
        file.seek(0)
        file.write(page)
    return hashlib.sha256(path.read_bytes()).digest()


@pytest.mark.parametrize("readonly", [False, True])
def test_an_object_that_is_not_ours(name: str, readonly: bool) -> None:
    """P11: it is left alone, by open too."""
    path = SHM / f"fincache.{name}"
    for content in (b"", b"short", b"x" * (2 << 20)):
        path.write_bytes(content)
        with pytest.raises((fincache.ForeignSegment, fincache.TruncatedSegment)):
            fincache.attach(name, readonly=readonly)
        with pytest.raises((fincache.ForeignSegment, fincache.TruncatedSegment)):
            fincache.open(name, size="1MB")
        assert path.read_bytes() == content


def test_a_segment_that_was_truncated(name: str) -> None:
    """P11: it is refused before anything of it is used."""
    fincache.open(name, size="2MB").close()
    path = SHM / f"fincache.{name}"
    os.truncate(path, path.stat().st_size // 2)
    for readonly in (False, True):
        with refused(fincache.TruncatedSegment):
            fincache.attach(name, readonly=readonly)


def test_a_segment_with_a_damaged_header(name: str) -> None:
    """P11: one changed bit of the header is noticed, and attaching repairs nothing."""
    fincache.open(name, size="1MB").close()
    for offset in range(0, 64, 8):
        digest = damage(name, lambda page, offset=offset: page.__setitem__(offset, page[offset] ^ 1))  # type: ignore[misc]
        with pytest.raises(fincache.FinCacheError) as caught:
            fincache.attach(name)
        assert type(caught.value) in (
            fincache.ForeignSegment,
            fincache.CorruptSegment,
            fincache.LayoutNewer,
            fincache.LayoutOlder,
            fincache.TruncatedSegment,
        )
        assert caught.value.hint
        assert digest == damage(name, lambda page: None)
        damage(name, lambda page, offset=offset: page.__setitem__(offset, page[offset] ^ 1))  # type: ignore[misc]
    fincache.attach(name).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_a_segment_of_somebody_else(cache: fincache.Cache, name: str, new_name: Callable[[], str]) -> None:
    """P6: without permission there is PermissionDenied; with permission to read, read-only works and writing does not."""
    public = new_name()
    with fincache.open(public, size="1MB", mode=0o644) as shared:
        shared.set("a", 1)

    def stranger() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        for readonly in (False, True):
            with refused(fincache.PermissionDenied):
                fincache.attach(name, readonly=readonly)
        with refused(fincache.PermissionDenied):
            fincache.unlink(name)
        with refused(fincache.PermissionDenied):
            fincache.attach(public)
        assert name not in fincache.segments()
        assert public in fincache.segments()
        with fincache.attach(public, readonly=True) as reader:
            assert reader.get("a") == b"1"
            with refused(fincache.ReadOnly):
                reader.set("a", 2)

    Child(stranger).join()
    with fincache.attach(public) as shared:
        assert shared.get("a") == b"1"


# ------------------------------------------------------------------ keys and values


def test_a_key_that_is_too_long(untouched: fincache.Cache) -> None:
    """64 KiB is the limit, for reading and writing."""
    key = b"k" * 65537
    for attempt in (
        lambda: untouched.get(key),
        lambda: untouched.set(key, 1),
        lambda: untouched.mget([b"text", key]),
        lambda: untouched.mset({b"text": 1, key: 1}),
        lambda: untouched.rename("text", key),
        lambda: untouched.delete(key),
    ):
        with refused(fincache.KeyTooLong):
            attempt()


def test_a_value_that_is_too_long(name: str) -> None:
    """value_bytes_max is the limit, however a value comes to be."""
    with fincache.open(name, size="4MB", value_bytes_max=1000) as cache:
        cache.set("a", b"x" * 1000)
        for attempt in (
            lambda: cache.set("a", b"x" * 1001),
            lambda: cache.set("a", b"x" * 1001, get=True),
            lambda: cache.append("a", b"x"),
            lambda: cache.setrange("a", 1000, b"x"),
            lambda: cache.mset({"b": 1, "a": b"x" * 1001}),
        ):
            with refused(fincache.ValueTooLong):
                attempt()
        assert cache.mget("a", "b") == [b"x" * 1000, None]


@pytest.mark.parametrize("bad", [None, True, [b"a"], {"a": 1}, object()], ids=str)
def test_a_key_or_value_of_a_wrong_type(untouched: fincache.Cache, bad: object) -> None:
    """A TypeError, as in redis-py (DataError), for every command that takes one."""
    for attempt in (
        lambda: untouched.get(bad),  # type: ignore[arg-type]
        lambda: untouched.set(bad, 1),  # type: ignore[call-overload]
        lambda: untouched.set("text", bad),  # type: ignore[call-overload]
        lambda: untouched.mget(["text", bad]),  # type: ignore[list-item]
        lambda: untouched.mset({"new": 1, "text": bad}),  # type: ignore[dict-item]
        lambda: untouched.append("text", bad),  # type: ignore[arg-type]
        lambda: untouched.delete(bad),  # type: ignore[arg-type]
        lambda: untouched.cas("text", bad, 1),  # type: ignore[arg-type]
    ):
        with refused(fincache.InvalidType):
            attempt()


@pytest.mark.parametrize("text", ["", " 1", "1 ", "01", "+1", "1.0", "0x10", "9223372036854775808", "1\0", "-0", "abc"])
def test_a_value_that_is_no_integer(cache: fincache.Cache, text: str) -> None:
    """What Redis does not count as one."""
    cache.set("a", text)
    with refused(fincache.NotAnInteger):
        cache.incr("a")
    with refused(fincache.NotAnInteger):
        cache.decr("a", 5)
    assert cache.get("a") == text.encode()


@pytest.mark.parametrize("text", ["", " 1", "1 ", "abc", "1.5x", "1\0"])
def test_a_value_that_is_no_number(cache: fincache.Cache, text: str) -> None:
    """For incrbyfloat."""
    cache.set("a", text)
    with refused(fincache.NotAFloat):
        cache.incrbyfloat("a", 1.5)
    assert cache.get("a") == text.encode()


def test_counting_beyond_64_bits(untouched: fincache.Cache) -> None:
    """The key keeps its value."""
    with refused(fincache.IncrementOverflow):
        untouched.incr("big")
    with refused(fincache.IncrementOverflow):
        untouched.decr("big", -5)
    for amount in (1 << 63, -(1 << 63) - 1):
        with refused(fincache.InvalidArgument):
            untouched.incr("text", amount)
    with refused(fincache.InvalidArgument):
        untouched.decr("text", -(1 << 63))
    for wrong in (1.5, "1", None, True):
        with refused(fincache.InvalidType):
            untouched.incr("new", wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), float("-inf")])
def test_adding_what_is_no_finite_number(untouched: fincache.Cache, amount: float) -> None:
    """NotAFloat, as Redis says."""
    with refused(fincache.NotAFloat):
        untouched.incrbyfloat("float", amount)
    with refused(fincache.InvalidType):
        untouched.incrbyfloat("float", "1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"nx": True, "xx": True},
        {"ex": 1, "px": 1},
        {"ex": 1, "exat": 1 << 31},
        {"px": 1, "keepttl": True},
        {"ex": 0},
        {"ex": -1},
        {"px": 0},
        {"exat": 0},
        {"pxat": -5},
        {"ex": 1 << 60},
        {"ex": float("inf")},
        {"px": float("nan")},
        {"exat": 1 << 60},
    ],
    ids=str,
)
def test_options_of_set_that_make_no_sense(untouched: fincache.Cache, options: dict[str, float]) -> None:
    """Two expiries, an expiry of 0 or less, or beyond what a clock shows."""
    with refused(fincache.InvalidArgument):
        untouched.set("text", 1, **options)  # type: ignore[call-overload]
    with refused(fincache.InvalidArgument):
        untouched.records("f8").set("text", 1, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"ex": "1"}, {"px": True}, {"exat": "tomorrow"}, {"pxat": b"1"}], ids=str)
def test_expiries_of_a_wrong_type(untouched: fincache.Cache, options: dict[str, object]) -> None:
    """A TypeError that names the option."""
    with refused(fincache.InvalidType):
        untouched.set("text", 1, **options)  # type: ignore[call-overload]


def test_conditions_of_expire_that_exclude_each_other(untouched: fincache.Cache) -> None:
    """nx with another one, gt with lt; and a time out of range."""
    for options in ({"nx": True, "xx": True}, {"nx": True, "gt": True}, {"gt": True, "lt": True}):
        with refused(fincache.InvalidArgument):
            untouched.expire("text", 10, **options)
    with refused(fincache.InvalidArgument):
        untouched.expire("text", 1 << 60)
    with refused(fincache.InvalidType):
        untouched.expire("text", "10")  # type: ignore[arg-type]


def test_arguments_out_of_range(untouched: fincache.Cache) -> None:
    """Offsets, versions, cursors, databases, policies, empty mappings."""
    attempts: list[Callable[[], object]] = [
        lambda: untouched.setrange("text", -1, "x"),
        lambda: untouched.cas("text", 1, -1),
        lambda: untouched.cas("text", 1, 1 << 64),
        lambda: untouched.scan(-1),
        lambda: untouched.scan(0, count=0),
        lambda: untouched.db(16),
        lambda: untouched.db(-1),
        lambda: untouched.copy("text", "x", destination_db=64),
        lambda: untouched.copy("text", "x", destination_db=16),
        lambda: untouched.set_policy("nonsense"),  # type: ignore[arg-type]
        lambda: untouched.mset({}),
    ]
    for attempt in attempts:
        with pytest.raises(fincache.InvalidArgument):
            attempt()
    with refused(fincache.InvalidType):
        untouched.mset([("a", 1)])  # type: ignore[arg-type]
    with refused(fincache.InvalidType):
        untouched.getrange("text", 0, None)  # type: ignore[arg-type]


def test_too_many_keys_in_one_write(cache: fincache.Cache) -> None:
    """Nothing of it is written."""
    with refused(fincache.TooManyKeys):
        cache.mset(dict.fromkeys(range(65_553), 0))
    assert cache.dbsize() == 0
