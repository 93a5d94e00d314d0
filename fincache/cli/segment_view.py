"""What the library tells of a segment, as JSON and as tables: shared by create, stat and top."""

from __future__ import annotations

from collections.abc import Sequence

import fincache
from fincache.cli.output import Json, size_text, table
from fincache.cli.processes import command_of, user_command


def info_json(info: fincache.SegmentInfo) -> dict[str, Json]:
    """A segment's description; the id as lock files bear it, the mode as ls shows it."""
    return vars(info) | {"segment_id": f"{info.segment_id:016x}", "mode": f"{info.mode:04o}"}


def attached_json(pids: list[int]) -> list[Json]:
    """Processes, for JSON."""
    return [{"pid": pid, "command": command_of(pid)} for pid in pids]


def hit_ratio(hits: float, misses: float) -> float | None:
    """Hits of all reads; None without reads."""
    return hits / (hits + misses) if hits + misses else None


def class_json(size_class: fincache.SizeClass) -> dict[str, Json]:
    """The memory of a size class."""
    return vars(size_class) | {"used_blocks": size_class.used_blocks, "used_bytes": size_class.used_bytes}


def class_lines(classes: Sequence[fincache.SizeClass]) -> list[str]:
    """A table of the classes that have pages, the one with the most memory first."""
    rows = [
        (
            "free pages" if size_class.kind == "free" else size_class.kind,
            f"{size_class.block_bytes:,}",
            f"{size_class.pages:,}",
            f"{size_class.used_blocks:,}",
            f"{100 * size_class.used_blocks / max(1, size_class.blocks):.0f}%",
            size_text(size_class.used_bytes),
        )
        for size_class in sorted(classes, key=lambda size_class: (size_class.kind == "free", -size_class.pages))
    ]
    return table(("CLASS", "BLOCK BYTES", "PAGES", "USED BLOCKS", "FULL", "USED"), rows, left={"CLASS"})


def session_json(session: fincache.SessionInfo, inode: int) -> dict[str, Json]:
    """A session, with the command of its process, None where that cannot be seen."""
    return vars(session) | {"command": (user_command(session.pid, inode) or None) if session.live else None}
