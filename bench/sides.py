"""A side of a comparison: FinCache or a peer, as a strategy's program would use it.

A side lives in a child process of its own (side_child.py) and says, as source text, what a program writes for each operation:
`cache.get(key)`, `txn.get(key)`, `d[key]`. The loops that are timed are compiled from these statements, as timeit does it, so
that every side pays for the same loop and for its own calls only, and the table in docs/benchmarks.md can show what was run.

In a statement `key` and `value` are the loop's variables, and the names of `bindings()` are local variables. A statement may have
several lines. An operation that a side lacks is left out of its table; one whose binding is not there (a feature that this
version of FinCache has not got) is reported as skipped.

    get, miss, exists    of a key that is there; of one that is not; without its value
    set, incr, delete    a value of the same size; a counter; a key that is there (refilled outside of the clock)
    read, write          500 rows into one numpy array, and from it (bench_array_reads.py); read_each: not of one instant
    read_row, write_row  one row of them; read_row_into: into an array of one; read_field: one of its fields

Roles: the side that creates makes the store, in memory (its files are in /dev/shm), and ends it; the one that attaches opens the
same store from another process.
"""

from __future__ import annotations

import importlib.metadata
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

Key = bytes | str
Pairs = Sequence[tuple[Key, bytes | int]]
"""Keys with their values; a counter's is an int, for a peer to store as it does numbers."""

KEY_BYTES = 16
ROW_FIELDS = [
    ("bid", "<f8"),
    ("ask", "<f8"),
    ("bid_size", "<i8"),
    ("ask_size", "<i8"),
    ("last", "<f8"),
    ("volume", "<i8"),
    ("sequence", "<i8"),
    ("tie", "<i8"),
]
"""A quote of 64 bytes. `tie` is ~sequence, in every row that was ever written: a torn row shows."""

SEGMENT_PREFIX = "bench-"


class UnavailableError(Exception):
    """A side cannot take part here. The text says why."""


