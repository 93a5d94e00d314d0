"""The C server, configured from the settings: parameters, renamed and disabled commands, and the limit of open files raised for
as many connections as are wanted.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator

import fincache
from fincache._core.serving import Server
from fincache.daemon.config_keys import KEYS
from fincache.daemon.config_load import REDIS_SECTION, Configuration, Given
from fincache.daemon.failures import ConfigurationError
from fincache.daemon.parameters import PARAMETERS
from fincache.daemon.structured_log import StructuredLog

# What the process has open beside connections: the segment's files, threads' epolls, logs, libraries, the control socket.
FILES_BESIDE_CONNECTIONS = 128


def configure(server: Server, configuration: Configuration, log: StructuredLog) -> None:
    """Before the start: every parameter, renamed and disabled commands.

    Raises:
        ConfigurationError: a command to be renamed does not exist, its new name is taken, or a parameter of the section redis is
            none, or has a value that it does not take.
    """
    with _blamed(configuration, "server.disabled_commands"):
        for name in configuration.settings.server.disabled_commands:
            _rename(server, name, "")
    with _blamed(configuration, "server.renamed_commands"):
        for pair in configuration.settings.server.renamed_commands:
            name, _, new_name = pair.partition("=")
            _rename(server, name, new_name)
    for path in PARAMETERS:
        if path != "store.eviction_policy" or configuration.is_set(path):
            apply(server, configuration, path, log)
    for name, given in configuration.redis.items():
        apply_redis(server, name, given)


def tell_of_start(server: Server, size_bytes: int, unixsocket_mode: int) -> None:
    """What CONFIG GET and INFO say of addresses and size, once the sockets are there. Clients cannot change it."""
    listeners = server.listeners()
    tcp = [item for item in listeners if item.port]
    paths = [item.address for item in listeners if not item.port]
    server.configure("port", str(tcp[0].port if tcp else 0))
    server.configure("bind", " ".join(item.address for item in tcp))
    server.configure("unixsocket", paths[0] if paths else "")
    server.configure("unixsocketperm", f"{unixsocket_mode:o}" if paths else "0")
    server.configure("maxmemory", str(size_bytes))


def apply(server: Server, configuration: Configuration, path: str, log: StructuredLog) -> None:
    """One key, before or after the start. Raises ConfigurationError: the server does not take it."""
    parameter = PARAMETERS[path]
    value = parameter.written(configuration.settings)
    if path == "server.max_connections":
        value = str(_room_for_connections(configuration.settings.server.max_connections, log))
    with _blamed(configuration, path):
        server.configure(parameter.name, value)


def apply_redis(server: Server, name: str, given: Given) -> None:
    """One parameter of the section redis. Raises ConfigurationError: there is no such one, or it does not take the value."""
    try:
        server.configure(name, given.text)
    except fincache.InvalidArgument as error:
        raise ConfigurationError([f"{given.origin}: {REDIS_SECTION}.{name} is {given.text!r}: {error.detail}"]) from None


def _rename(server: Server, name: str, new_name: str) -> None:
    if not server.rename_command(name, new_name):
        raise ValueError(f"there is no command {name}")


@contextlib.contextmanager
def _blamed(configuration: Configuration, path: str) -> Iterator[None]:
    """Turns a refusal into one that says where the value stands."""
    try:
        yield
    except (fincache.InvalidArgument, ValueError) as error:
        reason = error.detail if isinstance(error, fincache.InvalidArgument) and error.detail else str(error)
        shown = "its value" if KEYS[path].row.secret else repr(configuration.text(path))
        raise ConfigurationError([f"{configuration.origins[path]}: {path} is {shown}: {reason}"]) from None


def _room_for_connections(wanted: int, log: StructuredLog) -> int:
    """Raises the limit of open files for so many connections; how many there is room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + FILES_BESIDE_CONNECTIONS
    if soft != resource.RLIM_INFINITY and soft < needed:
        raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
        except OSError as error:
            log.warning("limit of open files cannot be raised", wanted=raised, error=error.strerror)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    room = max(1, soft - FILES_BESIDE_CONNECTIONS)
    log.warning(
        "fewer connections than configured", key="server.max_connections", configured=wanted, admitted=room, open_files_limit=soft
    )
    return room
