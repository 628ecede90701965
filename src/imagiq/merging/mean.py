"""The weighted mean: numbered arithmetic with exactly one right answer, bit for bit.

Version 1, for each element of a float tensor: acc = +0.0; for each input, acc = acc + (float64(x) * float64(n)), the
product and the sum each rounded to nearest even; result = acc / float64(sum of all n), rounded to float64, then once
to the tensor's type. Inputs go in the order of their trees' digests; those of one tree are taken together. Integers
follow their declared rule, in exact integers; bools must be equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from imagiq.errors import Refused, Unsupported
from imagiq.merging.arithmetic import check_arithmetic
from imagiq.merging.arrays import check_bools, cut, numpy_dtype
from imagiq.merging.kernels import Accumulator, Differs, accumulator
from imagiq.merging.layout import Read, Run, Window, read_blob, tensor_at, windows
from imagiq.objects import DTYPE_SIZES, Schema, Tree, check_tree

__all__ = ["MEAN", "MEAN_VERSION", "WEIGHT_LIMIT", "Input", "weighted_mean"]

MEAN = "mean"
"""The name of this arithmetic in a recipe."""
MEAN_VERSION = 1

WEIGHT_LIMIT = 2**31
TOTAL_LIMIT = 2**53


@dataclass(frozen=True, slots=True)
class Input:
    """One model that goes into a mean.

    Attributes:
        tree: The model state.
        weight: How much it counts, often its number of cases: an integer from 1 to 2^31 - 1.
    """

    tree: Tree
    weight: int


def weighted_mean(schema: Schema, inputs: Sequence[Input], read: Read) -> Iterator[memoryview]:
    """Yield the blobs of the weighted mean of models, in order.

    One blob of one input is held at a time. The inputs are checked at once, their bytes as they are read: a result
    is complete only when the iterator has ended.

    Args:
        schema: What all of the models look like.
        inputs: The models and their weights, in any order.
        read: Gives the bytes of a blob.

    Yields:
        Each blob in memory of its own.

    Raises:
        ContractBroken: the floating-point unit of the thread that iterates has other arithmetic.
        Corrupt: a tree or a blob does not fit the schema.
        Refused: no inputs, a weight out of range, a tree of another schema, or unequal tensors that must be equal.
        Unsupported: the model holds float8.
    """
    for tensor in schema.tensors:
        if tensor.dtype.startswith("float8"):
            raise Unsupported(
                "merge-float8",
                f"Tensor '{tensor.name}' is {tensor.dtype}, which cannot be averaged: too few bits are left.",
                "Exchange the model in bfloat16 or float16.",
            )
    for one in inputs:
        _check_input(schema, one)
    return cut(schema.blob_sizes, _windows(schema, _together(inputs), read))


def _check_input(schema: Schema, one: Input) -> None:
    if not _is_weight(one.weight):
        raise Refused(
            "merge-weight",
            f"A merge was asked for with the weight {one.weight!r}.",
            f"Give each model a whole number from 1 to {WEIGHT_LIMIT - 1}, such as its number of cases.",
        )
    if one.tree.schema != schema.digest:
        raise Refused(
            "merge-schema",
            f"Model {one.tree.digest[:12]} has the schema {one.tree.schema[:12]}, not {schema.digest[:12]}.",
            "Only models of one schema can be averaged; build an ensemble or distil instead.",
        )
    check_tree(one.tree, schema)


def _is_weight(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < WEIGHT_LIMIT


def _together(inputs: Sequence[Input]) -> tuple[Input, ...]:
    """Return one input for each tree, sorted by its digest."""
    if not inputs:
        raise Refused("merge-empty", "A merge was asked for without any models.", "Give it one or more.")
    trees = {one.tree.digest: one.tree for one in inputs}
    weights = dict.fromkeys(sorted(trees), 0)
    for one in inputs:
        weights[one.tree.digest] += one.weight
    if sum(weights.values()) >= TOTAL_LIMIT:
        raise Refused(
            "merge-weight", "The weights of a merge sum up to 2^53 or more.", "Divide them all by one number."
        )
    return tuple(Input(trees[digest], weight) for digest, weight in weights.items())


def _windows(schema: Schema, inputs: Sequence[Input], read: Read) -> Iterator[memoryview]:
    """Yield the merged elements of each window as bytes; what a blob's end cuts off is carried over to the next."""
    carried = [b""] * len(inputs)
    total = sum(one.weight for one in inputs)
    for window in windows(schema):
        check_arithmetic()
        accumulators = [accumulator(run.dtype, run.rule, run.elements, total) for run in window.runs]
        for place, one in enumerate(inputs):
            content = read_blob(schema, one.tree, window.blob, read)
            if carried[place]:
                content = memoryview(b"".join((carried[place], content)))
            for run, into in zip(window.runs, accumulators, strict=True):
                _add(schema, window, run, content, one.weight, into)
            carried[place] = bytes(content[window.nbytes :])
            del content
        yield _finish(window, accumulators, total)
        del accumulators


def _add(schema: Schema, window: Window, run: Run, content: memoryview, weight: int, into: Accumulator) -> None:
    """Add one input's elements of one run."""
    size = DTYPE_SIZES[run.dtype]

    def name_of(element: int) -> str:
        return tensor_at(schema, window.start + run.start + element * size).name

    if run.dtype == "bool":
        check_bools(np.frombuffer(content, np.uint8, run.elements, run.start), name_of)
    values = np.frombuffer(content, numpy_dtype(run.dtype), run.elements, run.start)
    try:
        with np.errstate(all="ignore"):
            into.add(values, weight)
    except Differs as difference:
        raise Refused(
            "merge-equal",
            f"Tensor '{name_of(difference.element)}' must be equal in all models that are merged, and is not.",
            "Merge only models that share it, or declare another rule for it in a new schema.",
        ) from difference


def _finish(window: Window, accumulators: Sequence[Accumulator], total: int) -> memoryview:
    """Return the results of a window as bytes."""
    out = np.empty(window.nbytes, np.uint8)
    with np.errstate(all="ignore"):
        for run, done in zip(window.runs, accumulators, strict=True):
            done.finish(total, out[run.start : run.stop].view(numpy_dtype(run.dtype)))
    return out.data
