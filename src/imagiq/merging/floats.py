"""Between float64 and the other kinds of number: widening is exact, narrowing rounds once, to nearest even.

A NaN that is written is always the canonical quiet NaN of its type, so that its sign and payload, which differ from
one processor to the next, never reach a model's bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from imagiq.merging.arrays import Array

__all__ = ["CANONICAL_NANS", "narrow", "widen"]

CANONICAL_NANS: Mapping[str, int] = MappingProxyType(
    {"float64": 0x7FF8_0000_0000_0000, "float32": 0x7FC0_0000, "float16": 0x7E00, "bfloat16": 0x7FC0}
)
"""The bit pattern that is written for NaN."""

_FRACTION_BITS = 52 - 7
"""How many bits of float64's fraction bfloat16 does not have."""
_REBIAS = (1023 - 127) << 7
"""What makes the upper bits of a float64 those of a bfloat16: the difference of their exponents' biases."""
_SMALLEST_NORMAL = np.uint64((1023 - 126) << 52)
_INFINITY = np.uint64(0x7F80)


def widen(dtype: str, values: Array, out: NDArray[np.float64]) -> NDArray[np.float64]:
    """Write the numbers that ``values`` stand for into ``out``, as float64, and return it.

    Exact for all but integers of more than 53 bits, which are rounded to nearest even.

    Args:
        dtype: The schema's name of their kind; for bfloat16 and float8 ``values`` are bit patterns.
        values: Of shape ``[n]``.
        out: Of shape ``[n]``.
    """
    if dtype == "bfloat16":
        bits = values.astype(np.uint32)
        np.left_shift(bits, 16, out=bits)
        np.copyto(out, bits.view(np.float32))
    elif dtype in _FLOAT8_NUMBERS:
        np.take(_FLOAT8_NUMBERS[dtype], values, out=out)
    else:
        np.copyto(out, values)
    return out


def narrow(dtype: str, values: NDArray[np.float64], out: Array) -> None:
    """Round float64 ``values`` once, to nearest even, into ``out``; NaN becomes the canonical one.

    Args:
        dtype: "float64", "float32", "float16" or "bfloat16".
        values: Of shape ``[n]``.
        out: Of shape ``[n]``; for bfloat16 uint16 that takes the bit patterns.
    """
    if dtype == "bfloat16":
        np.copyto(out, _bfloat16_bits(values), casting="unsafe")
    else:
        np.copyto(out, values, casting="same_kind")
    nans = np.isnan(values)
    if nans.any():
        out.view(f"<u{out.itemsize}")[nans] = CANONICAL_NANS[dtype]


def _bfloat16_bits(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Round float64 to the bits of bfloat16, without float32 in between, which would round twice.

    Adding half of the last place that stays, less one, plus that place's own bit, and cutting the rest off, rounds to
    nearest even; a carry runs into the exponent as it should. NaN is not looked at.

    Args:
        values: Float64 of shape ``[n]``.

    Returns:
        Of shape ``[n]``: the bits, in the lowest 16.
    """
    bits: NDArray[np.uint64] = values.view(np.uint64)
    size = bits & np.uint64(2**63 - 1)
    rounded: NDArray[np.uint64] = (size >> np.uint64(_FRACTION_BITS)) & np.uint64(1)
    rounded += size
    rounded += np.uint64(2 ** (_FRACTION_BITS - 1) - 1)
    rounded >>= np.uint64(_FRACTION_BITS)
    rounded -= np.uint64(_REBIAS)
    small = np.flatnonzero(size < _SMALLEST_NORMAL)
    if small.size:
        rounded[small] = _denormal_bits(size[small])
    np.minimum(rounded, _INFINITY, out=rounded)
    rounded |= (bits >> np.uint64(63)) << np.uint64(15)
    return rounded


def _denormal_bits(size: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Round positive float64 below 2^-126 to multiples of 2^-133, and return how many; 2^7 is the smallest normal."""
    exponent = size >> np.uint64(52)
    fraction = (size & np.uint64(2**52 - 1)) | np.uint64(2**52)
    shift = np.minimum(np.uint64(_FRACTION_BITS + 1023 - 126) - exponent, np.uint64(60))
    half = np.uint64(1) << (shift - np.uint64(1))
    even: NDArray[np.uint64] = (fraction >> shift) & np.uint64(1)
    rounded: NDArray[np.uint64] = (fraction + half - np.uint64(1) + even) >> shift
    return rounded


def _float8_numbers(exponent_bits: int, *, has_infinity: bool) -> NDArray[np.float64]:
    """Return the 256 numbers of a float8 (Open Compute Project, 8-bit Floating Point Specification, revision 1.0)."""
    fraction_bits = 7 - exponent_bits
    bias = 2 ** (exponent_bits - 1) - 1
    numbers = np.empty(256)
    for pattern in range(128):
        exponent, fraction = divmod(pattern, 2**fraction_bits)
        if has_infinity and exponent == 2**exponent_bits - 1:
            number = math.nan if fraction else math.inf
        elif not has_infinity and pattern == 0x7F:
            number = math.nan
        elif exponent == 0:
            number = math.ldexp(fraction, 1 - bias - fraction_bits)
        else:
            number = math.ldexp(2**fraction_bits + fraction, exponent - bias - fraction_bits)
        numbers[pattern], numbers[pattern + 128] = number, -number
    return numbers


_FLOAT8_NUMBERS = {
    "float8_e4m3fn": _float8_numbers(4, has_infinity=False),
    "float8_e5m2": _float8_numbers(5, has_infinity=True),
}
