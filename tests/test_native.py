"""The accelerator (fincache._native): what is its own.

That it does what the Python methods do is checked by test_native_fuzz.py, and by the tests of Cache and Records, which
tools/run_tests.sh runs under both bindings.
"""

from __future__ import annotations

import copy
import ctypes
import gc
import inspect
import os
import pickle
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import Child

import fincache
from fincache import _core
from fincache.client import AllCommands
from fincache.records import RecordCommands, Records

WATCHDOG_SECONDS = 60
needs_native = pytest.mark.skipif(_core.native is None, reason="FINCACHE_BINDING=cffi")
pytestmark = needs_native
DOOR_METHODS: tuple[str, ...] = getattr(_core.native, "DOOR_METHODS", ())
RECORD_DOOR_METHODS: tuple[str, ...] = getattr(_core.native, "RECORD_DOOR_METHODS", ())


def python(code: str, binding: str | None) -> subprocess.CompletedProcess[str]:
    """Runs code in an interpreter of its own, with the package that is under test here."""
    environment = {key: value for key, value in os.environ.items() if key != "FINCACHE_BINDING"}
    environment["PYTHONPATH"] = str(Path(fincache.__file__).parent.parent)
    if binding is not None:
        environment["FINCACHE_BINDING"] = binding
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd="/",
        text=True,
        capture_output=True,
        timeout=WATCHDOG_SECONDS,
        check=False,
    )


# ------------------------------------------------------------------ which binding


@pytest.mark.parametrize(
    ("binding", "chosen"), [(None, "native True"), ("native", "native True"), ("cffi", "cffi False"), ("", "native True")]
)
def test_the_environment_chooses_the_binding(binding: str | None, chosen: str) -> None:
    """Unset: the accelerator where it is; and numpy is left for records to import, either way."""
    code = (
        "import sys, fincache; from fincache import _core;"
        "print(_core.BINDING, 'fincache._native' in sys.modules, 'numpy' in sys.modules)"
    )
    assert python(code, binding).stdout == f"{chosen} False\n"


def test_a_binding_that_does_not_exist_is_refused_by_name() -> None:
    """And the allowed ones are named."""
    done = python("import fincache", "ctypes")
    assert done.returncode == 1
    assert "ImportError: FINCACHE_BINDING is 'ctypes': set it to native or cffi, or not at all" in done.stderr


@pytest.mark.parametrize(("binding", "last_line"), [("native", "the accelerator cannot be loaded"), (None, "cffi")])
def test_without_the_accelerator(binding: str | None, last_line: str) -> None:
    """As on PyPy: cffi does the work, unless the accelerator is demanded."""
    code = "import sys; sys.modules['fincache._native'] = None; import fincache; print(fincache._core.BINDING)"
    done = python(code, binding)
    assert last_line in (done.stderr if binding else done.stdout)
    assert done.returncode == (1 if binding else 0)


def test_a_subinterpreter_is_refused_or_uses_cffi_alone(name: str) -> None:
    """Sessions belong to threads, and the accelerator to the main interpreter: no crash, and the main one goes on."""
    module = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    code = f"""
import {module} as interpreters, fincache
cache = fincache.open({name!r}, size="1MB")
cache.set("a", 1)
inner = interpreters.create()
try:
    problem = interpreters.run_string(inner, "import fincache._native")  # 3.13 returns what earlier ones raise
except Exception as error:
    problem = error
print("it was loaded" if problem is None else problem)
interpreters.destroy(inner)
print(cache.get("a"))
"""
    done = python(code, "native")
    assert done.returncode == 0, done.stderr
    assert "it was loaded" not in done.stdout
    assert done.stdout.endswith("b'1'\n")


def test_two_extensions_of_different_builds_refuse_each_other() -> None:
    """The engine's table of functions tells its length."""
    code = """
import ctypes, fincache._fincache as binding
table = binding.lib.fcpy_table()
class Lib: fcpy_table = staticmethod(lambda: other)
other = binding.ffi.new("fcpy_functions *"); other.table_bytes = table.table_bytes + 8
class Fake: ffi = binding.ffi; lib = Lib
import sys; sys.modules["fincache._fincache"] = Fake
import importlib.util
spec = importlib.util.find_spec("fincache._native")
import importlib.machinery
importlib.util.module_from_spec(spec).__spec__.loader.exec_module(importlib.util.module_from_spec(spec))
"""
    done = python(code, "cffi")
    assert "ImportError: fincache._native and fincache._fincache are of different builds" in done.stderr