def version_of(distribution: str) -> str:
    """The version of an installed package. Raises UnavailableError if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        raise UnavailableError(f"{distribution} is not installed (pip extra `bench`)") from None


def files_bytes(paths: Sequence[Path]) -> int:
    """What files take in memory or on disk: their blocks, not their length."""
    return sum(path.stat().st_blocks * 512 for path in paths)


class Side(ABC):
    """What side_child.py drives.

    Args:
        directory: an empty directory in /dev/shm that is the store's alone; its name is unique on the machine.
        creates: False: attach to what another process has created there.
        keys: make the store no larger than so many keys of 16 + 32 bytes need; None: of a size that is enough for every bench.
    """

    name: ClassVar[str]
    statements: ClassVar[Mapping[str, str]]
    str_statements: ClassVar[Mapping[str, str]] = {}
    """Where a str key must be written otherwise."""

    server_pid: int | None = None
    refusals: tuple[type[Exception], ...] = ()
    """What a read may raise when it met too many writes: an answer, and counted."""

    extends_at_once: ClassVar[bool] = False
    """True: every `extend` costs as much as all keys that are there."""
    is_shared: ClassVar[bool] = True
    """False: what attaches shares nothing, and must be filled, too."""

    def __init__(self, directory: Path, creates: bool, keys: int | None = None) -> None:
        self.directory = directory
        self.creates = creates
        self.keys = keys

    @abstractmethod
    def settings(self) -> str:
        """Version, and how it was set up."""

    @abstractmethod
    def bindings(self) -> dict[str, Any]:
        """The names that the statements use. Taken anew after `prepare` and `settle`."""

    @abstractmethod
    def prepare(self, pairs: Pairs) -> None:
        """Makes the store hold these and nothing else."""

    @abstractmethod
    def extend(self, pairs: Pairs) -> None:
        """Stores these, too."""

    @abstractmethod
    def read_back(self, keys: Sequence[Key]) -> list[Any]:
        """The values of keys, for the comparison with what was written."""

    def settle(self) -> None:
        """Called outside of the clock after writes: makes them visible to reads."""
        return

    def prepare_rows(self, keys: Sequence[Key], rows: Any) -> None:  # noqa: ARG002
        """Stores the rows of a numpy array and keeps what `read` and `write` need."""
        raise UnavailableError(f"{self.name} has no way to read many keys at once")

    def tables(self, keys: Sequence[Key], tables: Sequence[Any]) -> list[Any]:  # noqa: ARG002
        """What the `write` statement writes, made ready for each of several numpy arrays of rows."""
        return list(tables)

    def row(self, row: Any) -> Any:
        """What the `write_row` statement writes."""
        return row.tobytes()

    def files(self) -> list[Path]:
        """What it has in /dev/shm, for the question of memory."""
        return [path for path in self.directory.rglob("*") if path.is_file()]

    def close(self) -> None:
        """Ends it; the creator removes the store."""
        if self.creates:
            shutil.rmtree(self.directory, ignore_errors=True)


class FinCache(Side):
    """A segment of 64 MiB, default settings, touched in advance."""

    name = "fincache"
    statements: ClassVar[Mapping[str, str]] = {
        "get": "cache.get(key)",
        "miss": "cache.get(key)",
        "set": "cache.set(key, value)",
        "incr": "cache.incr(key)",
        "exists": "cache.exists(key)",
        "delete": "cache.delete(key)",
        "read": "read(keyset, out=out)",
        "write": "write(keyset, table)",
        "read_each": "read(keyset, out=out, cut=False)",
        "read_row": "quotes.get(key)",
        "read_row_into": "quotes.get_into(key, one)",
        "read_field": "quotes.get(key, 'bid')",
        "write_row": "quotes.set(key, row)",
        "write_row_paced": """
            now = clock()
            quotes.set(key, row)
            while clock() < now + 1000:
                pass
            """,
        "mget": "cache.mget(keys)",
        "read_loop": "result = frombuffer(b''.join([get(key) for key in keys]), dtype)",
    }

    def __init__(self, directory: Path, creates: bool, keys: int | None = None) -> None:
        super().__init__(directory, creates, keys)
        import fincache

        self._fincache = fincache
        self.refusals = (fincache.Contended,)
        self._segment = f"{SEGMENT_PREFIX}{directory.name}"
        self._names: dict[str, Any] = {}
        if creates and keys is not None:
            self._cache = fincache.open(self._segment, size=(2 << 20) + keys * 144, keys=keys, item_bytes=48)
        elif creates:
            self._cache = fincache.open(self._segment, size="64MB", prefault=True)
        else:
            self._cache = fincache.attach(self._segment)

    def settings(self) -> str:
        return f"FinCache {self._fincache.__version__}, {binding_in_use()}; segment in /dev/shm with the options that are default"

    def bindings(self) -> dict[str, Any]:
        return {"cache": self._cache, **self._names}

    def prepare(self, pairs: Pairs) -> None:
        self._cache.flushdb()
        self.extend(pairs)

    def extend(self, pairs: Pairs) -> None:
        for key, value in pairs:
            self._cache.set(key, value)

    def read_back(self, keys: Sequence[Key]) -> list[Any]:
        return [self._cache.get(key) for key in keys]

    def prepare_rows(self, keys: Sequence[Key], rows: Any) -> None:
        import numpy as np

        quotes: Any = self._cache.records(np.dtype(ROW_FIELDS))
        if self.creates:
            self._cache.flushdb()
            for key, row in zip(keys, rows, strict=True):
                quotes.set(key, row)
        self._names = {**row_names(keys), "quotes": quotes, "get": self._cache.get}
        if hasattr(self._cache, "keyset") and hasattr(quotes, "read"):
            out = np.zeros(len(keys), quotes.dtype)
            keyset = self._cache.keyset(list(keys))
            self._names |= {"keyset": keyset, "read": quotes.read, "write": quotes.write, "out": out, "result": out}
        self._names["one"] = np.zeros(1, quotes.dtype)

    def row(self, row: Any) -> Any:
        return row.item()

    def files(self) -> list[Path]:
        return [path for path in Path("/dev/shm").iterdir() if path.name.startswith(f"fincache.{self._segment}")]

    def close(self) -> None:
        self._names = {}
        self._cache.close()
        if self.creates:
            self._fincache.unlink(self._segment)
        super().close()


class FinCacheCffi(FinCache):
    """The same through cffi: the child runs with FINCACHE_BINDING=cffi."""

    name = "fincache, cffi"


def binding_in_use() -> str:
    """What `import fincache` has chosen: the accelerator or cffi."""
    from fincache import _core

    return "through the accelerator" if _core.BINDING == "native" else "through cffi"


class Dict(Side):
    """A plain dict: not shared with anybody, the floor under every figure."""

    is_shared = False
    name = "dict (floor)"
    statements: ClassVar[Mapping[str, str]] = {
        "get": "d[key]",
        "miss": "d.get(key)",
        "set": "d[key] = value",
        "incr": "d[key] += 1",
        "exists": "key in d",
        "delete": "del d[key]",
        "read": "result = frombuffer(b''.join([d[key] for key in keys]), dtype)",
        "read_row": "d[key]",
        "write_row": "d[key] = row",
    }

    def __init__(self, directory: Path, creates: bool, keys: int | None = None) -> None:
        super().__init__(directory, creates, keys)
        self._dict: dict[Key, Any] = {}
        self._names: dict[str, Any] = {}

    def settings(self) -> str:
        return "one process's own dict, shared with nobody"

    def bindings(self) -> dict[str, Any]:
        return {"d": self._dict, **self._names}

    def prepare(self, pairs: Pairs) -> None:
        self._dict.clear()
        self._dict.update(pairs)

    def extend(self, pairs: Pairs) -> None:
        self._dict.update(pairs)

    def read_back(self, keys: Sequence[Key]) -> list[Any]:
        return [self._dict[key] for key in keys]

    def prepare_rows(self, keys: Sequence[Key], rows: Any) -> None:
        self.prepare([(key, row.tobytes()) for key, row in zip(keys, rows, strict=True)])
        self._names = row_names(keys)


class EmptyLoop(Dict):
    """The loop without a call: what the interpreter takes inside every other figure."""

    name = "empty loop"
    statements: ClassVar[Mapping[str, str]] = {"get": "pass", "set": "pass"}

    def settings(self) -> str:
        return "the timed loop with `pass` for a body"


def row_names(keys: Sequence[Key]) -> dict[str, Any]:
    """What the `read` statements of the peers use: they deliver the rows of all keys as one numpy array."""
    import numpy as np

    return {"keys": list(keys), "dtype": np.dtype(ROW_FIELDS), "frombuffer": np.frombuffer}
