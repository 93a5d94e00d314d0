"""`fincache get`, `set`, `del`, `ttl`: values, options, exit codes, and how the program ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import fincache
from fincache.cli import COMMANDS, command_line
from fincache.cli.exits import ExitCode, exit_code_of
from fincache.cli.output import count_text, duration_text, quote, size_text, unquote

FINCACHE = (sys.executable, "-m", "fincache")
BINARY = bytes(range(256)) + "é €".encode()


@pytest.fixture
def run(cache: fincache.Cache) -> Callable[..., Result]:
    """Runs a command on the segment of `cache`, in this process."""

    def call(*arguments: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(command_line, ["-s", cache.name, *arguments], input=stdin)

    return call


def start(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    """Runs the program as a process of its own."""
    return subprocess.run([*FINCACHE, *arguments], capture_output=True, timeout=60, check=False, **options)  # type: ignore[call-overload, no-any-return]


class TestGet:
    def test_a_value_goes_to_a_pipe_byte_for_byte(self, cache: fincache.Cache) -> None:
        cache.set("k", BINARY)
        found = start("-s", cache.name, "get", "k")
        assert (found.returncode, found.stdout, found.stderr) == (0, BINARY, b"")

    def test_a_miss_is_exit_code_1_and_nothing_on_stdout(self, run: Callable[..., Result]) -> None:
        found = run("get", "absent")
        assert (found.exit_code, found.output) == (1, "")

    def test_no_raw_quotes_as_on_a_terminal(self, cache: fincache.Cache, run: Callable[..., Result]) -> None:
        cache.set("k", b'a"\n\x00\xff')
        assert run("get", "--no-raw", "k").stdout == '"a\\"\\n\\x00\\xff"\n'

    def test_several_keys_are_lines_of_key_and_value(self, cache: fincache.Cache, run: Callable[..., Result]) -> None:
        cache.mset({"bid": 1, "ask": 2})
        found = run("get", "bid", "ask", "absent")
        assert found.stdout == '"bid"\t"1"\n"ask"\t"2"\n"absent"\t(nil)\n'
        assert found.exit_code == 1

    def test_json_tells_text_from_other_bytes(self, cache: fincache.Cache, run: Callable[..., Result]) -> None:
        cache.mset({"text": "é", "bytes": b"\xff\x00"})
        assert json.loads(run("get", "--json", "text").stdout) == {"key": "text", "value": "é"}
        assert json.loads(run("get", "--json", "bytes", "none").stdout) == [
            {"key": "bytes", "value": {"base64": "/wA="}},
            {"key": "none", "value": None},
        ]

    def test_output_writes_a_large_value_to_a_file(
        self, cache: fincache.Cache, run: Callable[..., Result], tmp_path: Path
    ) -> None:
        value = os.urandom(1_000_000)
        cache.set("k", value)
        file = tmp_path / "value"
        assert run("get", "k", "-o", str(file)).exit_code == 0
        assert file.read_bytes() == value

    def test_a_miss_leaves_the_file_alone(self, run: Callable[..., Result], tmp_path: Path) -> None:
        file = tmp_path / "value"
        assert run("get", "absent", "-o", str(file)).exit_code == 1
        assert not file.exists()


class TestSet:
    @pytest.mark.parametrize("arguments", [["-x"], ["-i", "-"]])
    def test_a_value_comes_from_stdin_byte_for_byte(
        self, cache: fincache.Cache, run: Callable[..., Result], arguments: list[str]
    ) -> None:
        assert run("set", "k", *arguments, stdin=BINARY).stdout == "OK\n"
        assert cache.get("k") == BINARY

    def test_a_value_comes_from_a_file(self, cache: fincache.Cache, run: Callable[..., Result], tmp_path: Path) -> None:
        file = tmp_path / "value"
        file.write_bytes(BINARY)
        assert run("set", "k", "-i", str(file)).exit_code == 0
        assert cache.get("k") == BINARY

    def test_escapes_name_keys_and_values_that_a_shell_cannot(self, cache: fincache.Cache, run: Callable[..., Result]) -> None:
        assert run("set", "-e", quote(b"k\0\n"), quote(BINARY)).exit_code == 0
        assert cache.get(b"k\0\n") == BINARY
        assert run("get", "-e", r"k\x00\n", "--no-raw").stdout == quote(BINARY) + "\n"

    def test_conditions_that_do_not_hold_are_exit_code_1(self, cache: fincache.Cache, run: Callable[..., Result]) -> None:
        assert (run("set", "k", "1", "--xx").exit_code, cache.get("k")) == (1, None)
        assert run("set", "k", "1", "--nx").exit_code == 0
        found = run("set", "k", "2", "--nx")
        assert (found.exit_code, found.stdout, cache.get("k")) == (1, "", b"1")

    def test_get_prints_the_old_value(self, cache: fincache.Cache, run: Callable[..., Result]) -> None:
        assert (run("set", "k", "1", "--get").exit_code, cache.get("k")) == (0, b"1")
        found = run("set", "k", "2", "--get")
        assert (found.exit_code, found.stdout, cache.get("k")) == (0, "1", b"2")
        found = run("set", "k", "3", "--get", "--nx")
        assert (found.exit_code, found.stdout, cache.get("k")) == (1, "2", b"2")
        assert run("set", "new", "3", "--get", "--xx").exit_code == 1

    def test_expiries_and_keepttl(self, cache: fincache.Cache, run: Callable[..., Result]) -> None:
        run("set", "k", "1", "--ex", "100.5")
        assert 100_000 < cache.pttl("k") <= 100_500
        run("set", "k", "2", "--keepttl")
        assert 100_000 < cache.pttl("k") <= 100_500
        run("set", "k", "3", "--px", "5000")
        assert 4_000 < cache.pttl("k") <= 5_000
        run("set", "k", "4", "--exat", "4000000000")
        assert cache.pttl("k") > 1_000_000_000_000
        run("set", "k", "4")
        assert cache.pttl("k") == -1

    @pytest.mark.parametrize(
        "arguments",
        [
            ["k"],
            ["k", "v", "-x"],
            ["k", "v", "--ex", "1", "--px", "1"],
            ["k", "v", "--ex", "0"],
            ["k", "v", "--ex", "soon"],
            ["k", "v", "--nx", "--xx"],
            ["k" * 65_537, "v"],
            ["-e", "k\\q", "v"],
            ["-e", "k\\", "v"],
            ["k", "-i", "/nonexistent"],
        ],
    )
    def test_what_is_not_allowed_is_exit_code_2(self, run: Callable[..., Result], arguments: list[str]) -> None:
        found = run("set", *arguments)
        assert found.exit_code == 2
        assert found.stdout == ""
        assert found.stderr


class TestDelAndTtl:
    def test_del_prints_how_many_there_were(self, cache: fincache.Cache, run: Callable[..., Result]) -> None:
        cache.mset({"a": 1, "b": 2})
        assert run("del", "a", "b", "c").stdout == "2\n"
        found = run("del", "a")
        assert (found.exit_code, found.stdout) == (1, "0\n")

    def test_ttl_speaks_as_redis_does(self, cache: fincache.Cache, run: Callable[..., Result]) -> None:
        cache.set("k", 1)
        cache.set("e", 1, ex=100)
        assert run("ttl", "k").stdout == "-1\n"
        assert run("ttl", "e").stdout == "100\n"
        assert 99_000 < int(run("ttl", "--ms", "e").stdout) <= 100_000
        found = run("ttl", "absent")
        assert (found.exit_code, found.stdout) == (1, "-2\n")
        assert json.loads(run("ttl", "--json", "k").stdout) == {"key": "k", "exists": True, "ttl_ms": None}

    def test_db_chooses_the_database(self, cache: fincache.Cache, run: Callable[..., Result]) -> None:
        run("-n", "3", "set", "k", "3")
        run("set", "-n", "4", "k", "4")
        assert (cache.get("k"), cache.db(3).get("k"), cache.db(4).get("k")) == (None, b"3", b"4")
        assert run("-n", "40", "get", "k").exit_code == 2


class TestTheEnd:
    def test_every_exception_of_the_library_has_an_exit_code(self) -> None:
        for name in fincache.__all__:
            kind = getattr(fincache, name)
            if isinstance(kind, type) and issubclass(kind, fincache.FinCacheError):
                assert exit_code_of(kind("x")) is not None, name

    def test_a_fault_of_the_program_has_none(self) -> None:
        assert exit_code_of(ValueError("x")) is None

    def test_a_missing_segment_is_one_line(self) -> None:
        found = start("-s", "no-such-segment", "get", "k")
        assert found.returncode == ExitCode.MISSING
        assert found.stderr.count(b"\n") == 1
        assert found.stderr.startswith(b"fincache: no segment of that name: segment no-such-segment.")

    def test_an_unknown_command_is_answered_with_the_nearest(self) -> None:
        found = CliRunner().invoke(command_line, ["gte"])
        assert found.exit_code == 2
        assert "Did you mean get?" in found.output

    def test_a_reader_who_goes_away_ends_the_program_quietly(self, cache: fincache.Cache) -> None:
        cache.set("k", bytes(2_000_000))
        process = subprocess.Popen([*FINCACHE, "-s", cache.name, "get", "k"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == ExitCode.PIPE
        process.stderr.close()

    def test_a_full_disk_is_one_line(self, cache: fincache.Cache) -> None:
        cache.set("k", "v")
        with Path("/dev/full").open("wb") as full:
            found = subprocess.run([*FINCACHE, "-s", cache.name, "get", "k"], stdout=full, stderr=subprocess.PIPE, check=False)
        assert (found.returncode, found.stderr) == (ExitCode.FAILED, b"fincache: No space left on device\n")

    def test_help_names_every_command_and_every_exit_code(self) -> None:
        text = CliRunner().invoke(command_line, ["--help"]).stdout
        for section, names in COMMANDS.items():
            assert f"{section}:" in text
            for name in names:
                assert f"\n  {name} " in text
        for code in ExitCode:
            assert f"{code.value:>5}  {code.meaning}" in text

    def test_every_command_has_help_with_examples_of_its_options(self) -> None:
        context = click.Context(command_line)
        for name in command_line.list_commands(context):
            found = CliRunner().invoke(command_line, [name, "--help"])
            assert found.exit_code == 0
            assert f"Usage: command-line {name}" in found.stdout.replace("command_line", "command-line")


class TestText:
    @pytest.mark.parametrize("data", [b"", b"plain", BINARY, b"\\n", b'"', b"\xed\xa0\x80", "\u202eevil\x1b[2J".encode()])
    def test_unquote_reads_what_quote_wrote(self, data: bytes) -> None:
        text = quote(data)
        assert unquote(text.encode()) == data
        assert text.isprintable()

    def test_units(self) -> None:
        assert [size_text(n) for n in (0, 1023, 1024, 268435456, 1 << 41)] == ["0 B", "1023 B", "1.0 KiB", "256.0 MiB", "2.0 TiB"]
        assert [duration_text(n) for n in (850, 12_300, 4e6, 4e9, 123e9, 7380e9, 435_600e9)] == [
            "850 ns",
            "12.3 us",
            "4.0 ms",
            "4.0 s",
            "2m03s",
            "2h03m",
            "5d01h",
        ]
        assert [count_text(n) for n in (0, 999, 12_345, 4_560_000)] == ["0", "999", "12.3k", "4.56M"]
