"""_core: what Python declares by hand is what the C library has."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import fields

import pytest
from fincache._fincache import ffi

import fincache
from fincache import _core

STRUCTS = [
    (fincache.Stats, "fc_stats"),
    (fincache.SegmentInfo, "fc_cache_info"),
    (fincache.SessionInfo, "fc_session_info"),
    (fincache.SizeClass, "fc_class_info"),
]


@pytest.mark.parametrize(("report", "struct"), STRUCTS)
def test_a_report_has_the_fields_of_its_struct(report: type, struct: str) -> None:
    """A field that is added in C appears in Python, or this fails."""
    declared = [field.name for field in fields(report)]
    assert declared == [name for name, _ in ffi.typeof(struct).fields]


def test_options_have_the_fields_of_their_struct() -> None:
    """Every option of C can be set from Python, except the hash seed, which is for tests in C."""
    declared = {field.name for field in fields(_core.Options)}
    assert declared | {"hash_seed"} == {name for name, _ in ffi.typeof("fc_options").fields}


def test_size_classes_add_up_to_the_totals(cache: fincache.Cache) -> None:
    """Every page is in one class, and what the classes hold is what the segment holds."""
    cache.set("small", b"1")
    cache.set("long", bytes(200_000))
    classes, stats = cache.classes(), cache.stats()
    page_bytes = classes[0].block_bytes
    assert classes[0].kind == "free"
    assert [size_class.kind for size_class in classes[1:]] == ["values"] * (len(classes) - 2) + ["pages"]
    assert sum(size_class.pages for size_class in classes) * page_bytes == stats.arena_bytes
    assert classes[0].pages == stats.pages_free
    assert sum(size_class.used_bytes for size_class in classes) == stats.used_bytes
    assert sum(size_class.magazine_blocks * size_class.block_bytes for size_class in classes) == stats.magazine_bytes
    assert 180_000 <= classes[-1].used_bytes < 200_000  # the head block has the rest
    cache.close()
    with pytest.raises(fincache.Closed):
        cache.classes()


def test_the_handle_is_given_back_once_and_last() -> None:
    """Closing with a pin out waits for it; closing again does nothing."""
    nothing = ffi.cast("fc_cache *", 0)  # fc_cache_close takes it
    handle = _core.Handle(nothing)
    pin = handle.pin()
    handle.closing = True
    handle.release()
    assert handle._owned == [nothing]
    handle.unpin(pin)
    assert handle._owned == []
    handle.release()
    with pytest.raises(fincache.Closed):
        handle.pin()
    assert handle.pins == {}


# ------------------------------------------------------------------ keys that are hashed once


@pytest.fixture
def attachment(name: str) -> Iterator[_core.Attachment]:
    """An attachment without class Cache around it."""
    opened = _core.Attachment.open(name.encode(), _core.Options(size_bytes=4 << 20), 100_000_000)
    yield opened
    opened.close()


@pytest.mark.parametrize("cut", [False, True])
def test_values_of_keys(attachment: _core.Attachment, cut: bool) -> None:
    """What set_keys wrote, in order, misses and long values included; a second read has room for them at once."""
    session = attachment.session()
    keys = attachment.keys(0, [b"a", b"", b"long", b"miss", b"a"])
    assert session.set_keys(attachment.keys(0, [b"a", b"", b"long"]), [b"1", b"2", b"x" * 5000], only_if_absent=False)
    for _ in range(2):
        assert session.read_keys(keys, cut=cut) == [b"1", b"2", b"x" * 5000, None, b"1"]
    assert session.read_keys(attachment.keys(0, []), cut=cut) == []
    assert session.set_keys(attachment.keys(0, [b"a"]), [b"3"], only_if_absent=True) is False


@pytest.mark.parametrize("cut", [False, True])
def test_rows_of_keys(attachment: _core.Attachment, cut: bool) -> None:
    """Records fall into the caller's memory, a miss as zeros; anything that is no record of the schema is named."""
    session = attachment.session()
    schema, other = session.schema_register(b'"V4"'), session.schema_register(b'"<i4"')
    assert schema == _core.schema_id(b'"V4"')
    session.write_rows(attachment.keys(0, [b"a", b"b"]), b"aaaabbbb", 4, schema)
    keys = attachment.keys(0, [b"b", b"miss", b"a"])
    rows, mask = bytearray(b"?" * 12), bytearray(b"?" * 3)
    session.read_rows(keys, rows, mask, 4, schema, cut=cut)
    assert (bytes(rows), bytes(mask)) == (b"bbbb\0\0\0\0aaaa", b"\1\0\1")
    session.read_rows(keys, rows, mask, 4, schema, cut=cut, age_max_ns=3600 * 10**9)
    assert bytes(mask) == b"\1\0\1"
    entry = session.entry(0, b"b")
    assert entry is not None
    while time.time_ns() <= entry.written_unix_ns:  # the engine reads another clock
        pass
    session.read_rows(keys, rows, mask, 4, schema, cut=cut, age_max_ns=0)
    assert (bytes(rows), bytes(mask)) == (bytes(12), bytes(3))
    with pytest.raises(fincache.SchemaMismatch, match="b'b'"):
        session.read_rows(keys, rows, mask, 4, other, cut=cut)
    with pytest.raises(fincache.SchemaMismatch):
        session.write_rows(keys, rows, 4, other)
    session.set(0, b"a", b"aaaa")
    with pytest.raises(fincache.SchemaMismatch, match="b'a' holds plain bytes"):
        session.read_rows(keys, rows, mask, 4, schema, cut=cut)
    for wrong in (bytearray(11), bytearray(13)):
        with pytest.raises(fincache.InvalidArgument):
            session.read_rows(keys, wrong, mask, 4, schema, cut=cut)
    with pytest.raises(fincache.InvalidArgument):
        session.read_rows(keys, rows, bytearray(2), 4, schema, cut=cut)
    with pytest.raises(fincache.InvalidArgument):
        session.write_rows(keys, b"x" * 11, 4, schema)


def test_keys_belong_to_the_attachment_that_made_them(attachment: _core.Attachment, name: str) -> None:
    """Their hashes hold for one segment; another attachment refuses them, and a closed one makes none."""
    other = _core.Attachment.attach(name.encode(), _core.Options(), 0)
    keys = other.keys(0, [b"a"])
    with pytest.raises(fincache.InvalidArgument, match="another attachment"):
        attachment.session().read_keys(keys, cut=True)
    other.close()
    with pytest.raises(fincache.Closed):
        other.keys(0, [b"a"])
    with pytest.raises(fincache.KeyTooLong):
        attachment.keys(0, [b"x" * 65_537])
    with pytest.raises(fincache.InvalidArgument):
        attachment.keys(17, [b"a"])


def test_get_into_and_get_delete(attachment: _core.Attachment) -> None:
    """A buffer that is too small is named with both lengths, and stays as it is."""
    session = attachment.session()
    session.set(0, b"a", b"value")
    buffer = bytearray(b"?" * 7)
    assert session.get_into(0, b"a", buffer) == 5
    assert buffer == b"value??"
    assert session.get_into(0, b"miss", buffer) is None
    with pytest.raises(fincache.BufferTooSmall, match="5 bytes, the buffer 4"):
        session.get_into(0, b"a", memoryview(buffer)[:4])
    session.set(0, b"long", b"y" * 5000)
    assert session.get_delete(0, b"long") == b"y" * 5000
    assert session.get_delete(0, b"long") is None
    entry = session.entry(0, b"a", with_writer=False)
    assert entry is not None
    assert entry.writer == "unknown"
