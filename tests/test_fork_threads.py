"""P12: fork, threads, signals, closing: defined, and never a crash. P2 as seen from Python: killed writers."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Child

import fincache

WATCHDOG_SECONDS = 60


def in_thread(function: Callable[[], object]) -> None:
    """Runs `function` in a thread of its own to its end; its exception is raised here."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(function).result(WATCHDOG_SECONDS)


def no_sessions_are_left(observer: fincache.Cache) -> bool:
    """join() returns when Python is done with a thread; the C library closes its session a moment later, when the thread ends."""
    deadline = time.monotonic() + WATCHDOG_SECONDS
    while observer.sessions() and time.monotonic() < deadline:
        time.sleep(0.001)
    return observer.sessions() == []


@pytest.fixture
def observer(cache: fincache.Cache, name: str) -> Iterator[fincache.Cache]:
    """A read-only look at the segment that has no session of its own there."""
    with fincache.attach(name, readonly=True) as attached:
        yield attached


# ------------------------------------------------------------------ fork


def test_a_child_closes_the_conversations_that_it_inherited(cache: fincache.Cache) -> None:
    """Whatever the parent's other threads were executing at the fork: the child waits for none of their locks."""
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            cache.execute("INFO")

    cache.execute("PING")
    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask) for _ in range(2)]
        try:
            for _ in range(30):
                Child(lambda: cache.execute("PING")).join()
        finally:
            stop.set()
        for task in asking:
            task.result(WATCHDOG_SECONDS)


def test_a_child_of_fork_has_a_session_of_its_own(cache: fincache.Cache, observer: fincache.Cache) -> None:
    """It goes on using the parent's Cache; its session is another one, and closed with it."""
    cache.set("a", "parent")
    parent = observer.sessions()

    def child() -> None:
        assert cache.get("a") == b"parent"
        cache.set("a", "child")
        sessions = cache.sessions()
        assert sorted(session.pid for session in sessions) == sorted([os.getpid(), os.getppid()])
        cache.close()
        with pytest.raises(fincache.Closed):
            cache.get("a")

    Child(child).join()
    assert cache.get("a") == b"child"
    assert [(session.slot, session.pid) for session in observer.sessions()] == [(session.slot, session.pid) for session in parent]
    assert cache.set("a", "parent again") is True


def test_a_child_that_never_uses_the_cache_leaves_no_trace(cache: fincache.Cache, observer: fincache.Cache) -> None:
    """It inherits nothing that it would have to give back."""
    cache.set("a", 1)
    before = observer.sessions()
    Child(lambda: None).join()
    Child(cache.close).join()
    Child(gc.collect).join()
    assert [session.slot for session in observer.sessions()] == [session.slot for session in before]
    assert cache.incr("a") == 2


def test_grandchildren_too(cache: fincache.Cache) -> None:
    """Each generation opens its own."""

    def child() -> None:
        cache.incr("n")
        Child(lambda: cache.incr("n")).join()
        cache.incr("n")

    Child(child).join()
    assert cache.get("n") == b"3"


def test_a_fork_while_other_threads_use_the_cache(cache: fincache.Cache) -> None:
    """Their sessions do not exist in the child, which can use the Cache and close it."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            cache.incr("work")

    def child() -> None:
        assert threading.active_count() == 1
        cache.incr("children")
        cache.close()
        cache.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            Child(child).join()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert cache.get("children") == b"10"


def test_closing_in_the_child_leaves_the_parent_alone_and_the_other_way_round(cache: fincache.Cache, name: str) -> None:
    """The attachment is the process's."""
    cache.set("a", 1)
    parent_closed, parent_closes = os.pipe()
    other = fincache.attach(name)
    other.get("a")

    def child() -> None:
        os.read(parent_closed, 1)
        assert other.get("a") == b"1"
        other.close()

    running = Child(child)
    other.close()
    os.write(parent_closes, b"x")
    running.join()
    assert cache.get("a") == b"1"
    os.close(parent_closed)
    os.close(parent_closes)


