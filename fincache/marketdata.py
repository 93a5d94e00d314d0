"""Recorded order flow: reads the marketdata CSV files and rebuilds order books from them.

Three formats, each told by its header line, plain or gzip (told by the first bytes, never by the file's name):

    levels      one row per price level, quote or trade (Binance, Kraken)     read_messages
    orders      one row per order event or trade (Bitstamp)                   read_messages
    snapshots   the best 20 levels a side per row (Bitstamp)                  read_snapshots

Prices and quantities stay the integers of the file; `Instrument` knows where their decimal points are.

Reading     One pass, one message at a time: a file is never held in memory as a whole. Every row is matched whole
            against one regular expression; only a row that fails is looked at column by column, to say which column is
            wrong and what it may hold. Rows of one message share their first seven columns, so a row that begins as the
            one before is matched from there on (1.1 million of the 1.5 million rows): 2 us a row.
Books       `Book` keeps a dict of price -> quantity and a sorted list of prices per side. A list of some thousand
            prices moves by memmove: an insert costs less than one step of a balanced tree written in Python.
            `OrderBook` does the same on top of single orders.
"""

from __future__ import annotations

import gzip
import re
import zlib
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

__all__ = [
    "Book",
    "BookMessage",
    "BookSnapshot",
    "Books",
    "Instrument",
    "MarketDataError",
    "Message",
    "OrderBook",
    "OrderMessage",
    "Quote",
    "SequenceGapError",
    "TopOfBook",
    "Trade",
    "read_instruments",
    "read_messages",
    "read_snapshots",
]

INT64_MAX = 2**63 - 1
# Kraken's feed is subscribed at this depth: levels that fall out of it are never named again.
CHECKSUM_FEED_DEPTH = 1000
CHECKSUM_LEVELS = 10


class MarketDataError(ValueError):
    """A file that is not what the format says. `str()` is one line: file, line, what is wrong, what is allowed."""

    def __init__(self, path: Path, line_number: int, problem: str, allowed: str) -> None:
        self.path = path
        self.line_number = line_number
        self.problem = problem
        self.allowed = allowed
        where = f"{path}, line {line_number}" if line_number else str(path)
        super().__init__(f"{where}: {problem}; allowed: {allowed}")


class SequenceGapError(ValueError):
    """A book update does not follow the one before: a message was lost, and the book is no longer the exchange's."""


# ------------------------------------------------------------------ messages


class BookMessage(NamedTuple):
    """All rows of one `S` (snapshot) or `L` (update) message.

    A level is (side "B" or "A", price, new total quantity); a quantity of 0 removes it.
    """

    number: int
    symbol: str
    recv_ns: int
    exch_ns: int
    is_snapshot: bool
    prev_id: int
    last_id: int
    checksum: int
    levels: list[tuple[str, int, int]]


class Quote(NamedTuple):
    """`Q`: the exchange's own best bid and ask at book sequence `last_id`."""

    number: int
    symbol: str
    recv_ns: int
    exch_ns: int
    last_id: int
    bid_price: int
    bid_qty: int
    ask_price: int
    ask_qty: int


class Trade(NamedTuple):
    """`T`: side is the aggressor, "B" bought or "S" sold; "-" where the feed does not say (Bitstamp)."""

    number: int
    symbol: str
    recv_ns: int
    exch_ns: int
    trade_id: int
    side: str
    price: int
    qty: int


class OrderMessage(NamedTuple):
    """One event of one order; action is "A" created, "M" changed or "X" deleted. qty is what remains in the order."""

    number: int
    action: str
    symbol: str
    recv_ns: int
    exch_ns: int
    order_id: int
    side: str
    price: int
    qty: int


Message = BookMessage | Quote | Trade | OrderMessage


class BookSnapshot(NamedTuple):
    """The exchange's own view of the best levels, (price, quantity), the best first."""

    number: int
    symbol: str
    recv_ns: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]


class TopOfBook(NamedTuple):
    """Best bid and ask with their quantities; 0 for a side that is empty."""

    bid_price: int
    bid_qty: int
    ask_price: int
    ask_qty: int


# ------------------------------------------------------------------ instruments


