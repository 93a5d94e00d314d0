r"""How values, tables and numbers look.

Values      To a pipe or a file a value goes as it is, byte for byte, with nothing added: `fincache get k > file` is exact. To a
            terminal it goes quoted, as redis-cli does, so that no byte of it can be a command to the terminal:
            "150.25\n\x00". `unquote` reads that form back. --raw and --no-raw choose by hand.
JSON        Bytes become a string where they are UTF-8, else {"base64": "..."}; a string is never ambiguous, for the two have
            different JSON types. Names end with their unit. Identifiers of 64 bits (version, segment_id) are strings, because
            many readers of JSON keep numbers as doubles; instants and counters are numbers. Streams (watch, top, scan) write
            one object per line.
"""

from __future__ import annotations

import base64
import json
import math
import re
import sys
from collections.abc import Callable, Container, Sequence
from typing import Any, TypeVar

import click

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def json_option(function: FunctionT) -> FunctionT:
    """Adds --json, which the command gets as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON, with units in the names.")(function)


def raw_option(function: FunctionT) -> FunctionT:
    """Adds --raw/--no-raw, which the command gets as `raw`: True, False or None for "by where the output goes"."""
    return click.option(
        "--raw/--no-raw", default=None, help="Bytes as they are, or quoted [default: quoted on a terminal, raw elsewhere]."
    )(function)


def is_terminal() -> bool:
    """Whether people read this output."""
    return sys.stdout.isatty()


def write_bytes(data: bytes) -> None:
    """To stdout, as they are."""
    stream = sys.stdout.buffer
    rest = memoryview(data)
    while rest:  # with PYTHONUNBUFFERED this is a bare file, which may write a part
        rest = rest[stream.write(rest) :]


def finite(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    """Callback of options that are lengths of time: click's ranges let "nan" through. Raises BadParameter."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no length of time.")
    return value


# ------------------------------------------------------------------ bytes as text

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\a": "\\a", "\b": "\\b"}
_LETTERS = {"n": b"\n", "r": b"\r", "t": b"\t", "a": b"\a", "b": b"\b"}
_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)


def quote(data: bytes) -> str:
    r"""Bytes in double quotes: printable UTF-8 as it is, \n \r \t \a \b \" \\ and \xHH for the rest."""
    pieces = []
    for character in data.decode("utf-8", "surrogateescape"):
        code = ord(character)
        if character in _ESCAPES:
            pieces.append(_ESCAPES[character])
        elif character.isprintable():
            pieces.append(character)
        elif 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
            pieces.append(f"\\x{code - 0xDC00:02x}")
        else:
            pieces.extend(f"\\x{byte:02x}" for byte in character.encode())
    return f'"{"".join(pieces)}"'


def unquote(text: bytes) -> bytes:
    """What `quote` was given; the quotes may be missing. Raises ValueError for an escape that `quote` does not write."""
    inner = text[1:-1] if len(text) >= 2 and text[:1] == text[-1:] == b'"' else text

    def replace(found: re.Match[bytes]) -> bytes:
        if found[1] is not None:
            return bytes.fromhex(found[1].decode())
        letter = found[2].decode("latin-1")
        if letter in _LETTERS:
            return _LETTERS[letter]
        if letter in '"\\':
            return found[2]
        raise ValueError(f'\\{letter} is no escape; allowed are \\n \\r \\t \\a \\b \\" \\\\ and \\xHH')

    if re.search(rb"(?<!\\)(?:\\\\)*\\$", inner):
        raise ValueError("it ends in the middle of an escape")
    return _ESCAPE.sub(replace, inner)


def json_bytes(data: bytes) -> Json:
    """Text if it is UTF-8, else {"base64": ...}."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def print_json(value: Json, *, line: bool = False) -> None:
    """Writes an object: over several lines, or as one `line` of a stream."""
    # Another encoding than UTF-8 may lack a character; JSON has escapes for it.
    is_utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
    click.echo(json.dumps(value, ensure_ascii=not is_utf8, indent=None if line else 2))


# ------------------------------------------------------------------ tables and units


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: Container[str]) -> list[str]:
    """Lines of a table: the columns headed by one of `left` aligned left, the others right."""
    widths = [max(len(row[index]) for row in (headings, *rows)) for index in range(len(headings))]

    def line(row: Sequence[str]) -> str:
        cells = (
            cell.ljust(width) if heading in left else cell.rjust(width)
            for heading, cell, width in zip(headings, row, widths, strict=True)
        )
        return "  ".join(cells).rstrip()

    return [line(headings), *(line(row) for row in rows)]


def size_text(size_bytes: float) -> str:
    """Bytes with a binary unit: 268435456 is "256.0 MiB"."""
    if size_bytes < 1024:
        return f"{size_bytes:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        size_bytes /= 1024
        if size_bytes < 1024:
            return f"{size_bytes:.1f} {unit}"
    return f"{size_bytes / 1024:.1f} TiB"


def duration_text(duration_ns: float) -> str:
    """A time span with the unit that fits: "850 ns", "12.3 us", "4.0 s", "2h03m", "5d01h"."""
    for unit, scale, limit in (("ns", 1, 1e3), ("us", 1e3, 1e6), ("ms", 1e6, 1e9), ("s", 1e9, 100e9)):
        if duration_ns < limit:
            return f"{duration_ns / scale:.{0 if unit == 'ns' else 1}f} {unit}"
    minutes, seconds = divmod(int(duration_ns / 1e9), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02}h"
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{seconds:02}s"


def count_text(count: float) -> str:
    """A count or a rate in at most six characters: 999, 12.3k, 4.56M."""
    if count < 1000:
        return f"{count:.0f}"
    for unit in ("k", "M", "G", "T"):
        count /= 1000
        if count < 999.95:
            return f"{count:.{2 if count < 10 else 1}f}{unit}"
    return f"{count:.0f}T"
