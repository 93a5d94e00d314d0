"""One row as Python values, and as the bytes of its record.

A `Codec` is made once for a dtype, or for a declared class (see `_declarations`), and holds two things: the tree of the row
(`Struct`, `Array`, `Leaf`), by which dicts, tuples, numpy rows and instances are taken apart, and one `struct.Struct` for all the
leaves in the order of their bytes. It is exact (see `_leaves`), and quick: 0.3 us for a row of eight floats, where numpy.array()
takes 1.2.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fincache._core import refusal
from fincache._leaves import UNFIT, Leaf, converted, leaf_of, unfit
from fincache.dtypes import base_of, fields_of


@dataclass(frozen=True)
class Array:
    """`shape` of elements that are packed one by one: strings and structs."""

    shape: tuple[int, ...]
    element: Node


@dataclass(frozen=True)
class Struct:
    """Fields by name. `take` takes an instance of `instance` apart; `make` makes one of the values, in order."""

    names: tuple[str, ...]
    nodes: tuple[Node, ...]
    instance: type | None = None
    take: Callable[[Any], tuple[object, ...]] | None = None
    make: Callable[..., object] | None = None


Node = Leaf | Array | Struct


# ------------------------------------------------------------------ trees


def node_of(dtype: np.dtype[Any], decode: Callable[[Any], object] | None = None) -> Node:
    """The tree of a dtype; `decode` is for its leaf, if it is a scalar or an array of scalars."""
    element, shape = base_of(dtype)
    if element.names is not None:
        node: Node = Struct(element.names, tuple(node_of(field) for _, (field, *_) in fields_of(element)))
        return Array(shape, node) if shape else node
    if shape and element.kind in "SUV":
        return Array(shape, leaf_of(element, (), decode))
    return leaf_of(element, shape, decode)


# ------------------------------------------------------------------ the codec


class Codec:
    """Packs rows of one dtype, and unpacks them into Python values. Thread-safe.

    Attributes:
        dtype: normalised.
        node: the tree of a row.
    """

    def __init__(self, dtype: np.dtype[Any], node: Node | None = None) -> None:
        self.dtype = dtype
        self.node = node_of(dtype) if node is None else node
        self._leaves = list(_leaves_of(self.node))
        self._struct = struct.Struct("<" + "".join(_format_of(dtype, iter(self._leaves))))
        self._encoders = [leaf.encode for leaf in self._leaves]
        self._decoders = [(index, leaf.decode) for index, leaf in enumerate(self._leaves) if leaf.decode is not None]
        # The usual row is a struct of nothing but leaves; of numbers, if it is plain.
        is_flat = isinstance(self.node, Struct) and all(isinstance(node, Leaf) for node in self.node.nodes)
        self._flat = self.node if isinstance(self.node, Struct) and is_flat else None
        self._instance = self._flat.instance if self._flat is not None else None
        self._take = self._flat.take if self._flat is not None else None
        self._make = self._flat.make if self._flat is not None else None
        self._plain = not any(self._encoders)

    def plain_format(self) -> str:
        """How struct writes a row down, if it is a tuple of numbers, or one number, that it takes as they are; "" otherwise."""
        is_flat = self._flat is not None or isinstance(self.node, Leaf)
        return self._struct.format if is_flat and self._plain and not self._decoders else ""

    # -------------------------------------------------------------- to bytes

    def pack(self, row: object) -> bytes:
        """The bytes of one row. Raises InvalidArgument, or SchemaMismatch for a numpy row of another dtype."""
        kind = type(row)
        if self._flat is not None and (kind is tuple or kind is self._instance):
            values: Any = row if kind is tuple or self._take is None else self._take(row)
            try:
                if self._plain:
                    return self._struct.pack(*values)
                if len(values) == len(self._encoders):
                    pairs = zip(self._encoders, values, strict=True)
                    return self._struct.pack(*[value if encode is None else encode(value) for encode, value in pairs])
            except UNFIT:
                pass  # named below
        if isinstance(row, (np.void, np.ndarray)):
            return self._pack_numpy(row)
        found: list[tuple[str, object]] = []
        _take_apart(self.node, row, found, "")
        packed: list[object] = []
        for leaf, (path, value) in zip(self._leaves, found, strict=True):
            try:
                encoded = value if leaf.encode is None else leaf.encode(value)
                struct.pack("<" + leaf.code, encoded)
            except UNFIT as error:
                raise unfit(leaf, path, value, error) from None
            packed.append(encoded)
        return self._struct.pack(*packed)

    def _pack_numpy(self, row: np.void | NDArray[Any]) -> bytes:
        if row.size != 1:
            raise refusal("INVALID_ARGUMENT", f"the row has {row.size} elements", "Pass one row.")
        return self.rows(np.asarray(row).reshape(()), "the row").tobytes()

    def rows(self, array: NDArray[Any], what: str) -> NDArray[Any]:
        """An array as one of `dtype`: itself if it is one, otherwise converted without loss. `what` names it in the errors.

        Raises:
            SchemaMismatch: it has other fields, or fields of a kind that does not go into those of `dtype`.
            InvalidArgument: a value is out of range.
        """
        try:
            return converted(array, self.dtype)
        except TypeError as error:
            hint = f"Use an array of {self.dtype}, or one with the same fields in types that fit."
            raise refusal("SCHEMA_MISMATCH", f"{what} is {array.dtype}, the records are {self.dtype}: {error}", hint) from None
        except OverflowError as error:
            detail = f"{what} does not fit {self.dtype}: {error}"
            raise refusal("INVALID_ARGUMENT", detail, "Use values within the range.") from None

    # -------------------------------------------------------------- from bytes

    def unpack(self, data: bytes | bytearray | memoryview) -> Any:
        """What the bytes of a record stand for: a Python value, or an instance of the declared class."""
        values: tuple[object, ...] | list[object] = self._struct.unpack(data)
        if self._decoders:
            values = list(values)
            for index, decode in self._decoders:
                values[index] = decode(values[index])
        if self._make is not None:
            return self._make(*values)
        return _put_together(self.node, iter(values))


def _leaves_of(node: Node) -> Iterator[Leaf]:
    if isinstance(node, Leaf):
        yield node
    elif isinstance(node, Array):
        for _ in range(prod(node.shape)):
            yield from _leaves_of(node.element)
    else:
        for inner in node.nodes:
            yield from _leaves_of(inner)


def _format_of(dtype: np.dtype[Any], leaves: Iterator[Leaf]) -> Iterator[str]:
    """Codes of the leaves and of the padding between them."""
    element, shape = base_of(dtype)
    if element.names is None:
        done = 0
        while done < dtype.itemsize:
            leaf = next(leaves)
            done += struct.calcsize("<" + leaf.code)
            yield leaf.code
        return
    for _ in range(prod(shape)):
        end = 0
        for _, (field, offset, *_) in fields_of(element):
            if offset > end:
                yield f"{offset - end}x"
            yield from _format_of(field, leaves)
            end = offset + field.itemsize
        if element.itemsize > end:
            yield f"{element.itemsize - end}x"


def _take_apart(node: Node, value: Any, into: list[tuple[str, object]], path: str) -> None:
    """Appends (path, value) of each leaf. Raises InvalidArgument for a value of another shape."""
    if isinstance(node, Leaf):
        into.append((path, value))
    elif isinstance(node, Array):
        _take_array_apart(node.shape, node.element, value, into, path)
    else:
        for name, inner, item in zip(node.names, node.nodes, _values_of(node, value, path), strict=True):
            _take_apart(inner, item, into, f"{path}.{name}" if path else name)


def _take_array_apart(shape: tuple[int, ...], element: Node, value: Any, into: list[tuple[str, object]], path: str) -> None:
    if not shape:
        _take_apart(element, value, into, path)
        return
    if not isinstance(value, (list, tuple, np.ndarray)) or len(value) != shape[0]:
        had = f"{len(value)} elements" if isinstance(value, (list, tuple, np.ndarray)) else type(value).__name__
        raise refusal("INVALID_ARGUMENT", f"{path} is {had}", f"Pass a list of {shape[0]}.")
    for index, item in enumerate(value):
        _take_array_apart(shape[1:], element, item, into, f"{path}[{index}]")


def _values_of(node: Struct, row: Any, path: str) -> tuple[object, ...]:
    """The values of a struct's fields, in order. Raises InvalidArgument unless there are exactly the fields."""
    what, hint = path or "the row", f"The fields are {', '.join(node.names)}."
    if node.instance is not None and isinstance(row, node.instance) and node.take is not None:
        return node.take(row)
    if isinstance(row, Mapping):
        missing = [name for name in node.names if name not in row]
        surplus = [name for name in row if name not in node.names]
        if missing or surplus:
            detail = f"{what} lacks {missing}" if missing else f"{what} has {surplus}, which the dtype has not"
            raise refusal("INVALID_ARGUMENT", detail, hint)
        return tuple(row[name] for name in node.names)
    if isinstance(row, np.void) and row.dtype.names is not None:
        names = row.dtype.names
        row = tuple(row[name] for name in names)
    else:
        names = getattr(row, "_fields", node.names)  # those of a NamedTuple
    if not isinstance(row, (tuple, list)):
        wanted = node.instance.__name__ if node.instance is not None else "tuple or dict"
        raise refusal("INVALID_ARGUMENT", f"{what} is {type(row).__name__}", f"Pass a {wanted} of {', '.join(node.names)}.")
    if len(row) != len(node.names):
        raise refusal("INVALID_ARGUMENT", f"{what} has {len(row)} fields, the dtype {len(node.names)}", hint)
    if names != node.names:
        raise refusal("INVALID_ARGUMENT", f"{what} has the fields {', '.join(names)}", hint)
    return tuple(row)


def _put_together(node: Node, values: Iterator[object]) -> object:
    if isinstance(node, Leaf):
        return next(values)
    if isinstance(node, Array):
        return _put_array_together(node.shape, node.element, values)
    items = [_put_together(inner, values) for inner in node.nodes]
    return tuple(items) if node.make is None else node.make(*items)


def _put_array_together(shape: tuple[int, ...], element: Node, values: Iterator[object]) -> object:
    if not shape:
        return _put_together(element, values)
    return tuple(_put_array_together(shape[1:], element, values) for _ in range(shape[0]))
