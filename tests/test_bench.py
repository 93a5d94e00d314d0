"""The benches run: tiny, with real peers where they are installed, and what they publish holds what they measured.

No figure is judged here: a busy machine would fail it. What is judged is that every side of every question was measured, that it
read what was written (the benches check that themselves, and end with an error), and that nothing stays behind.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
SHM = Path("/dev/shm")
RUNS = (
    ["operations", "import_time", "resp"],
    ["array_reads", "latency", "process_scaling", "process_memory", "--peers", "txn per call,redis"],
)
"""The Python benches, in two runs at a time of about the same length; all peers in one of them."""
PACKAGES = {
    "py-lmdb, open txn": "lmdb",
    "py-lmdb, txn per call": "lmdb",
    "UltraDict": "UltraDict",
    "diskcache": "diskcache",
    "shared-memory-dict": "shared_memory_dict",
    "redis-py": "redis",
    "pymemcache": "pymemcache",
}
PROGRAMS = {"redis-py": "redis-server", "pymemcache": "memcached"}
SECONDS_MAX = 120  # a watchdog


def is_here(side: str) -> bool:
    """Whether a peer can take part on this machine."""
    return importlib.util.find_spec(PACKAGES[side]) is not None and shutil.which(PROGRAMS.get(side, "sh")) is not None


def command_lines() -> Iterator[list[str]]:
    """Of every process on the machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            yield path.read_text(encoding="utf-8", errors="replace").split("\0")


@dataclass(frozen=True)
class Ran:
    """Both runs, tiny."""

    results: list[dict[str, Any]]
    printed: list[str]

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """The figures, skipped, checksums ... of both."""
        return [line for results in self.results for line in results[kind]]

    def sides(self, bench: str, operation: str) -> set[str]:
        """Who has a figure."""
        return {row["side"] for row in self.lines("figures") if row["bench"] == bench and row["operation"] == operation}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    work = tmp_path_factory.mktemp("bench")
    running = []
    for number, arguments in enumerate(RUNS):
        command = [sys.executable, str(BENCH / "run_benches.py"), *arguments, "--tiny", "--results", str(work / f"{number}.json")]
        running.append(subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    printed = []
    for process in running:
        out, errors = process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 0, f"{out}\n{errors}"
        printed.append(out)
    return Ran([json.loads((work / f"{number}.json").read_text(encoding="utf-8")) for number in range(len(RUNS))], printed)


@pytest.fixture
def harness() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCH))
    yield importlib.import_module("harness")
    sys.path.remove(str(BENCH))


@pytest.fixture
def page(harness: ModuleType) -> ModuleType:
    return importlib.import_module("benchmarks_page")


def test_every_bench_measures_fincache_and_closes_with_a_checksum(ran: Ran) -> None:
    """Both bindings, all operations, all kinds of array reads; nothing of FinCache is left out."""
    asked = {path.stem.removeprefix("bench_") for path in BENCH.glob("bench_*.py")}
    assert {line["bench"] for line in ran.lines("checksums")} == asked
    skipped = [line for line in ran.lines("skipped") if line["skipped"].startswith("fincache") and line["bench"] != "resp"]
    assert skipped == []
    for operation in ("get", "get of a missing key", "set", "incr", "exists", "delete"):
        assert {"fincache", "fincache, cffi"} <= ran.sides("operations", f"{operation}, bytes key, 32 B"), operation
    for writer in ("", ", under a writer of single rows", ", under a writer of all rows"):
        assert {"fincache", "fincache, cffi"} <= ran.sides("array_reads", f"500 records of 64 bytes into an array{writer}")
    assert {"fincache", "the clock alone"} <= ran.sides("latency", "get timed one by one, under a writer of the same keys")


