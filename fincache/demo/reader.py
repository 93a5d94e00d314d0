"""A reader process of the demo: a strategy that reads top of book as fast as it can, and checks all that it reads.

It is attached read-only: it holds no lock, takes no slot, and no writer can tell that it is there. So it has no key to put
its counts in, and reports them to the parent as lines of JSON on its stdout.

Bytes that equal the last checked ones of that key count as read and need no second check.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import fincache
from fincache.demo.child import Job, StopFlag, run_child
from fincache.demo.top_record import Recording, unseal, unseal_half

REPORT_SECONDS = 0.2
# Both halves of a quote are read together once for so many rounds of single reads.
ROUNDS_PER_CUT = 16


@dataclass(slots=True)
class ReaderCounts:
    """What one reader did and found. Counts only rise."""

    reads: int = 0
    cuts: int = 0  # mget of both halves
    fresh: int = 0  # reads that met a record not met before
    retries: int = 0  # of the cache: validated reads that had to be taken again
    torn: int = 0  # a record or half whose checksum is wrong
    mixed: int = 0  # two halves of different quotes from one mget
    unwritten: int = 0  # whole, but no quote of the recording
    backwards: int = 0  # a sequence lower than one seen before
    lost: int = 0  # a key that was there and is missing
    errors: int = 0  # exceptions of the cache
    last_error: str = ""
    longest_silence_seconds: float = 0.0  # without a fresh record
    sequences: dict[str, int] = field(default_factory=dict)

    def is_clean(self) -> bool:
        """Nothing was found that the cache promises never to show."""
        return not (self.torn or self.mixed or self.unwritten or self.backwards or self.lost or self.errors)


class Checker:
    """Judges what was read."""

    def __init__(self, recording: Recording, run: int, counts: ReaderCounts) -> None:
        self.counts = counts
        self._run = run
        self._symbols = recording.symbols
        self._tops = [tuple(top) for top in recording.tops.tolist()]
        self._symbol_indexes = recording.symbol_indexes.tolist()
        self._half_sequences: dict[str, int] = {}

    def check_top(self, symbol_index: int, raw: bytes) -> None:
        """A record other than the last one of this symbol."""
        counts = self.counts
        record = unseal(raw, self._run)
        if record is None:
            counts.torn += 1
            return
        index = record.message_index
        quote = (record.bid_price, record.bid_qty, record.ask_price, record.ask_qty)
        if not self._is_written(symbol_index, index, quote) or record.symbol.decode() != self._symbols[symbol_index]:
            counts.unwritten += 1
        symbol = self._symbols[symbol_index]
        newest = counts.sequences.get(symbol, 0)
        if record.sequence < newest:
            counts.backwards += 1
        elif record.sequence > newest:
            counts.fresh += 1
            counts.sequences[symbol] = record.sequence

    def check_cut(self, symbol_index: int, raw_bid: bytes, raw_ask: bytes) -> None:
        """Both halves as one mget gave them: they must be those of one quote."""
        counts = self.counts
        bid = unseal_half(raw_bid, self._run)
        ask = unseal_half(raw_ask, self._run)
        if bid is None or ask is None:
            counts.torn += 1
            return
        if bid.sequence != ask.sequence or bid.message_index != ask.message_index:
            counts.mixed += 1
        elif not self._is_written(symbol_index, bid.message_index, (bid.price, bid.qty, ask.price, ask.qty)):
            counts.unwritten += 1
        symbol = self._symbols[symbol_index]
        if bid.sequence < self._half_sequences.get(symbol, 0):
            counts.backwards += 1
        self._half_sequences[symbol] = bid.sequence

    def _is_written(self, symbol_index: int, message_index: int, quote: tuple[int, int, int, int]) -> bool:
        return (
            message_index < len(self._tops)
            and self._symbol_indexes[message_index] == symbol_index
            and self._tops[message_index] == quote
        )


def read(job: Job, stop: StopFlag) -> None:
    """Reads until it is stopped."""
    recording = Recording.load(Path(job.recording))
    counts = ReaderCounts()
    checker = Checker(recording, job.run, counts)
    with fincache.attach(job.segment, readonly=True) as cache:
        sweep = _Sweep(cache, recording.symbols, checker)
        quiet_since = report_at = time.monotonic()
        fresh = 0
        rounds = 0
        while not stop.is_set:
            rounds += 1
            sweep.tops()
            if rounds % ROUNDS_PER_CUT:
                continue
            sweep.cuts()
            now = time.monotonic()
            if counts.fresh != fresh:
                if fresh:
                    counts.longest_silence_seconds = max(counts.longest_silence_seconds, now - quiet_since)
                fresh, quiet_since = counts.fresh, now
            if now >= report_at:
                report_at = now + REPORT_SECONDS
                stop.check_parent(job)
                counts.retries = _retries(cache)
                _report(counts)
        counts.retries = _retries(cache)
        _report(counts)


class _Sweep:
    """One read of every symbol's key."""

    def __init__(self, cache: fincache.Cache, symbols: tuple[str, ...], checker: Checker) -> None:
        self._cache = cache
        self._checker = checker
        self._counts = checker.counts
        self._top_keys = [f"top:{symbol}" for symbol in symbols]
        self._cut_keys = [(f"bid:{symbol}", f"ask:{symbol}") for symbol in symbols]
        self._known_tops: list[bytes | None] = [None] * len(symbols)
        self._known_cuts: list[tuple[bytes | None, ...]] = [()] * len(symbols)

    def tops(self) -> None:
        get = self._cache.get
        known = self._known_tops
        for index, key in enumerate(self._top_keys):
            try:
                raw = get(key)
            except fincache.FinCacheError as error:
                self._failed(error)
                continue
            if raw != known[index]:
                if raw is None:
                    self._counts.lost += 1
                else:
                    self._checker.check_top(index, raw)
                known[index] = raw
        self._counts.reads += len(self._top_keys)

    def cuts(self) -> None:
        for index, keys in enumerate(self._cut_keys):
            try:
                bid, ask = self._cache.mget(keys)
            except fincache.FinCacheError as error:
                self._failed(error)
                continue
            self._counts.cuts += 1
            if (bid, ask) != self._known_cuts[index] and not (bid is None and ask is None):
                if bid is None or ask is None:
                    self._counts.mixed += 1
                else:
                    self._checker.check_cut(index, bid, ask)
                self._known_cuts[index] = (bid, ask)

    def _failed(self, error: fincache.FinCacheError) -> None:
        self._counts.errors += 1
        self._counts.last_error = f"{type(error).__name__}: {error}"


def _retries(cache: fincache.Cache) -> int:
    """Of this process alone: what a read-only session did is in no total of the segment."""
    return cache.session_stats().read_retries


def _report(counts: ReaderCounts) -> None:
    sys.stdout.write(json.dumps(asdict(counts)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(run_child(read))
