"""The daemon's log: one line for each event, on stderr. Words name the event, fields carry the facts.

    text    2026-11-24T22:54:00.123456Z info listening address=127.0.0.1:6379 backlog=511
    json    {"time":"2026-11-24T22:54:00.123456Z","level":"info","event":"listening","address":"127.0.0.1:6379","backlog":511}

Whatever a field holds, a line stays a line: control characters, and lone surrogates of undecodable bytes, are escaped, so that a
client's name or a password in a command cannot forge an entry. A text value is quoted when it is empty or holds anything but
plain characters.

When stderr leads to journald (JOURNAL_STREAM names its device and inode), each line begins with syslog's priority in <>, which
journald takes off; the time stays, because the journal's own is that of receiving.

A log that cannot be written (its pipe's reader is gone or stands still, its disk is full) never stops the daemon: lines are
counted, and the count is a field of the next line that gets through. A pipe that poll() calls writable takes PIPE_BUF bytes
without waiting, so a line is shorter than that: long values are cut.
"""

from __future__ import annotations

import errno
import json
import os
import re
import select
import sys
import time
from collections.abc import Mapping
from typing import TextIO

LEVELS = ("debug", "info", "warning", "error")
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3}  # syslog.h

LINE_BYTES_MAX = 4000  # PIPE_BUF is 4096
_CUT_CHARACTERS = 200
WRITABLE_WITHIN_MS = 100

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,<>()\[\]{}*?!~^$&;|-]+")

Field = str | int | float | bool | None


class StructuredLog:
    """Writes lines. One thread at a time, or several: a line is one write."""

    def __init__(self, stream: TextIO | None = None, *, level: str = "info", style: str = "text") -> None:
        self._stream = sys.stderr if stream is None else stream
        self._with_priority = leads_to_journal(self._stream, os.environ.get("JOURNAL_STREAM", ""))
        self._lost_count = 0
        self._poll = _poll_of(self._stream)
        self.configure(level, style)

    def configure(self, level: str, style: str) -> None:
        """Changes what is logged and how: a level of LEVELS, "text" or "json"."""
        self._threshold = LEVELS.index(level)
        self._style = style

    def debug(self, event: str, **fields: Field) -> None:
        """For who looks for a fault."""
        self.line("debug", event, fields)

    def info(self, event: str, **fields: Field) -> None:
        """What happens in the life of a service."""
        self.line("info", event, fields)

    def warning(self, event: str, **fields: Field) -> None:
        """Something that should be looked at; the service goes on."""
        self.line("warning", event, fields)

    def error(self, event: str, **fields: Field) -> None:
        """Something that was asked for did not come about."""
        self.line("error", event, fields)

    def line(self, level: str, event: str, fields: Mapping[str, Field], unix_ns: int | None = None) -> None:
        """One line; `unix_ns` is the time of the event if that is not now."""
        if LEVELS.index(level) < self._threshold:
            return
        if self._lost_count:
            fields = {**fields, "lines_lost": self._lost_count}
        when = format_utc(time.time_ns() if unix_ns is None else unix_ns)
        write = as_json if self._style == "json" else as_text
        text = write(when, level, event, fields)
        if len(text) > LINE_BYTES_MAX:  # text is ASCII
            text = write(when, level, _cut(event), {name: _cut(value) for name, value in fields.items()})
        prefix = f"<{_PRIORITIES[level]}>" if self._with_priority else ""
        try:
            self._wait_until_writable()
            self._stream.write(f"{prefix}{text}\n")
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: closed
            self._lost_count += 1
        else:
            self._lost_count = 0

    def _wait_until_writable(self) -> None:
        """Raises BlockingIOError: it is not, and a write would wait."""
        if self._poll is not None and not self._poll.poll(0 if self._lost_count else WRITABLE_WITHIN_MS):
            raise BlockingIOError(errno.EAGAIN, "nobody reads the log")


def _poll_of(stream: TextIO) -> select.poll | None:
    """What tells whether a stream can be written without waiting; None for one that is no file of the system's."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return None
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return poll


def _cut(value: Field) -> Field:
    if isinstance(value, str) and len(value) > _CUT_CHARACTERS:
        return f"{value[:_CUT_CHARACTERS]}... ({len(value)} characters)"
    return value


def leads_to_journal(stream: TextIO, journal_stream: str) -> bool:
    """Whether systemd connected this very stream to journald (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return journal_stream == f"{status.st_dev}:{status.st_ino}"


def format_utc(unix_ns: int) -> str:
    """2026-11-24T22:54:00.123456Z."""
    seconds, rest_ns = divmod(unix_ns, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest_ns // 1000:06d}Z"


def as_text(when: str, level: str, event: Field, fields: Mapping[str, Field]) -> str:
    """Time, level, event, key=value."""
    return " ".join([when, level, _event(event), *(f"{name}={_text_value(value)}" for name, value in fields.items())])


def as_json(when: str, level: str, event: Field, fields: Mapping[str, Field]) -> str:
    """One JSON object, in ASCII."""
    return json.dumps({"time": when, "level": level, "event": event, **fields}, separators=(",", ":"))


def _event(event: Field) -> str:
    text = str(event)
    return text if text.isascii() and text.isprintable() else json.dumps(text)


def _text_value(value: Field) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
