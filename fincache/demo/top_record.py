"""What the demo publishes: the top of book of one symbol, as a record that proves itself.

Keys        top:SYMBOL              one record of RECORD_DTYPE per quote
            bid:SYMBOL, ask:SYMBOL  the two halves of the same quote, set together (mset) and read together (mget)
            last:SYMBOL             price of the last trade, as text
            demo:trades             a counter (incr)
Proofs      `checksum` is the CRC-32 of all bytes before it, begun from a number that only this run knows: a record that is torn,
            or is another run's, does not check.
            `message_index` says which message of the recording gave the quote: a reader that has the table of all tops
            (`Recording`) can tell whether exactly this quote was ever to be written.
            `sequence` rises by one per symbol and quote, across restarts of the writer.
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fincache.marketdata import BookMessage, Books, Message, OrderMessage, Quote, TopOfBook, Trade, read_messages

SYMBOL_BYTES_MAX = 24
RECORD_DTYPE = np.dtype(
    [
        ("sequence", "<u8"),
        ("message_index", "<u8"),
        ("recv_ns", "<i8"),
        ("exch_ns", "<i8"),
        ("published_unix_ns", "<i8"),
        ("bid_price", "<i8"),
        ("bid_qty", "<i8"),
        ("ask_price", "<i8"),
        ("ask_qty", "<i8"),
        ("symbol", f"S{SYMBOL_BYTES_MAX}"),
        ("checksum", "<u4"),
    ]
)
_BODY = struct.Struct(f"<QQqqqqqqq{SYMBOL_BYTES_MAX}s")
_HALF = struct.Struct("<QQqq")
_CHECKSUM = struct.Struct("<I")
if _BODY.size + _CHECKSUM.size != RECORD_DTYPE.itemsize:
    raise AssertionError("the struct and the dtype of the record differ")


class TopRecord(NamedTuple):
    """The fields of RECORD_DTYPE without the checksum."""

    sequence: int
    message_index: int
    recv_ns: int
    exch_ns: int
    published_unix_ns: int
    bid_price: int
    bid_qty: int
    ask_price: int
    ask_qty: int
    symbol: bytes


class Half(NamedTuple):
    """One side of a quote."""

    sequence: int
    message_index: int
    price: int
    qty: int


def seal(record: TopRecord, run: int) -> bytes:
    """The record's bytes, checksum last."""
    body = _BODY.pack(*record)
    return body + _CHECKSUM.pack(zlib.crc32(body, run))


def unseal(raw: bytes, run: int) -> TopRecord | None:
    """The record, or None for bytes that no writer of this run sealed."""
    if len(raw) != RECORD_DTYPE.itemsize:
        return None
    body = raw[: _BODY.size]
    if _CHECKSUM.unpack_from(raw, _BODY.size)[0] != zlib.crc32(body, run):
        return None
    *numbers, symbol = _BODY.unpack(body)
    return TopRecord._make((*numbers, symbol.rstrip(b"\0")))


def seal_half(half: Half, run: int) -> bytes:
    """The half's bytes, checksum last."""
    body = _HALF.pack(*half)
    return body + _CHECKSUM.pack(zlib.crc32(body, run))


def unseal_half(raw: bytes, run: int) -> Half | None:
    """The half, or None for bytes that no writer of this run sealed."""
    if len(raw) != _HALF.size + _CHECKSUM.size:
        return None
    body = raw[: _HALF.size]
    if _CHECKSUM.unpack_from(raw, _HALF.size)[0] != zlib.crc32(body, run):
        return None
    return Half(*_HALF.unpack(body))


# ------------------------------------------------------------------ from messages to tops


NO_TOP = TopOfBook(0, 0, 0, 0)


class Publication(NamedTuple):
    """What one message of the recording publishes. `top` is NO_TOP for a trade."""

    message_index: int
    message: Message
    top: TopOfBook


def publications(messages: Iterable[Message]) -> Iterator[Publication]:
    """Replays messages, begun at the start of a recording.

    The top is the newer one, by the exchange's sequence, of the rebuilt book and the exchange's own quote: quotes come at once,
    book updates every 100 ms. Raises SequenceGapError as Books.apply does.
    """
    books = Books()
    newest: dict[str, tuple[int, TopOfBook]] = {}
    for index, message in enumerate(messages):
        if isinstance(message, Trade):
            yield Publication(index, message, NO_TOP)
            continue
        if isinstance(message, Quote):
            top = TopOfBook(message.bid_price, message.bid_qty, message.ask_price, message.ask_qty)
        else:
            top = books.apply(message)
        last_id = 0 if isinstance(message, OrderMessage) else message.last_id
        restarts = isinstance(message, BookMessage) and message.is_snapshot
        known = newest.get(message.symbol)
        if known is None or restarts or last_id >= known[0]:
            known = newest[message.symbol] = (last_id, top)
        yield Publication(index, message, known[1])


class Recording(NamedTuple):
    """A recording, replayed once: its symbols in order of appearance, and the top after each message (zeros after a trade)."""

    symbols: tuple[str, ...]
    tops: np.ndarray[tuple[int, int], np.dtype[np.int64]]
    symbol_indexes: np.ndarray[tuple[int], np.dtype[np.int64]]

    def save(self, path: Path) -> None:
        """Writes it for the readers."""
        np.savez(path, symbols=np.array(self.symbols), tops=self.tops, symbol_indexes=self.symbol_indexes)

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Reads what `save` wrote."""
        with np.load(path) as arrays:
            return cls(tuple(arrays["symbols"].tolist()), arrays["tops"], arrays["symbol_indexes"])


def read_recording(path: Path) -> Recording:
    """Replays a file once. Raises OSError, MarketDataError and SequenceGapError."""
    symbol_indexes: dict[str, int] = {}
    tops: list[TopOfBook] = []
    indexes: list[int] = []
    for publication in publications(read_messages(path)):
        tops.append(publication.top)
        if isinstance(publication.message, Trade):
            indexes.append(-1)
        else:
            indexes.append(symbol_indexes.setdefault(publication.message.symbol, len(symbol_indexes)))
    return Recording(
        tuple(symbol_indexes),
        np.array(tops, dtype=np.int64).reshape(-1, 4),
        np.array(indexes, dtype=np.int64),
    )


def top_record(publication: Publication, sequence: int, symbol: bytes) -> TopRecord:
    """The record of a publication that is no trade."""
    index, message, top = publication
    return TopRecord(sequence, index, message.recv_ns, message.exch_ns, time.time_ns(), *top, symbol)
