"""The sockets that clients connect to: those that another daemon or systemd hands over, or our own.

Whoever hands sockets over decides which there are: then server.host, server.port and server.unixsocket open nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import fincache
from fincache import _core
from fincache._core.serving import Listener, Server
from fincache.daemon.config_keys import ServerSettings
from fincache.daemon.config_load import Configuration
from fincache.daemon.net_address import endpoint
from fincache.daemon.socket_owner import owner_of_path, owner_of_port
from fincache.daemon.structured_log import StructuredLog

# A daemon that was killed keeps its sockets for some milliseconds after its lock.
BIND_ATTEMPTS = 6
BIND_PAUSE_SECONDS = 0.05


def open_listeners(server: Server, settings: ServerSettings, environment: Mapping[str, str]) -> None:
    """Binds what the configuration says.

    Raises:
        FinCacheError: AddressInUse, naming who is there as far as that can be told; PathTooLong, PermissionDenied,
            InvalidArgument (no such host), SystemFailure.
    """
    if settings.port:
        _bind(lambda: server.listen_tcp(settings.host, settings.port), lambda: owner_of_port(settings.port))
    path = unix_path(settings, environment)
    if path:
        _bind(lambda: server.listen_unix(path, settings.unixsocket_mode), lambda: owner_of_path(path))


def _bind(listen: Callable[[], None], owner: Callable[[], str]) -> None:
    attempts_left = BIND_ATTEMPTS
    while True:
        attempts_left -= 1
        try:
            return listen()
        except fincache.AddressInUse as error:
            name = owner()
            if name or not attempts_left:
                detail = f"{error.detail} ({name})" if name else error.detail
                raise type(error)(error.message, code=error.code, detail=detail, hint=error.hint) from None
        time.sleep(BIND_PAUSE_SECONDS)


def adopt_listeners(server: Server, sockets: Sequence[socket.socket]) -> None:
    """Serves on sockets that somebody else opened. The server owns them from then on.

    Raises:
        FinCacheError: InvalidArgument: one is no listening stream socket.
    """
    for item in sockets:
        server.listen_fd(item.detach())


def warn_of_other_addresses(server: Server, configuration: Configuration, log: StructuredLog) -> None:
    """Says when sockets that were handed over are not those that somebody configured."""
    settings, listeners = configuration.settings.server, server.listeners()
    differing = {
        "server.port": settings.port and settings.port not in [item.port for item in listeners],
        "server.unixsocket": settings.unixsocket.startswith("/")
        and settings.unixsocket not in [item.address for item in listeners],
    }
    for path, differs in differing.items():
        if differs and configuration.is_set(path):
            log.warning(
                "sockets were handed over: another address is served",
                key=path,
                configured=configuration.text(path),
                served=text_of(listeners),
            )


# ------------------------------------------------------------------ the UNIX socket's path


def unix_path(settings: ServerSettings, environment: Mapping[str, str]) -> str:
    """The path of the UNIX socket, whose folder is made if it is ours to choose; "" for none."""
    if settings.unixsocket == "none":
        return ""
    if settings.unixsocket != "auto":
        return settings.unixsocket
    runtime = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if runtime:
        return f"{runtime}/fincache.sock"
    user_runtime = environment.get("XDG_RUNTIME_DIR", "")
    if user_runtime and Path(user_runtime).is_dir():
        folder = Path(user_runtime) / "fincache"
    else:
        folder = Path("/tmp") / f"fincache-{os.geteuid()}"
    _make_private(folder)
    return str(folder / f"{settings.segment}.sock")


def _make_private(folder: Path) -> None:
    """Makes a folder that nobody else can write to. /tmp is everybody's: what is there already is looked at before it is used."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise _core.refusal(
            "PERMISSION",
            f"{folder} is no folder of ours that others cannot write to",
            "Remove it, or name a path with server.unixsocket.",
        )


class OwnedPath:
    """The path of a UNIX socket that we were handed and that goes when we stop, unless somebody has put another socket there."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._identity = _identity(path)

    def remove(self) -> None:
        """Removes it, if it is still the same."""
        if self._identity is not None and _identity(self.path) == self._identity:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)  # noqa: PTH108 -- a str that may hold surrogates


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISSOCK(found.st_mode) else None


def text_of(listeners: Sequence[Listener]) -> str:
    """127.0.0.1:6379,unix:/run/fincache/fincache.sock."""
    return ",".join(endpoint(item.address, item.port) if item.port else f"unix:{item.address}" for item in listeners)
