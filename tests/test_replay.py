"""Replay of the full recordings: what comes out of the cache is the exchange's book, and readers see only what was written.

For each file one writer process replays the messages, each published once:

    book:SYMBOL            the top of the rebuilt book, after each S, L, A, M or X message
    book:SYMBOL:ID         the same record, kept: ID is the book's sequence (Binance) or the message number; both keys are set at
                           one instant (mset)
    levels:SYMBOL:EV       the ten best levels a side (Kraken)
    quote:SYMBOL           the exchange's own best bid and ask (Q)
    trade:SYMBOL           trades (T)

Meanwhile READER_COUNT processes read book:, quote: and trade: at full speed, attached read-only, and keep every distinct record.
Afterwards this process, attached read-only as well, compares

    - the kept books in the cache with the quotes, checksums and snapshots of the file, which it reads with nothing but split(),
      at every comparable point as ../shared/marketdata/README.md counts them;
    - what the readers saw with what the writer wrote, byte for byte, by key and sequence.
"""

from __future__ import annotations

import bisect
import gzip
import multiprocessing
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fincache
from fincache.marketdata import BookMessage, Books, Message, Quote, TopOfBook, Trade, read_messages

MARKETDATA = Path(os.environ.get("FINCACHE_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "marketdata"
READER_COUNT = 2
LEVELS = 10
WATCHDOG_SECONDS = 300.0
SPAWN = multiprocessing.get_context("spawn")

RECORD = np.dtype(
    [
        ("key_index", "<u4"),
        ("padding", "<u4"),
        ("sequence", "<u8"),
        ("message", "<u8"),
        ("bid_price", "<i8"),
        ("bid_qty", "<i8"),
        ("ask_price", "<i8"),
        ("ask_qty", "<i8"),
        ("tie", "<i8"),
    ]
)
BODY = struct.Struct("<IIQQqqqq")
TIE = struct.Struct("<q")


def pack(key_index: int, sequence: int, message: int, top: TopOfBook) -> bytes:
    """The record's bytes; `tie` ties all fields together."""
    body = BODY.pack(key_index, 0, sequence, message, *top)
    return body + TIE.pack(zlib.crc32(body))


@dataclass(frozen=True)
class Case:
    """One recording and the number of comparisons that its README counts."""

    file: str
    symbols: tuple[str, ...]
    comparisons: int

    @property
    def path(self) -> Path:
        return MARKETDATA / self.file

    @property
    def keys(self) -> list[str]:
        """The keys that readers read; a record's key_index counts in this list."""
        return [f"{kind}:{symbol}" for symbol in self.symbols for kind in ("book", "quote", "trade")]


KRAKEN_SYMBOLS = (
    "ADAXBT", "XBTCHF", "OMGUSD", "OCEANXBT", "ETHCHF", "SCEUR", "GRTETH", "KSMXBT", "XMRUSD", "WAVESEUR",
)  # fmt: skip
BINANCE = (
    Case("binance_usdm_btcusdt_20240808.csv.gz", ("BTCUSDT-PERP",), 6546),
    Case("binance_usdm_ethusdt_20240808.csv.gz", ("ETHUSDT-PERP",), 6578),
    Case("binance_spot_btcusdt_20240808.csv.gz", ("BTCUSDT",), 3449),
    Case("binance_coinm_btcusd_perp_20240808.csv.gz", ("BTCUSD_PERP",), 26819),
)
KRAKEN = Case("kraken_spot_10pairs_20210417.csv.gz", KRAKEN_SYMBOLS, 4269)
BITSTAMP = Case("bitstamp-gpl2plus/bitstamp_btcusd_20150501_l3.csv.gz", ("BTCUSD",), 4104)
BITSTAMP_SNAPSHOTS = "bitstamp-gpl2plus/bitstamp_btcusd_20150501_snap20.csv.gz"
BITSTAMP_EQUAL = 4049


# ------------------------------------------------------------------ processes


def replay(segment: str, case: Case, target: Path) -> None:
    """The writer process. Leaves all records that it wrote under the readers' keys in `target`."""
    keys = case.keys
    indexes = {key: index for index, key in enumerate(keys)}
    sequences = [0] * len(keys)
    written: list[bytes] = []
    books = Books()
    with fincache.attach(segment, readonly=False) as cache:
        for message in read_messages(case.path):
            key = f"{kind_of(message)}:{message.symbol}"
            index = indexes[key]
            sequences[index] += 1
            record = pack(index, sequences[index], message.number, top_of(message, books))
            if isinstance(message, Quote | Trade):
                cache.set(key, record)
            else:
                values: dict[Any, bytes] = {key: record, f"{key}:{kept_id(message)}": record}
                if isinstance(message, BookMessage) and message.checksum:
                    book = books.by_symbol[message.symbol]
                    flat = [number for level in book.asks(LEVELS) + book.bids(LEVELS) for number in level]
                    values[f"levels:{message.symbol}:{message.number}"] = struct.pack(f"<{len(flat)}q", *flat)
                cache.mset(values)
            written.append(record)
    np.save(target, np.frombuffer(b"".join(written), RECORD))


def kind_of(message: Message) -> str:
    return "quote" if isinstance(message, Quote) else "trade" if isinstance(message, Trade) else "book"


def kept_id(message: Message) -> int:
    return message.last_id if isinstance(message, BookMessage) and message.last_id else message.number


def top_of(message: Message, books: Books) -> TopOfBook:
    if isinstance(message, Quote):
        return TopOfBook(message.bid_price, message.bid_qty, message.ask_price, message.ask_qty)
    if isinstance(message, Trade):
        return TopOfBook(message.price, message.qty, message.price, message.qty)
    return books.apply(message)


def watch(segment: str, case: Case, target: Path, reading: Event, done: Event) -> None:
    """A reader process. Leaves every distinct record it saw in `target`, in the order of seeing, and the number of its reads."""
    keys = case.keys
    known: list[bytes | None] = [None] * len(keys)
    seen: list[bytes] = []
    read_count = 0
    with fincache.attach(segment, readonly=True) as cache:
        last_round = False
        while True:
            for index, key in enumerate(keys):
                raw = cache.get(key)
                if raw is not None and raw != known[index]:
                    seen.append(raw)
                known[index] = raw
            read_count += len(keys)
            if read_count == len(keys):
                reading.set()
            if last_round:
                break
            last_round = done.is_set()
    widths = np.array([len(raw) for raw in seen])
    if len(widths) and (widths != RECORD.itemsize).any():
        raise AssertionError(f"a value of {widths.tolist()} bytes where {RECORD.itemsize} were written")
    np.savez(target, seen=np.frombuffer(b"".join(seen), RECORD), read_count=read_count)


# ------------------------------------------------------------------ the run


@dataclass(frozen=True)
class Run:
    """What a replay left."""

    cache: fincache.Cache
    written: np.ndarray[tuple[int], np.dtype[np.void]]
    seen: list[np.ndarray[tuple[int], np.dtype[np.void]]]
    read_counts: list[int]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[Case], Run]]:
    """Replays a file into a segment of its own, with concurrent readers."""
    segment = f"test-replay-{os.getpid()}-{time.monotonic_ns()}"
    owner = fincache.open(segment, size="64MB")
    attached: list[fincache.Cache] = []

    def start(case: Case) -> Run:
        if not case.path.is_file():
            pytest.skip(f"{case.path} is absent; set FINCACHE_SHARED to the folder that holds marketdata/")
        done = SPAWN.Event()
        started = [SPAWN.Event() for _ in range(READER_COUNT)]
        targets = [tmp_path / f"reader{number}.npz" for number in range(READER_COUNT)]
        readers = [
            SPAWN.Process(target=watch, args=(segment, case, target, event, done), daemon=True)
            for target, event in zip(targets, started, strict=True)
        ]
        written = tmp_path / "written.npy"
        writer = SPAWN.Process(target=replay, args=(segment, case, written), daemon=True)
        try:
            for reader in readers:
                reader.start()
            for event in started:
                assert event.wait(WATCHDOG_SECONDS), "a reader did not start to read"
            writer.start()
            writer.join(WATCHDOG_SECONDS)
            assert writer.exitcode == 0, "the writer failed; see its output above"
            done.set()
            for reader in readers:
                reader.join(WATCHDOG_SECONDS)
                assert reader.exitcode == 0, "a reader failed; see its output above"
        finally:
            for process in (*readers, writer):
                if process.is_alive():
                    process.kill()
        attached.append(fincache.attach(segment, readonly=True))
        results = [np.load(target) for target in targets]
        reports = Run(
            attached[0],
            np.load(written),
            [result["seen"] for result in results],
            [int(result["read_count"]) for result in results],
        )
        for result in results:
            result.close()
        return reports

    yield start
    for cache in attached:
        cache.close()
    owner.close()
    fincache.unlink(segment)


