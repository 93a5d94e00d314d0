"""The door: what callers write (str, int, float, timedelta, "AAPL:*") becomes what the engine takes, or is refused by name.

Encoding    bytes stay as they are; bytearray and memoryview are copied; str is UTF-8; int is decimal; float is repr(), the
            shortest text that reads back as the same double (150.25 -> b"150.25"). bool, None and containers are refused, as in
            redis-py: what they would be when read back is a guess. A Cache may have another encoding for str (`encoder`).
Deadlines   relative ones are added to the wall clock here and not in the engine, because the engine takes an instant
            (fincache_api.h: *_unix_ns); the few hundred nanoseconds in between make a key live that much shorter.
Patterns    Redis's glob, on bytes: * ? [abc] [a-z] [^a] and backslash. Each `*` is matched as short as possible and not reopened
            (the lookahead trick of CPython's fnmatch), so that a pattern such as a*a*a*a*b cannot take exponential time.
"""

from __future__ import annotations

import codecs
import numbers
import operator
import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TypeVar

from fincache._core import refusal, refused_type
from fincache._errors import NotText

Encodable = bytes | bytearray | memoryview | str | int | float
"""What a key or a value may be."""
Seconds = int | float | timedelta
"""A relative time in seconds."""
Milliseconds = int | float | timedelta
"""A relative time in milliseconds."""
Instant = int | float | datetime
"""A wall-clock time: a number since 1970, or a datetime (naive: local time, as everywhere in Python)."""

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
UNIX_NS_MAX = INT64_MAX  # the year 2262

_TYPE_HINT = (
    "Use bytes, str, int or float (of a numpy scalar: .item()); encode anything else yourself, or use cache.records(dtype)."
)


def encode(value: Encodable) -> bytes:
    """The bytes of a key or value. Raises InvalidType, InvalidArgument (a str that is not Unicode text)."""
    if type(value) is bytes:
        return value
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise refusal("INVALID_ARGUMENT", str(error), "Pass bytes for what is not text.") from None
    if isinstance(value, bool):
        raise refused_type(f"bool {value!r} as key or value", "Use 0 or 1, or text.")
    if isinstance(value, int):
        try:
            return b"%d" % value
        except ValueError as error:  # Python's limit for the digits of an int
            raise refusal("INVALID_ARGUMENT", str(error), "Pass its bytes: value.to_bytes().") from None
    if isinstance(value, float):
        return float.__repr__(value).encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise refused_type(f"{type(value).__name__} as key or value", _TYPE_HINT)


def encoder(encoding: str, errors: str) -> Callable[[Encodable], bytes]:
    """`encode` for a Cache whose str have another encoding. Raises InvalidArgument, InvalidType for one that does not exist."""
    _require_codec(encoding, errors)
    if codecs.lookup(encoding).name == "utf-8" and errors == "strict":
        return encode

    def encode_str(value: Encodable) -> bytes:
        if not isinstance(value, str):
            return encode(value)
        try:
            return value.encode(encoding, errors)
        except UnicodeEncodeError as error:
            raise refusal("INVALID_ARGUMENT", str(error), "Pass bytes for what is not text.") from None

    return encode_str


def decoder(encoding: str, errors: str) -> Callable[[bytes], str]:
    """What makes str of values, and raises NotText. Raises InvalidArgument, InvalidType for an encoding that does not exist."""
    _require_codec(encoding, errors)
    if codecs.lookup(encoding).name == "utf-8" and errors == "strict":
        return decode

    def decode_str(value: bytes) -> str:
        try:
            return value.decode(encoding, errors)
        except UnicodeDecodeError as error:
            raise not_text(error) from None

    return decode_str


def decode(value: bytes) -> str:
    """The text of a value in UTF-8. Raises NotText."""
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise not_text(error) from None


def not_text(cause: UnicodeDecodeError) -> NotText:
    """The exception of FinCache for one of a codec, with its attributes."""
    hint = "Read it through a Cache without decode_responses, or choose its encoding and encoding_errors."
    error = NotText("a value is not text", code=refusal("INVALID_ARGUMENT", "").code, detail=str(cause), hint=hint)
    error.encoding, error.object, error.start = cause.encoding, cause.object, cause.start
    error.end, error.reason = cause.end, cause.reason
    return error


