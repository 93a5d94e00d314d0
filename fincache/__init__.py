"""FinCache: a crash-safe shared-memory cache that trading processes attach to.

    import fincache
    cache = fincache.open("md", size="256MB")
    cache.set("AAPL:last", 150.25, ex=1.5)
    cache.get("AAPL:last")                    # b'150.25'

Modules, each importing only what stands above it:

    _errors      the exceptions               _reports    what is told about values and segments
    _core        the C library (cffi)         _arguments  encoding, deadlines, patterns
    _commands    the families of commands     keyset      class KeySet
    _strings, _numbers, _manykeys, _keyspace, _expiry, _versions, _mapping    the families themselves
    client       class Cache                  records     numpy records
    segment      open, attach, unlink, segments

Before the methods of a strategy's inner loop stands _native, in C, where it is installed (_core.binding).
numpy is imported by the first call of Cache.records, not by `import fincache`.
"""

from fincache import _core
from fincache._errors import (
    AddressInUse,
    BufferTooSmall,
    Busy,
    Closed,
    CommandError,
    Contended,
    CorruptSegment,
    Exhausted,
    FinCacheError,
    ForeignSegment,
    Forked,
    IncrementOverflow,
    InternalError,
    InvalidArgument,
    InvalidName,
    InvalidType,
    KeyTooLong,
    LayoutNewer,
    LayoutOlder,
    MemoryLockRefused,
    NoSpace,
    NoSuchKey,
    NotAFloat,
    NotAnInteger,
    NotText,
    OutOfMemory,
    PathTooLong,
    PermissionDenied,
    ReadOnly,
    Reentered,
    SchemaMismatch,
    SegmentExists,
    SegmentMissing,
    SegmentRetired,
    SessionsFull,
    SizeTooSmall,
    SystemFailure,
    TooManyKeys,
    TruncatedSegment,
    ValueTooLong,
    WatchError,
    WrongThread,
    WrongType,
)
from fincache._pipeline import Pipeline
from fincache._reports import Entry, SegmentInfo, SessionInfo, SizeClass, Stats
from fincache.client import Cache
from fincache.keyset import KeySet
from fincache.segment import attach, open, segments, unlink  # noqa: A004 -- fincache.open, as gzip.open

__version__ = _core.version()

__all__ = [
    "AddressInUse",
    "BufferTooSmall",
    "Busy",
    "Cache",
    "Closed",
    "CommandError",
    "Contended",
    "CorruptSegment",
    "Entry",
    "Exhausted",
    "FinCacheError",
    "ForeignSegment",
    "Forked",
    "IncrementOverflow",
    "InternalError",
    "InvalidArgument",
    "InvalidName",
    "InvalidType",
    "KeySet",
    "KeyTooLong",
    "LayoutNewer",
    "LayoutOlder",
    "MemoryLockRefused",
    "NoSpace",
    "NoSuchKey",
    "NotAFloat",
    "NotAnInteger",
    "NotText",
    "OutOfMemory",
    "PathTooLong",
    "PermissionDenied",
    "Pipeline",
    "ReadOnly",
    "Reentered",
    "SchemaMismatch",
    "SegmentExists",
    "SegmentInfo",
    "SegmentMissing",
    "SegmentRetired",
    "SessionInfo",
    "SessionsFull",
    "SizeClass",
    "SizeTooSmall",
    "Stats",
    "SystemFailure",
    "TooManyKeys",
    "TruncatedSegment",
    "ValueTooLong",
    "WatchError",
    "WrongThread",
    "WrongType",
    "__version__",
    "attach",
    "open",
    "segments",
    "unlink",
]
