"""structured_log.py: one line for each event, whatever is in it; levels; journald's prefix; a log that cannot be written."""

from __future__ import annotations

import io
import json
import os
import re
import socket
from typing import Any

import pytest

from fincache.daemon.structured_log import StructuredLog, format_utc, leads_to_journal

NOW = re.compile(r"2\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def lines_of(style: str = "text", level: str = "info", **fields: Any) -> str:
    """What one event writes."""
    stream = io.StringIO()
    StructuredLog(stream, level=level, style=style).info("client connected", **fields)
    return stream.getvalue()


def test_text_is_time_level_event_and_fields() -> None:
    """UTC, to the microsecond."""
    line = lines_of(address="127.0.0.1:6379", count=3, share=0.25, ok=True, name=None, note="two words", empty="")
    when, rest = line.split(" ", 1)
    assert NOW.fullmatch(when)
    assert rest == 'info client connected address=127.0.0.1:6379 count=3 share=0.25 ok=true name=none note="two words" empty=""\n'


def test_json_is_one_object_for_each_line() -> None:
    """With the types of the fields kept."""
    found = json.loads(lines_of(style="json", count=3, ok=True, name=None, note="ü\n"))
    assert NOW.fullmatch(found.pop("time"))
    assert found == {"level": "info", "event": "client connected", "count": 3, "ok": True, "name": None, "note": "ü\n"}


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize("evil", ["a\nb", "a\r\nb", "\x1b[31m", "a=b c=d", 'q"uote', "\udcff", "\u2028", "\x00"])
def test_no_value_can_forge_a_line_or_a_field(style: str, evil: str) -> None:
    """Control characters, quotes, lone surrogates and line separators are escaped."""
    line = lines_of(style=style, name=evil)
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert line.isascii()
    assert line[:-1].isprintable()
    encoded = line.split("name=", 1)[1] if style == "text" else json.dumps(json.loads(line)["name"])
    assert json.loads(encoded) == evil


def test_an_event_with_a_newline_stays_a_line() -> None:
    """The C server's lines are events, too."""
    stream = io.StringIO()
    StructuredLog(stream).info("a\nb")
    assert stream.getvalue().endswith('info "a\\nb"\n')


def test_levels_below_the_threshold_are_not_written() -> None:
    """And the threshold can be changed."""
    stream = io.StringIO()
    log = StructuredLog(stream, level="warning")
    log.info("no")
    log.warning("yes")
    log.configure("debug", "text")
    log.debug("now")
    log.error("always")
    assert [line.split()[1:] for line in stream.getvalue().splitlines()] == [
        ["warning", "yes"],
        ["debug", "now"],
        ["error", "always"],
    ]


def test_an_event_of_the_past_keeps_its_time() -> None:
    """The C server stamps its lines itself."""
    stream = io.StringIO()
    StructuredLog(stream).line("info", "x", {}, unix_ns=1_600_000_000_123_456_789)
    assert stream.getvalue() == "2020-09-13T12:26:40.123456Z info x\n"
    assert format_utc(0) == "1970-01-01T00:00:00.000000Z"


def test_journald_gets_priorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """When stderr is the very stream that systemd connected; a stream elsewhere gets none."""
    ours, journal = socket.socketpair()
    with ours, journal, ours.makefile("w", encoding="utf-8") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        log = StructuredLog(stream, level="debug")
        for write in (log.debug, log.info, log.warning, log.error):
            write("x")
        received = journal.recv(4096).decode()
        assert [line[:3] for line in received.splitlines()] == ["<7>", "<6>", "<4>", "<3>"]
        assert not leads_to_journal(stream, "1:2")
    assert not leads_to_journal(io.StringIO(), f"{status.st_dev}:{status.st_ino}")


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    """Lines are counted, and the count comes with the next one that gets through."""

    class Full(io.StringIO):
        is_full = True

        def write(self, text: str) -> int:
            if self.is_full:
                raise OSError(28, "No space left on device")
            return super().write(text)

    stream = Full()
    log = StructuredLog(stream)
    log.info("lost")
    log.info("lost, too")
    stream.is_full = False
    log.info("through")
    log.info("and on")
    assert [line.split(" ", 2)[2] for line in stream.getvalue().splitlines()] == ["through lines_lost=2", "and on"]


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_reader_that_stands_still_stops_nobody(style: str) -> None:
    """The pipe is full: lines are lost and counted, none is written in half, and none is waited for."""
    reading, writing = os.pipe()
    with open(writing, "w", encoding="utf-8") as stream:  # noqa: PTH123 -- a descriptor
        log = StructuredLog(stream, style=style)
        written = 0
        while not log._lost_count:
            log.info("x", number=written, text="y" * 5000)
            written += 1
        log.info("lost, too")
        received = os.read(reading, 1 << 20).decode()
        assert received.endswith("\n")
        lines = received.splitlines()
        assert len(lines) == written - 1
        assert all(str(number) in line and "(5000 characters)" in line for number, line in enumerate(lines))
        log.info("read again")
        assert ("lines_lost=2" if style == "text" else '"lines_lost":2') in os.read(reading, 1 << 20).decode()
    os.close(reading)
