"""What doctor looks at in each segment: damage, dead and stopped users, memory, permissions. Attaches read-only; repairs apart.

A session whose thread is dead is settled by whoever runs into it: finished or undone, its locks freed, its memory given back.
Until then it holds them, which nobody notices but who wants them; --fix settles it now.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from functools import partial

import fincache
from fincache.cli.findings import Finding, Level, Repair
from fincache.cli.output import size_text
from fincache.cli.processes import LOCK_PREFIX, SHM, Mappings, command_of, is_open_anywhere, maps, state_of, who
from fincache.cli.shm_objects import Listed, object_path

FULL_RATIO = 0.9  # of memory under noeviction, and of session slots
HUGE_WORTH_BYTES = 64 << 20  # from here on a second-level TLB of 1536 entries covers less than a tenth
EMPTY_BYTES = 4096  # the header; zeros there are nothing
STOPPED_STATES = {"T": "stopped", "t": "stopped by a debugger"}


def check_segment(listed: Listed, mappings: Mappings) -> Iterator[Finding]:
    """Everything about one object of /dev/shm that bears the name of a segment."""
    if listed.info is None or listed.stats is None:
        yield from check_unusable(listed, mappings)
        return
    findings = [
        *check_sessions(listed.name),
        *check_lock_file(listed.name, listed.info),
        *check_memory(listed.info, listed.stats),
        *check_rights(listed, listed.info),
        *check_counters(listed.name, listed.stats),
    ]
    if not findings:
        used = f"{100 * listed.stats.used_bytes / max(1, listed.stats.arena_bytes):.1f}% used"
        seen = (
            f"{size_text(listed.info.size_bytes)}, {used}, {listed.stats.key_count:,} keys, {listed.stats.sessions_used} sessions"
        )
        findings = [Finding("segment", Level.OK, seen, segment=listed.name)]
    yield from findings


# ------------------------------------------------------------------ damage


def check_unusable(listed: Listed, mappings: Mappings) -> Iterator[Finding]:
    """An object that cannot be attached to."""
    name, error = listed.name, listed.error
    path = object_path(name)
    pids = mappings.pids_of(path.stat().st_ino)
    users = f" {who(pids)} still map it." if pids else ""
    remove = f"fincache rm {name}"
    if isinstance(error, fincache.PermissionDenied):
        yield Finding("segment", Level.NOTE, "this user may not read it", "So it could not be looked at.", "", name)
    elif isinstance(error, fincache.ForeignSegment) and _is_empty(listed):
        why = f"There is nothing in it, and nobody can create a segment of that name.{users}"
        yield Finding(
            "half-built", Level.PROBLEM, "it holds nothing but zeros", why, remove, name, _removal(listed, "the empty object")
        )
    elif isinstance(error, fincache.ForeignSegment):
        why = f"FinCache did not make it, and nobody can create a segment of that name.{users}"
        yield Finding("foreign", Level.WARNING, listed.problem, why, f"Find out whose it is; then {remove} --force.", name)
    elif isinstance(error, fincache.TruncatedSegment):
        why = f"Nobody can attach to it; who maps it gets SIGBUS where bytes are missing.{users}"
        yield Finding("truncated", Level.PROBLEM, listed.problem, why, remove, name, _removal(listed, "the truncated object"))
    elif isinstance(error, (fincache.LayoutOlder, fincache.LayoutNewer)):
        why = f"Only the FinCache that wrote it can read it; this one cannot create a segment of that name.{users}"
        yield Finding("layout", Level.WARNING, listed.problem, why, f"When nobody needs it: {remove} --force.", name)
    elif isinstance(error, fincache.CorruptSegment):
        why = f"Nobody can attach to it any more.{users}"
        yield Finding("corrupt", Level.PROBLEM, listed.problem, why, f"{remove}, and create it again.", name)
    else:
        yield Finding("segment", Level.PROBLEM, listed.problem, f"It cannot be attached to.{users}", remove, name)


def _is_empty(listed: Listed) -> bool:
    path = object_path(listed.name)
    if not stat.S_ISREG(path.lstat().st_mode):
        return False
    with path.open("rb") as file:
        return not file.read(EMPTY_BYTES).strip(b"\0")


def _removal(listed: Listed, what: str) -> Repair:
    return Repair(f"remove {what} {object_path(listed.name)}, if nobody has it open", partial(_remove, listed.name))


def _remove(name: str) -> tuple[bool, str]:
    path = object_path(name)
    is_open = is_open_anywhere(path)
    if is_open is not False:
        return False, f"left {path} alone: {'somebody has it open' if is_open else 'the kernel does not tell who has it open'}"
    fincache.unlink(name)
    return True, f"removed {path}"


def check_lock_file(name: str, info: fincache.SegmentInfo) -> Iterator[Finding]:
    """Sessions are locks on this file."""
    if (SHM / f"{LOCK_PREFIX}{name}.{info.segment_id:016x}").exists():
        return
    why = "No session can be opened any more; those that are open go on, and their death is noticed by /proc alone."
    do = f"Somebody removed it, perhaps logind (RemoveIPC). Save what is needed, fincache rm --force {name}, and create it again."
    yield Finding("lock-file", Level.PROBLEM, "its lock file is missing", why, do, name)


# ------------------------------------------------------------------ users


def check_sessions(name: str) -> Iterator[Finding]:
    """Dead and stopped sessions, and slots that run out."""
    with fincache.attach(name, readonly=True) as cache:
        sessions, info = cache.sessions(), cache.info()
    inode = object_path(name).stat().st_ino
    dead = [session for session in sessions if not session.live]
    if dead:
        pids = ", ".join(str(pid) for pid in sorted({session.pid for session in dead}))
        held = size_text(sum(session.magazine_bytes for session in dead))
        yield Finding(
            "dead-sessions",
            Level.PROBLEM,
            f"{len(dead)} sessions of dead threads are not settled (pid {pids}; {held} in their magazines)",
            "Their memory, and perhaps keys that they were writing, stay taken until somebody runs into them.",
            f"fincache doctor --fix; any writer of {name} does it, too, when it needs what they hold.",
            name,
            Repair(f"settle the dead sessions of segment {name}", partial(_settle, name)),
        )
    for session in sessions:
        state = STOPPED_STATES.get(state_of(session.pid, session.tid), "") if session.live else ""
        if state and maps(session.pid, inode) is not False:
            yield Finding(
                "stopped-session",
                Level.WARNING,
                f"thread {session.tid} of process {session.pid} ({command_of(session.pid)}) is {state}",
                "If it was stopped in the middle of a write, writes to that key fail with Busy until it goes on. Reads go on.",
                f"kill -CONT {session.pid}, or end it.",
                name,
            )
    if len(sessions) >= FULL_RATIO * info.sessions_max:
        seen = f"{len(sessions)} of {info.sessions_max} session slots are taken"
        why = "When all are, no further thread can attach for writing (SessionsFull)."
        yield Finding("session-slots", Level.WARNING, seen, why, "Create the segment with a larger --sessions-max.", name)


def _settle(name: str) -> tuple[bool, str]:
    with fincache.attach(name) as cache:
        before = cache.stats().recoveries
        cache.reap()  # opening its own session may have met some already
        settled = cache.stats().recoveries - before
    return True, f"settled {settled} dead session{'' if settled == 1 else 's'} of segment {name}"


# ------------------------------------------------------------------ memory, rights, counters


def check_memory(info: fincache.SegmentInfo, stats: fincache.Stats) -> Iterator[Finding]:
    """Is it nearly full, or small pages where large ones would help?"""
    used_ratio = stats.used_bytes / max(1, stats.arena_bytes)
    if info.policy == "noeviction" and used_ratio >= FULL_RATIO:
        seen = f"{100 * used_ratio:.1f}% of its memory is used, and its policy is noeviction"
        do = "Delete keys, give them an expiry, or create a larger segment or one with an eviction policy."
        yield Finding("memory", Level.WARNING, seen, "When it is full, writes fail with OutOfMemory.", do, info.name)
    if stats.key_count > info.keys_configured:
        seen = f"{stats.key_count:,} keys, and it was planned for {info.keys_configured:,}"
        why = "Index buckets overflow into chains, and every operation walks them."
        yield Finding("keys", Level.NOTE, seen, why, "Create it with a larger --keys.", info.name)
    if info.size_bytes >= HUGE_WORTH_BYTES and info.huge_bytes == 0:
        why = "Half the time of a read at a random place of a segment of this size goes into finding a 4-KiB page."
        do = "Create it with --huge-pages; see huge-pages above."
        yield Finding("huge-pages", Level.NOTE, f"{size_text(info.size_bytes)} without huge pages", why, do, info.name)


def check_rights(listed: Listed, info: fincache.SegmentInfo) -> Iterator[Finding]:
    """Who may read and write it."""
    if listed.mode & stat.S_IWOTH:
        seen = f"its mode is {listed.mode:04o}"
        why = "Any user of this host may change or damage what is in it."
        yield Finding("mode", Level.WARNING, seen, why, f"chmod o-w {object_path(listed.name)}", listed.name)
    elif listed.mode != info.mode:
        seen = f"its mode is {listed.mode:04o}, and was {info.mode:04o} when it was created"
        why = "The lock file keeps the mode of the creation: who may write the one may not open the other."
        yield Finding("mode", Level.NOTE, seen, why, f"chmod {info.mode:o} {object_path(listed.name)}", listed.name)


def check_counters(name: str, stats: fincache.Stats) -> Iterator[Finding]:
    """What went wrong since it was created."""
    troubles: list[tuple[int, str, Callable[[int], str]]] = [
        (stats.out_of_memory, "OutOfMemory", lambda count: f"{count:,} writes were refused"),
        (stats.busy, "Busy", lambda count: f"{count:,} writes gave up waiting for a lock"),
        (stats.contended, "Contended", lambda count: f"{count:,} reads gave up on a key that was rewritten all the time"),
    ]
    seen = ", ".join(f"{text(count)} ({error})" for count, error, text in troubles if count)
    if seen:
        why = "These are totals since it was created; fincache top shows whether it is still happening."
        yield Finding("counters", Level.NOTE, seen, why, "", name)
