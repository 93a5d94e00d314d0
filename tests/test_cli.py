"""The program `fincache` as a whole: how it ends, what it says when it cannot, help, and how it writes bytes and numbers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import click
import pytest
from cli_programs import FINCACHE, call, finish, program, start
from conftest import Child

import fincache
from fincache.cli import COMMANDS, command_line
from fincache.cli.exits import ExitCode, exit_code_of
from fincache.cli.output import count_text, duration_text, quote, size_text, unquote

NOBODY = 65_534
BINARY = bytes(range(256)) + "é €".encode()


class TestTheEnd:
    def test_every_exception_of_the_library_has_an_exit_code(self) -> None:
        for name in fincache.__all__:
            kind = getattr(fincache, name)
            if isinstance(kind, type) and issubclass(kind, fincache.FinCacheError):
                assert exit_code_of(kind("x")) is not None, name

    def test_a_fault_of_the_program_has_none(self) -> None:
        assert exit_code_of(ValueError("x")) is None

    def test_a_missing_segment_is_one_line(self) -> None:
        found = program("-s", "no-such-segment", "get", "k")
        assert found.returncode == ExitCode.MISSING
        assert found.stderr.count(b"\n") == 1
        assert found.stderr.startswith(b"fincache: no segment of that name: segment no-such-segment.")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
    def test_what_another_user_may_not_do_is_exit_code_4(self, cache: fincache.Cache) -> None:
        cache.set("k", "v")
        commands = (["get", "k"], ["set", "k", "w"], ["del", "k"], ["top", "--once", "-i", "0.05"], ["stat"], ["keys"])
        for command in commands:  # imports what they need: the other user may have no right to read this Python
            call("-s", cache.name, *command)
        cache.set("k", "v")
        listed = call("ls").stdout
        assert call("rm", "no-such-segment").exit_code == ExitCode.MISSING

        def try_as_nobody() -> None:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            for command in commands:
                found = call("-s", cache.name, *command)
                assert (found.exit_code, found.stdout) == (ExitCode.PERMISSION, ""), command
                assert found.stderr.startswith("fincache: no permission for the segment: ")
            assert call("rm", cache.name).exit_code == ExitCode.PERMISSION
            assert call("rm", "--force", cache.name).exit_code == ExitCode.PERMISSION
            assert "denied" in next(line for line in call("ls").stdout.splitlines() if line.startswith(cache.name))

        assert cache.name in listed
        Child(try_as_nobody).join()
        assert cache.get("k") == b"v"

    @pytest.mark.parametrize(
        "arguments",
        [["watch", "k", "-i", "nan"], ["watch", "k", "--timeout", "nan"], ["top", "-i", "nan"], ["bench", "--seconds", "nan"]],
    )
    def test_nan_is_no_length_of_time(self, cache: fincache.Cache, arguments: list[str]) -> None:
        assert call("-s", cache.name, *arguments).exit_code == ExitCode.USAGE

    def test_an_unknown_command_is_answered_with_the_nearest(self) -> None:
        found = call("gte")
        assert found.exit_code == 2
        assert "Did you mean get?" in found.output

    def test_a_reader_who_goes_away_ends_the_program_quietly(self, cache: fincache.Cache) -> None:
        cache.set("k", bytes(2_000_000))
        process = start("-s", cache.name, "get", "k")
        assert process.stdout is not None
        assert process.stdout.read(1) == b"\0"
        process.stdout.close()
        process.stdout = None
        assert finish(process) == (ExitCode.PIPE, None, b"")

    def test_a_full_disk_is_one_line(self, cache: fincache.Cache) -> None:
        cache.set("k", "v")
        with Path("/dev/full").open("wb") as full:
            found = subprocess.run([*FINCACHE, "-s", cache.name, "get", "k"], stdout=full, stderr=subprocess.PIPE, check=False)
        assert (found.returncode, found.stderr) == (ExitCode.FAILED, b"fincache: No space left on device\n")

    def test_closed_output_is_no_failure(self, cache: fincache.Cache) -> None:
        cache.set("k", "v")
        command = ["sh", "-c", 'exec "$@" >&-', "sh", *FINCACHE, "-s", cache.name]
        for arguments in (["get", "k"], ["set", "k", "v"], ["stat", "--json"]):
            found = subprocess.run([*command, *arguments], stderr=subprocess.PIPE, check=False)
            assert (found.returncode, found.stderr) == (0, b"")

    def test_an_encoding_that_lacks_a_character_is_no_failure(self, cache: fincache.Cache) -> None:
        cache.set("k", "5 \u20ac \U0001f600")
        environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
        found = program("-s", cache.name, "get", "--no-raw", "k", env=environment)
        assert (found.returncode, found.stdout) == (0, b'"5 \\u20ac \\U0001f600"\n')
        found = program("-s", cache.name, "get", "--json", "k", env=environment)
        assert json.loads(found.stdout) == {"key": "k", "value": "5 \u20ac \U0001f600"}
        assert program("-s", cache.name, "get", "--raw", "k", env=environment).stdout == cache.get("k")

    def test_help_names_every_command_and_every_exit_code(self) -> None:
        text = call("--help").stdout
        for section, names in COMMANDS.items():
            assert f"{section}:" in text
            for name in names:
                assert f"\n  {name} " in text
        for code in ExitCode:
            assert f"{code.value:>5}  {code.meaning}" in text

    def test_every_command_has_help_with_examples_of_its_options(self) -> None:
        context = click.Context(command_line)
        for name in command_line.list_commands(context):
            found = call(name, "--help")
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
