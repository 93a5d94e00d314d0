"""The RESP server as a process of its own, for tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SERVER = Path(__file__).parent.parent / "build" / "release" / "csrc" / "fincache-server"


@dataclass
class ServerProcess:
    """A running server."""

    process: subprocess.Popen[str]
    port: int
    segment: str

    def resident_bytes(self) -> int:
        """Private memory of the process: what it allocated itself, without the segment."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no RssAnon")


@contextmanager
def serving(*options: object, segment: str | None = None) -> Iterator[ServerProcess]:
    """A server with a segment of its own (or the one named), and these options; ended with SIGTERM."""
    name = segment or f"srv-{os.getpid()}"
    command = [str(SERVER), "--segment", name, "--port", "0", *(str(option) for option in options)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield ServerProcess(process, int(process.stdout.readline().split()[1]), name)
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
