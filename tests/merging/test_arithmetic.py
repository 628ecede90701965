"""Reductions follow their written tree, and foreign rounding modes are found out."""

from __future__ import annotations

import ctypes
import math
import platform
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagiq.errors import ContractBroken
from imagiq.merging import Input, check_arithmetic, distance, norm2, weighted_mean
from imagiq.merging.arithmetic import squares, tree_sum
from tests.merging.held import Held, one_tensor

GLIBC_X86 = sys.platform == "linux" and platform.machine() == "x86_64" and platform.libc_ver()[0] == "glibc"
only_here = pytest.mark.skipif(not GLIBC_X86, reason="changes the floating-point unit through glibc on x86-64")


def written_tree(values: list[float]) -> float:
    """The tree of additions, said once more in plain Python: pad, fold the upper half onto the lower, again."""
    size = 1
    while size < len(values):
        size *= 2
    row = [*values, *[0.0] * (size - len(values))]
    while len(row) > 1:
        half = len(row) // 2
        row = [row[at] + row[half + at] for at in range(half)]
    return row[0] if values else 0.0


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=70))
@settings(max_examples=2 * settings().max_examples)
def test_the_sum_is_the_written_tree(values: list[float]) -> None:
    assert tree_sum(np.array(values, np.float64)) == written_tree(values)


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 65_537, 3 * 65_536 + 5])
def test_norm_and_distance_are_trees_of_blocks(size: int) -> None:
    rng = np.random.default_rng(size)
    left, right = (rng.standard_normal(size).astype(np.float32) * 1e3 for _ in range(2))

    def by_hand(values: list[float]) -> float:
        blocks = [[value * value for value in values[at : at + 65_536]] for at in range(0, size, 65_536)]
        return math.sqrt(written_tree([written_tree(block) for block in blocks]))

    assert norm2([left]) == by_hand(left.tolist())
    assert distance([left], [right]) == by_hand((left.astype(float) - right.astype(float)).tolist())
    assert norm2([left]) == pytest.approx(np.linalg.norm(left.astype(float)), rel=1e-12)


def test_norms_of_several_arrays_and_of_none() -> None:
    assert norm2([np.array([3.0, 0.0]), np.array([[4.0]])]) == 5.0
    assert norm2([]) == 0.0
    assert norm2([np.array([], np.float32)]) == 0.0
    assert distance([np.array([1.0, 1.0])], [np.array([4.0, 5.0])]) == 5.0


def test_squares_leave_their_input_alone() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0])
    assert squares(values) == 30.0
    assert values.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_this_thread_rounds_as_it_should() -> None:
    check_arithmetic()


def in_thread_with(change: Callable[[], None], call: Callable[[], object]) -> object:
    """Run ``call`` in a thread whose floating-point unit was changed; a new thread, so nothing else is."""

    def work() -> object:
        environment = ctypes.create_string_buffer(64)
        libm.fegetenv(environment)
        change()
        try:
            return call()
        finally:
            libm.fesetenv(environment)

    libm = ctypes.CDLL("libm.so.6")
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def set_rounding(mode: int) -> Callable[[], None]:
    def change() -> None:
        assert ctypes.CDLL("libm.so.6").fesetround(mode) == 0

    return change


def set_flag(flag: int) -> Callable[[], None]:
    """Set a bit of MXCSR, which glibc keeps at byte 28 of its fenv_t."""

    def change() -> None:
        libm, environment = ctypes.CDLL("libm.so.6"), ctypes.create_string_buffer(64)
        libm.fegetenv(environment)
        mxcsr = ctypes.c_uint32.from_buffer(environment, 28)
        mxcsr.value |= flag
        libm.fesetenv(environment)

    return change


CHANGES = {
    "down": (set_rounding(0x400), "merge-rounding"),
    "up": (set_rounding(0x800), "merge-rounding"),
    "zero": (set_rounding(0xC00), "merge-rounding"),
    "flush": (set_flag(0x8000), "merge-denormals"),
    "denormals are zero": (set_flag(0x0040), "merge-denormals"),
}


@only_here
@pytest.mark.parametrize("name", CHANGES)
def test_another_rounding_is_found_out_before_anything_is_merged(name: str) -> None:
    change, code = CHANGES[name]
    held, schema = Held(), one_tensor("float32", 4)
    blobs = weighted_mean(schema, [Input(held.put(schema, bytes(16)), 1)], held.read)
    for call in (check_arithmetic, lambda: next(blobs)):
        with pytest.raises(ContractBroken) as caught:
            in_thread_with(change, call)
        assert caught.value.code == code
    check_arithmetic()
