"""The command line of the demo: python -m fincache.demo. Exit code 0: no fault was found; 1: one was; 2: it could not run."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

import fincache
from fincache.demo.supervisor import Settings, Supervisor, Verdict
from fincache.demo.top_record import Recording, read_recording
from fincache.demo.view import make_view
from fincache.marketdata import Instrument, read_instruments

DATA_FOLDER = Path(__file__).resolve().parent.parent / "data"
DEFAULT_DATA = DATA_FOLDER / "binance_20240808_excerpt.csv.gz"
INSTRUMENTS_NAME = "instruments.csv"
READERS_MAX = 64
EXIT_FAULT = 1
EXIT_UNUSABLE = 2
EXIT_INTERRUPTED = 130


def _number(low: float, high: float, kind: type[int] | type[float]) -> type[int] | type[float]:
    def parse(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low:g} to {high:g}")
        return value

    parse.__name__ = kind.__name__
    return parse  # type: ignore[return-value]


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m fincache.demo",
        description="Recorded order flow goes from a writer process into one shared segment while reader processes "
        "read top of book from it at full speed. The writer is killed with -9 in the middle and started again.",
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, metavar="FILE", help="a CSV in the marketdata format")
    parser.add_argument("--readers", type=_number(1, READERS_MAX, int), default=3, metavar="N", help="default: 3")
    parser.add_argument("--seconds", type=_number(1, 1e6, float), default=10.0, metavar="S", help="default: 10")
    parser.add_argument(
        "--speed", type=_number(0, 1e6, float), default=0.0, metavar="X", help="1: as recorded; 0: as fast as possible"
    )
    parser.add_argument("--chaos", action="store_true", help="kill the writer again and again, at random moments")
    parser.add_argument("--keep", action="store_true", help="leave the segment behind, to look at it")
    parser.add_argument("--plain", action="store_true", help="lines instead of a live table")
    return parser.parse_args(arguments)


def _instruments(data: Path) -> dict[str, Instrument]:
    """Decimals from instruments.csv beside the data, or above it, or the package's own."""
    for folder in (data.parent, data.parent.parent, DATA_FOLDER):
        if (folder / INSTRUMENTS_NAME).is_file():
            return read_instruments(folder / INSTRUMENTS_NAME)
    return {}


def _load(data: Path) -> tuple[Recording, dict[str, Instrument]]:
    recording = read_recording(data)
    if not recording.symbols:
        raise ValueError(f"{data}: no book and no quote in it; allowed: a file with S, L, Q, A, M or X rows")
    return recording, _instruments(data)


def _interrupt(_signal_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _summary(verdict: Verdict) -> str:
    lines = [
        f"writer    {verdict.quotes:,} quotes and {verdict.trades:,} trades in {verdict.seconds:.1f} s "
        f"({verdict.quotes / max(verdict.seconds, 0.001):,.0f} quotes/s); killed {verdict.kills}, "
        f"restarted {verdict.restarts}, recoveries {verdict.recoveries} ({verdict.rolled_forward} rolled forward)"
    ]
    lines += [
        f"reader {number}  {counts.reads:,} reads ({counts.reads / max(verdict.seconds, 0.001):,.0f}/s), "
        f"{counts.cuts:,} cuts, {counts.fresh:,} fresh, retries {counts.retries}, torn {counts.torn}, "
        f"mixed {counts.mixed}, backwards {counts.backwards}, unwritten {counts.unwritten}, lost {counts.lost}, "
        f"errors {counts.errors}, longest silence {counts.longest_silence_seconds:.2f} s"
        for number, counts in enumerate(verdict.readers, 1)
    ]
    lines += [f"FAILED    {failure}" for failure in verdict.failures]
    if not verdict.failures:
        lines.append("passed    torn 0, backwards 0, nothing read that was not written, every reader fed to the end")
    return "\n".join(lines) + "\n"


def _run(options: argparse.Namespace) -> int:
    recording, instruments = _load(options.data)
    settings = Settings(options.data, options.readers, options.seconds, options.speed, options.chaos, options.keep)
    signal.signal(signal.SIGTERM, _interrupt)
    view = make_view(options.plain)
    try:
        with Supervisor(settings, recording, instruments, view) as supervisor:
            view.note(
                f"segment {supervisor.segment}: {len(recording.tops):,} messages of {len(recording.symbols)} symbols "
                f"from {options.data.name}, one writer, {options.readers} readers"
            )
            try:
                verdict = supervisor.run()
            finally:
                # From here on only cleaning up, which a second Ctrl-C must not cut short.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
    finally:
        view.close()
    sys.stdout.write(_summary(verdict))
    if options.keep:
        sys.stdout.write(f"kept      segment {supervisor.segment}\n")
    return EXIT_FAULT if verdict.failures else 0


def main(arguments: list[str] | None = None) -> int:
    """Runs the demo; errors are one line on stderr."""
    options = _parse(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return EXIT_INTERRUPTED
    except (fincache.FinCacheError, ValueError) as error:
        sys.stderr.write(f"fincache.demo: {error}\n")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"fincache.demo: {where}{error.strerror or error}\n")
    return EXIT_UNUSABLE


if __name__ == "__main__":
    sys.exit(main())
