"""bench_resp -- how many requests a second does FinCache's server answer, and at what processor time, beside redis-server?

Method   redis-benchmark drives both servers, which take turns in every round, over UNIX sockets, with random keys out of
         `keys`. Each load is a number of connections, a pipeline depth, a command and a size of value. Reported are requests a
         second, p50, p99 and p99.9 of the latency that redis-benchmark saw, and processor time of the server process for one
         request, from the process's own clock (clock_getcpuclockid(3)): the figure that a machine with more processors would
         show, too, where the client is what limits the rate. The number of requests in a round is chosen for each load so that
         it takes `round_ms`. The load generator has the second processor and the servers the first, with one thread each; then
         FinCache's server with two threads, on both. At last idle connections: what they add to the server's memory.
Checks   counters must add up to the number of INCRs; values that were SET are read back.
Command  python bench/bench_resp.py           or bench/run_benches.py resp
"""

from __future__ import annotations

import math
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness import Bench, Parameter, Relation, Target, ratio_of_rounds
from servers import Server, version_from
from side_child import anonymous_bytes, cpu_ns_of
from sides import SEGMENT_PREFIX, UnavailableError

PARAMETERS = (
    Parameter("keys", 10_000, 10_000, 100, "keys, and as many counters"),
    Parameter("round_ms", 250, 120, 10, "time of one load in a round, in ms"),
    Parameter("rounds", 5, 3, 1, "rounds"),
    Parameter("loads", 19, 19, 5, "loads, from the first of the list"),
    Parameter("idle", 10_000, 10_000, 100, "idle connections"),
)
ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "release" / "csrc" / "fincache-server"
OURS, THEIRS, TWO_THREADS = "fincache", "redis-server", "fincache, 2 threads"
MGET_KEYS = 10
EXACT_MS = 20
"""What must have passed for redis-benchmark's milliseconds to be exact enough."""
FILES_BESIDE = 200
CLIENTS_MAX = 11_000


@dataclass(frozen=True)
class Load:
    """What redis-benchmark sends."""

    command: str
    connections: int
    pipeline: int
    value_bytes: int = 32

    @property
    def title(self) -> str:
        """In words."""
        size = {32: "32 B", 1024: "1 KiB", 65536: "64 KiB"}[self.value_bytes]
        connections = "1 connection" if self.connections == 1 else f"{self.connections} connections"
        return f"{self.command}, {size}, {connections}, pipeline of {self.pipeline}"

    def words(self) -> list[str]:
        """The command; redis-benchmark puts a number of 12 digits for __rand_int__."""
        key = f"{prefix_of(self.value_bytes)}:__rand_int__"
        if self.command == "SET":
            return ["SET", key, value_of(self.value_bytes)]
        if self.command == "INCR":
            return ["INCR", "cnt:__rand_int__"]
        return ["MGET", *([key] * MGET_KEYS)] if self.command == "MGET" else ["GET", key]


LOADS = (
    Load("GET", 50, 1),
    Load("SET", 50, 1),
    Load("INCR", 50, 1),
    Load("MGET", 50, 1),
    Load("GET", 50, 16),
    Load("SET", 50, 16),
    Load("INCR", 50, 16),
    Load("MGET", 50, 16),
    Load("GET", 50, 100),
    Load("SET", 50, 100),
    Load("GET", 1, 1),
    Load("SET", 1, 1),
    Load("GET", 1000, 1),
    Load("SET", 1000, 1),
    Load("GET", 50, 1, 1024),
    Load("SET", 50, 1, 1024),
    Load("GET", 50, 16, 1024),
    Load("GET", 50, 1, 65536),
    Load("SET", 50, 1, 65536),
)
LARGE_KEYS = 100

Judged = tuple[Relation, float]
RATE: dict[int, Judged] = {1: (">=", 1.0), 16: (">=", 1.5)}
PROCESSOR: dict[int, Judged] = {1: ("<=", 1.0), 16: ("<=", 1 / 3)}
P99: dict[int, Judged] = {1: ("<=", 1.0), 16: ("<=", 1.0)}
"""By pipeline depth, for GET and SET of 32 bytes and 50 connections: FinCache's against redis-server's in the same rounds."""
IDLE_TARGET = Target("<=", 100)


