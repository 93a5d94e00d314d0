"""A user's program with typed records, for mypy --strict and for running: python typed_records.py SEGMENT."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from typing_extensions import assert_type

import fincache
from fincache.records import Records


@dataclass(frozen=True)
class Quote:
    bid: float
    ask: float
    venue: Annotated[bytes, 4]

    @property
    def mid(self) -> float:
        return (self.bid + self.ask) / 2


class Fill(NamedTuple):
    px: float
    qty: np.int32


def best(quotes: Records[Quote], symbol: str) -> float:
    quote = quotes.get(symbol)
    assert_type(quote, Quote | None)
    return 0.0 if quote is None else quote.mid


def main(segment: str) -> None:
    with fincache.open(segment, size="2MB") as cache:
        quotes = cache.records(Quote)
        assert_type(quotes, Records[Quote])
        quotes.set("AAPL", Quote(150.0, 150.5, b"XNAS"))
        assert best(quotes, "AAPL") == 150.25
        quotes.set("MSFT", (1.0, 2.0, b"XNAS"), ex=1000)
        quotes.set("MSFT", {"bid": 1.0, "ask": 2.0, "venue": b"XNAS"})
        quotes.set("AAPL", object())  # type: ignore[arg-type]  # refused when it runs, too


def more(segment: str) -> None:
    with fincache.attach(segment) as cache:
        quotes = cache.records(Quote)
        entry = quotes.entry("AAPL")
        assert entry is not None
        assert_type(entry.value, Quote)
        assert quotes.cas("AAPL", Quote(1.0, 2.0, b""), entry.version) is not None
        fills = cache.records(Fill)
        assert_type(fills.update("x", lambda fill: Fill(1.0, np.int32(1 if fill is None else fill.qty + 1))), Fill | None)

        last = cache.records(float)
        last.set("AAPL:last", 150)
        assert_type(last.get("AAPL:last"), float | None)
        counts = cache.records(int)
        assert_type(counts.update("n", lambda n: (n or 0) + 1), int | None)
        seqs = cache.records(np.uint64)
        assert_type(seqs.get("seq"), np.uint64 | None)

        rows = cache.records([("bid", "f8"), ("ask", "f8")])
        assert_type(rows, Records[np.void])
        keys = cache.keyset(["a", "b"])
        board = np.zeros(2, rows.dtype)
        valid = rows.read(keys, out=board, max_age=0.5)
        assert not valid.any()
        rows.write(keys, board)
        assert rows.read(["a", "b"], board, mask=valid, cut=False).all()
        pair = rows.get("a", "bid", "ask")
        assert pair == (0.0, 0.0)
        bid: float = rows.get("a", "bid")
        assert bid == 0.0


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except fincache.InvalidArgument as error:
        print(error)
    more(sys.argv[1])
