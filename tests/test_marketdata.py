"""Recorded order flow is read completely or refused by name, and books rebuilt from it are the exchange's.

Everything here runs on the excerpt that the package carries; tests/test_replay.py runs the full recordings.
"""

from __future__ import annotations

import bisect
import gzip
import os
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

import pytest

import fincache.marketdata
from fincache.marketdata import (
    Book,
    BookMessage,
    Books,
    MarketDataError,
    OrderBook,
    OrderMessage,
    Quote,
    SequenceGapError,
    TopOfBook,
    Trade,
    read_instruments,
    read_messages,
    read_snapshots,
)

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("FINCACHE_SHARED", REPOSITORY.parent / "shared"))
DATA = Path(fincache.marketdata.__file__).parent / "data"
EXCERPT = DATA / "binance_20240808_excerpt.csv.gz"

LEVELS_HEADER = "ev,kind,sym,recv_ns,exch_ns,prev_id,last_id,side,price,qty,price2,qty2,chk\n"
ORDERS_HEADER = "ev,kind,sym,recv_ns,exch_ns,order_id,side,price,qty\n"
SNAPSHOT = "1,S,X,10,9,0,100,B,50,7,0,0,0\n1,S,X,10,9,0,100,A,51,8,0,0,0\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "feed.csv"
    path.write_text(text, encoding="latin-1")
    return path


# ------------------------------------------------------------------ the excerpt


def test_the_excerpt_is_small_and_carries_its_licence() -> None:
    """At most 1.5 MB of real data, MIT-licensed, with the text and the attribution beside it."""
    assert sum(path.stat().st_size for path in DATA.iterdir()) <= 1_500_000
    assert "MIT License" in (DATA / "LICENSE-hftbacktest.txt").read_text()
    assert "nkaz001/hftbacktest" in (DATA / "ATTRIBUTION.md").read_text()
    assert EXCERPT.read_bytes()[4:8] == bytes(4), "the gzip header has a time: the file is not reproducible"


def test_the_excerpt_is_what_the_tool_makes() -> None:
    """tools/make_excerpt.py gives the same rows again from the full recordings."""
    if not (SHARED / "marketdata").is_dir():
        pytest.skip(f"no recordings in {SHARED / 'marketdata'} (set FINCACHE_SHARED)")
    tool = REPOSITORY / "tools" / "make_excerpt.py"
    command = [sys.executable, str(tool), "--check", "--source", str(SHARED / "marketdata")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_books_of_the_excerpt_have_the_exchanges_best_bid_and_ask() -> None:
    """After the update with id u, the top equals the quote with the largest id up to u, quantities included."""
    books = Books()
    tops: list[tuple[str, int, TopOfBook]] = []
    quotes: dict[str, list[tuple[int, TopOfBook]]] = {}
    kinds: Counter[str] = Counter()
    for message in read_messages(EXCERPT):
        kinds[type(message).__name__] += 1
        if isinstance(message, BookMessage):
            top = books.apply(message)
            if not message.is_snapshot:
                tops.append((message.symbol, message.last_id, top))
        elif isinstance(message, Quote):
            quote = TopOfBook(message.bid_price, message.bid_qty, message.ask_price, message.ask_qty)
            quotes.setdefault(message.symbol, []).append((message.last_id, quote))
    assert kinds == {"BookMessage": 3596, "Quote": 14569, "Trade": 2739}
    compared = 0
    for symbol, last_id, top in tops:
        known = bisect.bisect_right(quotes[symbol], last_id, key=lambda quote: quote[0])
        if known:
            compared += 1
            assert top == quotes[symbol][known - 1][1], f"{symbol} at {last_id}"
    assert compared == EXCERPT_COMPARISONS


EXCERPT_COMPARISONS = 3584


def test_books_of_the_excerpt_are_never_crossed() -> None:
    """The best bid is below the best ask after every message."""
    books = Books()
    for message in read_messages(EXCERPT):
        if isinstance(message, BookMessage):
            top = books.apply(message)
            assert top.bid_price < top.ask_price


def test_instruments_put_the_decimal_points() -> None:
    """Prices and quantities stay integers; the instrument knows how people write them."""
    instruments = read_instruments(DATA / "instruments.csv")
    assert set(instruments) == {"BTCUSDT-PERP", "ETHUSDT-PERP", "BTCUSDT", "BTCUSD_PERP"}
    assert instruments["BTCUSDT-PERP"].price_text(618002) == "61,800.2"
    assert instruments["BTCUSDT-PERP"].qty_text(2909) == "2.909"
    assert instruments["BTCUSD_PERP"].qty_text(35) == "35"


# ------------------------------------------------------------------ reading


def test_rows_of_one_message_come_as_one(tmp_path: Path) -> None:
    """Rows with the same ev are one message, in the order of the file; plain and gzip files read alike."""
    text = (
        LEVELS_HEADER
        + SNAPSHOT
        + "2,L,X,11,10,100,101,B,50,0,0,0,0\n2,L,X,11,10,100,101,A,52,3,0,0,0\n"
        + "3,Q,X,11,0,0,101,-,49,1,51,8,0\n4,T,X,12,0,0,77,S,50,2,0,0,0\n"
    )
    path = write(tmp_path, text)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(text.encode()))
    messages = list(read_messages(path))
    assert messages == list(read_messages(packed))
    assert messages == [
        BookMessage(1, "X", 10, 9, True, 0, 100, 0, [("B", 50, 7), ("A", 51, 8)]),
        BookMessage(2, "X", 11, 10, False, 100, 101, 0, [("B", 50, 0), ("A", 52, 3)]),
        Quote(3, "X", 11, 0, 101, 49, 1, 51, 8),
        Trade(4, "X", 12, 0, 77, "S", 50, 2),
    ]


