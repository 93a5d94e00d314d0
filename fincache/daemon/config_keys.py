# ruff: noqa: RUF009 -- key() is dataclasses.field
"""The one table of configuration keys. config.yaml, `fincache serve --help`, the environment, docs/configuration.md and the
checks are made from it, or are compared with it by a test.

A section is a frozen dataclass and a key a field of it, so that code reads `settings.server.port` with its type, and the row of
the table (kind with minimum, maximum and unit, default, reloadable, environment name, help) hangs on the field.

Names of sections, of the first keys in each, and of the environment are those of configuration files that users have already.
Keys marked `later` belong to parts that this version does not have: they are checked, and a value that asks for such a part is
answered with a warning at the start. Nothing pretends otherwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from fincache import _core
from fincache.daemon.config_kinds import Choice, Duration, Integer, Kind, Mode, Names, Size, Switch, Text
from fincache.segment import SIZE_BYTES_MAX

ValueT = TypeVar("ValueT")

_NEVER = timedelta()
_DAY = timedelta(days=1)
_YEAR = timedelta(days=365)

# Redis's other policies, which the engine does not have yet.
_VOLATILE = ("volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl")
_POLICIES_LATER = ("allkeys-lfu", *_VOLATILE, "lfu", "ttl", "s3fifo", "sieve")


@dataclass(frozen=True)
class Row:
    """What the table says of one key, beside its type."""

    kind: Kind[Any]
    help: str
    environment: str = ""
    """Name of the environment variable; "": none."""
    option: str = ""
    """Long option of `fincache serve`; "": only by --set."""
    reloadable: bool = False
    """SIGHUP applies a change; otherwise the daemon has to be started again."""
    later: str = ""
    """The part that will use it, if this version does not have that part."""
    secret: bool = False
    """Never shown."""


def key(kind: Kind[ValueT], default: ValueT, help: str, **row: Any) -> ValueT:  # noqa: A002 -- the column's name
    """A field of a section. Typed as its value, as dataclasses.field is."""
    default_field: ValueT = field(default=default, metadata={"row": Row(kind, help, **row)})
    return default_field


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Section `server`: the door for clients, and the process."""

    host: str = key(
        Text("an IPv4 or IPv6 address or a host name", 253, r"[A-Za-z0-9.:_%-]+"),
        "127.0.0.1",
        "Address on which clients are served. Anything but a loopback address needs requirepass (see protected_mode).",
        environment="FINCACHE_HOST",
        option="--host",
    )
    port: int = key(
        Integer(0, 65535, "no TCP"), 6379, "TCP port of the Redis protocol.", environment="FINCACHE_PORT", option="--port"
    )
    read_timeout: timedelta = key(
        Duration(_NEVER, _DAY, "no limit"),
        timedelta(seconds=30),
        "How long a request that has begun to arrive may take to arrive in full, or at least 64 KiB more of it; then the "
        "connection is closed. "
        "A connection that is merely idle is not touched (see idle_timeout).",
        reloadable=True,
    )
    write_timeout: timedelta = key(
        Duration(_NEVER, _DAY, "no limit"),
        timedelta(seconds=30),
        "How long replies may wait for a client that does not read them; then the connection is closed.",
        reloadable=True,
    )
    max_connections: int = key(
        Integer(1, 1_000_000),
        10_000,
        "Connections at a time; more are answered with Redis's error and closed. The limit of open files is raised for it; "
        "where the system refuses, fewer are admitted and a warning says how many.",
        reloadable=True,
    )
    enable_metrics: bool = key(
        Switch(),
        True,
        "Serve metrics for Prometheus over HTTP.",
        environment="FINCACHE_ENABLE_METRICS",
        later="the HTTP API",
    )
    enable_health: bool = key(
        Switch(),
        True,
        "Serve health checks over HTTP.",
        environment="FINCACHE_ENABLE_HEALTH",
        later="the HTTP API",
    )
    segment: str = key(
        Text("A-Z a-z 0-9 _ . -, beginning with a letter, a digit or _", _core.NAME_BYTES_MAX, r"[A-Za-z0-9_][A-Za-z0-9_.-]*"),
        "main",
        "Name of the segment that is served; strategies attach to the same name.",
        environment="FINCACHE_SEGMENT",
        option="--segment",
    )
    create_segment: bool = key(
        Switch(),
        True,
        "Create the segment when there is none. With false the daemon refuses to start without one.",
        option="--create/--no-create",
    )
    remove_segment: bool = key(
        Switch(),
        False,
        "Remove the segment when the daemon is stopped. By default it stays, with every key, for the next start.",
        option="--remove/--keep",
        reloadable=True,
    )
    unixsocket: str = key(
        Text("a path, auto or none", 4096),
        "auto",
        "UNIX socket for local clients. auto: fincache.sock in systemd's RuntimeDirectory, otherwise <segment>.sock in "
        "$XDG_RUNTIME_DIR/fincache or /tmp/fincache-<uid>. none: no such socket. The kernel takes paths of up to 107 bytes.",
        option="--unixsocket",
    )
    unixsocket_mode: int = key(Mode(), 0o600, "Permission bits of the UNIX socket: who may write to it may use the cache.")
    threads: int = key(
        Integer(0, 64, "one fewer than cores, 1 to 4"),
        0,
        "Threads that serve clients. Each takes one session of the segment.",
        option="--threads",
    )
    tcp_backlog: int = key(Integer(1, 65535), 511, "Connections that wait to be accepted; net.core.somaxconn caps it.")
    tcp_keepalive: timedelta = key(
        Duration(_NEVER, _DAY, "off"),
        timedelta(seconds=300),
        "After how long a silence the kernel asks whether a TCP client is still there.",
        reloadable=True,
    )
    idle_timeout: timedelta = key(
        Duration(_NEVER, _YEAR, "never"),
        _NEVER,
        "Close connections on which nothing was asked for so long.",
        reloadable=True,
    )
    requirepass: str = key(
        Text("a password", 512),
        "",
        "Password that clients send with AUTH; empty: none. Keep the file readable for the daemon's user alone, or use the "
        "environment. There is no option for it: others can read a command line.",
        environment="FINCACHE_REQUIREPASS",
        reloadable=True,
        secret=True,
    )
    disabled_commands: tuple[str, ...] = key(
        Names("commands"),
        (),
        "Commands that clients cannot use, such as [FLUSHALL, DEBUG].",
    )
    renamed_commands: tuple[str, ...] = key(
        Names("pairs OLD=NEW", r"[A-Za-z0-9_-]+=[A-Za-z0-9_-]+"),
        (),
        "Commands that clients find under another name only, such as [CONFIG=config-7f3a].",
    )
    protected_mode: bool = key(
        Switch(),
        True,
        "Refuse to serve on an address that other hosts can reach as long as there is no password.",
    )
    shutdown_grace: timedelta = key(
        Duration(_NEVER, timedelta(hours=1)),
        timedelta(seconds=5),
        "How long clients may finish what they are doing when the daemon stops or is taken over.",
        reloadable=True,
    )
    log_level: str = key(
        Choice(("debug", "info", "warning", "error"), {"notice": "info", "verbose": "debug"}),
        "info",
        "The least important lines that are logged.",
        environment="FINCACHE_LOG_LEVEL",
        option="--log-level",
        reloadable=True,
    )
    log_format: str = key(
        Choice(("text", "json")),
        "text",
        "text: time, level, event and key=value. json: one object for each line.",
        environment="FINCACHE_LOG_FORMAT",
        option="--log-format",
        reloadable=True,
    )


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Section `store`: the segment. Most of it counts when it is created; one that exists keeps what it was made with."""

    max_memory: int = key(
        Size(_core.SEGMENT_BYTES_MIN, SIZE_BYTES_MAX),
        1 << 30,
        "Size of the segment, index and all, reserved in full when it is created.",
        environment="FINCACHE_MAX_MEMORY",
        option="--max-memory",
    )
    eviction_policy: str = key(
        Choice(tuple(_core.POLICIES), {"lru": "allkeys-lru", "random": "allkeys-random"}, _POLICIES_LATER),
        "noeviction",
        "What a full segment does with a write: refuse it, or drop other keys. A segment that exists keeps its policy unless "
        "this key is set somewhere.",
        environment="FINCACHE_EVICTION_POLICY",
        option="--eviction-policy",
        reloadable=True,
    )
    ttl_enabled: bool = key(
        Switch(),
        True,
        "Look for expired keys in the background and give their memory back. With false they still read as missing at their "
        "time, and go when somebody writes near them or memory is short.",
        environment="FINCACHE_TTL_ENABLED",
        reloadable=True,
    )
    snapshot_enabled: bool = key(Switch(), False, "Write snapshots.", later="snapshots")
    snapshot_path: str = key(Text("a path", 4096), "dump.rdb", "File of the snapshot.", later="snapshots")
    snapshot_interval: timedelta = key(
        Duration(timedelta(seconds=1), _YEAR), timedelta(minutes=5), "Time from one snapshot to the next.", later="snapshots"
    )
    databases: int = key(Integer(1, _core.DATABASES_MAX), 16, "Databases (SELECT) of a new segment.")
    item_bytes: int = key(
        Integer(1, _core.VALUE_BYTES_LIMIT),
        200,
        "Expected average of key and value together, in bytes, for a new segment. A wrong guess costs memory, not function.",
    )
    value_bytes_max: int = key(Size(1, _core.VALUE_BYTES_LIMIT), 512 << 20, "Longest value of a new segment.")
    sessions_max: int = key(
        Integer(0, _core.SESSIONS_LIMIT, "by size, 16 to 1024"),
        0,
        "Threads of all processes that can be attached to a new segment at a time; 16 at least.",
    )
    mode: int = key(Mode(), 0o600, "Permission bits of a new segment: 0660 admits its group.")
    group: str = key(Text("a group's name or number", 256), "", "Group that owns a new segment; empty: the daemon's own.")
    huge_pages: bool = key(Switch(), False, "Ask for huge pages when mapping the segment.")
    prefault: bool = key(Switch(), False, "Touch every page of the segment at the start, so that no page fault comes later.")
    lock_memory: bool = key(Switch(), False, "Lock the segment in memory (mlock); needs RLIMIT_MEMLOCK.")


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Section `api`: the HTTP API, which this version does not have yet."""

    enabled: bool = key(Switch(), False, "Serve the HTTP API.", later="the HTTP API")
    port: int = key(Integer(0, 65535), 8080, "TCP port of the HTTP API.", environment="FINCACHE_API_PORT", later="the HTTP API")
    read_timeout: timedelta = key(
        Duration(_NEVER, _DAY, "no limit"), timedelta(seconds=15), "How long a request may take to arrive.", later="the HTTP API"
    )
    write_timeout: timedelta = key(
        Duration(_NEVER, _DAY, "no limit"), timedelta(seconds=15), "How long an answer may take to leave.", later="the HTTP API"
    )
    cors_enabled: bool = key(
        Switch(), False, "Let pages from elsewhere call the API.", environment="FINCACHE_CORS_ENABLED", later="the HTTP API"
    )
    rate_limit: int = key(
        Integer(0, 1_000_000_000, "no limit"),
        0,
        "Requests per second of one client.",
        environment="FINCACHE_RATE_LIMIT",
        later="the HTTP API",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration, valid and complete."""

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    api: ApiSettings = ApiSettings()


SECTIONS: dict[str, type[Any]] = {"server": ServerSettings, "store": StoreSettings, "api": ApiSettings}


@dataclass(frozen=True)
class ConfigKey:
    """One row of the table."""

    section: str
    name: str
    default: object
    row: Row

    @property
    def path(self) -> str:
        """server.port."""
        return f"{self.section}.{self.name}"


def _rows() -> Iterator[ConfigKey]:
    for section, section_class in SECTIONS.items():
        for column in dataclasses.fields(section_class):
            yield ConfigKey(section, column.name, column.default, column.metadata["row"])


KEYS: dict[str, ConfigKey] = {config_key.path: config_key for config_key in _rows()}
"""Every key by its path, in the order of the table."""
