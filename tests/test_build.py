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
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import pytest

import fincache

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.c*"))
COMPILERS = {".c": ["cc", "-std=c11"], ".cpp": ["c++", "-std=c++17"]}
BUILD_ONLY = {"meson.build", "_build_ffi.py"}
BUILD_SUFFIXES = {".c", ".h", ".so"}
MESON = [sys.executable, "-m", "mesonbuild.mesonmain"]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]

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


class Quote(NamedTuple):
    """The struct of examples/record_feed.c."""

    bid: float
    ask: float
    sizes: Annotated[tuple[np.int32, ...], 2]
    venue: Annotated[bytes, 4]


@needs_tools
def test_c_and_python_read_each_others_records(installed: Installed, program: Path, name: str) -> None:
    """One schema in two languages: what examples/record_feed.c writes is a Quote here, and the other way round."""
    source = ROOT / "examples" / "record_feed.c"
    run([*COMPILERS[".c"], str(source), *installed.flags("--cflags", "--libs"), "-o", str(program)])
    with fincache.open(name, size="8MB") as cache:
        written = run([str(program), name], env=installed.environment, timeout=60).stdout
        quotes = cache.records(Quote)
        assert quotes.get("NVDA") == Quote(880.0, 880.4, (np.int32(10), np.int32(20)), b"ARC")
        board = np.zeros(3, quotes.dtype)
        assert quotes.read(["AAPL", "MSFT", "NVDA"], board).all()
        assert board["ask"].tolist() == [150.26, 410.15, 880.40]

        quotes.write(["AAPL", "MSFT"], [Quote(1, 2, (np.int32(3), np.int32(4)), b"OURS"), Quote(5, 6, (np.int32(0),) * 2, b"")])
        cache.delete("NVDA")
        ours = run([str(program), name], env=installed.environment, timeout=60).stdout
        assert ours.splitlines() == ["AAPL 1.00 x 3 / 2.00 x 4 OURS", "MSFT 5.00 x 0 / 6.00 x 0 ", "NVDA has no quote"]
        assert written.splitlines()[0] == "AAPL 150.24 x 300 / 150.26 x 200 XNAS"

        cache.delete("MSFT")
        cache.records([("bid", "f8"), ("ask", "f8"), ("sizes", "i4", (2,)), ("venue", "S8")]).set("MSFT", (5, 6, (0, 0), b""))
        refused = subprocess.run([str(program), name], env=installed.environment, stderr=subprocess.PIPE, text=True, check=False)
        assert refused.returncode == 1
        assert "record of another dtype" in refused.stderr


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
    """Every function that a header *_api.h declares, no internal one: what is not exported can be changed."""
    listing = run(["nm", "--dynamic", "--defined-only", "--format=posix", str(installed.library / "libfincache.so")]).stdout
    exported = {line.split()[0] for line in listing.splitlines()}
    headers = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "csrc").rglob("*_api.h"))
    code = re.sub(r"/\*.*?\*/", "", headers, flags=re.DOTALL)
    declared = set(re.findall(r"\b(fc_[a-z0-9_]+)\s*\((?=[^;]*\)\s*;)", code))
    assert exported == declared


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip wheel .` makes, from what is installed here and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    run([*PIP, "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index", "-w", str(folder), str(ROOT)])
    (built,) = folder.iterdir()
    return built


def test_a_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """Every file of fincache/ but those of the build, py.typed and stubs among them; the extensions; the command."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith("/")}
        (entry_points,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        commands = archive.read(entry_points).decode()
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "fincache").rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and path.name not in BUILD_ONLY
        and path.suffix not in BUILD_SUFFIXES
    }
    extensions = re.findall(r"py\.extension_module\(\s*'(\w+)'", (ROOT / "fincache" / "meson.build").read_text(encoding="utf-8"))
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    assert names == sources | {f"fincache/{extension}{suffix}" for extension in extensions}
    assert "fincache/py.typed" in names
    assert "fincache=fincache.cli:main" in commands.replace(" ", "")


def test_the_name_of_a_wheel_tells_the_oldest_c_library_that_loads_it(wheel: Path) -> None:
    """manylinux_2_34: no symbol of a later glibc is asked for, and no other library (tools/wheel_backend.py)."""
    tag = re.fullmatch(r"fincache-.*-manylinux_2_(\d+)_(x86_64|aarch64)\.whl", wheel.name)
    assert tag is not None, wheel.name
    with zipfile.ZipFile(wheel) as archive:
        extensions = [archive.read(name) for name in archive.namelist() if name.endswith(".so")]
    assert extensions
    for extension in extensions:
        wanted = [int(minor) for minor in re.findall(rb"\0GLIBC_2\.(\d+)", extension)]
        assert max(wanted) <= int(tag[1])
        libraries = set(re.findall(rb"\0(lib[\w.+-]*\.so[\w.]*)(?=\0)", extension))
        assert libraries <= {b"libc.so.6", b"libm.so.6", b"libpthread.so.0"}


def test_a_wheel_works_in_a_fresh_environment_without_a_compiler(wheel: Path, tmp_path: Path) -> None:
    """Installed from the wheel alone: the engine, records and the command `fincache`, far from this tree and any compiler."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    # What FinCache depends on comes from the environment of the tests; a line in a .pth file runs none of its .pth files.
    (site,) = home.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('platlib')}\n{sysconfig.get_path('purelib')}\n")
    bare = {
        "PATH": str(home / "bin"),
        "CC": "/bin/false",
        "CXX": "/bin/false",
        "HOME": str(tmp_path),
        "FINCACHE_BINDING": "native",
    }
    run([*PIP, "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)], env=bare)
    name = f"wheel-{os.getpid()}"
    printed = run([str(python), "-c", SMOKE, name], env=bare, cwd=tmp_path).stdout.split()
    assert printed == [str(site / "fincache" / "__init__.py"), "b'150.25'", "150.24", "150.24", "0.0"]
    try:
        assert run([str(home / "bin" / "fincache"), "get", "-s", name, "last"], env=bare, cwd=tmp_path).stdout.strip() == "150.25"
    finally:
        run([str(python), "-c", "import fincache, sys; fincache.unlink(sys.argv[1])", name], env=bare, cwd=tmp_path)


SMOKE = """
import sys, fincache, numpy
with fincache.open(sys.argv[1], size="2MB") as cache:
    cache.set("last", 150.25)
    quotes = cache.records([("bid", "f8"), ("ask", "f8")])
    quotes.set("AAPL", (150.24, 150.26))
    out = numpy.ones(2, quotes.dtype)
    assert quotes.read(cache.keyset(["AAPL", "MSFT"]), out).tolist() == [True, False]
    print(fincache.__file__, cache.get("last"), quotes.get("AAPL", "bid"), *out["bid"], sep="\\n")
"""
