"""What doctor looks at on the host: memory, kernel, clocks, versions. Everything here only reads."""

from __future__ import annotations

import os
import platform
import resource
import sys
import sysconfig
from collections.abc import Iterator
from importlib import metadata

import fincache
from fincache import _core
from fincache.cli.findings import Finding, Level
from fincache.cli.host import Host
from fincache.cli.output import size_text

SHM = "/dev/shm"
THP = "/sys/kernel/mm/transparent_hugepage"
CONTAINER_SHM_BYTES = 64 << 20  # what container engines give when they are not asked
CAP_IPC_LOCK = 14  # Linux include/uapi/linux/capability.h
# Clock sources that clock_gettime reads without a system call (the kernel's vDSO).
CLOCKS_WITHOUT_SYSTEM_CALL = {"tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"}
KERNEL_OFD_LOCKS = (3, 15)
KERNEL_POPULATE = (5, 14)  # MADV_POPULATE_READ and _WRITE
KERNEL_COLLAPSE = (6, 1)  # MADV_COLLAPSE
NUMA_DOC = "Linux Documentation/admin-guide/sysctl/kernel.rst, numa_balancing"


def check_host(host: Host, largest_bytes: int) -> Iterator[Finding]:
    """Everything. `largest_bytes` is the size of the largest segment, 0 without any."""
    yield from check_shm(host)
    yield from check_cgroup(host)
    yield check_huge_pages(host)
    yield check_memlock(host, largest_bytes)
    yield check_swap(host)
    yield check_kernel(host)
    yield check_clock(host)
    yield check_proc(host)
    yield check_numa(host)
    yield check_versions()


# ------------------------------------------------------------------ memory


def check_shm(host: Host) -> Iterator[Finding]:
    """Is there a tmpfs, how large is it, how much is free?"""
    mount = host.mount(SHM)
    if not host.path(SHM).is_dir():
        yield Finding("shm", Level.PROBLEM, f"{SHM} is missing", "Segments live there.", f"mount -t tmpfs tmpfs {SHM}")
        return
    if mount is not None and mount.kind != "tmpfs":
        why = (
            "Segments are built as files without a name (O_TMPFILE) and must stay in memory; other file systems write to a disk."
        )
        yield Finding("shm", Level.PROBLEM, f"{SHM} is {mount.kind}, not tmpfs", why, f"mount -t tmpfs tmpfs {SHM}")
        return
    if mount is not None and mount.option("ro") is not None:
        yield Finding(
            "shm", Level.PROBLEM, f"{SHM} is mounted read-only", "No segment can be created or written.", "Remount it rw."
        )
    room = os.statvfs(host.path(SHM))
    total, free = room.f_blocks * room.f_frsize, room.f_bavail * room.f_frsize
    seen = f"{SHM} has {size_text(total)}, {size_text(free)} free"
    larger = f"mount -o remount,size=... {SHM}; for containers --shm-size, or emptyDir with medium: Memory"
    if free < _core.SEGMENT_BYTES_MIN:
        yield Finding(
            "shm", Level.PROBLEM, seen, "There is no room for the smallest segment.", f"fincache ls, fincache rm; or {larger}"
        )
    elif total <= CONTAINER_SHM_BYTES:
        yield Finding(
            "shm", Level.WARNING, seen, "That is what container engines give unasked; a segment is reserved in full.", larger
        )
    else:
        yield Finding("shm", Level.OK, seen)
    if room.f_files and room.f_favail < 2:
        yield Finding("shm-inodes", Level.PROBLEM, f"{SHM} has no free inodes", "A segment needs two.", "Remove files there.")


