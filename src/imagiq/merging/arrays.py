"""Between numpy arrays and the bytes of a model.

Bytes are little-endian and in C order. numpy has no bfloat16 and no float8: their bit patterns stand in arrays of
uint16 and uint8. A bool is one byte, 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from imagiq.errors import ContractBroken, Corrupt
from imagiq.merging.layout import Read, TreeReader, offsets
from imagiq.objects import DTYPE_SIZES, Group, Schema, Tensor, Tree

__all__ = [
    "BLOCK",
    "Array",
    "Block",
    "blobs_of",
    "blocks",
    "check_bools",
    "cut",
    "flat_bytes",
    "numpy_dtype",
    "schema_of",
    "weights_of",
]

Array: TypeAlias = NDArray[Any]

BLOCK = 65_536
"""Elements that are worked on at a time: enough to pay for a call, few enough to stay in the cache."""

_SIZES_OF_ALIASES = {"bfloat16": "<u2", "float8_e4m3fn": "|u1", "float8_e5m2": "|u1"}

_NUMPY_DTYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {name: np.dtype(_SIZES_OF_ALIASES.get(name, name)).newbyteorder("<") for name in DTYPE_SIZES}
)


def numpy_dtype(dtype: str) -> np.dtype[Any]:
    """Return how a schema's kind of number stands in numpy; bfloat16 is uint16, float8 is uint8."""
    return _NUMPY_DTYPES[dtype]


def blobs_of(schema: Schema, weights: Mapping[str, Array]) -> Iterator[memoryview]:
    """Yield the blobs of a model state, in order, without copying what lies in one piece.

    Args:
        schema: What the model looks like; it says where blobs end.
        weights: One array for each tensor of the schema.

    Yields:
        Read-only views into the arrays where possible: use each, or copy it, before the arrays change.

    Raises:
        ContractBroken: a tensor is missing or foreign, or has another shape or dtype.
    """
    _check_names(schema, weights)
    flat = [flat_bytes(tensor, weights[tensor.name]) for tensor in schema.tensors]
    return cut(schema.blob_sizes, flat)


def cut(sizes: Iterable[int], views: Iterable[memoryview]) -> Iterator[memoryview]:
    """Yield the bytes of ``views``, one after the other, in pieces of these sizes; copies what lies in several."""
    source = iter(views)
    view = memoryview(b"")
    for size in sizes:
        pieces: list[memoryview] = []
        missing = size
        while missing:
            if not view.nbytes:
                view = memoryview(b"")
                view = next(source)
            pieces.append(view[:missing])
            view = view[missing:]
            missing -= pieces[-1].nbytes
        yield pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))


def _check_names(schema: Schema, weights: Mapping[str, Array]) -> None:
    wanted = {tensor.name for tensor in schema.tensors}
    for problem, names in (("lack", wanted - weights.keys()), ("hold", weights.keys() - wanted)):
        if names:
            what = "which the schema names" if problem == "lack" else "which the schema does not name"
            raise ContractBroken(
                "weights-names",
                f"The weights {problem} tensor '{min(names)}' ({len(names)} in all), {what}.",
                "Give exactly the tensors of the schema.",
            )


def flat_bytes(tensor: Tensor, array: Array) -> memoryview:
    """Return the bytes of an array that should be this tensor; copies only what is strided or big-endian.

    Raises:
        ContractBroken: it has another shape or dtype.
    """
    wanted = numpy_dtype(tensor.dtype)
    array = np.asarray(array)
    if array.shape != tensor.shape:
        raise _differs(tensor, f"has shape {list(array.shape)}; the schema says {list(tensor.shape)}")
    if array.dtype.newbyteorder("<") != wanted:
        stands = "" if wanted.name == tensor.dtype else f", which stands as {wanted.name}"
        raise _differs(tensor, f"has dtype {array.dtype}; the schema says {tensor.dtype}{stands}")
    flat = np.ascontiguousarray(array, dtype=wanted).reshape(-1).view(np.uint8)
    if tensor.dtype == "bool" and flat.size and flat.max() > 1:
        raise _differs(tensor, "is bool and holds a byte that is neither 0 nor 1")
    return flat.data.toreadonly()


def _differs(tensor: Tensor, how: str) -> ContractBroken:
    return ContractBroken("weights-form", f"Tensor '{tensor.name}' {how}.", "Give the tensor as the schema says.")