def as_bytes(records: np.ndarray[tuple[int], np.dtype[np.void]]) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.ascontiguousarray(records).view(np.uint8).reshape(len(records), RECORD.itemsize)


def check_readers(case: Case, run: Run) -> None:
    """Every record that a reader saw is one that was written under that key, and sequences never go backwards."""
    by_key = [run.written[run.written["key_index"] == index] for index in range(len(case.keys))]
    for records in by_key:
        assert (records["sequence"] == np.arange(1, len(records) + 1)).all()
    fed_keys = sum(len(records) > 0 for records in by_key)
    assert sum(map(len, run.seen)) > fed_keys * READER_COUNT, "nothing was read while it was written"
    for seen in run.seen:
        assert (seen["key_index"] < len(case.keys)).all()
        for index, records in enumerate(by_key):
            mine = seen[seen["key_index"] == index]
            assert (np.diff(mine["sequence"].astype(np.int64)) > 0).all(), f"{case.keys[index]} went backwards"
            if len(records):
                assert mine["sequence"].min() >= 1
                assert mine["sequence"].max() == len(records), f"{case.keys[index]}: the last record was not seen"
                originals = records[mine["sequence"].astype(np.int64) - 1]
                assert (as_bytes(mine) == as_bytes(originals)).all(), f"{case.keys[index]}: a record was never written"
            else:
                assert not len(mine)
        ties = [zlib.crc32(row.tobytes()) for row in as_bytes(seen)[:, : BODY.size]]
        assert (seen["tie"] == ties).all(), "a torn record"
    reads = " + ".join(f"{count:,}" for count in run.read_counts)
    print(f"{case.file}: {len(run.written):,} records written, {reads} reads, {[len(seen) for seen in run.seen]} distinct")


