"""RESP2 and RESP3 bytes to Python objects.

simple string -> str    bulk string -> bytes    verbatim -> bytes    integer, big number -> int    double -> float
boolean -> bool         null -> None            array, push -> list  map -> dict                   set -> set, or list
error -> CommandError, as a value: whoever reads the reply decides whether to raise it
"""

from __future__ import annotations

from typing import TypeAlias, Union

from fincache._core.statuses import STATUS_ROWS
from fincache._errors import CLASSES, CommandError, FinCacheError

Reply: TypeAlias = Union[
    bytes, str, int, float, bool, FinCacheError, "list[Reply]", "dict[Reply, Reply]", "set[Reply]", "tuple[Reply, ...]", None
]

# The error codes that say as much as a status does; of all others the class is CommandError.
_CLASSES_BY_CODE = {
    row.resp_prefix: CLASSES[row.python_class]
    for row in STATUS_ROWS.values()
    if row.python_class != "-" and row.resp_prefix not in ("", "ERR")
}


def _error(text: str) -> FinCacheError:
    code = text.partition(" ")[0]
    return _CLASSES_BY_CODE.get(code, CommandError)(text)


def _frozen(value: Reply) -> Reply:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


class _Reader:
    """Walks over one reply."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _line(self) -> bytes:
        end = self._data.index(b"\r\n", self._at)
        line = self._data[self._at : end]
        self._at = end + 2
        return line

    def _block(self, length: int) -> bytes:
        block = self._data[self._at : self._at + length]
        self._at += length + 2
        return block

    def read(self) -> Reply:
        """The next value."""
        line = self._line()
        kind, text = line[:1], line[1:]
        if kind == b"+":
            return text.decode("utf-8", "replace")
        if kind == b"-":
            return _error(text.decode("utf-8", "replace"))
        if kind in (b":", b"("):
            return int(text)
        if kind == b",":
            return float(text)
        if kind == b"#":
            return text == b"t"
        if kind == b"_":
            return None
        return self._sized(kind, int(text))

    def _sized(self, kind: bytes, length: int) -> Reply:
        if length < 0:
            return None
        if kind == b"$":
            return self._block(length)
        if kind == b"=":
            return self._block(length)[4:]
        if kind == b"%":
            return {_frozen(self.read()): self.read() for _ in range(length)}
        items = [self.read() for _ in range(length)]
        if kind == b"~":
            try:
                return set(items)
            except TypeError:
                return items
        return items


def parse_reply(data: bytes) -> Reply:
    """The value of one whole reply."""
    return _Reader(data).read()
