"""bench: what one operation costs here and now, from Python, in a segment of its own.

One process, one thread, keys in cache: the price of a call, not of contention or of memory. Each operation is timed in batches of
some milliseconds by timeit, whose loop costs about 10 ns a turn and is in the figures; the median of the batches is reported,
which a disturbance of some of them does not move, and the fastest. `make bench` measures more, beside other caches.
"""

from __future__ import annotations

import os
import platform
import secrets
import statistics
import timeit
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

import fincache
from fincache import _core
from fincache.cli.host import Host
from fincache.cli.output import Json, finite, json_option, print_json, table

if TYPE_CHECKING:
    from collections.abc import Iterator

SEGMENT_SIZE = "32MB"
KEY_BYTES = 16
MANY = 500  # keys of get_many and of an array of records
FEW = 16  # keys of mget
BATCHES = 9
BATCH_SECONDS_MIN = 0.002
RECORD = [("bid", "f8"), ("ask", "f8"), ("bid_size", "f8"), ("ask_size", "f8"), ("seq", "i8"), ("pad", "V24")]  # 64 bytes


@dataclass(frozen=True)
class Case:
    """One operation."""

    name: str
    statement: str
    per: int = 1  # keys that one statement handles
    needs_numpy: bool = False


CASES = (
    Case("get, bytes key", "cache.get(key)"),
    Case("get, str key", "cache.get(text)"),
    Case("get, no such key", "cache.get(absent)"),
    Case("set, bytes key", "cache.set(key, value)"),
    Case("set, str key", "cache.set(text, value)"),
    Case("set with ex", "cache.set(key, value, ex=60)"),
    Case("incr", "cache.incr(counter)"),
    Case("exists", "cache.exists(key)"),
    Case("entry", "cache.entry(key)"),
    Case(f"mget of {FEW}, a key", "cache.mget(few)", FEW),
    Case(f"get_many of {MANY}, a key", "cache.get_many(keyset)", MANY),
    Case("records.set, 64 bytes", "records.set(quote, row)", needs_numpy=True),
    Case("records.get, 64 bytes", "records.get(quote)", needs_numpy=True),
    Case(f"records.write of {MANY}, a record", "records.write(quotes, array)", MANY, needs_numpy=True),
    Case(f"records.read of {MANY}, a record", "records.read(quotes, out=array)", MANY, needs_numpy=True),
)


@dataclass(frozen=True)
class Measured:
    """What one operation took."""

    case: Case
    ns_median: float
    ns_min: float
    operation_count: int

    def to_json(self) -> dict[str, Json]:
        """One element of "results" of bench --json."""
        return {
            "name": self.case.name,
            "ns_median": round(self.ns_median, 1),
            "ns_min": round(self.ns_min, 1),
            "operations": self.operation_count,
        }


@click.command("bench")
@click.option(
    "--seconds",
    type=click.FloatRange(0.05, 3600),
    callback=finite,
    default=3.0,
    show_default=True,
    metavar="S",
    help="For all together.",
)
@click.option(
    "--value-bytes", type=click.IntRange(0, 1 << 20), default=32, show_default=True, metavar="N", help="Length of values."
)
@json_option
def bench_command(seconds: float, value_bytes: int, as_json: bool) -> None:
    """Measure what a get, a set and their kin cost on this host, in nanoseconds.

    In a temporary segment, which is removed again. Run it on a quiet machine; figures are medians of batches.
    """
    cases = [case for case in CASES if not case.needs_numpy or find_spec("numpy") is not None]
    with _temporary_cache() as cache:
        names = _names(cache, value_bytes, any(case.needs_numpy for case in cases))
        measured = [measure(case, names, seconds / len(cases)) for case in cases]
    if as_json:
        print_json({**_circumstances(value_bytes), "results": [result.to_json() for result in measured]})
        return
    for name, text in _circumstances(value_bytes).items():
        click.echo(f"{name:<12}  {text}")
    click.echo("")
    rows = [(result.case.name, f"{result.ns_median:,.0f}", f"{result.ns_min:,.0f}") for result in measured]
    for line in table(("OPERATION", "NS (MEDIAN)", "NS (FASTEST)"), rows, left={"OPERATION"}):
        click.echo(line)


@contextmanager
def _temporary_cache() -> Iterator[fincache.Cache]:
    name = f"fincache-bench-{os.getpid()}-{secrets.token_hex(3)}"
    try:
        with fincache.open(name, SEGMENT_SIZE, exclusive=True) as cache:
            yield cache
    finally:
        with suppress(fincache.SegmentMissing):
            fincache.unlink(name)


def _names(cache: fincache.Cache, value_bytes: int, with_records: bool) -> dict[str, Any]:
    """What the statements of CASES speak of."""
    keys = [f"bench:{number:0{KEY_BYTES - 6}}".encode() for number in range(MANY)]
    value = bytes(index % 251 for index in range(value_bytes))
    for start in range(0, MANY, 50):
        cache.mset(dict.fromkeys(keys[start : start + 50], value))
    names: dict[str, Any] = {
        "cache": cache,
        "key": keys[0],
        "text": keys[0].decode(),
        "absent": b"absent:".ljust(KEY_BYTES, b"x"),
        "counter": b"counter:".ljust(KEY_BYTES, b"x"),
        "value": value,
        "few": keys[:FEW],
        "keyset": cache.keyset(keys),
    }
    if with_records:
        import numpy as np

        symbols = [f"quote:{number:0{KEY_BYTES - 6}}".encode() for number in range(MANY)]
        array = np.zeros(MANY, np.dtype(RECORD))
        array["bid"] = np.arange(MANY)
        records = cache.records(np.dtype(RECORD))
        names |= {"records": records, "quote": symbols[0], "row": array[0], "quotes": cache.keyset(symbols), "array": array}
        records.write(names["quotes"], array)
    return names


def measure(case: Case, names: dict[str, Any], seconds: float, timer: Callable[[], float] | None = None) -> Measured:
    """Times one operation for about so long."""
    timed = timeit.Timer(case.statement, globals=names, **({} if timer is None else {"timer": timer}))
    count, took = 1, 0.0
    while took < BATCH_SECONDS_MIN and count < 1 << 30:
        count *= 4
        took = timed.timeit(count)
    count = max(1, round(count * seconds / BATCHES / max(took, 1e-9)))
    batches = [timed.timeit(count) / count / case.per * 1e9 for _ in range(BATCHES)]
    return Measured(case, statistics.median(batches), min(batches), count * BATCHES)


def _circumstances(value_bytes: int) -> dict[str, Json]:
    """Where and with what it was measured."""
    return {
        "fincache": fincache.__version__,
        "binding": _core.BINDING,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cpu": _cpu(),
        "kernel": platform.release(),
        "key_bytes": KEY_BYTES,
        "value_bytes": value_bytes,
    }


def _cpu() -> str:
    for line in (Host().text("/proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model"}:
            return value.strip()
    return platform.machine()