def test_levels_of_one_message_may_have_changed_at_different_times(tmp_path: Path) -> None:
    """Kraken's snapshot gives each level the time of its last change; the message has the newest."""
    rows = "1,S,X,10,5,0,0,B,50,7,0,0,0\n1,S,X,10,9,0,0,A,51,8,0,0,0\n1,S,X,10,7,0,0,A,52,8,0,0,0\n"
    (message,) = read_messages(write(tmp_path, LEVELS_HEADER + rows))
    assert isinstance(message, BookMessage)
    assert message.exch_ns == 9
    assert len(message.levels) == 3


@pytest.mark.parametrize(
    ("row", "problem", "allowed"),
    [
        ("2,L,X,11,10,100,101,B,50", "9 columns", "13: ev,kind"),
        ("2,Z,X,11,10,100,101,B,50,1,0,0,0", "kind is 'Z'", "'S' or 'L' or 'Q' or 'T'"),
        ("2,L,X Y,11,10,100,101,B,50,1,0,0,0", "sym is 'X Y'", "1 to 24 characters"),
        ("2,L,X,11,10,100,101,C,50,1,0,0,0", "side is 'C'", "'B' or 'A'"),
        ("2,L,X,11,10,100,101,B,-50,1,0,0,0", "price is '-50'", "an integer from 1 to 9223372036854775807"),
        ("2,L,X,11,10,100,101,B,0,1,0,0,0", "price is '0'", "an integer from 1"),
        ("2,L,X,11,10,100,101,B,50,1.5,0,0,0", "qty is '1.5'", "an integer from 0"),
        ("2,L,X,11,10,100,101,B,50,1_0,0,0,0", "qty is '1_0'", "an integer from 0"),
        ("2,L,X,11,10,100,101,B,50,\xb2,0,0,0", "qty is '\xb2'", "an integer from 0"),
        ("2,L,X,11,10,100,101,B,50,9223372036854775808,0,0,0", "qty is '9223372036854775808'", "an integer from 0"),
        ("2,L,X,11,10,100,101,B,50,1,7,0,0", "price2 is '7'", "0 in a row of this kind"),
        ("2,Q,X,11,10,0,101,B,50,1,51,1,0", "side is 'B'", "'-'"),
        ("2,T,X,11,10,0,101,-,50,1,0,0,0", "side is '-'", "'B' or 'S'"),
        ("2,L,X,,10,100,101,B,50,1,0,0,0", "recv_ns is ''", "an integer from 0"),
        ("2,L,X,9,10,100,101,B,50,1,0,0,0", "recv_ns 9 after 10", "never runs back"),
        ("1,L,X,11,10,100,101,B,50,1,0,0,0", "ev 1 after ev 1", "message numbers that rise"),
        ("2,L,X,11,10,100,101,B,50,1,0,0,5\n2,L,X,11,10,100,101,B,49,1,0,0,6", "chk is 6", "one chk in all rows"),
        ("2,L,X,11,10,100,101,B,50,1,0,0,0\n2,L,X,11,10,100,101,B,49,x,0,0,0", "qty is 'x'", "an integer from 0"),
        ("\x00\x01\x02", "1 columns", "13: ev,kind"),
    ],
)
def test_a_damaged_row_is_refused_with_file_line_and_what_is_allowed(
    tmp_path: Path, row: str, problem: str, allowed: str
) -> None:
    """The message names the file, the line, the column, what it holds and what it may hold."""
    path = write(tmp_path, LEVELS_HEADER + SNAPSHOT + row + "\n")
    with pytest.raises(MarketDataError) as caught:
        list(read_messages(path))
    line_number = 3 + len(row.split("\n"))
    assert str(caught.value).startswith(f"{path}, line {line_number}: {problem}")
    assert allowed in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("1,Q,X,10,9,1,B,50,7", "kind is 'Q'"),
        ("1,A,X,10,9,1,-,50,7", "side is '-'"),
        ("1,A,X,10,9,1,B,50,7,8", "10 columns"),
        ("1,A,X,10,9,1,B,50,99999999999999999999", "qty is"),
    ],
)
def test_a_damaged_order_row_is_refused(tmp_path: Path, row: str, problem: str) -> None:
    """The same for the format of single orders."""
    path = write(tmp_path, ORDERS_HEADER + row + "\n")
    with pytest.raises(MarketDataError, match=f"line 2: {problem}"):
        list(read_messages(path))


