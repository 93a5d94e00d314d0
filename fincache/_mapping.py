"""A Cache as a mapping: cache[key], in, del, len, iteration, and what goes with a dict.

Redis's names and those of dict meet in one object, and where they differ one of them must give way. What was decided:

    keys(pattern="*")   Redis's: a list, not a view. Without an argument it is what dict's users expect of keys().
    values(), items()   iterators, not views: they read a batch at a time, so each value is whole, but they are not of one
                        instant; a key that goes before its turn is left out. dict(cache.items()) is safe, dict(cache) may meet
                        a KeyError.
    get(key, default)   dict's, which is Redis's plus the default.
    update              two commands under one name, told apart by their first argument: see its docstring.
    copy, pop           copy is Redis's COPY; pop is dict's, done by GETDEL in one step.
    del, cache[key]     KeyError for a miss, as in every Python mapping. redis-py's `del` is silent: that is what delete() is for.
    clear, popitem      are not there: emptying a segment that others use is called flushdb(), and keys have no last one.
    bool(cache)         always True, empty or not, as for redis-py's client: `if cache:` asks for a connection, not for keys.

So a Cache is no collections.abc.MutableMapping, and says so to isinstance. Other processes write at any time: two calls in a row
are two instants. What must be one step is one call: setdefault, pop, update with a function, incr, mset, mget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar, cast, overload

from fincache import _core
from fincache._arguments import Encodable, Instant, Milliseconds, Seconds, expiry_of_set, integer
from fincache._commands import ReplyT
from fincache._core import no_such_key, refusal, refused_type
from fincache._keyspace import SCAN_ITER_COUNT, KeyspaceCommands
from fincache._manykeys import ManyKeyCommands, NameT
from fincache._strings import StringCommands
from fincache._versions import ATTEMPTS, VersionCommands

DefaultT = TypeVar("DefaultT")
_NONE_GIVEN = object()
_MISS_HINT = "get(key, default) and pop(key, default) do without the exception."


class MappingCommands(StringCommands[ReplyT], KeyspaceCommands[ReplyT], ManyKeyCommands[ReplyT], VersionCommands[ReplyT]):
    """The protocol of dict. Not to be made alone: class Cache is."""

    # By the methods of the same meaning, not by the session: those are what the accelerator stands in front of.

    def __getitem__(self, name: Encodable) -> ReplyT:
        value = self.get(name)
        if value is None:
            raise no_such_key(self._encode(name), _MISS_HINT)
        return value

    def __setitem__(self, name: Encodable, value: Encodable) -> None:
        self.set(name, value)

    def __delitem__(self, name: Encodable) -> None:
        if self.delete(name) == 0:
            raise no_such_key(self._encode(name), _MISS_HINT)

    def __contains__(self, name: Encodable) -> bool:
        return self.exists(name) == 1

    def __len__(self) -> int:
        return self.dbsize()

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[ReplyT]:
        return self.scan_iter()

    def values(self) -> Iterator[ReplyT]:
        """The values, a batch at a time: each is whole, but they are not of one instant. `mget` of keys that you name is."""
        return (value for _, value in self.items())

    def items(self) -> Iterator[tuple[ReplyT, ReplyT]]:
        """Keys with their values, a batch at a time; a key that goes before its turn is left out.

        Has the promise of `scan` for what comes and goes meanwhile. Some 0.5 us a key.
        """
        cursor = 0
        while True:
            cursor, names = self.scan(cursor, count=SCAN_ITER_COUNT)
            if names:
                for name, value in zip(names, self.get_many(names), strict=True):
                    if value is not None:
                        yield name, value
            if cursor == 0:
                return

    def setdefault(self, name: Encodable, default: Encodable) -> ReplyT:
        """The value of a key, after setting it to `default` if the key was missing; in one step.

        Args:
            name: the key.
            default: bytes, str, int or float. None cannot be stored, so there is no default for it.

        Returns:
            The value as `get` shows it: of an int or float that was stored now, its text.

        Raises:
            What `set` raises.

        RESP: SET with NX and GET.
        """
        session = self._session()
        data = self._encode(default)
        _, old = session.set_get(self._database, self._encode(name), data, _core.SET_NX, 0)
        return self._reply(data if old is None else old)

    @overload
    def pop(self, name: Encodable) -> ReplyT: ...

    @overload
    def pop(self, name: Encodable, default: DefaultT) -> ReplyT | DefaultT: ...

    def pop(self, name: Encodable, default: object = _NONE_GIVEN) -> object:
        """Deletes a key and returns the value that it had, in one step.

        Args:
            name: the key.
            default: what is returned for a miss.

        Raises:
            NoSuchKey: a miss, and no default.
            What `set` raises.

        RESP: GETDEL.
        """
        session = self._session()
        key = self._encode(name)
        value = session.get_delete(self._database, key)
        if value is not None:
            return self._reply(value)
        if default is _NONE_GIVEN:
            raise no_such_key(key, _MISS_HINT)
        return default

    @overload
    def update(self, mapping: Mapping[NameT, Encodable] | Iterable[tuple[Encodable, Encodable]], /) -> None: ...

    @overload
    def update(
        self,
        key: Encodable,
        function: Callable[[ReplyT | None], Encodable | None],
        /,
        *,
        ex: Seconds | None = None,
        px: Milliseconds | None = None,
        exat: Instant | None = None,
        pxat: Instant | None = None,
        persist: bool = False,
        attempts: int = ATTEMPTS,
    ) -> ReplyT | None: ...

    def update(
        self,
        target: Encodable | Mapping[NameT, Encodable] | Iterable[tuple[Encodable, Encodable]],
        function: Callable[[ReplyT | None], Encodable | None] | None = None,
        /,
        *,
        ex: Seconds | None = None,
        px: Milliseconds | None = None,
        exat: Instant | None = None,
        pxat: Instant | None = None,
        persist: bool = False,
        attempts: int = ATTEMPTS,
    ) -> ReplyT | None:
        """Sets many keys at one instant, of a mapping; or computes one key's value from its old one, by a function.

            cache.update({"bid": 150.24, "ask": 150.26})
            cache.update("position", lambda old: int(old or 0) + 100)

        One name, because both are what "update" says to those who use it, a dict's users and a database's; and one method,
        because they cannot be mixed up: a mapping is no key, and a function has no place in the first form. To a type checker
        they are two signatures.

        With a mapping (or key-value pairs) it is `mset`, all-or-nothing, but an empty one is allowed; returns None.

        With a key and a function: reads the key, calls the function with its value (None for a miss), and stores what it returns
        if the key still has the version that was read; if not, once more from the start. So nothing that others write in between
        is lost, nobody is locked out while the function runs, and a process that dies in it leaves the key as it was. The
        function may be called several times: it should compute, and have no effects of its own.

        Args:
            target: a mapping or key-value pairs, or the key.
            function: from the old value to the new one (bytes, str, int or float); None from it leaves the key as it is.
            ex: as for `set`, like the next three. Without any of them the expiry is kept, as `incr` keeps it.
            px: milliseconds to live.
            exat: an instant, in seconds.
            pxat: an instant, in milliseconds.
            persist: take the expiry away.
            attempts: how often to try. An attempt fails only when another write of the key succeeded meanwhile.

        Returns:
            With a function: the value that is there now, as `get` shows it; None if there is none.

        Raises:
            Contended: every attempt met another write.
            InvalidType, InvalidArgument: neither of the two forms; attempts below 1.
            What the function raises; what `set` raises.
        """
        has_options = not (ex is px is exat is pxat is None) or persist
        if function is None:
            if has_options or attempts != ATTEMPTS:
                raise refusal("INVALID_ARGUMENT", "an option without a function", "Options go with update(key, function).")
            self._update_mapping(cast("Mapping[NameT, Encodable]", target))
            return None
        if not callable(function):
            raise refused_type(f"function is {type(function).__name__}", "Pass a function from the old value to the new one.")
        expiry = None
        if has_options:
            expiry_of_set(ex, px, exat, pxat, persist=persist)  # refuses before the function is called

            def expiry() -> int:
                return expiry_of_set(ex, px, exat, pxat, persist=persist)

        return self._transform(cast("Encodable", target), function, expiry, integer(attempts, "attempts", 1))

    def _update_mapping(self, mapping: Mapping[NameT, Encodable] | Iterable[tuple[NameT, Encodable]]) -> None:
        if not isinstance(mapping, Mapping):
            if isinstance(mapping, (str, bytes, bytearray, memoryview)) or not isinstance(mapping, Iterable):
                raise refused_type(
                    f"update of {type(mapping).__name__}", "Pass a dict of values by key, or a key and a function."
                )
            try:
                mapping = dict(mapping)
            except (TypeError, ValueError) as error:
                raise refused_type(f"no key-value pairs: {error}", "Pass a dict of values by key.") from None
        if mapping:
            self.mset(mapping)
        else:
            self._session()  # Closed
