"""Commands on keys, whatever they hold: existence, expiry, names, the key space. Half of class Cache; client.py has the other.

Names, arguments and return values are redis-py's. Times to live are computed from the wall clock and the instant in the segment
(nanoseconds); pttl rounds up, so that a key that is there never shows 0; ttl rounds that to the nearest second, as Redis does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from fincache import _core
from fincache._arguments import (
    NS_PER_MS,
    NS_PER_S,
    Encodable,
    Instant,
    Milliseconds,
    Seconds,
    deadline_after,
    deadline_at,
    encode,
    glob,
    integer,
)
from fincache._core import Session, refusal

SCAN_COUNT = 10  # keys a call of scan looks at, as in Redis
SCAN_ITER_COUNT = 256  # keys scan_iter looks at between two looks at the clock of the caller: 50-100 us
UINT64_MAX = (1 << 64) - 1


class KeyspaceCommands:
    """The commands on keys. Not to be made alone: class Cache is."""

    _session: Callable[[], Session]
    _database: int

    def delete(self, *names: Encodable) -> int:
        """Removes keys, one after the other (a reader may see some gone and some not yet).

        Args:
            names: the keys.

        Returns:
            How many there were.

        Raises:
            Busy: a live process held a key's lock beyond timeout_ms. Keys named before that one are gone.
            ReadOnly: the attachment is read-only.

        RESP: DEL.
        """
        session = self._session()
        return sum([session.delete(self._database, encode(name)) for name in names])

    def exists(self, *names: Encodable) -> int:
        """How many of the keys exist; a key named twice counts twice. RESP: EXISTS."""
        session = self._session()
        return sum([session.exists(self._database, encode(name)) for name in names])

    def touch(self, *names: Encodable) -> int:
        """Marks keys as used just now, for eviction; how many there were. RESP: TOUCH."""
        session = self._session()
        return sum([session.touch(self._database, encode(name)) for name in names])

    def type(self, name: Encodable) -> bytes:
        """b"string", or b"none" for a missing key. RESP: TYPE."""
        session = self._session()
        return session.type(self._database, encode(name))

    # ------------------------------------------------------------------ expiry

    def expire(
        self, name: Encodable, time: Seconds, nx: bool = False, xx: bool = False, gt: bool = False, lt: bool = False
    ) -> bool:
        """Lets a key live for a time from now on.

        Args:
            name: the key.
            time: seconds (1.5 is allowed), or a timedelta; 0 or less deletes the key.
            nx: only if it has no expiry.
            xx: only if it has one.
            gt: only if the new one is later; no expiry counts as infinite.
            lt: only if the new one is earlier.

        Returns:
            True if the expiry was set (or the key deleted), False without such a key or if the condition did not hold.

        Raises:
            InvalidArgument: conditions that exclude each other; a time beyond the year 2262.
            Busy, ReadOnly: as for `set`.

        RESP: EXPIRE.
        """
        return self._expire(name, deadline_after(time, NS_PER_S, "time"), nx, xx, gt, lt)

    def pexpire(
        self, name: Encodable, time: Milliseconds, nx: bool = False, xx: bool = False, gt: bool = False, lt: bool = False
    ) -> bool:
        """`expire` in milliseconds. RESP: PEXPIRE."""
        return self._expire(name, deadline_after(time, NS_PER_MS, "time"), nx, xx, gt, lt)

    def expireat(
        self, name: Encodable, when: Instant, nx: bool = False, xx: bool = False, gt: bool = False, lt: bool = False
    ) -> bool:
        """`expire` at an instant: seconds since 1970 (wall clock) or a datetime; a past one deletes. RESP: EXPIREAT."""
        return self._expire(name, deadline_at(when, NS_PER_S, "when"), nx, xx, gt, lt)

    def pexpireat(
        self, name: Encodable, when: Instant, nx: bool = False, xx: bool = False, gt: bool = False, lt: bool = False
    ) -> bool:
        """`expireat` in milliseconds since 1970. RESP: PEXPIREAT."""
        return self._expire(name, deadline_at(when, NS_PER_MS, "when"), nx, xx, gt, lt)

    def _expire(self, name: Encodable, expires_unix_ns: int, nx: bool, xx: bool, gt: bool, lt: bool) -> bool:
        if (nx and (xx or gt or lt)) or (gt and lt):
            raise refusal("INVALID_ARGUMENT", "nx goes with none of xx, gt and lt, and gt not with lt", "Drop one of them.")
        flags = _core.EXPIRE_NX * nx | _core.EXPIRE_XX * xx | _core.EXPIRE_GT * gt | _core.EXPIRE_LT * lt
        session = self._session()
        return session.expire(self._database, encode(name), expires_unix_ns, flags)

    def persist(self, name: Encodable) -> bool:
        """Takes the expiry away; False without such a key or without an expiry. RESP: PERSIST."""
        session = self._session()
        return session.persist(self._database, encode(name))

    def ttl(self, name: Encodable) -> int:
        """Seconds to live, to the nearest; -1 without expiry, -2 without such a key. RESP: TTL."""
        pttl = self.pttl(name)
        return pttl if pttl < 0 else (pttl + 500) // 1000

    def pttl(self, name: Encodable) -> int:
        """Milliseconds to live, rounded up; -1 without expiry, -2 without such a key. RESP: PTTL."""
        session = self._session()
        expires_unix_ns = session.expires(self._database, encode(name))
        if expires_unix_ns is None:
            return -2
        if expires_unix_ns == 0:
            return -1
        left_ns = expires_unix_ns - time.time_ns()
        return -(-left_ns // NS_PER_MS) if left_ns > 0 else -2

    # ------------------------------------------------------------------ names

    def rename(self, src: Encodable, dst: Encodable) -> bool:
        """Gives a value another name; what had that name is gone. All-or-nothing for every reader (P5).

        Args:
            src: the key as it is.
            dst: the key as it will be.

        Returns:
            True.

        Raises:
            NoSuchKey: there is no `src`.
            Busy, OutOfMemory, ReadOnly: as for `set`.

        RESP: RENAME.
        """
        session = self._session()
        return session.rename(self._database, encode(src), encode(dst), only_if_absent=False)

    def renamenx(self, src: Encodable, dst: Encodable) -> bool:
        """`rename`, but only if there is no `dst`; False if there is. RESP: RENAMENX."""
        session = self._session()
        return session.rename(self._database, encode(src), encode(dst), only_if_absent=True)

    def copy(self, source: Encodable, destination: Encodable, destination_db: int | None = None, replace: bool = False) -> bool:
        """Copies value and expiry.

        Args:
            source: the key to copy.
            destination: the key of the copy.
            destination_db: its database; None: this one.
            replace: whether an existing `destination` is replaced.

        Returns:
            False without `source`, or if there is a `destination` and not `replace`.

        Raises:
            InvalidArgument: no such database.
            Busy, OutOfMemory, ReadOnly: as for `set`.

        RESP: COPY.
        """
        target_database = (
            self._database if destination_db is None else integer(destination_db, "destination_db", 0, _core.DATABASES_MAX - 1)
        )
        session = self._session()
        return session.copy(self._database, encode(source), target_database, encode(destination), replace=replace)

    # ------------------------------------------------------------------ the key space

    def scan(
        self,
        cursor: int = 0,
        match: Encodable | None = None,
        count: int | None = None,
        _type: str | None = None,
    ) -> tuple[int, list[bytes]]:
        """One step through the keys.

        Args:
            cursor: 0 to begin; then what the last call returned.
            match: a Redis pattern (* ? [a-z] [^a] and backslash); None: all.
            count: how many keys to look at (not: to return); None: 10.
            _type: only keys of this type, such as "string".

        Returns:
            The next cursor, 0 at the end, and keys. A key that is there from the first call to the last is returned at least
            once; one that comes or goes meanwhile may be; a key may be returned twice.

        Raises:
            InvalidArgument: a cursor or count out of range.

        RESP: SCAN.
        """
        session = self._session()
        following, found = session.scan(
            self._database,
            integer(cursor, "cursor", 0, UINT64_MAX),
            SCAN_COUNT if count is None else integer(count, "count", 1),
        )
        if match is not None:
            fits = glob(encode(match)).fullmatch
            found = [item for item in found if fits(item[0])]
        if _type is not None:
            wanted = _type.lower().encode()
            found = [item for item in found if item[1] == wanted]
        return following, [key for key, _ in found]

    def scan_iter(self, match: Encodable | None = None, count: int | None = None, _type: str | None = None) -> Iterator[bytes]:
        """The keys, by `scan`, with its promise. Holds nothing between two steps, so it may be left unfinished."""
        cursor = 0
        while True:
            cursor, keys = self.scan(cursor, match, SCAN_ITER_COUNT if count is None else count, _type)
            yield from keys
            if cursor == 0:
                return

    def randomkey(self) -> bytes | None:
        """Some key; None if there is none. RESP: RANDOMKEY."""
        session = self._session()
        return session.random_key(self._database)

    def dbsize(self) -> int:
        """Number of keys of this database, expired ones that nobody has met yet included. RESP: DBSIZE."""
        session = self._session()
        return session.count(self._database)

    def flushdb(self, asynchronous: bool = False) -> bool:  # noqa: ARG002 -- redis-py's
        """Empties this database at once, in constant time; memory comes back in the background.

        Args:
            asynchronous: accepted for redis-py's sake; there is only one, fast, way.

        Returns:
            True.

        RESP: FLUSHDB.
        """
        session = self._session()
        session.flush(self._database)
        return True

    def flushall(self, asynchronous: bool = False) -> bool:  # noqa: ARG002 -- redis-py's
        """`flushdb` for every database. RESP: FLUSHALL."""
        session = self._session()
        session.flush_all()
        return True
