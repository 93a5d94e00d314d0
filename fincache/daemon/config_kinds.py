"""What a configuration value may be. A kind turns text into a value and back, and says what it allows.

Values come as text from all four places (YAML scalars are taken as they are written), so that `on`, `0600` or `1e3` mean the same
in a file, in the environment and on the command line, whatever YAML makes of them.

`parse` raises ValueError with the reason alone; who reads the configuration knows the place and the key, and adds them.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

from fincache._errors import FinCacheError
from fincache.segment import parse_size

ValueT = TypeVar("ValueT")

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")

_UNIT_US = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:us|ms|s|m|h|d))+")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(us|ms|s|m|h|d)")

_SIZE_UNITS = (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10))


class Kind(ABC, Generic[ValueT]):
    """A type of value, with its bounds."""

    name: str
    """In the documentation: "duration"."""

    @abstractmethod
    def parse(self, text: str) -> ValueT:
        """The value that `text` means. Raises ValueError with the reason."""

    @abstractmethod
    def format(self, value: ValueT) -> str:
        """Text that `parse` reads back as the same value."""

    @abstractmethod
    def allowed(self) -> str:
        """What `parse` takes, in words."""


@dataclass(frozen=True)
class Text(Kind[str]):
    """Any text of one line, within a length."""

    what: str = "text"
    length_max: int = 1024
    pattern: str = ""
    name = "text"

    def parse(self, text: str) -> str:
        """The text itself."""
        if not text.isprintable():
            raise ValueError("it holds a character that cannot be printed")
        if len(text) > self.length_max:
            raise ValueError(f"it is {len(text)} characters long")
        if self.pattern and not re.fullmatch(self.pattern, text):
            raise ValueError("it does not look like one")
        return text

    def format(self, value: str) -> str:
        """The text itself."""
        return value

    def allowed(self) -> str:
        """In words."""
        return f"{self.what}, at most {self.length_max} characters"


@dataclass(frozen=True)
class Integer(Kind[int]):
    """A whole number."""

    low: int
    high: int
    zero: str = ""
    """What 0 means, where it has a meaning of its own."""
    name = "integer"

    def parse(self, text: str) -> int:
        """Decimal digits, with a sign perhaps."""
        if not re.fullmatch(r"[+-]?[0-9]{1,19}", text):
            raise ValueError("it is no whole number")
        number = int(text)
        if not self.low <= number <= self.high:
            raise ValueError("it is out of range")
        return number

    def format(self, value: int) -> str:
        """Decimal digits."""
        return str(value)

    def allowed(self) -> str:
        """The range."""
        return f"{self.low} to {self.high}" + (f" (0: {self.zero})" if self.zero else "")


@dataclass(frozen=True)
class Switch(Kind[bool]):
    """True or false."""

    name = "boolean"

    def parse(self, text: str) -> bool:
        """As YAML and as people write it."""
        if text.lower() in _TRUE:
            return True
        if text.lower() in _FALSE:
            return False
        raise ValueError("it is neither true nor false")

    def format(self, value: bool) -> str:
        """As YAML writes it."""
        return "true" if value else "false"

    def allowed(self) -> str:
        """In words."""
        return "true or false"


@dataclass(frozen=True)
class Duration(Kind[timedelta]):
    """A length of time, to the microsecond. A bare number is refused: seconds and milliseconds are both usual."""

    low: timedelta
    high: timedelta
    zero: str = ""
    name = "duration"

    def parse(self, text: str) -> timedelta:
        """30s, 5m, 1h30m, 250ms."""
        if text == "0":
            duration = timedelta()
        elif re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            raise ValueError(f"it has no unit (seconds would be {text}s)")
        elif not _DURATION.fullmatch(text):
            raise ValueError("it is no duration")
        else:
            try:
                microseconds = sum(float(number) * _UNIT_US[unit] for number, unit in _DURATION_PART.findall(text))
                duration = timedelta(microseconds=round(microseconds))
            except OverflowError:
                raise ValueError("it is out of range") from None
        if not self.low <= duration <= self.high:
            raise ValueError("it is out of range")
        return duration

    def format(self, value: timedelta) -> str:
        """The largest units first: 1h30m."""
        return format_duration(value)

    def allowed(self) -> str:
        """The range and how to write it."""
        bounds = f"{format_duration(self.low)} to {format_duration(self.high)}"
        return f"{bounds}{f' (0: {self.zero})' if self.zero else ''}, written as 30s, 5m, 1h30m or 250ms"


def format_duration(duration: timedelta) -> str:
    """Text that Duration reads: 1h30m, 250ms, 0."""
    rest = round(duration / timedelta(microseconds=1))
    parts = []
    for unit in ("d", "h", "m", "s", "ms", "us"):
        count, rest = divmod(rest, _UNIT_US[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0"


@dataclass(frozen=True)
class Size(Kind[int]):
    """Bytes, written as in redis.conf (see fincache.segment.parse_size)."""

    low: int
    high: int
    zero: str = ""
    name = "size"

    def parse(self, text: str) -> int:
        """1GB, 256MB, 65536."""
        try:
            size_bytes = parse_size(text)
        except FinCacheError:
            raise ValueError("it is no size") from None
        if not self.low <= size_bytes <= self.high:
            raise ValueError("it is out of range")
        return size_bytes

    def format(self, value: int) -> str:
        """The largest unit that divides it."""
        return format_size(value)

    def allowed(self) -> str:
        """The range and how to write it."""
        bounds = f"{format_size(self.low)} to {format_size(self.high)}"
        return f"{bounds}{f' (0: {self.zero})' if self.zero else ''}, written as 1GB, 256MB or 65536"


def format_size(size_bytes: int) -> str:
    """Text that parse_size reads: 1GB, 1536MB, 1000."""
    for unit, unit_bytes in _SIZE_UNITS:
        if size_bytes and size_bytes % unit_bytes == 0:
            return f"{size_bytes // unit_bytes}{unit}"
    return str(size_bytes)


@dataclass(frozen=True)
class Choice(Kind[str]):
    """One of some words."""

    words: Sequence[str]
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other words for some of them."""
    later: Sequence[str] = ()
    """Words that have a meaning elsewhere (in Redis, say), and not here yet."""
    name = "choice"

    def parse(self, text: str) -> str:
        """Upper and lower case are the same."""
        word = text.lower()
        word = self.aliases.get(word, word)
        if word in self.words:
            return word
        raise ValueError("this version does not have it yet" if word in self.later else "there is no such choice")

    def format(self, value: str) -> str:
        """The word."""
        return value

    def allowed(self) -> str:
        """The words."""
        return ", ".join([*self.words, *(f"{alias} ({word})" for alias, word in self.aliases.items())])