def test_a_cache_closed_before_the_fork_is_closed_in_the_child(name: str) -> None:
    """And closing it there again is nothing."""
    cache = fincache.open(name, size="1MB")
    cache.set("a", 1)
    cache.close()

    def child() -> None:
        with pytest.raises(fincache.Closed):
            cache.get("a")
        cache.close()

    Child(child).join()


def test_a_fork_that_python_does_not_see_is_a_named_error(cache: fincache.Cache) -> None:
    """A child made by C code still has the parent's session in hand: Forked, for reading and writing; the parent goes on."""
    cache.set("a", 1)
    libc = ctypes.PyDLL(None)  # keeps the GIL
    pid = libc.fork()
    if pid == 0:
        outcome = 1
        try:
            for use in (lambda: cache.get("a"), lambda: cache.set("a", 2)):
                with pytest.raises(fincache.Forked) as caught:
                    use()
                assert caught.value.hint
            outcome = 0
        finally:
            os._exit(outcome)
    assert os.waitpid(pid, 0)[1] == 0
    assert cache.incr("a") == 2


def spawned(name: str) -> int:
    """Runs in a process made by spawn, which inherits nothing."""
    with fincache.attach(name) as cache:
        return cache.incr("n")


def failing(name: str) -> None:
    """Raises there what must arrive here."""
    with fincache.attach(name) as cache:
        cache.incr("text")


def test_multiprocessing_spawn_attaches_by_name(cache: fincache.Cache, name: str) -> None:
    """Exceptions come back with code and hint."""
    cache.set("text", "abc")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert sorted(pool.map(spawned, [name] * 4)) == [1, 2, 3, 4]
        with pytest.raises(fincache.NotAnInteger) as caught:
            pool.apply(failing, (name,))
    assert caught.value.hint
    assert cache.get("n") == b"4"


# ------------------------------------------------------------------ threads


def test_a_thread_that_ends_closes_its_session(cache: fincache.Cache, observer: fincache.Cache) -> None:
    """Each thread has one while it lives."""
    cache.get("a")
    for _ in range(3):
        in_thread(lambda: cache.incr("n"))
        assert len(observer.sessions()) == 1
    assert cache.get("n") == b"3"


def test_more_threads_than_slots_one_after_the_other(name: str) -> None:
    """Slots come back, however many threads there were."""
    with fincache.open(name, size="2MB", sessions_max=16) as cache:
        for _ in range(100):
            in_thread(lambda: cache.incr("n"))
        assert cache.get("n") == b"100"


def test_more_threads_than_slots_at_a_time(name: str) -> None:
    """The seventeenth of sixteen is told so, and gets in when one has left."""
    with fincache.open(name, size="2MB", sessions_max=16) as cache:
        leave = threading.Event()
        inside = threading.Barrier(17)

        def stay() -> None:
            cache.incr("n")
            inside.wait(WATCHDOG_SECONDS)
            leave.wait(WATCHDOG_SECONDS)

        threads = [threading.Thread(target=stay) for _ in range(16)]
        for thread in threads:
            thread.start()
        inside.wait(WATCHDOG_SECONDS)
        try:
            with pytest.raises(fincache.SessionsFull) as caught:
                cache.incr("n")
            assert "sessions_max" in caught.value.hint
        finally:
            leave.set()
            for thread in threads:
                thread.join()
        assert cache.incr("n") == 17


