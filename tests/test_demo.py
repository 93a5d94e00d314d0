"""The demo runs, survives kill -9 of its writer, tells the truth by its exit code, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import fincache
from fincache.demo.reader import Checker, ReaderCounts
from fincache.demo.top_record import Half, Recording, TopRecord, read_recording, seal, seal_half, unseal, unseal_half

WATCHDOG_SECONDS = 120.0
LEVELS_HEADER = "ev,kind,sym,recv_ns,exch_ns,prev_id,last_id,side,price,qty,price2,qty2,chk\n"
RUN = 0x5EED


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "fincache.demo", *arguments]


def run_demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the demo in an empty folder, so that the installed package is what runs."""
    return subprocess.run(command(*arguments), cwd=folder, capture_output=True, text=True, timeout=WATCHDOG_SECONDS, check=False)


def left_behind() -> list[str]:
    return [name for name in fincache.segments() if name.startswith("fincache-demo-")]


def write_feed(folder: Path) -> Path:
    """Two symbols, 200 quotes each, as a plain CSV."""
    lines = [LEVELS_HEADER]
    for number in range(400):
        symbol = "AB"[number % 2]
        bid = 1000 + number % 7
        lines.append(f"{number + 1},Q,{symbol},{number},{number},0,{number},-,{bid},{number + 1},{bid + 2},5,0\n")
    path = folder / "feed.csv"
    path.write_text("".join(lines))
    return path


# ------------------------------------------------------------------ runs