@dataclass(frozen=True)
class Mode(Kind[int]):
    """Permission bits, in octal."""

    name = "mode"

    def parse(self, text: str) -> int:
        """600, 0660, 0o770."""
        if not re.fullmatch(r"(0o|0)?[0-7]{3}", text):
            raise ValueError("it is no octal mode")
        return int(text[-3:], 8)

    def format(self, value: int) -> str:
        """With a leading zero, as chmod's manual has it."""
        return f"{value:04o}"

    def allowed(self) -> str:
        """In words."""
        return "permission bits in octal, such as 0600 or 0660"


@dataclass(frozen=True)
class Names(Kind[tuple[str, ...]]):
    """A list of names: a YAML list, or text with commas."""

    what: str = "names"
    pattern: str = r"[A-Za-z0-9_-]+"
    """Of one name."""
    name = "list"

    def parse(self, text: str) -> tuple[str, ...]:
        """Names between commas; the order is kept."""
        names = tuple(part.strip() for part in text.split(",")) if text.strip() else ()
        for name in names:
            if not re.fullmatch(self.pattern, name):
                raise ValueError(f"{name!r} does not fit")
        return names

    def format(self, value: tuple[str, ...]) -> str:
        """Between commas."""
        return ", ".join(value)

    def allowed(self) -> str:
        """In words."""
        return f"{self.what}, as a list or between commas"
