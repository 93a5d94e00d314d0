"""What every family of commands stands on: a session, a database, and the way between Python's values and bytes.

class Cache is put together from families, one noun each, so that each can be read alone:

    _strings      get, set and their kin      _keyspace   names, scanning, flushing     _mapping   cache[key], in, update ...
    _numbers      counting                    _expiry     times to live                 client     life, databases, reports
    _manykeys     mget, mset, key sets        _versions   entry, cas, update by a function

ReplyT is what comes back where Redis answers with a string: bytes, or str from a Cache made with decode_responses=True. To a type
checker, Cache alone means Cache[bytes].

The accelerator, where it is in use, stands before the families among Cache's base classes, so that its methods are found first;
the methods here are the fallback, the documentation, and what the tests compare it with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, cast

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from fincache._arguments import Encodable
    from fincache._core import Attachment, Session

    ReplyT = TypeVar("ReplyT", bound=bytes | str, default=bytes)
else:
    from typing import TypeVar

    ReplyT = TypeVar("ReplyT")  # before Python 3.13 a TypeVar has no default


class Commands(Generic[ReplyT]):
    """The base of the families. Not to be made alone: class Cache is."""

    _attachment: Attachment
    _database: int
    _session: Callable[[], Session]
    _encode: Callable[[Encodable], bytes]
    _decode: Callable[[bytes], ReplyT] | None  # None: bytes go out as they are

    def _arm(self, attachment: Attachment, database: int, utf8: bool, text: bool) -> None:
        """Lets the accelerator, where it is in use, take its short ways from now on."""

    def _disarm(self) -> None:
        """Has it call the methods of Python, always."""

    def _reply(self, value: bytes) -> ReplyT:
        return cast("ReplyT", value) if self._decode is None else self._decode(value)

    def _reply_or_none(self, value: bytes | None) -> ReplyT | None:
        return None if value is None else self._reply(value)

    def _replies(self, values: list[bytes]) -> list[ReplyT]:
        decode = self._decode
        return cast("list[ReplyT]", values) if decode is None else [decode(value) for value in values]

    def _replies_or_none(self, values: list[bytes | None]) -> list[ReplyT | None]:
        decode = self._decode
        if decode is None:
            return cast("list[ReplyT | None]", values)
        return [None if value is None else decode(value) for value in values]
