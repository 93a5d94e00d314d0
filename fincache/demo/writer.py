"""The demo's writer process: replays a recording into the segment, round after round, until it is stopped or killed.

It keeps nothing outside the segment. Started again, it reads there which sequence number each symbol has reached and goes on with
the next; like a feed handler that reconnects it begins with the snapshot, the first message of the recording.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import fincache
from fincache.demo.child import Job, StopFlag, Stoppable, run_child
from fincache.demo.top_record import (
    RECORD_DTYPE,
    Half,
    Publication,
    publications,
    seal,
    seal_half,
    top_record,
    unseal,
    unseal_half,
)
from fincache.marketdata import Message, Trade, read_messages

# How often the stop flag's slow half (is the parent alive?) is asked.
PARENT_CHECK_SECONDS = 0.2
# A pause longer than this is slept in pieces, so that SIGTERM is obeyed soon.
SLEEP_SECONDS_MAX = 0.05


class Publisher:
    """Puts publications into the cache."""

    def __init__(self, cache: fincache.Cache, run: int) -> None:
        self._cache = cache
        self._records = cache.records(RECORD_DTYPE)
        self._run = run
        self._sequences: dict[str, int] = {}

    def publish(self, publication: Publication) -> None:
        """A quote: its record, then both halves at one instant. A trade: its price, and one more on the counter."""
        message = publication.message
        symbol = message.symbol
        if isinstance(message, Trade):
            self._cache.set(f"last:{symbol}", message.price)
            self._cache.incr("demo:trades")
            return
        sequence = self._sequences.get(symbol)
        sequence = self._sequence_found(symbol) + 1 if sequence is None else sequence + 1
        record = top_record(publication, sequence, symbol.encode("ascii"))
        row = np.frombuffer(seal(record, self._run), RECORD_DTYPE)[0]
        self._records.set(f"top:{symbol}", row)
        bid = Half(sequence, record.message_index, record.bid_price, record.bid_qty)
        ask = Half(sequence, record.message_index, record.ask_price, record.ask_qty)
        self._cache.mset({f"bid:{symbol}": seal_half(bid, self._run), f"ask:{symbol}": seal_half(ask, self._run)})
        self._sequences[symbol] = sequence

    def _sequence_found(self, symbol: str) -> int:
        """The highest sequence that an earlier writer left in the segment; a killed one may have set the record alone."""
        found = [0]
        top = unseal(self._cache.get(f"top:{symbol}") or b"", self._run)
        if top is not None:
            found.append(top.sequence)
        for key in (f"bid:{symbol}", f"ask:{symbol}"):
            half = unseal_half(self._cache.get(key) or b"", self._run)
            if half is not None:
                found.append(half.sequence)
        return max(found)


class Pace:
    """Waits until a message is due. Speed 1 is as recorded, 2 twice as fast; 0 waits for nothing."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._first_recv_ns = 0
        self._start = 0.0

    def begin(self) -> None:
        """A round begins with the next message."""
        self._first_recv_ns = 0
        self._start = time.monotonic()

    def wait(self, recv_ns: int, stop: Stoppable) -> None:
        """Returns when the message is due, or at once when the process has to stop."""
        if not self._speed:
            return
        self._first_recv_ns = self._first_recv_ns or recv_ns
        due = self._start + (recv_ns - self._first_recv_ns) / 1e9 / self._speed
        while not stop.is_set and (pause := due - time.monotonic()) > 0:
            time.sleep(min(pause, SLEEP_SECONDS_MAX))


def write(job: Job, stop: StopFlag) -> None:
    """Rounds over the recording. The first round publishes while it reads the file; later ones replay from memory."""
    with fincache.attach(job.segment, readonly=False) as cache:
        publisher = Publisher(cache, job.run)
        pace = Pace(job.speed)
        messages: list[Message] = []
        _round(job, stop, pace, publisher, _kept(messages, read_messages(Path(job.data))))
        while not stop.is_set:
            _round(job, stop, pace, publisher, messages)


def _kept(messages: list[Message], source: Iterable[Message]) -> Iterable[Message]:
    for message in source:
        messages.append(message)
        yield message


def _round(job: Job, stop: StopFlag, pace: Pace, publisher: Publisher, messages: Iterable[Message]) -> None:
    pace.begin()
    check_at = time.monotonic() + PARENT_CHECK_SECONDS
    for count, publication in enumerate(publications(messages)):
        pace.wait(publication.message.recv_ns, stop)
        if stop.is_set:
            return
        publisher.publish(publication)
        if (job.speed or count % 256 == 0) and time.monotonic() > check_at:
            check_at = time.monotonic() + PARENT_CHECK_SECONDS
            stop.check_parent(job)


if __name__ == "__main__":
    sys.exit(run_child(write))
