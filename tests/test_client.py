"""client.py and _keyspace.py: the commands, as redis-py has them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
from conftest import Child

import fincache

LARGE = [0, 1, 4095, 4096, 4097, 32768, 70_001, 1_000_000]
WAIT_SECONDS_MAX = 30


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits for something that must come; the limit is a watchdog."""
    limit = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.001)


# ------------------------------------------------------------------ one value


def test_the_example_of_the_readme(cache: fincache.Cache) -> None:
    """Set a number for a while, read its text."""
    assert cache.set("AAPL:last", 150.25, ex=1.5) is True
    assert cache.get("AAPL:last") == b"150.25"


def test_a_miss_is_none(cache: fincache.Cache) -> None:
    """Not found is an answer."""
    assert cache.get("nothing") is None
    assert cache.entry("nothing") is None


@pytest.mark.parametrize("value_bytes", LARGE)
def test_values_of_every_length_come_back(cache: fincache.Cache, value_bytes: int) -> None:
    """Below, at and above the length of the buffer that is tried first; the empty value too."""
    value = os.urandom(value_bytes)
    assert cache.set("a", value) is True
    assert cache.get("a") == value
    assert cache.strlen("a") == value_bytes
    assert cache.getrange("a", 0, -1) == value
    assert cache.mget("a", "a") == [value, value]
    entry = cache.entry("a")
    assert entry is not None
    assert entry.value == value
    assert cache.set("a", b"", get=True) == value


@pytest.mark.parametrize("key", [b"", b"\x00", b"a\x00b", "ключ", b"k" * 65536, 17, 1.5])
def test_keys_are_any_bytes(cache: fincache.Cache, key: bytes | str | int | float) -> None:
    """The empty key, NUL, UTF-8, 64 KiB, numbers."""
    cache.set(key, b"v")
    assert cache.get(key) == b"v"
    assert cache.exists(key) == 1
    assert cache.delete(key) == 1
    assert cache.exists(key) == 0


def test_set_returns_true_none_or_the_old_value(cache: fincache.Cache) -> None:
    """The return values of redis-py's set with nx, xx and get."""
    assert cache.set("a", 1, xx=True) is None
    assert cache.get("a") is None
    assert cache.set("a", 1, nx=True) is True
    assert cache.set("a", 2, nx=True) is None
    assert cache.get("a") == b"1"
    assert cache.set("a", 3, xx=True) is True
    assert cache.set("a", 4, get=True) == b"3"
    assert cache.set("a", 5, nx=True, get=True) == b"4"
    assert cache.get("a") == b"4"
    assert cache.set("b", 1, get=True) is None
    assert cache.get("b") == b"1"
    assert cache.set("c", 1, xx=True, get=True) is None
    assert cache.get("c") is None


def test_set_takes_the_expiry_away_unless_told_to_keep_it(cache: fincache.Cache) -> None:
    """keepttl, as in Redis."""
    cache.set("a", 1, ex=1000)
    cache.set("a", 2, keepttl=True)
    assert 0 < cache.ttl("a") <= 1000
    cache.set("a", 3)
    assert cache.ttl("a") == -1


@pytest.mark.parametrize("options", [{"ex": 1000}, {"px": 1_000_000}, {"ex": timedelta(seconds=1000)}, {"ex": 1000.0}])
def test_relative_expiries(cache: fincache.Cache, options: dict[str, int]) -> None:
    """ex in seconds, px in milliseconds, either as a timedelta."""
    cache.set("a", 1, **options)  # type: ignore[call-overload]
    assert 990 <= cache.ttl("a") <= 1000
    assert 990_000 <= cache.pttl("a") <= 1_000_000


def test_instants_of_expiry(cache: fincache.Cache) -> None:
    """exat in seconds since 1970 or a datetime, pxat in milliseconds; a past one deletes."""
    moment = datetime.now(timezone.utc) + timedelta(seconds=1000)
    cache.set("a", 1, exat=int(moment.timestamp()))
    cache.set("b", 1, pxat=int(moment.timestamp() * 1000))
    cache.set("c", 1, exat=moment)
    entry = cache.entry("c")
    assert entry is not None
    assert entry.expires_unix_ns == int(moment.timestamp()) * 10**9 + moment.microsecond * 1000
    assert all(990 <= cache.ttl(key) <= 1000 for key in "abc")
    assert cache.set("a", 1, exat=1) is True
    assert cache.get("a") is None


