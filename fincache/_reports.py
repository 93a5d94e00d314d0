"""What FinCache tells about a value, a segment and its users: frozen dataclasses, with units in the names.

The counters of `Stats` and the fields of `SegmentInfo` carry the names of fc_stats and fc_cache_info in fincache_api.h, and are
filled by name; a test compares the lists, so that a field added in C cannot be forgotten here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

ValueT = TypeVar("ValueT", covariant=True)
Writer = Literal["alive", "dead", "unknown"]
ClassKind = Literal["free", "values", "pages", "buckets"]
Policy = Literal["noeviction", "allkeys-lru", "allkeys-random"]


@dataclass(frozen=True)
class Entry(Generic[ValueT]):
    """A value and what is known of it, all from one instant.

    Attributes:
        value: the value, a copy: bytes, or a numpy scalar from `Records.entry`.
        version: unique for ever within the segment, and changed by every write; `Cache.cas` takes it. It may also change without
            a write, when memory is compacted: two equal versions prove an equal value, two different ones prove nothing.
        age_ns: nanoseconds since it was written, at the moment of reading; 0 at least.
        ttl_ns: nanoseconds it had to live at the moment of reading; None without expiry.
        written_unix_ns: wall-clock time of the write.
        expires_unix_ns: wall-clock time of the expiry; None without.
        writer: is the session that wrote it still there? "dead": its thread was killed or ended without closing; "unknown": it
            was closed, or that cannot be told from here.
        writer_slot: slot of the session that wrote it (SessionInfo.slot); another session may have the slot by now, if it was
            opened after written_unix_ns. -1: not asked for.
    """

    value: ValueT
    version: int
    age_ns: int
    ttl_ns: int | None
    written_unix_ns: int
    expires_unix_ns: int | None
    writer: Writer
    writer_slot: int = -1

    @property
    def age(self) -> float:
        """Seconds since it was written, at the moment of reading."""
        return self.age_ns / 1e9

    @property
    def ttl(self) -> float | None:
        """Seconds to live at the moment of reading; None without expiry."""
        return None if self.ttl_ns is None else self.ttl_ns / 1e9


@dataclass(frozen=True)
class Stats:
    """Totals over all sessions that a segment ever had; exact when nobody is in the middle of an operation.

    Attributes:
        gets, hits, misses, sets, deletes: operations.
        read_retries: validated reads that had to be taken again.
        contended: reads that gave up (`Contended`).
        lock_waits: writes that found a lock held.
        busy: writes that gave up (`Busy`).
        recoveries: dead sessions settled.
        rolled_forward: of these, the ones whose half-done write was finished.
        expired, evicted, flushed: keys removed by time, for room, after a flush.
        pages_moved: pages given from one size class to another.
        multi_commits: all-or-nothing writes of several keys.
        out_of_memory: writes refused because the segment was full.
        used_bytes: blocks that hold something, the index not included.
        magazine_bytes: free blocks that sessions keep at hand.
        free_bytes: arena_bytes - used_bytes - magazine_bytes.
        arena_bytes: all that is there for keys and values.
        extension_buckets: index blocks beyond the fixed ones; their bytes are part of used_bytes.
        key_count: keys of all databases, expired ones that nobody has met yet included.
        sessions_used: sessions open now.
        pages_free: pages that no size class owns.
    """

    gets: int
    hits: int
    misses: int
    sets: int
    deletes: int
    read_retries: int
    contended: int
    lock_waits: int
    busy: int
    recoveries: int
    rolled_forward: int
    expired: int
    evicted: int
    flushed: int
    pages_moved: int
    multi_commits: int
    out_of_memory: int
    used_bytes: int
    magazine_bytes: int
    free_bytes: int
    arena_bytes: int
    extension_buckets: int
    key_count: int
    sessions_used: int
    pages_free: int


@dataclass(frozen=True)
class SegmentInfo:
    """What a mapping is, from its validated header.

    Attributes:
        name: the segment's name.
        segment_id: random, new with every creation.
        size_bytes: the whole segment.
        arena_bytes: what is left of it for keys and values.
        home_count: buckets of the index, six keys each.
        keys_configured: the number of keys that the index is made for.
        value_bytes_max: longest value.
        created_unix_ns: wall-clock time of creation.
        huge_bytes: bytes of this mapping that huge pages back; 0 when none.
        databases, sessions_max: as created.
        sessions_used: sessions open now.
        policy: what a full segment does with a write.
        layout_version: of the bytes in the segment.
        mode: permission bits.
        read_only: this attachment is mapped read-only.
        retired: the segment was unlinked; sessions that are open go on working, new ones are refused.
        locked: mlock succeeded for this mapping.
        huge_advised: the kernel accepted the wish for huge pages.
    """

    name: str
    segment_id: int
    size_bytes: int
    arena_bytes: int
    home_count: int
    keys_configured: int
    value_bytes_max: int
    created_unix_ns: int
    huge_bytes: int
    databases: int
    sessions_max: int
    sessions_used: int
    policy: Policy
    layout_version: int
    mode: int
    read_only: bool
    retired: bool
    locked: bool
    huge_advised: bool


@dataclass(frozen=True)
class SizeClass:
    """The memory of one size class: pages that are divided into blocks of one size.

    Attributes:
        kind: "free": pages that no class has, a block being a page; "values": blocks of one key and value each; "pages": whole
            pages, where long values go on; "buckets": extension buckets of the index.
        block_bytes: size of a block.
        pages: pages of the class.
        blocks: that they are divided into.
        free_blocks: of them, for any session to take.
        magazine_blocks: free ones that sessions keep at hand.
    """

    kind: ClassKind
    block_bytes: int
    pages: int
    blocks: int
    free_blocks: int
    magazine_blocks: int

    @property
    def used_blocks(self) -> int:
        """Blocks that hold something; 0 at least, for the figures may be of different moments."""
        return max(0, self.blocks - self.free_blocks - self.magazine_blocks)

    @property
    def used_bytes(self) -> int:
        """Bytes of the blocks that hold something."""
        return self.used_blocks * self.block_bytes


@dataclass(frozen=True)
class SessionInfo:
    """One session of a segment: one thread of one process.

    Attributes:
        slot: its place in the registry.
        pid, tid: the thread, as the kernel numbers it.
        live: False: the thread is dead, and nobody has settled its session yet.
        opened_unix_ns: wall-clock time of opening.
        magazine_bytes: free blocks it keeps at hand.
        gets, sets: what it did.
    """

    slot: int
    pid: int
    tid: int
    live: bool
    opened_unix_ns: int
    magazine_bytes: int
    gets: int
    sets: int
