"""What the tests of the command line have in common: running it in this process, and as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from click.testing import CliRunner, Result

from fincache.cli import command_line

FINCACHE = (sys.executable, "-m", "fincache")
WAIT_SECONDS_MAX = 60  # a watchdog, not a measurement
Run = Callable[..., Result]


def call(*arguments: str, stdin: bytes | None = None) -> Result:
    """Runs a command in this process."""
    return CliRunner().invoke(command_line, arguments, input=stdin)


def program(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Runs the program to its end."""
    return subprocess.run([*FINCACHE, *arguments], capture_output=True, timeout=WAIT_SECONDS_MAX, check=False, **options)


def start(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Starts the program; the caller ends it."""
    return subprocess.Popen([*FINCACHE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def finish(process: subprocess.Popen[bytes], signal_number: int | None = None) -> tuple[int, bytes, bytes]:
    """Signals a program, if need be, and waits for its end: exit code, stdout, stderr."""
    if signal_number is not None:
        process.send_signal(signal_number)
    try:
        stdout, stderr = process.communicate(timeout=WAIT_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return process.returncode, stdout, stderr


def loaded(result: Result) -> Any:
    """The JSON that a command printed."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
