"""Makes fincache/data from the full recordings: one merged feed of four Binance symbols, its first SPAN_SECONDS.

    python tools/make_excerpt.py [--source ../shared/marketdata] [--check]

The rows are those of the recordings, untouched but for `ev`: each file counts its own messages from 1, the merged feed
counts anew. Files are merged by `recv_ns`; at equal times the order of SOURCES decides, so that the same input gives
the same bytes.
Only MIT-licensed recordings are taken (hftbacktest); the licence text and the attribution are written beside them.
--check writes nothing and fails when the rows in fincache/data are not what this program makes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import heapq
import os
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
TARGET = REPOSITORY / "fincache" / "data"
FEED_NAME = "binance_20240808_excerpt.csv.gz"
INSTRUMENTS_NAME = "instruments.csv"
LICENCE_NAME = "LICENSE-hftbacktest.txt"
ATTRIBUTION_NAME = "ATTRIBUTION.md"

# 30 s of the four streams are 20,904 messages in 0.97 MB; the project may carry 1.5 MB.
SPAN_SECONDS = 30
BYTES_MAX = 1_500_000
SOURCES = (
    "binance_usdm_btcusdt_20240808.csv.gz",
    "binance_usdm_ethusdt_20240808.csv.gz",
    "binance_spot_btcusdt_20240808.csv.gz",
    "binance_coinm_btcusd_perp_20240808.csv.gz",
)
SYMBOLS = ("BTCUSDT-PERP", "ETHUSDT-PERP", "BTCUSDT", "BTCUSD_PERP")

ATTRIBUTION = f"""# Where this data comes from

`{FEED_NAME}` holds {SPAN_SECONDS} seconds of recorded Binance streams (8 August 2024): full-depth updates,
best bid and ask, and trades of BTCUSDT-PERP, ETHUSDT-PERP, BTCUSDT and BTCUSD_PERP, merged by the receiver's clock.

- Source: https://github.com/nkaz001/hftbacktest, commit 5f3ec40b2afb764e0fea112f941ed85523ef4e88, files
  `examples/usdm/btcusdt_20240808.gz`, `examples/usdm/ethusdt_20240808.gz`, `examples/spot/btcusdt_20240808.gz`,
  `examples/cm/btcusd_perp_20240808.gz`.
- Licence: MIT, Copyright (c) 2022 nkaz001@protonmail.com; the text is in `{LICENCE_NAME}` and stays with the
  data. It is the licence of the repository, which states none for its data; the exchange's own terms were not examined.
- Changed: text to fixed-point integers, columns renamed, one row per price level, messages from before the book is
  valid left out, four files merged and cut after {SPAN_SECONDS} seconds, `ev` counted anew. No price, quantity, id or
  time was altered.
- `{INSTRUMENTS_NAME}`: where the decimal points are.
- Made by `tools/make_excerpt.py`, which gives the same rows again from the same recordings.
"""


def rows(path: Path, source_index: int) -> Iterator[tuple[int, int, int, str]]:
    """Rows of one file as (recv_ns, which file, ev, the row from `kind` on)."""
    with gzip.open(path, "rt", encoding="ascii") as file:
        next(file)
        for line in file:
            number, rest = line.split(",", 1)
            yield int(rest.split(",", 3)[2]), source_index, int(number), rest


def make_feed(source: Path) -> bytes:
    """The excerpt as CSV."""
    with gzip.open(source / SOURCES[0], "rt", encoding="ascii") as file:
        parts = [next(file)]
    merged = heapq.merge(*(rows(source / name, index) for index, name in enumerate(SOURCES)))
    message_count = 0
    previous = None
    end_ns = 0
    for recv_ns, source_index, number, rest in merged:
        end_ns = end_ns or recv_ns + SPAN_SECONDS * 10**9
        if recv_ns >= end_ns:
            break
        if (source_index, number) != previous:
            previous = (source_index, number)
            message_count += 1
        parts.append(f"{message_count},{rest}")
    return "".join(parts).encode("ascii")


def make_instruments(source: Path) -> bytes:
    """The lines of the excerpt's symbols, with the header."""
    with (source / INSTRUMENTS_NAME).open(encoding="ascii", newline="") as file:
        lines = [",".join(row) for row in csv.reader(file)]
    kept = [line for line in lines if line.split(",")[0] in ("sym", *SYMBOLS)]
    return ("\n".join(kept) + "\n").encode("ascii")


def main() -> int:
    """Writes, or compares with, fincache/data."""
    shared = Path(os.environ.get("FINCACHE_SHARED", REPOSITORY.parent / "shared"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source", type=Path, default=shared / "marketdata", help="folder of the full recordings")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when fincache/data differs")
    options = parser.parse_args()
    missing = [name for name in (*SOURCES, INSTRUMENTS_NAME) if not (options.source / name).is_file()]
    if missing:
        print(f"{options.source} lacks {', '.join(missing)}; give the folder with --source", file=sys.stderr)
        return 1
    feed = make_feed(options.source)
    texts = {
        INSTRUMENTS_NAME: make_instruments(options.source),
        LICENCE_NAME: (options.source / "licences" / "hftbacktest-MIT.txt").read_bytes(),
        ATTRIBUTION_NAME: ATTRIBUTION.encode(),
    }
    if options.check:
        # The rows are compared, not the compressed bytes: another zlib may compress differently.
        same = gzip.decompress((TARGET / FEED_NAME).read_bytes()) == feed
        same = same and all((TARGET / name).read_bytes() == text for name, text in texts.items())
        print("fincache/data is what this program makes" if same else "fincache/data differs; run tools/make_excerpt.py")
        return 0 if same else 1
    packed = gzip.compress(feed, 9, mtime=0)
    if len(packed) > BYTES_MAX:
        print(f"{len(packed)} bytes are more than the {BYTES_MAX} allowed; lower SPAN_SECONDS", file=sys.stderr)
        return 1
    TARGET.mkdir(exist_ok=True)
    (TARGET / FEED_NAME).write_bytes(packed)
    for name, text in texts.items():
        (TARGET / name).write_bytes(text)
    row_count = feed.count(b"\n") - 1
    print(f"{TARGET / FEED_NAME}: {row_count} rows, {len(packed)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
