"""Commands that only shared memory gives: a value with its version, age and writer, and writes that depend on the version.

A version is unique for ever within a segment, so compare-and-set has no ABA: an equal version is the very same write.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from fincache import _core
from fincache._arguments import Encodable, Instant, Milliseconds, Seconds, expiry_of_set, integer
from fincache._commands import Commands, ReplyT
from fincache._core import refusal
from fincache._reports import Entry

ATTEMPTS = 1000  # of update: an attempt fails only if another write succeeded meanwhile, so nobody is stuck before that


class VersionCommands(Commands[ReplyT]):
    """The commands on versions. Not to be made alone: class Cache is."""

    def entry(self, name: Encodable) -> Entry[ReplyT] | None:
        """A value with its version, age, time to live and writer, all from one instant; None for a miss.

        Raises what `get` raises. Never waits; asking the kernel whether the writer lives takes some 15 us.
        """
        session = self._session()
        found = session.entry(self._database, self._encode(name))
        if found is None or self._decode is None:
            return cast("Entry[ReplyT] | None", found)
        return cast("Entry[ReplyT]", replace(found, value=self._decode(found.value)))  # type: ignore[arg-type]

    def version(self, name: Encodable) -> int | None:
        """The version of a value without the value, None for a miss: the cheapest way to ask "is it still the same?".

        Copies nothing and asks nobody, however large the value. Raises what `get` raises. Never waits.
        """
        session = self._session()
        return session.version(self._database, self._encode(name))

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
        return session.set(self._database, self._encode(name), self._encode(value), flags, expires_unix_ns, expected)

    def _transform(
        self,
        name: Encodable,
        function: Callable[[ReplyT | None], Encodable | None],
        expiry: Callable[[], int] | None,
        attempts: int,
    ) -> ReplyT | None:
        """`update` with a function. `expiry` gives the new one at the time of a write; None keeps the one that is there."""
        session = self._session()
        key = self._encode(name)
        for _ in range(attempts):
            found = session.entry(self._database, key, with_writer=False)
            value = function(None if found is None else self._reply(found.value))
            if value is None:
                return None if found is None else self._reply(found.value)
            data = self._encode(value)
            flags = _core.SET_VERSION | (_core.SET_KEEPTTL if expiry is None else 0)
            expires_unix_ns = 0 if expiry is None else expiry()
            version = 0 if found is None else found.version
            if session.set(self._database, key, data, flags, expires_unix_ns, version) is not None:
                return self._reply(data)
        detail = f"{key[:64]!r} was changed by others during each of {attempts} attempts"
        raise refusal("CONTENDED", detail, "Make the function shorter, or raise `attempts`.")