def prefix_of(value_bytes: int) -> str:
    """Three letters for the keys of a size."""
    return {32: "key", 1024: "kib", 65536: "big"}[value_bytes]


def value_of(value_bytes: int) -> str:
    """What SET stores."""
    return "v" * value_bytes


def keys_of(load: Load, keys: int) -> int:
    """How many keys a load draws from: large values have fewer."""
    return min(keys, LARGE_KEYS) if load.value_bytes > 1024 else keys


@dataclass
class Measured:
    """Of one server under one load: what each round gave."""

    requests: int = 200
    rate: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    p999: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class RespServer:
    """A server that listens."""

    name: str
    pid: int
    socket: Path

    def ask(self, *commands: Sequence[str]) -> list[bytes | int | None]:
        """Sends commands, one after the other in one piece, and returns their replies: strings, numbers, None for nil."""
        with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rwb") as stream:
            connection.connect(str(self.socket))
            for words in commands:
                stream.write(b"*%d\r\n" % len(words))
                for word in words:
                    stream.write(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()))
            stream.flush()
            return [self._reply(stream.readline().rstrip(b"\r\n"), stream.read) for _ in commands]

    def _reply(self, head: bytes, read: object) -> bytes | int | None:
        kind, rest = head[:1], head[1:]
        if kind == b"$" and int(rest) >= 0 and callable(read):
            return bytes(read(int(rest) + 2)[:-2])
        if kind == b"-":
            raise UnavailableError(f"{self.name} answered {head.decode()}")
        return None if kind == b"$" else int(rest) if kind == b":" else rest


