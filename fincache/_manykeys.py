"""Commands on many keys at a time: mget and mset, which are consistent, get_many, which never fails as a whole, and key sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from fincache._arguments import Encodable
from fincache._commands import Commands, ReplyT
from fincache._core import refusal, refused_type
from fincache.keyset import KeySet, prepared_for

NameT = TypeVar("NameT", bound=Encodable)  # a Mapping is not covariant in its keys: a dict[str, int] must fit as well

Names = Encodable | Iterable[Encodable] | KeySet[bytes] | KeySet[str]
"""One key, or keys in a list or other iterable, or a KeySet."""


class ManyKeyCommands(Commands[ReplyT]):
    """The commands on many keys. Not to be made alone: class Cache is."""

    def mget(self, keys: Names, *args: Encodable) -> list[ReplyT | None]:
        """Values of many keys, as they stood together at one instant (P5), without locking writers.

        Args:
            keys: one key, keys in a list or other iterable, or a KeySet.
            args: more keys; not after a KeySet.

        Returns:
            Values in the order of the keys, None for a miss.

        Raises:
            Contended: writers changed the keys on every one of the bounded retries. Try again, or use `get_many`.
            InvalidArgument: the KeySet is another segment's or database's.
            What `get` raises.

        RESP: MGET.
        """
        return self._read_many(keys, args, cut=True)

    def get_many(self, keys: Names, *args: Encodable) -> list[ReplyT | None]:
        """`mget` without the common instant: each value is whole, and no writer can make the call fail as a whole."""
        return self._read_many(keys, args, cut=False)

    def _read_many(self, keys: Names, args: tuple[Encodable, ...], *, cut: bool) -> list[ReplyT | None]:
        session = self._session()
        if isinstance(keys, KeySet):
            if args:
                raise refusal("INVALID_ARGUMENT", "keys after a KeySet", "Put them into the KeySet, or pass list(keyset).")
            prepared = prepared_for(keys, self._attachment, self._database)
            return self._replies_or_none(session.read_keys(prepared, cut=cut)) if keys else []
        names = self._names(keys, args)
        return self._replies_or_none(session.read_many(self._database, names, cut=cut)) if names else []

    def _names(self, keys: Encodable | Iterable[Encodable], args: tuple[Encodable, ...] = ()) -> list[bytes]:
        """The keys, encoded; what is neither a key nor an iterable is refused as a key."""
        encode = self._encode
        if isinstance(keys, (str, bytes, bytearray, memoryview)) or not isinstance(keys, Iterable):
            return [encode(keys), *map(encode, args)]
        return [*map(encode, keys), *map(encode, args)]

    def keyset(self, keys: Iterable[Encodable]) -> KeySet[ReplyT]:
        """Keys prepared once, to be read often: with `get_many`, `mget`, and into arrays with `records`.

        Args:
            keys: the keys, in the order in which their values are wanted.

        Returns:
            A KeySet. It takes 32 bytes a key and the keys themselves, and, from the first read on, room for the values.

        Raises:
            InvalidType: not keys; KeyTooLong; Closed.

        Some 0.3 us a key, to save it at every read.
        """
        self._session()  # Closed, before anything else is looked at
        if isinstance(keys, (str, bytes, bytearray, memoryview)) or not isinstance(keys, Iterable):
            raise refused_type(f"keys is {type(keys).__name__}", "Pass a list of keys.")
        names = self._names(keys)
        prepared = self._attachment.keys(self._database, names)
        return KeySet(self._attachment, prepared, self._replies(names), self._encode)

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
        encode = self._encode
        items = [(encode(name), encode(value)) for name, value in mapping.items()]
        if not items:
            raise refusal("INVALID_ARGUMENT", "the mapping is empty", "Pass one key at least.")
        return session.set_many(self._database, items, only_if_absent=only_if_absent)
