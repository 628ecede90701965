"""The gate before a merge: what passes has the schema's form, finite numbers and a bearable norm."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from imagiq.errors import Misuse, Refused
from imagiq.merging.arithmetic import check_arithmetic, squares, tree_sum
from imagiq.merging.arrays import BLOCK, blocks
from imagiq.merging.changed import tensors_that_differ
from imagiq.merging.floats import widen
from imagiq.merging.layout import Read
from imagiq.objects import Schema, Tree

__all__ = ["Gated", "pass_gate"]

_NUMPY_FLOATS = frozenset({"float16", "float32", "float64"})


@dataclass(frozen=True, slots=True)
class Gated:
    """Proof that a model passed the gate; only :func:`pass_gate` makes one.

    Attributes:
        tree: The model state.
        norm: The Euclidean norm of its floats, infinite when their squares are too large for float64; None when no
            limit was asked for, since it costs three times as much as looking for what is not finite.
    """

    tree: Tree
    norm: float | None


def pass_gate(
    schema: Schema, tree: Tree, read: Read, *, largest_norm: float | None = None, since: Gated | None = None
) -> Gated:
    """Return proof that a model may be merged.

    Squares are summed up in blocks of 65,536 elements, blocks to tensors and tensors to the model by a fixed tree of
    additions (a tensor that is empty or holds no floats counts +0.0), so every site finds the same norm.

    Args:
        schema: What it must look like.
        tree: The model state.
        read: Gives the bytes of a blob.
        largest_norm: The largest norm that passes; None: any.
        since: Proof for a model of the same schema: where no norm is asked for, only what differs from it is looked at.

    Raises:
        Corrupt: a blob has the wrong length, or a bool is neither 0 nor 1.
        Misuse: ``largest_norm`` is not a positive number.
        Refused: of another schema (``gate-schema``), NaN or infinite (``gate-not-finite``), or of too large a norm
            (``gate-norm``).
    """
    if largest_norm is not None and not 0 < largest_norm < math.inf:
        raise Misuse("gate-limit", f"The gate was given {largest_norm} as the largest norm.", "Give a positive number.")
    if tree.schema != schema.digest or len(tree.blobs) != len(schema.blob_sizes):
        raise Refused(
            "gate-schema",
            f"Model {tree.digest[:12]} does not have the schema {schema.digest[:12]}.",
            "Only models of the study's schema can be inputs.",
        )
    check_arithmetic()
    with np.errstate(all="ignore"):
        if largest_norm is None:
            is_alike = since is not None and since.tree.schema == tree.schema
            only = tensors_that_differ(schema, since.tree, tree) if since is not None and is_alike else None
            _check_finite(schema, tree, read, only)
            return Gated(tree, None)
        norm = math.sqrt(tree_sum(_squares_of_tensors(schema, tree, read)))
    if norm > largest_norm:
        raise Refused(
            "gate-norm",
            f"Model {tree.digest[:12]} has the norm {norm:.6g}, more than {largest_norm:.6g}.",
            "Set it aside; ask its author whether the training diverged.",
        )
    return Gated(tree, norm)


def _check_finite(schema: Schema, tree: Tree, read: Read, only: frozenset[int] | None) -> None:
    scratch = np.empty(BLOCK)
    for block in blocks(schema, tree, read, only=only):
        tensor = schema.tensors[block.number]
        if "float" in tensor.dtype:
            numbers = block.values
            if tensor.dtype not in _NUMPY_FLOATS:
                numbers = widen(tensor.dtype, numbers, scratch[: numbers.size])
            if not np.isfinite(numbers).all():
                raise _not_finite(tree, tensor.name)


def _squares_of_tensors(schema: Schema, tree: Tree, read: Read) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the sum of squares of each tensor of the schema; all floats are finite."""
    floats = frozenset(number for number, tensor in enumerate(schema.tensors) if "float" in tensor.dtype)
    sums: dict[int, list[float]] = {}
    scratch = np.empty(BLOCK)
    for block in blocks(schema, tree, read):
        if block.number in floats:
            numbers = widen(schema.tensors[block.number].dtype, block.values, scratch[: block.values.size])
            total = squares(numbers)
            if not math.isfinite(total) and not np.isfinite(numbers).all():
                raise _not_finite(tree, schema.tensors[block.number].name)
            sums.setdefault(block.number, []).append(total)
    return np.array([tree_sum(np.array(sums.get(number, []))) for number in range(len(schema.tensors))], np.float64)


def _not_finite(tree: Tree, name: str) -> Refused:
    return Refused(
        "gate-not-finite",
        f"Tensor '{name}' of model {tree.digest[:12]} holds a number that is NaN or infinite.",
        "Set it aside; ask its author whether the training diverged.",
    )
