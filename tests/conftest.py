"""Fixtures of the Python tests: segments with names of their own, which are gone afterwards, and children that must end.

Every test that makes a segment takes `name` or `cache`. When it is over, its segments are unlinked and /dev/shm must hold nothing
of them: a lock file or a half-built object left behind is a failure of that test.

Bindings: a process has one, chosen when fincache is imported (FINCACHE_BINDING; fincache/_core/binding.py). The tests use the
accelerator where it is, and tools/run_tests.sh runs the files of BOTH_BINDINGS a second time with cffi alone:
`FINCACHE_BINDING=cffi pytest --both-bindings`. What is the accelerator's own is in test_native.py and test_native_fuzz.py.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import signal
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

import fincache
from fincache import _core

SHM = Path("/dev/shm")
SEED = int(os.environ.get("FINCACHE_SEED") or secrets.randbits(32))
CHILD_SECONDS_MAX = 60  # a watchdog, not a measurement
BOTH_BINDINGS = {
    f"test_{noun}.py"
    for noun in (
        *("bad_input", "client", "core", "fork_threads", "guide", "handles", "keyset", "mapping", "model", "pipeline"),
        *("record_arrays", "records", "redis_differences", "declarations", "strings", "text"),
    )
}

_numbers = itertools.count()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--both-bindings` leaves out what does not depend on the binding."""
    parser.addoption("--both-bindings", action="store_true", help="only the files of BOTH_BINDINGS in tests/conftest.py")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """See `pytest_addoption`."""
    if config.getoption("--both-bindings") and collection_path.is_file():
        return collection_path.name not in BOTH_BINDINGS or None
    return None


# A shell's background job ignores SIGINT, and what it starts inherits that; programs under test must not.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """Says how to repeat a run of the hypothesis tests."""
    return f"fincache {fincache.__version__}, binding {_core.BINDING}, FINCACHE_SEED={SEED}"


@pytest.fixture
def new_name() -> Iterator[Callable[[], str]]:
    """Gives names of segments that no other test uses; unlinks them, and checks that nothing of them stays in /dev/shm."""
    names: list[str] = []

    def make() -> str:
        names.append(f"t{os.getpid()}-{next(_numbers)}-{secrets.token_hex(3)}")
        return names[-1]

    yield make
    for name in names:
        with contextlib.suppress(fincache.SegmentMissing):
            fincache.unlink(name)
    left = [path.name for path in SHM.iterdir() if any(name in path.name for name in names)]
    for file in left:
        (SHM / file).unlink()
    assert left == []


@pytest.fixture
def name(new_name: Callable[[], str]) -> str:
    """One such name."""
    return new_name()


@pytest.fixture
def cache(name: str) -> Iterator[fincache.Cache]:
    """An empty cache of 4 MiB."""
    with fincache.open(name, size="4MB") as opened:
        yield opened


@pytest.fixture
def untouched(cache: fincache.Cache, name: str) -> Iterator[fincache.Cache]:
    """A cache with three keys, in which the test must change nothing."""
    cache.mset({"text": "abc", "big": (1 << 63) - 1, "float": "1.5"})
    keys = sorted(cache.scan_iter())
    before = cache.mget(keys), [cache.ttl(key) for key in keys], cache.stats().used_bytes
    yield cache
    if not cache.closed:
        assert sorted(cache.scan_iter()) == keys
        assert (cache.mget(keys), [cache.ttl(key) for key in keys], cache.stats().used_bytes) == before


@contextlib.contextmanager
def refused(error: type[fincache.FinCacheError], *, hint: bool = True) -> Iterator[None]:
    """Expects `error`, with something to do about it."""
    with pytest.raises(error) as caught:
        yield
    assert type(caught.value) is error
    assert caught.value.code > 0
    if hint:
        assert caught.value.hint
        assert caught.value.hint in str(caught.value)


@pytest.fixture(scope="session")
def reference_socket() -> Iterator[str]:
    """The UNIX socket of a redis-server that runs as long as the tests."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    import redis_reference  # the import of redis takes longer than most tests

    with redis_reference.running() as socket:
        yield socket


class Child:
    """A child of fork() that runs a function; the watchdog ends it, and `join` fails with its traceback."""

    def __init__(self, function: Callable[[], object]) -> None:
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _run_and_exit(function, writing)
        os.close(writing)
        self._report = reading
        self._status: int | None = None

    def is_running(self) -> bool:
        """False once it has ended, well or not."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = status if pid else None
        return self._status is None

    def join(self, *, killed: bool = False) -> None:
        """Waits for its end; with `killed`, by SIGKILL, otherwise without an exception."""
        with os.fdopen(self._report, "rb") as pipe:
            report = pipe.read().decode()
        if self._status is None:
            _, self._status = os.waitpid(self.pid, 0)
        if os.waitstatus_to_exitcode(self._status) != (-signal.SIGKILL if killed else 0):
            pytest.fail(f"child ended with status {self._status:#x}\n{report}")


def _run_and_exit(function: Callable[[], object], writing: int) -> NoReturn:
    status = 1
    try:
        signal.alarm(CHILD_SECONDS_MAX)
        function()
        status = 0
    except BaseException:  # noqa: BLE001 -- the child must not return into pytest
        os.write(writing, traceback.format_exc().encode()[-60_000:])
    finally:
        os._exit(status)
