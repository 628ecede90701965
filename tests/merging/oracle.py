"""The pinned arithmetic in exact fractions, written apart from the code under test: slow, plain, without numpy.

A float is its bits, taken apart by hand. Every step computes exactly and rounds once, to nearest even, by integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

FORMATS = {"float64": (11, 52), "float32": (8, 23), "float16": (5, 10), "bfloat16": (8, 7)}
"""Bits of the exponent and of the fraction."""
WIDTHS = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}

INTEGERS = {f"{sign}int{8 * width}": (width, sign == "") for sign in ("", "u") for width in (1, 2, 4, 8)}
"""Bytes, and whether there are negative ones."""


@dataclass(frozen=True)
class Number:
    """A float other than NaN: a sign and a size; None is infinite. NaN is None in its place."""

    negative: bool
    size: Fraction | None


def decode(dtype: str, bits: int) -> Number | None:
    exponent_bits, fraction_bits = FORMATS[dtype]
    fraction = bits & ((1 << fraction_bits) - 1)
    exponent = (bits >> fraction_bits) & ((1 << exponent_bits) - 1)
    negative = bool(bits >> (fraction_bits + exponent_bits))
    bias = (1 << (exponent_bits - 1)) - 1
    if exponent == (1 << exponent_bits) - 1:
        return None if fraction else Number(negative, None)
    if exponent == 0:
        return Number(negative, fraction * Fraction(2) ** (1 - bias - fraction_bits))
    return Number(negative, ((1 << fraction_bits) + fraction) * Fraction(2) ** (exponent - bias - fraction_bits))


def encode(dtype: str, number: Number | None) -> int:
    """Return the bits of the number nearest to this one; of two equally near ones, the even one."""
    exponent_bits, fraction_bits = FORMATS[dtype]
    infinity = ((1 << exponent_bits) - 1) << fraction_bits
    if number is None:
        return infinity | 1 << (fraction_bits - 1)
    sign = number.negative << (exponent_bits + fraction_bits)
    if number.size is None:
        return sign | infinity
    if number.size == 0:
        return sign
    bias = (1 << (exponent_bits - 1)) - 1
    exponent = max(floor_log2(number.size), 1 - bias)
    units = round(number.size / Fraction(2) ** (exponent - fraction_bits))  # Fraction rounds half to even
    return sign | min(infinity, ((exponent + bias - 1) << fraction_bits) + units)


def floor_log2(size: Fraction) -> int:
    guess = size.numerator.bit_length() - size.denominator.bit_length()
    return guess if Fraction(2) ** guess <= size else guess - 1


def rounded(number: Number | None) -> Number | None:
    return decode("float64", encode("float64", number))


def signed(number: Number) -> Fraction:
    assert number.size is not None
    return -number.size if number.negative else number.size


def multiply(number: Number | None, factor: int) -> Number | None:
    if number is None or number.size is None:
        return number
    return rounded(Number(number.negative, number.size * factor))


def divide(number: Number | None, divisor: int) -> Number | None:
    if number is None or number.size is None:
        return number
    return rounded(Number(number.negative, number.size / divisor))


def add(left: Number | None, right: Number | None) -> Number | None:
    if left is None or right is None:
        return None
    if left.size is None or right.size is None:
        if left.size is None and right.size is None:
            return left if left.negative == right.negative else None
        return left if left.size is None else right
    total = signed(left) + signed(right)
    if total == 0:
        return Number(left.negative and right.negative, Fraction(0))
    return rounded(Number(total < 0, abs(total)))


def mean_of_floats(dtype: str, inputs: Sequence[tuple[int, int]]) -> int:
    """Return the bits of the weighted mean of (bits, weight), in this order."""
    acc: Number | None = Number(negative=False, size=Fraction(0))
    for bits, weight in inputs:
        acc = add(acc, multiply(decode(dtype, bits), weight))
    return encode(dtype, divide(acc, sum(weight for _, weight in inputs)))


def mean_of_integers(inputs: Sequence[tuple[int, int]]) -> int:
    total = sum(value * weight for value, weight in inputs)
    return round(Fraction(total, sum(weight for _, weight in inputs)))


def merge(dtype: str, rule: str, inputs: Sequence[tuple[bytes, int]]) -> bytes | None:
    """Return the merged bytes of one tensor; None when inputs differ that must be equal.

    Args:
        dtype: The kind of number.
        rule: How it is merged.
        inputs: Bytes of the tensor and weight of each model; sorted by tree digest, equal trees already together.
    """
    if rule == "equal" or dtype == "bool":
        return inputs[0][0] if len({raw for raw, _ in inputs}) == 1 else None
    width, has_sign = INTEGERS[dtype] if dtype in INTEGERS else (WIDTHS[dtype], False)
    merged = b""
    for at in range(0, len(inputs[0][0]), width):
        values = [(int.from_bytes(raw[at : at + width], "little", signed=has_sign), n) for raw, n in inputs]
        if dtype in FORMATS:
            value = mean_of_floats(dtype, values)
        elif rule == "mean":
            value = mean_of_integers(values)
        else:
            value = (max if rule == "max" else min)(value for value, _ in values)
        merged += value.to_bytes(width, "little", signed=has_sign)
    return merged
