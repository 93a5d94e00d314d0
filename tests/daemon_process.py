"""The daemon as a process of its own, for tests: starts, is read, is asked, ends; and nothing of it is left."""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

WAIT_SECONDS_MAX = 30  # a watchdog, not a measurement
# Nothing of the tester's own environment may reach the daemon.
CLEAN_ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("FINCACHE_", "LISTEN_", "WATCHDOG_", "NOTIFY_", "JOURNAL_")) and name != "RUNTIME_DIRECTORY"
}


class DaemonProcess:
    """One `fincache serve`, on a port that the kernel chose and a UNIX socket in the test's folder."""

    def __init__(
        self,
        segment: str,
        folder: Path,
        *options: str,
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        program: Sequence[str] = (sys.executable, "-m", "fincache"),
    ) -> None:
        self.unix_path = str(folder / "s.sock")
        self.lines: list[str] = []
        self._new_lines: queue.Queue[str | None] = queue.Queue()
        defaults = ["--port", str(free_port()), "--unixsocket", self.unix_path, "--max-memory", "4MB", "--threads", "2"]
        self.process = subprocess.Popen(
            [*program, "serve", "-s", segment, *defaults, *options],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**CLEAN_ENVIRONMENT, **(environment or {})},
            pass_fds=pass_fds,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._new_lines.put(line.rstrip("\n"))
        self._new_lines.put(None)

    def wait_for(self, text: str) -> str:
        """The next line of the log that holds `text`; fails with the whole log."""
        deadline_mono = time.monotonic() + WAIT_SECONDS_MAX
        while True:
            try:
                line = self._new_lines.get(timeout=max(0.0, deadline_mono - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"no line with {text!r} in the log:\n" + "\n".join(self.lines))
            self.lines.append(line)
            if text in line:
                return line

    def ready(self) -> DaemonProcess:
        """Waits until it serves."""
        self.serving = self.wait_for(" serving ")
        return self

    @property
    def port(self) -> int:
        """Where it serves by TCP."""
        found = re.search(r"listening=\S*?127\.0\.0\.1:(\d+)", self.serving)
        assert found is not None, self.serving
        return int(found[1])

    def client(self, **options: object) -> redis.Redis:
        """A client by TCP."""
        once = Retry(NoBackoff(), 0)
        return redis.Redis(port=self.port, socket_timeout=WAIT_SECONDS_MAX, retry=once, **options)  # type: ignore[arg-type]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and waits for the end: the exit code. The whole log is in `lines` then."""
        self.process.send_signal(number)
        return self.join()

    def join(self) -> int:
        """Waits for the end: the exit code."""
        code = self.process.wait(WAIT_SECONDS_MAX)
        self._reader.join()
        while (line := self._new_lines.get()) is not None:
            self.lines.append(line)
        self._new_lines.put(None)
        return code

    def log(self) -> str:
        """The log that was read so far."""
        return "\n".join(self.lines)

    def __enter__(self) -> DaemonProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
