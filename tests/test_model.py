"""Every command against a plain dict, in random sequences (hypothesis). FINCACHE_SEED repeats a run; the header prints it."""

from __future__ import annotations

import itertools
import secrets
import time

import hypothesis
import pytest
from conftest import SEED
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import fincache

DATABASES = 3
FAR = 100_000  # seconds: what expires then does not expire in a test
NS = 1_000_000_000

keys = st.sampled_from([b"", b"a", b"b", b"c", b"\x00", b"key:1", b"key:2", b"k" * 300, b"K" * 5000])
values = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"0", b"7", b"-12", b"9223372036854775807", b"1.5", b""]),
    st.builds(lambda byte, count: bytes([byte]) * count, st.integers(0, 255), st.sampled_from([4096, 4097, 9000, 40_000])),
)
databases = st.integers(0, DATABASES - 1)
amounts = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-5, 5)
numbers = itertools.count()


class Model(RuleBasedStateMachine):
    """Cache on one side, {(database, key): (value, seconds to live or None)} on the other."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[tuple[int, bytes], tuple[bytes, int | None]] = {}

    @initialize()
    def begin(self) -> None:
        self.name = f"model{next(numbers)}-{secrets.token_hex(4)}"
        self.cache = fincache.open(self.name, size="4MB", databases=DATABASES)
        self.dbs = [self.cache.db(number) for number in range(DATABASES)]
        self.used_bytes = self.cache.stats().used_bytes

    def teardown(self) -> None:
        if hasattr(self, "cache"):
            self.cache.close()
            fincache.unlink(self.name)

    def value(self, db: int, key: bytes) -> bytes | None:
        return self.model.get((db, key), (None, None))[0]

    def lives(self, db: int, key: bytes) -> int | None:
        return self.model.get((db, key), (None, None))[1]

    # -------------------------------------------------------------- one value

    @rule(db=databases, key=keys)
    def get(self, db: int, key: bytes) -> None:
        value = self.value(db, key)
        assert self.dbs[db].get(key) == value
        assert self.dbs[db].strlen(key) == len(value or b"")
        assert self.dbs[db].type(key) == (b"none" if value is None else b"string")
        entry = self.dbs[db].entry(key)
        assert (entry and entry.value) == value

    @rule(
        db=databases,
        key=keys,
        value=values,
        condition=st.sampled_from(["", "nx", "xx"]),
        ttl=st.sampled_from([None, FAR, "keep", "past"]),
        get=st.booleans(),
    )
    def set(self, db: int, key: bytes, value: bytes, condition: str, ttl: int | str | None, get: bool) -> None:
        old, lives = self.value(db, key), self.lives(db, key)
        options: dict[str, object] = {condition: True} if condition else {}
        if ttl == "keep":
            options["keepttl"] = True
        elif ttl == "past":
            options["exat"] = 1
        elif ttl is not None:
            options["ex"] = ttl
        allowed = not (condition == "nx" and old is not None) and not (condition == "xx" and old is None)
        answer = self.dbs[db].set(key, value, get=get, **options)  # type: ignore[call-overload]
        assert answer == (old if get else (True if allowed else None))
        if allowed and ttl == "past":
            self.model.pop((db, key), None)
        elif allowed:
            self.model[db, key] = value, lives if ttl == "keep" else FAR if ttl == FAR else None

    @rule(db=databases, key=keys, value=values, fresh=st.booleans())
    def cas(self, db: int, key: bytes, value: bytes, fresh: bool) -> None:
        entry = self.dbs[db].entry(key)
        version = entry.version if entry else 0
        new = self.dbs[db].cas(key, value, version if fresh else version + 1)
        assert (new is not None) == fresh
        if fresh:
            assert new != version
            self.model[db, key] = value, None

    @rule(db=databases, names=st.lists(keys, max_size=4))
    def delete(self, db: int, names: list[bytes]) -> None:
        there = {key for key in names if (db, key) in self.model}
        assert self.dbs[db].exists(*names) == sum(key in there for key in names)
        assert self.dbs[db].delete(*names) == len(there)
        for key in there:
            del self.model[db, key]

    # -------------------------------------------------------------- many values

    @rule(db=databases, names=st.lists(keys, min_size=1, max_size=8))
    def mget(self, db: int, names: list[bytes]) -> None:
        expected = [self.value(db, key) for key in names]
        assert self.dbs[db].mget(names) == expected
        assert self.dbs[db].get_many(names) == expected

    @rule(db=databases, mapping=st.dictionaries(keys, values, min_size=1, max_size=6), absent=st.booleans())
    def mset(self, db: int, mapping: dict[bytes, bytes], absent: bool) -> None:
        allowed = not absent or not any((db, key) in self.model for key in mapping)
        assert (self.dbs[db].msetnx(mapping) if absent else self.dbs[db].mset(mapping)) is allowed
        if allowed:
            self.model.update({(db, key): (value, None) for key, value in mapping.items()})

    @rule(db=databases, names=st.lists(keys, max_size=6))
    def read_with_a_keyset(self, db: int, names: list[bytes]) -> None:
        keyset = self.dbs[db].keyset(names)
        expected = [self.value(db, key) for key in names]
        for _ in range(2):
            assert self.dbs[db].mget(keyset) == expected
            assert self.dbs[db].get_many(keyset) == expected

    @rule(db=databases, key=keys, value=values)
    def use_as_a_dict(self, db: int, key: bytes, value: bytes) -> None:
        cache, old = self.dbs[db], self.value(db, key)
        assert (key in cache) == (old is not None)
        assert cache.get(key, value) == (value if old is None else old)
        assert cache.get(key, max_age=FAR) == old
        assert cache.setdefault(key, value) == (value if old is None else old)
        self.model.setdefault((db, key), (value, None))
        assert cache[key] == self.value(db, key)
        assert dict(cache.items()) == {name: kept for (number, name), (kept, _) in self.model.items() if number == db}

    @rule(db=databases, key=keys, default=st.none() | st.integers())
    def pop(self, db: int, key: bytes, default: int | None) -> None:
        value = self.model.pop((db, key), (default, None))[0]
        assert self.dbs[db].pop(key, default) == value
        with pytest.raises(KeyError):
            self.dbs[db].pop(key)

    @rule(db=databases, key=keys, value=st.none() | values, ttl=st.sampled_from([None, FAR, "persist"]))
    def update(self, db: int, key: bytes, value: bytes | None, ttl: int | str | None) -> None:
        old = self.value(db, key)
        options: dict[str, object] = {"persist": True} if ttl == "persist" else {} if ttl is None else {"ex": ttl}
        new = None if value is None else (old or b"") + value
        answer = self.dbs[db].update(key, lambda found: None if value is None else (found or b"") + value, **options)  # type: ignore[call-overload]
        assert answer == (old if new is None else new)
        if new is not None:
            self.model[db, key] = new, self.lives(db, key) if ttl is None else None if ttl == "persist" else FAR

    @rule(db=databases, key=keys, change=st.sampled_from([{}, {"ex": FAR}, {"persist": True}, {"pxat": 1}]))
    def getex(self, db: int, key: bytes, change: dict[str, int]) -> None:
        value = self.value(db, key)
        assert self.dbs[db].getex(key, **change) == value  # type: ignore[arg-type]
        if value is not None and "pxat" in change:
            del self.model[db, key]
        elif value is not None and change:
            self.model[db, key] = value, FAR if "ex" in change else None

    @rule(db=databases, key=keys, room=st.sampled_from([0, 40, 50_000]))
    def get_into(self, db: int, key: bytes, room: int) -> None:
        value, buffer = self.value(db, key), bytearray(b"." * room)
        if value is not None and len(value) > room:
            with pytest.raises(fincache.BufferTooSmall, match=str(len(value))):
                self.dbs[db].get_into(key, buffer)
            assert buffer == b"." * room
            return
        assert self.dbs[db].get_into(key, buffer) == (None if value is None else len(value))
        if value is not None:
            assert buffer == value + b"." * (room - len(value))

    # -------------------------------------------------------------- numbers and parts

    @rule(db=databases, key=keys, amount=amounts)
    def incr(self, db: int, key: bytes, amount: int) -> None:
        value = self.value(db, key)
        text = "0" if value is None else value.decode("latin-1")
        is_integer = (
            len(text) <= 20
            and text.lstrip("-").isdecimal()
            and text.isascii()
            and str(int(text)) == text
            and -(1 << 63) <= int(text) < 1 << 63
        )
        if not is_integer:
            with pytest.raises(fincache.NotAnInteger):
                self.dbs[db].incr(key, amount)
        elif not -(1 << 63) <= int(text) + amount < 1 << 63:
            with pytest.raises(fincache.IncrementOverflow):
                self.dbs[db].incr(key, amount)
        else:
            assert self.dbs[db].incr(key, amount) == int(text) + amount
            self.model[db, key] = str(int(text) + amount).encode(), self.lives(db, key)

    @rule(db=databases, key=keys, data=values)
    def append(self, db: int, key: bytes, data: bytes) -> None:
        value = (self.value(db, key) or b"") + data
        assert self.dbs[db].append(key, data) == len(value)
        self.model[db, key] = value, self.lives(db, key)

    @rule(db=databases, key=keys, offset=st.integers(0, 60), data=values)
    def setrange(self, db: int, key: bytes, offset: int, data: bytes) -> None:
        old = self.value(db, key)
        if not data:
            assert self.dbs[db].setrange(key, offset, data) == len(old or b"")
            return
        padded = (old or b"").ljust(offset, b"\0")
        value = padded[:offset] + data + padded[offset + len(data) :]
        assert self.dbs[db].setrange(key, offset, data) == len(value)
        self.model[db, key] = value, self.lives(db, key)

    @rule(db=databases, key=keys, start=st.integers(-50, 50), end=st.integers(-50, 50))
    def getrange(self, db: int, key: bytes, start: int, end: int) -> None:
        value = self.value(db, key) or b""
        first, last = (max(0, position + len(value)) if position < 0 else position for position in (start, end))
        backwards = start < 0 and end < 0 and start > end
        assert self.dbs[db].getrange(key, start, end) == (b"" if backwards else value[first : last + 1])

    # -------------------------------------------------------------- expiry

    @rule(
        db=databases,
        key=keys,
        seconds=st.sampled_from([FAR, FAR // 2, 0, -5]),
        condition=st.sampled_from(["", "nx", "xx", "gt", "lt"]),
    )
    def expire(self, db: int, key: bytes, seconds: int, condition: str) -> None:
        lives = self.lives(db, key)
        allowed = (db, key) in self.model and {
            "": True,
            "nx": lives is None,
            "xx": lives is not None,
            "gt": lives is not None and seconds > lives,
            "lt": lives is None or seconds < lives,
        }[condition]
        if condition in ("gt", "lt") and lives == seconds:
            return  # the same number of seconds, counted from two moments
        assert self.dbs[db].expire(key, seconds, **({condition: True} if condition else {})) is allowed
        if allowed and seconds > 0:
            self.model[db, key] = self.model[db, key][0], seconds
        elif allowed:
            del self.model[db, key]

    @rule(db=databases, key=keys)
    def persist(self, db: int, key: bytes) -> None:
        lives = self.lives(db, key)
        assert self.dbs[db].persist(key) is (lives is not None)
        if lives is not None:
            self.model[db, key] = self.model[db, key][0], None

    @rule(db=databases, key=keys)
    def ttl(self, db: int, key: bytes) -> None:
        lives = self.lives(db, key)
        ttl = self.dbs[db].ttl(key)
        if (db, key) not in self.model:
            assert ttl == -2
        elif lives is None:
            assert ttl == -1
        else:
            assert lives - 1000 < ttl <= lives

    # -------------------------------------------------------------- names

    @rule(db=databases, source=keys, to=keys, absent=st.booleans())
    def rename(self, db: int, source: bytes, to: bytes, absent: bool) -> None:
        function = self.dbs[db].renamenx if absent else self.dbs[db].rename
        if (db, source) not in self.model:
            with pytest.raises(fincache.NoSuchKey):
                function(source, to)
            return
        allowed = not (absent and (db, to) in self.model)
        assert function(source, to) is allowed
        if allowed:
            self.model[db, to] = self.model.pop((db, source))

    @rule(db=databases, source=keys, to_db=databases, to=keys, replace=st.booleans())
    def copy(self, db: int, source: bytes, to_db: int, to: bytes, replace: bool) -> None:
        hypothesis.assume((db, source) != (to_db, to))
        allowed = (db, source) in self.model and (replace or (to_db, to) not in self.model)
        assert self.dbs[db].copy(source, to, destination_db=to_db, replace=replace) is allowed
        if allowed:
            self.model[to_db, to] = self.model[db, source]

    # -------------------------------------------------------------- the key space

    @rule(db=databases, count=st.sampled_from([1, 3, 100]))
    def scan(self, db: int, count: int) -> None:
        here = {key for number, key in self.model if number == db}
        assert set(self.dbs[db].scan_iter(count=count)) == here
        assert self.dbs[db].dbsize() == len(here)
        random_key = self.dbs[db].randomkey()
        assert random_key in here if here else random_key is None

    @rule(db=databases, everything=st.booleans())
    def flush(self, db: int, everything: bool) -> None:
        if everything:
            self.cache.flushall()
        else:
            self.dbs[db].flushdb()
        self.model = {name: kept for name, kept in self.model.items() if not everything and name[0] != db}

    @rule()
    def attach_again(self) -> None:
        """Data and expiries are the segment's, not the attachment's."""
        self.cache.close()
        self.cache = fincache.attach(self.name)
        self.dbs = [self.cache.db(number) for number in range(DATABASES)]

    @rule()
    def empty(self) -> None:
        """P8: when everything is deleted, used_bytes is what it was."""
        for db in range(DATABASES):
            for key in list(self.dbs[db].scan_iter()):
                assert self.dbs[db].delete(key) == 1
        self.model.clear()

    @invariant()
    def expiries_are_instants_in_the_future(self) -> None:
        """What lives has the expiry of the model, to the second."""
        for (db, key), (_, lives) in list(self.model.items())[:3]:
            entry = self.dbs[db].entry(key)
            assert entry is not None
            assert (entry.expires_unix_ns is None) == (lives is None)
            assert entry.expires_unix_ns is None or entry.expires_unix_ns > time.time_ns()


Model.TestCase.settings = hypothesis.settings(
    max_examples=60,
    stateful_step_count=60,
    deadline=None,
    print_blob=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@hypothesis.seed(SEED)
class TestModel(Model.TestCase):  # type: ignore[misc, valid-type]
    """P4 in one process: what a sequence of commands answers is what a dict would answer."""
