"""Checks that the tree keeps to its floors: what style.md says a test checks.

    python tools/check_layers.py [ROOT]

Prints `path:line: what is wrong` for each finding and exits with 1 if there is any. The rules:

  floors      csrc/<floor> includes only its own floor and those below; two types never include each other
  arrows      a module of fincache/ imports only what stands before it in ARROWS; only _core touches cffi
  atomics     shared memory is written through csrc/base/atomics.h: no other file uses the compiler's atomics, or volatile
  structs     only csrc/layout/ holds static assertions on offsets, the mark of a struct that another process reads
  pairs       a label such as [entry.publish] stands at least twice in csrc/, and in docs/memory-model.md; labels there exist
  names       a file's name occurs once in the tree, so that a name in a log finds one file
  listed      each source file is named in a meson.build, so that none is forgotten by the build

The checks read text, not syntax: they are meant to catch what slips in, not what is hidden on purpose.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

FLOORS = ("base", "layout", "memory", "table", "types", "commands", "server")

# Each imports only what stands in its own group or before it.
ARROWS: tuple[tuple[str, ...], ...] = (
    ("marketdata", "_errors", "_reports"),
    ("_core",),
    ("_arguments",),
    ("dtypes",),
    ("_leaves",),
    ("_rows",),
    ("_record_arrays",),
    ("_declarations",),
    ("_commands",),
    ("_pipeline",),
    ("keyset",),
    ("_strings", "_numbers", "_manykeys", "_keyspace", "_expiry", "_versions"),
    ("_mapping",),
    ("client", "records"),
    ("segment",),
    ("__init__",),
    ("demo",),
    ("daemon",),
    ("cli", "__main__"),
)

# Names that every folder may have.
NAMES_EVERYWHERE = {"README.md", "meson.build", "__init__.py", "__main__.py", "conftest.py", "py.typed", ".gitignore"}
FOLDERS_SKIPPED = {".git", ".venv", "build", "dist", "__pycache__", "node_modules"}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
LABEL = re.compile(r"\[([a-z][a-z0-9_]*\.[a-z][a-z0-9_]*)\]")
RAW_ATOMIC = re.compile(r"\b(__atomic_\w+|__sync_\w+|_Atomic|stdatomic\.h|volatile(?!-))\b")
LAYOUT_CLAIM = re.compile(r"\b(?:_Static_assert|static_assert)\s*\(\s*offsetof\b")


def files_under(root: Path) -> list[Path]:
    """All files of the tree that are ours, as paths relative to it, sorted."""
    found = []
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and not FOLDERS_SKIPPED.intersection(relative.parts) and not relative.parts[0].startswith("."):
            found.append(relative)
    return found


def lines_of(root: Path, path: Path) -> list[str]:
    """The lines of one text file."""
    return (root / path).read_text(encoding="utf-8").splitlines()


def is_c(path: Path) -> bool:
    """Whether it is a C source, a header or a table."""
    return path.suffix in {".c", ".h", ".def"}


def floor_of(include: str) -> str:
    """`base` for base/atomics.h; the public header at the root of csrc/ belongs to the lowest floor."""
    return include.split("/")[0] if "/" in include else FLOORS[0]


def check_floors(root: Path, files: list[Path]) -> Iterator[str]:
    """C floors: includes go down, never up, and never from type to type."""
    for path in files:
        if path.parts[0] != "csrc" or not is_c(path) or len(path.parts) < 3:
            continue
        floor = path.parts[1]
        if floor not in FLOORS:
            yield f"{path}:1: csrc/{floor} is no floor; the floors are {', '.join(FLOORS)}"
            continue
        for number, line in enumerate(lines_of(root, path), 1):
            match = INCLUDE.match(line)
            if match is None:
                continue
            target = match.group(1)
            if not (root / "csrc" / target).is_file():
                yield f'{path}:{number}: "{target}" is no file under csrc/'
            elif floor_of(target) not in FLOORS:
                yield f'{path}:{number}: "{target}" is on no floor'
            elif FLOORS.index(floor_of(target)) > FLOORS.index(floor):
                yield f'{path}:{number}: {floor} includes "{target}", which is a floor above'
            elif floor == "types" and re.match(r"types/t_\w+\.h$", target) and Path(target).stem != path.stem:
                yield f'{path}:{number}: a type includes another type, "{target}"'


def imports_of(tree: ast.Module, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """(line, dotted module) for every import; relative ones made absolute within `package`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *(node.module.split(".") if node.module else ())))
            yield node.lineno, module
            for name in node.names:
                yield node.lineno, f"{module}.{name.name}"


