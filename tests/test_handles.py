"""Every method of Cache on a handle that cannot do it: read-only, closed, of another process; and on one that can."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable

import pytest
from conftest import Child, refused

import fincache

Use = Callable[[fincache.Cache], object]

# Each method that writes, and how it is called on `untouched`.
WRITES: dict[str, Use] = {
    "__delitem__": lambda cache: cache.__delitem__("text"),
    "__setitem__": lambda cache: cache.__setitem__("text", 1),
    "append": lambda cache: cache.append("text", "x"),
    "cas": lambda cache: cache.cas("text", 1, 1),
    "copy": lambda cache: cache.copy("text", "other"),
    "decr": lambda cache: cache.decr("big"),
    "decrby": lambda cache: cache.decrby("big", 2),
    "delete": lambda cache: cache.delete("text"),
    "expire": lambda cache: cache.expire("text", 10),
    "expireat": lambda cache: cache.expireat("text", 4_000_000_000),
    "flushall": lambda cache: cache.flushall(),
    "flushdb": lambda cache: cache.flushdb(),
    "getdel": lambda cache: cache.getdel("text"),
    "getex": lambda cache: cache.getex("text", ex=10),
    "getset": lambda cache: cache.getset("text", 1),
    "incr": lambda cache: cache.incr("float"),
    "incrby": lambda cache: cache.incrby("float", 2),
    "incrbyfloat": lambda cache: cache.incrbyfloat("float", 1),
    "mset": lambda cache: cache.mset({"text": 1}),
    "msetnx": lambda cache: cache.msetnx({"new": 1}),
    "persist": lambda cache: cache.persist("text"),
    "pexpire": lambda cache: cache.pexpire("text", 10),
    "pexpireat": lambda cache: cache.pexpireat("text", 4_000_000_000_000),
    "pop": lambda cache: cache.pop("text"),
    "psetex": lambda cache: cache.psetex("text", 1000, 1),
    "reap": lambda cache: cache.reap(),
    "rename": lambda cache: cache.rename("text", "other"),
    "renamenx": lambda cache: cache.renamenx("text", "other"),
    "set": lambda cache: cache.set("text", 1),
    "set get": lambda cache: cache.set("text", 1, get=True),
    "set nx ex": lambda cache: cache.set("new", 1, nx=True, ex=5),
    "set_policy": lambda cache: cache.set_policy("noeviction"),
    "setdefault": lambda cache: cache.setdefault("new", 1),
    "setex": lambda cache: cache.setex("text", 10, 1),
    "setnx": lambda cache: cache.setnx("new", 1),
    "setrange": lambda cache: cache.setrange("text", 1, "x"),
    "sweep": lambda cache: cache.sweep(),
    "unlink": lambda cache: cache.unlink("text"),
    "update": lambda cache: cache.update({"text": 1}),
    "update function": lambda cache: cache.update("text", lambda old: 1),
    "records set": lambda cache: cache.records("f8").set("new", 1.5),
}
READS: dict[str, Use] = {
    "__contains__": lambda cache: "text" in cache,
    "__getitem__": lambda cache: cache["text"],
    "__iter__": lambda cache: list(cache),
    "__len__": lambda cache: len(cache),
    "classes": lambda cache: cache.classes(),
    "db": lambda cache: cache.db(0),
    "dbsize": lambda cache: cache.dbsize(),
    "echo": lambda cache: cache.echo("x"),
    "entry": lambda cache: cache.entry("text"),
    "execute": lambda cache: cache.execute("GET", "text"),
    "exists": lambda cache: cache.exists("text"),
    "expiretime": lambda cache: cache.expiretime("text"),
    "get": lambda cache: cache.get("text"),
    "get default": lambda cache: cache.get("missing", 5),
    "get max_age": lambda cache: cache.get("text", max_age=60),
    "get_into": lambda cache: cache.get_into("text", bytearray(10)),
    "get_many": lambda cache: cache.get_many("text", "big"),
    "getrange": lambda cache: cache.getrange("text", 0, 1),
    "info": lambda cache: cache.info(),
    "items": lambda cache: list(cache.items()),
    "keys": lambda cache: cache.keys(),
    "keyset": lambda cache: cache.mget(cache.keyset(["text", "big"])),
    "mget": lambda cache: cache.mget("text", "big"),
    "mget none": lambda cache: cache.mget([]),
    "pexpiretime": lambda cache: cache.pexpiretime("text"),
    "ping": lambda cache: cache.ping(),
    "pttl": lambda cache: cache.pttl("text"),
    "randomkey": lambda cache: cache.randomkey(),
    "records": lambda cache: cache.records("f8").get("new"),
    "scan": lambda cache: cache.scan(),
    "scan_iter": lambda cache: list(cache.scan_iter()),
    "session_stats": lambda cache: cache.session_stats(),
    "sessions": lambda cache: cache.sessions(),
    "stats": lambda cache: cache.stats(),
    "strlen": lambda cache: cache.strlen("text"),
    "substr": lambda cache: cache.substr("text", 0),
    "time": lambda cache: cache.time(),
    "touch": lambda cache: cache.touch("text"),  # marks nothing through a read-only mapping
    "ttl": lambda cache: cache.ttl("text"),
    "type": lambda cache: cache.type("text"),
    "values": lambda cache: list(cache.values()),
    "version": lambda cache: cache.version("text"),
}
# What is no use of the segment, or only by what is called through it (test_pipeline.py).
OTHERS = {"close", "closed", "database", "name", "pipeline", "readonly", "transaction"}


def test_every_method_is_in_the_table() -> None:
    """Whoever adds one says whether it writes."""
    public = {name for name in dir(fincache.Cache) if not name.startswith("_")}
    listed = {use.split()[0] for use in WRITES.keys() | READS.keys()}
    assert public - listed == OTHERS
    assert {name for name in listed if not hasattr(fincache.Cache, name)} == set()


@pytest.mark.parametrize("write", WRITES)
def test_writing_through_a_read_only_attachment(untouched: fincache.Cache, name: str, write: str) -> None:
    """P6: every write is refused by name, and a PermissionError."""
    with fincache.attach(name, readonly=True) as reader, refused(fincache.ReadOnly):
        WRITES[write](reader)


@pytest.mark.parametrize("read", READS)
def test_reading_through_a_read_only_attachment(untouched: fincache.Cache, name: str, read: str) -> None:
    """P6: every read works."""
    with fincache.attach(name, readonly=True) as reader:
        READS[read](reader)


@pytest.mark.parametrize("use", [*READS, *WRITES])
def test_use_after_close(untouched: fincache.Cache, name: str, use: str) -> None:
    """P12: Closed, never a crash; the segment and other attachments go on."""
    other = fincache.attach(name)
    view = other.db(0)
    other.get("text")  # so that there is a session to forget
    other.close()
    for closed in (other, view):
        with refused(fincache.Closed):
            (READS | WRITES)[use](closed)


def test_iterators_end_with_their_cache(untouched: fincache.Cache, name: str) -> None:
    """P12: what was begun before close() raises Closed, too."""
    other = fincache.attach(name)
    iterators = [other.scan_iter(), other.items(), other.values(), iter(other)]
    other.close()
    for iterator in iterators:
        with refused(fincache.Closed):
            next(iterator)


def test_every_method_works_in_a_child_of_fork(cache: fincache.Cache) -> None:
    """P12: the child goes on with its parent's Cache, by sessions of its own; so do the child's threads."""
    cache.mset({"text": "abc", "big": 5, "float": 1})

    def use_all() -> None:
        for use in [*READS.values(), *WRITES.values()]:
            cache.mset({"text": "abc", "big": 5, "float": 1})
            use(cache)

    def in_child() -> None:
        use_all()
        thread = threading.Thread(target=use_all)
        thread.start()
        thread.join()
        cache.set("done", 1)

    Child(in_child).join()
    assert cache.get("done") == b"1"
    use_all()


def test_a_cache_cannot_be_pickled(untouched: fincache.Cache) -> None:
    """It is a mapping of this process; the hint says what to do in another one."""
    with refused(fincache.InvalidType):
        pickle.dumps(untouched)
