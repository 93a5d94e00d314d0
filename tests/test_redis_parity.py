"""Cache and redis-py side by side, in random sequences (hypothesis): every shared command, the same answer in value and type.

The other side is redis-py on a real redis-server. Before each step both sides hold the same keys, values and expiries; each step
calls one command on both and compares what they return (or the kind of what they raise), and then everything that they hold.

Time. An instant given by the caller must be the same millisecond on both sides. A relative expiry is counted from the moment of
the call, so the two instants may differ by as much as the two calls together took, and by no more: that window is measured for
each call, so a slow machine needs no generous limit and a fast one does not hide behind it. ttl and pttl are checked against the
expiry of their own side and the time of their own call.

FINCACHE_SEED repeats a run (the header prints it); FC_SOAK=1 runs twenty times as long, and shrinks what it finds. What is meant
to differ stands in redis_reference.DIFFERENCES and is run by test_redis_differences.py; the strategies here stay clear of it.
"""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import hypothesis
import pytest
import redis
from conftest import SEED
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis_reference import kinds_of

import fincache

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated")  # redis-py's word on setex, getset and others

DATABASES = 2
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
APART = 10_000  # seconds between any two relative expiries of an example: gt and lt must not hang on the instant of a call
INSTANT = 4_000_000_000  # the year 2096: later than every relative one
SOAK = 20 if os.environ.get("FC_SOAK") else 1
EXAMPLES = 60 * SOAK
# Shrinking takes minutes, and a sequence ends with the step that fails: only a soak does it.
PHASES = [phase for phase in hypothesis.Phase if SOAK > 1 or phase not in (hypothesis.Phase.shrink, hypothesis.Phase.explain)]

# Every method that both have, with the same meaning. A run that does not reach one of them fails.
SHARED = set(
    """
    get set getset getdel getex mget mset msetnx setnx setex psetex append strlen getrange substr setrange incr incrby decr decrby
    incrbyfloat delete unlink exists expire pexpire expireat pexpireat ttl pttl expiretime pexpiretime persist type rename
    renamenx copy touch randomkey keys scan scan_iter dbsize flushdb flushall ping echo time __getitem__ __setitem__
    """.split()  # noqa: SIM905 -- a list of fifty lines says no more
)

NAMES = ["a", b"b", "ключ", 7, 1.5, b"", bytearray(b"c"), memoryview(b"d")]
STORED = [b"a", b"b", "ключ".encode(), b"7", b"1.5", b"", b"c", b"d"]  # the same, as they are stored
BAD = [None, True, [1], {"a": 1}, object()]

keys = st.sampled_from(NAMES)
texts = st.sampled_from(["", "x", "5", "-7", "1.5", "9223372036854775807", "+1", "1e3", "0x1", " 1", "héllo", "€" * 2000])
values = st.one_of(
    texts,
    st.text(max_size=12),
    st.integers(-(1 << 70), 1 << 70),
    st.integers(-5, 5),
    st.floats(),
    st.sampled_from([b"0", b"\xff\x00", bytearray(b"42"), memoryview(b"abcabc")[1:4]]),
    st.binary(max_size=20),
)
databases = st.integers(0, DATABASES - 1)
amounts = st.integers(-9, 9) | st.sampled_from([(1 << 63) - 1, -(1 << 63), 1 << 63, -(1 << 63) - 1])
positions = st.integers(-12, 12) | st.sampled_from([(1 << 63) - 1, -(1 << 63), 1 << 63])
flags = st.booleans()
seldom = st.sampled_from([False] * 5 + [True])


