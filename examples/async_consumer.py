"""asyncio: tasks that follow prices, with no await, thread or executor around the cache.

    python examples/async_consumer.py [SEGMENT]

A read is a function call of less than a microsecond, less than a switch of tasks, so it stands in a coroutine as a dict's would.
`version` tells whether a key was written since, without copying the value: that is the cheapest thing to poll.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time

import fincache

SYMBOLS = ["AAPL", "MSFT", "NVDA"]
TICKS = 40


def feed(segment: str) -> None:
    """Another thread here, usually another process: writes a price every two milliseconds."""
    with fincache.attach(segment) as cache:
        for tick in range(TICKS):
            cache.mset({symbol: 100 + place + tick / 100 for place, symbol in enumerate(SYMBOLS)})
            time.sleep(0.002)
        cache.set("feed:done", 1)


async def follow(cache: fincache.Cache[str], symbol: str) -> tuple[str, int, str | None]:
    """Counts the changes of one price until the feed is done."""
    changes, seen = 0, None
    while "feed:done" not in cache:
        version = cache.version(symbol)
        if version != seen:
            seen = version
            changes += 1
        await asyncio.sleep(0.001)  # the pace of the poll, and where other tasks run
    return symbol, changes, cache.get(symbol)


async def watch(cache: fincache.Cache[str]) -> int:
    """Looks at all prices at once, as they stood together."""
    keyset = cache.keyset(SYMBOLS)
    cuts = 0
    while "feed:done" not in cache:
        prices = [float(price) for price in cache.mget(keyset) if price is not None]
        if len(prices) == len(SYMBOLS):
            assert round(prices[1] - prices[0], 6) == 1, "prices of two moments"
            cuts += 1
        await asyncio.sleep(0.001)
    return cuts


async def run(cache: fincache.Cache[str]) -> None:
    """All tasks together."""
    watching = asyncio.create_task(watch(cache))
    for symbol, changes, last in await asyncio.gather(*(follow(cache, symbol) for symbol in SYMBOLS)):
        print(f"{symbol}: {changes} changes seen, last {last}")
    print(f"{await watching} cuts of all prices")


def main(segment: str) -> None:
    """Creates the segment, starts the feed, runs the loop."""
    with fincache.open(segment, size="4MB", decode_responses=True) as cache:
        feeder = threading.Thread(target=feed, args=(segment,))
        feeder.start()
        asyncio.run(run(cache))
        feeder.join()
    fincache.unlink(segment)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "async-consumer")
