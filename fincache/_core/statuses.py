"""The C library's statuses as exceptions, and its constants as Python's."""

from __future__ import annotations

from dataclasses import dataclass

from fincache._errors import CLASSES, FinCacheError, InvalidType, NoSuchKey
from fincache._fincache import ffi, lib
from fincache._reports import ClassKind, Policy, Writer

# ------------------------------------------------------------------ statuses


@dataclass(frozen=True)
class StatusRow:
    """One row of csrc/base/status.def."""

    status: int
    name: str
    resp_prefix: str
    python_class: str
    message: str
    hint: str


def _read_rows() -> dict[int, StatusRow]:
    rows: dict[int, StatusRow] = {}
    index = 0
    while (row := lib.fc_status_at(index)) != ffi.NULL:
        texts = (row.name, row.resp_prefix, row.python_class, row.message, row.hint)
        rows[row.status] = StatusRow(row.status, *(ffi.string(text).decode() for text in texts))
        index += 1
    missing = sorted({row.python_class for row in rows.values()} - {"-"} - CLASSES.keys())
    if missing:
        raise ImportError(f"fincache's C library is newer than its Python modules: no exception class {', '.join(missing)}")
    return rows


STATUS_ROWS = _read_rows()
_BY_NAME = {row.name: row for row in STATUS_ROWS.values()}

OK = _BY_NAME["OK"].status
MISS = _BY_NAME["MISS"].status
NOT_STORED = _BY_NAME["NOT_STORED"].status
VERSION_MISMATCH = _BY_NAME["VERSION_MISMATCH"].status
BUFFER_SMALL = _BY_NAME["BUFFER_SMALL"].status
SCHEMA_MISMATCH = _BY_NAME["SCHEMA_MISMATCH"].status
WRONG_TYPE = _BY_NAME["WRONG_TYPE"].status


def refusal(name: str, detail: str, hint: str | None = None) -> FinCacheError:
    """The exception of a status by its name, for arguments that are refused before the C library sees them."""
    row = _BY_NAME[name]
    error = CLASSES[row.python_class]
    return error(row.message, code=row.status, detail=detail, hint=row.hint if hint is None else hint)


def refused_type(detail: str, hint: str) -> FinCacheError:
    """The exception for an argument of a type that FinCache does not take."""
    return InvalidType("an argument has the wrong type", code=_BY_NAME["INVALID_ARGUMENT"].status, detail=detail, hint=hint)


def failure(status: int) -> FinCacheError:
    """The exception of a status that the C library returned just now, on this thread."""
    row = STATUS_ROWS.get(status)
    detail = ffi.string(lib.fc_error_detail(status)).decode("utf-8", "replace")
    if row is None or row.python_class == "-":
        detail = f"status {status if row is None else row.name} where none is due; {detail}"
        row = _BY_NAME["INTERNAL"]
    return CLASSES[row.python_class](row.message, code=row.status, detail=detail, hint=row.hint)


def check(status: int) -> None:
    if status != OK:
        raise failure(status)


def no_such_key(key: bytes, hint: str) -> FinCacheError:
    """The exception for a miss where Redis, or a dict, has an error."""
    row = _BY_NAME["MISS"]
    return NoSuchKey(row.message, code=row.status, detail=repr(key[:64]), hint=hint)


# ------------------------------------------------------------------ constants of the C library

KEY_BYTES_MAX: int = lib.FC_KEY_BYTES_MAX
NAME_BYTES_MAX: int = lib.FC_NAME_BYTES_MAX
DATABASES_MAX: int = lib.FC_DATABASES_MAX
SESSIONS_LIMIT: int = lib.FC_SESSIONS_LIMIT
MULTI_KEYS_MAX: int = lib.FC_MULTI_KEYS_MAX
SEGMENT_BYTES_MIN: int = lib.FC_SEGMENT_BYTES_MIN
VALUE_BYTES_LIMIT: int = lib.FC_VALUE_BYTES_LIMIT
SCHEMA_BYTES_MAX: int = lib.FC_SCHEMA_BYTES_MAX

SET_NX: int = lib.FC_SET_NX
SET_XX: int = lib.FC_SET_XX
SET_KEEPTTL: int = lib.FC_SET_KEEPTTL
SET_VERSION: int = lib.FC_SET_VERSION
SET_SCHEMA: int = lib.FC_SET_SCHEMA
EXPIRE_NX: int = lib.FC_EXPIRE_NX
EXPIRE_XX: int = lib.FC_EXPIRE_XX
EXPIRE_GT: int = lib.FC_EXPIRE_GT
EXPIRE_LT: int = lib.FC_EXPIRE_LT

POLICIES: dict[str, int] = {
    "noeviction": lib.FC_POLICY_NOEVICTION,
    "allkeys-lru": lib.FC_POLICY_ALLKEYS_LRU,
    "allkeys-random": lib.FC_POLICY_ALLKEYS_RANDOM,
}
POLICY_NAMES: dict[int, Policy] = {
    lib.FC_POLICY_NOEVICTION: "noeviction",
    lib.FC_POLICY_ALLKEYS_LRU: "allkeys-lru",
    lib.FC_POLICY_ALLKEYS_RANDOM: "allkeys-random",
}
TYPE_NAMES: dict[int, bytes] = {lib.FC_TYPE_NONE: b"none", lib.FC_TYPE_STRING: b"string"}
WRITER_NAMES: dict[int, Writer] = {
    lib.FC_WRITER_UNKNOWN: "unknown",
    lib.FC_WRITER_ALIVE: "alive",
    lib.FC_WRITER_DEAD: "dead",
}
CLASS_KINDS: dict[int, ClassKind] = {
    lib.FC_CLASS_FREE: "free",
    lib.FC_CLASS_VALUES: "values",
    lib.FC_CLASS_PAGES: "pages",
    lib.FC_CLASS_BUCKETS: "buckets",
}

BUFFER_BYTES: int = lib.FCPY_PLACE_BYTES  # of a Call: one page holds nearly every value of a market-data cache
SLOT_BYTES = 256  # of one key in the first attempt of a multi-key read
AGE_ANY_NS = (1 << 64) - 1  # of a record that is read: however old it is
GROW_COUNT_MAX = 8  # attempts with a larger buffer, each 1/8 larger than asked for: a value that outgrows all is a moving target

# numpy arrays are too large to clear before they are overwritten, and so are these.
new_uncleared = ffi.new_allocator(should_clear_after_alloc=False)


def version() -> str:
    """Version of the C library, "major.minor.patch"."""
    text: str = ffi.string(lib.fc_version()).decode()
    return text
