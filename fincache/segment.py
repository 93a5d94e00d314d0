"""The life of a segment: open, attach, unlink, list; and sizes such as "256MB".

A segment is the POSIX shared memory object "/fincache.<name>". The C library makes it, because a segment must never be visible
half-built: it is reserved and filled without a name and then linked into place, which shm_open() cannot do; attaching
likewise, because everything is validated before anything is used; and removing, because who is attached must learn of it (the
retired flag) and the lock file goes too. What is left for posix_ipc is the object as such, whoever made it and whatever is in
it: which of the names that the C library lists still lead to one, and may be opened by this user (`segments`).
"""

from __future__ import annotations

import grp
import re
from collections.abc import Callable
from typing import Literal, cast, overload

import posix_ipc

from fincache import _core
from fincache._arguments import Encodable, decoder, encoder, integer
from fincache._core import Attachment, Options, refusal, refused_type
from fincache._reports import Policy
from fincache.client import Cache, policy_number

Size = int | str
"""Bytes, or text such as "256MB"."""

_Codec = tuple[Callable[[Encodable], bytes], Callable[[bytes], str] | None]

SIZE_BYTES_MAX = 1 << 47  # beyond what a process can map
TIMEOUT_MS = 100

_UNITS = {
    "": 1,
    "b": 1,
    "k": 1000,
    "m": 1000**2,
    "g": 1000**3,
    "kb": 1 << 10,
    "mb": 1 << 20,
    "gb": 1 << 30,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")


def parse_size(size: Size, what: str = "size") -> int:
    """Bytes of a size, as redis.conf writes them: k, m, g are powers of 1000, kb, mb, gb (and KiB, MiB, GiB) of 1024.

    Args:
        size: an int (bytes), or text such as "256MB", "1.5gb", "1048576"; upper and lower case are the same.
        what: the argument's name, for the message.

    Raises:
        InvalidArgument: not a size; InvalidType: neither int nor str.
    """
    if not isinstance(size, str):
        return integer(size, what, 0, SIZE_BYTES_MAX)
    found = _SIZE.fullmatch(size)
    if found is None or found[2].lower() not in _UNITS:
        raise refusal("INVALID_ARGUMENT", f"{what} is {size!r}", 'Write it as 268435456 or "256MB".')
    number = float(found[1]) if "." in found[1] else int(found[1])
    return integer(int(number * _UNITS[found[2].lower()]), what, 0, SIZE_BYTES_MAX)


@overload
def open(  # noqa: A001
    name: str,
    size: Size = "64MB",
    *,
    item_bytes: int | None = None,
    keys: int | None = None,
    databases: int = 16,
    sessions_max: int | None = None,
    policy: Policy = "noeviction",
    mode: int = 0o600,
    group: str | int | None = None,
    huge_pages: bool = False,
    prefault: bool = False,
    lock_memory: bool = False,
    value_bytes_max: Size | None = None,
    exclusive: bool = False,
    db: int = 0,
    timeout_ms: float = TIMEOUT_MS,
    decode_responses: Literal[False] = False,
    encoding: str = "utf-8",
    encoding_errors: str = "strict",
) -> Cache[bytes]: ...


@overload
def open(  # noqa: A001
    name: str,
    size: Size = "64MB",
    *,
    item_bytes: int | None = None,
    keys: int | None = None,
    databases: int = 16,
    sessions_max: int | None = None,
    policy: Policy = "noeviction",
    mode: int = 0o600,
    group: str | int | None = None,
    huge_pages: bool = False,
    prefault: bool = False,
    lock_memory: bool = False,
    value_bytes_max: Size | None = None,
    exclusive: bool = False,
    db: int = 0,
    timeout_ms: float = TIMEOUT_MS,
    decode_responses: Literal[True],
    encoding: str = "utf-8",
    encoding_errors: str = "strict",
) -> Cache[str]: ...


@overload
def open(  # noqa: A001
    name: str,
    size: Size = "64MB",
    *,
    item_bytes: int | None = None,
    keys: int | None = None,
    databases: int = 16,
    sessions_max: int | None = None,
    policy: Policy = "noeviction",
    mode: int = 0o600,
    group: str | int | None = None,
    huge_pages: bool = False,
    prefault: bool = False,
    lock_memory: bool = False,
    value_bytes_max: Size | None = None,
    exclusive: bool = False,
    db: int = 0,
    timeout_ms: float = TIMEOUT_MS,
    decode_responses: bool,
    encoding: str = "utf-8",
    encoding_errors: str = "strict",
) -> Cache[bytes] | Cache[str]: ...


def open(  # noqa: A001 -- fincache.open, as gzip.open
    name: str,
    size: Size = "64MB",
    *,
    item_bytes: int | None = None,
    keys: int | None = None,
    databases: int = 16,
    sessions_max: int | None = None,
    policy: Policy = "noeviction",
    mode: int = 0o600,
    group: str | int | None = None,
    huge_pages: bool = False,
    prefault: bool = False,
    lock_memory: bool = False,
    value_bytes_max: Size | None = None,
    exclusive: bool = False,
    db: int = 0,
    timeout_ms: float = TIMEOUT_MS,
    decode_responses: bool = False,
    encoding: str = "utf-8",
    encoding_errors: str = "strict",
) -> Cache[bytes] | Cache[str]:
    """Attaches to a segment, and creates it when there is none. Two processes that race end up in one.

    The arguments up to `group`, and value_bytes_max, are for the creation: a segment that exists keeps what it was created with,
    and other arguments pass silently. `Cache.info` says what it has; `exclusive` refuses a segment that is there.

    Args:
        name: 1 to 63 characters out of A-Z a-z 0-9 _ . - beginning with a letter, a digit or _.
        size: of the whole segment, an int in bytes or text such as "256MB"; 1 MiB at least. Reserved at once.
        item_bytes: expected average of key + value bytes; None: 200. A wrong guess costs memory, not function.
        keys: expected number of keys; None: as many as `size` holds of `item_bytes`.
        databases: 1 to 63.
        sessions_max: threads that can be attached at a time, 16 to 4080; None: by size.
        policy: what a full segment does with a write: refuse it ("noeviction") or drop other keys.
        mode: permission bits, such as 0o660 for a group; the umask does not apply.
        group: name or gid of the group that owns the segment; None: the caller's.
        huge_pages: ask for huge pages; `Cache.info` says what was obtained.
        prefault: touch every page now, so that no page fault comes later.
        lock_memory: mlock the mapping.
        value_bytes_max: longest value; None: 512 MiB.
        exclusive: create it or fail: never attach to one that is there.
        db: the database that the Cache reads and writes.
        timeout_ms: how long a write may wait for a key's lock that a live thread holds, before Busy. 0: not at all.
        decode_responses: return str instead of bytes, wherever redis-py does: values and keys.
        encoding: of str, both ways.
        encoding_errors: what to do with what the encoding has not, as str.encode has it.

    Returns:
        A Cache.

    Raises:
        InvalidName, InvalidArgument, InvalidType, SizeTooSmall.
        SegmentExists: `exclusive`, and there is one.
        NoSpace: /dev/shm has not enough room. Nothing was created.
        PermissionDenied, ForeignSegment, TruncatedSegment, LayoutNewer, LayoutOlder, SegmentRetired, CorruptSegment: there is
            an object of that name, and it was left as it is.
        MemoryLockRefused, SystemFailure.
    """
    options = Options(
        size_bytes=parse_size(size),
        item_bytes=0 if item_bytes is None else integer(item_bytes, "item_bytes", 1),
        keys=0 if keys is None else integer(keys, "keys", 1),
        value_bytes_max=0 if value_bytes_max is None else _value_bytes_max(value_bytes_max),
        databases=integer(databases, "databases", 1, _core.DATABASES_MAX),
        sessions_max=0 if sessions_max is None else integer(sessions_max, "sessions_max", 16, _core.SESSIONS_LIMIT),
        policy=policy_number(policy),
        mode=integer(mode, "mode", 0, 0o777),
        group=_gid(group),
        huge_pages=huge_pages,
        prefault=prefault,
        lock_memory=lock_memory,
    )
    codec = _codec(decode_responses, encoding, encoding_errors)
    obtain = Attachment.create if exclusive else Attachment.open
    return _cache(obtain(_name(name), options, _timeout_ns(timeout_ms)), db, codec)


@overload
def attach(
    name: str,
    readonly: bool = False,
    *,
    huge_pages: bool = False,
    prefault: bool = False,
    lock_memory: bool = False,
    db: int = 0,
    timeout_ms: float = TIMEOUT_MS,
    decode_responses: Literal[False] = False,
    encoding: str = "utf-8",
    encoding_errors: str = "strict",
) -> Cache[bytes]: ...


@overload
def attach(
    name: str,
    readonly: bool = False,
    *,
    huge_pages: bool = False,
    prefault: bool = False,
    lock_memory: bool = False,
    db: int = 0,
    timeout_ms: float = TIMEOUT_MS,
    decode_responses: Literal[True],
    encoding: str = "utf-8",
    encoding_errors: str = "strict",
) -> Cache[str]: ...


@overload
def attach(
    name: str,
    readonly: bool = False,
    *,
    huge_pages: bool = False,
    prefault: bool = False,
    lock_memory: bool = False,
    db: int = 0,
    timeout_ms: float = TIMEOUT_MS,
    decode_responses: bool,
    encoding: str = "utf-8",
    encoding_errors: str = "strict",
) -> Cache[bytes] | Cache[str]: ...


def attach(
    name: str,
    readonly: bool = False,
    *,
    huge_pages: bool = False,
    prefault: bool = False,
    lock_memory: bool = False,
    db: int = 0,
    timeout_ms: float = TIMEOUT_MS,
    decode_responses: bool = False,
    encoding: str = "utf-8",
    encoding_errors: str = "strict",
) -> Cache[bytes] | Cache[str]:
    """Attaches to a segment that exists.

    Args:
        name: the segment's name.
        readonly: map it read-only: needs no more than read permission, takes no session slot, cannot write (P6).
        huge_pages: ask for huge pages.
        prefault: touch every page now.
        lock_memory: mlock the mapping.
        db: the database that the Cache reads and writes.
        timeout_ms: how long a write may wait, as for `open`.
        decode_responses: return str instead of bytes, as for `open`, like the next two.
        encoding: of str, both ways.
        encoding_errors: what to do with what the encoding has not.

    Returns:
        A Cache.

    Raises:
        SegmentMissing: there is none.
        Others as for `open`.
    """
    options = Options(huge_pages=huge_pages, prefault=prefault, lock_memory=lock_memory, read_only=bool(readonly))
    codec = _codec(decode_responses, encoding, encoding_errors)
    return _cache(Attachment.attach(_name(name), options, _timeout_ns(timeout_ms)), db, codec)


def unlink(name: str) -> None:
    """Removes a segment's name. Nobody can attach any more, or open a session.

    A thread that has used its Cache goes on, and so does a read-only attachment. A thread, or a child of fork(), that uses a
    writable Cache for the first time after this raises SegmentRetired.

    An object of that name that is damaged, of another layout version or no segment at all is removed likewise, so that the name
    is free again.

    Raises:
        SegmentMissing: there is none; InvalidName; PermissionDenied: it belongs to somebody else.
    """
    _core.unlink(_name(name))


def segments() -> list[str]:
    """Names of the segments of this host that this user may attach to, read-only at least, in alphabetical order."""
    return sorted(name for name in _core.list_names() if _may_open(name))


def _may_open(name: str) -> bool:
    try:
        posix_ipc.SharedMemory(_object_name(name.encode()), read_only=True).close_fd()
    except (posix_ipc.ExistentialError, posix_ipc.PermissionsError):
        return False  # removed since it was listed, or another user's
    return True


def _object_name(name: bytes) -> str:
    return f"/fincache.{name.decode()}"


def _name(name: str) -> bytes:
    if not isinstance(name, str):
        raise refused_type(f"name is {type(name).__name__}", "Use a str.")
    if "\0" in name or not name.isascii():  # the C library would see another name, or none
        raise refusal("INVALID_NAME", repr(name))
    return name.encode()


def _cache(attachment: Attachment, db: int, codec: _Codec) -> Cache[bytes] | Cache[str]:
    encode, decode = codec
    cache = cast("Cache[bytes] | Cache[str]", Cache(attachment, 0, encode, decode))
    if db == 0 and not isinstance(db, bool):
        return cache
    try:
        cache.db(db)
    except BaseException:
        cache.close()
        raise
    return cast("Cache[bytes] | Cache[str]", Cache(attachment, db, encode, decode))


def _codec(decode_responses: bool, encoding: str, encoding_errors: str) -> _Codec:
    """How a Cache makes bytes of str, and what it makes of bytes."""
    encode = encoder(encoding, encoding_errors)
    return encode, decoder(encoding, encoding_errors) if decode_responses else None


def _value_bytes_max(size: Size) -> int:
    return integer(parse_size(size, "value_bytes_max"), "value_bytes_max", 1, _core.VALUE_BYTES_LIMIT)


def _gid(group: str | int | None) -> int:
    if group is None:
        return -1
    if not isinstance(group, str):
        return integer(group, "group", 0, (1 << 32) - 2)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise refusal("INVALID_ARGUMENT", f"group is {group!r}", "There is no such group on this host.") from None


def _timeout_ns(timeout_ms: float) -> int:
    if isinstance(timeout_ms, bool) or not isinstance(timeout_ms, (int, float)):
        raise refused_type(f"timeout_ms is {type(timeout_ms).__name__}", "Use a number of milliseconds.")
    if not 0 <= timeout_ms <= _TIMEOUT_MS_MAX:
        raise refusal("INVALID_ARGUMENT", f"timeout_ms is {timeout_ms!r}", f"Use 0 to {_TIMEOUT_MS_MAX}.")
    return round(timeout_ms * 1_000_000)


_TIMEOUT_MS_MAX = 86_400_000  # a day: whoever waits longer waits for a human
