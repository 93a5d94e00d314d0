"""Commands on keys, whatever they hold: existence, names, scanning, flushing."""

from __future__ import annotations

from collections.abc import Iterator

from fincache._arguments import Encodable, glob, integer, type_name
from fincache._commands import Commands, ReplyT
from fincache._core import refusal

SCAN_COUNT = 10  # keys a call of scan looks at, as in Redis
SCAN_ITER_COUNT = 256  # keys that scan_iter looks at in one call: 50-100 us
UINT64_MAX = (1 << 64) - 1


class KeyspaceCommands(Commands[ReplyT]):
    """The commands on keys. Not to be made alone: class Cache is."""

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
        return sum([session.delete(self._database, self._encode(name)) for name in names])

    def unlink(self, *names: Encodable) -> int:
        """The same as `delete`: there is no slow way to give memory back. RESP: UNLINK."""
        return self.delete(*names)

    def exists(self, *names: Encodable) -> int:
        """How many of the keys exist; a key named twice counts twice. RESP: EXISTS."""
        session = self._session()
        return sum([session.exists(self._database, self._encode(name)) for name in names])

    def touch(self, *names: Encodable) -> int:
        """Marks keys as used just now, for eviction; how many there were. RESP: TOUCH."""
        session = self._session()
        return sum([session.touch(self._database, self._encode(name)) for name in names])

    def type(self, name: Encodable) -> ReplyT:
        """b"string", or b"none" for a missing key. RESP: TYPE."""
        session = self._session()
        return self._reply(session.type(self._database, self._encode(name)))

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
        return session.rename(self._database, self._encode(src), self._encode(dst), only_if_absent=False)

    def renamenx(self, src: Encodable, dst: Encodable) -> bool:
        """`rename`, but only if there is no `dst`; False if there is. RESP: RENAMENX."""
        session = self._session()
        return session.rename(self._database, self._encode(src), self._encode(dst), only_if_absent=True)

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
            InvalidArgument: no such database; source and destination are the same key.
            Busy, OutOfMemory, ReadOnly: as for `set`.

        RESP: COPY.
        """
        session = self._session()
        key, target, database = self._encode(source), self._encode(destination), self._database
        if destination_db is not None:
            database = integer(destination_db, "destination_db", 0, self._attachment.database_count() - 1)
        if key == target and database == self._database:
            raise refusal("INVALID_ARGUMENT", f"{key[:64]!r} copied onto itself", "Name another key, or another database.")
        return session.copy(self._database, key, database, target, replace=replace)

    # ------------------------------------------------------------------ the key space

    def scan(
        self,
        cursor: int = 0,
        match: Encodable | None = None,
        count: int | None = None,
        _type: str | bytes | None = None,
    ) -> tuple[int, list[ReplyT]]:
        """One step through the keys.

        Args:
            cursor: 0 to begin; then what the last call returned.
            match: a Redis pattern (* ? [a-z] [^a] and backslash); None: all.
            count: how many keys to look at (not: to return); None: 10.
            _type: only keys of this type, such as "string" (str or bytes, in any case).

        Returns:
            The next cursor, 0 at the end, and keys. A key that is there from the first call to the last is returned at least
            once; one that comes or goes meanwhile may be; a key may be returned twice.

        Raises:
            InvalidArgument: a cursor or count out of range.
            InvalidType: a _type that is no name.

        RESP: SCAN.
        """
        session = self._session()
        following, found = session.scan(
            self._database,
            integer(cursor, "cursor", 0, UINT64_MAX),
            SCAN_COUNT if count is None else integer(count, "count", 1),
        )
        if match is not None:
            fits = glob(self._encode(match)).fullmatch
            found = [item for item in found if fits(item[0])]
        if _type is not None:
            wanted = type_name(_type)
            found = [item for item in found if item[1] == wanted]
        return following, self._replies([key for key, _ in found])

    def scan_iter(
        self, match: Encodable | None = None, count: int | None = None, _type: str | bytes | None = None
    ) -> Iterator[ReplyT]:
        """The keys, by `scan`, with its promise. Holds nothing between two steps, so it may be left unfinished."""
        cursor = 0
        while True:
            cursor, keys = self.scan(cursor, match, SCAN_ITER_COUNT if count is None else count, _type)
            yield from keys
            if cursor == 0:
                return

    def keys(self, pattern: Encodable = "*") -> list[ReplyT]:
        """All keys that fit a Redis pattern (see `scan`), each once, in no order.

        A list, as in redis-py, and not a view as in dict. It is made by many steps of `scan`, not at one instant: writers go on
        meanwhile, and a key that comes or goes may be in it or not. Some 0.3 us for each key of the database; for large ones
        there is `scan_iter`.

        RESP: KEYS.
        """
        return list(dict.fromkeys(self.scan_iter(None if pattern in ("*", b"*") else pattern)))

    def randomkey(self) -> ReplyT | None:
        """Some key; None if there is none. RESP: RANDOMKEY."""
        session = self._session()
        return self._reply_or_none(session.random_key(self._database))

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