def _require_codec(encoding: str, errors: str) -> None:
    for what, name in (("encoding", encoding), ("encoding_errors", errors)):
        if not isinstance(name, str):
            raise refused_type(f"{what} is {type(name).__name__}", 'Use a str, such as "utf-8" and "strict".')
    try:
        "".encode(encoding)  # LookupError also for a codec that is not one of text, such as base64
        codecs.lookup_error(errors)
    except LookupError as error:
        raise refusal("INVALID_ARGUMENT", str(error), 'Use such as encoding="utf-8", encoding_errors="strict".') from None


def integer(value: int, what: str, low: int = INT64_MIN, high: int = INT64_MAX) -> int:
    """`value` as an int within [low, high]. Raises InvalidType, InvalidArgument."""
    if isinstance(value, bool):
        raise refused_type(f"{what} is a bool", "Use an int.")
    try:
        number = operator.index(value)
    except TypeError:
        raise refused_type(f"{what} is {type(value).__name__}", "Use an int.") from None
    if not low <= number <= high:
        raise refusal("INVALID_ARGUMENT", f"{what} is {number}", f"Use {low} to {high}.")
    return number


def real(value: float, what: str, hint: str) -> int | float:
    """A time or an amount as int or float; numbers of numpy, Fraction and their like count. Raises InvalidType with the hint."""
    if type(value) is int or type(value) is float:
        return value
    if not isinstance(value, bool):
        if isinstance(value, float):
            return float(value)
        if isinstance(value, numbers.Integral):
            return operator.index(value)
        if isinstance(value, numbers.Real):
            return float(value)
    raise refused_type(f"{what} is {type(value).__name__}", hint)


def type_name(kind: Encodable) -> bytes:
    """A type's name, as str or bytes in any case, as the engine has it. Raises InvalidType."""
    if not isinstance(kind, (str, bytes)):
        raise refused_type(f"_type is {type(kind).__name__}", 'Use the name of a type, such as "string".')
    return encode(kind).lower()


def _duration_ns(value: Seconds, unit_ns: int, what: str) -> int:
    if isinstance(value, timedelta):
        return (value.days * 86_400 + value.seconds) * NS_PER_S + value.microseconds * 1_000
    number = real(value, what, "Use a number or a timedelta.")
    if isinstance(number, int):
        return number * unit_ns
    try:
        return round(number * unit_ns)
    except (ValueError, OverflowError):  # nan, inf
        raise refusal("INVALID_ARGUMENT", f"{what} is {value!r}", "Use a finite time.") from None


def _instant_ns(value: Instant | timedelta, unit_ns: int, what: str) -> int:
    if isinstance(value, datetime):
        # timestamp() is a float: at today's dates it is exact to 0.2 us, and a datetime is no finer than 1 us.
        return round(value.timestamp() * 1_000_000) * 1_000
    return _duration_ns(value, unit_ns, what)


def deadline_after(value: Seconds, unit_ns: int, what: str) -> int:
    """The wall-clock instant, in ns, that is `value` units from now; 1 (long past) at least, so that it is never "none"."""
    return _clamp(time.time_ns() + _duration_ns(value, unit_ns, what), what)


def deadline_at(value: Instant, unit_ns: int, what: str) -> int:
    """The wall-clock instant in ns; 1 (long past) at least."""
    return _clamp(_instant_ns(value, unit_ns, what), what)


def _clamp(unix_ns: int, what: str) -> int:
    if unix_ns > UNIX_NS_MAX:
        raise refusal("INVALID_ARGUMENT", f"{what} lies after the year 2262", "Leave the expiry out for a key that stays.")
    return max(1, unix_ns)