def test_a_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    """Plain: the last line has no end. Gzip: the data stops."""
    with pytest.raises(MarketDataError, match="line 3: the file ends in the middle of a line"):
        list(read_messages(write(tmp_path, LEVELS_HEADER + SNAPSHOT.rstrip("\n"))))
    packed = tmp_path / "cut.gz"
    packed.write_bytes(EXCERPT.read_bytes()[:50_000])
    with pytest.raises(MarketDataError, match="the gzip data is damaged"):
        list(read_messages(packed))
    damaged = bytearray(EXCERPT.read_bytes())
    damaged[200_000:200_008] = bytes(8)
    packed.write_bytes(damaged)
    with pytest.raises(MarketDataError):
        list(read_messages(packed))


@pytest.mark.parametrize("text", ["", "time,price\n1,2\n", "\x7fELF\x02\x01"])
def test_another_file_is_refused_at_its_header(tmp_path: Path, text: str) -> None:
    """A file of another kind is told by its first line."""
    path = write(tmp_path, text)
    with pytest.raises(MarketDataError, match="line 1: the header is"):
        list(read_messages(path))
    with pytest.raises(MarketDataError, match="line 1: the header is"):
        list(read_snapshots(path))
    with pytest.raises(MarketDataError, match="line 1: the header is"):
        read_instruments(path)


def test_damaged_instruments_are_refused(tmp_path: Path) -> None:
    """Decimals are small integers."""
    text = "sym,venue,file_prefix,price_decimals,qty_decimals,qty_unit,price_unit\nX,v,f,two,3,X,Y\n"
    with pytest.raises(MarketDataError, match="line 2: price_decimals is 'two'; allowed: an integer from 0 to 18"):
        read_instruments(write(tmp_path, text))


# ------------------------------------------------------------------ books


def snapshot(*levels: tuple[str, int, int], last_id: int = 100) -> BookMessage:
    return BookMessage(1, "X", 1, 1, True, 0, last_id, 0, list(levels))


def update(prev_id: int, last_id: int, *levels: tuple[str, int, int], checksum: int = 0) -> BookMessage:
    return BookMessage(2, "X", 2, 2, False, prev_id, last_id, checksum, list(levels))


