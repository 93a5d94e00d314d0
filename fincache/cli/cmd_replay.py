"""replay: a recorded market-data file goes into a segment as if it came now.

Reading, rebuilding of books, records and pace are the demo's (fincache/demo/top_record.py says which keys hold what); here is
what a command needs: which symbols, how often, rates, and an orderly end. All of it is imported when the command runs, for it
brings numpy.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

import fincache
from fincache.cli.cmd_segments import size_given
from fincache.cli.exits import ExitCode
from fincache.cli.output import Json, count_text, duration_text, finite, json_option, print_json
from fincache.cli.target import Refused, Target, pass_target, target_options

if TYPE_CHECKING:
    from fincache.marketdata import Message

DEMO = "demo"
RUN = 0  # the number that the records' checksums begin from: the same for every replay, so that anybody can check them
SPEED_MAX = 1e6


class _Going:
    """Never asks to stop: signals end a replay by exceptions."""

    is_set = False


class Progress:
    """Counts what was published, and says so from time to time."""

    def __init__(self, speed: float, interval_s: float, as_json: bool) -> None:
        self._speed = speed
        self._interval_s = interval_s
        self._as_json = as_json
        self._start = self._reported_at = time.monotonic()
        self._reported = 0
        self._round_start = self._start
        self._round_first_ns = 0
        self._recv_ns = 0
        self.quote_count = 0
        self.trade_count = 0
        self.round_number = 0

    def begin_round(self) -> None:
        """A round begins with the next message."""
        self.round_number += 1
        self._round_start = time.monotonic()
        self._round_first_ns = 0

    def count(self, recv_ns: int, is_trade: bool) -> None:
        """One message was published."""
        self._round_first_ns = self._round_first_ns or recv_ns
        self._recv_ns = recv_ns
        if is_trade:
            self.trade_count += 1
        else:
            self.quote_count += 1
        if time.monotonic() - self._reported_at >= self._interval_s:
            self.report("running")

    def report(self, state: str) -> None:
        """One line: "running" with the rate since the last one, "done" or "interrupted" with that of the whole."""
        now = time.monotonic()
        total = self.quote_count + self.trade_count
        since, count = (self._reported_at, total - self._reported) if state == "running" else (self._start, total)
        rate = count / max(now - since, 1e-9)
        self._reported_at, self._reported = now, total
        if self._as_json:
            print_json(self._to_json(state, now, rate), line=True)
        else:
            behind = self._behind_s(now)
            late = f"  {duration_text(behind * 1e9)} late" if behind > self._interval_s else ""
            click.echo(
                f"{state:<11}  {now - self._start:8.1f} s  round {self.round_number}  {count_text(rate)}/s"
                f"  {self.quote_count:,} quotes  {self.trade_count:,} trades{late}"
            )
        sys.stdout.flush()

    def _behind_s(self, now: float) -> float:
        """How far the replay lags behind its speed; 0 where it has none."""
        if not self._speed or not self._round_first_ns:
            return 0.0
        due = self._round_start + (self._recv_ns - self._round_first_ns) / 1e9 / self._speed
        return max(0.0, now - due)

    def _to_json(self, state: str, now: float, rate: float) -> dict[str, Json]:
        return {
            "state": state,
            "elapsed_s": round(now - self._start, 3),
            "round": self.round_number,
            "messages_per_s": round(rate, 1),
            "quotes": self.quote_count,
            "trades": self.trade_count,
            "behind_s": round(self._behind_s(now), 3),
        }


def _symbols_given(_context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> frozenset[str]:
    return frozenset(symbol for text in value for symbol in text.split(",") if symbol)


@click.command("replay")
@target_options
@click.option(
    "--speed",
    type=click.FloatRange(0, SPEED_MAX),
    callback=finite,
    default=1.0,
    show_default=True,
    metavar="X",
    help="2: twice as fast; 0: at once.",
)
@click.option("--symbols", multiple=True, callback=_symbols_given, metavar="A,B", help="Only these [default: all].")
@click.option("--rounds", type=click.IntRange(0), default=1, show_default=True, metavar="N", help="How often; 0: until Ctrl-C.")
@click.option("--create", "create_bytes", metavar="SIZE", callback=size_given, help="Create the segment if it is missing.")
@click.option(
    "-i",
    "--interval",
    type=click.FloatRange(0.01),
    callback=finite,
    default=1.0,
    show_default=True,
    metavar="S",
    help="Of the lines.",
)
@json_option
@click.argument("file")
@pass_target
def replay_command(
    target: Target,
    file: str,
    speed: float,
    symbols: frozenset[str],
    rounds: int,
    create_bytes: int | None,
    interval: float,
    as_json: bool,
) -> ExitCode:
    """Replay recorded market data into a segment.

    FILE is a CSV in one of the formats of fincache.marketdata (levels or orders, plain or gzip), or "demo": 30 seconds of order
    flow that come with FinCache. Each quote becomes the record top:SYMBOL and, in one step, bid:SYMBOL and ask:SYMBOL; each trade
    becomes last:SYMBOL. Sequence numbers go on where an earlier replay ended.
    """
    from fincache.demo.top_record import publications
    from fincache.demo.writer import Pace, Publisher
    from fincache.marketdata import MarketDataError, SequenceGapError, Trade, read_messages

    path = _path_of(file)
    with _attach(target, create_bytes) as cache:
        publisher, pace = Publisher(cache, RUN), Pace(speed)
        progress = Progress(speed, interval, as_json)
        try:
            while rounds == 0 or progress.round_number < rounds:
                pace.begin()
                progress.begin_round()
                before = progress.quote_count + progress.trade_count
                for publication in publications(_chosen(read_messages(path), symbols)):
                    recv_ns = publication.message.recv_ns
                    pace.wait(recv_ns, _Going)
                    publisher.publish(publication)
                    progress.count(recv_ns, isinstance(publication.message, Trade))
                if progress.quote_count + progress.trade_count == before:
                    wanted = f" of {', '.join(sorted(symbols))}" if symbols else ""
                    raise Refused(f"{file}: there is no message{wanted} in it", ExitCode.DATA)
        except KeyboardInterrupt:
            progress.report("interrupted")
            return ExitCode.INTERRUPTED
        except (MarketDataError, SequenceGapError) as error:
            raise Refused(str(error), ExitCode.DATA) from None
        progress.report("done")
    return ExitCode.OK


def _path_of(file: str) -> Path:
    if file == DEMO:
        from fincache.demo.__main__ import DEFAULT_DATA

        return DEFAULT_DATA
    path = Path(file)
    if not path.is_file():
        raise click.BadParameter(f'there is no file {file!r}; "{DEMO}" is the one that comes with FinCache.', param_hint="'FILE'")
    return path


def _attach(target: Target, create_bytes: int | None) -> fincache.Cache:
    if create_bytes is None:
        return target.attach(readonly=False)
    name = target.named()
    if name is None:
        raise click.UsageError("--create needs the segment's name: -s NAME.")
    return fincache.open(name, create_bytes, db=target.database or 0)


def _chosen(messages: Iterator[Message], symbols: frozenset[str]) -> Iterator[Message]:
    return messages if not symbols else (message for message in messages if message.symbol in symbols)
