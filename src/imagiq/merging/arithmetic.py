"""Arithmetic that gives the same bits on every machine: only + - * / and square root, in a written order.

A sum of many numbers depends on the order of its additions. Here it is fixed: numbers are taken in blocks of 65,536,
each block is padded with +0.0 to a power of two and its upper half added to its lower half until one number is left;
the blocks' sums are added up by the same tree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from imagiq.errors import ContractBroken
from imagiq.merging.arrays import BLOCK, Array

__all__ = ["check_arithmetic", "distance", "norm2", "squares", "tree_sum"]

# left + right = expected: below, at and above the middle between two float64, on both sides of zero.
_ADDITIONS = np.array(
    [
        (1.0, 2.0**-54, 1.0),
        (-1.0, -(2.0**-54), -1.0),
        (1.0, 2.0**-53, 1.0),
        (-1.0, -(2.0**-53), -1.0),
        (1.0 + 2.0**-52, 2.0**-53, 1.0 + 2.0**-51),
        (1.0, 1.5 * 2.0**-53, 1.0 + 2.0**-52),
        (-1.0, -1.5 * 2.0**-53, -1.0 - 2.0**-52),
    ]
).T.copy()

# left * right = expected: a denormal as a result, and as an operand.
_PRODUCTS = np.array([(2.0**-1022, 0.5, 2.0**-1023), (2.0**-1074, 2.0**60, 2.0**-1014)]).T.copy()
_PRODUCTS_32 = np.array([(2.0**-126, 0.5, 2.0**-127), (2.0**-149, 2.0**30, 2.0**-119)], np.float32).T.copy()

# float64 -> float32: ties to even, both ways, and a denormal.
_CASTS = np.array([1.0 + 2.0**-24, 1.0 + 3 * 2.0**-24, -1.0 - 3 * 2.0**-24, 1.0 + 2.0**-23 + 2.0**-25])
_CASTS_EXPECTED = np.array([1.0, 1.0 + 2.0**-22, -1.0 - 2.0**-22, 1.0 + 2.0**-23], np.float32)
_SMALL_32 = np.array([2.0**-149, -(2.0**-140)], np.float32)
_SMALL_64 = np.array([2.0**-149, -(2.0**-140)])


def check_arithmetic() -> None:
    """Check how the calling thread rounds; other code in the process may have changed it.

    Raises:
        ContractBroken: it does not round to nearest even, or takes denormal numbers for zero.
    """
    with np.errstate(all="ignore"):
        rounds = _same(_ADDITIONS[0] + _ADDITIONS[1], _ADDITIONS[2]) and _same(
            _CASTS.astype(np.float32), _CASTS_EXPECTED
        )
        denormals = (
            _same(_PRODUCTS[0] * _PRODUCTS[1], _PRODUCTS[2])
            and _same(_PRODUCTS_32[0] * _PRODUCTS_32[1], _PRODUCTS_32[2])
            and _same(_SMALL_64.astype(np.float32), _SMALL_32)
            and _same(_SMALL_32.astype(np.float64), _SMALL_64)
        )
    if not rounds:
        raise _other_arithmetic("merge-rounding", "does not round to nearest even")
    if not denormals:
        raise _other_arithmetic("merge-denormals", "takes denormal numbers for zero")


def _same(first: Array, second: Array) -> bool:
    """Compare bits: where denormals are flushed, == holds between zero and a denormal."""
    return first.tobytes() == second.tobytes()


def _other_arithmetic(code: str, how: str) -> ContractBroken:
    return ContractBroken(
        code,
        f"The floating-point unit of this thread {how}, so a merge here would differ from everyone else's.",
        "Find the library that changes it (often one built with -ffast-math) and merge in a process without it.",
    )


def tree_sum(values: NDArray[np.float64]) -> float:
    """Return the sum of numbers by the tree of additions.

    Args:
        values: Float64 of shape ``[n]``; overwritten when n is a power of two.
    """
    if not values.size:
        return 0.0
    size = 1 << (values.size - 1).bit_length()
    if size != values.size:
        padded = np.zeros(size)
        padded[: values.size] = values
        values = padded
    while size > 1:
        size //= 2
        np.add(values[:size], values[size : 2 * size], out=values[:size])
    return float(values[0])


def squares(values: Array) -> float:
    """Return the sum of the squares of at most one block's numbers, of shape ``[n]`` with n <= 65,536."""
    with np.errstate(all="ignore"):
        numbers = values.astype(np.float64)
        np.multiply(numbers, numbers, out=numbers)
        return tree_sum(numbers)


def _blocks(array: Array) -> Iterable[Array]:
    flat = array.reshape(-1)
    return (flat[at : at + BLOCK] for at in range(0, flat.size, BLOCK))


def _root_of_tree(sums: Iterable[float]) -> float:
    with np.errstate(all="ignore"):
        return math.sqrt(tree_sum(np.array(list(sums), np.float64)))


def _sum_of_tree(sums: Iterable[float]) -> float:
    with np.errstate(all="ignore"):
        return tree_sum(np.array(list(sums), np.float64))


def norm2(arrays: Iterable[Array]) -> float:
    """Return the Euclidean norm of all numbers of these arrays: blocks, then arrays, are added up by the tree."""
    return _root_of_tree(_sum_of_tree(map(squares, _blocks(array))) for array in arrays)


def distance(first: Sequence[Array], second: Sequence[Array]) -> float:
    """Return the Euclidean distance between arrays of the same shapes, added up as in :func:`norm2`."""
    return _root_of_tree(
        _sum_of_tree(
            squares(np.subtract(a, b, dtype=np.float64)) for a, b in zip(_blocks(left), _blocks(right), strict=True)
        )
        for left, right in zip(first, second, strict=True)
    )
