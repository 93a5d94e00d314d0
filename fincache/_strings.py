"""Commands on one value as a string of bytes: get and set in all their forms, and parts of a value.

Names, order of arguments, defaults and return values are redis-py's; what is added (get's `default` and `max_age`, get_into)
stands behind them or by itself.
"""

from __future__ import annotations

from typing import Literal, TypeVar, overload

from fincache import _core
from fincache._arguments import (
    NS_PER_MS,
    NS_PER_S,
    Encodable,
    Instant,
    Milliseconds,
    Seconds,
    age_limit_ns,
    expiry_after,
    expiry_of_set,
    integer,
)
from fincache._commands import Commands, ReplyT
from fincache._core import refusal

DefaultT = TypeVar("DefaultT")


class StringCommands(Commands[ReplyT]):
    """The commands on one value. Not to be made alone: class Cache is."""

    # ------------------------------------------------------------------ reading

    @overload
    def get(self, name: Encodable, default: None = None, *, max_age: Seconds | None = None) -> ReplyT | None: ...

    @overload
    def get(self, name: Encodable, default: DefaultT, *, max_age: Seconds | None = None) -> ReplyT | DefaultT: ...

    def get(
        self, name: Encodable, default: DefaultT | None = None, *, max_age: Seconds | None = None
    ) -> ReplyT | DefaultT | None:
        """The value of a key.

        Args:
            name: the key.
            default: what is returned for a miss, as a dict's get has it; redis-py's has none.
            max_age: seconds (0.25 is allowed), or a timedelta: a value that was written longer ago counts as a miss. Value and
                age are of one instant, so that a quote that was refreshed in between cannot pass with the age of another one.

        Returns:
            A copy of the value (bytes; str with decode_responses), or `default` for a miss.

        Raises:
            Contended: the key was rewritten on every bounded retry.
            InvalidType, InvalidArgument: a key or max_age that makes no sense.
            NotText: decode_responses, and the value is not text.
            WrongType, CorruptSegment, Closed.

        Never waits (P1). max_age costs some 30 ns more. RESP: GET.
        """
        session = self._session()
        key = name if type(name) is bytes else self._encode(name)
        if max_age is None:
            value = session.get(self._database, key)
        else:
            value = session.get_young(self._database, key, age_limit_ns(max_age))
        if value is None:
            return default
        return value if self._decode is None else self._decode(value)  # type: ignore[return-value] # None: ReplyT is bytes

    def get_into(self, name: Encodable, buffer: object) -> int | None:
        """Copies the value of a key into a buffer, without making an object for it.

        Args:
            name: the key.
            buffer: anything writable and contiguous: a bytearray, a memoryview, an mmap, an array, a numpy array. It may be
                longer than the value; what lies behind the value is left as it was.

        Returns:
            The value's length in bytes; None for a miss. What is in the buffer after a miss is undefined: bytes of a value that
            has just expired, for example.

        Raises:
            BufferTooSmall: the value is longer; the message says by how much, and nothing was copied.
            InvalidType: not a buffer, or a read-only one.
            What `get` raises; what is in the buffer is undefined then, too.

        Bytes whatever decode_responses says. Never waits (P1).
        """
        session = self._session()
        return session.get_into(self._database, self._encode(name), buffer)

    def getdel(self, name: Encodable) -> ReplyT | None:
        """Deletes a key and returns the value that it had, in one step; None for a miss. RESP: GETDEL."""
        session = self._session()
        return self._reply_or_none(session.get_delete(self._database, self._encode(name)))

    def getex(
        self,
        name: Encodable,
        ex: Seconds | None = None,
        px: Milliseconds | None = None,
        exat: Instant | None = None,
        pxat: Instant | None = None,
        persist: bool = False,
    ) -> ReplyT | None:
        """Returns the value of a key and changes its expiry, in one step.

        Args:
            name: the key.
            ex: seconds to live from now on (1.5 is allowed), or a timedelta.
            px: milliseconds to live, or a timedelta.
            exat: seconds since 1970 at which the key goes, or a datetime. A past instant deletes the key.
            pxat: milliseconds since 1970, or a datetime.
            persist: take the expiry away.

        Returns:
            The value, None for a miss. Without any option this is `get`.

        Raises:
            InvalidArgument: more than one option; an expiry of 0 or less.
            What `get` and `set` raise.

        RESP: GETEX.
        """
        session = self._session()
        key = self._encode(name)
        expires_unix_ns = expiry_of_set(ex, px, exat, pxat, persist=persist)
        if expires_unix_ns == 0 and not persist:
            return self._reply_or_none(session.get(self._database, key))
        return self._reply_or_none(session.get_expire(self._database, key, expires_unix_ns))

    def strlen(self, name: Encodable) -> int:
        """Length of a value in bytes; 0 for a miss. RESP: STRLEN."""
        session = self._session()
        return session.length(self._database, self._encode(name))

    def getrange(self, key: Encodable, start: int, end: int) -> ReplyT:
        """The bytes from start to end, both included; negative ones count from the end. Empty for a miss. RESP: GETRANGE."""
        session = self._session()
        return self._reply(session.range(self._database, self._encode(key), integer(start, "start"), integer(end, "end")))

    def substr(self, name: Encodable, start: int, end: int = -1) -> ReplyT:
        """The old name of `getrange`. RESP: SUBSTR."""
        return self.getrange(name, start, end)

    # ------------------------------------------------------------------ writing

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
    ) -> ReplyT | None: ...

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
    ) -> bool | ReplyT | None:
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
        key = name if type(name) is bytes else self._encode(name)
        data = value if type(value) is bytes else self._encode(value)
        plain = ex is px is exat is pxat is None
        if plain and not (nx or xx or keepttl or get):
            session.put(self._database, key, data)
            return True
        flags = _conditions(nx, xx) | (_core.SET_KEEPTTL if keepttl else 0)
        expires_unix_ns = 0 if plain else expiry_of_set(ex, px, exat, pxat, keepttl)
        if get:
            return self._reply_or_none(session.set_get(self._database, key, data, flags, expires_unix_ns)[1])
        return None if session.set(self._database, key, data, flags, expires_unix_ns) is None else True

    def setnx(self, name: Encodable, value: Encodable) -> bool:
        """`set` with nx: True if the key was missing and is set now, False (not None) if not. RESP: SETNX."""
        session = self._session()
        return session.set(self._database, self._encode(name), self._encode(value), _core.SET_NX) is not None

    def setex(self, name: Encodable, time: Seconds, value: Encodable) -> bool:
        """`set` with ex, as Redis had it first: mind the order of the arguments. True. RESP: SETEX."""
        session = self._session()
        key, data = self._encode(name), self._encode(value)
        session.set(self._database, key, data, 0, expiry_after(time, NS_PER_S, "time"))
        return True

    def psetex(self, name: Encodable, time_ms: Milliseconds, value: Encodable) -> bool:
        """`setex` in milliseconds. True. RESP: PSETEX."""
        session = self._session()
        key, data = self._encode(name), self._encode(value)
        session.set(self._database, key, data, 0, expiry_after(time_ms, NS_PER_MS, "time_ms"))
        return True

    def getset(self, name: Encodable, value: Encodable) -> ReplyT | None:
        """`set` with get: the old value, None if there was none. The expiry goes. RESP: GETSET."""
        session = self._session()
        return self._reply_or_none(session.set_get(self._database, self._encode(name), self._encode(value), 0, 0)[1])

    def append(self, key: Encodable, value: Encodable) -> int:
        """Appends to a value; a missing key counts as empty. The new length in bytes. RESP: APPEND."""
        session = self._session()
        return session.append(self._database, self._encode(key), self._encode(value))

    def setrange(self, name: Encodable, offset: int, value: Encodable) -> int:
        """Overwrites a part of a value, padding a shorter one with zero bytes. The new length in bytes. RESP: SETRANGE."""
        session = self._session()
        key, data = self._encode(name), self._encode(value)
        return session.set_range(self._database, key, integer(offset, "offset", 0), data)


def _conditions(nx: bool, xx: bool) -> int:
    if nx and xx:
        raise refusal("INVALID_ARGUMENT", "nx and xx exclude each other", "Drop one of them.")
    return (_core.SET_NX if nx else 0) | (_core.SET_XX if xx else 0)