class Twins(RuleBasedStateMachine):
    """`ours` and `theirs`, one of each for every database; `look` reads theirs without decoding, to compare what is stored."""

    def __init__(self, ours: list[fincache.Cache[Any]], theirs: list[Any], look: list[Any], compared: Counter[str]) -> None:
        super().__init__()
        self.ours = ours
        self.theirs = theirs
        self.look = look
        self.raw = [fincache.attach(ours[0].name, db=number) for number in range(DATABASES)]
        self.compared = compared
        self.windows: dict[int, int] = {}  # expiry of theirs in ms -> by how many ns ours may be later
        self.durations = iter(range(1, 1_000_000))

    @initialize()
    def begin(self) -> None:
        self.both(0, "flushall")
        self.both(1, "flushdb")

    def teardown(self) -> None:
        for cache in self.raw:
            cache.close()

    # -------------------------------------------------------------- one step

    def both(self, db: int, method: str, *args: Any, finish: Callable[[Any], Any] = lambda answer: answer, **kwargs: Any) -> Any:
        """Calls both; their answers must be equal in value and type, their exceptions in kind. Ours, None after an exception."""
        began_ns = time.time_ns()
        allowed: tuple[type[Exception], ...] | None = None
        expected = answer = None
        try:
            expected = finish(getattr(self.theirs[db], method)(*args, **kwargs))
        except KeyError:
            allowed = (fincache.NoSuchKey,)
        except (redis.RedisError, UnicodeError) as error:
            allowed = kinds_of(error)
        if allowed is None:
            answer = finish(getattr(self.ours[db], method)(*args, **kwargs))
            assert shape(answer) == shape(expected)
        else:
            with pytest.raises(allowed) as caught:
                finish(getattr(self.ours[db], method)(*args, **kwargs))
            assert isinstance(caught.value, fincache.FinCacheError)
            assert caught.value.hint
        self.compared[method] += 1
        self.settle(time.time_ns() - began_ns)
        return answer

    def settle(self, window_ns: int) -> None:
        """Notes how far apart expiries that are new in theirs may be."""
        for db in range(DATABASES):
            pipeline = self.look[db].pipeline(transaction=False)
            for name in STORED:
                pipeline.get(name)
                pipeline.pexpiretime(name)
            answers = pipeline.execute()
            for name, value, expires_ms in zip(STORED, answers[::2], answers[1::2], strict=True):
                assert self.raw[db].get(name) == value
                entry = self.raw[db].entry(name)
                if value is None:
                    assert expires_ms == -2
                    assert entry is None
                    continue
                assert entry is not None
                if expires_ms == -1:
                    assert entry.expires_unix_ns is None
                    continue
                assert entry.expires_unix_ns is not None
                later_ns = entry.expires_unix_ns - expires_ms * NS_PER_MS
                if expires_ms < INSTANT * 1000:
                    self.windows.setdefault(expires_ms, window_ns)
                    # Redis counts from the millisecond in which its call began, FinCache from the nanosecond.
                    assert 0 <= later_ns <= self.windows[expires_ms] + NS_PER_MS
                else:
                    assert later_ns == 0

    # -------------------------------------------------------------- arguments

    def seconds(self) -> int:
        """A time to live that no other expiry of this example comes near."""
        return next(self.durations) * APART

    def expiry(self, data: st.DataObject, *more: str) -> dict[str, Any]:
        """Options of set and getex that name an expiry: mostly one of them, seldom two, seldom nonsense."""
        chosen = data.draw(st.lists(st.sampled_from(["ex", "px", "exat", "pxat", *more]), max_size=2, unique=True))
        if len(chosen) == 2 and data.draw(flags):
            chosen = chosen[:1]
        return {option: True if option in more else self.expiry_value(data, option) for option in chosen}

    def expiry_value(self, data: st.DataObject, option: str) -> object:
        if data.draw(seldom):
            return data.draw(st.sampled_from([0, -1, True, "x" if option in ("ex", "px") else -2]))
        if option in ("ex", "px"):
            number = self.seconds()
            whole = timedelta(seconds=number)
            return data.draw(st.sampled_from([number if option == "ex" else number * 1000 + 7, whole]))
        past = datetime(2001, 1, 1, tzinfo=timezone.utc)
        instant = INSTANT + data.draw(st.integers(0, 5)) * APART
        if option == "exat":
            return data.draw(st.sampled_from([instant, datetime.fromtimestamp(instant, timezone.utc), 1, past]))
        return data.draw(
            st.sampled_from([instant * 1000 + 499, instant * 1000 + 500, datetime.fromtimestamp(instant, timezone.utc), 1, past])
        )

    # -------------------------------------------------------------- one value

    @rule(db=databases, key=keys)
    def read(self, db: int, key: Any) -> None:
        for method in ("get", "strlen", "type", "exists", "expiretime", "__getitem__"):
            if method != "expiretime" or self.look[db].pexpiretime(key) >= INSTANT * 1000:
                self.both(db, method, key)

    @rule(db=databases, key=keys, value=values, nx=seldom, xx=seldom, get=flags, keepttl=seldom, data=st.data())
    def set(self, db: int, key: Any, value: Any, nx: bool, xx: bool, get: bool, keepttl: bool, data: st.DataObject) -> None:
        given = {"nx": nx, "xx": xx, "get": get, "keepttl": keepttl}
        options = {name: True for name, wanted in given.items() if wanted} | self.expiry(data)
        self.both(db, "set", key, value, **options)

    @rule(db=databases, key=keys, value=values)
    def set_by_position(self, db: int, key: Any, value: Any) -> None:
        self.both(db, "set", key, value, self.seconds(), None, False, False, False, True)

    @rule(db=databases, key=keys, value=values, order=st.permutations(["getset", "setnx", "append", "__setitem__"]))
    def write(self, db: int, key: Any, value: Any, order: list[str]) -> None:
        for method in order:
            self.both(db, method, key, value)

    @rule(db=databases, key=keys, value=values, milliseconds=flags, data=st.data())
    def setex(self, db: int, key: Any, value: Any, milliseconds: bool, data: st.DataObject) -> None:
        if milliseconds:
            self.both(db, "psetex", key, self.expiry_value(data, "px"), value)
        else:
            self.both(db, "setex", key, self.expiry_value(data, "ex"), value)

    @rule(db=databases, key=keys)
    def getdel(self, db: int, key: Any) -> None:
        self.both(db, "getdel", key)

    @rule(db=databases, key=keys, data=st.data())
    def getex(self, db: int, key: Any, data: st.DataObject) -> None:
        options = self.expiry(data, "persist")
        if self.look[db].exists(key) or not {"0", "-1", "-2"}.intersection(
            map(repr, options.values())
        ):  # a difference, see the table
            self.both(db, "getex", key, **options)

    @rule(db=databases, key=keys, start=positions, end=positions, substr=flags)
    def getrange(self, db: int, key: Any, start: int, end: int, substr: bool) -> None:
        self.both(db, "getrange", key, start, end)
        if substr:
            self.both(db, "substr", key, start)

    @rule(db=databases, key=keys, offset=st.integers(-2, 40) | st.sampled_from([1 << 40, (1 << 63) - 1]), value=values)
    def setrange(self, db: int, key: Any, offset: int, value: Any) -> None:
        self.both(db, "setrange", key, offset, value)

    @rule(db=databases, key=st.sampled_from(BAD), value=values)
    def refused(self, db: int, key: Any, value: Any) -> None:
        for method in ("get", "exists", "incr", "ttl", "type", "getdel"):
            self.both(db, method, key)
        self.both(db, "set", key, value)
        self.both(db, "set", "a", key)
        self.both(db, "mget", ["a", key])
        self.both(db, "mset", {"a": value, "b": key})
        self.both(db, "append", "a", key)

    # -------------------------------------------------------------- numbers

    @rule(db=databases, key=keys, amount=amounts, order=st.permutations(["incr", "incrby", "decr", "decrby"]), by=flags)
    def count(self, db: int, key: Any, amount: int, order: list[str], by: bool) -> None:
        for method in order:
            self.both(db, method, key, *[amount] * by)

    @rule(db=databases, key=keys, amount=st.floats() | st.integers(-9, 9) | st.sampled_from([0.1, -0.2, 1e300]), by=flags)
    def incrbyfloat(self, db: int, key: Any, amount: float, by: bool) -> None:
        self.both(db, "incrbyfloat", key, *[amount] * by)

    @rule(db=databases, key=keys, number=st.sampled_from([0, 41, -3, 2.25, (1 << 63) - 1, "3.0e3", "1e4932"]))
    def set_number(self, db: int, key: Any, number: Any) -> None:
        self.both(db, "set", key, number, keepttl=True)

    # -------------------------------------------------------------- many values

    @rule(
        db=databases, names=st.lists(keys, max_size=6), more=st.lists(keys, max_size=2), form=st.sampled_from([list, tuple, iter])
    )
    def mget(self, db: int, names: list[Any], more: list[Any], form: Callable[[list[Any]], Any]) -> None:
        if form is iter:  # an iterator serves one of the two only
            names = [bytes(name) if isinstance(name, (bytearray, memoryview)) else name for name in names]
            self.both(db, "mget", dict.fromkeys(names), *more)
        else:
            self.both(db, "mget", form(names), *more)
        if more:
            self.both(db, "mget", *more)

    @rule(db=databases, data=st.data(), absent=flags)
    def mset(self, db: int, data: st.DataObject, absent: bool) -> None:
        names = st.sampled_from([name for name in NAMES if not isinstance(name, bytearray)])
        self.both(db, "msetnx" if absent else "mset", data.draw(st.dictionaries(names, values, max_size=5)))

    # -------------------------------------------------------------- keys

    @rule(db=databases, names=st.lists(keys, min_size=2, max_size=5), unlink=flags)
    def name_many(self, db: int, names: list[Any], unlink: bool) -> None:
        self.both(db, "exists", *names)
        self.both(db, "touch", *names)
        self.both(db, "unlink" if unlink else "delete", *names[1:])

    @rule(db=databases, source=keys, to=keys, only_if_absent=flags)
    def rename(self, db: int, source: Any, to: Any, only_if_absent: bool) -> None:
        self.both(db, "renamenx" if only_if_absent else "rename", source, to)

    @rule(db=databases, source=keys, to=keys, to_db=st.sampled_from([None, 0, 1, 99]), replace=flags)
    def copy(self, db: int, source: Any, to: Any, to_db: int | None, replace: bool) -> None:
        self.both(db, "copy", source, to, to_db, replace)

    # -------------------------------------------------------------- expiry

    @rule(db=databases, key=keys, data=st.data())
    def expire(self, db: int, key: Any, data: st.DataObject) -> None:
        for method in ("expire", "expireat", "pexpire", "pexpireat"):
            self.expire_once(db, key, method, data)

    def expire_once(self, db: int, key: Any, method: str, data: st.DataObject) -> None:
        conditions = data.draw(st.lists(st.sampled_from(["nx", "xx", "gt", "lt"]), max_size=2, unique=True))
        when = self.expiry_value(data, {"expire": "ex", "pexpire": "px", "expireat": "exat", "pexpireat": "pxat"}[method])
        if when == "x":
            when = None
        self.both(db, method, key, when, **dict.fromkeys(conditions, True))

    @rule(db=databases, key=keys)
    def persist(self, db: int, key: Any) -> None:
        self.both(db, "persist", key)

    @rule(db=databases, key=keys)
    def ttl(self, db: int, key: Any) -> None:
        """Each side's answer follows from its own expiry and the time of its own call."""
        for side in (self.theirs[db], self.ours[db]):
            expires_ms = side.pexpiretime(key)
            seconds = side.expiretime(key)
            entry = self.raw[db].entry(key) if side is self.ours[db] else None
            expires_ns = (entry and entry.expires_unix_ns) or expires_ms * NS_PER_MS
            assert (type(expires_ms), type(seconds)) == (int, int)
            assert seconds == (expires_ms if expires_ms < 0 else (expires_ms + 500) // 1000)
            for method, unit in (("pttl", 1), ("ttl", 1000)):
                before_ns = time.time_ns()
                answer = getattr(side, method)(key)
                after_ns = time.time_ns()
                assert type(answer) is int
                if expires_ms < 0:
                    assert answer == expires_ms
                    continue
                if side is self.theirs[db]:  # its clock stands still within a millisecond
                    before_ns, after_ns = (ns // NS_PER_MS * NS_PER_MS for ns in (before_ns, after_ns))
                most_ms, least_ms = (-((ns - expires_ns) // NS_PER_MS) for ns in (before_ns, after_ns))
                assert (least_ms + unit // 2) // unit <= answer <= (most_ms + unit // 2) // unit
        self.compared.update(["ttl", "pttl", "pexpiretime", "expiretime"])

    # -------------------------------------------------------------- the key space

    @rule(db=databases, pattern=st.sampled_from(["*", b"?", "[a-b]", "[^a]*", "*к*", "", b"\\a", 7]))
    def list_keys(self, db: int, pattern: Any) -> None:
        self.both(db, "keys", pattern, finish=as_bag)
        self.both(db, "keys", finish=as_bag)

    @rule(
        db=databases,
        match=st.sampled_from([None, "*", b"[a-c]"]),
        count=st.sampled_from([None, 1, 100]),
        kind=st.sampled_from([None, "string", "HASH"]),
    )
    def scan(self, db: int, match: Any, count: int | None, kind: str | None) -> None:
        self.both(db, "scan_iter", match, count, kind, finish=as_bag)
        self.both(db, "scan", 0, match, 1000, kind, finish=lambda answer: (type(answer), answer[0], as_bag(answer[1])))
        self.both(db, "scan", 0, match, 0)

    @rule(db=databases)
    def ask(self, db: int) -> None:
        self.both(db, "dbsize")
        self.both(db, "ping")
        here = {shape(name)[0] for name in self.ours[db]}
        self.both(db, "randomkey", finish=lambda key: (type(key), key is None or shape(key)[0] in here))
        before_s = int(time.time())
        self.both(
            db, "time", finish=lambda now: (type(now), *map(type, now), before_s <= now[0] <= time.time(), 0 <= now[1] < 10**6)
        )

    @rule(db=databases, value=values)
    def echo(self, db: int, value: Any) -> None:
        self.both(db, "echo", value)

    @rule(db=databases, everything=flags, asynchronous=flags, really=seldom)
    def flush(self, db: int, everything: bool, asynchronous: bool, really: bool) -> None:
        if really:
            self.both(db, "flushall" if everything else "flushdb", asynchronous)

    @invariant()
    def sizes_are_equal(self) -> None:
        for db in range(DATABASES):
            assert self.raw[db].dbsize() == self.look[db].dbsize()


def shape(answer: Any) -> Any:
    """A value with its type, in depth: 1 is not True, and b"a" not "a". nan equals itself."""
    if isinstance(answer, (list, tuple)):
        return type(answer), [shape(item) for item in answer]
    return repr(answer), type(answer)


def as_bag(answer: Any) -> Any:
    """A list or iterator whose order says nothing."""
    assert isinstance(answer, (list, Iterator))
    return isinstance(answer, list), sorted(map(repr, answer))


@pytest.mark.parametrize("decode_responses", [False, True], ids=["bytes", "str"])
def test_every_shared_command_answers_as_redis_py(reference_socket: str, name: str, decode_responses: bool) -> None:
    """The same sequence of commands gives the same answers, exceptions, values and expiries."""
    theirs, look = (
        [redis.Redis(unix_socket_path=reference_socket, db=db, decode_responses=decoding) for db in range(DATABASES)]
        for decoding in (decode_responses, False)
    )
    compared: Counter[str] = Counter()
    with fincache.open(name, size="16MB", databases=DATABASES, decode_responses=decode_responses) as cache:
        ours = [cache.db(db) for db in range(DATABASES)]
        machine = hypothesis.seed(SEED)(lambda: Twins(ours, theirs, look, compared))
        settings = hypothesis.settings(
            max_examples=EXAMPLES,
            stateful_step_count=50,
            deadline=None,
            print_blob=True,
            report_multiple_bugs=False,
            phases=PHASES,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        run_state_machine_as_test(machine, settings=settings)
    for client in theirs + look:
        client.close()
    print(f"compared {sum(compared.values())} commands, seed {SEED}: {dict(compared)}")
    assert SHARED - compared.keys() == set()


patterns = st.text("ab-^*?[]\\", max_size=9)
subjects = [
    "",
    "a",
    "b",
    "-",
    "^",
    "*",
    "?",
    "[",
    "]",
    "\\",
    "ab",
    "ba",
    "a-b",
    "a]b",
    "[a]",
    "aab",
    "abab",
    "\\a",
    "a\\",
    "^b",
    "b*a?",
]


@hypothesis.seed(SEED)
@hypothesis.settings(
    max_examples=300 * SOAK,
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(pattern=patterns)
def test_patterns_match_as_redis_matches(reference_socket: str, pattern: str) -> None:
    """KEYS with any pattern: the expression that FinCache makes of it is Redis's."""
    prefix = secrets.token_hex(4)
    with redis.Redis(unix_socket_path=reference_socket, db=9, decode_responses=True) as theirs:
        theirs.mset({prefix + subject: 1 for subject in subjects})
        expected = set(theirs.keys(prefix + pattern))
        theirs.delete(*(prefix + subject for subject in subjects))
    fits = fincache._arguments.glob((prefix + pattern).encode()).fullmatch
    assert {prefix + subject for subject in subjects if fits((prefix + subject).encode())} == expected


def test_keys_go_at_the_same_instant(reference_socket: str, cache: fincache.Cache) -> None:
    """Lives of 5 to 60 ms: a read that began after the instant misses, one that ended before it does not, on both sides."""
    with redis.Redis(unix_socket_path=reference_socket, db=8) as theirs:
        sides: list[Any] = [theirs, cache]
        ends: dict[tuple[int, int], int] = {}
        for number in range(5, 60):
            for side, client in enumerate(sides):
                client.set(number, 1, px=number)
                ends[side, number] = client.pexpiretime(number)
        seen: Counter[bool] = Counter()
        while time.time_ns() < max(ends.values()) * NS_PER_MS:
            for side, client in enumerate(sides):
                for number in range(5, 60, 6):
                    before_ms = time.time_ns() // NS_PER_MS
                    there = client.get(number) is not None
                    after_ms = time.time_ns() // NS_PER_MS
                    if ends[side, number] > 0 and (before_ms > ends[side, number] or after_ms < ends[side, number] - 1):
                        assert there == (after_ms < ends[side, number])
                        seen[there] += 1
        assert seen[True] > 0
        assert seen[False] > 0


@pytest.mark.parametrize("milliseconds", [0, 1, 499, 500, 501, 999])
def test_seconds_are_rounded_as_redis_rounds_them(reference_socket: str, cache: fincache.Cache, milliseconds: int) -> None:
    """expiretime and pexpiretime of an instant on either side of half a second."""
    instant_ms = INSTANT * 1000 + milliseconds
    with redis.Redis(unix_socket_path=reference_socket, db=6) as theirs:
        for side in (theirs, cache):
            side.set("a", 1, pxat=instant_ms)
        assert cache.expiretime("a") == theirs.expiretime("a")
        assert cache.pexpiretime("a") == theirs.pexpiretime("a") == instant_ms
