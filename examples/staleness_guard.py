"""A staleness guard: a strategy that trades on fresh quotes only, and knows why it does not.

    python examples/staleness_guard.py [SEGMENT]

max_age makes an old value a miss. Value and age are of one instant, so a quote cannot pass with the age of another one, and the
age is the host's clock minus the time of the write: it grows when the feed stalls, dies or loses its line, without anybody
noticing or writing anything. `entry` tells the rest: how old, by whom, and whether that one is still alive.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time

import fincache

MAX_AGE = 0.1  # seconds


def feed(segment: str) -> None:
    """Writes a quote each millisecond, until it is killed."""
    with fincache.attach(segment) as cache:
        bid = 150.0
        while True:
            cache.set("AAPL:bid", round(bid, 2))
            bid += 0.01
            time.sleep(0.001)


def decide(cache: fincache.Cache) -> str:
    """What a strategy does at this moment."""
    bid = cache.get("AAPL:bid", max_age=MAX_AGE)
    if bid is not None:
        return f"quote at {float(bid):.2f}"
    last = cache.entry("AAPL:bid")
    if last is None:
        return "stand aside: no quote yet"
    return f"stand aside: the last quote is older than {MAX_AGE} s, its writer is {last.writer}"


def main(segment: str) -> None:
    """Trades while the feed lives, stands aside once it is dead."""
    with fincache.open(segment, size="4MB") as cache:
        print(decide(cache))
        feeder = multiprocessing.get_context("spawn").Process(target=feed, args=(segment,))
        feeder.start()
        while not decide(cache).startswith("quote at"):
            time.sleep(0.001)
        print("quotes are fresh")
        os.kill(feeder.pid or 0, signal.SIGKILL)  # the feed dies as it likes; nothing is left locked
        feeder.join()
        while decide(cache).startswith("quote at"):
            time.sleep(0.001)
        print(decide(cache))
    fincache.unlink(segment)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "staleness-guard")
