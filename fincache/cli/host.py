"""What doctor reads of the kernel's and systemd's files. `root` is another directory in tests, never in use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mount:
    """One line of /proc/self/mountinfo."""

    point: str
    kind: str  # of file system
    options: frozenset[str]  # of the mount and of the file system

    def option(self, name: str) -> str | None:
        """The value of NAME=VALUE, "" for a bare NAME, None without it."""
        for option in self.options:
            key, _, value = option.partition("=")
            if key == name:
                return value
        return None


class Host:
    """The machine, by its files."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def path(self, path: str) -> Path:
        """A path of the machine."""
        return self.root / path.lstrip("/")

    def text(self, path: str) -> str | None:
        """A file's text without blanks around it; None if there is none, or it may not be read."""
        try:
            return self.path(path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """A file that holds one integer; None for anything else."""
        text = self.text(path)
        return int(text) if text is not None and text.lstrip("-").isdecimal() else None

    def chosen(self, path: str) -> str | None:
        """The word in brackets of a file such as "always [madvise] never"."""
        text = self.text(path) or ""
        return next((word[1:-1] for word in text.split() if word.startswith("[") and word.endswith("]")), None)

    def mount(self, point: str) -> Mount | None:
        """What is mounted there; the last one, where several lie on top of each other."""
        found = None
        for line in (self.text("/proc/self/mountinfo") or "").splitlines():
            head, _, tail = line.partition(" - ")
            fields, kinds = head.split(), tail.split()
            if len(fields) >= 6 and len(kinds) >= 3 and fields[4] == point:
                found = Mount(point, kinds[0], frozenset(fields[5].split(",")) | frozenset(kinds[2].split(",")))
        return found

    def kernel(self) -> tuple[int, int]:
        """Major and minor version; (0, 0) if that cannot be told."""
        release = self.text("/proc/sys/kernel/osrelease") or os.uname().release
        parts = release.split("-")[0].split("+")[0].split(".")
        if len(parts) < 2 or not parts[0].isdecimal() or not parts[1].isdecimal():
            return 0, 0
        return int(parts[0]), int(parts[1])

    def memory_kib(self) -> dict[str, int]:
        """/proc/meminfo, by name."""
        found = {}
        for line in (self.text("/proc/meminfo") or "").splitlines():
            name, _, rest = line.partition(":")
            words = rest.split()
            if words and words[0].isdecimal():
                found[name] = int(words[0])
        return found