@dataclass(frozen=True, slots=True)
class Instrument:
    """Where the decimal points of a symbol's prices and quantities are."""

    symbol: str
    venue: str
    price_decimals: int
    qty_decimals: int
    qty_unit: str
    price_unit: str

    def price_text(self, price: int) -> str:
        """The price as people write it: 618002 with one decimal is "61,800.2"."""
        return f"{price / 10**self.price_decimals:,.{self.price_decimals}f}"

    def qty_text(self, qty: int) -> str:
        """The quantity as people write it."""
        return f"{qty / 10**self.qty_decimals:,.{self.qty_decimals}f}"


INSTRUMENT_HEADER = "sym,venue,file_prefix,price_decimals,qty_decimals,qty_unit,price_unit"
DECIMALS_MAX = 18


def read_instruments(path: str | Path) -> dict[str, Instrument]:
    """Reads an instruments.csv: symbol -> Instrument.

    Raises:
        OSError: the file cannot be opened.
        MarketDataError: it is not in the format.
    """
    source = Path(path)
    instruments: dict[str, Instrument] = {}
    for line_number, line in _lines(source, INSTRUMENT_HEADER):
        fields = line.rstrip("\n").split(",")
        if len(fields) != INSTRUMENT_HEADER.count(",") + 1:
            raise MarketDataError(source, line_number, f"{len(fields)} columns", INSTRUMENT_HEADER)
        symbol, venue, _, price_decimals, qty_decimals, qty_unit, price_unit = fields
        for name, text in (("price_decimals", price_decimals), ("qty_decimals", qty_decimals)):
            if not re.fullmatch("[0-9]{1,2}", text) or int(text) > DECIMALS_MAX:
                allowed = f"an integer from 0 to {DECIMALS_MAX}"
                raise MarketDataError(source, line_number, f"{name} is {text!r}", allowed)
        instruments[symbol] = Instrument(symbol, venue, int(price_decimals), int(qty_decimals), qty_unit, price_unit)
    return instruments


# ------------------------------------------------------------------ rows


class _Column(NamedTuple):
    name: str
    pattern: str
    allowed: str


_SYMBOL = _Column("sym", "[A-Za-z0-9][A-Za-z0-9_./-]{0,23}", "1 to 24 characters out of A-Z a-z 0-9 _ . / -")


def _natural(name: str) -> _Column:
    return _Column(name, "(?:0|[1-9][0-9]{0,18})", f"an integer from 0 to {INT64_MAX}")


def _positive(name: str) -> _Column:
    return _Column(name, "[1-9][0-9]{0,18}", f"an integer from 1 to {INT64_MAX}")


def _one_of(name: str, values: str) -> _Column:
    return _Column(name, f"[{re.escape(values)}]", " or ".join(repr(value) for value in values))


def _zero(name: str) -> _Column:
    return _Column(name, "0", "0 in a row of this kind")


_LEVELS_HEADER = "ev,kind,sym,recv_ns,exch_ns,prev_id,last_id,side,price,qty,price2,qty2,chk"
_ORDERS_HEADER = "ev,kind,sym,recv_ns,exch_ns,order_id,side,price,qty"
# Columns up to and with last_id: the same in all rows of one message (exch_ns may differ at Kraken).
_SHARED_COLUMNS = 7


def _level_columns(kind: str) -> tuple[_Column, ...]:
    numbers = (_natural("recv_ns"), _natural("exch_ns"), _natural("prev_id"), _natural("last_id"))
    head = (_positive("ev"), _one_of("kind", kind), _SYMBOL, *numbers)
    unused = (_zero("price2"), _zero("qty2"))
    if kind in "SL":
        qty = _positive("qty") if kind == "S" else _natural("qty")
        return (*head, _one_of("side", "BA"), _positive("price"), qty, *unused, _natural("chk"))
    if kind == "Q":
        quote = (_natural(name) for name in ("price", "qty", "price2", "qty2"))
        return (*head, _one_of("side", "-"), *quote, _zero("chk"))
    return (*head, _one_of("side", "BS"), _positive("price"), _positive("qty"), *unused, _zero("chk"))


def _order_columns(kind: str) -> tuple[_Column, ...]:
    numbers = (_natural("recv_ns"), _natural("exch_ns"), _natural("order_id"))
    head = (_positive("ev"), _one_of("kind", kind), _SYMBOL, *numbers)
    side = _one_of("side", "-" if kind == "T" else "BA")
    return (*head, side, _positive("price"), _natural("qty"))


