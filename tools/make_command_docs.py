"""Writes docs/commands.md from csrc/commands/commands.def, the one table of commands.

    python tools/make_command_docs.py [--check]

With --check it writes nothing, and exits with 1 if the file is not what it would write.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "csrc" / "commands" / "commands.def"
DOCUMENT = ROOT / "docs" / "commands.md"

ROW = re.compile(
    r'^FC_(?:COMMAND|SUBCOMMAND)\((?:\w+, "(?P<parent>[^"]+)", )?\w+, "(?P<name>[^"]+)", (?P<handler>\w+), (?P<arity>-?\d+), '
    r"(?P<flags>[\w |]+), (?P<first>-?\d+), (?P<last>-?\d+), (?P<step>-?\d+), "
    r'"(?P<group>[^"]*)", "(?P<since>[^"]*)", "(?P<complexity>[^"]*)", "(?P<syntax>[^"]*)", "(?P<summary>[^"]*)"\)$'
)

HEAD = """# Commands

Generated from csrc/commands/commands.def by tools/make_command_docs.py; do not edit. The same commands answer in-process
(`cache.execute("SET", "k", "v")`) and over RESP. "Since" is the version of Redis that brought the command; replies, errors and
edge cases are those of Redis 7.2.

Commands of several keys (MSET, DEL, RENAME ...) and MULTI/EXEC change all their keys at one instant: every reader sees all of it
or nothing, in-process readers included, and so does whoever comes after a kill -9. A transaction that contains a command about a
whole database (marked *whole* below) is committed in parts, before and after that command.
"""


@dataclass(frozen=True)
class Row:
    """One row of the table, as the document shows it."""

    call: str
    group: str
    since: str
    complexity: str
    summary: str
    whole: bool


def read_rows(text: str) -> list[Row]:
    """The rows that do something; containers of subcommands are left out."""
    rows = []
    for line in text.splitlines():
        if not line.startswith(("FC_COMMAND(", "FC_SUBCOMMAND(")):
            continue
        match = ROW.match(line)
        if match is None:
            raise SystemExit(f"{TABLE.relative_to(ROOT)}: a row that cannot be read: {line[:80]}")
        if match["handler"] == "fc_cmd_container":
            continue
        name = f"{match['parent']} {match['name']}" if match["parent"] else match["name"]
        call = f"{name.upper()} {match['syntax']}".strip()
        whole = "WHOLE" in match["flags"].split(" | ")
        rows.append(Row(call, match["group"], match["since"], match["complexity"], match["summary"], whole))
    return rows


def render(rows: list[Row]) -> str:
    """The document."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.group].append(row)
    parts = [HEAD]
    for group in sorted(groups):
        parts.append(f"\n## {group.capitalize()}\n\n| command | what it does | cost | since |\n|---|---|---|---|\n")
        for row in sorted(groups[group], key=lambda row: row.call):
            call = row.call.replace("|", "\\|")
            mark = " *whole*" if row.whole else ""
            parts.append(f"| `{call}`{mark} | {row.summary} | {row.complexity} | {row.since} |\n")
    return "".join(parts)


def main(arguments: list[str]) -> int:
    """Writes or checks the document."""
    wanted = render(read_rows(TABLE.read_text(encoding="utf-8")))
    if "--check" not in arguments:
        DOCUMENT.write_text(wanted, encoding="utf-8")
        return 0
    if DOCUMENT.is_file() and DOCUMENT.read_text(encoding="utf-8") == wanted:
        return 0
    print(f"{DOCUMENT.relative_to(ROOT)} is not what commands.def says: run tools/make_command_docs.py")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
