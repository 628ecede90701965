"""The weighted mean equals the pinned arithmetic in exact fractions, bit for bit."""

from __future__ import annotations

import random
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagiq.errors import Refused
from imagiq.merging.floats import narrow
from imagiq.merging.layout import windows
from imagiq.objects import DTYPE_SIZES, Digest, Group, Schema, Tensor, digest_of
from tests.merging import oracle
from tests.merging.held import Held, cut_small, one_tensor, schema_with

FLOATS = tuple(oracle.FORMATS)
KINDS = (
    [(dtype, "mean") for dtype in FLOATS]
    + [(dtype, rule) for dtype in oracle.INTEGERS for rule in ("mean", "max", "min", "equal")]
    + [("bool", "equal")]
)


ONES = {"float64": 0x3FF << 52, "float32": 0x7F << 23, "float16": 0xF << 10, "bfloat16": 0x7F << 7}


def special_bits(dtype: str) -> list[int]:
    """Zeros, denormals, the smallest normal, one and its neighbours, the largest, infinities, NaNs; of both signs."""
    exponent_bits, fraction_bits = oracle.FORMATS[dtype]
    infinity = ((1 << exponent_bits) - 1) << fraction_bits
    one = ((1 << (exponent_bits - 1)) - 1) << fraction_bits
    positive = [
        0,
        1,
        2,
        3,
        (1 << fraction_bits) - 1,
        1 << fraction_bits,
        one - 1,
        one,
        one + 1,
        one + (1 << fraction_bits),
    ]
    positive += [infinity - 1, infinity, infinity + 1, infinity | 1 << (fraction_bits - 1), infinity | 5]
    return positive + [bits | 1 << (exponent_bits + fraction_bits) for bits in positive]