# ------------------------------------------------------------------ documentation


@pytest.mark.parametrize(
    ("fast", "slow", "name"),
    [(fincache.Cache, AllCommands, name) for name in DOOR_METHODS]
    + [(Records, RecordCommands, name) for name in RECORD_DOOR_METHODS],
)
def test_methods_of_c_are_documented_by_those_of_python(fast: type, slow: type, name: str) -> None:
    """help() and inspect.signature() tell the same; there is no second copy of the words."""
    method, function = getattr(fast, name), getattr(slow, name)
    assert type(method).__name__ == "method_descriptor"
    assert inspect.getdoc(method) == inspect.getdoc(function)
    ours = list(inspect.signature(method).parameters.values())
    theirs = list(inspect.signature(function).parameters.values())
    assert [(parameter.name, parameter.default) for parameter in ours] == [
        (parameter.name, parameter.default) for parameter in theirs
    ]
    assert [parameter.kind for parameter in ours[1:]] == [parameter.kind for parameter in theirs[1:]]


# ------------------------------------------------------------------ classes


def test_a_subclass_may_override_and_call_what_it_overrides(cache: fincache.Cache) -> None:
    """Also for methods that Python code of Cache calls."""

    class Loud(fincache.Cache):
        def get(self, name: str, *args: object) -> object:  # type: ignore[override]
            found = super().get(name, *args)
            return found if found is None else found.upper()

        def incr(self, name: str, amount: int = 1) -> int:  # type: ignore[override]
            return super().incr(name, 10 * amount)

    loud = Loud(cache._attachment)
    cache.set("a", "abc")
    assert loud.get("a") == b"ABC"
    assert loud.get("b") is None
    assert loud.get("b", b"x") == b"X"
    assert loud.incrby("n", 2) == 20
    assert cache.get("n") == b"20"
    assert isinstance(loud.db(1), fincache.Cache)