def check_cgroup(host: Host) -> Iterator[Finding]:
    """Does a control group limit the memory that this process may fill?"""
    for line in (host.text("/proc/self/cgroup") or "").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            folder, limit_name, used_name = f"/sys/fs/cgroup{path}", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            folder, limit_name, used_name = f"/sys/fs/cgroup/memory{path}", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        limit, used = host.number(f"{folder}/{limit_name}"), host.number(f"{folder}/{used_name}")
        total_kib = host.memory_kib().get("MemTotal", 0)
        if limit is None or used is None or limit >= total_kib * 1024:
            continue
        yield Finding(
            "memory-limit",
            Level.NOTE,
            f"the control group {path} may use {size_text(limit)}, and uses {size_text(used)}",
            "A segment counts, whole, for the group of the process that creates it; beyond the limit the kernel kills processes "
            "of the group, where a full /dev/shm would merely be refused.",
            "Create segments from a group that has room for them, or raise memory.max (MemoryMax=, --memory).",
        )


def check_huge_pages(host: Host) -> Finding:
    """Can a segment be backed by huge pages?"""
    if not host.path(THP).is_dir():
        return Finding("huge-pages", Level.NOTE, "the kernel has no transparent huge pages", _why_huge(), "")
    knob = host.chosen(f"{THP}/shmem_enabled")
    mount = host.mount(SHM)
    wanted = (mount.option("huge") if mount is not None else None) or "never"
    seen = f"shmem_enabled is {knob}, {SHM} is mounted huge={wanted}"
    if knob == "deny":
        do = f"echo never > {THP}/shmem_enabled"
        return Finding("huge-pages", Level.WARNING, seen, f'"deny" forbids them for every mount. {_why_huge()}', do)
    if host.kernel() >= KERNEL_COLLAPSE:
        return Finding("huge-pages", Level.OK, f"{seen}; fincache create --huge-pages gets them (MADV_COLLAPSE)")
    if knob == "force" or wanted in {"advise", "within_size", "always"}:
        return Finding("huge-pages", Level.OK, f"{seen}; fincache create --huge-pages asks for them")
    why = f"Before Linux 6.1 that means none. {_why_huge()}"
    return Finding("huge-pages", Level.NOTE, seen, why, f"mount -o remount,huge=advise {SHM}")


def _why_huge() -> str:
    return "With 4-KiB pages, half the time of a read at a random place of a large segment goes into finding the page."


def check_memlock(host: Host, largest_bytes: int) -> Finding:
    """May a process lock a segment in memory?"""
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    effective = next(
        (line for line in (host.text("/proc/self/status") or "").splitlines() if line.startswith("CapEff:")), "CapEff: 0"
    )
    if int(effective.split()[1], 16) >> CAP_IPC_LOCK & 1:
        return Finding("memlock", Level.OK, "this user may lock any amount of memory (CAP_IPC_LOCK)")
    if limit == resource.RLIM_INFINITY:
        return Finding("memlock", Level.OK, "no limit on locked memory")
    seen = f"this user may lock {size_text(limit)}"
    if limit >= max(largest_bytes, _core.SEGMENT_BYTES_MIN):
        return Finding("memlock", Level.OK, seen)
    largest = f"; the largest segment has {size_text(largest_bytes)}" if largest_bytes else ""
    why = "lock_memory=True, which keeps a segment from being swapped out, is refused beyond it."
    return Finding(
        "memlock", Level.NOTE, seen + largest, why, "ulimit -l, /etc/security/limits.d, or LimitMEMLOCK= of the service."
    )


def check_swap(host: Host) -> Finding:
    """May pages of a segment be swapped out?"""
    swaps = (host.text("/proc/swaps") or "").splitlines()[1:]
    mount = host.mount(SHM)
    if not swaps:
        return Finding("swap", Level.OK, "there is no swap")
    if mount is not None and mount.option("noswap") is not None:
        return Finding("swap", Level.OK, f"{SHM} is mounted noswap")
    memory = host.memory_kib()
    used_bytes = (memory.get("SwapTotal", 0) - memory.get("SwapFree", 0)) * 1024
    return Finding(
        "swap",
        Level.WARNING if used_bytes else Level.NOTE,
        f"swap is on, {size_text(used_bytes)} of it in use",
        "Pages of a segment may be swapped out; reading one then takes milliseconds instead of nanoseconds.",
        f"lock_memory=True, or mount -o remount,noswap {SHM} (Linux 6.4), or no swap on a trading host.",
    )


