"""A real redis-server for the comparison tests, and what of redis-py corresponds to what of FinCache.

The server listens on a UNIX socket in a temporary folder, persists nothing, and is stopped by its pid.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

import fincache

START_SECONDS_MAX = 20  # a watchdog, not a measurement

# What redis-py raises, by its text, and what Cache raises where Redis does. Kinds, not words: a ValueError stays one.
KINDS: list[tuple[str, tuple[type[Exception], ...]]] = [
    (r"mutually exclusive", (fincache.InvalidArgument,)),
    (r"not compatible", (fincache.InvalidArgument,)),
    (r"invalid expire time", (fincache.InvalidArgument,)),
    (r"wrong number of arguments", (fincache.InvalidArgument,)),
    (r"Invalid input of type", (fincache.InvalidType,)),
    (r"must be datetime", (fincache.InvalidType,)),
    (r"value is not an integer or out of range", (fincache.NotAnInteger, fincache.InvalidArgument, fincache.InvalidType)),
    (r"increment or decrement would overflow", (fincache.IncrementOverflow,)),
    (r"decrement would overflow", (fincache.InvalidArgument,)),
    (r"value is not a valid float", (fincache.NotAFloat,)),
    (r"would produce NaN or Infinity", (fincache.NotAFloat, fincache.IncrementOverflow)),
    (r"no such key", (fincache.NoSuchKey,)),
    (r"offset is out of range", (fincache.InvalidArgument,)),
    (r"string exceeds maximum allowed size", (fincache.ValueTooLong,)),
    (r"source and destination objects are the same", (fincache.InvalidArgument,)),
    (r"DB index is out of range", (fincache.InvalidArgument,)),
    (r"syntax error", (fincache.InvalidArgument,)),
    (r"codec can't decode", (fincache.NotText,)),
]


@contextmanager
def running() -> Iterator[str]:
    """Starts a server and gives the path of its socket."""
    folder = tempfile.mkdtemp(prefix="fcr")
    socket = f"{folder}/socket"
    command = ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", folder]
    with (Path(folder) / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + START_SECONDS_MAX
        while not answers(socket):
            if server.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"redis-server did not start:\n{(Path(folder) / 'log').read_text()}")
            time.sleep(0.01)
        yield socket
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


def answers(socket: str) -> bool:
    """Whether a server listens there."""
    client = redis.Redis(unix_socket_path=socket)
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
    finally:
        client.close()


def kinds_of(error: Exception) -> tuple[type[Exception], ...]:
    """The exceptions of FinCache that stand for one of redis-py."""
    for pattern, classes in KINDS:
        if re.search(pattern, str(error)):
            return classes
    raise AssertionError(f"redis-py raised what the table has not: {error!r}") from error


@dataclass(frozen=True)
class Difference:
    """Something that Cache means to do otherwise than redis-py.

    Attributes:
        what: as docs/python.md puts it.
        call: an expression of `r`, run on a fresh database in which "a" holds "x" and "n" holds 5.
        redis: its value there, or the exception's name.
        ours: its value here, or the exception's name.
    """

    what: str
    call: str
    redis: str
    ours: str


DIFFERENCES = [
    Difference("times may be fractions", 'r.set("a", 1, ex=1.5)', "DataError", "True"),
    Difference("times may be fractions", 'r.expire("a", 0.5)', "ResponseError", "True"),
    Difference(
        "a timedelta counts to the microsecond", 'r.expire("a", timedelta(seconds=1.9)) and r.pttl("a") > 1500', "False", "True"
    ),
    Difference("numbers are numbers, not text", 'r.set("a", 1, ex="10")', "True", "InvalidType"),
    Difference("numbers are numbers, not text", 'r.incr("n", "10")', "15", "InvalidType"),
    Difference("numbers are numbers, not text", 'r.scan("0")[0]', "0", "InvalidType"),
    Difference("an expiry lies before the year 2262", 'r.pexpire("a", 1 << 60)', "True", "InvalidArgument"),
    Difference("arguments are checked even if the key is missing", 'r.getex("missing", ex=0)', "None", "InvalidArgument"),
    Difference("an empty list of keys is no error", "r.delete()", "ResponseError", "0"),
    Difference("arguments are checked even if the key is missing", 'r.getex("missing", ex=0)', "None", "InvalidArgument"),
    Difference("an empty list of keys is no error", "r.exists()", "ResponseError", "0"),
    Difference("arguments are checked even if the key is missing", 'r.getex("missing", ex=0)', "None", "InvalidArgument"),
    Difference("an empty list of keys is no error", "r.touch()", "ResponseError", "0"),
    Difference("arguments are checked even if the key is missing", 'r.getex("missing", ex=0)', "None", "InvalidArgument"),
    Difference("an empty list of keys is no error", "r.unlink()", "ResponseError", "0"),
    Difference("del of a missing key is a KeyError", 'r.__delitem__("missing")', "None", "NoSuchKey"),
    Difference("in answers True or False", 'r.__contains__("a")', "1", "True"),
    Difference("len and iteration work", "len(r)", "TypeError", "2"),
    Difference("len and iteration work", "sorted(r)", "KeyError", "[b'a', b'n']"),
    Difference("an IntEnum is stored as its number", 'r.set("a", Side.BUY) and r.get("a")', "b'<Side.BUY: 1>'", "b'1'"),
    Difference("mset takes mappings only, and says so", 'r.mset([("a", 1)])', "AttributeError", "InvalidType"),
    Difference(
        "text that cannot be encoded is an InvalidArgument", r'r.set("\ud800", 1)', "UnicodeEncodeError", "InvalidArgument"
    ),
    Difference("a cursor is not negative", "r.scan(-1)[0]", "0", "InvalidArgument"),
    Difference("info() tells about the segment", "type(r.info())", "<class 'dict'>", "<class 'fincache._reports.SegmentInfo'>"),
    Difference("another database is a view: db(n)", "r.select(1)", "True", "AttributeError"),
]