@st.composite
def elements(draw: st.DrawFn, tensor: Tensor) -> bytes:
    """Bytes of a tensor: any bits, special ones, or numbers near each other."""
    width = DTYPE_SIZES[tensor.dtype]
    if tensor.dtype == "bool":
        one = st.integers(0, 1)
    elif tensor.dtype in FLOATS:
        one = st.integers(0, 256**width - 1) | st.sampled_from(special_bits(tensor.dtype))
        one |= st.integers(ONES[tensor.dtype] - 999, ONES[tensor.dtype] + 999)
    else:
        one = st.integers(0, 256**width - 1) | st.sampled_from([0, 1, 2, 256**width // 2 - 1, 256**width - 1])
    values = draw(st.lists(one, min_size=tensor.elements, max_size=tensor.elements))
    return b"".join(value.to_bytes(width, "little") for value in values)


WEIGHTS = st.integers(1, 9) | st.integers(1, 2**31 - 1) | st.sampled_from([2**30, 2**31 - 1])


@st.composite
def models(draw: st.DrawFn) -> tuple[list[Tensor], list[list[bytes]], list[int], int]:
    """Tensors, the bytes of each in several models, the models' weights, where the second group starts."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))
    shapes = [draw(st.sampled_from([(), (1,), (2,), (3,), (0,), (2, 3), (5, 1)])) for _ in kinds]
    tensors = [
        Tensor(f"t{place}", dtype, shape, rule)
        for place, ((dtype, rule), shape) in enumerate(zip(kinds, shapes, strict=True))
    ]
    count = draw(st.integers(1, 4))
    first = [draw(elements(tensor)) for tensor in tensors]
    raws = [first] + [
        [raw if tensor.rule == "equal" else draw(elements(tensor)) for tensor, raw in zip(tensors, first, strict=True)]
        for _ in range(count - 1)
    ]
    raws += draw(st.lists(st.sampled_from(raws), max_size=2))
    return tensors, raws, [draw(WEIGHTS) for _ in raws], draw(st.integers(0, len(tensors)))


@given(models(), st.sampled_from([(5, 3), (7, 100), (8, 8), (16, 16), (64, 32), (2**22, 2**16)]), st.randoms())
@settings(max_examples=5 * settings().max_examples)
def test_the_mean_is_the_one_of_exact_fractions(
    model: tuple[list[Tensor], list[list[bytes]], list[int], int], layout: tuple[int, int], order: random.Random
) -> None:
    tensors, raws, weights, border = model
    held = Held()
    with cut_small(*layout):
        schema = Schema(groups=(Group("weights", tuple(tensors[:border])), Group("state", tuple(tensors[border:]))))
        assert max(schema.blob_sizes, default=0) <= layout[0]
        inputs = [(held.put(schema, b"".join(raw)), weight) for raw, weight in zip(raws, weights, strict=True)]
        order.shuffle(inputs)
        merged = held.merge(schema, inputs)
    together: dict[Digest, int] = {}
    for tree, weight in inputs:
        together[tree.digest] = together.get(tree.digest, 0) + weight
    by_digest = {tree.digest: held.bytes_of(tree) for tree, _ in inputs}
    expected = b""
    for tensor in tensors:
        at = len(expected)
        parts = [(by_digest[name][at : at + tensor.nbytes], together[name]) for name in sorted(together)]
        part = oracle.merge(tensor.dtype, tensor.rule, parts)
        assert part is not None
        expected += part
    assert merged == expected


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_rounding_is_right_at_beside_and_between_all_kinds_of_neighbours(dtype: str) -> None:
    rng = np.random.default_rng(7)
    width = oracle.WIDTHS[dtype]
    patterns = [*special_bits(dtype), *map(int, rng.integers(0, 256**width, 400, dtype=np.uint64))]
    numbers = []
    for bits in patterns:
        low, high = oracle.decode(dtype, bits), oracle.decode(dtype, bits + 1)
        if low and high and low.size is not None and high.size is not None:
            middle = float((oracle.signed(low) + oracle.signed(high)) / 2)
            numbers += [middle, np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf)]
    numbers += [float(np.ldexp(rng.standard_normal(), int(rng.integers(-180, 140)))) for _ in range(400)]
    numbers += [5e-324, -5e-324, 0.0, -0.0, 1e300, -1e300, np.inf, -np.inf, np.nan]
    values = np.array(numbers)
    out = np.empty(values.size, f"<f{width}" if dtype != "bfloat16" else "<u2")
    with np.errstate(all="ignore"):
        narrow(dtype, values, out)
    expected = [oracle.encode(dtype, oracle.decode("float64", int(bits))) for bits in values.view(np.uint64)]
    assert out.view(f"<u{width}").tolist() == expected


def test_bfloat16_is_not_rounded_twice() -> None:
    held, schema = Held(), one_tensor("bfloat16", 1)
    # The mean is 1 + 2^-8 + about 2^-39: above the middle, but float32 would put it there, and then on the even side.
    inputs = [(held.put(schema, bits.to_bytes(2, "little")), n) for bits, n in [(0x3F80, 2**30), (0x3F81, 2**30 + 1)]]
    assert held.merge(schema, inputs) == (0x3F81).to_bytes(2, "little")
    out = np.empty(2, "<u2")
    narrow("bfloat16", np.array([1 + 2.0**-8 + 2.0**-40, 1 + 2.0**-8]), out)
    assert out.tolist() == [0x3F81, 0x3F80]


def test_the_order_of_parents_never_matters_and_equal_trees_are_taken_together() -> None:
    rng = np.random.default_rng(1)
    held, schema = Held(), one_tensor("float64", 1000)
    trees = [held.put(schema, (rng.standard_normal(1000) * 10.0**power).tobytes()) for power in (-3, 0, 2)]
    inputs = [(trees[0], 3), (trees[1], 7), (trees[2], 1000), (trees[1], 4)]
    results = {held.merge(schema, list(order)) for order in permutations(inputs)}
    assert results == {held.merge(schema, [(trees[0], 3), (trees[1], 11), (trees[2], 1000)])}


def test_a_real_layout_with_elements_across_4_mib() -> None:
    tensors = [Tensor("odd", "bool", (3,), "equal")]
    tensors += [Tensor(f"f{place}", "float32", (16_000,)) for place in range(70)]
    tensors += [
        Tensor("large", "float16", (2**21 + 9,)),
        Tensor("steps", "int64", (), "max"),
        Tensor("d", "float64", (7,)),
    ]
    schema = schema_with(*tensors)
    cut = [window for window in windows(schema) if window.rest]
    assert [window.rest for window in cut] == [1]
    held, rng = Held(), np.random.default_rng(3)
    raws: list[dict[str, np.ndarray[Any, Any]]] = []
    for step in (5, 9):
        raw: dict[str, np.ndarray[Any, Any]] = {"odd": np.array([1, 0, 1], "?"), "steps": np.array([step], "<i8")}
        for tensor in tensors:
            if tensor.rule == "mean":
                raw[tensor.name] = rng.standard_normal(tensor.elements).astype(tensor.dtype)
        raws.append(raw)
    inputs = [
        (held.put(schema, b"".join(raw[t.name].tobytes() for t in tensors)), 2 + place)
        for place, raw in enumerate(raws)
    ]
    merged = held.merge(schema, inputs)
    order = sorted(range(2), key=lambda place: inputs[place][0].digest)
    at = 0
    for tensor in tensors:
        if tensor.rule == "mean":
            total = np.zeros(tensor.elements)
            for place in order:
                total = total + raws[place][tensor.name].astype(np.float64) * float(inputs[place][1])
            expected = (total / 5.0).astype(tensor.dtype).tobytes()
        else:
            expected = raws[1][tensor.name].tobytes()
        assert merged[at : at + tensor.nbytes] == expected, tensor.name
        at += tensor.nbytes


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_means_of_integers_are_exact_over_the_full_range(dtype: str) -> None:
    top = np.iinfo(dtype).max
    held, schema = Held(), one_tensor(dtype, 4)
    values = [[top, top, 0, 5], [top, top - 1, 1, 8]]
    inputs = [(held.put(schema, np.array(row, dtype).tobytes()), 2**31 - 1) for row in values]
    inputs += [(inputs[0][0], 2**31 - 1)] * 1000
    merged = np.frombuffer(held.merge(schema, inputs), dtype).tolist()
    assert merged == [top, top, 0, 5]
    assert np.frombuffer(held.merge(schema, inputs[:2]), dtype).tolist() == [top, top - 1, 0, 6]


def test_one_model_alone_is_itself_but_for_minus_zero_and_nan() -> None:
    held, schema = Held(), one_tensor("float32", 5)
    raw = np.array([0x80000000, 0x00000001, 0xFFC12345, 0x7F800000, 0xC2F6E979], "<u4")
    merged = np.frombuffer(held.merge(schema, [(held.put(schema, raw.tobytes()), 12)]), "<u4")
    assert merged.tolist() == [0, 1, 0x7FC00000, 0x7F800000, 0xC2F6E979]


def test_a_result_differs_from_the_one_with_normalised_weights() -> None:
    """Why weights are integers: x * (n / total) is another number."""
    rng = np.random.default_rng(5)
    held, schema = Held(), one_tensor("float64", 4096)
    rows = [rng.standard_normal(4096) for _ in range(3)]
    inputs = [(held.put(schema, row.tobytes()), n) for row, n in zip(rows, (303, 261, 130), strict=True)]
    normalised = sum(row * (n / 694) for row, (_, n) in zip(rows, inputs, strict=True))
    assert digest_of(held.merge(schema, inputs)) != digest_of(np.asarray(normalised).tobytes())


def test_a_model_without_bytes_merges_to_nothing() -> None:
    held, schema = Held(), one_tensor("float32", 0)
    assert held.merge(schema, [(held.put(schema, b""), 1)]) == b""


def test_bools_that_differ_are_refused_with_the_tensors_name() -> None:
    held, schema = Held(), schema_with(Tensor("a", "bool", (2,), "equal"), Tensor("mask", "bool", (2,), "equal"))
    inputs = [(held.put(schema, bytes(raw)), 1) for raw in ([0, 1, 1, 1], [0, 1, 1, 0])]
    with pytest.raises(Refused, match="'mask'") as refusal:
        held.merge(schema, inputs)
    assert refusal.value.code == "merge-equal"
