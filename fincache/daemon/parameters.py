"""Which parameter of Redis's CONFIG stands for which key of the configuration, and how its values are written there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from fincache.daemon.config_keys import Settings
from fincache.daemon.config_kinds import format_duration

_LEVELS = {"debug": "debug", "info": "notice", "warning": "warning", "error": "warning"}
_LEVELS_OF_REDIS = {"debug": "debug", "verbose": "debug", "notice": "info", "warning": "warning"}


@dataclass(frozen=True)
class Parameter:
    """One pair.

    Attributes:
        name: in CONFIG GET and CONFIG SET.
        written: the value of the key, as CONFIG SET takes it.
        read: text for the key, from what CONFIG SET got.
    """

    name: str
    written: Callable[[Settings], str]
    read: Callable[[str], str]


def _seconds(duration: timedelta) -> str:
    """Whole seconds; a fraction counts as one more, so that a short time never becomes 0, which means "never"."""
    return str(math.ceil(duration / timedelta(seconds=1)))


def _milliseconds(duration: timedelta) -> str:
    return str(math.ceil(duration / timedelta(milliseconds=1)))


def _from_seconds(text: str) -> str:
    return format_duration(timedelta(seconds=int(text)))


def _from_milliseconds(text: str) -> str:
    return format_duration(timedelta(milliseconds=int(text)))


def _same(text: str) -> str:
    return text


PARAMETERS: dict[str, Parameter] = {
    "server.max_connections": Parameter("maxclients", lambda s: str(s.server.max_connections), _same),
    "server.idle_timeout": Parameter("timeout", lambda s: _seconds(s.server.idle_timeout), _from_seconds),
    "server.read_timeout": Parameter("read-timeout-ms", lambda s: _milliseconds(s.server.read_timeout), _from_milliseconds),
    "server.write_timeout": Parameter("write-timeout-ms", lambda s: _milliseconds(s.server.write_timeout), _from_milliseconds),
    "server.tcp_keepalive": Parameter("tcp-keepalive", lambda s: _seconds(s.server.tcp_keepalive), _from_seconds),
    "server.tcp_backlog": Parameter("tcp-backlog", lambda s: str(s.server.tcp_backlog), _same),
    "server.requirepass": Parameter("requirepass", lambda s: s.server.requirepass, _same),
    "server.protected_mode": Parameter("protected-mode", lambda s: "yes" if s.server.protected_mode else "no", _same),
    "server.log_level": Parameter(
        "loglevel", lambda s: _LEVELS[s.server.log_level], lambda text: _LEVELS_OF_REDIS.get(text, "info")
    ),
    "store.eviction_policy": Parameter("maxmemory-policy", lambda s: s.store.eviction_policy, _same),
}
"""By the path of the key."""

# The rest of what CONFIG GET tells of the start, and what no key of the section redis may therefore set.
SET_BY_KEYS = {
    "port": "server.port",
    "bind": "server.host",
    "unixsocket": "server.unixsocket",
    "unixsocketperm": "server.unixsocket_mode",
    "maxmemory": "store.max_memory",
    "databases": "store.databases",
    **{parameter.name: path for path, parameter in PARAMETERS.items()},
}
"""Parameter -> the key that sets it."""


def key_of_parameter(name: str, value: str) -> tuple[str, str] | None:
    """(path, text) for the key that a parameter stands for; None: there is none."""
    return next(((path, item.read(value)) for path, item in PARAMETERS.items() if item.name == name.lower()), None)


def level_of_redis(name: str) -> str:
    """Our level for one of Redis's: debug, verbose, notice, warning."""
    return _LEVELS_OF_REDIS.get(name, "info")
