"""Which tensors differ between two models, and by how much."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from imagiq.errors import Refused
from imagiq.merging.arithmetic import check_arithmetic, squares, tree_sum
from imagiq.merging.arrays import Array, blocks
from imagiq.merging.floats import widen
from imagiq.merging.layout import Read, offsets
from imagiq.objects import Digest, Schema, Tensor, Tree, check_tree

__all__ = ["TensorDifference", "differences"]


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """How one tensor differs between two models.

    Attributes:
        name: Its name.
        dtype: Its kind of number.
        shape: Its sizes.
        changed: Whether any of its bytes differ.
        largest: The largest difference of an element; NaN when a changed element is NaN in either.
        distance: The Euclidean norm of the difference; NaN likewise.
        relative: ``distance`` divided by the norm of the tensor in the first model; infinite when that is 0.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    changed: bool
    largest: float = 0.0
    distance: float = 0.0
    relative: float = 0.0


def differences(schema: Schema, first: Tree, second: Tree, read: Read) -> Iterator[TensorDifference]:
    """Yield how each tensor differs, in the schema's order, holding one blob of each model at a time.

    A blob in which no tensor lies that may have changed is not read; one that both models share is read once.

    Args:
        schema: What both models look like.
        first: The model from which the difference is measured.
        second: The other one.
        read: Gives the bytes of a blob.

    Raises:
        Corrupt: a tree or a blob does not fit the schema.
        Refused: a tree has another schema.
    """
    for tree in (first, second):
        if tree.schema != schema.digest:
            raise Refused(
                "diff-schema",
                f"Model {tree.digest[:12]} has the schema {tree.schema[:12]}, not {schema.digest[:12]}.",
                "Tensors can be compared only between models of one schema; compare the metrics instead.",
            )
        check_tree(tree, schema)
    return _differences(schema, first, second, read)


def _differences(schema: Schema, first: Tree, second: Tree, read: Read) -> Iterator[TensorDifference]:
    suspects = _suspects(schema, first, second)
    reads = _once(read)
    pairs = zip(blocks(schema, first, reads, only=suspects), blocks(schema, second, reads, only=suspects), strict=True)
    pair = next(pairs, None)
    for number, tensor in enumerate(schema.tensors):
        found = _Sums(tensor)
        while pair and pair[0].number == number:
            found.add(pair[0].values, pair[1].values)
            pair = next(pairs, None)
        yield found.difference()


def _suspects(schema: Schema, first: Tree, second: Tree) -> frozenset[int]:
    """Return the places in the schema of the tensors that touch a blob in which the trees differ."""
    blob_starts = offsets(schema.blob_sizes)
    unequal = offsets([a != b for a, b in zip(first.blobs, second.blobs, strict=True)])
    starts = offsets([tensor.nbytes for tensor in schema.tensors])
    return frozenset(
        number
        for number, (start, stop) in enumerate(pairwise(starts))
        if start < stop and unequal[bisect_right(blob_starts, stop - 1)] > unequal[bisect_right(blob_starts, start) - 1]
    )


def _once(read: Read) -> Read:
    """Return a way of reading that remembers the blob read last, so that what two trees share is read once."""
    last: tuple[Digest, bytes] | None = None

    def read_once(digest: Digest) -> bytes:
        nonlocal last
        if last is None or last[0] != digest:
            last = None
            last = (digest, read(digest))
        return last[1]

    return read_once


class _Sums:
    """Adds up one tensor's differences, block by block."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self._changed = False
        self._largest = 0.0
        self._distances: list[float] = []
        self._norms: list[float] = []

    def add(self, first: Array, second: Array) -> None:
        """Take the next block of both models."""
        check_arithmetic()
        with np.errstate(all="ignore"):
            numbers = widen(self._tensor.dtype, first, np.empty(first.size))
            self._norms.append(squares(numbers))
            if first.tobytes() == second.tobytes():
                self._distances.append(0.0)
                return
            self._changed = True
            apart = _apart(self._tensor.dtype, first, second)
            self._largest = float(np.maximum(self._largest, apart.max()))
            self._distances.append(squares(apart))

    def difference(self) -> TensorDifference:
        """Return what was found."""
        tensor = self._tensor
        if not self._changed:
            return TensorDifference(tensor.name, tensor.dtype, tensor.shape, changed=False)
        with np.errstate(all="ignore"):
            distance = math.sqrt(tree_sum(np.array(self._distances)))
            norm = math.sqrt(tree_sum(np.array(self._norms)))
        relative = distance / norm if norm else math.inf if distance else 0.0
        return TensorDifference(
            tensor.name,
            tensor.dtype,
            tensor.shape,
            changed=True,
            largest=self._largest,
            distance=distance,
            relative=relative,
        )


def _apart(dtype: str, first: Array, second: Array) -> NDArray[np.float64]:
    """Return how far elements lie apart; of integers exactly, then rounded; 0 where their bits are equal."""
    if "float" not in dtype:
        wide = np.uint64 if dtype == "uint64" else np.int64
        high = np.maximum(first, second).astype(wide).view(np.uint64)
        low = np.minimum(first, second).astype(wide).view(np.uint64)
        return (high - low).astype(np.float64)
    apart = np.abs(widen(dtype, second, np.empty(second.size)) - widen(dtype, first, np.empty(first.size)))
    bits = f"u{first.itemsize}"
    apart[first.view(bits) == second.view(bits)] = 0.0
    return apart
