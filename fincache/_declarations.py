"""Records declared as Python classes: @dataclass and typing.NamedTuple, and the Python types float, int and bool.

    @dataclass
    class Quote:
        bid: float                                   # f8
        ask: float
        volume: np.uint32                            # any numpy scalar type of a fixed size
        venue: Annotated[bytes, 4]                   # S4: at most 4 bytes, zeros at the end are cut off
        name: Annotated[str, 16]                     # S16, too: at most 16 bytes of UTF-8
        at: Annotated[np.datetime64, "M8[ns]"]       # any type with the dtype it is stored as
        tick: Annotated[float, "f4"]
        sizes: tuple[int, int]                       # an array field; or Annotated[tuple[int, ...], 2]
        curve: Annotated[NDArray[np.float64], (2, 3)]
        best: Level                                  # another such class

The record is laid out as C lays out the same struct, alignment and padding included, so that a C program may map it. What a field
gives back has the type that it was declared with: float, int, bool, bytes, str and tuple are Python's, numpy's types are numpy's.
"""

from __future__ import annotations

import dataclasses
import inspect
import operator
import typing
from collections.abc import Callable
from typing import Annotated, Any, cast

import numpy as np

from fincache._core import refusal
from fincache._errors import FinCacheError
from fincache._leaves import Leaf
from fincache._rows import Array, Node, Struct, node_of
from fincache.dtypes import normalise

PYTHON_TYPES: dict[object, str] = {float: "f8", int: "i8", bool: "?", complex: "c16"}
"""How Python's numbers are stored if nothing else is said."""
KINDS_OF: dict[object, str] = {float: "f", int: "iu", bool: "b", complex: "c", bytes: "SV", str: "SU"}
"""numpy's kinds that may be named for a Python type."""
ALLOWED = (
    "Use float, int, bool, complex, a numpy scalar type, Annotated[bytes, 16], Annotated[str, 16], tuple[float, float], "
    "Annotated[tuple[float, ...], 8], Annotated[NDArray[np.float64], 8], or a class of such fields."
)


def declared(kind: object) -> tuple[np.dtype[Any], Node] | None:
    """The dtype and the tree of a declaration; None if `kind` is none, but something for numpy.dtype().

    Raises:
        InvalidArgument: a class with fields that cannot be stored.
    """
    if kind is float or kind is int or kind is bool:  # by identity: numpy.dtype(float) equals float
        node: Node = node_of(normalise(PYTHON_TYPES[kind]))
    elif _is_record_class(kind):
        node = _class_node(cast("type", kind), ())
    else:
        return None
    return normalise(_dtype_of(node)), node


