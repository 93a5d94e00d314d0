"""class Cache: one attachment to one segment, with redis-py's names, arguments and return values.

The commands stand in modules of their own (see `_commands`); here are the life of a Cache, its databases, and its reports.

What differs from redis-py, and why:
  - No server, no connection, no pool. An operation is a function call of well under a microsecond; it waits for nobody but, when
    it writes, for a live process that holds the same key's lock, and for that timeout_ms at most (`Busy`).
  - mget is one consistent cut, mset is all-or-nothing, for plain readers too (P5).
  - Times may be fractions of a second. Errors have names of their own, which are also Python's built-in ones.
  - A Cache is a mapping as well (see `_mapping`).
  - entry, cas, update, get_into, keyset, stats, sessions and records have no counterpart there.
  - select is `db(n)`, a view: what one part of a program selects should not move another part's keys.
  - A pipeline saves no round trip, for there is none: it is there for transactions of any commands. One step of a kind is
    cheaper as mset, mget or update.

asyncio: a Cache is called as it is, without await, a thread or an executor. A read never waits, and takes less time than a switch
of tasks; a write waits in the one case above. An event loop that must not stand still for timeout_ms attaches with a smaller one.

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

from collections.abc import Callable
from time import time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from fincache import _core
from fincache._arguments import Encodable, integer
from fincache._arguments import decode as decode_utf8
from fincache._arguments import encode as encode_utf8
from fincache._commands import ReplyT
from fincache._core import Attachment, Reply, Session, parse_reply, refusal, refused_type
from fincache._errors import FinCacheError, WatchError
from fincache._expiry import ExpiryCommands
from fincache._mapping import MappingCommands
from fincache._numbers import NumberCommands
from fincache._pipeline import Pipeline
from fincache._reports import Policy, SegmentInfo, SessionInfo, SizeClass, Stats
from fincache.keyset import KeySet

if TYPE_CHECKING:
    import numpy as np
    from typing_extensions import Self

    from fincache.records import Records

    RecordT = TypeVar("RecordT")
    ScalarT = TypeVar("ScalarT", bound=np.generic)


def _closed_session() -> NoReturn:
    raise _core.closed()


class AllCommands(MappingCommands[ReplyT], NumberCommands[ReplyT], ExpiryCommands[ReplyT]):
    """The families together: what the accelerator stands in front of, and falls back on."""


if TYPE_CHECKING:

    class _Door:
        pass
else:
    _Door = _core.door(AllCommands, KeySet)


class Cache(_Door, AllCommands[ReplyT]):
    """An attachment to a segment. Made by `fincache.open` and `fincache.attach`; a context manager that closes.

    See the module for threads, fork, signals, asyncio and closing. Keys and values may be bytes, str, int and float (decimal
    text); values come back as bytes, or as str with decode_responses. Keys have up to 64 KiB, values up to the segment's
    value_bytes_max.
    """

    def __init__(
        self,
        attachment: Attachment,
        database: int = 0,
        encode: Callable[[Encodable], bytes] = encode_utf8,
        decode: Callable[[bytes], ReplyT] | None = None,
        *,
        _view: bool = False,
    ) -> None:
        self._attachment = attachment
        self._database = database
        self._encode = encode
        self._decode = decode
        self._is_view = _view
        self._session: Callable[[], Session] = attachment.session
        if decode is None or decode is decode_utf8:
            self._arm(attachment, database, encode is encode_utf8, decode is not None)

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
        self._disarm()
        if not self._is_view:
            self._attachment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "read-only" if self.readonly else "open"
        return f"<fincache.Cache {self.name!r} db={self._database} {state}>"

    def __reduce__(self) -> NoReturn:
        raise refused_type("a Cache cannot be pickled", f"Call fincache.attach({self.name!r}) in the other process.")

    def db(self, n: int) -> Cache[ReplyT]:
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
        return Cache(self._attachment, n, self._encode, self._decode, _view=True)

    # ------------------------------------------------------------------ records

    @overload
    def records(self, dtype: np.dtype[ScalarT] | type[ScalarT]) -> Records[ScalarT]: ...

    @overload
    def records(self, dtype: type[RecordT]) -> Records[RecordT]: ...

    @overload
    def records(self, dtype: str) -> Records[Any]: ...

    @overload
    def records(self, dtype: list[Any] | tuple[Any, ...] | dict[str, Any]) -> Records[np.void]: ...

    def records(self, dtype: object) -> Records[Any]:
        """This database seen as records of one type. See `fincache.records`; imports numpy.

        Args:
            dtype: what numpy.dtype() takes, of a fixed size and without Python objects; a dataclass or NamedTuple with
                annotations (docs/python.md says which); float, int or bool.

        Returns:
            Records, which lives as long as this Cache.

        Raises:
            InvalidArgument: a dtype that cannot be stored.
        """
        from fincache.records import Records

        return Records(self, dtype)

    # ------------------------------------------------------------------ what a server would be asked

    def ping(self) -> bool:
        """True as long as the Cache is open; there is nobody to ask. Raises Closed. RESP: PING."""
        self._session()
        return True

    def echo(self, value: Encodable) -> ReplyT:
        """The value as it would be read back. RESP: ECHO."""
        self._session()
        return self._reply(self._encode(value))

    def time(self) -> tuple[int, int]:
        """The host's wall clock, by which keys expire: seconds since 1970 and microseconds of the second. RESP: TIME."""
        self._session()
        return divmod(time_ns() // 1_000, 1_000_000)

    # ------------------------------------------------------------------ the segment

    def execute(self, *arguments: Encodable) -> Reply:
        """Runs any command by its name, as a RESP client of the daemon would: `cache.execute("SET", "k", "v", "EX", 10)`.

        Args:
            *arguments: the command's name and its arguments.

        Returns:
            The reply as Python objects: bytes for bulk strings, str for status replies ("OK"), int, float, None, list, dict, set.
            The errors inside an EXEC's list are exceptions as values.

        Raises:
            CommandError: the command replied with an error. WrongType, OutOfMemory, Busy, Contended, ReadOnly: likewise, where
                these say as much.
            InvalidArgument: there is no argument.

        SELECT, MULTI, WATCH and CLIENT SETNAME last for later calls of the same thread on this Cache's database. Cost: 3 us more
        than the method of the same name.
        """
        words = [self._encode(argument) for argument in arguments]
        reply = parse_reply(self._session().execute(self._attachment.host(), self._database, words))
        if isinstance(reply, FinCacheError):
            raise reply
        return reply

    def pipeline(self, transaction: bool = True) -> Pipeline[ReplyT]:
        """Commands that are queued, and run together by `execute`; see `Pipeline`. As redis-py's.

        Args:
            transaction: all at one instant, for every reader (P5), or one by one.
        """
        self._session()
        return Pipeline(self._attachment, self._database, self._encode, self._decode, transaction=transaction)

    def transaction(
        self, func: Callable[[Pipeline[ReplyT]], object], *watches: Encodable, value_from_callable: bool = False
    ) -> object:
        """Calls `func(pipe)` with the keys watched and executes what it queued; again from the beginning while one has changed.

        Args:
            func: reads through the Pipeline, calls its `multi`, queues. It may be called several times.
            *watches: the keys that it decides on.
            value_from_callable: return what func returned, not execute's list.

        Raises:
            What func and `Pipeline.execute` raise, but WatchError.
        """
        with self.pipeline() as pipe:
            while True:
                try:
                    if watches:
                        pipe.watch(*watches)
                    value = func(pipe)
                    answers = pipe.execute()
                except WatchError:
                    continue
                return value if value_from_callable else answers

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

    def sweep(self, home_count: int | None = None) -> int:
        """Gives the memory of expired keys, and of what a flush left behind, back at once.

        Nobody needs to call it: what has expired reads as missing at its time, and its memory is taken back when it is needed.
        The daemon calls it in small steps. All attachments move one hand on, which goes round the buckets of the index.

        Args:
            home_count: buckets to look at, from where the last sweep ended; None: all (`info().home_count`).

        Returns:
            How many values were removed.

        Raises:
            ReadOnly, Closed, InvalidArgument.

        Waits for nobody: a locked key is left for the next round. Some 100 ns for each bucket, 300 ns for each value that goes.
        """
        session = self._session()
        homes = self.info().home_count if home_count is None else integer(home_count, "home_count", 0)
        return session.sweep(homes)

    def info(self) -> SegmentInfo:
        """Name, geometry, options and state of the segment, as the header says. Reads /proc/self/smaps, which may take 1 ms.

        To check that `open` found a segment as asked for, compare size_bytes, databases, sessions_max, policy, mode and
        value_bytes_max: what `open` was given counts only where it created the segment.
        """
        self._require_open()
        return self._attachment.describe()

    def sessions(self) -> list[SessionInfo]:
        """The sessions that are open in the segment: which threads of which processes use it."""
        self._require_open()
        return self._attachment.sessions()

    def classes(self) -> list[SizeClass]:
        """The memory by size class: the free pages first, then the classes that have pages, from small blocks to large ones.

        Reads the descriptor of every page, some 20 us for 256 MiB; stops nobody, so the figures may be of different moments.
        """
        self._require_open()
        return self._attachment.classes()

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


def policy_number(policy: str) -> int:
    """FC_POLICY_* of a name. Raises InvalidArgument."""
    try:
        return _core.POLICIES[policy]
    except (KeyError, TypeError):
        raise refusal("INVALID_ARGUMENT", f"policy is {policy!r}", f"Use one of {', '.join(_core.POLICIES)}.") from None
