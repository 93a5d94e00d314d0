"""Which binding this process uses: cffi with the native accelerator in front of it, or cffi alone.

The environment variable FINCACHE_BINDING chooses when fincache is imported:

    unset    the accelerator where it is installed and works (CPython), else cffi (PyPy)
    native   the accelerator; ImportError, saying why, where it cannot be had
    cffi     cffi alone

Both have the same engine, which is linked into `_fincache`, the same Session, and pass the same tests. What the accelerator adds
is base classes: of Handle and Keys, so that C and cffi see the same pointers, and of class Cache (`door`).
"""

from __future__ import annotations

import inspect
import os
import warnings
from types import ModuleType
from typing import Any


def _choose(wish: str) -> ModuleType | None:
    if wish not in ("", "native", "cffi"):
        raise ImportError(f"FINCACHE_BINDING is {wish!r}: set it to native or cffi, or not at all")
    if wish == "cffi":
        return None
    try:
        from fincache import _native
    except ImportError as error:
        if wish == "native":
            raise ImportError(f"FINCACHE_BINDING is native, but the accelerator cannot be loaded: {error}") from error
        if not isinstance(error, ModuleNotFoundError):
            warnings.warn(f"fincache uses cffi alone, some times slower: {error}", RuntimeWarning, stacklevel=2)
        return None
    return _native


native: Any = _choose(os.environ.get("FINCACHE_BINDING", ""))
"""The module fincache._native, or None."""
BINDING = "cffi" if native is None else "native"


class _Slow:
    """In place of a base class of the accelerator: every method is the Python one."""


def door(python_class: type, keyset: type) -> type:
    """The base class to put in front of that of Cache's commands; its methods are documented as theirs. Once in a process.

    They go straight to the engine if their arguments are of the common kind, and call python_class's otherwise.
    """
    if native is None:
        return _Slow
    made: type = native.door(python_class, keyset, _documents(python_class, native.DOOR_METHODS))
    return made


def record_door(python_class: type) -> type:
    """The same for class Records. Imports numpy."""
    if native is None:
        return _Slow
    made: type = native.record_door(python_class, _documents(python_class, native.RECORD_DOOR_METHODS))
    return made


def _documents(python_class: type, names: tuple[str, ...]) -> dict[str, str]:
    """What the documentation of C functions has to look like for help() and inspect.signature()."""
    documents = {}
    for name in names:
        function = getattr(python_class, name)
        signature = inspect.signature(function)
        plain = [parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()]
        text = str(signature.replace(parameters=plain, return_annotation=signature.empty))
        documents[name] = f"{name}{text.replace('(self', '($self', 1)}\n--\n\n{inspect.getdoc(function)}"
    return documents
