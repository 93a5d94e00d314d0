"""What the daemon does from time to time, in small steps on its main thread: the memory of expired keys, dead sessions, and
whether the segment is still there.

Sweeping   a round of all homes of the index takes ROUND_SECONDS (clients of Redis expect dead keys to be gone within two), or
           longer in a large index: where there is little to find a step ends after SPARSE_SECONDS_MAX. A step that finds much
           (every DENSE_HOMES-th home held something expired) is followed by the next one at once, until STEP_SECONDS_MAX are
           used up: so at most that much of TICK_SECONDS goes into sweeping, on one core.
Reaping    the dead are settled by whoever runs into them; the daemon sees to those that nobody runs into.
Removed    when the segment was unlinked, its lock file has no name any more. Strategies that attach by name are in another
           segment then, and who is served here talks to nobody.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import fincache
from fincache.daemon.structured_log import StructuredLog

TICK_SECONDS = 0.1
ROUND_SECONDS = 1.0
SPARSE_SECONDS_MAX = 0.002
STEP_SECONDS_MAX = 0.02
HOMES_PER_CALL = 1024
DENSE_HOMES = 16
REAP_SECONDS = 1.0
PAUSE_SECONDS = 30.0


@dataclass
class Housekeeper:
    """Does a little with every `tick`."""

    cache: fincache.Cache
    log: StructuredLog
    lock_fd: int
    sweeps: bool

    def __post_init__(self) -> None:
        home_count = self.cache.info().home_count
        self._homes_per_tick = max(HOMES_PER_CALL, int(home_count * TICK_SECONDS / ROUND_SECONDS))
        self._reap_at_mono = 0.0
        self._resume_at_mono = 0.0
        self.expired_count = 0

    def tick(self) -> None:
        """One step. Takes STEP_SECONDS_MAX and the settling of the dead at most.

        What the engine refuses (a damaged segment, say) is logged, and tried again after PAUSE_SECONDS: clients are served on.
        """
        now_mono = time.monotonic()
        if now_mono < self._resume_at_mono:
            return
        try:
            self._step(now_mono)
        except fincache.FinCacheError as error:
            self._resume_at_mono = now_mono + PAUSE_SECONDS
            self.log.error("housekeeping failed", error=str(error), again_in_seconds=PAUSE_SECONDS)

    def _step(self, now_mono: float) -> None:
        if now_mono >= self._reap_at_mono:
            self._reap_at_mono = now_mono + REAP_SECONDS
            settled = self.cache.reap()
            if settled:
                self.log.info("sessions of dead threads settled", count=settled)
        if self.sweeps:
            self._sweep(now_mono)

    def segment_is_removed(self) -> bool:
        """Whether somebody unlinked the segment."""
        return os.fstat(self.lock_fd).st_nlink == 0

    def _sweep(self, from_mono: float) -> None:
        homes = 0
        is_dense = False
        while homes < self._homes_per_tick or is_dense:
            removed = self.cache.sweep(HOMES_PER_CALL)
            self.expired_count += removed
            homes += HOMES_PER_CALL
            is_dense = removed * DENSE_HOMES >= HOMES_PER_CALL
            if time.monotonic() - from_mono >= (STEP_SECONDS_MAX if is_dense else SPARSE_SECONDS_MAX):
                break
