"""Signals as something to select() on: Python's C-level handler writes each number into a socket, the main loop reads it there.

So nothing runs in the middle of anything else, and a signal is noticed even while the main thread waits inside a C function.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterable
from types import FrameType, TracebackType


class SignalPipe:
    """Catches signals while it is open; puts the handlers before it back when it closes. Main thread only."""

    def __init__(self, signals: Iterable[signal.Signals]) -> None:
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _noticed) for number in signals}

    def fileno(self) -> int:
        """Readable when a signal came."""
        return self._reading.fileno()

    def take(self) -> list[signal.Signals]:
        """The signals that came since the last call, in order."""
        try:
            numbers = self._reading.recv(4096)
        except BlockingIOError:
            return []
        return [signal.Signals(number) for number in numbers if number in self._before]

    def close(self) -> None:
        """Gives the signals back."""
        for number, handler in self._before.items():
            with contextlib.suppress(TypeError):  # a handler that was not set from Python cannot be set back
                signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._reading.close()
        self._writing.close()

    def __enter__(self) -> SignalPipe:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _noticed(_number: int, _frame: FrameType | None) -> None:
    """The C-level handler has written the number already; Python wants a function for the signal to be caught at all."""
