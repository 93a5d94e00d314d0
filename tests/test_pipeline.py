"""Cache.pipeline and Cache.transaction, beside redis-py's on a real redis-server where both can be asked the same."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import redis

import fincache

# What is done with a pipeline p of a client r; the last expression's value or the exception's name is compared.
PROGRAMS = {
    "queue": "p.set('a', 1).incr('a').get('a').mget('a', 'none').delete('a', 'none').execute()",
    "empty": "p.execute()",
    "length": "(len(p.set('a', 1).get('a')), bool(p))",
    "options": "p.set('a', 1, nx=True).set('a', 2, nx=True).set('a', 3, get=True).set('a', 4, ex=100).ttl('a').execute()",
    "numbers": "p.incrbyfloat('f', 1.5).decr('n', 3).append('s', 'xy').strlen('s').getrange('s', 0, 0).execute()",
    "keys": "p.mset({'a': 1, 'b': 2}).msetnx({'b': 1, 'c': 2}).exists('a', 'b').rename('a', 'c').execute()",
    "expiry": "p.set('c', 1).expire('c', 9).persist('c').persist('c').execute()",
    "error_is_raised": "p.set('a', 'x').incr('a').set('b', 1).execute()",
    "error_undoes_nothing": "[type(e).__name__ for e in p.set('a', 'x').incr('a').execute(False)][:1] + r.mget('a', 'b')",
    "missing_argument": "p.set('a', 1).execute_command('GET').execute()",
    "watched_and_unchanged": "(p.watch('a'), p.get('a'), p.multi(), p.set('a', 2), p.execute())[-1]",
    "watched_and_changed": "(p.watch('a'), r.set('a', 5), p.multi(), p.set('a', 2), p.execute())[-1]",
    "watched_missing_came_and_went": "(p.watch('no'), r.set('no', 5), r.delete('no'), p.multi(), p.set('a', 2), p.execute())[-1]",
    "unwatched": "(p.watch('a'), r.set('a', 5), p.unwatch(), p.set('a', 2), p.execute())[-1]",
    "reset": "(p.watch('a'), r.set('a', 5), p.reset(), p.set('a', 2), p.execute())[-1]",
    "watch_after_multi": "(p.watch('a'), p.multi(), p.watch('b'))",
    "multi_twice": "(p.watch('a'), p.multi(), p.multi())",
    "multi_after_queue": "(p.set('a', 1), p.multi())",
    "runs_at_once": "(p.watch('a'), p.set('b', 3), r.get('b'))[-1]",
    "again": "(p.set('a', 1).execute(), p.get('a').execute())",
    "transaction": "r.transaction(lambda p: (p.get('n'), p.multi(), p.incr('n')), 'n')",
    "transaction_value": "r.transaction(lambda p: p.set('n', 1) and 'mine', value_from_callable=True)",
}
# redis-py's exceptions and ours.
NAMES = {"ResponseError": {"CommandError"}, "WatchError": {"WatchError"}, "RedisError": {"InvalidArgument"}}


def outcome(program: str, r: Any, *, transaction: bool = True) -> Any:
    r.flushdb()
    r.mset({"n": 10, "s": "s"})
    try:
        with r.pipeline(transaction=transaction) as p:
            value = eval(program, {"r": r, "p": p})
        return "pipeline" if value is p else value
    except (redis.RedisError, fincache.FinCacheError) as error:
        return error


@pytest.mark.parametrize("transaction", [True, False])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_pipeline_is_redis_pys(reference_socket: str, cache: fincache.Cache, program: str, transaction: bool) -> None:
    """The same answers, the same keys afterwards, and an error for an error."""
    with redis.Redis(unix_socket_path=reference_socket, db=6) as r:
        theirs = outcome(PROGRAMS[program], r, transaction=transaction)
        ours = outcome(PROGRAMS[program], cache, transaction=transaction)
        if isinstance(theirs, Exception):
            assert type(ours).__name__ in NAMES[type(theirs).__name__]
        else:
            assert ours == theirs
        assert {key: cache.get(key) for key in cache} == {key: r.get(key) for key in r.scan_iter()}


def test_answers_are_text_where_the_caches_are(name: str) -> None:
    """decode_responses reaches lists, too."""
    with fincache.open(name, size="4MB", decode_responses=True) as text:
        assert text.pipeline().set("a", "é").get("a").mget("a").execute() == [True, "é", ["é"]]
        assert text.db(3).pipeline().get("a").execute() == [None]


def test_threads_lose_no_transaction(cache: fincache.Cache) -> None:
    """Two threads move between two keys by watch: what is there in all stays the same, and every move counts."""
    cache.mset({"a": 1000, "b": 0})

    def move(pipe: fincache.Pipeline[bytes]) -> None:
        a, b = int(pipe.get("a")), int(pipe.get("b"))
        pipe.multi()
        pipe.set("a", a - 1).set("b", b + 1)

    def run() -> None:
        for _ in range(100):
            cache.transaction(move, "a", "b")

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.mget("a", "b") == [b"800", b"200"]


def test_a_closed_cache_says_so(cache: fincache.Cache) -> None:
    """Making and executing one."""
    pipe = cache.pipeline().set("a", 1)
    cache.close()
    with pytest.raises(fincache.Closed):
        pipe.execute()
    with pytest.raises(fincache.Closed):
        cache.pipeline()
