"""Random sequences of commands, byte for byte as redis-server answers them, in RESP2 and RESP3.

Families add lines to TEMPLATES. A word in braces is drawn from the pool of that name. Expiries are either long or in the past, so
that no reply depends on how fast the machine is; replies that tell what is left of one are compared by kind (LOOSE). What differs
on purpose is in a table of docs/redis-differences.md, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from resp_client import RespClient
from server_process import ServerProcess, serving

POOLS = {
    "key": ["a", "b", "c", "d"],
    "value": ["1", "-5", "3.5", "abc", "", " 1", "9223372036854775807", "0x10", "1e3", "x" * 40, "00", "nan", "inf", "5 "],
    "number": [
        "0",
        "1",
        "-1",
        "5",
        "100",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "x",
        "",
        "1.5",
        "010",
    ],
    "expiry": ["100000", "0", "-1", "9223372036854775807", "x", "", "1.5", "0100000"],
    "deadline": ["4102444800", "1", "0", "-1", "x"],
    "condition": ["NX", "XX", "GT", "LT", "FOO"],
    "existence": ["NX", "XX", "FOO"],  # GT and LT of relative times hang on the millisecond in Redis, on the nanosecond here
    "option": ["NX", "XX", "GET", "KEEPTTL", "FOO"],
    "unit": ["EX", "PX"],
    "unit_at": ["EXAT", "PXAT"],
    "database": ["0", "1", "16", "-1", "x", ""],
    "restoring": ["REPLACE", "ABSTTL", "FREQ", "FOO"],
    "flush": ["ASYNC", "SYNC", "FOO"],
    "name": ["me", "a b", ""],
    "parameter": ["timeout", "maxmemory", "nosuch", "slowlog-max-len", "hash-max-ziplist-entries", "appendfsync"],
    "setting": ["0", "x", "-1", "100mb", "no", "yes", "always"],
    "index": ["0", "1", "-1", "2", "7", "8", "9", "-9", "63", "64", "65", "-64", "1000", "-1000"],
    "bit": ["0", "1", "0", "1", "2", "x"],
    "bits": ["BIT", "BYTE"],
    "offset": ["0", "1", "7", "8", "63", "100", "#0", "#1", "#3", "-1", "x", "#", "4294967296"],
    "encoding": ["u1", "u8", "i8", "i16", "u63", "i64", "i13", "u64", "i65", "u0", "x8"],
    "addend": ["0", "1", "-1", "255", "-1000", "9223372036854775807", "x"],  # to INT64_MIN Redis 7.0 saturates at the wrong end
    "overflow": ["WRAP", "SAT", "FAIL", "FOO"],
    "bit_operation": ["AND", "OR", "XOR", "NOT", "FOO"],
    "command": ["GET", "SET", "PING", "FOO", "MSET"],
}

TEMPLATES = """
SET {key} {value}
SET {key} {value} {option}
SET {key} {value} {unit} {expiry}
SET {key} {value} {unit_at} {deadline}
SET {key} {value} {unit} {expiry} {option}
SET {key} {value} NX GET
SET {key} {value} XX GET
GET {key}
GETSET {key} {value}
GETDEL {key}
GETEX {key}
GETEX {key} PERSIST
GETEX {key} {unit} {expiry}
GETEX {key} {unit_at}
GETEX {key} FOO 1
SETEX {key} {expiry} {value}
PSETEX {key} {expiry} {value}
SETNX {key} {value}
MSET {key} {value} {key} {value}
MSET {key} {value} {key}
MSETNX {key} {value} {key} {value}
MGET {key} {key} {key}
APPEND {key} {value}
STRLEN {key}
INCR {key}
DECR {key}
INCRBY {key} {number}
DECRBY {key} {number}
INCRBYFLOAT {key} {value}
GETRANGE {key} {number} {number}
SUBSTR {key} {number} {number}
SETRANGE {key} {number} {value}
SETBIT {key} {offset} {bit}
GETBIT {key} {offset}
BITCOUNT {key}
BITCOUNT {key} {index} {index}
BITCOUNT {key} {index} {index} {bits}
BITPOS {key} {bit}
BITPOS {key} {bit} {index}
BITPOS {key} {bit} {index} {index}
BITPOS {key} {bit} {index} {index} {bits}
BITOP {bit_operation} {key} {key}
BITOP {bit_operation} {key} {key} {key}
BITFIELD {key} GET {encoding} {offset} SET {encoding} {offset} {addend}
BITFIELD {key} OVERFLOW {overflow} INCRBY {encoding} {offset} {addend} SET {encoding} {offset} {addend}
BITFIELD_RO {key} GET {encoding} {offset} {overflow}
LCS {key} {key}
LCS {key} {key} LEN
LCS {key} {key} IDX WITHMATCHLEN
LCS {key} {key} IDX MINMATCHLEN {number}
LCS {key} {key} LEN IDX
DEL {key} {key}
UNLINK {key}
EXISTS {key} {key}
TYPE {key}
EXPIRE {key} {expiry}
EXPIRE {key} {expiry} {existence}
EXPIRE {key} 10 GT LT
PEXPIRE {key} {expiry} {existence} {existence}
EXPIREAT {key} {deadline}
EXPIREAT {key} {deadline} {condition}
PEXPIREAT {key} {deadline} {condition} {condition}
PEXPIREAT {key} {deadline}
PERSIST {key}
TTL {key}
PTTL {key}
EXPIRETIME {key}
RENAME {key} {key}
RENAMENX {key} {key}
COPY {key} {key}
COPY {key} {key} REPLACE
COPY {key} {key} DB {database}
COPY {key} {key} FOO
MOVE {key} {database}
TOUCH {key} {key}
DUMP {key}
RESTORE {key} {expiry} {value}
RESTORE {key} 0 {value} {restoring}
RESTORE {key} 0 {value} REPLACE FREQ {number}
RESTORE {key} 0 {value} IDLETIME {number} ABSTTL
DBSIZE
FLUSHDB
FLUSHALL {flush}
SELECT {database}
PING
PING {value}
PING a b
ECHO {value}
MULTI
EXEC
EXEC
DISCARD
WATCH {key}
UNWATCH
FOO {value} {value}
get
CLIENT GETNAME
CLIENT SETNAME {name}
CLIENT FOO
CONFIG SET {parameter} {setting}
CONFIG SET timeout
CONFIG FOO
AUTH x
HELLO 4
HELLO x
COMMAND GETKEYS {command} x
COMMAND FOO
CONFIG
"""

LOOSE = {"TTL", "PTTL", "EXPIRETIME", "DBSIZE"}  # Redis counts dead keys that it has not met yet
GUIDE = Path(__file__).parent.parent / "docs" / "redis-differences.md"
# (command, beginning of Redis's reply), as documented.
DIFFERENCES = [
    (name, start.encode())
    for name, start in re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
]


def templates() -> list[list[str]]:
    return [line.split() for line in TEMPLATES.strip().splitlines()]


@st.composite
def command(draw: st.DrawFn) -> list[str]:
    words = draw(st.sampled_from(templates()))
    return [draw(st.sampled_from(POOLS[word[1:-1]])) if word.startswith("{") else word for word in words]


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving("--threads", 1) as running:
        yield running


def same(call: list[str], theirs: bytes, ours: bytes) -> bool:
    if theirs == ours or any(call[0] == name and theirs.startswith(start) for name, start in DIFFERENCES):
        return True
    if call[0] == "EXEC" and theirs[:1] == ours[:1] == b"*":  # TTL may be among what it ran
        return theirs.count(b"\r\n") == ours.count(b"\r\n")
    return call[0] in LOOSE and theirs[:1] == ours[:1] == b":" and (theirs[1:2] == b"-") == (ours[1:2] == b"-")


@pytest.mark.parametrize("protocol", [2, 3])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(command(), min_size=20, max_size=60))
def test_replies_are_those_of_redis(reference_socket: str, server: ServerProcess, protocol: int, calls: list[list[str]]) -> None:
    """Each reply is the same bytes."""
    with RespClient(reference_socket, protocol) as redis, RespClient(server.port, protocol) as fincache:
        for client in (redis, fincache):
            client.execute("FLUSHALL")
        for call in calls:
            redis.send(*call)
            fincache.send(*call)
            theirs, ours = redis.read_raw(), fincache.read_raw()
            assert same(call, theirs, ours), f"{call}: {ours!r}, redis-server replies {theirs!r}"
