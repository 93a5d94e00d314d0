"""What the demo's child processes have in common: their job, the signal to stop, and noticing that the parent is gone.

A child runs in a session of its own, so that Ctrl-C reaches the parent alone, which then ends its children by SIGTERM. A parent
that is killed with -9 cannot do that: `Parent.is_gone` is asked a few times per second.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Protocol

import fincache


@dataclass(frozen=True, slots=True)
class Job:
    """All a child needs to know."""

    segment: str
    run: int
    parent_pid: int
    keep_segment: bool
    data: str = ""
    speed: float = 0.0
    recording: str = ""

    def to_text(self) -> str:
        """One command-line argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Job:
        """What `to_text` gave."""
        return cls(**json.loads(text))


class Stoppable(Protocol):
    """Whether to stop, for whoever waits."""

    is_set: bool


class StopFlag:
    """True once SIGTERM came."""

    def __init__(self) -> None:
        self.is_set = False
        signal.signal(signal.SIGTERM, self._set)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _set(self, _signal_number: int, _frame: FrameType | None) -> None:
        self.is_set = True

    def check_parent(self, job: Job) -> None:
        """Stops when the parent is gone; then there is nobody else to remove the segment."""
        if os.getppid() != job.parent_pid:
            self.is_set = True
            if not job.keep_segment:
                with contextlib.suppress(fincache.FinCacheError):
                    fincache.unlink(job.segment)


def run_child(work: Callable[[Job, StopFlag], None]) -> int:
    """The main function of a child. What FinCache or the data raise is one line on stderr and exit code 1."""
    stop = StopFlag()
    try:
        work(Job.from_text(sys.argv[1]), stop)
    except (fincache.FinCacheError, OSError, ValueError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0
