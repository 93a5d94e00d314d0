"""class Cache: one attachment to one segment, with redis-py's names, arguments and return values.

What differs from redis-py, and why:
  - No server, no connection, no pool. An operation is a function call of well under a microsecond; it waits for nobody but, when
    it writes, for a live process that holds the same key's lock, and for that timeout_ms at most (`Busy`). It may be called from
    asyncio code as it is.
  - mget is one consistent cut, mset is all-or-nothing, for plain readers too (P5).
  - entry, cas, stats, sessions and records have no counterpart there.

Threads: a Cache may be used by any number of threads; each gets a session of its own (a slot of sessions_max) with its first
call, and loses it when it ends. Processes: a child of fork() may go on using the Cache of its parent and opens its own sessions;
a child made by spawn attaches by name. Signals: a handler may use the Cache, even in the middle of a call; if it interrupts a
write inside the C library and writes itself, it gets `Reentered`.

Closing: after close() every call, from every thread and every view, raises `Closed`, and never anything worse. The calling
thread's session is closed at once. Calls that other threads have under way are finished; the session of such a thread is closed
when it ends or next uses the Cache, and the last one unmaps the segment. So close() neither waits nor fails, where fc_cache_close
answers FC_BUSY; the price is that idle pool threads keep the address space mapped until they end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NoReturn, TypeVar, overload

from fincache import _core
from fincache._arguments import (
    Encodable,
    Instant,
    Milliseconds,
    Seconds,
    encode,
    expiry_of_set,
    integer,
)
from fincache._core import Attachment, Session, refusal, refused_type
from fincache._keyspace import KeyspaceCommands
from fincache._reports import Entry, Policy, SegmentInfo, SessionInfo, Stats

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike

    from fincache.records import Records

    ScalarT = TypeVar("ScalarT", bound=np.generic)


NameT = TypeVar("NameT", bound=Encodable)  # a Mapping is not covariant in its keys: a dict[str, int] must fit as well


def _closed_session() -> NoReturn:
    raise _core.closed()


class Cache(KeyspaceCommands):
    """An attachment to a segment. Made by `fincache.open` and `fincache.attach`; a context manager that closes.

    See the module for threads, fork, signals and closing. Keys and values may be bytes, str (UTF-8), int and float (decimal
    text); values come back as bytes. Keys have up to 64 KiB, values up to the segment's value_bytes_max.
    """

    def __init__(self, attachment: Attachment, database: int = 0, *, _view: bool = False) -> None:
        self._attachment = attachment
        self._database = database
        self._is_view = _view
        self._session: Callable[[], Session] = attachment.session

    # ------------------------------------------------------------------ life

    @property
    def name(self) -> str:
        """The segment's name."""
        return self._attachment.name

    @property
    def database(self) -> int:
        """The database that this object reads and writes."""
        return self._database

    @property
    def readonly(self) -> bool:
        """True if the segment is mapped read-only, and every write raises ReadOnly."""
        return self._attachment.read_only

    @property
    def closed(self) -> bool:
        """True after close()."""
        return self._session is _closed_session or self._attachment.closed

    def close(self) -> None:
        """Ends this attachment; the segment and its data stay. A second time is nothing.

        On a view made by `db` only the view ends. See the module for what happens to other threads.
        """
        self._session = _closed_session
        if not self._is_view:
            self._attachment.close()

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "read-only" if self.readonly else "open"
        return f"<fincache.Cache {self.name!r} db={self._database} {state}>"

    def __reduce__(self) -> NoReturn:
        raise refused_type("a Cache cannot be pickled", f"Call fincache.attach({self.name!r}) in the other process.")

    def db(self, n: int) -> Cache:
        """A view of another database of the same segment; it shares this attachment and its sessions.

        Args:
            n: 0 to the segment's number of databases - 1.

        Returns:
            A Cache. Closing it leaves this one open; closing this one closes it.

        Raises:
            InvalidArgument: there is no such database.

        RESP: SELECT.
        """
        self._require_open()
        databases = self._attachment.database_count()
        if not 0 <= integer(n, "n") < databases:
            raise refusal("INVALID_ARGUMENT", f"database {n}", f"This segment has databases 0 to {databases - 1}.")
        return Cache(self._attachment, n, _view=True)

    # ------------------------------------------------------------------ one value

    def get(self, name: Encodable) -> bytes | None:
        """The value of a key.

        Args:
            name: the key.

        Returns:
            A copy of the value, or None for a miss.

        Raises:
            Contended: the key was rewritten on every bounded retry.
            WrongType, CorruptSegment, Closed.

        Never waits (P1). RESP: GET.
        """
        session = self._session()
        return session.get(self._database, name if type(name) is bytes else encode(name))

    @overload
    def set(
        self,
        name: Encodable,
        value: Encodable,
        ex: Seconds | None = None,
        px: Milliseconds | None = None,
        nx: bool = False,
        xx: bool = False,
        keepttl: bool = False,
        get: Literal[False] = False,
        exat: Instant | None = None,
        pxat: Instant | None = None,
    ) -> bool | None: ...

    @overload
    def set(
        self,
        name: Encodable,
        value: Encodable,
        ex: Seconds | None = None,
        px: Milliseconds | None = None,
        nx: bool = False,
        xx: bool = False,
        keepttl: bool = False,
        *,
        get: Literal[True],
        exat: Instant | None = None,
        pxat: Instant | None = None,
    ) -> bytes | None: ...

    def set(
        self,
        name: Encodable,
        value: Encodable,
        ex: Seconds | None = None,
        px: Milliseconds | None = None,
        nx: bool = False,
        xx: bool = False,
        keepttl: bool = False,
        get: bool = False,
        exat: Instant | None = None,
        pxat: Instant | None = None,
    ) -> bool | bytes | None:
        """Sets the value of a key.

        Args:
            name: the key.
            value: bytes, str, int or float.
            ex: seconds to live (1.5 is allowed), or a timedelta.
            px: milliseconds to live, or a timedelta.
            nx: only if the key is missing.
            xx: only if it exists.
            keepttl: keep the expiry of the value that is replaced; without, a plain set takes it away.
            get: return the old value.
            exat: seconds since 1970 at which the key goes, or a datetime. A past instant deletes the key.
            pxat: milliseconds since 1970, or a datetime.

        Returns:
            True, or None if nx or xx did not hold. With `get`: the old value, None if there was none, whether or not it was set.

        Raises:
            InvalidArgument: options that exclude each other; an expiry of 0 or less.
            InvalidType: a key or value of another type (bool and None among them).
            KeyTooLong, ValueTooLong, OutOfMemory.
            Busy: a live process held the key's lock beyond timeout_ms; the message names pid and tid (P13).
            ReadOnly, Closed.

        RESP: SET.
        """
        session = self._session()
        key, data = encode(name), encode(value)
        flags = _conditions(nx, xx) | (_core.SET_KEEPTTL if keepttl else 0)
        expires_unix_ns = 0 if ex is px is exat is pxat is None else expiry_of_set(ex, px, exat, pxat, keepttl)
        if get:
            return session.set_get(self._database, key, data, flags, expires_unix_ns)[1]
        return None if session.set(self._database, key, data, flags, expires_unix_ns) is None else True

    def entry(self, name: Encodable) -> Entry[bytes] | None:
        """A value with its version, age, time to live and writer, all from one instant; None for a miss.

        Raises what `get` raises. Never waits; asking the kernel whether the writer lives takes some 15 us.
        """
        session = self._session()
        return session.entry(self._database, encode(name))

    def cas(
        self,
        name: Encodable,
        value: Encodable,
        version: int,
        ex: Seconds | None = None,
        px: Milliseconds | None = None,
        keepttl: bool = False,
        exat: Instant | None = None,
        pxat: Instant | None = None,
    ) -> int | None:
        """Compare and set: stores the value only if the key still has the version that `entry` showed.

        Args:
            name: the key.
            value: bytes, str, int or float.
            version: of the value that is to be replaced; 0: the key must be missing.
            ex: as for `set`, like the next four.
            px: milliseconds to live.
            keepttl: keep the expiry.
            exat: an instant, in seconds.
            pxat: an instant, in milliseconds.

        Returns:
            The new version, for the next cas; None if the key has another version by now. A version may change without a
            write (see Entry), so None means "read again", not "somebody wrote".

        Raises:
            What `set` raises.
        """
        session = self._session()
        flags = _core.SET_VERSION | (_core.SET_KEEPTTL if keepttl else 0)
        expires_unix_ns = expiry_of_set(ex, px, exat, pxat, keepttl)
        expected = integer(version, "version", 0, (1 << 64) - 1)
        return session.set(self._database, encode(name), encode(value), flags, expires_unix_ns, expected)

    # ------------------------------------------------------------------ many values

    def mget(self, keys: Encodable | Iterable[Encodable], *args: Encodable) -> list[bytes | None]:
        """Values of many keys, as they stood together at one instant (P5), without locking writers.

        Args:
            keys: one key, or keys in a list or other iterable.
            args: more keys.

        Returns:
            Values in the order of the keys, None for a miss.

        Raises:
            Contended: writers changed the keys on every one of the bounded retries. Try again, or use `get_many`.

        RESP: MGET.
        """
        return self._read_many(keys, args, cut=True)

    def get_many(self, keys: Encodable | Iterable[Encodable], *args: Encodable) -> list[bytes | None]:
        """`mget` without the common instant: each value is whole, and no writer can make the call fail as a whole."""
        return self._read_many(keys, args, cut=False)

    def _read_many(self, keys: Encodable | Iterable[Encodable], args: tuple[Encodable, ...], *, cut: bool) -> list[bytes | None]:
        if isinstance(keys, (bytes, bytearray, memoryview, str, int, float)):
            names: list[Encodable] = [keys, *args]
        else:
            names = [*keys, *args]
        session = self._session()
        if not names:
            return []
        return session.read_many(self._database, [encode(name) for name in names], cut=cut)

    def mset(self, mapping: Mapping[NameT, Encodable]) -> bool:
        """Sets many keys at one instant: every reader, plain `get` included, sees all of it or nothing (P5).

        That holds even if the calling process is killed or stopped in the middle. Expiries of replaced values go.

        Args:
            mapping: values by key.

        Returns:
            True.

        Raises:
            InvalidArgument: the mapping is empty.
            TooManyKeys: more than 65488 keys.
            Busy, OutOfMemory, ReadOnly: nothing was written.

        RESP: MSET.
        """
        return self._write_many(mapping, only_if_absent=False)

    def msetnx(self, mapping: Mapping[NameT, Encodable]) -> bool:
        """`mset`, but only if every key is missing; False, and nothing written, if not. RESP: MSETNX."""
        return self._write_many(mapping, only_if_absent=True)

    def _write_many(self, mapping: Mapping[NameT, Encodable], *, only_if_absent: bool) -> bool:
        session = self._session()
        if not isinstance(mapping, Mapping):
            raise refused_type(f"mapping is {type(mapping).__name__}", "Pass a dict of values by key.")
        items = [(encode(name), encode(value)) for name, value in mapping.items()]
        if not items:
            raise refusal("INVALID_ARGUMENT", "the mapping is empty", "Pass one key at least.")
        return session.set_many(self._database, items, only_if_absent=only_if_absent)

    # ------------------------------------------------------------------ numbers

    def incr(self, name: Encodable, amount: int = 1) -> int:
        """Adds to a decimal 64-bit integer; a missing key counts as 0. The expiry is kept.

        Args:
            name: the key.
            amount: what to add; may be negative.

        Returns:
            The new value.

        Raises:
            NotAnInteger: the value is none.
            IncrementOverflow: the sum leaves 64 bits; the key keeps its value.
            Busy, OutOfMemory, ReadOnly: as for `set`.

        RESP: INCR, INCRBY.
        """
        session = self._session()
        return session.increment(self._database, encode(name), integer(amount, "amount"))

    def incrby(self, name: Encodable, amount: int = 1) -> int:
        """The same as `incr`. RESP: INCRBY."""
        return self.incr(name, amount)

    def decr(self, name: Encodable, amount: int = 1) -> int:
        """`incr` by -amount. RESP: DECR, DECRBY."""
        session = self._session()
        return session.increment(self._database, encode(name), integer(-integer(amount, "amount"), "-amount"))

    def decrby(self, name: Encodable, amount: int = 1) -> int:
        """The same as `decr`. RESP: DECRBY."""
        return self.decr(name, amount)

    def incrbyfloat(self, name: Encodable, amount: float = 1.0) -> float:
        """Adds to a decimal number; a missing key counts as 0. The expiry is kept.

        The sum is made of the decimal texts in long double, as Redis does: 0.1 three times is 0.3.

        Args:
            name: the key.
            amount: what to add.

        Returns:
            The new value, as a float; `get` has all its digits.

        Raises:
            NotAFloat: the value is no number; the amount is not finite.
            IncrementOverflow: the sum is not finite.
            Busy, OutOfMemory, ReadOnly: as for `set`.

        RESP: INCRBYFLOAT.
        """
        if isinstance(amount, bool) or not isinstance(amount, (int, float)):
            raise refused_type(f"amount is {type(amount).__name__}", "Use a number.")
        if isinstance(amount, float) and not -_FLOAT_MAX <= amount <= _FLOAT_MAX:
            raise refusal("NOT_FLOAT", f"amount is {amount!r}", "Use a finite number.")
        session = self._session()
        return float(session.increment_float(self._database, encode(name), encode(amount)))

    # ------------------------------------------------------------------ parts of a value

    def append(self, key: Encodable, value: Encodable) -> int:
        """Appends to a value; a missing key counts as empty. The new length in bytes. RESP: APPEND."""
        session = self._session()
        return session.append(self._database, encode(key), encode(value))

    def strlen(self, name: Encodable) -> int:
        """Length of a value in bytes; 0 for a miss. RESP: STRLEN."""
        session = self._session()
        return session.length(self._database, encode(name))

    def getrange(self, key: Encodable, start: int, end: int) -> bytes:
        """The bytes from start to end, both included; negative ones count from the end. Empty for a miss. RESP: GETRANGE."""
        session = self._session()
        return session.range(self._database, encode(key), integer(start, "start"), integer(end, "end"))

    def setrange(self, name: Encodable, offset: int, value: Encodable) -> int:
        """Overwrites a part of a value, padding a shorter one with zero bytes. The new length in bytes. RESP: SETRANGE."""
        session = self._session()
        key, data = encode(name), encode(value)
        return session.set_range(self._database, key, integer(offset, "offset", 0), data)

    # ------------------------------------------------------------------ records

    @overload
    def records(self, dtype: np.dtype[ScalarT] | type[ScalarT]) -> Records[ScalarT]: ...

    @overload
    def records(self, dtype: DTypeLike) -> Records[np.void]: ...

    def records(self, dtype: DTypeLike) -> Records[ScalarT] | Records[np.void]:
        """This database seen as records of one numpy dtype. See `fincache.records`; imports numpy.

        Args:
            dtype: what numpy.dtype() takes, of a fixed size and without Python objects.

        Returns:
            Records, which lives as long as this Cache.

        Raises:
            InvalidArgument: a dtype that cannot be stored.
        """
        from fincache.records import Records

        return Records(self, dtype)

    # ------------------------------------------------------------------ the segment

    def stats(self) -> Stats:
        """Counters and memory of the whole segment, over all processes. Takes no lock."""
        self._require_open()
        return self._attachment.stats()

    def session_stats(self) -> Stats:
        """The counters of the calling thread's session since it was opened; the memory fields are those of the segment.

        Read-only attachments count here and nowhere else: they cannot write their counts into the segment.
        """
        return self._session().stats()

    def reap(self) -> int:
        """Settles every session whose thread is dead: finishes or undoes its half-done write, frees its locks and its memory.

        Nobody needs to call it, for whoever runs into a dead session does the same; it brings the memory back at once.

        Returns:
            How many were settled.

        Raises:
            ReadOnly, Closed.
        """
        return self._session().reap()

    def info(self) -> SegmentInfo:
        """Name, geometry, options and state of the segment, as the header says. Reads /proc/self/smaps, which may take 1 ms."""
        self._require_open()
        return self._attachment.describe()

    def sessions(self) -> list[SessionInfo]:
        """The sessions that are open in the segment: which threads of which processes use it."""
        self._require_open()
        return self._attachment.sessions()

    def set_policy(self, policy: Policy) -> None:
        """Changes what a full segment does with a write, for everybody, at once.

        Raises:
            InvalidArgument: no such policy.
            ReadOnly: the attachment is read-only.
        """
        self._require_open()
        self._attachment.set_policy(policy_number(policy))

    def _require_open(self) -> None:
        if self._session is _closed_session:
            raise _core.closed()


_FLOAT_MAX = float.fromhex("0x1.fffffffffffffp+1023")


def policy_number(policy: str) -> int:
    """FC_POLICY_* of a name. Raises InvalidArgument."""
    try:
        return _core.POLICIES[policy]
    except (KeyError, TypeError):
        raise refusal("INVALID_ARGUMENT", f"policy is {policy!r}", f"Use one of {', '.join(_core.POLICIES)}.") from None


def _conditions(nx: bool, xx: bool) -> int:
    if nx and xx:
        raise refusal("INVALID_ARGUMENT", "nx and xx exclude each other", "Drop one of them.")
    return (_core.SET_NX if nx else 0) | (_core.SET_XX if xx else 0)
