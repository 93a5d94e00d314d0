"""The child process in which one side lives: it runs the loops that its parent asks for, a JSON line a request, a line an answer.

    python side_child.py '{"side": "redis-py", "directory": "/dev/shm/...", "creates": true, "cpu": 0}'

Not run by hand: side_process.py starts it. Requests have `do` and the arguments of the method of that name; answers are objects,
`{"unavailable": reason}` or `{"error": text}`. The end of standard input is the end of the child.

Loops are compiled from the side's statements in four shapes:

    passes    a given number of operations; the clock is read before and after        operations by themselves
    until     as many as are done up to an instant                                    writers; several processes at once
    each      the clock is read around each operation; all samples are kept           distributions
    checked   as each, and what was read is looked at outside of the clock            arrays under a writer

The garbage collector is off while the clock runs, as timeit has it. What reads return is compared with what was written
(`probe`), and makes the checksum.
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import json
import os
import random
import sys
import textwrap
import time
import traceback
import zlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import peers
import servers
import sides
from harness import quantile
from sides import ROW_FIELDS, Key, Side, UnavailableError

SIDES: dict[str, type[Side]] = {
    kind.name: kind
    for kind in (
        sides.FinCache,
        sides.FinCacheCffi,
        sides.Dict,
        sides.EmptyLoop,
        peers.LmdbOpenTxn,
        peers.LmdbPerCall,
        peers.UltraDict,
        peers.DiskCache,
        peers.ManagerDict,
        peers.SharedMemoryDict,
        servers.RedisPy,
        servers.PyMemcache,
    )
}

CHUNK = 64
"""Operations between two looks at the clock in a loop that ends by time."""
COUNTED = 1000
"""Keys that are stored or read at a time where memory is counted."""
TABLES = 16
"""Tables that a writer of all rows cycles through."""

SHAPES = {
    "passes": """
        def loop(rows, passes, {names}):
            for _ in range(passes):
                for {variables} in rows:
        {statement}
        """,
    "until": """
        def loop(chunks, stop_ns, clock, {names}):
            count = 0
            for rows in chunks:
                for {variables} in rows:
        {statement}
                count += len(rows)
                if clock() >= stop_ns:
                    return count
        """,
    "each": """
        def loop(chunks, stop_ns, clock, keep, {names}):
            for rows in chunks:
                for {variables} in rows:
                    begin = clock()
        {statement}
                    end = clock()
                    keep(end - begin)
                if end >= stop_ns:
                    return
        """,
    "checked": """
        def loop(chunks, stop_ns, clock, keep, check, refused, {names}):
            for rows in chunks:
                for {variables} in rows:
                    begin = clock()
                    try:
        {statement}
                        end = clock()
                        keep(end - begin)
                    except refused:
                        end = clock()
                        check(None)
                    else:
                        check(result)
                    if end >= stop_ns:
                        return
        """,
}

VARIABLES = {
    "set": "key, value",
    "write_row": "key, row",
    "write_row_paced": "key, row",
    "write": "table",
    "read": "_",
    "read_each": "_",
    "read_loop": "_",
    "mget": "_",
}
WRITES = {"set", "incr", "delete", "write", "write_row"}


def key_text(kind: str, number: int) -> str:
    """A key of 16 characters: `kind` has three."""
    return f"{kind}:{number:012d}"


def value_bytes_of(number: int, generation: int, length: int) -> bytes:
    """The value of a key in a generation of writes: it says whose it is."""
    return (b"%015d %015d " % (number, generation)).ljust(length, b"#")[:length]


def cpu_ns_of(pid: int) -> int:
    """Processor time that a process has had, from its own clock (clock_getcpuclockid(3))."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def compile_loop(statement: str, variables: str, names: Sequence[str], shape: str) -> Callable[..., Any]:
    """The function `loop` of a shape around a statement."""
    template = textwrap.dedent(SHAPES[shape])
    body = textwrap.indent(textwrap.dedent(statement).strip(), " " * (16 if "try:" in template else 12))
    taken = {word.strip() for word in variables.split(",")}
    source = template.format(names=", ".join(name for name in names if name not in taken), variables=variables, statement=body)
    scope: dict[str, Any] = {}
    exec(compile(source, f"<{shape} of {statement.strip()}>", "exec"), scope)
    loop: Callable[..., Any] = scope["loop"]
    return loop