def test_chaos_finds_no_fault_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """P2, P3: the writer is killed with -9 at random moments; readers see whole records, in order, to the end."""
    done = run_demo(tmp_path, "--seconds", "3", "--chaos", "--readers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    summary = done.stdout.splitlines()
    assert summary[-1].startswith("passed    torn 0, backwards 0")
    killed = re.search(r"killed (\d+), restarted (\d+), recoveries (\d+)", done.stdout)
    assert killed is not None
    kills, restarts, recoveries = map(int, killed.groups())
    assert 1 <= kills == restarts
    # A kill before the writer opened its session leaves nothing to settle.
    assert recoveries <= kills
    readers = [line for line in summary if re.match(r"reader \d  [\d,]+ reads", line)]
    assert len(readers) == 2
    for line in readers:
        assert "torn 0, mixed 0, backwards 0, unwritten 0, lost 0, errors 0" in line
    segment = summary[0].split()[1].rstrip(":")
    assert segment not in left_behind()


def test_any_file_in_the_format_can_be_replayed_at_a_pace(tmp_path: Path) -> None:
    """--data takes a plain CSV, --speed sets the pace, and the writer is killed once in the middle."""
    feed = write_feed(tmp_path)
    done = run_demo(tmp_path, "--data", str(feed), "--seconds", "1.5", "--readers", "1", "--speed", "0.000001")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "400 messages of 2 symbols from feed.csv" in done.stdout
    assert "the writer was killed with -9, and is started again" in done.stdout
    assert "killed 1, restarted 1" in done.stdout


def test_keep_leaves_the_segment_with_its_quotes(tmp_path: Path) -> None:
    """--keep names a segment that can be attached afterwards."""
    done = run_demo(tmp_path, "--data", str(write_feed(tmp_path)), "--seconds", "1", "--readers", "1", "--keep")
    kept = re.search(r"kept +segment (\S+)", done.stdout)
    assert kept is not None, done.stdout + done.stderr
    try:
        with fincache.attach(kept[1], readonly=True) as cache:
            assert sorted(cache.scan_iter(match="top:*")) == [b"top:A", b"top:B"]
    finally:
        fincache.unlink(kept[1])


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_ends_its_children_and_removes_its_segment(tmp_path: Path, sent: signal.Signals) -> None:
    """Ctrl-C: one line, exit code 130, no process and no segment left."""
    with subprocess.Popen(
        command("--seconds", "60", "--readers", "2"),
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as demo:  # fmt: skip
        assert demo.stdout is not None
        assert demo.stderr is not None
        try:
            segment = demo.stdout.readline().split()[1].rstrip(":")
            assert " reads/s" in demo.stdout.readline()
            wait_until(lambda: len(children(demo.pid)) == 3)
            running = children(demo.pid)
            demo.send_signal(sent)
            assert demo.wait(WATCHDOG_SECONDS) == 130
        finally:
            demo.kill()
        assert demo.stderr.read() == "interrupted\n"
    assert segment not in left_behind()
    assert not [pid for pid in running if Path(f"/proc/{pid}").exists()]


def test_children_of_a_killed_demo_end_and_remove_the_segment(tmp_path: Path) -> None:
    """The parent is killed with -9: its children notice, end, and unlink."""
    with subprocess.Popen(command("--seconds", "60", "--readers", "2"), cwd=tmp_path, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        try:
            segment = demo.stdout.readline().split()[1].rstrip(":")
            wait_until(lambda: len(children(demo.pid)) == 3)
            running = children(demo.pid)
        finally:
            demo.kill()
    wait_until(lambda: not any(is_running(pid) for pid in running))
    assert segment not in left_behind()


@pytest.mark.parametrize(("module", "line"), [("reader", r"reader \d ended with -9"), ("writer", "the writer ended with -9")])
def test_a_child_that_dies_by_another_hand_fails_the_run(tmp_path: Path, module: str, line: str) -> None:
    """Exit code 1, and the summary says who ended."""
    with subprocess.Popen(command("--seconds", "60", "--readers", "2"), cwd=tmp_path, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        try:
            demo.stdout.readline()
            wait_until(lambda: len(children(demo.pid)) == 3)
            wait_until(lambda: any(f"fincache.demo.{module}" in command_line(pid) for pid in children(demo.pid)))
            victim = next(pid for pid in children(demo.pid) if f"fincache.demo.{module}" in command_line(pid))
            os.kill(victim, signal.SIGKILL)
            output = demo.stdout.read()
            assert demo.wait(WATCHDOG_SECONDS) == 1
        finally:
            demo.kill()
    assert re.search(f"^FAILED    {line}", output, re.MULTILINE), output
    assert "passed" not in output


def test_two_demos_run_at_once(tmp_path: Path) -> None:
    """Each has a segment of its own."""
    arguments = ("--seconds", "1.5", "--readers", "1", "--data", str(write_feed(tmp_path)))
    demos = [subprocess.Popen(command(*arguments), cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [demo.communicate(timeout=WATCHDOG_SECONDS)[0] for demo in demos]
    assert [demo.returncode for demo in demos] == [0, 0], outputs
    assert outputs[0].split()[1] != outputs[1].split()[1]


def wait_until(condition: Callable[[], bool]) -> None:
    """A watchdog, not a measurement."""
    deadline = time.monotonic() + WATCHDOG_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode()


def is_running(pid: int) -> bool:
    """A zombie that nobody waits for (pid 1 of a container may not) counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


# ------------------------------------------------------------------ what cannot run


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    """No traceback: the file and the reason; exit code 2."""
    done = run_demo(tmp_path, "--data", "nowhere.csv")
    assert done.returncode == 2
    assert done.stderr == "fincache.demo: nowhere.csv: No such file or directory\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (LEVELS_HEADER + "1,Q,A,1,1,0,1,-,10,1,ten,5,0\n", "feed.csv, line 2: price2 is 'ten'; allowed: an integer"),
        (LEVELS_HEADER, "no book and no quote in it"),
        ("hello\n", "line 1: the header is 'hello'"),
        (LEVELS_HEADER + "1,L,A,1,1,0,5,B,10,1,0,0,0\n2,L,A,2,2,7,9,B,10,1,0,0,0\n", "the book is at 5"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, text: str, problem: str) -> None:
    """No traceback: file, line, what is wrong; exit code 2."""
    feed = tmp_path / "feed.csv"
    feed.write_text(text)
    done = run_demo(tmp_path, "--data", str(feed))
    assert done.returncode == 2
    assert done.stderr.startswith("fincache.demo: ")
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [("--readers", "0"), ("--seconds", "x"), ("--speed", "-1")])
def test_bad_arguments_are_refused(tmp_path: Path, arguments: tuple[str, str]) -> None:
    """The message says which argument; exit code 2."""
    done = run_demo(tmp_path, *arguments)
    assert done.returncode == 2
    assert f"argument {arguments[0]}" in done.stderr


# ------------------------------------------------------------------ the checks themselves: a demo that cannot fail proves nothing


TOPS = [(10, 1, 12, 5), (11, 2, 13, 6)]


@pytest.fixture
def checker(tmp_path: Path) -> Checker:
    feed = tmp_path / "feed.csv"
    quotes = [f"{n},Q,A,{n},{n},0,{n},-,{bid},{qty},{ask},{qty2},0\n" for n, (bid, qty, ask, qty2) in enumerate(TOPS, 1)]
    feed.write_text(LEVELS_HEADER + "".join(quotes))
    recording = read_recording(feed)
    recording.save(tmp_path / "recording.npz")
    return Checker(Recording.load(tmp_path / "recording.npz"), RUN, ReaderCounts())


def record(sequence: int, message_index: int, top: tuple[int, int, int, int], symbol: bytes = b"A") -> TopRecord:
    return TopRecord(sequence, message_index, 1, 2, 3, *top, symbol)


def faults(counts: ReaderCounts) -> dict[str, int]:
    names = ("torn", "mixed", "unwritten", "backwards", "lost", "errors")
    return {name: count for name in names if (count := getattr(counts, name))}


def test_a_sealed_record_opens_and_a_damaged_one_does_not() -> None:
    """Every byte counts, and so does the run."""
    original = record(7, 1, TOPS[1])
    raw = seal(original, RUN)
    assert unseal(raw, RUN) == original
    assert unseal(raw, RUN + 1) is None
    assert unseal(raw[:-1], RUN) is None
    for position in range(len(raw)):
        damaged = bytearray(raw)
        damaged[position] ^= 1
        assert unseal(bytes(damaged), RUN) is None
    half = Half(1, 2, 3, 4)
    assert unseal_half(seal_half(half, RUN), RUN) == half
    assert unseal_half(seal_half(half, RUN + 1), RUN) is None
    assert unseal_half(b"", RUN) is None


def test_the_checker_passes_what_was_written(checker: Checker) -> None:
    """Rising sequences of quotes of the recording."""
    checker.check_top(0, seal(record(1, 0, TOPS[0]), RUN))
    checker.check_top(0, seal(record(2, 1, TOPS[1]), RUN))
    checker.check_cut(0, seal_half(Half(2, 1, 11, 2), RUN), seal_half(Half(2, 1, 13, 6), RUN))
    assert checker.counts.is_clean()
    assert checker.counts.fresh == 2


def test_the_checker_finds_each_fault(checker: Checker) -> None:
    """A torn record, one that is no quote of the recording, a step back, and halves of two quotes."""
    first, second = seal(record(5, 0, TOPS[0]), RUN), seal(record(6, 1, TOPS[1]), RUN)
    checker.check_top(0, first[:40] + second[40:])
    assert faults(checker.counts) == {"torn": 1}
    checker.check_top(0, seal(record(5, 0, TOPS[1]), RUN))
    checker.check_top(0, seal(record(5, 9, TOPS[1]), RUN))
    checker.check_top(0, seal(record(5, 0, TOPS[0], b"B"), RUN))
    assert faults(checker.counts) == {"torn": 1, "unwritten": 3}
    checker.check_top(0, seal(record(4, 0, TOPS[0]), RUN))
    assert faults(checker.counts) == {"torn": 1, "unwritten": 3, "backwards": 1}
    checker.check_cut(0, seal_half(Half(1, 0, 10, 1), RUN), seal_half(Half(2, 1, 13, 6), RUN))
    assert faults(checker.counts) == {"torn": 1, "unwritten": 3, "backwards": 1, "mixed": 1}
    assert not checker.counts.is_clean()
