"""Which tensors differ, by how much, and what was read to find out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imagiq.errors import Corrupt, Refused
from imagiq.merging import TensorDifference, differences
from imagiq.objects import Schema, Tensor, Tree
from tests.merging.held import Held, cut_small, one_tensor, schema_with


def pair(held: Held, schema: Schema, first: bytes, second: bytes) -> tuple[Tree, Tree]:
    return held.put(schema, first), held.put(schema, second)


def found_for(dtype: str, first: list[float], second: list[float]) -> TensorDifference:
    held, schema = Held(), one_tensor(dtype, len(first), "equal" if dtype == "bool" else "mean")
    trees = pair(held, schema, np.array(first).astype(dtype).tobytes(), np.array(second).astype(dtype).tobytes())
    (difference,) = differences(schema, *trees, held.read)
    return difference


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int8", "int64"])
def test_how_far_a_tensor_moved(dtype: str) -> None:
    difference = found_for(dtype, [3, 4, 0, 0], [3, 4, -3, 4])
    assert difference == TensorDifference("tensor", dtype, (4,), changed=True, largest=4.0, distance=5.0, relative=1.0)


def test_integers_lie_as_far_apart_as_they_do() -> None:
    held, schema = (
        Held(),
        schema_with(
            Tensor("u", "uint64", (1,), "max"), Tensor("i", "int64", (1,), "max"), Tensor("b", "bool", (1,), "equal")
        ),
    )
    first = np.array([2**64 - 1], "<u8").tobytes() + np.array([2**63 - 1], "<i8").tobytes() + b"\1"
    second = np.array([2**64 - 2], "<u8").tobytes() + np.array([-(2**63)], "<i8").tobytes() + b"\0"
    trees = pair(held, schema, first, second)
    assert [difference.largest for difference in differences(schema, *trees, held.read)] == [1.0, float(2**64 - 1), 1.0]


def test_nan_and_infinity() -> None:
    same = found_for("float32", [math.nan, math.inf, 1.0], [math.nan, math.inf, 3.0])
    assert (same.largest, same.distance) == (2.0, 2.0)
    assert math.isnan(found_for("float32", [math.nan, 1.0], [0.0, 5.0]).largest)
    assert found_for("float32", [math.inf, 1.0], [0.0, 1.0]).largest == math.inf


def test_from_zero_the_relative_change_is_infinite_and_of_signed_zeros_none() -> None:
    assert found_for("float32", [0.0], [1.0]).relative == math.inf
    signs = found_for("float32", [0.0], [-0.0])
    assert (signs.changed, signs.distance, signs.relative) == (True, 0.0, 0.0)


def test_a_tensor_of_many_blocks_has_the_distance_of_all_of_them() -> None:
    first = np.arange(200_000, dtype=np.float64)
    moved = first.copy()
    moved[[5, 70_000, 199_999]] += [1.0, 2.0, 2.0]
    difference = found_for("float64", first.tolist(), moved.tolist())
    assert (difference.largest, difference.distance) == (2.0, 3.0)
    assert difference.relative == pytest.approx(3.0 / np.linalg.norm(first), rel=1e-12)


def test_only_what_may_have_changed_is_read_and_shared_blobs_once() -> None:
    held, elements = Held(), 2**21
    schema = schema_with(*(Tensor(name, "float32", (elements,)) for name in "abc"), Tensor("empty", "float32", (0,)))
    first = np.arange(3 * elements, dtype="<f4")
    second = first.copy()
    second[elements] += 1.0
    trees = pair(held, schema, first.tobytes(), second.tobytes())
    changed = {difference.name: difference.changed for difference in differences(schema, *trees, held.read)}
    assert changed == {"a": False, "b": True, "c": False, "empty": False}
    assert held.reads == [trees[0].blobs[2], trees[1].blobs[2], trees[0].blobs[3]]


def test_small_tensors_in_a_shared_blob_are_told_apart() -> None:
    held, schema = Held(), schema_with(*(Tensor(name, "float32", (2,)) for name in "abc"))
    first, second = np.array([1, 2, 3, 4, 5, 6], "<f4"), np.array([1, 2, 3, 7, 5, 6], "<f4")
    trees = pair(held, schema, first.tobytes(), second.tobytes())
    assert [difference.changed for difference in differences(schema, *trees, held.read)] == [False, True, False]


def test_elements_across_blobs() -> None:
    held = Held()
    with cut_small(5, 100):
        schema = schema_with(
            Tensor("flag", "uint8", (1,), "max"), Tensor("w", "float64", (3,)), Tensor("v", "float32", (2,))
        )
        raws = [
            b"\7" + np.array(row, "<f8").tobytes() + np.array([1, 1], "<f4").tobytes() for row in ([3, 0, 4], [3, 2, 4])
        ]
        found = list(differences(schema, *pair(held, schema, *raws), held.read))
    assert [(difference.changed, difference.distance) for difference in found] == [
        (False, 0.0),
        (True, 2.0),
        (False, 0.0),
    ]
    assert found[1].relative == 0.4


def test_models_of_other_schemas_are_refused() -> None:
    held, schema, other = Held(), one_tensor("float32", 2), one_tensor("float32", 3)
    tree = held.put(schema, bytes(8))
    for both in ((tree, held.put(other, bytes(12))), (held.put(other, bytes(12)), tree)):
        with pytest.raises(Refused) as caught:
            differences(schema, *both, held.read)
        assert caught.value.code == "diff-schema"
    with pytest.raises(Corrupt):
        differences(schema, tree, Tree(schema.digest, ()), held.read)
