"""A position keeper: several strategies book fills into one position, and none is lost, whoever dies when.

    python examples/position_keeper.py [SEGMENT]

A position is quantity, average price and realised profit, which change together. `update` reads it, computes, and stores the
result only if nobody else has booked in between; if somebody has, it computes again from what is there now. One of the strategies
is killed in the middle: what it had booked stays, what it had not is not there by halves, and the others do not wait for it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from typing import NamedTuple

import fincache

FILLS = 400
STRATEGIES = 3


class Position(NamedTuple):
    """As it lies in the segment: 32 bytes, which a C program reads as a struct."""

    quantity: int = 0
    average: float = 0.0
    realised: float = 0.0
    fills: int = 0

    def after(self, quantity: int, price: float) -> Position:
        """The position once a fill is booked."""
        total = self.quantity + quantity
        opens = self.quantity * quantity >= 0
        closed = 0 if opens else min(abs(quantity), abs(self.quantity)) * (1 if self.quantity > 0 else -1)
        average = (self.quantity * self.average + quantity * price) / total if opens and total else self.average
        if self.quantity * total < 0:  # turned from long to short, or back
            average = price
        return Position(total, average, self.realised + closed * (price - self.average), self.fills + 1)


def trade(segment: str, number: int, dies: bool) -> None:
    """Books fills of 100, bought and sold in turn; the last of them kills itself half-way."""
    with fincache.attach(segment) as cache:
        positions = cache.records(Position)
        for fill in range(FILLS):
            side = 100 if (fill + number) % 2 else -100
            price = 150.0 + fill % 7 * 0.01
            positions.update("AAPL", lambda held, side=side, price=price: (held or Position()).after(side, price))  # type: ignore[misc]
            cache.incr(f"booked:{number}")
            if dies and fill == FILLS // 2:
                os.kill(os.getpid(), signal.SIGKILL)


def main(segment: str) -> None:
    """Lets the strategies trade, and shows what they have left behind."""
    with fincache.open(segment, size="4MB") as cache:
        context = multiprocessing.get_context("spawn")
        traders = [
            context.Process(target=trade, args=(segment, number, number == STRATEGIES - 1)) for number in range(STRATEGIES)
        ]
        for trader in traders:
            trader.start()
        for trader in traders:
            trader.join()

        position = cache.records(Position).get("AAPL")
        assert position is not None
        booked = [int(cache.get(f"booked:{number}", 0)) for number in range(STRATEGIES)]
        print(f"booked by each: {booked}, exit codes: {[trader.exitcode for trader in traders]}")
        print(f"AAPL: {position.quantity} at {position.average:.4f}, realised {position.realised:.2f}, {position.fills} fills")
        assert position.fills == sum(booked), "a fill was lost"
    fincache.unlink(segment)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "position-keeper")