def test_threads_count_together(cache: fincache.Cache) -> None:
    """P4, within a process."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: [cache.incr("n") for _ in range(1_000)], range(4)))
    assert cache.get("n") == b"4000"


# ------------------------------------------------------------------ closing


def test_closing_twice_is_nothing(name: str) -> None:
    """With sessions and without."""
    cache = fincache.open(name, size="1MB")
    cache.close()
    cache.close()
    cache = fincache.open(name, size="1MB")
    cache.set("a", 1)
    with cache:
        pass
    cache.close()
    assert cache.closed


def test_closing_closes_the_callers_session(cache: fincache.Cache, observer: fincache.Cache, name: str) -> None:
    """At once."""
    other = fincache.attach(name)
    other.get("a")
    cache.get("a")
    assert len(observer.sessions()) == 2
    other.close()
    assert len(observer.sessions()) == 1


def test_closing_while_other_threads_have_sessions(cache: fincache.Cache, observer: fincache.Cache, name: str) -> None:
    """It works; they get Closed, and their sessions go with their next call or their end."""
    other = fincache.attach(name)
    inside, closed = threading.Barrier(3), threading.Event()
    outcomes = []

    def ask_again() -> None:
        other.get("a")
        inside.wait(WATCHDOG_SECONDS)
        closed.wait(WATCHDOG_SECONDS)
        with pytest.raises(fincache.Closed):
            other.get("a")
        outcomes.append(len(observer.sessions()))

    def just_end() -> None:
        other.get("a")
        inside.wait(WATCHDOG_SECONDS)
        closed.wait(WATCHDOG_SECONDS)

    threads = [threading.Thread(target=ask_again), threading.Thread(target=just_end)]
    for thread in threads:
        thread.start()
    inside.wait(WATCHDOG_SECONDS)
    other.close()
    with pytest.raises(fincache.Closed):
        other.get("a")
    closed.set()
    for thread in threads:
        thread.join()
    assert outcomes
    assert no_sessions_are_left(observer)
    assert cache.set("a", 1) is True


def test_closing_while_other_threads_are_in_the_middle_of_calls(cache: fincache.Cache, name: str) -> None:
    """Each call is finished or raises Closed; nothing crashes. Again and again, for the race."""
    cache.set("a", b"x" * 3000)
    for _ in range(30):
        other = fincache.attach(name)
        started = threading.Barrier(4)

        def work(other: fincache.Cache = other, started: threading.Barrier = started) -> None:
            started.wait(WATCHDOG_SECONDS)
            with pytest.raises(fincache.Closed):  # noqa: PT012
                while True:
                    assert other.get("a") == b"x" * 3000
                    other.incr("n")
                    other.stats()
                    other.sessions()

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        started.wait(WATCHDOG_SECONDS)
        other.close()
        for thread in threads:
            thread.join()


def test_a_cache_that_is_dropped_closes(cache: fincache.Cache, observer: fincache.Cache, name: str) -> None:
    """Without close(), when nobody refers to it any more."""
    other = fincache.attach(name)
    other.get("a")
    assert len(observer.sessions()) == 1
    del other
    gc.collect()
    assert observer.sessions() == []


def test_a_cache_that_is_dropped_while_a_thread_has_a_session(cache: fincache.Cache, observer: fincache.Cache, name: str) -> None:
    """The session goes with its thread, for only its thread can close it."""
    holder = [fincache.attach(name)]
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        holder[0].get("a")
        inside.set()
        leave.wait(WATCHDOG_SECONDS)

    thread = threading.Thread(target=stay)
    thread.start()
    inside.wait(WATCHDOG_SECONDS)
    holder.clear()
    gc.collect()
    assert len(observer.sessions()) == 1
    leave.set()
    thread.join()
    assert no_sessions_are_left(observer)


def test_a_mapping_goes_with_its_last_user(name: str) -> None:
    """Closing unmaps: the address space holds no trace of the segment."""

    def mapped() -> int:
        # The object has no name when it is mapped (O_TMPFILE), and one later: the kernel shows either.
        return sum("/dev/shm/" in line for line in Path("/proc/self/maps").read_text().splitlines())

    before = mapped()
    for _ in range(3):
        cache = fincache.open(name, size="1MB")
        cache.set("a", 1)
        assert mapped() > before
        cache.close()
        assert mapped() == before


# ------------------------------------------------------------------ signals


@pytest.fixture
def alarm() -> Iterator[Callable[[Callable[[], object], float], None]]:
    """Lets a function be called by a signal handler every so many seconds, until the test ends."""

    def start(handler: Callable[[], object], seconds: float) -> None:
        signal.signal(signal.SIGALRM, lambda *_: handler())
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)

    before = signal.getsignal(signal.SIGALRM)
    yield start
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_signal_handler_that_uses_the_cache_disturbs_nothing(
    cache: fincache.Cache, alarm: Callable[[Callable[[], object], float], None]
) -> None:
    """What it reads does not end up in the call that it interrupted, and the other way round."""
    cache.mset({"main": b"m" * 50, "handler": b"h" * 60})
    seen = []

    def handler() -> None:
        seen.append(cache.get("handler") == b"h" * 60)
        seen.append(cache.mget("handler", "main") == [b"h" * 60, b"m" * 50])
        cache.incr("signals")

    alarm(handler, 0.000_5)
    limit = time.monotonic() + WATCHDOG_SECONDS
    while len(seen) < 400 and time.monotonic() < limit:
        assert cache.get("main") == b"m" * 50
        assert cache.getrange("main", 0, 3) == b"mmmm"
        entry = cache.entry("main")
        assert entry is not None
        assert entry.value == b"m" * 50
        cache.set("counter", 1, ex=100)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert len(seen) >= 400
    assert all(seen)
    assert cache.get("signals") == b"%d" % (len(seen) // 2)


def test_a_signal_handler_may_close_the_cache(
    cache: fincache.Cache, name: str, alarm: Callable[[Callable[[], object], float], None]
) -> None:
    """The interrupted call ends well or with Closed; never a use of what is gone."""
    cache.set("a", 1)
    for _ in range(50):
        other = fincache.attach(name)
        other.get("a")
        alarm(other.close, 0.000_7)
        with pytest.raises(fincache.Closed):  # noqa: PT012
            while True:
                assert other.get("a") == b"1"
                other.touch("a")
                other.ttl("a")
        signal.setitimer(signal.ITIMER_REAL, 0)


# ------------------------------------------------------------------ killed processes


def test_a_killed_writer_leaves_whole_values_and_free_locks(cache: fincache.Cache, observer: fincache.Cache) -> None:
    """P2: killed at any moment of writing, again and again: the value is one that it wrote, and the next write works."""
    for round_number in range(20):

        def write() -> None:
            number = 0
            while True:
                number += 1
                cache.set("a", b"%d," % number * (number % 300 + 1))
                cache.mset({"x": number, "y": number})

        cache.delete("a", "x", "y")
        child = Child(write)
        while int(cache.get("x") or 0) < 7 * round_number + 1:
            assert child.is_running()
        os.kill(child.pid, signal.SIGKILL)
        child.join(killed=True)
        value = cache.get("a")
        assert value is not None
        numbers = value.rstrip(b",").split(b",")
        assert len(set(numbers)) == 1
        assert len(numbers) == int(numbers[0]) % 300 + 1
        x, y = cache.mget("x", "y")
        assert x == y
        assert cache.set("a", "free") is True
        assert cache.mset({"x": 0, "y": 0}) is True
    cache.flushall()
    assert [session.pid for session in observer.sessions() if session.live] == [os.getpid()]


def test_a_stopped_writer_delays_nobody_else(cache: fincache.Cache) -> None:
    """P1, P13: while a writer is stopped in the middle of whatever it did, readers read; a write works or is Busy, naming it."""

    def write() -> None:
        while True:
            cache.mset({"a": b"x" * 100, "b": b"y" * 100})

    child = Child(write)
    while cache.get("b") is None:
        assert child.is_running()
    for _ in range(20):
        os.kill(child.pid, signal.SIGSTOP)
        assert cache.mget("a", "b") == [b"x" * 100, b"y" * 100]
        assert cache.set("other", 1) is True
        try:
            cache.touch("a")
            cache.set("a", b"x" * 100)
        except fincache.Busy as busy:
            assert str(child.pid) in busy.detail  # noqa: PT017
        os.kill(child.pid, signal.SIGCONT)
    os.kill(child.pid, signal.SIGKILL)
    child.join(killed=True)