def test_a_level_is_replaced_and_removed() -> None:
    """A quantity is the new total; 0 removes; removing an unknown level is normal."""
    book = Book("X")
    book.apply(snapshot(("B", 50, 7), ("B", 49, 1), ("A", 51, 8)))
    assert book.top() == (50, 7, 51, 8)
    book.apply(update(99, 101, ("B", 50, 0), ("A", 51, 9), ("A", 60, 0), ("A", 55, 2)))
    assert book.top() == (49, 1, 51, 9)
    assert book.bids() == [(49, 1)]
    assert book.asks() == [(51, 9), (55, 2)]
    assert book.asks(1) == [(51, 9)]
    book.apply(update(101, 102, ("B", 49, 0)))
    assert book.top() == (0, 0, 51, 9)
    book.apply(snapshot(("B", 3, 1)))
    assert book.top() == (3, 1, 0, 0)


def test_a_lost_message_is_noticed() -> None:
    """The first update spans the snapshot's id; from then on each names the one before."""
    book = Book("X")
    book.apply(snapshot(("B", 50, 7)))
    with pytest.raises(SequenceGapError, match="follows id 101"):
        book.apply(update(101, 110, ("B", 50, 1)))
    with pytest.raises(SequenceGapError):
        book.apply(update(90, 99, ("B", 50, 1)))
    book.apply(update(95, 105, ("B", 50, 2)))
    with pytest.raises(SequenceGapError):
        book.apply(update(104, 106, ("B", 50, 3)))
    assert book.top() == (50, 2, 0, 0), "a refused message changed the book"


def test_a_feed_with_checksums_is_kept_at_its_depth() -> None:
    """Kraken names a level that falls out of the subscribed depth never again: the book drops the worst."""
    book = Book("X")
    levels = [("B", price, 1) for price in range(1, 1001)] + [("A", price, 1) for price in range(2001, 3001)]
    book.apply(snapshot(*levels, last_id=0))
    book.apply(update(0, 0, ("B", 1500, 5), ("A", 1600, 6), checksum=1))
    assert len(book.bids()) == len(book.asks()) == 1000
    assert book.top() == (1500, 5, 1600, 6)
    assert book.bids()[-1] == (2, 1)
    assert book.asks()[-1] == (2999, 1)


def test_the_checksum_is_taken_over_ten_levels_a_side() -> None:
    """CRC-32 of price and quantity digits, asks upwards, then bids downwards."""
    book = Book("X")
    book.apply(snapshot(*(("B", 100 - n, n + 1) for n in range(12)), *(("A", 101 + n, n + 1) for n in range(12))))
    text = "".join(f"{101 + n}{n + 1}" for n in range(10)) + "".join(f"{100 - n}{n + 1}" for n in range(10))
    assert book.checksum() == zlib.crc32(text.encode())


def order(action: str, order_id: int, side: str, price: int, qty: int) -> OrderMessage:
    return OrderMessage(1, action, "X", 1, 1, order_id, side, price, qty)


def test_orders_add_up_to_levels() -> None:
    """The top has the quantity of all orders at the best price; a change moves an order; a deletion takes it out."""
    book = OrderBook("X")
    book.apply(order("A", 1, "B", 50, 5))
    book.apply(order("A", 2, "B", 50, 6))
    book.apply(order("A", 3, "A", 60, 1))
    assert book.top() == (50, 11, 60, 1)
    book.apply(order("M", 1, "B", 51, 4))
    assert book.top() == (51, 4, 60, 1)
    book.apply(order("X", 1, "B", 51, 0))
    assert book.top() == (50, 6, 60, 1)
    assert set(book.orders) == {2, 3}


def test_messages_about_unknown_and_deleted_orders() -> None:
    """An unknown deletion is ignored, an unknown change adds, and a deleted order stays deleted."""
    book = OrderBook("X")
    book.apply(order("X", 9, "B", 50, 5))
    book.apply(order("A", 9, "B", 50, 5))
    assert book.top() == (0, 0, 0, 0)
    book.apply(order("M", 8, "A", 60, 2))
    assert book.top() == (0, 0, 60, 2)
