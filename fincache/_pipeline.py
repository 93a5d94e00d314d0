"""class Pipeline: commands that are queued and run together, with redis-py's names and meaning.

In-process there is no round trip to save. What a pipeline is for here is the transaction: all its commands take effect at one
instant, for every reader, under kill -9 too (P5), whatever keys they name; and with watch only if nobody changed what it was
decided on. It runs through the command engine that serves RESP clients (WATCH, MULTI, EXEC), in a conversation of its own, so
what it watches is not what Cache.execute() watches.

States    queueing   a method puts its command into the queue and returns the Pipeline
          watching   from watch() to multi(): a method runs at once and returns its answer
          queueing   from multi() to execute(), which forgets what is watched
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, cast

from fincache._arguments import Encodable, Instant, Milliseconds, Seconds
from fincache._commands import ReplyT
from fincache._core import Attachment, Reply, Session, parse_reply, refusal
from fincache._core.executing import Client
from fincache._errors import FinCacheError, WatchError

if TYPE_CHECKING:
    from typing_extensions import Self

Outcome: TypeAlias = Any
"""The Pipeline itself while commands are queued; the command's answer while keys are watched."""

Convert = Callable[[Any], Any]


def _same(reply: Any) -> Any:
    return reply


def _is_ok(reply: Any) -> bool | None:
    return None if reply is None else reply == "OK"


def _milliseconds(value: Instant | Milliseconds, unit_ms: int) -> int:
    if isinstance(value, timedelta):
        return round(value.total_seconds() * 1000)
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    return round(value * unit_ms)


