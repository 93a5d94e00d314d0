"""segment.py: the life of a segment, and sizes."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SHM, Child

import fincache
from fincache.segment import parse_size

SIZES = [
    (1048576, 1048576),
    ("1048576", 1048576),
    ("100b", 100),
    ("1k", 1000),
    ("1kb", 1024),
    ("1KiB", 1024),
    ("1m", 1000**2),
    ("256MB", 256 << 20),
    ("1.5gb", 3 << 29),
    (" 2 GiB ", 2 << 30),
    ("1G", 1000**3),
]


@pytest.mark.parametrize(("size", "size_bytes"), SIZES)
def test_sizes_are_read_as_in_redis_conf(size: int | str, size_bytes: int) -> None:
    """k, m, g are powers of 1000, kb, mb, gb of 1024, in any case; an int is bytes."""
    assert parse_size(size) == size_bytes


def test_open_creates_and_attaches(name: str) -> None:
    """The first open creates the segment, the second finds the first one's data and size."""
    with fincache.open(name, size="4MB", databases=3) as first, fincache.open(name, size="64MB") as second:
        first.set("a", 1)
        assert second.get("a") == b"1"
        assert second.info() == first.info()
        assert second.info().databases == 3
        assert first.info().size_bytes <= (4 << 20) + 32768


def test_data_outlives_the_attachment(name: str) -> None:
    """Closing ends the attachment, not the segment (P9)."""
    with fincache.open(name, size="2MB") as first:
        first.set("a", 1)
    with fincache.attach(name) as second:
        assert second.get("a") == b"1"


def test_info_tells_the_options_of_creation(name: str) -> None:
    """The header describes the segment."""
    options = {"databases": 4, "sessions_max": 32, "mode": 0o640, "policy": "allkeys-lru", "value_bytes_max": "64kb"}
    with fincache.open(name, "4MB", **options) as cache:  # type: ignore[arg-type]
        info = cache.info()
    assert (info.name, info.databases, info.sessions_max, info.mode) == (name, 4, 32, 0o640)
    assert (info.policy, info.value_bytes_max) == ("allkeys-lru", 65536)
    assert (info.read_only, info.retired, info.locked) == (False, False, False)
    assert 0 < info.arena_bytes < info.size_bytes


def test_the_mode_of_the_object_is_the_one_asked_for(name: str) -> None:
    """0600 by default, and the umask takes nothing away from another one."""
    before = os.umask(0o077)
    try:
        fincache.open(name, size="1MB", mode=0o664).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((SHM / f"fincache.{name}").stat().st_mode) == 0o664


def test_a_group_is_taken_by_number_or_name(new_name: Callable[[], str]) -> None:
    """group= gives the object to a group."""
    for group in (os.getgid(), Path("/proc/self").group()):
        name = new_name()
        fincache.open(name, size="1MB", mode=0o660, group=group).close()
        assert (SHM / f"fincache.{name}").stat().st_gid == os.getgid()


def test_prefault_and_huge_pages_are_accepted(name: str) -> None:
    """They are wishes: info() says what was obtained."""
    with fincache.open(name, size="4MB", prefault=True, huge_pages=True) as cache:
        assert cache.info().huge_bytes <= cache.info().size_bytes
        cache.set("a", 1)
        assert cache.get("a") == b"1"


def test_segments_are_listed_by_name(new_name: Callable[[], str]) -> None:
    """segments() knows what exists, in order; unlink() takes a name off the list."""
    names = sorted([new_name(), new_name()])
    for name in names:
        fincache.open(name, size="1MB").close()
    assert [name for name in fincache.segments() if name in names] == names
    fincache.unlink(names[0])
    assert names[0] not in fincache.segments()


def test_any_object_of_that_name_can_be_unlinked(name: str) -> None:
    """A damaged one too, so that the name is free again."""
    path = SHM / f"fincache.{name}"
    for content in (b"", b"not a segment", b"x" * (2 << 20)):
        path.write_bytes(content)
        fincache.unlink(name)
        assert not path.exists()
    fincache.open(name, size="1MB").close()
    os.truncate(path, path.stat().st_size // 2)
    fincache.unlink(name)
    assert [file for file in SHM.iterdir() if name in file.name] == []


def test_unlinking_leaves_the_attached_alone(name: str) -> None:
    """Who is attached goes on; the name is free; a new segment is another one (P11)."""
    with fincache.open(name, size="1MB") as old:
        old.set("a", "old")
        fincache.unlink(name)
        assert old.get("a") == b"old"
        old.set("a", "older")
        assert old.info().retired
        with pytest.raises(fincache.SegmentMissing):
            fincache.attach(name)
        with fincache.open(name, size="1MB") as new:
            assert new.get("a") is None
            assert new.info().segment_id != old.info().segment_id
            assert old.get("a") == b"older"


def test_a_view_reads_another_database(cache: fincache.Cache, name: str) -> None:
    """db(n) and open(db=n) share the segment, not the keys; closing a view closes nothing else."""
    cache.set("a", 0)
    with cache.db(5) as view:
        view.set("a", 5)
        assert (cache.get("a"), view.get("a")) == (b"0", b"5")
    assert view.closed
    assert not cache.closed
    with pytest.raises(fincache.Closed):
        view.get("a")
    with pytest.raises(fincache.Closed):
        view.info()
    assert cache.get("a") == b"0"
    with fincache.attach(name, db=5) as other:
        assert other.get("a") == b"5"


def test_a_view_ends_with_its_cache(name: str) -> None:
    """There is one attachment; closing it closes every view of it."""
    cache = fincache.open(name, size="1MB")
    view = cache.db(1)
    cache.close()
    assert view.closed
    with pytest.raises(fincache.Closed):
        view.set("a", 1)


def test_processes_that_race_to_create_end_up_in_one_segment(name: str) -> None:
    """Whoever comes first creates; nobody sees half a segment, and nobody gets another one (P11)."""
    go, ready = os.pipe()

    def join_in() -> None:
        os.read(go, 1)
        with fincache.open(name, size="2MB") as cache:
            cache.incr("arrived")

    children = [Child(join_in) for _ in range(8)]
    os.write(ready, b"x" * 8)
    for child in children:
        child.join()
    os.close(go)
    os.close(ready)
    with fincache.attach(name) as cache:
        assert cache.get("arrived") == b"8"


def test_repr_says_which_segment_and_state(name: str) -> None:
    """A Cache in a log line can be recognised."""
    cache = fincache.open(name, size="1MB")
    assert repr(cache) == f"<fincache.Cache {name!r} db=0 open>"
    cache.close()
    assert repr(cache) == f"<fincache.Cache {name!r} db=0 closed>"