def rows(path: Path) -> Iterator[list[str]]:
    """Rows after the header, split and nothing else: no code of fincache.marketdata takes part."""
    with gzip.open(path, "rt", encoding="ascii") as file:
        next(file)
        for line in file:
            yield line.rstrip("\n").split(",")


def book_in_cache(run: Run, key: str) -> tuple[int, int, int, int]:
    raw = run.cache.get(key)
    assert raw is not None, f"{key} is missing"
    _, _, _, _, bid_price, bid_qty, ask_price, ask_qty = BODY.unpack_from(raw)
    return bid_price, bid_qty, ask_price, ask_qty


# ------------------------------------------------------------------ the recordings


@pytest.mark.parametrize("case", BINANCE, ids=lambda case: case.file.split(".")[0])
def test_binance_books_in_the_cache_equal_the_recorded_quotes(run: Callable[[Case], Run], case: Case) -> None:
    """P3, P5: after the update with id u, bid and ask with quantities equal the quote with the largest id up to u."""
    result = run(case)
    check_readers(case, result)
    (symbol,) = case.symbols
    update_ids: list[int] = []
    quote_ids: list[int] = []
    quotes: list[tuple[int, ...]] = []
    for row in rows(case.path):
        if row[1] == "L":
            last_id = int(row[6])
            if not update_ids or update_ids[-1] != last_id:
                update_ids.append(last_id)
        elif row[1] == "Q":
            quote_ids.append(int(row[6]))
            quotes.append(tuple(map(int, row[8:12])))
    assert quote_ids == sorted(quote_ids)
    compared = 0
    for last_id in update_ids:
        known = bisect.bisect_right(quote_ids, last_id)
        if known:
            compared += 1
            assert book_in_cache(result, f"book:{symbol}:{last_id}") == quotes[known - 1], f"book {last_id}"
    assert compared == case.comparisons
    assert book_in_cache(result, f"book:{symbol}") == book_in_cache(result, f"book:{symbol}:{update_ids[-1]}")


def test_kraken_books_in_the_cache_have_the_exchanges_checksum(run: Callable[[Case], Run]) -> None:
    """P3, P5: CRC-32 over the ten best levels a side, read from the cache, is the one that the exchange sent."""
    result = run(KRAKEN)
    check_readers(KRAKEN, result)
    checksums = {int(row[0]): (row[2], int(row[12])) for row in rows(KRAKEN.path) if row[1] == "L"}
    for number, (symbol, checksum) in checksums.items():
        raw = result.cache.get(f"levels:{symbol}:{number}")
        assert raw is not None
        numbers = struct.unpack(f"<{len(raw) // 8}q", raw)
        assert zlib.crc32("".join(map(str, numbers)).encode()) == checksum, f"message {number}"
        ask, bid = numbers[:2], numbers[2 * LEVELS : 2 * LEVELS + 2]
        assert book_in_cache(result, f"book:{symbol}:{number}") == (*bid, *ask)
    assert len(checksums) == KRAKEN.comparisons


def test_bitstamp_books_in_the_cache_equal_the_exchanges_snapshots(run: Callable[[Case], Run]) -> None:
    """P3, P5: best bid and ask prices at each snapshot. The recording starts in mid-session: 55 of 4,104 cannot be equal."""
    result = run(BITSTAMP)
    check_readers(BITSTAMP, result)
    events = [int(row[0]) for row in rows(BITSTAMP.path) if row[1] != "T"]
    equal = compared = 0
    for row in rows(MARKETDATA / BITSTAMP_SNAPSHOTS):
        before = bisect.bisect_left(events, int(row[0]))
        compared += 1
        if before:
            bid_price, _, ask_price, _ = book_in_cache(result, f"book:BTCUSD:{events[before - 1]}")
            equal += (bid_price, ask_price) == (int(row[3]), int(row[43]))
    assert (equal, compared) == (BITSTAMP_EQUAL, BITSTAMP.comparisons)