class Pipeline(Generic[ReplyT]):
    """Made by `Cache.pipeline`. A context manager; for one thread at a time."""

    def __init__(
        self,
        attachment: Attachment,
        database: int,
        encode: Callable[[Encodable], bytes],
        decode: Callable[[bytes], ReplyT] | None,
        *,
        transaction: bool,
    ) -> None:
        self._attachment = attachment
        self._database = database
        self._encode = encode
        self._decode = decode
        self._is_transaction = transaction
        self._is_explicit = False
        self._is_watching = False
        self._queue: list[tuple[list[bytes], Convert]] = []
        self._client: Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.reset()

    def __len__(self) -> int:
        return len(self._queue)

    def __bool__(self) -> bool:
        """True, however many commands are queued."""
        return True

    # ------------------------------------------------------------------ running

    def _say(self, words: list[bytes]) -> Reply:
        session: Session = self._attachment.session()
        if self._client is None:
            self._client = session.converse(self._attachment.host(), self._database)
        return parse_reply(session.execute_as(self._client, words))

    def _answer(self, reply: Reply) -> Any:
        """Bytes as the Cache gives them, in lists too."""
        if isinstance(reply, bytes):
            return reply if self._decode is None else self._decode(reply)
        if isinstance(reply, list):
            return [self._answer(each) for each in reply]
        return reply

    def _command(self, *arguments: Encodable, convert: Convert = _same) -> Outcome:
        words = [self._encode(argument) for argument in arguments]
        if not self._is_watching or self._is_explicit:
            self._queue.append((words, convert))
            return self
        reply = self._say(words)
        if isinstance(reply, FinCacheError):
            raise reply
        return convert(self._answer(reply))

    def execute_command(self, *arguments: Encodable) -> Outcome:
        """Any command by its name, as `Cache.execute`; the answer is the engine's."""
        return self._command(*arguments)

    def watch(self, *names: Encodable) -> bool:
        """Has the next `execute` do nothing, and raise WatchError, if one of the keys has changed by then. RESP: WATCH.

        From here to `multi` the methods run at once and return answers. Raises InvalidArgument after multi.
        """
        if self._is_explicit:
            raise refusal("INVALID_ARGUMENT", "watch after multi", "Watch first.")
        if self._queue:
            raise refusal("INVALID_ARGUMENT", "watch after commands were queued", "Watch first, or execute them.")
        reply = self._say([b"WATCH", *(self._encode(name) for name in names)])
        if isinstance(reply, FinCacheError):
            raise reply
        self._is_watching = True
        return True

    def unwatch(self) -> bool:
        """Forgets what is watched. RESP: UNWATCH."""
        if self._is_watching:
            self._say([b"UNWATCH"])
            self._is_watching = False
        return True

    def multi(self) -> None:
        """Ends the part that runs at once: commands are queued again. Raises InvalidArgument if that is so already."""
        if self._is_explicit:
            raise refusal("INVALID_ARGUMENT", "multi inside multi", "Execute the commands first.")
        if self._queue:
            raise refusal("INVALID_ARGUMENT", "multi after commands were queued without watch", "Watch first.")
        self._is_explicit = True

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Runs what is queued and returns the answers in order; the Pipeline is empty then, whatever happened.

        Args:
            raise_on_error: raise the first error among the answers; False: errors are left in the list, as values.

        Raises:
            WatchError: a watched key has changed; nothing was done.
            CommandError, WrongType ...: what a command replied with. The others have run: as in Redis, an error undoes nothing.
            Busy, OutOfMemory, TooManyKeys: the transaction as a whole; nothing was done.

        RESP: MULTI, the commands, EXEC (transaction=False: the commands one by one).
        """
        try:
            if not self._queue and not self._is_watching:
                return []
            together = self._is_transaction or self._is_explicit
            replies = self._run_together() if together else [self._say(words) for words, _ in self._queue]
            answers = []
            for number, (reply, (words, convert)) in enumerate(zip(replies, self._queue, strict=True), start=1):
                if not isinstance(reply, FinCacheError):
                    answers.append(convert(self._answer(reply)))
                    continue
                if raise_on_error:
                    raise _annotated(reply, number, words)
                answers.append(reply)
            return answers
        finally:
            self.reset()

    def _run_together(self) -> list[Reply]:
        self._say([b"MULTI"])
        for number, (words, _) in enumerate(self._queue, start=1):
            reply = self._say(words)
            if isinstance(reply, FinCacheError):
                self._say([b"DISCARD"])
                self._is_watching = False
                raise _annotated(reply, number, words)
        replies = self._say([b"EXEC"])
        self._is_watching = False
        if isinstance(replies, FinCacheError):
            raise replies
        if replies is None:
            raise WatchError("a watched key has changed", hint="Read again, decide again, execute again.")
        return cast("list[Reply]", replies)

    def reset(self) -> None:
        """Empties the queue and forgets what is watched."""
        self._queue = []
        self._is_explicit = False
        self._is_watching = False
        self._client = None  # the conversation ends, and its WATCH with it

    # ------------------------------------------------------------------ strings

    def get(self, name: Encodable) -> Outcome:
        """RESP: GET."""
        return self._command("GET", name)

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
    ) -> Outcome:
        """As `Cache.set`; expiries count to the millisecond. RESP: SET."""
        words: list[Encodable] = ["SET", name, value, *_expiry(ex, px, exat, pxat)]
        words += [word for word, is_set in (("NX", nx), ("XX", xx), ("KEEPTTL", keepttl), ("GET", get)) if is_set]
        return self._command(*words, convert=_same if get else _is_ok)

    def setnx(self, name: Encodable, value: Encodable) -> Outcome:
        """RESP: SETNX."""
        return self._command("SETNX", name, value, convert=bool)

    def setex(self, name: Encodable, time: Seconds, value: Encodable) -> Outcome:
        """RESP: SETEX."""
        return self._command("PSETEX", name, _milliseconds(time, 1000), value, convert=_is_ok)

    def psetex(self, name: Encodable, time_ms: Milliseconds, value: Encodable) -> Outcome:
        """RESP: PSETEX."""
        return self._command("PSETEX", name, _milliseconds(time_ms, 1), value, convert=_is_ok)

    def getset(self, name: Encodable, value: Encodable) -> Outcome:
        """RESP: GETSET."""
        return self._command("GETSET", name, value)

    def getdel(self, name: Encodable) -> Outcome:
        """RESP: GETDEL."""
        return self._command("GETDEL", name)

    def mget(self, keys: Encodable | Iterable[Encodable], *args: Encodable) -> Outcome:
        """RESP: MGET."""
        named = [keys] if isinstance(keys, (bytes, bytearray, memoryview, str, int, float)) else list(keys)
        return self._command("MGET", *named, *args)

    def mset(self, mapping: Mapping[Any, Encodable]) -> Outcome:
        """RESP: MSET."""
        return self._command("MSET", *(word for pair in mapping.items() for word in pair), convert=_is_ok)

    def msetnx(self, mapping: Mapping[Any, Encodable]) -> Outcome:
        """RESP: MSETNX."""
        return self._command("MSETNX", *(word for pair in mapping.items() for word in pair), convert=bool)

    def append(self, key: Encodable, value: Encodable) -> Outcome:
        """RESP: APPEND."""
        return self._command("APPEND", key, value)

    def strlen(self, name: Encodable) -> Outcome:
        """RESP: STRLEN."""
        return self._command("STRLEN", name)

    def getrange(self, key: Encodable, start: int, end: int) -> Outcome:
        """RESP: GETRANGE."""
        return self._command("GETRANGE", key, start, end)

    def setrange(self, name: Encodable, offset: int, value: Encodable) -> Outcome:
        """RESP: SETRANGE."""
        return self._command("SETRANGE", name, offset, value)

    # ------------------------------------------------------------------ numbers

    def incr(self, name: Encodable, amount: int = 1) -> Outcome:
        """RESP: INCRBY."""
        return self._command("INCRBY", name, amount)

    incrby = incr

    def decr(self, name: Encodable, amount: int = 1) -> Outcome:
        """RESP: DECRBY."""
        return self._command("DECRBY", name, amount)

    decrby = decr

    def incrbyfloat(self, name: Encodable, amount: float = 1.0) -> Outcome:
        """RESP: INCRBYFLOAT."""
        return self._command("INCRBYFLOAT", name, amount, convert=float)

    # ------------------------------------------------------------------ keys

    def delete(self, *names: Encodable) -> Outcome:
        """RESP: DEL."""
        return self._command("DEL", *names)

    def unlink(self, *names: Encodable) -> Outcome:
        """RESP: UNLINK."""
        return self._command("UNLINK", *names)

    def exists(self, *names: Encodable) -> Outcome:
        """RESP: EXISTS."""
        return self._command("EXISTS", *names)

    def rename(self, src: Encodable, dst: Encodable) -> Outcome:
        """RESP: RENAME."""
        return self._command("RENAME", src, dst, convert=_is_ok)

    def expire(self, name: Encodable, time: Seconds) -> Outcome:
        """RESP: PEXPIRE."""
        return self._command("PEXPIRE", name, _milliseconds(time, 1000), convert=bool)

    def pexpire(self, name: Encodable, time: Milliseconds) -> Outcome:
        """RESP: PEXPIRE."""
        return self._command("PEXPIRE", name, _milliseconds(time, 1), convert=bool)

    def persist(self, name: Encodable) -> Outcome:
        """RESP: PERSIST."""
        return self._command("PERSIST", name, convert=bool)

    def ttl(self, name: Encodable) -> Outcome:
        """RESP: TTL."""
        return self._command("TTL", name)

    def pttl(self, name: Encodable) -> Outcome:
        """RESP: PTTL."""
        return self._command("PTTL", name)


def _expiry(ex: Seconds | None, px: Milliseconds | None, exat: Instant | None, pxat: Instant | None) -> list[Encodable]:
    given = [("PX", ex, 1000), ("PX", px, 1), ("PXAT", exat, 1000), ("PXAT", pxat, 1)]
    return [word for name, value, unit_ms in given if value is not None for word in (name, _milliseconds(value, unit_ms))]


def _annotated(error: FinCacheError, number: int, words: list[bytes]) -> FinCacheError:
    shown = b" ".join(words)[:100].decode("utf-8", "replace")
    text = f"command {number} of the pipeline ({shown}): {error.message}"
    return type(error)(text, code=error.code, detail=error.detail, hint=error.hint)