@pytest.mark.parametrize("side", sorted(PACKAGES))
def test_a_peer_that_is_installed_takes_part_and_another_is_named_as_skipped(ran: Ran, side: str) -> None:
    """Real peers, or a word why not."""
    if is_here(side):
        assert side in ran.sides("operations", "set, bytes key, 32 B")
    else:
        reasons = [line["reason"] for line in ran.lines("skipped") if line["skipped"] == side]
        assert any("is not installed" in reason for reason in reasons)


def test_a_figure_has_quantiles_in_order_and_its_ratio_to_fincache(ran: Ran) -> None:
    """What the tables and the chart are made of."""
    for row in ran.lines("figures"):
        assert row["min"] <= row["p50"] <= row["p99"] <= row["p99.9"] <= row["max"], row
        if "target" in row:
            kept = row[row["judged"]] <= row["target"] if row["relation"] == "<=" else row[row["judged"]] >= row["target"]
            assert row["met"] == kept
        if row["side"] == "fincache" and "ratio" in row:
            assert row["ratio"] == 1


def test_all_numbers_that_were_promised_have_their_target(ran: Ran) -> None:
    """The numbers of the Python face, each with what it is held against."""
    targets = {(row["figure"], row["relation"], row["target"]) for row in ran.lines("figures") if "target" in row}
    array = "500 records of 64 bytes into an array"
    assert {
        ("get, bytes key, 32 B, fincache", "<=", 80),
        ("get, str key, 32 B, fincache", "<=", 80),
        ("set, bytes key, 32 B, fincache", "<=", 130),
        ("set, str key, 32 B, fincache", "<=", 130),
        ("get, bytes key, 32 B, fincache, cffi", "<=", 350),
        ("set, bytes key, 32 B, fincache, cffi", "<=", 450),
        ("one record of 64 bytes, get, fincache", "<=", 250),
        (f"{array}, fincache", "<=", 20_000),
        (f"{array}, under a writer of single rows, fincache", "<=", 60_000),
        (f"{array}, under a writer of all rows, fincache", "<=", 60_000),
        ("import, fincache", "<=", 60),
    } <= targets


def test_the_servers_are_compared_where_both_are_here(ran: Ran) -> None:
    """Rate, processor time and latency of each load, and memory with idle connections; or a word why not."""
    skipped = [line["reason"] for line in ran.lines("skipped") if line["bench"] == "resp"]
    if skipped:
        assert all("is not installed" in reason or "is not built" in reason for reason in skipped)
        return
    for what in ("requests/s", "server's processor time", "p50", "p99", "p99.9"):
        assert ran.sides("resp", f"GET, 32 B, 50 connections, pipeline of 16: {what}") >= {"fincache", "redis-server"}
    judged = {row["figure"] for row in ran.lines("figures") if row["bench"] == "resp" and "target" in row}
    assert {name.partition(": ")[2] for name in judged if "pipeline of 16" in name} == {
        "requests/s against redis-server's",
        "server's processor time against redis-server's",
        "p99 against redis-server's",
    }


def test_importing_fincache_does_not_bring_in_numpy(ran: Ran) -> None:
    """numpy comes with the first call of Cache.records."""
    notes = [line["note"] for line in ran.lines("notes") if line["bench"] == "import_time"]
    assert len(notes) == 2
    assert all(note.endswith("without numpy") for note in notes)


def test_the_table_shows_ratio_measured_target_and_met(ran: Ran) -> None:
    """One row a figure on the terminal."""
    assert [line for line in ran.printed[0].splitlines() if "get, bytes key, 32 B, fincache, cffi" in line and "<= 350" in line]
    assert ran.printed[0].splitlines()[0].split() == ["bench", "figure", "ratio", "measured", "unit", "median", "target", "met"]


def test_nothing_stays_in_shared_memory_and_no_server_runs_on(ran: Ran) -> None:
    """Stores and sockets are in /dev/shm, in folders and segments named by the bench's pid; a server is told its folder."""
    names = [f"{line['pid']}-{line['bench']}-" for line in ran.lines("benches")]
    assert len(names) == len(ran.lines("checksums"))
    assert [path.name for path in SHM.iterdir() if any(name in path.name for name in names)] == []
    assert [words for words in command_lines() if any(name in word for word in words for name in names)] == []


