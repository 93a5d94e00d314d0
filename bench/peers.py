"""The peers that need no server: py-lmdb, UltraDict, diskcache, multiprocessing.Manager().dict(), shared-memory-dict.

Each as its own documentation recommends for speed; where there is a choice, the one that was faster here. Their files are in
/dev/shm, where they meet no disk.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Mapping, Sequence
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, ClassVar

from sides import Key, Pairs, Side, UnavailableError, row_names, version_of

LMDB_MAP_BYTES = 1 << 30
ULTRADICT_BUFFER_BYTES = 1 << 20


def not_ours_to_remove(name: str) -> None:
    """Has multiprocessing forget an attached segment, which it would remove at the end of this process (CPython issue 82300)."""
    resource_tracker.unregister(f"/{name}", "shared_memory")


class LmdbPerCall(Side):
    """py-lmdb with a transaction for each operation: for who wants the newest values, and others to see what was written."""

    name = "py-lmdb, txn per call"
    statements: ClassVar[Mapping[str, str]] = {
        "get": "with env.begin() as txn: txn.get(key)",
        "miss": "with env.begin() as txn: txn.get(key)",
        "set": "with env.begin(write=True) as txn: txn.put(key, value)",
        "incr": "with env.begin(write=True) as txn: txn.put(key, b'%d' % (int(txn.get(key)) + 1))",
        "exists": "with env.begin() as txn: txn.cursor().set_key(key)",
        "delete": "with env.begin(write=True) as txn: txn.delete(key)",
        "read": """
            with env.begin() as txn, txn.cursor() as cursor:
                result = frombuffer(b''.join([value for _, value in cursor.getmulti(keys)]), dtype)
            """,
        "read_loop": """
            with env.begin() as txn:
                get = txn.get
                result = frombuffer(b''.join([get(key) for key in keys]), dtype)
            """,
        "write": """
            with env.begin(write=True) as txn, txn.cursor() as cursor:
                cursor.putmulti(table)
            """,
        "read_row": "with env.begin() as txn: txn.get(key)",
        "write_row": "with env.begin(write=True) as txn: txn.put(key, row)",
    }
    str_statements: ClassVar[Mapping[str, str]] = {
        "get": "with env.begin() as txn: txn.get(key.encode())",
        "set": "with env.begin(write=True) as txn: txn.put(key.encode(), value)",
    }

    def __init__(self, directory: Path, creates: bool, keys: int | None = None) -> None:
        super().__init__(directory, creates, keys)
        self._version = version_of("lmdb")
        import lmdb

        self._env = lmdb.open(str(directory), map_size=LMDB_MAP_BYTES, sync=False, metasync=False)
        self._names: dict[str, Any] = {}

    def settings(self) -> str:
        return f"lmdb {self._version}: sync=False, metasync=False, files in /dev/shm; get returns bytes, as all sides do"

    def bindings(self) -> dict[str, Any]:
        return {"env": self._env, **self._names}

    def prepare(self, pairs: Pairs) -> None:
        with self._env.begin(write=True) as txn:
            txn.drop(self._env.open_db(txn=txn), delete=False)
        self.extend(pairs)

    def extend(self, pairs: Pairs) -> None:
        with self._env.begin(write=True) as txn:
            for key, value in pairs:
                txn.put(key if isinstance(key, bytes) else key.encode(), value if isinstance(value, bytes) else b"%d" % value)

    def read_back(self, keys: Sequence[Key]) -> list[Any]:
        with self._env.begin() as txn:
            return [txn.get(key if isinstance(key, bytes) else key.encode()) for key in keys]

    def prepare_rows(self, keys: Sequence[Key], rows: Any) -> None:
        if self.creates:
            self.prepare([(key, row.tobytes()) for key, row in zip(keys, rows, strict=True)])
        self._names = row_names(keys)

    def tables(self, keys: Sequence[Key], tables: Sequence[Any]) -> list[Any]:
        return [[(key, row.tobytes()) for key, row in zip(keys, table, strict=True)] for table in tables]

    def close(self) -> None:
        self._env.close()
        super().close()


class LmdbOpenTxn(LmdbPerCall):
    """py-lmdb inside one open transaction: reads see the past of their snapshot, writes are seen by nobody until the commit."""

    name = "py-lmdb, open txn"
    statements: ClassVar[Mapping[str, str]] = {
        "get": "reading.get(key)",
        "miss": "reading.get(key)",
        "set": "writing.put(key, value)",
        "incr": "writing.put(key, b'%d' % (int(writing.get(key)) + 1))",
        "exists": "cursor.set_key(key)",
        "delete": "writing.delete(key)",
    }
    str_statements: ClassVar[Mapping[str, str]] = {
        "get": "reading.get(key.encode())",
        "set": "writing.put(key.encode(), value)",
    }

    def __init__(self, directory: Path, creates: bool, keys: int | None = None) -> None:
        super().__init__(directory, creates, keys)
        self._reading: Any = None
        self._writing: Any = None

    def settings(self) -> str:
        return f"{super().settings()}; one transaction open all the time, its commit outside of the clock"

    def bindings(self) -> dict[str, Any]:
        if self._reading is None:
            self._writing = self._env.begin(write=True)
            self._reading = self._env.begin()
        return {"reading": self._reading, "writing": self._writing, "cursor": self._reading.cursor()}

    def settle(self) -> None:
        if self._reading is not None:
            self._writing.commit()
            self._reading.abort()
        self._reading = self._writing = None

    def prepare(self, pairs: Pairs) -> None:
        self.settle()
        super().prepare(pairs)

    def close(self) -> None:
        self.settle()
        super().close()


class DictLike(Side):
    """What looks like a dict."""

    statements: ClassVar[Mapping[str, str]] = {
        "get": "d[key]",
        "miss": "d.get(key)",
        "set": "d[key] = value",
        "incr": "d[key] += 1",
        "exists": "key in d",
        "delete": "del d[key]",
    }
    _dict: Any

    def bindings(self) -> dict[str, Any]:
        return {"d": self._dict}

    def extend(self, pairs: Pairs) -> None:
        self._dict.update(dict(pairs))

    def read_back(self, keys: Sequence[Key]) -> list[Any]:
        return [self._dict[key] for key in keys]


class UltraDict(DictLike):
    """UltraDict: a dict in each process, and a stream of changes in shared memory."""

    name = "UltraDict"
    statements: ClassVar[Mapping[str, str]] = {
        **DictLike.statements,
        "incr": "with d.lock: d[key] += 1",
    }

    def __init__(self, directory: Path, creates: bool, keys: int | None = None) -> None:
        super().__init__(directory, creates, keys)
        self._version = version_of("UltraDict")
        from UltraDict import UltraDict as Shared

        name = f"bench_{directory.name}"
        if creates:
            self._dict = Shared(name=name, create=True, buffer_size=ULTRADICT_BUFFER_BYTES)
        else:
            self._dict = Shared(name=name, create=False)
            for path in self.files():
                not_ours_to_remove(path.name)

    def settings(self) -> str:
        return (
            f"UltraDict {self._version}: buffer_size of 1 MiB, its default lock (shared_lock=False: for processes made by fork), "
            "which its documentation calls the fast one"
        )

    def prepare(self, pairs: Pairs) -> None:
        for key in list(self._dict.keys()):
            del self._dict[key]
        self.extend(pairs)

    def extend(self, pairs: Pairs) -> None:
        for key, value in pairs:
            self._dict[key] = value

    def files(self) -> list[Path]:
        status = self._dict.status()
        names = [memory.name for memory in (status["control"], status["buffer"], status["full_dump_memory"]) if memory]
        return [Path("/dev/shm") / name for name in names]

    def close(self) -> None:
        self._dict.close(unlink=self.creates)
        super().close()


class DiskCache(DictLike):
    """diskcache.Cache: SQLite files."""

    name = "diskcache"
    statements: ClassVar[Mapping[str, str]] = {
        "get": "cache.get(key)",
        "miss": "cache.get(key)",
        "set": "cache.set(key, value)",
        "incr": "cache.incr(key)",
        "exists": "key in cache",
        "delete": "cache.delete(key)",
    }

    def __init__(self, directory: Path, creates: bool, keys: int | None = None) -> None:
        super().__init__(directory, creates, keys)
        self._version = version_of("diskcache")
        import diskcache

        self._cache = diskcache.Cache(str(directory))

    def settings(self) -> str:
        return f"diskcache {self._version}: Cache with its defaults, in /dev/shm"

    def bindings(self) -> dict[str, Any]:
        return {"cache": self._cache}

    def read_back(self, keys: Sequence[Key]) -> list[Any]:
        return [self._cache.get(key) for key in keys]

    def prepare(self, pairs: Pairs) -> None:
        self._cache.clear()
        self.extend(pairs)

    def extend(self, pairs: Pairs) -> None:
        with self._cache.transact():
            for key, value in pairs:
                self._cache.set(key, value)

    def close(self) -> None:
        self._cache.close()
        super().close()


class ManagerDict(DictLike):
    """multiprocessing.Manager().dict(): a proxy of a dict in a server process, over a UNIX socket."""

    name = "Manager().dict()"

    def __init__(self, directory: Path, creates: bool, keys: int | None = None) -> None:
        super().__init__(directory, creates, keys)
        if not creates:
            raise UnavailableError("a Manager's dict is handed to children, it cannot be attached by name")
        self._manager = multiprocessing.Manager()
        self._dict = self._manager.dict()
        self.server_pid = self._manager._process.pid  # type: ignore[attr-defined]

    def settings(self) -> str:
        return "multiprocessing.Manager().dict(), incr by read and write (not atomic)"

    def prepare(self, pairs: Pairs) -> None:
        self._dict.clear()
        self.extend(pairs)

    def close(self) -> None:
        self._manager.shutdown()
        super().close()


class SharedMemoryDict(DictLike):
    """shared-memory-dict: one pickle of the whole dict in shared memory, read and written as a whole by every operation."""

    name = "shared-memory-dict"
    extends_at_once = True

    def __init__(self, directory: Path, creates: bool, keys: int | None = None) -> None:
        super().__init__(directory, creates, keys)
        self._version = version_of("shared-memory-dict")
        self._dict = None
        if not creates:
            self._dict = self._open(1)
            not_ours_to_remove(self._dict.shm.name)

    def _open(self, size_bytes: int) -> Any:
        import shared_memory_dict

        return shared_memory_dict.SharedMemoryDict(name=f"bench_{self.directory.name}", size=size_bytes)

    def settings(self) -> str:
        return f"shared-memory-dict {self._version}: its defaults, memory as large as the pickled keys; incr is not atomic"

    def prepare(self, pairs: Pairs) -> None:
        self._drop()
        size_bytes = sum(len(key) + 16 + (len(value) if isinstance(value, bytes) else 8) for key, value in pairs) + 1024
        self._dict = self._open(size_bytes)
        self._dict.update(dict(pairs))

    def _drop(self) -> None:
        if self._dict is not None:
            self._dict.shm.close()
            if self.creates:
                with contextlib.suppress(FileNotFoundError):
                    self._dict.shm.unlink()
        self._dict = None

    def read_back(self, keys: Sequence[Key]) -> list[Any]:
        everything = dict(self._dict.items())  # one by one each would read all of them
        return [everything[key] for key in keys]

    def files(self) -> list[Path]:
        return [] if self._dict is None else [Path("/dev/shm") / self._dict.shm.name]

    def close(self) -> None:
        self._drop()
        super().close()