def weights_of(schema: Schema, tree: Tree, read: Read) -> dict[str, Array]:
    """Return the tensors of a tree as arrays of one's own, by name, in the schema's order.

    Raises:
        Corrupt: the tree does not fit the schema, a blob has the wrong length, a bool is neither 0 nor 1.
    """
    reader = TreeReader(schema, tree, read)
    starts = offsets([tensor.nbytes for tensor in schema.tensors])
    weights: dict[str, Array] = {}
    for tensor, start in zip(schema.tensors, starts, strict=False):
        array = np.empty(tensor.shape, numpy_dtype(tensor.dtype))
        flat = array.reshape(-1).view(np.uint8)
        at = 0
        for piece in reader.pieces(start, start + tensor.nbytes):
            flat[at : at + piece.nbytes] = np.frombuffer(piece, np.uint8)
            at += piece.nbytes
        _check_bools_of(tensor, flat)
        weights[tensor.name] = array
    return weights


def check_bools(raw: NDArray[np.uint8], name_of: Callable[[int], str]) -> None:
    """Check that bytes are bools; ``name_of`` gives the name of the tensor that holds an element.

    Raises:
        Corrupt: one of them is neither 0 nor 1.
    """
    if raw.size and raw.max() > 1:
        raise Corrupt(
            "tensor-bool",
            f"Tensor '{name_of(int((raw > 1).argmax()))}' is bool and holds a byte that is neither 0 nor 1.",
            "Get the model again; if it stays so, tell its author.",
        )


def _check_bools_of(tensor: Tensor, raw: NDArray[np.uint8]) -> None:
    if tensor.dtype == "bool":
        check_bools(raw, lambda _: tensor.name)


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """Up to 65,536 elements of one tensor, from a multiple of 65,536 on.

    Attributes:
        number: The tensor's place in the schema.
        values: The elements, of shape ``[elements]``; a view that may not be aligned.
    """

    number: int
    values: Array


def blocks(schema: Schema, tree: Tree, read: Read, *, only: frozenset[int] | None = None) -> Iterator[Block]:
    """Yield the elements of a tree in order; blobs in which no wanted tensor lies are not read.

    Args:
        schema: What the model looks like.
        tree: The model state.
        read: Gives the bytes of a blob.
        only: The places of the wanted tensors in the schema; None: all.

    Raises:
        Corrupt: the tree does not fit the schema, a blob has the wrong length, a bool is neither 0 nor 1.
    """
    reader = TreeReader(schema, tree, read)
    end = 0
    for number, tensor in enumerate(schema.tensors):
        start, end = end, end + tensor.nbytes
        if only is not None and number not in only:
            continue
        step = BLOCK * DTYPE_SIZES[tensor.dtype]
        for at in range(start, end, step):
            raw = reader.bytes(at, min(at + step, end))
            _check_bools_of(tensor, np.frombuffer(raw, np.uint8))
            yield Block(number, np.frombuffer(raw, numpy_dtype(tensor.dtype)))


def schema_of(
    weights: Mapping[str, Array],
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    dtypes: Mapping[str, str] | None = None,
    rules: Mapping[str, str] | None = None,
) -> Schema:
    """Return a schema for these arrays.

    Args:
        weights: Arrays by name; their order is the schema's.
        groups: Names of tensors by group; default is one group, "weights", of all.
        dtypes: The dtype of tensors that numpy does not know, such as ``{"head": "bfloat16"}``.
        rules: How a merge treats a tensor, where not: floats "mean", integers "max", bool "equal".

    Raises:
        ContractBroken: an array's dtype has no place in a model.
        Misuse: the tensors do not make a schema.
    """
    tensors = {
        name: _tensor_of(name, np.asarray(array), (dtypes or {}).get(name), (rules or {}).get(name))
        for name, array in weights.items()
    }
    named = groups if groups is not None else {"weights": tuple(tensors)}
    return Schema(groups=tuple(Group(group, tuple(tensors[name] for name in names)) for group, names in named.items()))


def _tensor_of(name: str, array: Array, dtype: str | None, rule: str | None) -> Tensor:
    dtype = dtype or array.dtype.name
    if dtype not in DTYPE_SIZES or array.dtype.newbyteorder("<") != numpy_dtype(dtype):
        raise ContractBroken(
            "weights-form", f"Tensor '{name}' has dtype {array.dtype}, not one a model can hold.", "Convert it."
        )
    usual = "mean" if "float" in dtype else "equal" if dtype == "bool" else "max"
    return Tensor(name, dtype, array.shape, rule or usual)
