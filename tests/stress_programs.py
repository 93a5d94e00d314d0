"""Finds and runs the C stress programs that meson builds (tests/c/stress/), for the Python tests that judge their output.

They are looked for below FINCACHE_BUILD_DIR, otherwise below build/release and then any other build*/ of the repository. Where
there are none (a wheel is tested, say), the tests that need them are skipped and say so.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOAK = bool(os.environ.get("FC_SOAK"))
SECONDS_MAX = 1800 if SOAK else 300  # a watchdog, not a measurement


def _places() -> list[Path]:
    named = os.environ.get("FINCACHE_BUILD_DIR")
    return [Path(named)] if named else [ROOT / "build" / "release", ROOT / "build", *sorted(ROOT.glob("build*"))]


def program(name: str) -> Path:
    """The newest built program of that name; skips the test if there is none."""
    for place in _places():
        found = [path for path in place.rglob(name) if path.is_file() and os.access(path, os.X_OK)]
        if found:
            return max(found, key=lambda path: path.stat().st_mtime)
    pytest.skip(f"{name} is not built: meson compile, or name its build directory in FINCACHE_BUILD_DIR")


def seed() -> str:
    """FINCACHE_SEED, or a new one."""
    return os.environ.get("FINCACHE_SEED") or str(secrets.randbits(32))


def run(path: Path, *arguments: str) -> str:
    """Runs a program to its end; its output, or a failed test that shows how to repeat it."""
    done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    if done.returncode != 0:
        pytest.fail(f"{path} {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