def _is_record_class(kind: object) -> bool:
    return isinstance(kind, type) and (dataclasses.is_dataclass(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields")))


def _class_node(cls: type, outer: tuple[type, ...]) -> Struct:
    if cls in outer:
        raise refusal("INVALID_ARGUMENT", f"{cls.__name__} contains itself", "A record has a fixed size.")
    if dataclasses.is_dataclass(cls):
        names, make = _dataclass_fields(cls)
        take = _attributes(names)
    else:
        names, make, take = cls._fields, cls, None  # type: ignore[attr-defined]  # a NamedTuple is its values
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except (NameError, TypeError) as error:
        hint = "Name types that are defined in the module of the class, not in a function."
        raise refusal("INVALID_ARGUMENT", f"the annotations of {cls.__name__} cannot be resolved: {error}", hint) from None
    if not names or not set(names) <= hints.keys():
        raise refusal("INVALID_ARGUMENT", f"{cls.__name__} has no fields with types", ALLOWED)
    nodes = tuple(_node(hints[name], f"{cls.__name__}.{name}", (*outer, cls)) for name in names)
    return Struct(names, nodes, instance=cls, take=take, make=make)


def _dataclass_fields(cls: Any) -> tuple[tuple[str, ...], Callable[..., object]]:
    """The names of the fields, and what makes an instance of their values."""
    fields = dataclasses.fields(cls)
    names = tuple(field.name for field in fields)
    by_keyword = any(field.kw_only for field in fields)
    try:
        inspect.signature(cls).bind(*(() if by_keyword else names), **(dict.fromkeys(names) if by_keyword else {}))
    except TypeError as error:
        hint = "Drop InitVar, field(init=False) and an __init__ of its own."
        raise refusal("INVALID_ARGUMENT", f"__init__ of {cls.__name__} does not take its fields: {error}", hint) from None
    if by_keyword:
        return names, lambda *values: cls(**dict(zip(names, values, strict=True)))
    return names, cls


def _attributes(names: tuple[str, ...]) -> Callable[[Any], tuple[object, ...]]:
    if len(names) < 2:
        return lambda instance: tuple(getattr(instance, name) for name in names)
    return operator.attrgetter(*names)


def _node(annotation: Any, path: str, outer: tuple[type, ...]) -> Node:
    """The tree of one annotation. Raises InvalidArgument."""
    annotation, extras = _unalias(annotation), ()
    if typing.get_origin(annotation) is Annotated:
        annotation, *found = typing.get_args(annotation)
        annotation, extras = _unalias(annotation), tuple(found)
    origin = typing.get_origin(annotation)
    if origin is tuple:
        return _tuple_node(typing.get_args(annotation), extras, path, outer)
    if origin is np.ndarray:
        return _array_node(annotation, extras, path)
    if _is_record_class(annotation) and not extras:
        return _class_node(annotation, outer)
    return _scalar_node(annotation, extras, path)


def _unalias(annotation: Any) -> Any:
    """What `type Price = float` stands for (Python 3.12); NDArray is such an alias, too, from numpy 2.5 on."""
    while not isinstance(annotation, type):
        if hasattr(annotation, "__value__") and typing.get_origin(annotation) is None:
            annotation = annotation.__value__
        elif hasattr(typing.get_origin(annotation), "__value__"):
            annotation = typing.get_origin(annotation).__value__[typing.get_args(annotation)]
        else:
            break
    return annotation


def _scalar_node(kind: Any, extras: tuple[Any, ...], path: str) -> Node:
    if kind in (bytes, str):
        if len(extras) == 1 and _is_count(extras[0]):
            return node_of(np.dtype(f"S{extras[0]}"), _text if kind is str else _bytes)
        if not extras:
            name = kind.__name__
            raise refusal("INVALID_ARGUMENT", f"{path} is {name} without a length", f"Use Annotated[{name}, 16].")
    is_numpy = _is_numpy(kind)
    if len(extras) > 1 or not (is_numpy or kind in KINDS_OF) or any(isinstance(extra, int) for extra in extras):
        raise _unknown(kind, extras, path)
    try:
        dtype = normalise(extras[0] if extras else kind if is_numpy else PYTHON_TYPES[kind])
    except FinCacheError as error:
        raise refusal("INVALID_ARGUMENT", f"{path}: {error.detail}", error.hint) from None
    if dtype.names is not None or not (issubclass(dtype.type, kind) if is_numpy else dtype.kind in KINDS_OF[kind]):
        raise _unknown(kind, extras, path)
    if is_numpy and dtype.kind in "biuf":
        return node_of(dtype, dtype.type)
    if kind is complex:
        return node_of(dtype, lambda data: complex(np.frombuffer(data, dtype)[0]))
    return node_of(dtype, {"S": _text if kind is str else _bytes, "U": _wide_text}.get(dtype.kind))


def _tuple_node(kinds: tuple[Any, ...], extras: tuple[Any, ...], path: str, outer: tuple[type, ...]) -> Node:
    if len(kinds) == 2 and kinds[1] is Ellipsis and len(extras) == 1 and _is_count(extras[0]):
        count = extras[0]
    elif kinds and Ellipsis not in kinds and all(kind == kinds[0] for kind in kinds) and not extras:
        count = len(kinds)
    else:
        raise _unknown(tuple, extras, path)
    element = _node(kinds[0], path, outer)
    if isinstance(element, Array) or (isinstance(element, Leaf) and element.shape):
        raise refusal("INVALID_ARGUMENT", f"{path} is a tuple of arrays", "Use Annotated[NDArray[np.float64], (2, 3)].")
    if isinstance(element, Struct) or element.dtype.kind in "SUV":
        return Array((count,), element)
    dtype, is_numpy = element.dtype, _is_numpy(typing.get_args(kinds[0])[0] if typing.get_args(kinds[0]) else kinds[0])

    def decode(data: bytes) -> tuple[object, ...]:
        values = np.frombuffer(data, dtype)
        return tuple(values) if is_numpy else tuple(values.tolist())

    return node_of(np.dtype((dtype, (count,))), decode)


def _array_node(annotation: Any, extras: tuple[Any, ...], path: str) -> Node:
    kinds = typing.get_args(typing.get_args(annotation)[-1])
    if len(kinds) != 1 or len(extras) != 1 or not _is_numpy(kinds[0]):
        raise _unknown(annotation, extras, path)
    shape = extras[0] if isinstance(extras[0], tuple) else (extras[0],)
    element = _scalar_node(kinds[0], (), path)
    if not shape or not all(_is_count(count) for count in shape) or not isinstance(element, Leaf):
        raise _unknown(annotation, extras, path)
    return node_of(np.dtype((element.dtype, shape)))


def _is_numpy(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, np.generic)


def _is_count(extra: object) -> bool:
    return isinstance(extra, int) and not isinstance(extra, bool) and extra > 0


def _unknown(kind: Any, extras: tuple[Any, ...], path: str) -> FinCacheError:
    name = kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else repr(kind)
    stored = f" as {', '.join(map(repr, extras))}" if extras else ""
    return refusal("INVALID_ARGUMENT", f"{path} is {name}{stored}", ALLOWED)


def _bytes(data: bytes) -> bytes:
    return data.rstrip(b"\0")


def _text(data: bytes) -> str:
    # Bytes that are no UTF-8 come as lone surrogates, and go back as they were (PEP 383).
    return data.rstrip(b"\0").decode("utf-8", "surrogateescape")


def _wide_text(data: bytes) -> str:
    return data.decode("utf-32-le", "surrogatepass").rstrip("\0")


def _dtype_of(node: Node) -> np.dtype[Any]:
    """The dtype of a tree, with C's alignment."""
    if isinstance(node, Leaf):
        return np.dtype((node.dtype, node.shape)) if node.shape else node.dtype
    if isinstance(node, Array):
        return np.dtype((_dtype_of(node.element), node.shape))
    return np.dtype([(name, _dtype_of(inner)) for name, inner in zip(node.names, node.nodes, strict=True)], align=True)