def _row_pattern(columns: Iterable[_Column]) -> re.Pattern[str]:
    return re.compile(",".join(f"({column.pattern})" for column in columns) + "\n")


_LEVEL_COLUMNS = {kind: _level_columns(kind) for kind in "SLQT"}
_LEVEL_ROWS = {kind: _row_pattern(columns) for kind, columns in _LEVEL_COLUMNS.items()}
_LEVEL_TAILS = {kind: _row_pattern(_LEVEL_COLUMNS[kind][_SHARED_COLUMNS:]) for kind in "SL"}
_ORDER_COLUMNS = {kind: _order_columns(kind) for kind in "AMXT"}
_ORDER_ROWS = {kind: _row_pattern(columns) for kind, columns in _ORDER_COLUMNS.items()}


def _refuse_row(path: Path, line_number: int, line: str, header: str, kinds: dict[str, tuple[_Column, ...]]) -> NoReturn:
    """Names the first thing that is wrong with a row that did not match."""
    if not line.endswith("\n"):
        raise MarketDataError(path, line_number, "the file ends in the middle of a line", "a newline after every row")
    fields = line[:-1].split(",")
    column_count = header.count(",") + 1
    if len(fields) != column_count:
        raise MarketDataError(path, line_number, f"{len(fields)} columns", f"{column_count}: {header}")
    columns = kinds.get(fields[1])
    if columns is None:
        raise MarketDataError(path, line_number, f"kind is {fields[1]!r}", " or ".join(repr(kind) for kind in kinds))
    for column, field in zip(columns, fields, strict=True):
        too_large = field.isdecimal() and int(field) > INT64_MAX
        if too_large or not re.fullmatch(column.pattern, field):
            raise MarketDataError(path, line_number, f"{column.name} is {field!r}", column.allowed)
    raise MarketDataError(path, line_number, "the row does not fit the format", header)


class _Order:
    """Message numbers rise, and the receiver's clock never runs back."""

    __slots__ = ("number", "path", "recv_ns")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.recv_ns = 0

    def check(self, line_number: int, number: int, recv_ns: int) -> None:
        if number <= self.number:
            problem = f"ev {number} after ev {self.number}"
            raise MarketDataError(self.path, line_number, problem, "message numbers that rise")
        if recv_ns < self.recv_ns:
            problem = f"recv_ns {recv_ns} after {self.recv_ns}"
            raise MarketDataError(self.path, line_number, problem, "a receiver's clock that never runs back")
        self.number = number
        self.recv_ns = recv_ns


