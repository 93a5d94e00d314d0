"""class KeySet: keys that are encoded, copied and hashed once, and read any number of times.

A strategy reads the same keys again and again. Much of what get_many of 500 keys takes is spent on making bytes of 500 str, on
hashing them and on room for the answers; a KeySet does that when it is made, and never again.

A hash holds for one segment (its seed is the segment's), and a prepared key names its database, so a KeySet belongs to the
attachment and the database that made it, and says so when it is used elsewhere. It holds no session: every thread may use it, a
child of fork() too. After Cache.close() it still knows its keys, and every read with it raises Closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn, overload

from fincache._commands import ReplyT
from fincache._core import refusal, refused_type

if TYPE_CHECKING:
    from fincache._arguments import Encodable
    from fincache._core import Attachment, Keys


class KeySet(Sequence[ReplyT]):
    """Keys prepared for `get_many`, `mget` and the arrays of `records`. Made by `Cache.keyset`; immutable.

    A sequence of keys in the order given, as bytes, or str from a Cache with decode_responses; a key may be in it twice. `index`
    and `in` take a key in any form that `Cache.get` takes, and look it up in constant time.

    Thread-safe; usable in a child of fork(). Cannot be pickled: in another process, make it there.
    """

    def __init__(
        self,
        attachment: Attachment,
        keys: Keys,
        names: Sequence[ReplyT],
        encode: Callable[[Encodable], bytes],
    ) -> None:
        self._attachment = attachment
        self._keys = keys
        self._names = tuple(names)
        self._encode = encode
        self._places: dict[bytes, int] | None = None  # the first place of each key, once asked for

    @property
    def segment(self) -> str:
        """The name of the segment."""
        return self._attachment.name

    @property
    def database(self) -> int:
        """The database that the keys are of."""
        return self._keys.database

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> ReplyT: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[ReplyT, ...]: ...

    def __getitem__(self, index: int | slice) -> ReplyT | tuple[ReplyT, ...]:
        return self._names[index]

    def __iter__(self) -> Iterator[ReplyT]:
        return iter(self._names)

    def index(self, key: object, start: int = 0, stop: int | None = None) -> int:
        """The first place of a key: the row that is its own in arrays that are read with this KeySet.

        Raises:
            ValueError: the key is not in the set (not there between start and stop).
        """
        if start == 0 and stop is None:
            place = self._place(key)
            if place is not None:
                return place
        else:
            wanted = self._encode(key)  # type: ignore[arg-type] # refused by name if it is none
            for place in range(*slice(start, stop).indices(len(self))):
                if self._keys.names[place] == wanted:
                    return place
        raise ValueError(f"{key!r} is not in this KeySet")

    def __contains__(self, key: object) -> bool:
        return self._place(key) is not None

    def _place(self, key: object) -> int | None:
        if self._places is None:
            names = self._keys.names
            self._places = {names[place]: place for place in reversed(range(len(names)))}
        return self._places.get(self._encode(key))  # type: ignore[arg-type]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, KeySet):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[str, int, tuple[bytes, ...]]:
        return self.segment, self.database, self._keys.names

    def __repr__(self) -> str:
        return f"<fincache.KeySet {self.segment!r} db={self.database} {len(self)} keys>"

    def __reduce__(self) -> NoReturn:
        raise refused_type("a KeySet cannot be pickled", "Send list(keyset), and make a KeySet of it in the other process.")


def prepared_for(keyset: KeySet[ReplyT], attachment: Attachment, database: int) -> Keys:
    """The prepared keys, for use in one database of one attachment. Raises InvalidArgument for another one."""
    keys = keyset._keys
    if keyset._attachment is attachment and keys.database == database:
        return keys
    made = f"made for database {keys.database} of segment {keyset.segment!r}"
    if keyset._attachment is not attachment and keyset.segment == attachment.name:
        made += " through another attachment"
    detail = f"the KeySet was {made}; this is database {database} of {attachment.name!r}"
    raise refusal("INVALID_ARGUMENT", detail, "Make one with keyset() of the Cache that you read with.")