def expiry_of_set(
    ex: Seconds | None,
    px: Milliseconds | None,
    exat: Instant | None,
    pxat: Instant | None,
    keepttl: bool = False,
    persist: bool = False,
) -> int:
    """The one expiry of a write, in ns since 1970, 0 for none. Raises InvalidArgument for two of them, and for 0 or less.

    keepttl and persist name no time, but go with none either.
    """
    if (ex is not None) + (px is not None) + (exat is not None) + (pxat is not None) + bool(keepttl) + bool(persist) > 1:
        given = {"ex": ex, "px": px, "exat": exat, "pxat": pxat, "keepttl": keepttl or None, "persist": persist or None}
        names = " and ".join(name for name, value in given.items() if value is not None)
        raise refusal("INVALID_ARGUMENT", f"{names} exclude each other", "Give one of them at most.")
    if ex is not None:
        return expiry_after(ex, NS_PER_S, "ex")
    if px is not None:
        return expiry_after(px, NS_PER_MS, "px")
    if exat is not None:
        return deadline_at(_positive(exat, "exat"), NS_PER_S, "exat")
    if pxat is not None:
        return deadline_at(_positive(pxat, "pxat"), NS_PER_MS, "pxat")
    return 0


def expiry_after(value: Seconds, unit_ns: int, what: str) -> int:
    """The expiry of a write, `value` units from now. Raises InvalidArgument for 0 or less."""
    return deadline_after(_positive(value, what), unit_ns, what)


def age_limit_ns(max_age: Seconds) -> int:
    """Nanoseconds of a largest age. Raises InvalidArgument for a negative one."""
    limit_ns = _duration_ns(max_age, NS_PER_S, "max_age")
    if limit_ns < 0:
        raise refusal("INVALID_ARGUMENT", f"max_age is {max_age!r}", "Use 0 or more seconds.")
    return limit_ns


_TimeT = TypeVar("_TimeT", bound=int | float | timedelta | datetime)


def _positive(value: _TimeT, what: str) -> _TimeT:
    if _instant_ns(value, NS_PER_S, what) <= 0:
        raise refusal("INVALID_ARGUMENT", f"{what} is {value!r}", "An expiry is positive; use delete() to remove a key.")
    return value


@lru_cache(maxsize=256)
def glob(pattern: bytes) -> re.Pattern[bytes]:
    """A Redis pattern as a regular expression for `fullmatch`."""
    pieces: list[list[bytes]] = [[]]  # between the stars
    index = 0
    while index < len(pattern):
        symbol = pattern[index : index + 1]
        index += 1
        if symbol == b"*":
            if pieces[-1] or len(pieces) == 1:
                pieces.append([])
        elif symbol == b"?":
            pieces[-1].append(b".")
        elif symbol == b"[":
            piece, index = _set(pattern, index)
            pieces[-1].append(piece)
        else:
            if symbol == b"\\" and index < len(pattern):
                symbol = pattern[index : index + 1]
                index += 1
            pieces[-1].append(re.escape(symbol))
    head, *tails = [b"".join(piece) for piece in pieces]
    if not tails:
        return re.compile(head, re.DOTALL)
    *middle, last = tails
    for number, piece in enumerate(middle):
        head += b"(?=(?P<g%d>.*?%s))(?P=g%d)" % (number, piece, number)
    return re.compile(head + b".*" + last, re.DOTALL)


def _set(pattern: bytes, index: int) -> tuple[bytes, int]:
    """The piece of a [set] whose "[" was read, and the index behind it. An open set ends with the pattern, as in Redis."""
    negated = pattern[index : index + 1] == b"^"
    index += negated
    allowed: set[int] = set()
    while index < len(pattern) and pattern[index : index + 1] != b"]":
        if pattern[index : index + 1] == b"\\" and index + 1 < len(pattern):
            index += 1
            allowed.add(pattern[index])
            index += 1
        elif pattern[index + 1 : index + 2] == b"-" and index + 2 < len(pattern):
            low, high = sorted((pattern[index], pattern[index + 2]))
            allowed.update(range(low, high + 1))
            index += 3
        else:
            allowed.add(pattern[index])
            index += 1
    if negated:
        allowed = set(range(256)) - allowed
    members = b"".join(re.escape(bytes([byte])) for byte in sorted(allowed))
    return (b"[" + members + b"]" if members else rb"(?!)"), index + 1
