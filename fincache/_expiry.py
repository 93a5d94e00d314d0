"""Commands on times to live. In the segment they are wall-clock instants in nanoseconds, here Redis's seconds or milliseconds.

Rounding: pttl and pexpiretime round up, so that a key that is there never shows 0 ms; ttl and expiretime round these to the
nearest second, as Redis does. Whoever needs more digits finds them in `Cache.entry`.
"""

from __future__ import annotations

import time

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
)
from fincache._commands import Commands, ReplyT
from fincache._core import refusal


class ExpiryCommands(Commands[ReplyT]):
    """The commands on times to live. Not to be made alone: class Cache is."""

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
        nx, xx, gt, lt = bool(nx), bool(xx), bool(gt), bool(lt)  # None, 2 and -1 mean what they mean elsewhere
        if (nx and (xx or gt or lt)) or (gt and lt):
            raise refusal("INVALID_ARGUMENT", "nx goes with none of xx, gt and lt, and gt not with lt", "Drop one of them.")
        flags = _core.EXPIRE_NX * nx | _core.EXPIRE_XX * xx | _core.EXPIRE_GT * gt | _core.EXPIRE_LT * lt
        session = self._session()
        return session.expire(self._database, self._encode(name), expires_unix_ns, flags)

    def persist(self, name: Encodable) -> bool:
        """Takes the expiry away; False without such a key or without an expiry. RESP: PERSIST."""
        session = self._session()
        return session.persist(self._database, self._encode(name))

    def ttl(self, name: Encodable) -> int:
        """Seconds to live, to the nearest; -1 without expiry, -2 without such a key. RESP: TTL."""
        return _seconds(self.pttl(name))

    def pttl(self, name: Encodable) -> int:
        """Milliseconds to live, rounded up; -1 without expiry, -2 without such a key. RESP: PTTL."""
        expires_unix_ns = self._expires(name)
        if expires_unix_ns < 0:
            return expires_unix_ns
        left_ns = expires_unix_ns - time.time_ns()
        return -(-left_ns // NS_PER_MS) if left_ns > 0 else -2

    def expiretime(self, key: Encodable) -> int:
        """The second since 1970 at which a key goes; -1 without expiry, -2 without such a key. RESP: EXPIRETIME."""
        return _seconds(self.pexpiretime(key))

    def pexpiretime(self, key: Encodable) -> int:
        """The millisecond since 1970 at which a key goes; -1 without expiry, -2 without such a key. RESP: PEXPIRETIME."""
        expires_unix_ns = self._expires(key)
        return expires_unix_ns if expires_unix_ns < 0 else -(-expires_unix_ns // NS_PER_MS)

    def _expires(self, name: Encodable) -> int:
        """The instant in ns, or Redis's -1 and -2."""
        session = self._session()
        expires_unix_ns = session.expires(self._database, self._encode(name))
        if expires_unix_ns is None:
            return -2
        return expires_unix_ns or -1


def _seconds(ms: int) -> int:
    return ms if ms < 0 else (ms + 500) // 1000
