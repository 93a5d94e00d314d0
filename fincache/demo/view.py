"""What the demo shows while it runs: a live table where rich is installed and stdout is a terminal, else a line per second."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

LIVE_SECONDS = 0.25
PLAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class SymbolLine:
    """One symbol as the cache holds it; prices and quantities as people write them."""

    symbol: str
    bid: str
    bid_qty: str
    ask: str
    ask_qty: str
    last: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The state of the run at one moment."""

    elapsed_seconds: float
    quotes_per_second: float
    reads_per_second: tuple[float, ...]
    retries: int
    torn: int
    backwards: int
    other_faults: int
    kills: int
    recoveries: int
    newest_age_ns: int | None  # None: nothing was published yet
    writer_is_up: bool
    symbols: tuple[SymbolLine, ...]


class View(ABC):
    """Shows samples, not more often than it can show them."""

    interval_seconds = PLAIN_SECONDS

    def __init__(self) -> None:
        self._due = 0.0

    def is_due(self) -> bool:
        """Whether a sample is wanted now. Making one costs a few reads of the cache."""
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + self.interval_seconds
        return True

    @abstractmethod
    def note(self, text: str) -> None:
        """Shows an event."""

    @abstractmethod
    def show(self, sample: Sample) -> None:
        """Shows a sample."""

    def close(self) -> None:
        """Leaves the terminal as it was."""


def age_text(age_ns: int | None) -> str:
    """An age with a unit that fits."""
    if age_ns is None:
        return "-"
    for unit, scale in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if age_ns >= scale:
            return f"{age_ns / scale:.1f} {unit}"
    return f"{age_ns} ns"


class PlainView(View):
    """Lines, for logs and for terminals without rich."""

    def note(self, text: str) -> None:
        """One line."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def show(self, sample: Sample) -> None:
        """One line."""
        reads = " ".join(f"{rate:,.0f}" for rate in sample.reads_per_second)
        self.note(
            f"{sample.elapsed_seconds:6.1f} s  in {sample.quotes_per_second:,.0f} quotes/s"
            f"  read {reads} reads/s  retries {sample.retries}  torn {sample.torn}  backwards {sample.backwards}"
            f"  other {sample.other_faults}  kills {sample.kills}  recoveries {sample.recoveries}"
            f"  newest {age_text(sample.newest_age_ns)}{'' if sample.writer_is_up else '  (writer starting)'}"
        )


class LiveView(View):
    """A table that is drawn over itself. Needs rich."""

    interval_seconds = LIVE_SECONDS

    def __init__(self) -> None:
        super().__init__()
        from rich.live import Live

        self._live = Live(auto_refresh=False)
        self._live.start()

    def note(self, text: str) -> None:
        """A line above the table."""
        self._live.console.print(text, markup=False, highlight=False)

    def show(self, sample: Sample) -> None:
        """Draws the table."""
        from rich.console import Group

        self._live.update(Group(_books_table(sample), _counts_table(sample)), refresh=True)

    def close(self) -> None:
        """Ends the drawing; the last table stays."""
        self._live.stop()


def _books_table(sample: Sample) -> Table:
    from rich.table import Table

    table = Table(title=f"top of book, as the readers see it   {sample.elapsed_seconds:.1f} s", title_justify="left")
    for name in ("symbol", "bid qty", "bid", "ask", "ask qty", "last trade", "sequence"):
        table.add_column(name, justify="left" if name == "symbol" else "right", no_wrap=True)
    for line in sample.symbols:
        table.add_row(line.symbol, line.bid_qty, line.bid, line.ask, line.ask_qty, line.last, f"{line.sequence:,}")
    return table


def _counts_table(sample: Sample) -> Table:
    from rich.table import Table

    faults = sample.torn + sample.backwards + sample.other_faults
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("writer", f"{sample.quotes_per_second:,.0f} quotes/s" if sample.writer_is_up else "[yellow]starting")
    for number, rate in enumerate(sample.reads_per_second, 1):
        table.add_row(f"reader {number}", f"{rate:,.0f} reads/s")
    colour = "red" if faults else "green"
    table.add_row("retries", f"{sample.retries:,}")
    table.add_row("torn", f"[{colour}]{sample.torn}   backwards {sample.backwards}   other {sample.other_faults}")
    table.add_row("killed -9", f"{sample.kills}   recoveries {sample.recoveries}")
    table.add_row("newest quote", age_text(sample.newest_age_ns))
    return table


def make_view(plain: bool) -> View:
    """The live view where it can work, unless `plain`."""
    if plain or not sys.stdout.isatty():
        return PlainView()
    try:
        return LiveView()
    except ImportError:
        return PlainView()
