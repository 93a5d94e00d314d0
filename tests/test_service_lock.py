"""service_lock.py: one daemon for each segment; the lock names its holder, outlives nobody, and can be handed over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

import fincache
from fincache.daemon.service_lock import ServiceLock, holder_of
from tests.conftest import Child


@pytest.fixture
def segment_id(cache: fincache.Cache) -> int:
    """Of `cache`."""
    return cache.info().segment_id


@pytest.fixture
def holder(cache: fincache.Cache, segment_id: int) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    code = f"""
import sys, time
from fincache.daemon.service_lock import ServiceLock
lock = ServiceLock.acquire({cache.name!r}, {segment_id})
print("held", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_nobody_holds_it_at_first(cache: fincache.Cache, segment_id: int) -> None:
    """Acquired, it is ours; closed, it is nobody's."""
    assert holder_of(cache.name, segment_id) is None
    lock = ServiceLock.acquire(cache.name, segment_id)
    assert isinstance(lock, ServiceLock)
    assert holder_of(cache.name, segment_id) == os.getpid()
    lock.close()
    lock.close()
    assert holder_of(cache.name, segment_id) is None


def test_the_second_learns_who_the_first_is(cache: fincache.Cache, segment_id: int, holder: subprocess.Popen[str]) -> None:
    """At once: a living holder is not waited for."""
    assert ServiceLock.acquire(cache.name, segment_id) == holder.pid
    assert holder_of(cache.name, segment_id) == holder.pid


def test_a_killed_holder_leaves_nothing(cache: fincache.Cache, segment_id: int, holder: subprocess.Popen[str]) -> None:
    """Not even while it is a zombie; and who asks while it dies, waits for it."""
    holder.send_signal(signal.SIGSTOP)
    assert ServiceLock.acquire(cache.name, segment_id) == holder.pid  # stopped is not dead
    holder.kill()
    for _ in range(1000):  # the kill takes a moment to be seen
        lock = ServiceLock.acquire(cache.name, segment_id)
        if isinstance(lock, ServiceLock):
            break
        time.sleep(0.01)
    assert isinstance(lock, ServiceLock)
    assert holder_of(cache.name, segment_id) == os.getpid()
    lock.close()


def test_it_goes_over_with_its_descriptor(cache: fincache.Cache, segment_id: int) -> None:
    """There is no instant at which nobody holds it, and it names the new one after `claim`."""
    lock = ServiceLock.acquire(cache.name, segment_id)
    assert isinstance(lock, ServiceLock)
    given, waiting = os.pipe(), os.pipe()
    old_pid = os.getpid()

    def take() -> None:
        taken = ServiceLock(os.dup(lock.fileno()))
        lock.close()
        assert holder_of(cache.name, segment_id) == old_pid
        taken.claim()
        assert holder_of(cache.name, segment_id) == os.getpid()
        os.write(given[1], b"x")
        os.read(waiting[0], 1)  # until the old one has closed its own
        assert holder_of(cache.name, segment_id) == os.getpid()

    child = Child(take)
    os.read(given[0], 1)
    lock.close()
    assert holder_of(cache.name, segment_id) == child.pid
    os.write(waiting[1], b"x")
    child.join()
    assert holder_of(cache.name, segment_id) is None
    for fd in (*given, *waiting):
        os.close(fd)


def test_a_smaller_pid_takes_over_as_well(cache: fincache.Cache, segment_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The range shrinks as it grows."""
    lock = ServiceLock.acquire(cache.name, segment_id)
    assert isinstance(lock, ServiceLock)
    for pid in (4_000_000, 7, 300):
        monkeypatch.setattr("os.getpid", lambda pid=pid: pid)
        lock.claim()
        assert holder_of(cache.name, segment_id) == pid
    lock.close()


def test_sessions_do_not_meet_it(cache: fincache.Cache, segment_id: int, holder: subprocess.Popen[str]) -> None:
    """The engine's own locks lie elsewhere in the file."""
    assert holder.poll() is None
    cache.set("a", 1)
    assert [session.live for session in cache.sessions()] == [True]


def test_a_removed_segment_has_no_lock(new_name: object, cache: fincache.Cache, segment_id: int) -> None:
    """By name: whoever attaches by name cannot find it either."""
    fincache.unlink(cache.name)
    with pytest.raises(fincache.SegmentRetired, match="is gone"):
        ServiceLock.acquire(cache.name, segment_id)