def _level_messages(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[Message]:
    order = _Order(path)
    message: BookMessage | None = None
    shared = ""
    tail_match = _LEVEL_TAILS["L"].fullmatch
    for line_number, line in lines:
        if message is not None and line.startswith(shared):
            row = tail_match(line, len(shared))
            if row is None:
                _refuse_row(path, line_number, line, _LEVELS_HEADER, _LEVEL_COLUMNS)
            side, price_text, qty_text, _, _, checksum_text = row.groups()
            price = int(price_text)
            qty = int(qty_text)
            if price > INT64_MAX or qty > INT64_MAX:
                _refuse_row(path, line_number, line, _LEVELS_HEADER, _LEVEL_COLUMNS)
            if int(checksum_text) != message.checksum:
                raise MarketDataError(path, line_number, f"chk is {checksum_text}", "one chk in all rows of a message")
            message.levels.append((side, price, qty))
            continue
        parsed = _level_row(path, line_number, line)
        if message is not None:
            if isinstance(parsed, BookMessage) and _same_message(message, parsed):
                message.levels.extend(parsed.levels)
                message = message._replace(exch_ns=max(message.exch_ns, parsed.exch_ns))
                shared = _shared_text(line)
                continue
            yield message
            message = None
        order.check(line_number, parsed.number, parsed.recv_ns)
        if isinstance(parsed, BookMessage):
            message = parsed
            shared = _shared_text(line)
            tail_match = _LEVEL_TAILS["S" if parsed.is_snapshot else "L"].fullmatch
        else:
            yield parsed
    if message is not None:
        yield message


def _shared_text(line: str) -> str:
    return ",".join(line.split(",", _SHARED_COLUMNS)[:_SHARED_COLUMNS]) + ","


def _same_message(first: BookMessage, other: BookMessage) -> bool:
    """All but exch_ns and the levels agree. Rows that share only ev meet _Order: a new message needs a new number."""
    return first._replace(exch_ns=0, levels=[]) == other._replace(exch_ns=0, levels=[])


def _level_row(path: Path, line_number: int, line: str) -> BookMessage | Quote | Trade:
    """One row on its own."""
    fields = line.split(",", 2)
    pattern = _LEVEL_ROWS.get(fields[1]) if len(fields) == 3 else None
    row = pattern.fullmatch(line) if pattern else None
    if row is None:
        _refuse_row(path, line_number, line, _LEVELS_HEADER, _LEVEL_COLUMNS)
    _, kind, symbol, recv, exch, prev, last, side, *rest = row.groups()
    recv_ns, exch_ns, prev_id, last_id, price, qty, price2, qty2, checksum = map(int, (recv, exch, prev, last, *rest))
    if max(recv_ns, exch_ns, prev_id, last_id, price, qty, price2, qty2, checksum) > INT64_MAX:
        _refuse_row(path, line_number, line, _LEVELS_HEADER, _LEVEL_COLUMNS)
    number = int(fields[0])
    if kind == "Q":
        return Quote(number, symbol, recv_ns, exch_ns, last_id, price, qty, price2, qty2)
    if kind == "T":
        return Trade(number, symbol, recv_ns, exch_ns, last_id, side, price, qty)
    return BookMessage(number, symbol, recv_ns, exch_ns, kind == "S", prev_id, last_id, checksum, [(side, price, qty)])


def _order_messages(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[Message]:
    order = _Order(path)
    for line_number, line in lines:
        fields = line.split(",", 2)
        pattern = _ORDER_ROWS.get(fields[1]) if len(fields) == 3 else None
        row = pattern.fullmatch(line) if pattern else None
        if row is None:
            _refuse_row(path, line_number, line, _ORDERS_HEADER, _ORDER_COLUMNS)
        number_text, kind, symbol, recv, exch, identity, side, price_text, qty_text = row.groups()
        numbers = tuple(map(int, (number_text, recv, exch, identity, price_text, qty_text)))
        if max(numbers) > INT64_MAX:
            _refuse_row(path, line_number, line, _ORDERS_HEADER, _ORDER_COLUMNS)
        number, recv_ns, exch_ns, order_id, price, qty = numbers
        order.check(line_number, number, recv_ns)
        if kind == "T":
            yield Trade(number, symbol, recv_ns, exch_ns, order_id, side, price, qty)
        else:
            yield OrderMessage(number, kind, symbol, recv_ns, exch_ns, order_id, side, price, qty)


# ------------------------------------------------------------------ files


def _open_text(path: Path) -> IO[str]:
    # latin-1 never fails: a foreign byte reaches the row check, which names the line.
    with path.open("rb") as probe:
        is_gzip = probe.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt", encoding="latin-1") if is_gzip else path.open(encoding="latin-1")


def _lines(path: Path, *headers: str) -> Iterator[tuple[int, str]]:
    """Numbered lines after the header, which must be one of `headers`. Damaged compression is named with its line."""
    line_number = 1
    with _open_text(path) as file:
        try:
            header = file.readline(1 << 16).rstrip("\n")
            if header not in headers:
                allowed = " or ".join(repr(text) for text in headers)
                raise MarketDataError(path, 1, f"the header is {header[:60]!r}", allowed)
            for line in file:
                line_number += 1
                yield line_number, line
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            problem = f"the gzip data is damaged ({error})"
            raise MarketDataError(path, line_number + 1, problem, "a whole gzip file") from error


def _with_header(path: Path) -> str:
    with _open_text(path) as file:
        try:
            return file.readline(1 << 16).rstrip("\n")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise MarketDataError(path, 1, f"the gzip data is damaged ({error})", "a whole gzip file") from error


def read_messages(path: str | Path) -> Iterator[Message]:
    """Reads a file of levels or of orders, message by message, in order of reception.

    Returns:
        An iterator; the file is open while it runs.

    Raises:
        OSError: the file cannot be opened.
        MarketDataError: at the first row that is not in the format, naming file, line, column and what is allowed.
    """
    source = Path(path)
    lines = _lines(source, _LEVELS_HEADER, _ORDERS_HEADER)
    return _order_messages(source, lines) if _with_header(source) == _ORDERS_HEADER else _level_messages(source, lines)


_SNAPSHOT_DEPTH = 20
_SNAPSHOT_HEADER = "ev,sym,recv_ns," + ",".join(
    f"{side}{rank}_price,{side}{rank}_qty" for side in ("bid", "ask") for rank in range(1, _SNAPSHOT_DEPTH + 1)
)


def read_snapshots(path: str | Path) -> Iterator[BookSnapshot]:
    """Reads a file of top-20 snapshots. Raises as read_messages does."""
    source = Path(path)
    names = _SNAPSHOT_HEADER.split(",")
    for line_number, line in _lines(source, _SNAPSHOT_HEADER):
        fields = line.rstrip("\n").split(",")
        if len(fields) != len(names) or not line.endswith("\n"):
            raise MarketDataError(source, line_number, f"{len(fields)} columns", f"{len(names)} columns and a newline")
        for name, field in zip(names, fields, strict=True):
            if name != "sym" and not (field.isdecimal() and int(field) <= INT64_MAX):
                raise MarketDataError(source, line_number, f"{name} is {field!r}", f"an integer from 0 to {INT64_MAX}")
        values = [int(field) for field in fields[3:]]
        levels = tuple(zip(values[::2], values[1::2], strict=True))
        bids, asks = levels[:_SNAPSHOT_DEPTH], levels[_SNAPSHOT_DEPTH:]
        yield BookSnapshot(int(fields[0]), fields[1], int(fields[2]), bids, asks)


# ------------------------------------------------------------------ books


class _Side:
    """One side of a book: quantities by price, and the prices in ascending order."""

    __slots__ = ("prices", "quantities")

    def __init__(self) -> None:
        self.quantities: dict[int, int] = {}
        self.prices: list[int] = []

    def replace(self, quantities: dict[int, int]) -> None:
        self.quantities = quantities
        self.prices = sorted(quantities)

    def set(self, price: int, qty: int) -> None:
        """The new total at a price; 0 removes the level, and removing one that is not there is normal."""
        quantities = self.quantities
        if qty:
            if price not in quantities:
                insort(self.prices, price)
            quantities[price] = qty
        elif price in quantities:
            del quantities[price]
            del self.prices[bisect_left(self.prices, price)]


class Book:
    """The order book of one symbol, rebuilt from snapshots and level updates.

    The sequence is checked: see `apply`. A feed that carries checksums (Kraken) is kept at its subscribed depth of
    CHECKSUM_FEED_DEPTH levels a side; others keep every level they ever named.
    """

    __slots__ = ("_asks", "_bids", "_expects_first_update", "last_id", "symbol")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.last_id = 0
        self._expects_first_update = False
        self._bids = _Side()
        self._asks = _Side()

    def apply(self, message: BookMessage) -> None:
        """Applies a whole message.

        Raises:
            SequenceGapError: `prev_id` is not the last id applied. The book is unchanged; start again from a snapshot.
        """
        if message.is_snapshot:
            self._bids.replace({price: qty for side, price, qty in message.levels if side == "B"})
            self._asks.replace({price: qty for side, price, qty in message.levels if side == "A"})
            self._expects_first_update = True
            self.last_id = message.last_id
            return
        self._check_sequence(message)
        bids_set = self._bids.set
        asks_set = self._asks.set
        for side, price, qty in message.levels:
            if side == "B":
                bids_set(price, qty)
            else:
                asks_set(price, qty)
        self.last_id = message.last_id
        self._expects_first_update = False
        if message.checksum:
            self._cut_to_depth(CHECKSUM_FEED_DEPTH)

    def _check_sequence(self, message: BookMessage) -> None:
        if not message.last_id:  # a feed without sequence numbers
            return
        if self._expects_first_update:
            follows = message.prev_id <= self.last_id <= message.last_id
        else:
            follows = message.prev_id == self.last_id
        if not follows:
            raise SequenceGapError(
                f"{self.symbol}: message {message.number} follows id {message.prev_id}, but the book is at {self.last_id}"
            )

    def _cut_to_depth(self, depth: int) -> None:
        while len(self._bids.prices) > depth:
            self._bids.set(self._bids.prices[0], 0)
        while len(self._asks.prices) > depth:
            self._asks.set(self._asks.prices[-1], 0)

    def top(self) -> TopOfBook:
        """Best bid and ask."""
        return _top(self._bids, self._asks)

    def bids(self, count: int | None = None) -> list[tuple[int, int]]:
        """The best `count` bids (all: None) as (price, quantity), highest first."""
        prices = self._bids.prices
        picked = prices[::-1] if count is None else prices[: -count - 1 : -1]
        return [(price, self._bids.quantities[price]) for price in picked]

    def asks(self, count: int | None = None) -> list[tuple[int, int]]:
        """The best `count` asks (all: None) as (price, quantity), lowest first."""
        return [(price, self._asks.quantities[price]) for price in self._asks.prices[:count]]

    def checksum(self) -> int:
        """CRC-32 of the ten best levels a side, as Kraken computes it."""
        levels = self.asks(CHECKSUM_LEVELS) + self.bids(CHECKSUM_LEVELS)
        return zlib.crc32("".join(f"{price}{qty}" for price, qty in levels).encode())


class OrderBook:
    """The order book of one symbol, rebuilt from single orders of a recording that starts in mid-session.

    A deletion of an unknown order is ignored, a change of an unknown order adds it, and a deleted order stays deleted:
    an `A` or `M` that arrives after its `X` (five do) would otherwise rest for ever.
    """

    __slots__ = ("_asks", "_bids", "_deleted", "_order_counts", "orders", "symbol")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.orders: dict[int, tuple[str, int, int]] = {}  # id -> side, price, quantity
        self._deleted: set[int] = set()
        self._order_counts: dict[tuple[str, int], int] = {}
        self._bids = _Side()
        self._asks = _Side()

    def apply(self, message: OrderMessage) -> None:
        """Applies one order event."""
        order_id = message.order_id
        if order_id in self._deleted:
            return
        known = self.orders.pop(order_id, None)
        if known is not None:
            self._move(*known, -1)
        if message.action == "X":
            self._deleted.add(order_id)
            return
        order = (message.side, message.price, message.qty)
        self.orders[order_id] = order
        self._move(*order, 1)

    def _move(self, side: str, price: int, qty: int, sign: int) -> None:
        levels = self._bids if side == "B" else self._asks
        count = self._order_counts.get((side, price), 0) + sign
        if count:
            self._order_counts[side, price] = count
        else:
            del self._order_counts[side, price]
        levels.set(price, levels.quantities.get(price, 0) + sign * qty)

    def top(self) -> TopOfBook:
        """Best bid and ask, with the quantity of all orders at that price."""
        return _top(self._bids, self._asks)


def _top(bids: _Side, asks: _Side) -> TopOfBook:
    bid_price = bids.prices[-1] if bids.prices else 0
    ask_price = asks.prices[0] if asks.prices else 0
    return TopOfBook(bid_price, bids.quantities.get(bid_price, 0), ask_price, asks.quantities.get(ask_price, 0))


class Books:
    """The books of all symbols of a feed, made as their first message comes."""

    __slots__ = ("by_symbol", "orders_by_symbol")

    def __init__(self) -> None:
        self.by_symbol: dict[str, Book] = {}
        self.orders_by_symbol: dict[str, OrderBook] = {}

    def apply(self, message: BookMessage | OrderMessage) -> TopOfBook:
        """Applies a message to its symbol's book and gives the new top. Raises SequenceGapError as Book.apply does."""
        symbol = message.symbol
        if isinstance(message, BookMessage):
            book = self.by_symbol.get(symbol)
            if book is None:
                book = self.by_symbol[symbol] = Book(symbol)
            book.apply(message)
            return book.top()
        orders = self.orders_by_symbol.get(symbol)
        if orders is None:
            orders = self.orders_by_symbol[symbol] = OrderBook(symbol)
        orders.apply(message)
        return orders.top()
