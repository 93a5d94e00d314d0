"""top: what happens in a segment, live.

Attached read-only, so it takes no slot and shows up nowhere. On a terminal a picture is drawn over itself, on the alternate
screen, as less and vi do, with plain escape sequences (ECMA-48 and xterm's 1049): nothing needs to be installed or imported for
that, and a resize only means another width for the next picture. To a pipe or a file frames go one after the other.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import termios
import time
import tty
from types import FrameType, TracebackType

import click

import fincache
from fincache.cli.output import finite, is_terminal, json_option, print_json
from fincache.cli.target import Target, pass_target, segment_option
from fincache.cli.top_sample import Frame, Reading
from fincache.cli.top_view import lines_of

ENTER_SCREEN = "\x1b[?1049h\x1b[?25l"  # the alternate screen, no cursor
LEAVE_SCREEN = "\x1b[?25h\x1b[?1049l"
HOME = "\x1b[H"
CLEAR_LINE = "\x1b[K"
CLEAR_BELOW = "\x1b[J"
QUIT_KEYS = b"qQ\x04"


class Screen:
    """The terminal while `top` has it: put back whatever happens, also for the time of a Ctrl-Z."""

    def __init__(self) -> None:
        self._keyboard = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        self._before: list[object] = []
        # A byte arrives here with every signal (signal.set_wakeup_fd), which ends select(): a resize is drawn at once.
        self._wake, self._woken = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)

    def __enter__(self) -> Screen:
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGWINCH, lambda _number, _frame: None)
        signal.signal(signal.SIGTSTP, self._stop)
        self._take()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.close(self._wake)
        os.close(self._woken)

    def draw(self, frame: Frame) -> None:
        """Draws a picture over the last one."""
        width, height = shutil.get_terminal_size()
        lines = lines_of(frame, width, height - 1)
        self._write(HOME + "".join(f"{line}{CLEAR_LINE}\n" for line in lines) + "q quits" + CLEAR_LINE + CLEAR_BELOW)

    def wait(self, seconds: float) -> str:
        """Waits: "due" when the time has come, "resized" when a signal came before, "quit" when q was pressed."""
        watched = [self._wake] if self._keyboard is None else [self._wake, self._keyboard]
        ready, _, _ = select.select(watched, [], [], max(0.0, seconds))
        if self._wake in ready:
            os.read(self._wake, 4096)
            return "resized"
        if self._keyboard in ready and self._keyboard is not None:
            pressed = os.read(self._keyboard, 64)
            return "quit" if not pressed or set(pressed) & set(QUIT_KEYS) else "resized"
        return "due"

    def _take(self) -> None:
        if self._keyboard is not None:
            self._before = termios.tcgetattr(self._keyboard)
            tty.setcbreak(self._keyboard, termios.TCSANOW)
        self._write(ENTER_SCREEN)

    def _give_back(self) -> None:
        self._write(LEAVE_SCREEN)
        if self._keyboard is not None:
            termios.tcsetattr(self._keyboard, termios.TCSANOW, self._before)  # type: ignore[arg-type]

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: the shell gets its screen back for as long as we are stopped."""
        self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTSTP})  # it stops here, and goes on with SIGCONT
        signal.signal(signal.SIGTSTP, self._stop)
        self._take()


@click.command("top")
@segment_option
@click.option(
    "-i",
    "--interval",
    type=click.FloatRange(0.05, 3600.0),
    callback=finite,
    default=1.0,
    show_default=True,
    metavar="S",
    help="Of frames.",
)
@click.option("-c", "--count", type=click.IntRange(1), metavar="N", help="End after so many frames.")
@click.option("-1", "--once", is_flag=True, help="One frame, after one interval.")
@json_option
@pass_target
def top_command(target: Target, interval: float, count: int | None, once: bool, as_json: bool) -> None:
    """Show what happens in a segment: rates, memory, sessions; until q or Ctrl-C.

    Rates are those of the last interval. Sessions are sorted by what they do. Reads of processes that attached read-only are not
    counted anywhere. To a pipe frames go one after the other; --json writes each as one line.
    """
    frames_max = 1 if once else count
    with target.attach(readonly=True) as cache:
        if as_json or once or not is_terminal():
            _print_frames(cache, interval, frames_max, as_json)
        else:
            _draw_frames(cache, interval, frames_max)


def _print_frames(cache: fincache.Cache, interval: float, frames_max: int | None, as_json: bool) -> None:
    before = Reading.take(cache)
    frame_count = 0
    while frame_count != frames_max:
        time.sleep(max(0.0, before.mono_ns / 1e9 + interval - time.monotonic()))
        after = Reading.take(cache)
        frame = Frame.between(before, after)
        if as_json:
            print_json(frame.to_json(), line=True)
        else:
            click.echo("\n".join([*lines_of(frame), *([] if frame_count + 1 == frames_max else [""])]))
        sys.stdout.flush()
        before = after
        frame_count += 1


def _draw_frames(cache: fincache.Cache, interval: float, frames_max: int | None) -> None:
    before = after = Reading.take(cache)
    frame_count = 0
    with Screen() as screen:
        frame = Frame.between(before, after)
        screen.draw(frame)
        while frame_count != frames_max:
            event = screen.wait(after.mono_ns / 1e9 + interval - time.monotonic())
            if event == "quit":
                return
            if event == "due":
                before, after = after, Reading.take(cache)
                frame = Frame.between(before, after)
                frame_count += 1
            screen.draw(frame)
    click.echo("\n".join(lines_of(frame)))
