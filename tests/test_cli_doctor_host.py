"""What `fincache doctor` says of a host: a made-up one, file by file, and the one it runs on."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest
from cli_programs import call

from fincache.cli import doctor_host
from fincache.cli.doctor_ipc import check_remove_ipc
from fincache.cli.findings import Finding, Level
from fincache.cli.host import Host

USER = 54_321  # no system user, and no user here
MOUNTS = "24 1 0:22 / /proc rw,relatime - proc proc rw{proc}\n25 24 0:23 / /dev/shm rw,nosuid - {kind} {kind} rw,size=8g{shm}\n"
THP = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"


class MadeUpHost(Host):
    """A host whose files a test writes."""

    def write(self, path: str, text: str) -> MadeUpHost:
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return self

    def mounts(self, *, kind: str = "tmpfs", shm: str = "", proc: str = "") -> MadeUpHost:
        self.path("/dev/shm").mkdir(parents=True, exist_ok=True)
        return self.write("/proc/self/mountinfo", MOUNTS.format(kind=kind, shm=shm, proc=proc))


@pytest.fixture
def host(tmp_path: Path) -> MadeUpHost:
    return MadeUpHost(tmp_path).mounts()


class TestShm:
    def test_another_file_system_is_a_problem(self, host: MadeUpHost) -> None:
        [found] = doctor_host.check_shm(host.mounts(kind="ext4"))
        assert (found.level, found.seen) == (Level.PROBLEM, "/dev/shm is ext4, not tmpfs")

    def test_a_missing_one_is_a_problem(self, tmp_path: Path) -> None:
        [found] = doctor_host.check_shm(Host(tmp_path))
        assert found.level is Level.PROBLEM

    @pytest.mark.parametrize(
        ("total", "free", "level"),
        [(8 << 30, 4 << 30, Level.OK), (64 << 20, 60 << 20, Level.WARNING), (8 << 30, 4096, Level.PROBLEM)],
    )
    def test_room(self, host: MadeUpHost, monkeypatch: pytest.MonkeyPatch, total: int, free: int, level: Level) -> None:
        room = os.statvfs_result((4096, 4096, total // 4096, free // 4096, free // 4096, 100, 50, 50, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda _path: room)
        [found] = doctor_host.check_shm(host)
        assert found.level is level

    @pytest.mark.parametrize(
        ("cgroup", "folder", "limit", "used"),
        [
            ("0::/trading", "/sys/fs/cgroup/trading", "memory.max", "memory.current"),
            ("4:memory,cpu:/trading", "/sys/fs/cgroup/memory/trading", "memory.limit_in_bytes", "memory.usage_in_bytes"),
        ],
    )
    def test_a_memory_limit_is_told(self, host: MadeUpHost, cgroup: str, folder: str, limit: str, used: str) -> None:
        host.write("/proc/self/cgroup", cgroup).write(f"{folder}/{limit}", "1073741824\n").write(f"{folder}/{used}", "1048576\n")
        host.write("/proc/meminfo", "MemTotal: 8388608 kB\n")
        [found] = doctor_host.check_cgroup(host)
        assert found.seen == "the control group /trading may use 1.0 GiB, and uses 1.0 MiB"
        assert not list(doctor_host.check_cgroup(host.write(f"{folder}/{limit}", "max")))


class TestHugePages:
    @pytest.mark.parametrize(
        ("knob", "mount", "kernel", "level", "word"),
        [
            ("always within_size advise [never] deny force", "", "6.1.0-13-amd64", Level.OK, "MADV_COLLAPSE"),
            ("always within_size advise never [deny] force", ",huge=always", "6.1.0", Level.WARNING, '"deny"'),
            ("always within_size advise [never] deny force", "", "5.10.0-8", Level.NOTE, "Before Linux 6.1"),
            ("always within_size advise [never] deny force", ",huge=advise", "5.10.0-8", Level.OK, "asks for them"),
            ("always within_size advise never deny [force]", "", "5.10.0-8", Level.OK, "asks for them"),
        ],
    )
    def test_knob_mount_and_kernel(self, host: MadeUpHost, knob: str, mount: str, kernel: str, level: Level, word: str) -> None:
        host.mounts(shm=mount).write(THP, knob).write("/proc/sys/kernel/osrelease", f"{kernel}\n")
        found = doctor_host.check_huge_pages(host)
        assert found.level is level
        assert word in found.seen + found.why

    def test_a_kernel_without_them(self, host: MadeUpHost) -> None:
        assert doctor_host.check_huge_pages(host).level is Level.NOTE


class TestMemory:
    @pytest.mark.parametrize(
        ("limit", "capabilities", "largest", "level"),
        [
            (8 << 20, "0000000000000000", 0, Level.OK),
            (8 << 20, "0000000000000000", 64 << 20, Level.NOTE),
            (8 << 20, "0000000000004000", 64 << 20, Level.OK),
            (resource.RLIM_INFINITY, "0000000000000000", 64 << 20, Level.OK),
        ],
    )
    def test_memlock(
        self, host: MadeUpHost, monkeypatch: pytest.MonkeyPatch, limit: int, capabilities: str, largest: int, level: Level
    ) -> None:
        host.write("/proc/self/status", f"Name: x\nCapEff:\t{capabilities}\n")
        monkeypatch.setattr(resource, "getrlimit", lambda _what: (limit, limit))
        assert doctor_host.check_memlock(host, largest).level is level

    @pytest.mark.parametrize(
        ("swaps", "free_kib", "mount", "level"),
        [
            ("", 0, "", Level.OK),
            ("/swap file 1024 0 -2\n", 1024, "", Level.NOTE),
            ("/swap file 1024 24 -2\n", 1000, "", Level.WARNING),
            ("/swap file 1024 24 -2\n", 1000, ",noswap", Level.OK),
        ],
    )
    def test_swap(self, host: MadeUpHost, swaps: str, free_kib: int, mount: str, level: Level) -> None:
        host.mounts(shm=mount).write("/proc/swaps", f"Filename Type Size Used Priority\n{swaps}")
        host.write("/proc/meminfo", f"SwapTotal: 1024 kB\nSwapFree: {free_kib} kB\n")
        assert doctor_host.check_swap(host).level is level


class TestKernel:
    @pytest.mark.parametrize(
        ("release", "level"),
        [("6.1.0-13-amd64", Level.OK), ("5.10.0", Level.NOTE), ("3.10.0-1160.el7", Level.PROBLEM), ("6.18.44+", Level.OK)],
    )
    def test_version(self, host: MadeUpHost, release: str, level: Level) -> None:
        assert doctor_host.check_kernel(host.write("/proc/sys/kernel/osrelease", release)).level is level

    @pytest.mark.parametrize(("source", "level"), [("tsc", Level.OK), ("arch_sys_counter", Level.OK), ("hpet", Level.WARNING)])
    def test_clock(self, host: MadeUpHost, source: str, level: Level) -> None:
        host.write("/sys/devices/system/clocksource/clocksource0/current_clocksource", f"{source}\n")
        assert doctor_host.check_clock(host).level is level

    @pytest.mark.parametrize(
        ("option", "level"),
        [("", Level.OK), (",hidepid=0", Level.OK), (",hidepid=2", Level.NOTE), (",hidepid=invisible", Level.NOTE)],
    )
    def test_proc(self, host: MadeUpHost, option: str, level: Level) -> None:
        assert doctor_host.check_proc(host.mounts(proc=option)).level is level

    @pytest.mark.parametrize(("nodes", "balancing", "level"), [(1, 1, Level.OK), (2, 0, Level.OK), (2, 1, Level.NOTE)])
    def test_numa(self, host: MadeUpHost, nodes: int, balancing: int, level: Level) -> None:
        for node in range(nodes):
            host.write(f"/sys/devices/system/node/node{node}/cpulist", "0")
        host.write("/proc/sys/kernel/numa_balancing", str(balancing))
        assert doctor_host.check_numa(host).level is level


class TestRemoveIpc:
    def judge(self, host: MadeUpHost, *owners: int) -> Finding:
        host.path("/run/systemd/system").mkdir(parents=True, exist_ok=True)
        [found] = check_remove_ipc(host, owners, USER)
        return found

    def test_without_systemd_there_is_nothing_to_fear(self, host: MadeUpHost) -> None:
        [found] = check_remove_ipc(host, [USER], USER)
        assert found.level is Level.OK

    def test_the_default_removes(self, host: MadeUpHost) -> None:
        assert self.judge(host, USER).level is Level.WARNING
        assert self.judge(host).level is Level.NOTE

    def test_the_main_file_shows_the_default_in_a_comment(self, host: MadeUpHost) -> None:
        host.write("/etc/systemd/logind.conf", "[Login]\n#RemoveIPC=no\n")
        assert self.judge(host, USER).level is Level.OK

    @pytest.mark.parametrize(
        ("files", "level"),
        [
            ({"/etc/systemd/logind.conf": "[Login]\nRemoveIPC=no\n"}, Level.OK),
            ({"/usr/lib/systemd/logind.conf": "[Login]\nRemoveIPC = off\n"}, Level.OK),
            ({"/etc/systemd/logind.conf": "[Other]\nRemoveIPC=no\n"}, Level.WARNING),
            (
                {
                    "/etc/systemd/logind.conf": "[Login]\nRemoveIPC=no\n",
                    "/usr/lib/systemd/logind.conf.d/50-x.conf": "[Login]\nRemoveIPC=yes\n",
                },
                Level.WARNING,
            ),
            (
                {
                    "/usr/lib/systemd/logind.conf.d/50-x.conf": "[Login]\nRemoveIPC=yes\n",
                    "/etc/systemd/logind.conf.d/50-x.conf": "[Login]\nRemoveIPC=no\n",
                },
                Level.OK,
            ),
            (
                {
                    "/etc/systemd/logind.conf.d/10-a.conf": "[Login]\nRemoveIPC=yes\n",
                    "/run/systemd/logind.conf.d/20-b.conf": "[Login]\nRemoveIPC=no\nRemoveIPC=what\n",
                },
                Level.OK,
            ),
        ],
    )
    def test_files_are_read_as_logind_does(self, host: MadeUpHost, files: dict[str, str], level: Level) -> None:
        for path, text in files.items():
            host.write(path, text)
        assert self.judge(host, USER).level is level

    def test_root_and_system_users_are_exempt(self, host: MadeUpHost) -> None:
        assert self.judge(host, 0, 999).level is Level.NOTE  # for USER himself
        host.write("/etc/login.defs", "# SYS_UID_MAX 1\nSYS_UID_MAX 60000\n")
        assert self.judge(host, 0, USER).level is Level.OK

    def test_lingering_users_are_exempt(self, host: MadeUpHost) -> None:
        host.write(f"/var/lib/systemd/linger/{USER}", "")
        assert self.judge(host, USER).level is Level.OK


class TestThisHost:
    def test_every_check_of_the_host_gives_a_finding(self) -> None:
        found = call("doctor", "no-such-segment", "--json")
        checks = {finding["check"] for finding in json.loads(found.stdout)["findings"] if finding["segment"] is None}
        assert checks >= {
            *("shm", "huge-pages", "memlock", "swap", "kernel", "clock", "proc", "numa", "versions", "remove-ipc"),
        }

    def test_whatever_is_wrong_has_a_reason(self) -> None:
        for finding in json.loads(call("doctor", "no-such-segment", "--json").stdout)["findings"]:
            assert finding["level"] == "ok" or finding["why"] or finding["do"], finding
