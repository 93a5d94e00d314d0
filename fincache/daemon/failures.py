# ruff: noqa: N818 -- the names say what happened
"""What keeps the daemon from serving, beside what the library raises (no segment, no permission, address in use, path too long).

Each has an exit code of its own; fincache/cli/exits.py holds the table.
"""

from __future__ import annotations

from collections.abc import Sequence


class DaemonError(Exception):
    """Root of the daemon's own failures. `str()` is one line."""


class ConfigurationError(DaemonError):
    """The configuration is wrong.

    Attributes:
        problems: a line for each mistake: where, what, and what is allowed.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class AddressRefused(ConfigurationError):
    """Protected mode: an address that other hosts can reach, and no password."""


class PathRefused(ConfigurationError):
    """A path that is longer than a UNIX socket's may be, found before anything was opened."""


class SegmentServed(DaemonError):
    """Another daemon serves the segment.

    Attributes:
        pid: its process, as its own PID namespace numbers it.
    """

    def __init__(self, message: str, pid: int) -> None:
        super().__init__(message)
        self.pid = pid


class HandoverFailed(DaemonError):
    """--takeover did not come about; the old daemon goes on serving."""
