"""The demo's parent: starts the processes, kills the writer with -9, starts it again, and judges what the readers saw.

The verdict is passed if no reader found a fault (a torn, mixed, unwritten or lost value, a step back, an error of the
cache), all readers lived to the end and were given fresh quotes after the last restart, and the writer died only when it
was killed.

Children are ended by their Popen object (a pid that was not waited for cannot be reused), also when the parent is
interrupted.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import fincache
from fincache.demo.child import Job
from fincache.demo.reader import ReaderCounts
from fincache.demo.top_record import RECORD_DTYPE, Recording
from fincache.demo.view import Sample, SymbolLine, View
from fincache.marketdata import Instrument

SEGMENT_SIZE = "16MB"
TICK_SECONDS = 0.02
# Chaos: a kill comes so long after the writer was seen to publish, 0.5 s on average ...
KILL_SECONDS = (0.05, 0.95)
# ... and once in so many times at a random moment of its start instead.
START_KILL_ONE_IN = 8
START_KILL_SECONDS = (0.0, 0.3)
# No kill in the last part of the run: the readers shall be seen to be fed again.
CALM_SECONDS = 0.5
# A machine may be slow; a reader that has seen no fresh quote after so long is not fed.
FED_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 5.0
RATE_WINDOW_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line asks for."""

    data: Path
    reader_count: int
    seconds: float
    speed: float
    chaos: bool
    keep_segment: bool


@dataclass(slots=True)
class Verdict:
    """What came out."""

    seconds: float = 0.0
    quotes: int = 0
    trades: int = 0
    kills: int = 0
    restarts: int = 0
    recoveries: int = 0
    rolled_forward: int = 0
    readers: list[ReaderCounts] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class Child:
    """A process of ours."""

    def __init__(self, module: str, job: Job) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by release
        self._pending = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, job.to_text()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,
        )
        if self.process.stdout is None:
            raise AssertionError("stdout is a pipe")
        self._stdout = self.process.stdout
        os.set_blocking(self._stdout.fileno(), False)

    def lines(self) -> list[bytes]:
        """Whole lines that it wrote since the last call."""
        while True:
            try:
                piece = os.read(self._stdout.fileno(), 1 << 16)
            except BlockingIOError:
                break
            if not piece:
                break
            self._pending += piece
        *lines, self._pending = self._pending.split(b"\n")
        return lines

    def error_text(self) -> str:
        """The last line it wrote to stderr."""
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def kill(self) -> None:
        """SIGKILL, and waits for the end."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Ends it if it lives: SIGTERM, then SIGKILL."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.kill()

    def release(self) -> None:
        """Closes the files."""
        self._stdout.close()
        self._stderr.close()


class Rate:
    """How fast a count rose in the last second."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def add(self, now: float, count: int) -> None:
        """A reading of the count."""
        self._points.append((now, count))
        while len(self._points) > 2 and now - self._points[0][0] > RATE_WINDOW_SECONDS:
            self._points.popleft()

    def per_second(self) -> float:
        """0 before two readings."""
        if len(self._points) < 2:
            return 0.0
        (start, low), (end, high) = self._points[0], self._points[-1]
        return (high - low) / (end - start) if end > start else 0.0


class Reader:
    """A reader process and the newest counts it reported."""

    def __init__(self, job: Job) -> None:
        self.child = Child("fincache.demo.reader", job)
        self.counts = ReaderCounts()
        self.rate = Rate()

    def collect(self, now: float) -> None:
        """Takes in what it reported."""
        for line in self.child.lines():
            self.counts = ReaderCounts(**json.loads(line))
            self.rate.add(now, self.counts.reads)