def test_a_method_may_be_replaced_on_the_object(cache: fincache.Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """As mocks do."""
    monkeypatch.setattr(cache, "get", lambda name: b"replaced")
    assert cache.get("a") == b"replaced"
    monkeypatch.undo()
    assert cache.get("a") is None


def test_a_cache_that_was_never_initialised_is_no_danger(cache: fincache.Cache) -> None:
    """__new__ alone, or an __init__ that failed: an exception of Python's, not a crash."""
    empty = fincache.Cache.__new__(fincache.Cache)
    with pytest.raises(AttributeError):
        empty.__init__(object())  # type: ignore[misc, arg-type]
    door = fincache.Cache.__mro__[1]
    for unready in (empty, fincache.Cache.__new__(fincache.Cache), door()):
        for method in DOOR_METHODS:
            with pytest.raises((AttributeError, TypeError)):
                getattr(unready, method)("a", "b")
    records = Records.__new__(Records)
    for method in RECORD_DOOR_METHODS:
        with pytest.raises(AttributeError):
            getattr(records, method)("a", "b")
    empty.__init__(cache._attachment)  # type: ignore[misc]
    assert empty.set("a", 1)
    assert cache.get("a") == b"1"


def test_initialising_again_ends_the_fast_paths_and_nothing_else(cache: fincache.Cache, new_name: Callable[[], str]) -> None:
    """The object is then what it was made to be last."""
    other = fincache.open(new_name(), size="1MB")
    other.set("a", "other")
    view = fincache.Cache(cache._attachment)
    assert view.get("a") is None
    view.__init__(other._attachment)  # type: ignore[misc]
    assert view.get("a") == b"other"
    assert view.mget("a", "b") == [b"other", None]
    other.close()


@pytest.mark.parametrize("method", DOOR_METHODS)
def test_methods_refuse_an_object_of_another_class(cache: fincache.Cache, method: str) -> None:
    """The descriptor checks, before C looks at anything."""
    with pytest.raises(TypeError):
        getattr(fincache.Cache, method)(object(), "a")
    with pytest.raises(TypeError):
        getattr(fincache.Cache, method)()
    with pytest.raises(TypeError):
        cache.__class__ = Records  # type: ignore[assignment]


def test_the_parts_refuse_what_is_not_theirs(cache: fincache.Cache) -> None:
    """An address never comes from a number: only cffi's own pointers of the right type, and objects of the right class."""
    native = _core.native
    handle = cache._attachment._handle
    for wrong in (None, 1234, b"x", handle, object()):
        with pytest.raises(TypeError):
            native.Handle(wrong)
        with pytest.raises(TypeError):
            native.watch(wrong)
        if wrong is not handle:
            with pytest.raises(TypeError):
                native.Keys(wrong, 0, [b"a"])
        with pytest.raises((TypeError, AttributeError)):
            fincache.Cache(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        native.watch(handle.pointer)  # an fc_cache, not an fc_session
    for wrong in (["a"], [1], [b"a", None]):
        with pytest.raises(TypeError):
            native.Keys(handle, 0, wrong)
    with pytest.raises(RuntimeError):
        handle.__init__(handle.pointer)
    with pytest.raises(RuntimeError):
        _ = native.Handle.__new__(native.Handle).pointer
    with pytest.raises(ValueError, match="only become True"):
        handle.closing = False
    with pytest.raises(RuntimeError, match="made before"):
        native.door(AllCommands, fincache.KeySet, dict.fromkeys(DOOR_METHODS, ""))
    cache.set("a", 1)
    assert cache.get("a") == b"1"


def test_a_cache_cannot_be_copied_or_pickled(cache: fincache.Cache) -> None:
    """Neither half of it."""
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(fincache.InvalidType):
            attempt(cache)


def test_a_cycle_with_a_cache_is_collected(cache: fincache.Cache, name: str) -> None:
    """The collector sees what a Door and Records refer to."""
    other = fincache.attach(name)
    other.get("a")
    records = other.records("f8")
    records.set("f", 1.5)
    other.me = (other, records)  # type: ignore[attr-defined]
    assert len(cache.sessions()) == 1
    del other, records
    gc.collect()
    assert cache.sessions() == []


# ------------------------------------------------------------------ sessions


def test_many_attachments_in_turn(name: str) -> None:
    """A thread remembers some sessions, and finds the others again."""
    caches = [fincache.open(name, size="4MB", sessions_max=64) for _ in range(25)]
    for number, cache in enumerate(caches * 2):
        assert cache.set(f"k{number % 25}", number)
        assert caches[number % 7].get(f"k{number % 25}") == b"%d" % number
    assert len(caches[0].sessions()) == 25
    for cache in caches:
        cache.close()
    for cache in caches:
        with pytest.raises(fincache.Closed):
            cache.get("k0")


def test_each_thread_has_its_own_session(cache: fincache.Cache) -> None:
    """Also when they take turns on one Cache, and when later threads get the memory of earlier ones."""
    for _ in range(3):
        turns = threading.Barrier(3)
        failed: list[BaseException] = []

        def work(turns: threading.Barrier = turns, failed: list[BaseException] = failed) -> None:
            try:
                for _ in range(50):
                    turns.wait(WATCHDOG_SECONDS)
                    cache.incr("n")
            except BaseException as error:  # noqa: BLE001 -- reported below
                failed.append(error)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
    assert cache.get("n") == b"450"


def test_closing_a_view_ends_its_fast_paths_alone(cache: fincache.Cache) -> None:
    """The Cache it was made from goes on, and the other way round it does not."""
    view = cache.db(1)
    view.set("a", 1)
    view.close()
    for call in (lambda: view.get("a"), lambda: view.set("a", 1), lambda: view.mget("a"), lambda: view.exists("a")):
        with pytest.raises(fincache.Closed):
            call()
    assert cache.get("a") is None
    other = cache.db(2)
    records = cache.records("f8")
    records.set("a", 1.0)
    cache.close()
    for call in (lambda: other.get("a"), lambda: records.get("a"), lambda: records.set("a", 1.0)):
        with pytest.raises(fincache.Closed):
            call()


def test_arguments_that_close_the_cache_while_they_are_read(name: str) -> None:
    """No pointer is kept over code of the caller's."""

    class Evil(list[object]):
        def __iter__(self) -> Iterator[object]:
            cache.close()
            cache.get("a")
            return iter(["a", "b"])

    for call in (lambda cache: cache.mget(Evil()), lambda cache: cache.get_many(Evil())):
        with fincache.open(name, size="1MB") as cache:
            cache.set("a", 1)
            with pytest.raises(fincache.Closed):
                call(cache)
            with pytest.raises(fincache.Closed):
                cache.get("a")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="__buffer__ is of Python 3.12")
def test_a_buffer_that_closes_the_cache_while_it_is_exported(name: str) -> None:
    """The session is looked up when the buffer is there, not before."""

    class Evil:
        def __init__(self, cache: fincache.Cache) -> None:
            self.cache, self.memory = cache, bytearray(20)

        def __buffer__(self, flags: int) -> memoryview:
            self.cache.close()
            return memoryview(self.memory)

    with fincache.open(name, size="1MB") as cache:
        cache.set("a", b"value")
        with pytest.raises(fincache.Closed):
            cache.get_into("a", Evil(cache))


def test_a_thread_of_c_that_comes_and_goes(cache: fincache.Cache, name: str) -> None:
    """It gets a new Python thread state, and a new session, each time; the pointer of the last one is forgotten."""
    libc = ctypes.CDLL(None)
    other = fincache.attach(name)
    seen: list[object] = []

    @ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    def write(cookie: int, data: int, count: int) -> int:
        seen.append(other.incr("n"))
        return count

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
    def close(cookie: int) -> int:
        seen.extend((len(cache.sessions()), other.incr("n")))
        return 0

    class Functions(ctypes.Structure):
        _fields_ = tuple((field, ctypes.c_void_p) for field in ("read", "write", "seek", "close"))

    # fclose() calls the one and then the other, on a thread that Python does not know in between.
    functions = Functions(None, ctypes.cast(write, ctypes.c_void_p), None, ctypes.cast(close, ctypes.c_void_p))
    libc.fopencookie.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(libc.fopencookie(None, b"w", functions))
    libc.fputs(b"text", stream)
    thread = ctypes.c_ulong()
    assert libc.pthread_create(ctypes.byref(thread), None, ctypes.cast(libc.fclose, ctypes.c_void_p), stream) == 0
    assert libc.pthread_join(thread, None) == 0
    assert seen == [1, 0, 2]  # between the two calls it had no session
    assert len(cache.sessions()) == 0
    other.close()


# ------------------------------------------------------------------ waiting


@pytest.fixture
def numbers(cache: fincache.Cache) -> Records[float]:
    """Records whose schema is registered: the first write goes the way of Python."""
    records = cache.records("f8")
    records.set("first", 1.0)
    return records


@pytest.fixture
def held(cache: fincache.Cache, numbers: Records[float]) -> Iterator[str]:
    """A key whose lock a stopped process holds."""
    names = [f"k{number}" for number in range(800)]

    def write() -> None:
        while True:
            cache.mset(dict.fromkeys(names, b"x" * 20))

    impatient = fincache.attach(cache.name, timeout_ms=0)
    child = Child(write)
    while cache.get(names[-1]) is None:
        assert child.is_running()

    def is_held(key: str) -> bool:
        try:
            impatient.set(key, b"y" * 20)
        except fincache.Busy:
            return True
        return False

    os.kill(child.pid, signal.SIGSTOP)
    while (found := next(filter(is_held, names[::37]), None)) is None:
        os.kill(child.pid, signal.SIGCONT)
        time.sleep(0.000_3)
        os.kill(child.pid, signal.SIGSTOP)
    yield found
    impatient.close()
    os.kill(child.pid, signal.SIGKILL)
    os.kill(child.pid, signal.SIGCONT)
    child.join(killed=True)


def longest_stall(call: Callable[[], object]) -> float:
    """The longest time for which another thread stood still while a call waited for its timeout, in seconds."""
    looking, done = threading.Event(), threading.Event()
    stalls: list[float] = []

    def look_at_the_clock() -> None:
        longest, before = 0.0, time.monotonic()
        while not done.is_set():
            looking.set()
            now = time.monotonic()
            longest, before = max(longest, now - before), now
        stalls.append(longest)

    thread = threading.Thread(target=look_at_the_clock)
    thread.start()
    looking.wait(WATCHDOG_SECONDS)
    started = time.monotonic()
    with pytest.raises(fincache.Busy, match="held by pid"):
        call()
    assert time.monotonic() - started >= 0.1  # timeout_ms
    done.set()
    thread.join()
    return stalls[0]


@pytest.mark.parametrize("method", ["set", "delete", "incr", "del", "records.set", "records.write"])
def test_other_threads_run_while_a_write_waits(cache: fincache.Cache, numbers: Records[float], held: str, method: str) -> None:
    """P13: the GIL is released in the wait; Busy comes after timeout_ms, names the owner, and reads never wait."""
    keyset, table = cache.keyset([held]), np.zeros(1)
    call: Callable[[], object] = {
        "set": lambda: cache.set(held, 1),
        "delete": lambda: cache.delete(held),
        "incr": lambda: cache.incr(held),
        "del": lambda: cache.__delitem__(held),
        "records.set": lambda: numbers.set(held, 1.5),
        "records.write": lambda: numbers.write(keyset, table),
    }[method]
    # With the GIL held it is the whole wait of 100 ms, always; without, a busy machine may be unkind once.
    assert any(longest_stall(call) < 0.05 for _ in range(3))
    assert cache.get(held) is not None


def test_closing_while_another_thread_waits(cache: fincache.Cache, held: str) -> None:
    """Its session, and the mapping, stay until it has its answer."""
    other = fincache.attach(cache.name, timeout_ms=400)
    outcome: list[str] = []
    started = threading.Event()

    def write() -> None:
        other.get(held)
        started.set()
        try:
            other.set(held, 1)
        except fincache.FinCacheError as error:
            outcome.append(type(error).__name__)
        try:
            other.get(held)
        except fincache.FinCacheError as error:
            outcome.append(type(error).__name__)

    thread = threading.Thread(target=write)
    thread.start()
    started.wait(WATCHDOG_SECONDS)
    time.sleep(0.05)
    other.close()
    thread.join()
    assert outcome == ["Busy", "Closed"]


# ------------------------------------------------------------------ references


def test_nothing_leaks(cache: fincache.Cache, name: str) -> None:
    """Arguments and results are counted right, on the fast paths, the fallbacks and the failures."""
    key, value = "a" * 40, b"v" * 100
    names = [key, "b" * 40, "none"]
    text = fincache.attach(name, decode_responses=True)
    records, plain = cache.records([("bid", "f8"), ("size", "i4")]), cache.records(float)
    keyset = cache.keyset(["r1", "r2"])
    table, mask, buffer = np.zeros(2, records.dtype), np.zeros(2, bool), bytearray(200)
    row = (1.5, 7)
    records.set("r1", row)
    scalar = records.get("r1")

    def refused(call: Callable[[], object]) -> None:
        try:  # pytest.raises keeps some memory of every exception
            call()
        except (fincache.FinCacheError, TypeError):
            return
        pytest.fail("it was not refused")

    def once() -> None:
        cache.set(key, value)
        cache.set(names[1], "text")
        cache.set("i", 1 << 40)
        cache.set("f", 1.25)
        cache.set("x", b"z" * 70_000)
        cache.get(key), cache.get(key, value), cache.get("none", value), cache.get("x"), cache.get(key, max_age=5)
        cache.get("none", value, max_age=5), cache[key], key in cache, cache.set(key, value, ex=5)
        text.get(names[1]), text.mget(names), text.get_many(*names)
        cache.mget(names), cache.mget(keyset), cache.get_many(tuple(names)), cache.mget(["x", key])
        cache.get_many([f"k{number}" for number in range(100)])
        cache.exists(key), cache.exists(key, key), cache.delete("none"), cache.incr("n"), cache.incr("n", 5)
        cache.get_into(key, buffer), cache.get_into("none", buffer)
        records.set("r1", row), records.set("r2", scalar), records.get("r1"), records.get("r1", "bid"), records.get("none")
        records.get_into("r1", table[:1]), records.get_into("none", table[1:])
        records.read(keyset, table), records.read(keyset, out=table, mask=mask, cut=False), records.write(keyset, table)
        plain.set("p", 2.5), plain.get("p")
        refused(lambda: cache.get(None))  # type: ignore[call-overload]
        refused(lambda: cache.set(key, None))  # type: ignore[call-overload]
        cache.set("large", bytes(70_000)), cache.get("large"), cache.set("large", bytes(5_000)), cache.get("large", None)
        refused(lambda: cache.set("k" * 70_000, 1))
        refused(lambda: cache.incr(key))
        refused(lambda: cache.get_into(key, bytearray(1)))
        refused(lambda: cache.mget([key, None]))  # type: ignore[list-item]
        refused(lambda: records.get(key))
        refused(lambda: records.set("r1", (1.5,)))
        refused(lambda: records.get("r1", "nothing"))
        refused(lambda: text.get(b"\xff", bad=1))  # type: ignore[call-overload]
        refused(lambda: plain.write(keyset, table))

    def blocks() -> int:
        gc.collect()
        return sys.getallocatedblocks()

    held = (key, value, row, scalar, table, mask, buffer, keyset, keyset._keys, records.dtype, cache, records, None, True)
    growths, drifts = [], []
    for _ in range(4):  # the first warms up; what leaks does so in each of the others
        before, counts = blocks(), [sys.getrefcount(item) for item in held]
        for _ in range(60):
            once()
        growths.append(blocks() - before)
        drifts.append([abs(sys.getrefcount(item) - count) for item, count in zip(held, counts, strict=True)])
    assert min(growths[1:]) < 60
    assert [min(drift) for drift in zip(*drifts[1:], strict=True) if min(drift) >= 60] == []


def test_a_value_longer_than_the_stack_room_is_read_into_the_bytes_that_are_returned(name: str) -> None:
    """Whatever its length, with the GIL kept or released, and while another process makes it longer and shorter."""
    lengths = (0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537, 200_000, 1_000_000)
    with fincache.open(name, size="16MB") as cache:
        for length in lengths:
            value = bytes(range(251)) * (length // 251 + 1)
            cache.set("k", value[:length])
            assert cache.get("k") == value[:length]
        assert cache.get("none") is None
        code = f"""
import fincache, itertools
cache = fincache.open({name!r})
for turn in itertools.count():
    length = {lengths}[turn % {len(lengths)}]
    cache.set("changes", bytes([turn % 256]) * length)
    if turn == 20: print("go", flush=True)
"""
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            try:
                for _ in range(3000):
                    found = cache.get("changes")
                    assert isinstance(found, bytes)
                    assert len(found) in lengths
                    assert found == found[:1] * len(found)
            finally:
                writer.kill()


def test_a_cache_in_use_when_the_interpreter_ends(name: str) -> None:
    """By destructors that run after the modules are gone, and by a thread that is still waiting for its turn."""
    code = f"""
import fincache, threading, sys
cache = fincache.open({name!r}, size="1MB")
records = cache.records("f8")
class Late:
    def __init__(self, *parts): self.parts = parts
    def __del__(self):
        for part in self.parts:
            try: part.set("a", 1.0); part.get("a"); part.get(None)
            except BaseException: pass
late = Late(cache, records)
sys.late = Late(cache, records)
def loop():
    while True: cache.get("a"); records.get("a")
threading.Thread(target=loop, daemon=True).start()
cache.set("a", 1)
"""
    for _ in range(3):
        done = python(code, "native")
        assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this interpreter has a GIL")
def test_a_free_threaded_interpreter_stays_free() -> None:
    """Importing fincache does not bring the GIL back."""
    done = python("import sys, fincache; print(sys._is_gil_enabled())", "native")
    assert done.stdout == "False\n", done.stderr
