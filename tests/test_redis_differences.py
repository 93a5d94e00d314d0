"""What Cache means to do otherwise than redis-py: signatures, and the table of redis_reference.DIFFERENCES, run on both."""

from __future__ import annotations

import enum
import inspect
from datetime import timedelta
from typing import Any

import pytest
import redis
from redis_reference import DIFFERENCES, Difference
from test_redis_parity import SHARED

import fincache

# Parameters that one of the two has alone. redis-py's **kwargs are for its cluster client, and left out everywhere.
ADDED = {
    "get": {"default", "max_age"},  # dict's default; protection against stale quotes
}
LEFT_OUT = {
    "set": {"ifeq", "ifne", "ifdeq", "ifdne"},  # Redis 8.4's conditions on the value: cas is the one on the version
}
RENAMED = {
    "touch": {"args": "names"},  # as delete, exists and unlink have it
}
NOT_THERE = {
    "select": "db(n)",
    "from_url": "open and attach",
}


class Side(enum.IntEnum):
    BUY = 1


def parameters(owner: type, method: str) -> dict[str, tuple[str, object]]:
    """Name -> (kind, default), in order, without self and without **kwargs."""
    found = inspect.signature(getattr(owner, method)).parameters.values()
    return {
        each.name: (each.kind.name, each.default)
        for each in list(found)[1:]
        if each.kind is not inspect.Parameter.VAR_KEYWORD and each.kind is not inspect.Parameter.KEYWORD_ONLY
    }


@pytest.mark.parametrize("method", sorted(method for method in SHARED if not method.startswith("__")))
def test_a_signature_is_redis_pys(method: str) -> None:
    """Names, order, kinds and defaults of the parameters, but for the tables above."""
    ours, theirs = parameters(fincache.Cache, method), parameters(redis.Redis, method)
    ours = {name: value for name, value in ours.items() if name not in ADDED.get(method, ())}
    theirs = {name: value for name, value in theirs.items() if name not in LEFT_OUT.get(method, ())}
    theirs = {RENAMED.get(method, {}).get(name, name): value for name, value in theirs.items()}
    assert list(ours.items()) == list(theirs.items())


@pytest.mark.parametrize("method", sorted(NOT_THERE))
def test_what_is_left_out_is_left_out_on_purpose(method: str) -> None:
    """redis-py has it, Cache has something else instead, which the guide names."""
    assert hasattr(redis.Redis, method)
    assert not hasattr(fincache.Cache, method)


@pytest.mark.filterwarnings("ignore:Call to deprecated")
@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.call)
def test_a_difference_is_as_the_table_says(reference_socket: str, cache: fincache.Cache, difference: Difference) -> None:
    """Each side does what the table says of it."""
    with redis.Redis(unix_socket_path=reference_socket, db=7) as theirs:
        theirs.flushdb()
        for side in (theirs, cache):
            side.mset({"a": "x", "n": 5})
        assert outcome(difference.call, theirs) == difference.redis
        assert outcome(difference.call, cache) == difference.ours


def outcome(call: str, r: Any) -> str:
    """repr() of what an expression gives, or the name of its exception."""
    try:
        return repr(eval(call, {"r": r, "timedelta": timedelta, "Side": Side}))
    except Exception as error:  # noqa: BLE001 -- which one is the question
        return type(error).__name__
