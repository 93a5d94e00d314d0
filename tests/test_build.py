"""What is installed works: libfincache for C and C++ programs through pkg-config, and the wheel for Python.

The library is installed once for all tests of this file, under a temporary DESTDIR as a distribution's packager would do it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.c*"))
COMPILERS = {".c": ["cc", "-std=c11"], ".cpp": ["c++", "-std=c++17"]}
BUILD_ONLY = {"meson.build", "_build_ffi.py"}
MESON = [sys.executable, "-m", "mesonbuild.mesonmain"]

needs_tools = pytest.mark.skipif(
    not (shutil.which("cc") and shutil.which("pkg-config")), reason="needs cc and pkg-config (tools/setup.sh --test)"
)


@dataclass(frozen=True)
class Installed:
    """A libfincache under `destdir`, and how a program finds it."""

    destdir: Path
    library: Path
    environment: dict[str, str]

    def flags(self, *arguments: str) -> list[str]:
        """What pkg-config answers for fincache."""
        return run(["pkg-config", *arguments, "fincache"], env=self.environment).stdout.split()


def run(
    command: list[str], env: dict[str, str] | None = None, cwd: Path | None = None, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs to the end, or fails the test with all that was printed."""
    done = subprocess.run(
        command, env=env, cwd=cwd, timeout=timeout, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return done


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    work = tmp_path_factory.mktemp("library")
    setup = ["--prefix=/usr/local", "--libdir=lib", "--buildtype=release", "-Dpython=false", "-Dtests=false"]
    run([*MESON, "setup", *setup, str(work / "build"), str(ROOT)])
    run([*MESON, "install", "-C", str(work / "build"), "--destdir", str(work / "root")])
    library = work / "root" / "usr" / "local" / "lib"
    return Installed(
        destdir=work / "root",
        library=library,
        environment={
            **os.environ,
            "PKG_CONFIG_PATH": str(library / "pkgconfig"),
            "PKG_CONFIG_SYSROOT_DIR": str(work / "root"),
            "LD_LIBRARY_PATH": str(library),
        },
    )


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return tmp_path / "program"


@needs_tools
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
@pytest.mark.parametrize("linkage", ["shared", "static"])
def test_an_example_builds_and_runs_against_the_installed_library(
    installed: Installed, program: Path, example: Path, linkage: str
) -> None:
    """`cc example.c $(pkg-config --cflags --libs fincache)` is all that a C or C++ program needs."""
    libraries = installed.flags("--libs")
    if linkage == "static":
        libraries = ["-l:libfincache.a" if word == "-lfincache" else word for word in installed.flags("--libs", "--static")]
    compiler = [*COMPILERS[example.suffix], "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    run([*compiler, str(example), *installed.flags("--cflags"), *libraries, "-o", str(program)])
    run([str(program)], env=installed.environment, timeout=60)


@needs_tools
@pytest.mark.skipif(shutil.which("c++") is None, reason="needs c++ (tools/setup.sh --test)")
def test_the_header_is_valid_cpp(installed: Installed, program: Path) -> None:
    """C++ strategies include the same header and link to the same library."""
    source = program.with_suffix(".cpp")
    source.write_text(
        """
        #include <fincache.h>
        #include <cstdio>
        #include <cstring>
        int main()
        {
            fc_cache *cache = nullptr;
            std::puts(fc_version());
            if (fc_cache_attach("test_build.no.such.segment", nullptr, &cache) != FC_SEGMENT_MISSING) return 1;
            return std::strcmp(fc_status_find(FC_SEGMENT_MISSING)->name, "SEGMENT_MISSING");
        }
        """
    )
    flags = [*installed.flags("--cflags"), "-std=c++17", "-Wall", "-Wextra", "-Werror"]
    run(["c++", *flags, str(source), *installed.flags("--libs"), "-o", str(program)])
    printed = run([str(program)], env=installed.environment, timeout=60).stdout.strip()
    assert printed == installed.flags("--modversion")[0]


@needs_tools
def test_the_shared_library_exports_the_public_api_and_nothing_else(installed: Installed) -> None:
    """Every function that fincache_api.h declares, no internal one: what is not exported can be changed."""
    listing = run(["nm", "--dynamic", "--defined-only", "--format=posix", str(installed.library / "libfincache.so")]).stdout
    exported = {line.split()[0] for line in listing.splitlines()}
    header = (ROOT / "csrc" / "fincache_api.h").read_text(encoding="utf-8")
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    declared = set(re.findall(r"\b(fc_[a-z0-9_]+)\s*\((?=[^;]*\)\s*;)", code))
    assert exported == declared


def test_a_wheel_holds_the_package_and_works_alone(tmp_path: Path) -> None:
    """`pip install .`: the wheel has every file of fincache/, no build leftovers, and imports outside the tree."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    run([*pip, "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index", "-w", str(tmp_path), str(ROOT)])
    (wheel,) = tmp_path.glob("fincache-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        archive.extractall(tmp_path / "site")
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "fincache").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name not in BUILD_ONLY and path.suffix != ".so"
    }
    assert names == sources | {f"fincache/_fincache{suffix}"}
    # -S: without it .venv's path file would lead to this tree.
    places = os.pathsep.join([str(tmp_path / "site"), sysconfig.get_path("platlib"), sysconfig.get_path("purelib")])
    code = "import fincache; print(fincache.__file__)"
    environment = {**os.environ, "PYTHONPATH": places}
    printed = run([sys.executable, "-S", "-c", code], env=environment, cwd=tmp_path).stdout
    assert printed.startswith(str(tmp_path / "site"))