def test_a_key_goes_when_its_time_has_come(cache: fincache.Cache) -> None:
    """Lazily, for every command, without a daemon (P9)."""
    cache.set("a", 1, px=1)
    wait_until(lambda: cache.get("a") is None)
    assert cache.exists("a") == 0
    assert cache.ttl("a") == cache.pttl("a") == -2
    assert cache.type("a") == b"none"
    assert cache.set("a", 2, nx=True) is True


def test_entry_tells_age_version_expiry_and_writer(cache: fincache.Cache) -> None:
    """All from one instant."""
    before = time.time_ns()
    cache.set("a", "x", ex=1000)
    first = cache.entry("a")
    assert first is not None
    assert (first.value, first.writer) == (b"x", "alive")
    assert abs(first.written_unix_ns - before) < 60 * 10**9
    assert 0 <= first.age_ns < 60 * 10**9
    assert first.ttl_ns is not None
    assert first.ttl == first.ttl_ns / 1e9
    assert 900 < first.ttl <= 1000
    cache.set("a", "x")
    second = cache.entry("a")
    assert second is not None
    assert second.version != first.version
    assert second.ttl is None
    assert second.expires_unix_ns is None


def test_cas_stores_only_over_the_version_it_was_given(cache: fincache.Cache) -> None:
    """The new version is returned, None for another one by now; 0 means: must be missing."""
    version = cache.cas("a", "one", 0)
    assert version
    assert cache.cas("a", "two", 0) is None
    newer = cache.cas("a", "two", version)
    assert newer not in (None, version)
    assert cache.cas("a", "three", version) is None
    assert cache.get("a") == b"two"
    entry = cache.entry("a")
    assert entry is not None
    assert entry.version == newer
    assert cache.cas("a", "three", entry.version, ex=100) is not None
    assert cache.ttl("a") > 0


# ------------------------------------------------------------------ many values


def test_mget_takes_keys_in_every_form(cache: fincache.Cache) -> None:
    """A list, arguments, both; one key; an iterable; none."""
    cache.mset({"a": 1, "b": 2})
    expected = [b"1", b"2", None]
    assert cache.mget(["a", "b", "c"]) == expected
    assert cache.mget("a", "b", "c") == expected
    assert cache.mget(["a"], "b", "c") == expected
    assert cache.mget(iter("abc")) == expected
    assert cache.get_many("a", "b", "c") == expected
    assert cache.mget("a") == [b"1"]
    assert cache.mget([]) == []
    assert cache.mget("a", "a") == [b"1", b"1"]


def test_mset_sets_all_and_takes_expiries_away(cache: fincache.Cache) -> None:
    """As in Redis; keys and values of any type."""
    cache.set("a", 0, ex=1000)
    mixed: dict[str | bytes | int, str | int | float] = {"a": 1, b"b": 2.5, 3: "drei"}
    assert cache.mset(mixed) is True
    assert cache.mget("a", "b", "3") == [b"1", b"2.5", b"drei"]
    assert cache.ttl("a") == -1


def test_msetnx_sets_all_or_nothing(cache: fincache.Cache) -> None:
    """One key that exists is enough to write none."""
    cache.set("a", 0)
    assert cache.msetnx({"a": 1, "b": 1}) is False
    assert cache.mget("a", "b") == [b"0", None]
    assert cache.msetnx({"b": 1, "c": 1}) is True
    assert cache.mget("b", "c") == [b"1", b"1"]


def test_mget_is_one_cut_through_concurrent_msets(cache: fincache.Cache) -> None:
    """P5: another process sets 12 keys to one number at a time; mget never sees two numbers."""
    keys = [f"k{index}" for index in range(12)]
    cache.mset(dict.fromkeys(keys, 0))

    def write() -> None:
        for number in range(1, 2_000):
            cache.mset(dict.fromkeys(keys, number))

    child = Child(write)
    cuts = 0
    while child.is_running():
        try:
            values = cache.mget(keys)
        except fincache.Contended:
            continue
        assert len(set(values)) == 1
        cuts += 1
    child.join()
    assert cuts > 0
    assert set(cache.mget(keys)) == {b"1999"}


