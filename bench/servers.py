"""The peers behind a server: redis-py with redis-server, pymemcache with memcached, both over UNIX sockets.

The servers are the system's, started here with nothing kept on disk, their socket in the store's directory, and ended by their
pid. They inherit the processors of the client: on one processor with it a request is answered soonest where waking an idle
processor is dear, as on virtual machines (22 us on one processor, 87 us on two, when this was chosen).
"""

from __future__ import annotations

import ctypes
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from sides import Key, Pairs, Side, UnavailableError, row_names, version_of

START_SECONDS_MAX = 20
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _end_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Server:
    """A server process that listens on a UNIX socket.

    Raises:
        UnavailableError: the program is not installed, or does not start.
    """

    def __init__(self, command: Sequence[str], path: Path, package: str) -> None:
        program = shutil.which(command[0])
        if program is None:
            raise UnavailableError(f"{command[0]} is not installed (Debian package {package}, tools/setup.sh --bench)")
        self._log = path.with_suffix(".log")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_end_with_parent,
            )
        self.pid = self._process.pid
        path.with_suffix(".pid").write_text(str(self.pid))
        deadline = time.monotonic() + START_SECONDS_MAX
        while not answers(path):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise UnavailableError(f"{command[0]} did not start: {self._log.read_text(errors='replace')[-300:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Ends it, by its pid."""
        self._process.terminate()
        try:
            self._process.wait(START_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def answers(path: Path) -> bool:
    """Whether somebody accepts connections: a socket's file is there before its server listens."""
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0


def version_from(program: str, option: str) -> str:
    """The version that a program prints of itself."""
    text = subprocess.run([program, option], text=True, stdout=subprocess.PIPE, check=True).stdout
    found = re.search(r"\d+\.\d+(\.\d+)?", text)
    return found[0] if found else "unknown"


class Served(Side):
    """What redis-server and memcached have in common."""

    command: ClassVar[Sequence[str]]
    package: ClassVar[str]

    def __init__(self, directory: Path, creates: bool, keys: int | None = None) -> None:
        super().__init__(directory, creates, keys)
        self.socket = directory / "server.socket"
        self._server: Server | None = None
        if creates:
            words = [word.format(socket=self.socket, directory=directory) for word in self.command]
            self._server = Server(words, self.socket, self.package)
        self.server_pid = int(self.socket.with_suffix(".pid").read_text())
        self._names: dict[str, Any] = {}

    def bindings(self) -> dict[str, Any]:
        return {"client": self._client, **self._names}

    def prepare_rows(self, keys: Sequence[Key], rows: Any) -> None:
        if self.creates:
            self.prepare([(key, row.tobytes()) for key, row in zip(keys, rows, strict=True)])
        self._names = row_names(keys)

    def read_back(self, keys: Sequence[Key]) -> list[Any]:
        return [self._client.get(key) for key in keys]

    def tables(self, keys: Sequence[Key], tables: Sequence[Any]) -> list[Any]:
        return [{key: row.tobytes() for key, row in zip(keys, table, strict=True)} for table in tables]

    def files(self) -> list[Path]:
        return []

    _client: Any

    def close(self) -> None:
        self._client.close()
        if self._server is not None:
            self._server.stop()
        super().close()


class RedisPy(Served):
    """redis-py."""

    name = "redis-py"
    command = (
        *("redis-server", "--port", "0", "--unixsocket", "{socket}", "--unixsocketperm", "700"),
        *("--save", "", "--appendonly", "no", "--dir", "{directory}"),
    )
    package = "redis-server"
    statements: ClassVar[Mapping[str, str]] = {
        "get": "client.get(key)",
        "miss": "client.get(key)",
        "set": "client.set(key, value)",
        "incr": "client.incr(key)",
        "exists": "client.exists(key)",
        "delete": "client.delete(key)",
        "read": "result = frombuffer(b''.join(client.mget(keys)), dtype)",
        "write": "client.mset(table)",
        "read_row": "client.get(key)",
        "write_row": "client.set(key, row)",
        "mget": "client.mget(keys)",
    }

    def __init__(self, directory: Path, creates: bool, keys: int | None = None) -> None:
        self._version = version_of("redis")
        super().__init__(directory, creates, keys)
        import redis

        self._client = redis.Redis(unix_socket_path=str(self.socket))
        self._client.ping()

    def settings(self) -> str:
        try:
            parser = f"hiredis {version_of('hiredis')}"
        except UnavailableError:
            parser = "its own parser"
        server = version_from("redis-server", "--version")
        return f"redis-py {self._version} with {parser}, redis-server {server}: UNIX socket, --save '' --appendonly no"

    def prepare(self, pairs: Pairs) -> None:
        self._client.flushall()
        self.extend(pairs)

    def extend(self, pairs: Pairs) -> None:
        self._client.mset(dict(pairs))


class PyMemcache(Served):
    """pymemcache. Writes wait for their answer, as those of every other side do; by default they would not."""

    name = "pymemcache"
    command = ("memcached", "-s", "{socket}", "-a", "0700", "-U", "0", "-m", "256", "-u", "root")
    package = "memcached"
    statements: ClassVar[Mapping[str, str]] = {
        "get": "client.get(key)",
        "miss": "client.get(key)",
        "set": "client.set(key, value)",
        "incr": "client.incr(key, 1)",
        "delete": "client.delete(key)",
        "read": """
            found = client.get_many(keys)
            result = frombuffer(b''.join([found[key] for key in keys]), dtype)
            """,
        "write": "client.set_many(table)",
        "read_row": "client.get(key)",
        "write_row": "client.set(key, row)",
        "mget": "client.get_many(keys)",
    }

    def __init__(self, directory: Path, creates: bool, keys: int | None = None) -> None:
        self._version = version_of("pymemcache")
        super().__init__(directory, creates, keys)
        import pymemcache

        self._client = pymemcache.Client(f"unix:{self.socket}", default_noreply=False)
        self._client.version()

    def settings(self) -> str:
        server = version_from("memcached", "--version")
        return f"pymemcache {self._version}, memcached {server}: UNIX socket, 4 threads (its default), default_noreply=False"

    def prepare(self, pairs: Pairs) -> None:
        self.extend(pairs)  # the same keys each time; flush_all is exact to the second only

    def extend(self, pairs: Pairs) -> None:
        self._client.set_many(dict(pairs))