def check_arrows(root: Path, files: list[Path]) -> Iterator[str]:
    """Python arrows: _core <- client <- daemon <- cli; cffi stays in _core."""
    rank = {name: index for index, group in enumerate(ARROWS) for name in group}
    for path in files:
        if path.parts[0] != "fincache" or path.suffix != ".py" or path.name == "_build_ffi.py":
            continue
        module = path.parts[1].removesuffix(".py")
        if module not in rank:
            yield f"{path}:1: {module} has no place in the chain of tools/check_layers.py (ARROWS)"
            continue
        tree = ast.parse((root / path).read_text(encoding="utf-8"), str(path))
        for number, target in imports_of(tree, path.parts[:-1]):
            parts = target.split(".")
            if (parts[0] == "cffi" or parts[:2] == ["fincache", "_fincache"]) and module != "_core":
                yield f"{path}:{number}: only _core touches cffi"
            if parts[0] != "fincache" or len(parts) < 2 or parts[1] == module:
                continue
            above = rank.get(parts[1])
            if above is not None and above > rank[module]:
                yield f"{path}:{number}: {module} imports {parts[1]}, which is a floor above"


def check_atomics(root: Path, files: list[Path]) -> Iterator[str]:
    """The compiler's atomics, and volatile, appear in base/atomics.h only."""
    for path in files:
        if path.parts[0] != "csrc" or not is_c(path) or path.stem == "atomics":
            continue
        for number, line in enumerate(without_comments(lines_of(root, path)), 1):
            match = RAW_ATOMIC.search(line)
            if match is not None and "__asm__" not in line:
                yield f"{path}:{number}: {match.group(1)} outside csrc/base/atomics.h"


def without_comments(lines: list[str]) -> Iterator[str]:
    """The lines with /* comments */ and // comments blanked out."""
    inside = False
    for line in lines:
        kept = ""
        rest = line
        while rest:
            if inside:
                _, end, rest = rest.partition("*/")
                inside = not end
            else:
                before, start, rest = rest.partition("/*")
                kept += before
                inside = bool(start)
        yield kept.split("//")[0]


def check_structs(root: Path, files: list[Path]) -> Iterator[str]:
    """A struct whose offsets are asserted is one that another process reads: it lives in csrc/layout/."""
    for path in files:
        if path.parts[0] != "csrc" or not is_c(path) or path.parts[1] == "layout":
            continue
        for number, line in enumerate(lines_of(root, path), 1):
            if LAYOUT_CLAIM.search(line):
                yield f"{path}:{number}: the layout of a shared struct is asserted outside csrc/layout/"


def check_pairs(root: Path, files: list[Path]) -> Iterator[str]:
    """Every label of a release or acquire has a partner, and a line in docs/memory-model.md."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in files:
        if path.parts[0] != "csrc" or not is_c(path) or path.stem == "atomics":
            continue
        for number, line in enumerate(lines_of(root, path), 1):
            for label in LABEL.findall(line):
                places[label].append(f"{path}:{number}")
    document = root / "docs" / "memory-model.md"
    described = set(LABEL.findall(document.read_text(encoding="utf-8"))) if document.is_file() else set()
    for label, where in sorted(places.items()):
        if len(where) < 2:
            yield f"{where[0]}: [{label}] has no partner in csrc/"
        if label not in described:
            yield f"{where[0]}: [{label}] is not in docs/memory-model.md"
    for label in sorted(described - set(places)):
        yield f"docs/memory-model.md:1: [{label}] is nowhere in csrc/"


def check_names(_root: Path, files: list[Path]) -> Iterator[str]:
    """File names are unique."""
    seen: dict[str, Path] = {}
    for path in files:
        if path.name in NAMES_EVERYWHERE:
            continue
        if path.name in seen:
            yield f"{path}:1: {seen[path.name]} has the same name"
        seen.setdefault(path.name, path)


def check_listed(root: Path, files: list[Path]) -> Iterator[str]:
    """A source file that no meson.build names would be left out of the build without a word."""
    builds = {path.parent: (root / path).read_text(encoding="utf-8") for path in files if path.name == "meson.build"}
    for path in files:
        top = path.parts[0]
        wanted = path.suffix == ".c" if top in {"csrc", "tests", "bench", "examples"} else top == "fincache"
        if not wanted or path.name == "meson.build" or path.suffix == ".so":
            continue
        folder = next((folder for folder in path.parents if folder in builds), None)
        if folder is None:
            yield f"{path}:1: there is no meson.build in its folder or above"
            continue
        relative = path.relative_to(folder)
        # tests/c and bench list a file by its noun: base/test_clock.c as 'clock' in the suite 'base', bench/bench_get.c as 'get'.
        names = {relative.as_posix(), path.name, path.stem, path.stem.removeprefix("test_").removeprefix("bench_")}
        if not any(f"'{name}'" in builds[folder] for name in names):
            yield f"{path}:1: {folder}/meson.build does not list it"


CHECKS: tuple[Callable[[Path, list[Path]], Iterator[str]], ...] = (
    check_floors,
    check_arrows,
    check_atomics,
    check_structs,
    check_pairs,
    check_names,
    check_listed,
)


def findings(root: Path) -> list[str]:
    """Everything that is wrong with the tree at `root`."""
    files = files_under(root)
    return [finding for check in CHECKS for finding in check(root, files)]


def main(arguments: list[str]) -> int:
    """Prints the findings; 1 if there are any."""
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    found = findings(root)
    for finding in found:
        print(finding)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