def test_a_reader_sees_the_parts_of_a_value_together(cache: fincache.Cache) -> None:
    """P3: another process writes values whose halves are equal; get never sees two different ones."""

    def write() -> None:
        for number in range(20_000):
            half = b"%06d" % number * (number % 40)
            cache.set("a", half + half)

    child = Child(write)
    while child.is_running():
        value = cache.get("a") or b""
        assert value[: len(value) // 2] == value[len(value) // 2 :]
    child.join()


# ------------------------------------------------------------------ numbers


def test_counting(cache: fincache.Cache) -> None:
    """incr, incrby, decr, decrby from nothing, with any amount."""
    assert cache.incr("n") == 1
    assert cache.incr("n", 10) == 11
    assert cache.incrby("n", -1) == 10
    assert cache.decr("n") == 9
    assert cache.decrby("n", 10) == -1
    assert cache.get("n") == b"-1"
    cache.set("n", (1 << 63) - 2)
    assert cache.incr("n") == (1 << 63) - 1


def test_counting_keeps_the_expiry(cache: fincache.Cache) -> None:
    """As in Redis."""
    cache.set("n", 1, ex=1000)
    cache.incr("n")
    cache.incrbyfloat("n", 0.5)
    cache.append("n", "0")
    assert cache.ttl("n") > 0
    assert cache.get("n") == b"2.50"


def test_adding_decimal_fractions_does_not_drift(cache: fincache.Cache) -> None:
    """0.1 is the decimal number, not the double next to it: ten of them are 1."""
    for _ in range(10):
        last = cache.incrbyfloat("f", 0.1)
    assert last == 1.0
    assert cache.get("f") == b"1"
    assert cache.incrbyfloat("f", -2) == -1.0
    assert cache.incrbyfloat("g") == 1.0
    cache.set("h", "3.0e3")
    assert cache.incrbyfloat("h", 200) == 3200.0
    assert cache.get("h") == b"3200"


def test_counting_from_many_processes_loses_nothing(cache: fincache.Cache) -> None:
    """P4: increments are atomic between processes."""

    def count() -> None:
        for _ in range(2_000):
            cache.incr("n")

    for child in [Child(count) for _ in range(3)]:
        child.join()
    assert cache.get("n") == b"6000"


# ------------------------------------------------------------------ parts of a value


def test_append_and_ranges(cache: fincache.Cache) -> None:
    """As Redis counts, negative positions included."""
    assert cache.append("a", "Hello") == 5
    assert cache.append("a", b" World") == 11
    assert cache.strlen("a") == 11
    assert cache.strlen("missing") == 0
    assert cache.getrange("a", 0, 4) == b"Hello"
    assert cache.getrange("a", -5, -1) == b"World"
    assert cache.getrange("a", 5, 2) == b""
    assert cache.getrange("a", 6, 10_000) == b"World"
    assert cache.getrange("missing", 0, -1) == b""
    assert cache.setrange("a", 6, "Redis") == 11
    assert cache.get("a") == b"Hello Redis"
    assert cache.setrange("b", 3, "x") == 4
    assert cache.get("b") == b"\0\0\0x"


# ------------------------------------------------------------------ keys


def test_deleting_and_counting_keys(cache: fincache.Cache) -> None:
    """delete, exists and touch say how many; exists counts repetitions."""
    cache.mset({"a": 1, "b": 2, "c": 3})
    assert cache.exists("a", "b", "x", "a") == 3
    assert cache.touch("a", "x") == 1
    assert cache.delete("a", "b", "x") == 2
    assert cache.delete() == 0
    assert cache.dbsize() == 1


def test_types(cache: fincache.Cache) -> None:
    """bytes, as redis-py without decode_responses."""
    cache.set("a", 1)
    assert cache.type("a") == b"string"
    assert cache.type("b") == b"none"


def test_expire_says_whether_there_was_a_key(cache: fincache.Cache) -> None:
    """True, or False without a key; ttl counts down from there."""
    assert cache.expire("a", 10) is False
    cache.set("a", 1)
    assert cache.ttl("a") == cache.pttl("a") == -1
    assert cache.expire("a", 1000) is True
    assert 990 <= cache.ttl("a") <= 1000
    assert cache.pexpire("a", timedelta(seconds=500)) is True
    assert 490 <= cache.ttl("a") <= 500
    assert cache.expireat("a", int(time.time()) + 2000) is True
    assert 1990 <= cache.ttl("a") <= 2000
    assert cache.pexpireat("a", datetime.now() + timedelta(seconds=3000)) is True
    assert 2990 <= cache.ttl("a") <= 3000
    assert cache.persist("a") is True
    assert cache.persist("a") is False
    assert cache.persist("b") is False


@pytest.mark.parametrize(
    ("present", "condition", "seconds", "changed"),
    [
        (None, {"nx": True}, 100, True),
        (50, {"nx": True}, 100, False),
        (None, {"xx": True}, 100, False),
        (50, {"xx": True}, 100, True),
        (50, {"gt": True}, 100, True),
        (50, {"gt": True}, 20, False),
        (None, {"gt": True}, 100, False),
        (50, {"lt": True}, 20, True),
        (50, {"lt": True}, 100, False),
        (None, {"lt": True}, 100, True),
        (50, {"xx": True, "gt": True}, 100, True),
        (None, {"xx": True, "lt": True}, 100, False),
    ],
)
def test_conditions_of_expire(
    cache: fincache.Cache, present: int | None, condition: dict[str, bool], seconds: int, changed: bool
) -> None:
    """nx, xx, gt and lt as in Redis 7; no expiry counts as infinite."""
    cache.set("a", 1, ex=present)
    assert cache.expire("a", seconds, **condition) is changed
    expected = seconds if changed else (present or -1)
    assert expected - 10 <= cache.ttl("a") <= expected


@pytest.mark.parametrize("seconds", [0, -1, -(10**6), timedelta(days=-1)])
def test_an_expiry_in_the_past_deletes(cache: fincache.Cache, seconds: int | timedelta) -> None:
    """And counts as done."""
    cache.set("a", 1)
    assert cache.expire("a", seconds) is True
    assert cache.exists("a") == 0


def test_rename_moves_value_and_expiry(cache: fincache.Cache) -> None:
    """The target's old value goes; renamenx refuses then."""
    cache.set("a", 1, ex=1000)
    cache.set("b", 2)
    assert cache.renamenx("a", "b") is False
    assert cache.rename("a", "b") is True
    assert cache.mget("a", "b") == [None, b"1"]
    assert cache.ttl("b") > 0
    assert cache.renamenx("b", "c") is True
    assert cache.get("c") == b"1"
    assert cache.rename("c", "c") is True
    assert cache.get("c") == b"1"


@pytest.mark.parametrize("rename", ["rename", "renamenx"])
def test_renaming_what_is_missing_is_an_error(cache: fincache.Cache, rename: str) -> None:
    """The one miss that is no answer, in Redis too; the target stays."""
    cache.set("b", 2)
    with pytest.raises(fincache.NoSuchKey, match="no such key: b'a'"):
        getattr(cache, rename)("a", "b")
    assert cache.get("b") == b"2"


def test_copy_within_and_between_databases(cache: fincache.Cache) -> None:
    """Value and expiry, never over an existing key unless told to."""
    cache.set("a", 1, ex=1000)
    assert cache.copy("x", "b") is False
    assert cache.copy("a", "b") is True
    assert cache.ttl("b") > 0
    cache.set("b", 2)
    assert cache.copy("a", "b") is False
    assert cache.get("b") == b"2"
    assert cache.copy("a", "b", replace=True) is True
    assert cache.get("b") == b"1"
    assert cache.copy("a", "a", destination_db=3) is True
    assert cache.db(3).get("a") == b"1"


# ------------------------------------------------------------------ the key space


def test_scan_returns_every_key_that_stays(cache: fincache.Cache) -> None:
    """From cursor 0 back to cursor 0, whatever the step."""
    keys = {b"key:%d" % index for index in range(1000)}
    cache.mset(dict.fromkeys(keys, 0))
    for count in (1, 10, 5000):
        found: list[bytes] = []
        cursor, calls = 0, 0
        while calls == 0 or cursor != 0:
            cursor, some = cache.scan(cursor, count=count)
            found += some
            calls += 1
        assert set(found) == keys
    assert set(cache.scan_iter()) == keys
    assert cache.dbsize() == 1000


def test_scan_while_keys_come_and_go(cache: fincache.Cache) -> None:
    """Keys that stay are all seen though others are written and deleted between the steps."""
    stay = {b"stay:%d" % index for index in range(300)}
    cache.mset(dict.fromkeys(stay, 0))
    found = set()
    for number, key in enumerate(cache.scan_iter(count=5)):
        found.add(key)
        cache.set(f"come:{number}", "x" * (number % 500))
        cache.delete(f"come:{number // 2}")
    assert found >= stay


def test_scan_filters_by_pattern_and_type(cache: fincache.Cache) -> None:
    """match is Redis's, on bytes; _type is the name of a type."""
    cache.mset({"quote:AAPL": 1, "quote:MSFT": 1, "trade:AAPL": 1})
    assert sorted(cache.scan_iter("quote:*")) == [b"quote:AAPL", b"quote:MSFT"]
    assert sorted(cache.scan_iter(match=b"*:[A-L]*")) == [b"quote:AAPL", b"trade:AAPL"]
    assert len(list(cache.scan_iter(_type="STRING"))) == 3
    assert list(cache.scan_iter(_type="hash")) == []
    assert len(list(cache.scan_iter(_type=cache.type("quote:AAPL")))) == 3  # type() gives bytes
    assert len(cache.scan(0, count=1000, _type=b"String")[1]) == 3
    with pytest.raises(fincache.InvalidType, match="_type is int"):
        cache.scan(0, _type=5)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["expire", "pexpire"])
