"""The tree keeps to its floors (style.md, section 1), and tools/check_layers.py would notice if it did not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


def load_checker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_layers", ROOT / "tools" / "check_layers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_layers = load_checker()

# A small tree in which every rule has something to look at, and nothing is wrong.
GOOD = {
    "csrc/meson.build": "'base/atomics.c' 'base/clock.c' 'memory/lock.c' 'table/bucket.c' 'types/t_hash.c' 'types/t_list.c'",
    "csrc/fincache.h": "",
    "csrc/base/atomics.h": "static inline void f(void) { __atomic_thread_fence(__ATOMIC_RELEASE); } /* e.g. [some.label] */\n",
    "csrc/base/atomics.c": '#include "base/atomics.h"\nuint64_t x = __atomic_load_n(&y, 0);\n',
    "csrc/base/clock.c": '/* volatile would not do\n * __atomic_load_n neither */\n#include "fincache.h"\n',
    "csrc/layout/layout.h": "_Static_assert(offsetof(fc_bucket, owner) == 8, 'x');\n",
    "csrc/memory/lock.c": '#include "base/atomics.h"\n#include <a.h>\nput(); /* [lock.release] */\nget(); /* [lock.release] */\n',
    "csrc/table/bucket.c": '#include "layout/layout.h"\n',
    "csrc/types/t_hash.c": '#include "types/t_hash.h"\n#include "types/builder.h"\n',
    "csrc/types/t_hash.h": '#include "table/bucket.h"\n',
    "csrc/types/t_list.c": "",
    "csrc/types/builder.h": "",
    "csrc/table/bucket.h": "",
    "docs/memory-model.md": "[lock.release] pairs a store with a load.\n",
    "docs/README.md": "",
    "README.md": "",
    "fincache/meson.build": "'__init__.py' '_core.py' '_errors.py' 'client.py' 'cli.py' 'demo/__init__.py'",
    "fincache/__init__.py": "from fincache.client import Cache\n",
    "fincache/_core.py": "from fincache import _errors\nfrom fincache._fincache import ffi, lib\n",
    "fincache/_errors.py": "",
    "fincache/client.py": "from . import _core\nfrom ._core import Session\n",
    "fincache/cli.py": "import fincache\nimport fincache.client\n",
    "fincache/demo/__init__.py": "from ..client import Cache\n",
    "tests/c/meson.build": "'table': ['bucket']",
    "tests/c/table/test_bucket.c": "",
}


def findings_with(root: Path, changes: dict[str, str]) -> list[str]:
    for name, text in {**GOOD, **changes}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    found = check_layers.findings(root)
    assert isinstance(found, list)
    return found


def test_this_tree_keeps_to_its_floors() -> None:
    """Nothing is wrong with the tree at hand."""
    assert check_layers.findings(ROOT) == []


def test_a_tree_that_keeps_the_rules_has_no_findings(tmp_path: Path) -> None:
    """What the rules allow is not reported."""
    assert findings_with(tmp_path, {}) == []


@pytest.mark.parametrize(
    ("path", "text", "finding"),
    [
        ("csrc/base/clock.c", '#include "table/bucket.h"\n', "csrc/base/clock.c:1: base includes"),
        ("csrc/memory/lock.c", '#include "base/gone.h"\n', 'csrc/memory/lock.c:1: "base/gone.h" is no file'),
        ("csrc/types/t_list.c", '\n#include "types/t_hash.h"\n', "csrc/types/t_list.c:2: a type includes another type"),
        ("csrc/attic/attic.h", "", "csrc/attic/attic.h:1: csrc/attic is no floor"),
        ("fincache/_core.py", "from fincache.client import Cache\n", "fincache/_core.py:1: _core imports client"),
        ("fincache/client.py", "def f():\n    from . import cli\n", "fincache/client.py:2: client imports cli"),
        ("fincache/demo/view.py", "from ..cli import main\n", "fincache/demo/view.py:1: demo imports cli"),
        ("fincache/client.py", "from ._fincache import lib\n", "fincache/client.py:1: only _core touches cffi"),
        ("fincache/novel.py", "", "fincache/novel.py:1: novel has no place in the chain"),
        ("csrc/table/bucket.c", "volatile int ready;\n", "csrc/table/bucket.c:1: volatile outside"),
        ("csrc/table/bucket.c", "/* a */ __atomic_store_n(p, 1, 0);\n", "csrc/table/bucket.c:1: __atomic_store_n outside"),
        ("csrc/table/bucket.c", "_Static_assert(offsetof(a, b) == 8, '');\n", "csrc/table/bucket.c:1: the layout of"),
        ("csrc/table/bucket.c", "store(); /* [lone.label] */\n", "csrc/table/bucket.c:1: [lone.label] has no partner"),
        ("csrc/table/bucket.c", "/* [two.two] [two.two] */\n", "csrc/table/bucket.c:1: [two.two] is not in docs/"),
        ("docs/memory-model.md", "[lock.release] [old.label]\n", "docs/memory-model.md:1: [old.label] is nowhere in csrc/"),
        ("csrc/table/lock.c", "", "csrc/table/lock.c:1: csrc/memory/lock.c has the same name"),
        ("csrc/table/scan.c", "", "csrc/table/scan.c:1: csrc/meson.build does not list it"),
        ("tests/c/table/test_scan.c", "", "tests/c/table/test_scan.c:1: tests/c/meson.build does not list it"),
        ("bench/get.c", "", "bench/get.c:1: there is no meson.build"),
        ("fincache/data/quotes.csv", "", "fincache/data/quotes.csv:1: fincache/meson.build does not list it"),
    ],
)
def test_a_breach_is_reported_where_it_is(tmp_path: Path, path: str, text: str, finding: str) -> None:
    """Each rule, broken once, is reported with file, line and reason."""
    found = findings_with(tmp_path, {path: text})
    assert any(line.startswith(finding) for line in found), found


def test_the_command_prints_findings_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`python tools/check_layers.py ROOT` exits with 1 and names the line; without findings, 0 and no word."""
    findings_with(tmp_path, {})
    assert check_layers.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""
    findings_with(tmp_path, {"csrc/table/bucket.c": "volatile int ready;\n"})
    assert check_layers.main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith("csrc/table/bucket.c:1: ")
