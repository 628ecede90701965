"""The gate gives proof or raises."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from imagiq.errors import Corrupt, Misuse, Refused
from imagiq.merging import Gated, pass_gate
from imagiq.merging.floats import widen
from imagiq.objects import DTYPE_SIZES, Tensor, Tree
from tests.merging import oracle
from tests.merging.held import Held, one_tensor, schema_with

FLOATS = [dtype for dtype in DTYPE_SIZES if "float" in dtype]


def refusal_of(tensor: Tensor, raw: bytes, limit: float | None = None) -> Refused:
    held = Held()
    schema = schema_with(Tensor("first", "float32", (2,)), tensor)
    with pytest.raises(Refused) as caught:
        pass_gate(schema, held.put(schema, bytes(8) + raw), held.read, largest_norm=limit)
    return caught.value


def test_a_finite_model_passes_with_its_norm() -> None:
    held = Held()
    schema = schema_with(
        Tensor("a", "float32", (2,)),
        Tensor("n", "int64", (), "max"),
        Tensor("b", "float64", (1, 1)),
        Tensor("c", "float16", (0,)),
    )
    raw = np.array([2, 3], "<f4").tobytes() + np.array([10**6], "<i8").tobytes() + np.array([6], "<f8").tobytes()
    tree = held.put(schema, raw)
    assert pass_gate(schema, tree, held.read) == Gated(tree, None)
    assert pass_gate(schema, tree, held.read, largest_norm=7.0).norm == 7.0
    with pytest.raises(Refused, match="norm 7, more than") as caught:
        pass_gate(schema, tree, held.read, largest_norm=6.5)
    assert caught.value.code == "gate-norm"


NOT_FINITE = {
    "float64": [0x7FF8000000000000, 0x7FF0000000000000, 0xFFF0000000000000, 0x7FF0000000000001],
    "float32": [0x7FC00000, 0x7F800000, 0xFF800000, 0x7F800001],
    "float16": [0x7E00, 0x7C00, 0xFC00],
    "bfloat16": [0x7FC0, 0x7F80, 0xFF80, 0x7F81],
    "float8_e4m3fn": [0x7F, 0xFF],
    "float8_e5m2": [0x7C, 0xFC, 0x7D, 0xFF],
}


@pytest.mark.parametrize("largest_norm", [None, 1e9])
@pytest.mark.parametrize(("dtype", "bits"), [(dtype, bits) for dtype in NOT_FINITE for bits in NOT_FINITE[dtype]])
def test_nan_and_infinity_are_refused_with_the_tensors_name(dtype: str, bits: int, largest_norm: float | None) -> None:
    width = DTYPE_SIZES[dtype]
    raw = bytes(width * 70_000) + bits.to_bytes(width, "little") + bytes(width * 5)
    error = refusal_of(Tensor("bad", dtype, (70_006,)), raw, largest_norm)
    assert error.code == "gate-not-finite"
    assert "'bad'" in error.what


def test_finite_numbers_whose_squares_overflow_pass_unless_a_norm_is_asked_for() -> None:
    held, schema = Held(), one_tensor("float64", 2)
    tree = held.put(schema, np.array([1e300, -1e300]).tobytes())
    assert pass_gate(schema, tree, held.read).norm is None
    with pytest.raises(Refused) as caught:
        pass_gate(schema, tree, held.read, largest_norm=1e308)
    assert caught.value.code == "gate-norm"


def test_another_schema_or_number_of_blobs_is_refused() -> None:
    held, schema, other = Held(), one_tensor("float32", 2), one_tensor("float32", 3)
    tree = held.put(other, bytes(12))
    for wrong in (tree, Tree(schema.digest, ())):
        with pytest.raises(Refused) as caught:
            pass_gate(schema, wrong, held.read)
        assert caught.value.code == "gate-schema"


def test_damaged_bytes_do_not_pass() -> None:
    held, schema = Held(), one_tensor("bool", 3, "equal")
    with pytest.raises(Corrupt):
        pass_gate(schema, held.put(schema, bytes([0, 1, 2])), held.read)
    with pytest.raises(Corrupt):
        pass_gate(schema, held.put(schema, bytes(3)), lambda _: bytes(4))


@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan, math.inf])
def test_a_limit_that_is_no_positive_number_is_misuse(limit: float) -> None:
    held, schema = Held(), one_tensor("float32", 1)
    with pytest.raises(Misuse):
        pass_gate(schema, held.put(schema, bytes(4)), held.read, largest_norm=limit)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_all_16_bit_floats_are_read_as_the_numbers_they_are(dtype: str) -> None:
    with np.errstate(all="ignore"):
        numbers = widen(
            dtype, np.arange(2**16, dtype="<u2").view("<f2" if dtype == "float16" else "<u2"), np.empty(2**16)
        )
    for bits in range(0, 2**16, 7):
        expected = oracle.decode(dtype, bits)
        if expected is None:
            assert math.isnan(numbers[bits])
        elif expected.size is None:
            assert numbers[bits] == (-math.inf if expected.negative else math.inf)
        else:
            assert Fraction(float(numbers[bits])) == oracle.signed(expected)


def test_float8_numbers() -> None:
    """A few of the OCP specification's table: largest, smallest normal, smallest denormal."""
    e4m3 = widen("float8_e4m3fn", np.array([0x7E, 0x08, 0x01, 0x38, 0xB8], "u1"), np.empty(5))
    assert e4m3.tolist() == [448.0, 2.0**-6, 2.0**-9, 1.0, -1.0]
    e5m2 = widen("float8_e5m2", np.array([0x7B, 0x04, 0x01, 0x3C, 0xBC], "u1"), np.empty(5))
    assert e5m2.tolist() == [57344.0, 2.0**-14, 2.0**-16, 1.0, -1.0]