def test_flags_of_expire_count_by_their_truth(cache: fincache.Cache, method: str) -> None:
    """None is no flag; 2 and -1 are the flag they stand for, and no other."""
    expire = getattr(cache, method)
    cache.set("a", 1)
    assert expire("a", 50_000, xx=2) is False
    assert expire("a", 50_000, nx=2) is True
    assert expire("a", 50_000, nx=-1) is False
    assert expire("a", 60_000, nx=None, xx=None, gt=-1, lt=0) is True
    assert expire("a", 60_000, nx=None) is True


def test_times_and_amounts_may_be_numbers_of_numpy(cache: fincache.Cache) -> None:
    """An amount or a time is a number wherever it comes from; a bool is none, whosever it is."""
    np = pytest.importorskip("numpy")
    assert cache.set("a", 1, ex=np.int64(100)) is True
    assert 90 < cache.ttl("a") <= 100
    assert cache.expire("a", np.float32(50.5)) is True
    assert 40 < cache.ttl("a") <= 51
    assert cache.get("a", max_age=np.float32(30)) == b"1"
    assert cache.incrbyfloat("a", np.float32(0.5)) == 1.5
    assert cache.incrbyfloat("a", np.int64(2)) == 3.5
    for bad in (True, np.bool_(True), "3"):
        with pytest.raises(fincache.InvalidType):
            cache.expire("a", bad)
        with pytest.raises(fincache.InvalidType):
            cache.incrbyfloat("a", bad)


