"""`fincache completion`: the scripts, and what shells are answered. bash runs for real, zsh and fish where they are installed."""

from __future__ import annotations

import os
import pty
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from cli_programs import FINCACHE, WAIT_SECONDS_MAX, call

import fincache
from fincache.cli import COMMANDS, command_line
from fincache.cli.cmd_completion import SHELLS

BASH = r"""
eval "$(fincache completion bash)"
COMP_LINE={line}; COMP_POINT=${{#COMP_LINE}}
_fincache_completion fincache
printf '%s\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH on which `fincache` is a program."""
    script = tmp_path / "fincache"
    script.write_text(f'#!/bin/sh\nexec {" ".join(FINCACHE)} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def bash_completes(path: str, *words: str) -> list[str]:
    """What bash offers for the last word."""
    command = ["bash", "-c", BASH.format(line=shlex.quote(" ".join(("fincache", *words))))]
    environment = os.environ | {"PATH": path}
    found = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_SECONDS_MAX, check=True, env=environment)
    assert found.stderr == ""
    return found.stdout.split()


def read_until(terminal: int, mark: bytes) -> bytes:
    """What a terminal shows, up to a text."""
    text = b""
    while mark not in text:
        text += os.read(terminal, 1 << 16)
    return text


class TestBash:
    def test_commands(self, path: str) -> None:
        assert bash_completes(path, "") == [name for names in COMMANDS.values() for name in names]
        assert bash_completes(path, "do") == ["doctor"]

    def test_options(self, path: str) -> None:
        assert {"--nx", "--ex", "--keepttl", "--segment"} <= set(bash_completes(path, "set", "--"))

    def test_segments(self, path: str, cache: fincache.Cache) -> None:
        assert bash_completes(path, "stat", cache.name[:-2]) == [cache.name]
        assert bash_completes(path, "-s", cache.name[:-2]) == [cache.name]

    def test_keys_of_the_segment(self, path: str, cache: fincache.Cache) -> None:
        cache.mset({"AAPL-last": 1, "AAPL-bid": 2, "MSFT-bid": 3, b"AAPL-\xff": 4})
        assert bash_completes(path, "-s", cache.name, "get", "AAPL-") == ["AAPL-bid", "AAPL-last"]
        assert bash_completes(path, "get", "-s", cache.name, "M") == ["MSFT-bid"]

    def test_keys_with_colons_at_which_bash_cuts_words(self, path: str, cache: fincache.Cache) -> None:
        """In a real interactive bash: the Tab completes the key, and the line reads it."""
        cache.mset({"quotes:AAPL:last": "150.25", "quotes:MSFT:last": "1", "quotes:AAPL last": "2"})
        master, slave = pty.openpty()
        environment = os.environ | {"PATH": path, "PS1": "ready> ", "TERM": "dumb", "INPUTRC": "/dev/null"}
        command = ["bash", "--norc", "--noprofile", "-i"]
        shell = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True)
        os.close(slave)
        os.write(master, b'eval "$(fincache completion bash)"; echo loa""ded\n')
        read_until(master, b"loaded")
        os.write(master, f"fincache -s {cache.name} get --raw quotes:AA\t\n".encode())
        assert b"get --raw quotes:AAPL:last" in read_until(master, b"150.25")
        os.write(master, b"exit\n")
        assert shell.wait(WAIT_SECONDS_MAX) == 0
        os.close(master)

    def test_a_segment_that_is_not_there_offers_nothing(self, path: str) -> None:
        assert bash_completes(path, "-s", "no-such-segment", "get", "A") == []


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_what_the_shell_can_read(shell: str) -> None:
    script = call("completion", shell).stdout
    assert "_FINCACHE_COMPLETE" in script
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    flag = "--no-execute" if shell == "fish" else "-n"
    assert subprocess.run([program, flag], input=script.encode(), check=False, capture_output=True).stderr == b""


def test_another_shell_is_refused() -> None:
    assert call("completion", "tcsh").exit_code == 2


def test_every_command_completes_its_options() -> None:
    context = click.Context(command_line, info_name="fincache")
    for name in command_line.list_commands(context):
        command = command_line.get_command(context, name)
        assert command is not None
        with click.Context(command, info_name=name, parent=context) as inner:
            assert "--help" in [item.value for item in command.shell_complete(inner, "--h")]


def test_get_starts_without_what_it_does_not_need(cache: fincache.Cache) -> None:
    """`fincache get` stands in scripts and prompts: neither numpy nor the other commands are loaded for it."""
    code = (
        "import sys; sys.argv = ['fincache', '-s', sys.argv[1], 'get', 'k']; import fincache.cli\n"
        "try: fincache.cli.main()\n"
        "except SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if name.startswith(('numpy', 'yaml', 'rich', 'asyncio', 'fincache.cli.c'))))"
    )
    cache.set("k", "v")
    found = subprocess.run([sys.executable, "-c", code, cache.name], capture_output=True, text=True, check=True)
    assert found.stdout == "v['fincache.cli.cmd_values']\n"