# ------------------------------------------------------------------ kernel


def check_kernel(host: Host) -> Finding:
    """Is the kernel new enough for what FinCache asks of it?"""
    version = host.kernel()
    seen = f"Linux {host.text('/proc/sys/kernel/osrelease') or platform.release()}"
    if version < KERNEL_OFD_LOCKS:
        return Finding(
            "kernel", Level.PROBLEM, seen, "Without open file description locks no session can be opened.", "Linux 5.14 or newer."
        )
    if version < KERNEL_POPULATE:
        return Finding(
            "kernel", Level.NOTE, seen, "prefault=True needs MADV_POPULATE_READ and does nothing here.", "Linux 5.14 or newer."
        )
    return Finding("kernel", Level.OK, seen)


def check_clock(host: Host) -> Finding:
    """Is reading the time cheap?"""
    source = host.text("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    if source is None:
        return Finding("clock", Level.NOTE, "the clock source cannot be read", "A slow one costs every write.", "")
    if source in CLOCKS_WITHOUT_SYSTEM_CALL:
        return Finding("clock", Level.OK, f"the clock source is {source}")
    why = "Writes, and reads of keys near their expiry, read the clock; with this source that is a system call, 0.2 to 1 us."
    return Finding(
        "clock", Level.WARNING, f"the clock source is {source}", why, "Boot with tsc=reliable if the machine's counter is."
    )


def check_proc(host: Host) -> Finding:
    """Can processes of other users be seen?"""
    mount = host.mount("/proc")
    hidden = mount.option("hidepid") if mount is not None else None
    if hidden in (None, "0", "off"):
        return Finding("proc", Level.OK, "/proc shows all processes")
    why = "The death of another user's process is then noticed when its memory is gone, some 0.1 to 0.3 s later, and not at once."
    return Finding("proc", Level.NOTE, f"/proc is mounted hidepid={hidden}", why, "gid= of that mount exempts a group.")


def check_numa(host: Host) -> Finding:
    """Does the kernel move pages between nodes?"""
    nodes = list(host.path("/sys/devices/system/node").glob("node[0-9]*"))
    balancing = host.number("/proc/sys/kernel/numa_balancing") or 0
    if len(nodes) < 2:
        return Finding("numa", Level.OK, "one memory node")
    if not balancing:
        return Finding("numa", Level.OK, f"{len(nodes)} memory nodes; the kernel does not move pages between them")
    why = (
        "To learn who uses a page the kernel takes it out of the page table from time to time, so that the next access faults: a "
        f"get or set of some tens of nanoseconds then takes a microsecond or more. Read-only mappings are spared ({NUMA_DOC})."
    )
    do = "Bind the processes (numactl --cpunodebind --membind) and set kernel.numa_balancing=0."
    return Finding("numa", Level.NOTE, f"{len(nodes)} memory nodes, automatic balancing is on", why, do)


# ------------------------------------------------------------------ versions


def check_versions() -> Finding:
    """Which FinCache, Python and numpy, and which way from Python into C?"""
    try:
        numpy = metadata.version("numpy")
    except metadata.PackageNotFoundError:
        numpy = "missing"
    threads = ", free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    python = f"{platform.python_implementation()} {platform.python_version()}{threads}"
    seen = f"fincache {fincache.__version__}, {python}, numpy {numpy}, binding {_core.BINDING}"
    if _core.BINDING == "native" or sys.implementation.name != "cpython":
        return Finding("versions", Level.OK, seen)
    why = "A get or set through cffi costs a few times what it costs through the accelerator."
    do = "Unset FINCACHE_BINDING; or install a wheel that has fincache/_native for this Python."
    return Finding("versions", Level.NOTE, seen, why, do)
