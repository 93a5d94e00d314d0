"""What doctor looks for behind segments: lock files that nobody needs, and memory that has no name any more.

A lock file is an orphan when no segment of its name has its id. The kernel then says whether anybody still has it open or mapped
(processes.is_open_anywhere), in whatever namespace; nobody can begin to need it, for ids are never given out twice. A creator
links the lock file before the segment and has it open meanwhile, so that it is not taken for an orphan.

Memory without a name is a segment that was removed while processes had it mapped. It is theirs until they end.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fincache.cli.findings import Finding, Level, Repair
from fincache.cli.output import size_text
from fincache.cli.processes import LOCK_PREFIX, PROC, SHM, Mapping, Mappings, is_open_anywhere, who
from fincache.cli.shm_objects import OBJECT_PREFIX, Listed

LOCK_NAME = re.compile(re.escape(LOCK_PREFIX) + r"(?P<name>.+)\.(?P<id>[0-9a-f]{16})")
MAGIC = b"FINCACHE"  # the first eight bytes of a segment (csrc/layout/layout.h)
DELETED = " (deleted)"


def check_leftovers(segments: list[Listed], mappings: Mappings) -> Iterator[Finding]:
    """Everything."""
    yield from check_lock_files(segments, mappings)
    yield from check_removed(mappings)
    if mappings.unreadable_count:
        seen = f"{mappings.unreadable_count} processes could not be looked into"
        do = "Run it as root." if os.geteuid() else ""
        yield Finding("processes", Level.NOTE, seen, "If one of them maps a segment read-only, it is missing here.", do)


def check_lock_files(segments: list[Listed], mappings: Mappings) -> Iterator[Finding]:
    """Lock files whose segment is gone."""
    known = {(listed.name, f"{listed.info.segment_id:016x}") for listed in segments if listed.info is not None}
    unknown = {listed.name for listed in segments if listed.info is None}
    for path in sorted(SHM.glob(f"{LOCK_PREFIX}*")):
        found = LOCK_NAME.fullmatch(path.name)
        # Whose id cannot be read may be the one that the file belongs to.
        if found is None or (found["name"], found["id"]) in known or found["name"] in unknown:
            continue
        yield from _orphan(path, found["name"], mappings)


def _orphan(path: Path, name: str, mappings: Mappings) -> Iterator[Finding]:
    try:
        seen_file = path.lstat()
    except FileNotFoundError:
        return  # its segment was removed meanwhile, and it with it
    is_open = is_open_anywhere(path)
    if not path.exists():
        return
    if is_open is False:
        yield Finding(
            "lock-file",
            Level.PROBLEM,
            f"{path} belongs to no segment, and nobody has it open",
            "A segment's object was removed by other means than fincache rm (rm, logind's RemoveIPC), or its creator was killed.",
            "fincache doctor --fix, or rm it.",
            name,
            Repair(f"remove the lock file {path}", partial(_remove_lock_file, path)),
        )
        return
    pids = mappings.pids_of(seen_file.st_ino)
    users = (
        f"by {who(pids)}" if pids else "by processes that cannot be seen from here" if is_open else "or not, which is not told"
    )
    why = "The object was removed by other means than fincache rm. Who is attached goes on, cut off from who attaches now."
    yield Finding("lock-file", Level.WARNING, f"{path} belongs to no segment, and is in use {users}", why, "Restart them.", name)


def _remove_lock_file(path: Path) -> tuple[bool, str]:
    if is_open_anywhere(path) is not False:
        return False, f"left {path} alone: somebody has it open now"
    path.unlink(missing_ok=True)
    return True, f"removed {path}"


def check_removed(mappings: Mappings) -> Iterator[Finding]:
    """Segments without a name that processes still map."""
    named = {path.stat().st_ino for path in _objects()}
    by_inode: dict[int, list[Mapping]] = defaultdict(list)
    for mapping in mappings.found:
        if mapping.inode not in named and mapping.path.endswith(DELETED):
            by_inode[mapping.inode].append(mapping)
    for inode, mapped in sorted(by_inode.items()):
        name = _name_of(mapped)
        if name is None:
            continue
        pids = mappings.pids_of(inode)
        size = size_text(max(mapping.size_bytes for mapping in mapped))
        why = "Its memory is taken until they end; processes that attach by name now are in another segment, or in none."
        seen = f"a removed segment of {size} is still mapped by {who(pids)}"
        yield Finding("removed-segment", Level.WARNING, seen, why, "Restart them.", name)


def _objects() -> Iterator[Path]:
    for entry in SHM.iterdir():
        if entry.name.startswith(OBJECT_PREFIX):
            yield entry


def _name_of(mapped: list[Mapping]) -> str | None:
    """The name that a removed segment had, "" for one that is only known by its content; None for anything else."""
    prefix = f"{SHM}/{OBJECT_PREFIX}"
    for mapping in mapped:
        if mapping.path.startswith(prefix):
            return mapping.path.removeprefix(prefix).removesuffix(DELETED)
    # Its creator has it under the nameless path that it was built under.
    return "" if any(_begins_as_segment(mapping) for mapping in mapped) else None


def _begins_as_segment(mapping: Mapping) -> bool:
    """Reads a process's memory, as far as the kernel lets us (ptrace(2), PTRACE_MODE_ATTACH)."""
    try:
        file = os.open(PROC / str(mapping.pid) / "mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.pread(file, len(MAGIC), mapping.address) == MAGIC
    except OSError:
        return False
    finally:
        os.close(file)
