"""The parent's handle on the child process of a side, and a run's stage: its scratch directory in /dev/shm and its children.

A stage leaves nothing: children end when their standard input does, are killed by pid if they do not, and directories and
segments of the run, known by its prefix, are removed, whatever happened.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from harness import Bench
from sides import SEGMENT_PREFIX, UnavailableError

HERE = Path(__file__).resolve().parent
SHM = Path("/dev/shm")
END_SECONDS_MAX = 30
Answer = dict[str, Any]
ENVIRONMENTS = {"fincache": {"FINCACHE_BINDING": ""}, "fincache, cffi": {"FINCACHE_BINDING": "cffi"}}


class SideError(Exception):
    """A side raised; the text is its traceback."""


class SideProcess:
    """One child with one side.

    Attributes:
        name: of the side.
        directory: of its store; another process attaches by it.
        settings: what the side says of itself.
        operations: what it can do.
        has_server: whether its store is another process.
    """

    def __init__(self, name: str, directory: Path, *, creates: bool, cpu: int | None, keys: int | None) -> None:
        self.name = name
        self.directory = directory
        request = {"side": name, "directory": str(directory), "creates": creates, "cpu": cpu, "keys": keys}
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "side_child.py"), json.dumps(request)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": "1", **ENVIRONMENTS.get(name, {})},
        )
        self._pending = 1
        self.settings = ""
        self.operations: list[str] = []
        self.has_server = False

    def await_start(self) -> None:
        """Waits until the side is ready. Raises UnavailableError."""
        answer = self.receive()
        self.settings = str(answer["settings"])
        self.operations = list(answer["statements"])
        self.has_server = bool(answer["has_server"])

    def send(self, do: str, **arguments: object) -> None:
        """Asks, without waiting for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        self._pending += 1

    def receive(self) -> Answer:
        """The answer to the request before. Raises UnavailableError, SideError."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self._pending -= 1
        if not line:
            raise SideError(f"{self.name}: its process ended with code {self._process.wait()}")
        answer: Answer = json.loads(line)
        if "unavailable" in answer:
            raise UnavailableError(answer["unavailable"])
        if "error" in answer:
            raise SideError(f"{self.name}: {answer['error']}")
        return answer

    def ask(self, do: str, **arguments: object) -> Answer:
        """Asks and waits."""
        self.send(do, **arguments)
        return self.receive()

    def settle(self) -> None:
        """Takes the answers that are still to come, whatever they say."""
        while self._pending:
            with contextlib.suppress(UnavailableError, SideError):
                self.receive()

    def end(self) -> None:
        """Ends the child; by its pid, if it does not by itself."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class Stage:
    """All children of a run. A context manager; what is left of the run is removed at its end."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._prefix = f"{os.getpid()}-{bench.name}-"
        self._numbers = itertools.count()
        self._children: list[SideProcess] = []

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for child in reversed(self._children):  # those that attached before those that created
            child.end()
        for path in SHM.iterdir():
            if path.name.startswith(self._prefix):
                shutil.rmtree(path)
            elif path.name.startswith((f"fincache.{SEGMENT_PREFIX}{self._prefix}", f"bench_{self._prefix}")):
                path.unlink()

    def start(self, names: Iterable[str], *, cpu: int | None = None, keys: int | None = None) -> list[SideProcess]:
        """Starts sides, all at once; those that cannot take part are reported as skipped and left out.

        Args:
            names: of sides.
            cpu: the processor that they stay on; None: any.
            keys: for how many small keys the store is to be made; None: for the operations of a bench.
        """
        starting = []
        for name in filter(self._bench.takes, names):
            directory = Path(tempfile.mkdtemp(prefix=f"{self._prefix}{next(self._numbers)}-", dir=SHM))
            child = SideProcess(name, directory, creates=True, cpu=cpu, keys=keys)
            self._children.append(child)
            starting.append(child)
        return [child for child in starting if self._has_started(child)]

    def _has_started(self, child: SideProcess) -> bool:
        try:
            child.await_start()
        except UnavailableError as reason:
            self._bench.skip(child.name, str(reason))
            return False
        self._bench.side(child.name, child.settings)
        return True

    def attach(self, creator: SideProcess, *, cpu: int | None = None) -> SideProcess:
        """Another process on the store of one that was started. Raises UnavailableError."""
        child = SideProcess(creator.name, creator.directory, creates=False, cpu=cpu, keys=None)
        self._children.append(child)
        child.await_start()
        return child
