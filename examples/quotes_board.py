"""A quote board: one process writes quotes, another reads all of them at one instant, straight into a numpy array.

    python examples/quotes_board.py [SEGMENT]

The writer moves every quote of the board at once (write is all-or-nothing), so a cut in which two rows have different sequence
numbers would be torn. The reader takes cuts while the writer runs, and never sees one.
"""

from __future__ import annotations

import multiprocessing
import sys

import numpy as np

import fincache

QUOTE = np.dtype([("bid", "f8"), ("ask", "f8"), ("size", "i8"), ("sequence", "i8")])
SYMBOLS = [f"SYM{number:03d}" for number in range(500)]
MOVES = 300


def feed(segment: str) -> None:
    """Attaches in a process of its own and moves the whole board, again and again."""
    random = np.random.default_rng(7)
    with fincache.attach(segment) as cache:
        quotes = cache.records(QUOTE)
        board = cache.keyset(SYMBOLS)
        rows = np.zeros(len(SYMBOLS), QUOTE)
        rows["bid"] = random.uniform(20, 400, len(SYMBOLS)).round(2)
        rows["size"] = 100
        for sequence in range(1, MOVES + 1):
            rows["bid"] += random.normal(0, 0.01, len(SYMBOLS)).round(2)
            rows["ask"] = rows["bid"] + 0.01
            rows["sequence"] = sequence
            quotes.write(board, rows)


def main(segment: str) -> None:
    """Creates the segment, starts the feed, and reads until its last move is there."""
    with fincache.open(segment, size="16MB") as cache:
        quotes = cache.records(QUOTE)
        board = cache.keyset(SYMBOLS)  # hashed once
        rows = np.zeros(len(board), quotes.dtype)  # allocated once
        writer = multiprocessing.get_context("spawn").Process(target=feed, args=(segment,))
        writer.start()
        cuts = retries = 0
        while rows["sequence"][0] < MOVES:
            try:
                valid = quotes.read(board, rows)
            except fincache.Contended:  # the writer was quicker than every bounded retry: try again, or read with cut=False
                retries += 1
                continue
            if valid.all():
                assert len(np.unique(rows["sequence"])) == 1, "a torn cut"
                cuts += 1
            if not writer.is_alive() and writer.exitcode != 0:
                raise RuntimeError("the feed died")
        writer.join()

        row = rows[board.index("SYM042")]
        print(f"{cuts} consistent cuts of {len(board)} quotes; {retries} times the writer was quicker")
        print(f"SYM042 {row['bid']:.2f} / {row['ask']:.2f}, widest spread {(rows['ask'] - rows['bid']).max():.2f}")
    fincache.unlink(segment)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "quotes-board")