def test_after_unlink_open_sessions_and_readers_go_on_and_new_sessions_are_refused(name: str) -> None:
    """What the guide says of unlink."""
    with (
        fincache.open(name, "4MB") as used,
        fincache.attach(name) as unused,
        fincache.attach(name, readonly=True) as reader,
    ):
        used.set("a", 1)
        fincache.unlink(name)
        assert used.set("a", 2) is True
        assert reader.get("a") == b"2"
        with pytest.raises(fincache.SegmentRetired):
            unused.get("a")
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(reader.get, "a").result() == b"2"
            with pytest.raises(fincache.SegmentRetired):
                pool.submit(used.get, "a").result()


def test_randomkey_is_a_key(cache: fincache.Cache) -> None:
    """Or None when there is none."""
    assert cache.randomkey() is None
    cache.set("a" * 10_000, 1)
    assert cache.randomkey() == b"a" * 10_000
    keys = {b"key:%d" % index for index in range(100)}
    cache.mset(dict.fromkeys(keys, 0))
    drawn = {cache.randomkey() for _ in range(300)}
    assert drawn <= keys | {b"a" * 10_000}
    assert len(drawn) > 20


def test_flushing_empties_one_database_or_all(cache: fincache.Cache) -> None:
    """At once, and keys may come back."""
    other = cache.db(1)
    cache.set("a", 1)
    other.set("a", 1)
    assert cache.flushdb() is True
    assert (cache.get("a"), other.get("a")) == (None, b"1")
    assert (cache.dbsize(), other.dbsize()) == (0, 1)
    cache.set("a", 2)
    assert cache.flushall() is True
    assert (cache.get("a"), other.get("a")) == (None, None)
    assert list(cache.scan_iter()) == []


