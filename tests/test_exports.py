"""__init__.py: the public surface is what it says, documented, and cheap to import."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import fincache
from fincache import _core, _errors
from fincache.records import Records


def test_all_is_sorted_and_exists() -> None:
    """Every name in __all__ is there, once, in order."""
    assert fincache.__all__ == sorted(set(fincache.__all__))
    assert [name for name in fincache.__all__ if not hasattr(fincache, name)] == []


def test_every_exception_is_exported() -> None:
    """Whoever has to catch something can name it."""
    assert set(fincache.__all__) >= _errors.CLASSES.keys() | {"FinCacheError"}


def test_nothing_public_is_left_out_of_all() -> None:
    """What is not a module and has no underscore is meant to be used."""
    public = {
        name
        for name, value in vars(fincache).items()
        if not name.startswith("_") and not inspect.ismodule(value) and getattr(value, "__module__", "").startswith("fincache")
    }
    assert public <= set(fincache.__all__)


def test_everything_public_has_a_docstring() -> None:
    """Functions, classes and methods say what they do."""
    objects = [getattr(fincache, name) for name in fincache.__all__ if name != "__version__"]
    members = [
        member
        for owner in (fincache.Cache, Records, fincache.Entry, fincache.Stats)
        for name, member in inspect.getmembers(owner)
        if not name.startswith("_") and (callable(member) or isinstance(member, property))
    ]
    assert [item for item in objects + members if not inspect.getdoc(item)] == []


def test_the_version_is_the_c_librarys() -> None:
    """There is one version number."""
    assert fincache.__version__ == _core.version()
    assert fincache.__version__.count(".") == 2


def test_importing_does_not_import_numpy() -> None:
    """numpy takes longer to import than most programs that use FinCache without it."""
    code = "import sys, fincache; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd="/").returncode == 0


def test_the_package_says_that_it_is_typed() -> None:
    """py.typed lies beside __init__.py."""
    assert (Path(fincache.__file__).parent / "py.typed").exists()