@contextmanager
def served(name: str, directory: Path, cpus: set[int]) -> Iterator[RespServer]:
    """A server of that name, on these processors, until the end of the block."""
    directory.mkdir()
    path = directory / "server.socket"
    if name == THEIRS:
        words = [
            "redis-server",
            "--port",
            "0",
            "--unixsocket",
            str(path),
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            str(directory),
        ]
    else:
        segment = f"{SEGMENT_PREFIX}{directory.parent.name}-{directory.name}"
        threads = "2" if name == TWO_THREADS else "1"
        words = [str(PROGRAM), "--segment", segment, "--size", str(256 << 20), "--port", "0", "--unixsocket", str(path)]
        words += ["--threads", threads]
    server = Server([*words, "--maxclients", str(CLIENTS_MAX)], path, "redis-server")
    try:
        for task in Path(f"/proc/{server.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), cpus)
        yield RespServer(name, server.pid, path)
    finally:
        server.stop()


def fill(server: RespServer, keys: int) -> None:
    """All keys that GET and MGET ask for."""
    for value_bytes, count in ((32, keys), (1024, keys), (65536, min(keys, LARGE_KEYS))):
        chunk = max(1, 100_000 // value_bytes)
        value = value_of(value_bytes)
        for at in range(0, count, chunk):
            numbers = range(at, min(count, at + chunk))
            server.ask(*(["SET", f"{prefix_of(value_bytes)}:{number:012d}", value] for number in numbers))


def drive(server: RespServer, load: Load, requests: int, keys: int, cpu: int) -> tuple[float, float, list[float]]:
    """One run of redis-benchmark: requests a second, the server's processor time in ns for one, and p50, p99, p99.9 in ns.

    The rate is infinite if it all took less than a millisecond, which is how exactly redis-benchmark measures that.
    """
    words = ["redis-benchmark", "-s", str(server.socket), "-c", str(load.connections), "-P", str(load.pipeline)]
    words += ["-n", str(requests), "-r", str(keys_of(load, keys)), "--precision", "3", *load.words()]
    before = cpu_ns_of(server.pid)
    done = subprocess.run(
        words,
        text=True,
        capture_output=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
    )
    spent = cpu_ns_of(server.pid) - before
    text = done.stdout.replace("\r", "\n")
    found = re.search(r"throughput summary: ([\d.]+|inf) requests per second", text)
    completed = re.search(r"(\d+) requests completed", text)
    if found is None or completed is None:
        raise UnavailableError(f"redis-benchmark said {text[-300:]!r} {done.stderr[-300:]!r}")
    shares = [(float(share), float(ms)) for share, ms in re.findall(r"([\d.]+)% <= ([\d.]+) milliseconds", text)]
    quantiles = [next((ms for share, ms in shares if share >= wanted), shares[-1][1]) * 1e6 for wanted in (50, 99, 99.9)]
    return float(found[1]), spent / int(completed[1]), quantiles


def calibrate(server: RespServer, load: Load, keys: int, cpu: int, round_ms: int) -> int:
    """How many requests take about a round."""
    requests = max(200, load.connections * load.pipeline)
    while True:
        rate, _, _ = drive(server, load, requests, keys, cpu)
        if requests / rate * 1000 >= min(round_ms, EXACT_MS):
            return max(load.connections * load.pipeline, int(rate * round_ms / 1000))
        requests *= 4


def measure(bench: Bench, servers: Sequence[RespServer], load: Load, cpu: int, issued: dict[str, int]) -> dict[str, Measured]:
    """Rounds in which the servers take turns. `issued` counts the INCRs."""
    found = {server.name: Measured() for server in servers}
    for server in servers:
        kept = found[server.name]
        kept.requests = calibrate(server, load, bench["keys"], cpu, bench["round_ms"])
    for number in range(bench["rounds"]):
        at = number % len(servers)
        for server in (*servers[at:], *servers[:at]):
            kept = found[server.name]
            rate, cpu_ns, (p50, p99, p999) = drive(server, load, kept.requests, bench["keys"], cpu)
            while math.isinf(rate):  # the calibration met a disturbance
                kept.requests *= 4
                rate, cpu_ns, (p50, p99, p999) = drive(server, load, kept.requests, bench["keys"], cpu)
            kept.rate.append(rate / 1000)
            kept.cpu.append(cpu_ns)
            kept.p50.append(p50)
            kept.p99.append(p99)
            kept.p999.append(p999)
            issued[server.name] = issued.get(server.name, 0) + (kept.requests if load.command == "INCR" else 0)
    return found


def judged(load: Load, targets: dict[int, Judged]) -> Target | None:
    """The promise for a load, if there is one."""
    if load.connections != 50 or load.value_bytes != 32 or load.command not in {"GET", "SET"} or load.pipeline not in targets:
        return None
    relation, value = targets[load.pipeline]
    return Target(relation, round(value, 3))


def report(bench: Bench, load: Load, found: dict[str, Measured]) -> None:
    """The figures of all servers, and FinCache's against redis-server's."""
    ours = found[OURS]
    for name, kept in found.items():
        for what, unit, samples, reference in (
            ("requests/s", "k/s", kept.rate, ours.rate),
            ("server's processor time", "ns", kept.cpu, ours.cpu),
            ("p50", "ns", kept.p50, ours.p50),
            ("p99", "ns", kept.p99, ours.p99),
            ("p99.9", "ns", kept.p999, ours.p999),
        ):
            ratio = ratio_of_rounds(samples, reference)
            bench.figure(
                f"{load.title}: {what}, {name}", unit, samples, side=name, operation=f"{load.title}: {what}", ratio=ratio
            )
    if THEIRS not in found:
        return
    theirs = found[THEIRS]
    for what, mine, others, targets in (
        ("requests/s", ours.rate, theirs.rate, RATE),
        ("server's processor time", ours.cpu, theirs.cpu, PROCESSOR),
        ("p99", ours.p99, theirs.p99, P99),
    ):
        target = judged(load, targets)
        if target is not None:
            ratios = [one / other for one, other in zip(mine, others, strict=True)]
            bench.figure(f"{load.title}: {what} against redis-server's", "x", ratios, target=target)


def check(bench: Bench, server: RespServer, issued: int) -> int:
    """Counters add up, values are whole; the checksum."""
    keys = bench["keys"]
    counters = server.ask(*(["GET", f"cnt:{number:012d}"] for number in range(keys)))
    total = sum(int(found) for found in counters if found is not None)
    if total < issued:
        raise SystemExit(f"{server.name}: {issued} INCRs were answered, the counters add up to {total}")
    checksum = 0
    for value_bytes, count in ((32, keys), (1024, keys), (65536, min(keys, LARGE_KEYS))):
        for number in range(count):
            (value,) = server.ask(["GET", f"{prefix_of(value_bytes)}:{number:012d}"]) if number % 100 == 0 else (None,)
            if number % 100 == 0 and value != value_of(value_bytes).encode():
                raise SystemExit(f"{server.name} has {value!r} for key {number} of {value_bytes} bytes")
            checksum += zlib.crc32(value) if isinstance(value, bytes) else 0
    return checksum


def idle_connections(bench: Bench, servers: Sequence[RespServer]) -> None:
    """What connections that do nothing take: anonymous memory of the server, and that it still answers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(bench["idle"], hard - FILES_BESIDE)
    if count < bench["idle"]:
        bench.note(f"idle connections: {count}, not {bench['idle']}: the limit of open files is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, count + FILES_BESIDE)), hard))
    title = f"anonymous memory of the server with {count} idle connections"
    for server in servers:
        before = anonymous_bytes(server.pid)
        try:
            after = memory_with(server, count)
        except UnavailableError as reason:
            bench.skip(f"{title}, {server.name}", str(reason))
            continue
        target = IDLE_TARGET if server.name == OURS else None
        bench.figure(f"{title}, {server.name}", "MB", [after / 1e6], side=server.name, operation=title, target=target)
        each = f"{title}: what one adds"
        bench.figure(f"{each}, {server.name}", "bytes", [(after - before) / count], side=server.name, operation=each)


def memory_with(server: RespServer, count: int) -> int:
    """Anonymous memory of a server that holds idle connections, and answers one more. Raises UnavailableError."""
    with ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            connection.connect(str(server.socket))
        if server.ask(["PING"]) != [b"PONG"]:
            raise UnavailableError(f"{server.name} does not answer PING with PONG")
        return anonymous_bytes(server.pid)


def main(arguments: Sequence[str]) -> None:
    """Measures and prints."""
    bench = Bench("resp", "How many requests a second does FinCache's server answer, beside redis-server?", PARAMETERS, arguments)
    for program, package in (("redis-server", "redis-server"), ("redis-benchmark", "redis-tools")):
        if shutil.which(program) is None:
            bench.skip("redis-server", f"{program} is not installed (Debian package {package}, tools/setup.sh --bench)")
            bench.end(0)
            return
    if not PROGRAM.exists():
        bench.skip("fincache", f"{PROGRAM.relative_to(ROOT)} is not built (make build-release)")
        bench.end(0)
        return
    allowed = sorted(os.sched_getaffinity(0))
    first, last = allowed[0], allowed[-1]
    issued: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-{bench.name}-", dir="/dev/shm") as scratch, ExitStack() as stack:
        servers = []
        for number, name in enumerate((OURS, THEIRS, TWO_THREADS)):
            cpus = set(allowed) if name == TWO_THREADS else {first}
            servers.append(stack.enter_context(served(name, Path(scratch) / str(number), cpus)))
            fill(servers[-1], bench["keys"])
        bench.side(OURS, f"{PROGRAM.name}, segment of 256 MiB")
        bench.side(THEIRS, f"redis-server {version_from('redis-server', '--version')}: --save '' --appendonly no")
        for load in LOADS[: bench["loads"]]:
            taking_part = (
                servers if load.connections >= 50 and load.value_bytes == 32 and load.command in {"GET", "SET"} else servers[:2]
            )
            report(bench, load, measure(bench, taking_part, load, last, issued))
        idle_connections(bench, servers[:2])
        checksum = sum(check(bench, server, issued.get(server.name, 0)) for server in servers)
    bench.end(checksum)


if __name__ == "__main__":
    main(sys.argv[1:])
