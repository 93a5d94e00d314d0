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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


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
    """In place of the accelerator's base of class Cache: every method is the Python one."""


def door(python_class: type, keyset: type) -> type:
    """The base class to put in front of python_class, whose methods go straight to the engine when their arguments allow it.

    Their documentation is that of the Python methods. Once in a process.
    """
    if native is None:
        return _Slow
    functions = {name: getattr(python_class, name) for name in native.ACCELERATED}
    made: type = native.door(python_class, keyset, {name: _document(name, function) for name, function in functions.items()})
    return made


def _document(name: str, function: Callable[..., object]) -> str:
    """What a C function's documentation has to look like for help() and inspect.signature()."""
    signature = inspect.signature(function)
    plain = [parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()]
    text = str(signature.replace(parameters=plain, return_annotation=signature.empty))
    return f"{name}{text.replace('(self', '($self', 1)}\n--\n\n{inspect.getdoc(function)}"