class Supervisor:
    """One run of the demo. Use as a context manager: leaving ends all children and removes the segment."""

    def __init__(self, settings: Settings, recording: Recording, instruments: dict[str, Instrument], view: View) -> None:
        self._settings = settings
        self._symbols = recording.symbols
        self._instruments = instruments
        self._view = view
        self.segment = f"fincache-demo-{os.getpid()}-{secrets.token_hex(3)}"
        self._folder = tempfile.TemporaryDirectory(prefix="fincache-demo-")
        recording_path = Path(self._folder.name) / "recording.npz"
        recording.save(recording_path)
        self._job = Job(
            segment=self.segment,
            run=secrets.randbits(32),
            parent_pid=os.getpid(),
            keep_segment=settings.keep_segment,
            data=str(settings.data.resolve()),
            speed=settings.speed,
            recording=str(recording_path),
        )
        self._readers: list[Reader] = []
        self._writer: Child | None = None
        self._writer_started = 0.0
        self._writer_is_up = False
        self._kill_at: float | None = None
        self._sequences_at_kill: dict[str, int] = dict.fromkeys(self._symbols, 0)
        self._quote_rate = Rate()
        self.verdict = Verdict()
        self._cache: fincache.Cache | None = None

    def __enter__(self) -> Supervisor:
        try:
            self._cache = fincache.open(self.segment, size=SEGMENT_SIZE)
            self._records = self._cache.records(RECORD_DTYPE)
            self._readers = [Reader(self._job) for _ in range(self._settings.reader_count)]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        children = [reader.child for reader in self._readers]
        if self._writer is not None:
            children.append(self._writer)
        for child in children:
            child.close()
            child.release()
        self._folder.cleanup()
        if self._cache is not None:
            self._cache.close()
            if not self._settings.keep_segment:
                with contextlib.suppress(fincache.SegmentMissing):
                    fincache.unlink(self.segment)

    # -------------------------------------------------------------- the run

    def run(self) -> Verdict:
        """Runs to the end, or to the first failure that makes going on pointless."""
        start = time.monotonic()
        end = start + self._settings.seconds
        self._start_writer()
        while not self.verdict.failures:
            now = time.monotonic()
            self._collect(now)
            if now >= end and (self._all_fed() or now > end + FED_SECONDS_MAX):
                break
            self._kill_when_due(now, start, end)
            if self._view.is_due():
                self._view.show(self._sample(now - start))
            time.sleep(TICK_SECONDS)
        self._finish(start)
        return self.verdict

    def _start_writer(self) -> None:
        self._writer = Child("fincache.demo.writer", self._job)
        self._writer_started = time.monotonic()
        self._writer_is_up = False
        self._kill_at = None
        if self._settings.chaos and self.verdict.kills and random.randrange(START_KILL_ONE_IN) == 0:
            self._kill_at = self._writer_started + random.uniform(*START_KILL_SECONDS)

    def _collect(self, now: float) -> None:
        """Takes in the readers' reports, and looks whether anybody ended that should not have."""
        for number, reader in enumerate(self._readers, 1):
            reader.collect(now)
            code = reader.child.process.poll()
            if code is not None:
                self.verdict.failures.append(f"reader {number} ended with {code}: {reader.child.error_text()}")
        sequences = self._sequences()
        self._quote_rate.add(now, sum(sequences.values()))
        if not self._writer_is_up and any(sequences[symbol] > self._sequences_at_kill[symbol] for symbol in self._symbols):
            self._writer_is_up = True
        if self._writer is not None and (code := self._writer.process.poll()) is not None:
            self.verdict.failures.append(f"the writer ended with {code}: {self._writer.error_text()}")

    def _kill_when_due(self, now: float, start: float, end: float) -> None:
        if self._kill_at is None and self._writer_is_up:
            if self._settings.chaos:
                self._kill_at = now + random.uniform(*KILL_SECONDS)
            elif not self.verdict.kills:
                self._kill_at = max(now, (start + end) / 2)
        calm = min(CALM_SECONDS, self._settings.seconds / 4)
        due = self._kill_at is not None and now >= self._kill_at
        # A run that was late to start may have its one kill late.
        if due and (now < end - calm or not self.verdict.kills):
            self._kill_and_restart(now - start)

    def _kill_and_restart(self, elapsed_seconds: float) -> None:
        if self._writer is None:
            return
        self._writer.kill()
        self._writer.release()
        self.verdict.kills += 1
        self._sequences_at_kill = self._sequences()
        self._start_writer()
        self.verdict.restarts += 1
        if not self._settings.chaos:
            self._view.note(f"{elapsed_seconds:6.1f} s  the writer was killed with -9, and is started again")

    def _all_fed(self) -> bool:
        """Every reader has seen a quote that was written after the last restart, and the run had its kill."""
        return bool(self.verdict.kills) and all(self._is_fed(reader) for reader in self._readers)

    def _is_fed(self, reader: Reader) -> bool:
        seen = reader.counts.sequences
        return any(seen.get(symbol, 0) > self._sequences_at_kill[symbol] for symbol in self._symbols)

    def _finish(self, start: float) -> None:
        """Stops everybody, takes the last counts, and judges."""
        verdict = self.verdict
        verdict.seconds = time.monotonic() - start
        self._view.show(self._sample(verdict.seconds))
        writer = self._writer
        if writer is not None:
            writer.close()
        for number, reader in enumerate(self._readers, 1):
            was_alive = reader.child.process.poll() is None
            reader.child.close()
            reader.collect(time.monotonic())
            if was_alive and reader.child.process.returncode != 0:
                verdict.failures.append(f"reader {number} did not end cleanly: {reader.child.error_text()}")
            verdict.readers.append(reader.counts)
            verdict.failures.extend(f"reader {number} {fault}" for fault in _faults(reader.counts))
            if not self._is_fed(reader):
                verdict.failures.append(f"reader {number} was not fed after the last start of the writer")
        if not verdict.kills:
            verdict.failures.append("the writer published too late to be killed")
        if self._cache is not None:
            stats = self._cache.stats()
            verdict.quotes = sum(self._sequences().values())
            verdict.trades = int(self._cache.get("demo:trades") or 0)
            verdict.recoveries = stats.recoveries
            verdict.rolled_forward = stats.rolled_forward

    # -------------------------------------------------------------- what the cache says

    def _sequences(self) -> dict[str, int]:
        sequences = {}
        for symbol in self._symbols:
            row = self._records.get(f"top:{symbol}")
            sequences[symbol] = 0 if row is None else int(row["sequence"])
        return sequences

    def _sample(self, elapsed_seconds: float) -> Sample:
        cache = self._cache
        if cache is None:
            raise AssertionError("a sample needs the cache")
        entries = [cache.entry(f"top:{symbol}") for symbol in self._symbols]
        counts = [reader.counts for reader in self._readers]
        return Sample(
            elapsed_seconds=elapsed_seconds,
            quotes_per_second=self._quote_rate.per_second(),
            reads_per_second=tuple(reader.rate.per_second() for reader in self._readers),
            retries=sum(count.retries for count in counts),
            torn=sum(count.torn for count in counts),
            backwards=sum(count.backwards for count in counts),
            other_faults=sum(count.mixed + count.unwritten + count.lost + count.errors for count in counts),
            kills=self.verdict.kills,
            recoveries=cache.stats().recoveries,
            newest_age_ns=min((entry.age_ns for entry in entries if entry is not None), default=None),
            writer_is_up=self._writer_is_up,
            symbols=tuple(line for symbol in self._symbols if (line := self._symbol_line(cache, symbol))),
        )

    def _symbol_line(self, cache: fincache.Cache, symbol: str) -> SymbolLine | None:
        row = self._records.get(f"top:{symbol}")
        if row is None:
            return None
        instrument = self._instruments.get(symbol) or Instrument(symbol, "", 0, 0, "", "")
        last = cache.get(f"last:{symbol}")
        return SymbolLine(
            symbol=symbol,
            bid=instrument.price_text(int(row["bid_price"])),
            bid_qty=instrument.qty_text(int(row["bid_qty"])),
            ask=instrument.price_text(int(row["ask_price"])),
            ask_qty=instrument.qty_text(int(row["ask_qty"])),
            last=instrument.price_text(int(last)) if last else "-",
            sequence=int(row["sequence"]),
        )


def _faults(counts: ReaderCounts) -> list[str]:
    texts = {
        "torn": "read torn values",
        "mixed": "read halves of two quotes in one mget",
        "unwritten": "read quotes that were never written",
        "backwards": "saw a sequence go backwards",
        "lost": "lost a key that was there",
        "errors": f"met errors (the last: {counts.last_error})",
    }
    return [f"{text}: {count}" for name, text in texts.items() if (count := getattr(counts, name))]