# ------------------------------------------------------------------ the segment


def test_stats_count_what_happened(cache: fincache.Cache) -> None:
    """Operations of all sessions, and memory to the block."""
    before = cache.stats()
    cache.set("a", 1)
    cache.get("a")
    cache.get("b")
    cache.delete("a")
    after = cache.stats()
    assert after.sets - before.sets == 1
    assert after.hits - before.hits == 1
    assert after.misses - before.misses == 1
    assert after.deletes - before.deletes == 1
    assert after.used_bytes == before.used_bytes
    assert after.free_bytes == after.arena_bytes - after.used_bytes - after.magazine_bytes
    assert after.sessions_used == 1


def test_sessions_tell_who_is_attached(cache: fincache.Cache) -> None:
    """One session for this thread."""
    cache.set("a", 1)
    (session,) = cache.sessions()
    assert (session.pid, session.live) == (os.getpid(), True)
    assert session.sets >= 1


def test_a_full_segment_follows_its_policy(cache: fincache.Cache) -> None:
    """P8: noeviction refuses and keeps what there is; a policy, set at run time, makes room."""
    value = b"x" * 20_000
    count = 0
    with pytest.raises(fincache.OutOfMemory) as caught:  # noqa: PT012
        for count in range(10_000):
            cache.set(count, value)
    assert "policy" in caught.value.hint
    assert count > 50
    assert cache.get(count) is None
    assert all(kept == value for kept in cache.get_many(*range(count)))
    cache.set_policy("allkeys-lru")
    assert cache.info().policy == "allkeys-lru"
    for number in range(count, count + 500):
        assert cache.set(number, value) is True
    assert cache.get(count + 499) == value
    assert cache.stats().evicted > 0


def test_a_read_only_attachment_reads(cache: fincache.Cache, name: str) -> None:
    """P6: it sees every write, takes no session slot, and needs nothing else."""
    cache.set("a", 1)
    used = cache.info().sessions_used
    with fincache.attach(name, readonly=True) as reader:
        assert reader.readonly
        assert reader.info().read_only
        assert reader.get("a") == b"1"
        assert reader.mget("a", "b") == [b"1", None]
        cache.set("a", 2)
        assert reader.get("a") == b"2"
        assert list(reader.scan_iter()) == [b"a"]
        assert cache.info().sessions_used == used


def test_a_sweep_gives_the_memory_of_expired_keys_back(cache: fincache.Cache, name: str) -> None:
    """Step by step or all at once; what lives stays, and a reader may not."""
    for number in range(100):
        cache.set(number, "v" * 100, px=300 if number % 2 else None)  # later than the last write, which may remove what it meets
    used_bytes = cache.stats().used_bytes
    time.sleep(0.31)
    steps = range(0, cache.info().home_count, 64)
    assert sum(cache.sweep(64) for _ in steps) == 50
    assert cache.stats().used_bytes < used_bytes
    assert (cache.sweep(), cache.dbsize(), cache.stats().expired) == (0, 50, 50)
    with pytest.raises(fincache.InvalidArgument):
        cache.sweep(-1)
    with fincache.attach(name, readonly=True) as reader, pytest.raises(fincache.ReadOnly):
        reader.sweep()