class Child:
    """The state between two requests: the side, its keys, and what each should hold."""

    def __init__(self, side: str, directory: str, creates: bool, cpu: int | None, keys: int | None, seed: int = 1) -> None:
        if cpu is not None:
            allowed = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {allowed[cpu % len(allowed)]})
        self._side = SIDES[side](Path(directory), creates, keys)
        self._random = random.Random(seed)
        self._keys: list[Key] = []
        self._missing: list[Key] = []
        self._counters: list[Key] = []
        self._expected: dict[Key, bytes] = {}
        self._counted: dict[Key, int] = {}
        self._value_bytes = 0
        self._generation = 0
        self._is_str = False
        self._at = 0
        self._samples: dict[str, array[int]] = {}
        self._tables: list[Any] = []
        self._row_writes: list[tuple[Key, Any]] = []
        self._seen: dict[str, dict[str, int]] = defaultdict(lambda: {"reads": 0, "torn": 0, "mixtures": 0, "refused": 0})

    # ------------------------------------------------------------------ requests

    def describe(self) -> dict[str, Any]:
        """Who this is, and what it can do."""
        statements = {**self._side.statements}
        has_server = self._side.server_pid is not None
        return {"settings": self._side.settings(), "statements": statements, "has_server": has_server}

    def prepare(self, keys: int, value_bytes: int, counters: int = 0, is_str: bool = False) -> dict[str, Any]:
        """Fills the store with keys, or, when attached, only learns of them."""
        self._is_str = is_str
        self._value_bytes = value_bytes
        self._keys = self._make_keys("key", keys)
        self._missing = self._make_keys("mis", keys)
        self._counters = self._make_keys("cnt", counters)
        self._generation = 0
        self._counted = dict.fromkeys(self._counters, 0)
        self._expected = dict(self._pairs(self._keys))
        if self._side.creates or not self._side.is_shared:
            self._side.prepare([*self._expected.items(), *self._counted.items()])
        self._side.settle()
        return {}

    def prepare_rows(self, keys: int) -> dict[str, Any]:
        """Fills the store with rows of 64 bytes, and makes what writers of rows write."""
        import numpy as np

        self._keys = [key_text("row", number).encode() for number in range(keys)]

        def table(sequence: int) -> Any:
            rows = np.zeros(keys, ROW_FIELDS)
            rows["bid"] = 100 + np.arange(keys) / 100
            rows["ask"] = rows["bid"] + 0.01
            rows["sequence"] = sequence
            rows["tie"] = ~rows["sequence"]
            return rows

        tables = [table(sequence) for sequence in range(1, TABLES + 1)]
        self._side.prepare_rows(self._keys, tables[0])
        self._tables = self._side.tables(self._keys, tables)
        order = [(self._random.randrange(keys), self._random.randrange(TABLES)) for _ in range(4096)]
        self._row_writes = [(self._keys[key], self._side.row(tables[number][key])) for key, number in order]
        return {}

    def run(self, operation: str, count: int) -> dict[str, Any]:
        """Times `count` operations, over as many keys as there are, in turns."""
        rows, passes = self._rows(operation, count)
        wall_ns = cpu_ns = server_ns = 0
        done = 0
        for _ in range(passes if operation == "delete" else 1):
            times = 1 if operation == "delete" else passes
            names = self._names()
            loop = self._loop(operation, "passes", names)
            gc.disable()
            server_before = self._server_ns()
            cpu_before = time.process_time_ns()
            before = time.perf_counter_ns()
            loop(rows, times, **self._for_loop(operation, names))
            wall_ns += time.perf_counter_ns() - before
            cpu_ns += time.process_time_ns() - cpu_before
            server_ns += self._server_ns() - server_before
            gc.enable()
            done += times * len(rows)
            self._after(operation, rows, times)
        return {
            "count": done,
            "wall_ns": wall_ns,
            "cpu_ns": cpu_ns,
            "server_cpu_ns": server_ns if self._side.server_pid else None,
        }

    def until(self, operation: str, start_ns: int, stop_ns: int) -> dict[str, Any]:
        """Runs an operation from one instant of perf_counter_ns (CLOCK_MONOTONIC here) to another; says how often."""
        chunks = self._chunks(operation)
        names = self._names()
        loop = self._loop(operation, "until", names)
        self._wait_until(start_ns)
        gc.disable()
        server_before = self._server_ns()
        cpu_before = time.process_time_ns()
        before = time.perf_counter_ns()
        count = loop(chunks, stop_ns, time.perf_counter_ns, **self._for_loop(operation, names))
        wall_ns = time.perf_counter_ns() - before
        cpu_ns = time.process_time_ns() - cpu_before
        server_ns = self._server_ns() - server_before
        gc.enable()
        self._side.settle()
        return {
            "count": count,
            "wall_ns": wall_ns,
            "cpu_ns": cpu_ns,
            "server_cpu_ns": server_ns if self._side.server_pid else None,
        }

    def each(self, operation: str, start_ns: int, stop_ns: int) -> dict[str, Any]:
        """As `until`, with the clock read around every operation; `distribution` says what came out."""
        names = self._names()
        loop = self._loop(operation, "each", names)
        self._wait_until(start_ns)
        gc.disable()
        kept = self._samples.setdefault(operation, array("q"))
        before = len(kept)
        loop(self._chunks(operation), stop_ns, time.perf_counter_ns, kept.append, **self._for_loop(operation, names))
        gc.enable()
        return {"p50": quantile(sorted(kept[before:]), 0.5), "count": len(kept) - before}

    def checked(self, operation: str, start_ns: int, stop_ns: int, is_cut: bool) -> dict[str, Any]:
        """As `each`, and every array is looked at: no row torn, and with `is_cut` all rows of one write."""
        names = self._names()
        loop = self._loop(operation, "checked", names)
        kept = self._samples.setdefault(operation, array("q"))
        before = len(kept)

        def check(rows: Any) -> None:
            if rows is None:
                seen["refused"] += 1
                return
            seen["reads"] += 1
            if not (rows["tie"] == ~rows["sequence"]).all():
                seen["torn"] += 1
            if is_cut and not (rows["sequence"] == rows["sequence"][0]).all():
                seen["mixtures"] += 1

        seen = self._seen[operation]

        self._wait_until(start_ns)
        gc.disable()
        chunks = self._chunks(operation)
        cpu_before, begin = time.process_time_ns(), time.perf_counter_ns()
        refused = self._side.refusals
        loop(chunks, stop_ns, time.perf_counter_ns, kept.append, check, refused, **self._for_loop(operation, names))
        spent = {"cpu_ns": time.process_time_ns() - cpu_before, "wall_ns": time.perf_counter_ns() - begin}
        gc.enable()
        return {"p50": quantile(sorted(kept[before:]), 0.5), "count": len(kept) - before, **spent}

    def distribution(self, operation: str) -> dict[str, Any]:
        """Quantiles of an operation's samples since the last time, in ns, and what the checks of its reads found."""
        ordered = sorted(self._samples.pop(operation))
        names = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
        quantiles = {name: quantile(ordered, fraction) for name, fraction in names.items()}
        return {**quantiles, "min": ordered[0], "max": ordered[-1], "count": len(ordered), **self._seen.pop(operation, {})}

    def timer(self, count: int) -> dict[str, Any]:
        """What reading the clock around nothing gives, in ns: the median, which is inside every sample of `each`."""
        loop = compile_loop("pass", "_", ["_unused"], "each")
        kept = array("q")
        loop(itertools.repeat(range(count), 1), 0, time.perf_counter_ns, kept.append, _unused=None)
        return {"p50": quantile(sorted(kept), 0.5)}

    def probe(self) -> dict[str, Any]:
        """Reads everything back and compares it with what was written last; the checksum of it."""
        self._side.settle()
        checksum = 0
        for keys, expected in ((self._keys, self._expected), (self._counters, self._counted)):
            for key, answer in zip(keys, self._side.read_back(keys), strict=True):
                wanted = expected[key]
                found = int(answer) if isinstance(wanted, int) else answer
                if found != wanted:
                    raise ValueError(f"{self._side.name} has {found!r} for {key!r} where {wanted!r} was written")
                checksum += zlib.crc32(str(found).encode())
        return {"checksum": checksum}

    def rows_checksum(self, operation: str) -> dict[str, Any]:
        """The checksum of the array that one read gives."""
        names = self._names()
        results: list[Any] = []
        loop = self._loop(operation, "checked", names)
        loop([range(1)], 0, time.perf_counter_ns, results.append, results.append, (), **self._for_loop(operation, names))
        return {"checksum": zlib.crc32(results[1].tobytes())}

    def unpin_server(self) -> dict[str, Any]:
        """Lets the server, if there is one, run on any processor."""
        if self._side.server_pid:
            for task in Path(f"/proc/{self._side.server_pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), range(os.cpu_count() or 1))
        return {}

    def store_counted(self, keys: int, value_bytes: int) -> dict[str, Any]:
        """Stores keys and forgets them: `memory` is to show what the side keeps."""
        chunk = keys if self._side.extends_at_once else COUNTED
        for at in range(0, keys, chunk):
            numbers = range(at, min(keys, at + chunk))
            pairs = [(key_text("key", number).encode(), value_bytes_of(number, 0, value_bytes)) for number in numbers]
            if at == 0:
                self._side.prepare(pairs)
            else:
                self._side.extend(pairs)
        return {}

    def read_counted(self, keys: int, value_bytes: int) -> dict[str, Any]:
        """Reads all that was so stored, compares and forgets it; the checksum."""
        checksum = 0
        chunk = keys if self._side.extends_at_once else COUNTED
        for at in range(0, keys, chunk):
            numbers = range(at, min(keys, at + chunk))
            for number, value in zip(
                numbers, self._side.read_back([key_text("key", number).encode() for number in numbers]), strict=True
            ):
                if value != value_bytes_of(number, 0, value_bytes):
                    raise ValueError(f"{self._side.name} has {value!r} for key {number}")
                checksum += zlib.crc32(value)
        return {"checksum": checksum}

    def memory(self) -> dict[str, Any]:
        """Bytes of anonymous memory of this process and of the server, and of the side's files. What is free is given back."""
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        pids = [os.getpid(), *([self._side.server_pid] if self._side.server_pid else [])]
        own, *servers_bytes = [anonymous_bytes(pid) for pid in pids]
        return {"process_bytes": own, "server_bytes": sum(servers_bytes), "file_bytes": sides.files_bytes(self._side.files())}

    def close(self) -> None:
        """Ends the side."""
        self._side.close()

    # ------------------------------------------------------------------ helpers

    def _make_keys(self, kind: str, count: int) -> list[Key]:
        texts = [key_text(kind, number) for number in range(count)]
        self._random.shuffle(texts)
        return list(texts) if self._is_str else [text.encode() for text in texts]

    def _pairs(self, keys: Sequence[Key]) -> list[tuple[Key, bytes]]:
        return [(key, value_bytes_of(int(key[4:]), self._generation, self._value_bytes)) for key in keys]

    def _statement(self, operation: str) -> str:
        if operation not in self._side.statements:
            raise UnavailableError(f"{self._side.name} has no {operation}")
        if self._is_str and operation in self._side.str_statements:
            return self._side.str_statements[operation]
        return self._side.statements[operation]

    def _names(self) -> dict[str, Any]:
        return {"result": None, **self._side.bindings()}

    def _loop(self, operation: str, shape: str, names: dict[str, Any]) -> Callable[..., Any]:
        return compile_loop(self._statement(operation), VARIABLES.get(operation, "key"), list(names), shape)

    def _for_loop(self, operation: str, names: dict[str, Any]) -> dict[str, Any]:
        taken = {word.strip() for word in VARIABLES.get(operation, "key").split(",")}
        return {name: value for name, value in names.items() if name not in taken}

    def _all_rows(self, operation: str) -> Sequence[Any]:
        if VARIABLES.get(operation) == "_":
            return range(CHUNK)
        if operation == "write":
            return self._tables
        if operation in {"write_row", "write_row_paced"}:
            return self._row_writes
        if operation == "incr":
            return self._counters
        return self._missing if operation == "miss" else self._keys

    def _rows(self, operation: str, count: int) -> tuple[Sequence[Any], int]:
        """Rows and passes for `count` operations: whole passes over all rows, or the next few rows."""
        everything = self._all_rows(operation)
        if not everything:
            raise UnavailableError(f"nothing was prepared for {operation}")
        if count >= len(everything):
            rows, passes = everything, count // len(everything)
        else:
            rows, passes = [everything[(self._at + number) % len(everything)] for number in range(count)], 1
            self._at += count
        if operation == "set":
            self._generation += 1
            rows = self._pairs(rows)
        return rows, passes

    def _chunks(self, operation: str) -> Any:
        rows = self._all_rows(operation)
        if operation == "set":
            rows = self._pairs(rows)
        return itertools.cycle([rows[at : at + CHUNK] for at in range(0, len(rows), CHUNK)])

    def _after(self, operation: str, rows: Sequence[Any], passes: int) -> None:
        """What the writes should have done; what was deleted is put back."""
        if operation == "set":
            self._expected.update(rows)
        elif operation == "incr":
            for key in rows:
                self._counted[key] += passes
        elif operation == "delete":
            pairs = [(key, self._expected[key]) for key in rows]
            self._side.settle()
            names = self._names()
            self._loop("set", "passes", names)(pairs, 1, **self._for_loop("set", names))
        if operation in WRITES:
            self._side.settle()

    def _server_ns(self) -> int:
        return cpu_ns_of(self._side.server_pid) if self._side.server_pid else 0

    def _wait_until(self, start_ns: int) -> None:
        """Sleeps almost, spins the rest."""
        left_ns = start_ns - time.perf_counter_ns()
        if left_ns > 2_000_000:
            time.sleep((left_ns - 1_000_000) / 1e9)
        while time.perf_counter_ns() < start_ns:
            pass


def anonymous_bytes(pid: int) -> int:
    """Memory that a process has for itself: anonymous pages, without shared memory and files."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) * 1024
    raise UnavailableError("this kernel's smaps_rollup has no Pss_Anon")


def main() -> None:
    """Answers requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    child: Child | None = None
    try:
        for line in itertools.chain([sys.argv[1]], sys.stdin):
            request = json.loads(line)
            try:
                if child is None:
                    child = Child(**request)
                    answer = child.describe()
                else:
                    answer = getattr(child, request.pop("do"))(**request)
            except UnavailableError as reason:
                answer = {"unavailable": str(reason)}
            except (NameError, AttributeError) as missing:
                answer = {"unavailable": f"not in this version: {missing}", "traceback": traceback.format_exc()}
            except Exception:  # noqa: BLE001 -- whatever a peer raises is the parent's to tell
                answer = {"error": traceback.format_exc()}
            answers.write(json.dumps(answer) + "\n")
            if child is None:
                return
    finally:
        if child is not None:
            child.close()


if __name__ == "__main__":
    main()