def test_a_server_that_is_not_installed_is_named_with_its_package(tmp_path: Path) -> None:
    """Without redis-server and memcached on the path both are skipped, and the rest is measured."""
    environment = {**os.environ, "PATH": str(tmp_path)}
    command = [sys.executable, str(BENCH / "bench_latency.py"), "--tiny", "--json", "--writing_ms", "5"]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=SECONDS_MAX, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    skipped = {line["skipped"]: line["reason"] for line in lines if "skipped" in line}
    for side, program in PROGRAMS.items():
        package_is_here = importlib.util.find_spec(PACKAGES[side]) is not None
        assert f"{program if package_is_here else PACKAGES[side]} is not installed" in skipped[side]
    assert any(line.get("side") == "fincache" and "figure" in line for line in lines)


def test_publishing_rewrites_what_is_between_the_markers_and_nothing_else(ran: Ran, page: ModuleType, tmp_path: Path) -> None:
    """docs/benchmarks.md and README.md keep what was written by hand; every side is in the page."""
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "docs/benchmarks.md"):
        (tmp_path / name).write_text(f"before\n{page.BEGIN}\nold figures\n{page.END}\nafter\n", encoding="utf-8")
    whole = {**ran.results[0], **{kind: ran.lines(kind) for kind in ("sides", "figures", "skipped", "notes", "checksums")}}
    page.publish(whole, tmp_path)
    for name in ("README.md", "docs/benchmarks.md"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert text.startswith(f"before\n{page.BEGIN}\n")
        assert text.endswith(f"\n{page.END}\nafter\n")
        assert "old figures" not in text
        assert "benchmarks.png" in text
    for side in ran.sides("operations", "get, bytes key, 32 B"):
        assert f"| {side} |" in text or f"| **{side}** |" in text
    if importlib.util.find_spec("matplotlib") is not None:
        head = (tmp_path / "docs" / "benchmarks.png").read_bytes()[:24]
        assert head.startswith(b"\x89PNG")
        assert min(struct.unpack(">II", head[16:24])) > 500
    assert (ROOT / "README.md").read_text(encoding="utf-8").count(page.BEGIN) == 1
    assert (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8").count(page.BEGIN) == 1


def test_publishing_refuses_a_file_without_markers(page: ModuleType, tmp_path: Path) -> None:
    """Text that was written by hand is not guessed at."""
    (tmp_path / "README.md").write_text("by hand\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="has no lines"):
        page.replace_between(tmp_path / "README.md", "figures")
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "by hand\n"


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds(harness: ModuleType) -> None:
    """A round that a neighbour disturbed disturbs both sides of it."""
    assert harness.ratio_of_rounds([20.0, 200.0, 22.0], [10.0, 100.0, 11.0]) == 2.0
    with pytest.raises(ValueError, match="zip"):
        harness.ratio_of_rounds([1.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing"], 2, "no such bench: nothing"),
        (["--rounds", "0"], 2, "--rounds is 1 or more"),
        (["--quick", "--tiny"], 2, "not allowed with argument"),
    ],
)
def test_a_wrong_command_line_is_refused_with_what_is_allowed(arguments: list[str], code: int, said: str) -> None:
    """Before anything is run."""
    done = subprocess.run(
        [sys.executable, str(BENCH / "run_benches.py"), *arguments], text=True, capture_output=True, check=False
    )
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_a_bench_tells_its_parameters() -> None:
    """--help, and a parameter that there is not."""
    for arguments, code in ((["--help"], 0), (["--nothing", "1"], 2)):
        command = [sys.executable, str(BENCH / "bench_operations.py"), *arguments]
        done = subprocess.run(command, text=True, capture_output=True, check=False)
        assert done.returncode == code
        assert "--round_ms" in done.stdout
