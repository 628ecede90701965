"""Arrays to blobs and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagiq.errors import ContractBroken, Corrupt
from imagiq.merging import blobs_of, numpy_dtype, schema_of, weights_of
from imagiq.merging.layout import TreeReader, tensor_at
from imagiq.objects import DTYPE_SIZES, Group, Schema, Tensor
from tests.merging.held import Held, cut_small, schema_with

Weights = dict[str, np.ndarray[Any, np.dtype[Any]]]


def weights_for(schema: Schema, seed: int) -> Weights:
    rng = np.random.default_rng(seed)
    weights: Weights = {}
    for tensor in schema.tensors:
        raw = rng.integers(0, 2 if tensor.dtype == "bool" else 256, tensor.nbytes, dtype=np.uint8)
        weights[tensor.name] = raw.view(numpy_dtype(tensor.dtype)).reshape(tensor.shape)
    return weights


def rule_of(dtype: str) -> str:
    return "equal" if dtype == "bool" else "mean"


@given(
    st.lists(st.tuples(st.sampled_from(sorted(DTYPE_SIZES)), st.lists(st.integers(0, 3), max_size=3)), max_size=6),
    st.sampled_from([(5, 3), (8, 8), (16, 16), (64, 32), (2**22, 2**16)]),
    st.integers(0, 99),
)
@settings(max_examples=2 * settings().max_examples)
def test_weights_come_back_as_they_went(kinds: list[tuple[str, list[int]]], layout: tuple[int, int], seed: int) -> None:
    tensors = [Tensor(f"t{n}", dtype, tuple(shape), rule_of(dtype)) for n, (dtype, shape) in enumerate(kinds)]
    with cut_small(*layout):
        schema = Schema(groups=(Group("a", tuple(tensors[:2])), Group("b", tuple(tensors[2:]))))
        weights, held = weights_for(schema, seed), Held()
        blobs = [bytes(blob) for blob in blobs_of(schema, weights)]
        assert tuple(map(len, blobs)) == schema.blob_sizes
        assert b"".join(blobs) == b"".join(weights[tensor.name].tobytes() for tensor in tensors)
        back = weights_of(schema, held.put(schema, b"".join(blobs)), held.read)
    assert list(back) == [tensor.name for tensor in tensors]
    for tensor in tensors:
        assert back[tensor.name].tobytes() == weights[tensor.name].tobytes()
        assert back[tensor.name].shape == tensor.shape
        assert back[tensor.name].dtype == numpy_dtype(tensor.dtype)
        assert back[tensor.name].flags.writeable


def test_large_tensors_are_cut_without_a_copy() -> None:
    weights = {"large": np.zeros(3 * 2**20, "<f4")}
    blobs = list(blobs_of(schema_of(weights), weights))
    assert [blob.nbytes for blob in blobs] == [2**22] * 3
    assert all(np.shares_memory(np.frombuffer(blob, np.uint8), weights["large"]) for blob in blobs)
    assert all(blob.readonly for blob in blobs)


def test_strided_and_big_endian_arrays_are_written_in_order() -> None:
    schema = schema_with(Tensor("a", "float32", (2, 3)))
    rows = np.arange(6, dtype="<f4").reshape(3, 2)
    for array in (rows.T, rows.T.astype(">f4")):
        assert b"".join(blobs_of(schema, {"a": array})) == np.ascontiguousarray(rows.T).tobytes()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"a": None}, "lack tensor 'a'"),
        ({"foreign": np.zeros(1)}, "hold tensor 'foreign'"),
        ({"a": np.zeros((3, 2), "f4")}, r"'a' has shape \[3, 2\]; the schema says \[2, 3\]"),
        ({"a": np.zeros((2, 3), "f8")}, "'a' has dtype float64; the schema says float32"),
        ({"half": np.zeros(2, "f4")}, "'half' has dtype float32; the schema says bfloat16, which stands as uint16"),
        ({"mask": np.array([1, 2], "u1").view("?")}, "'mask' is bool"),
    ],
)
def test_weights_that_do_not_fit_the_schema(change: dict[str, Any], says: str) -> None:
    schema = schema_with(
        Tensor("a", "float32", (2, 3)), Tensor("half", "bfloat16", (2,)), Tensor("mask", "bool", (2,), "equal")
    )
    weights: dict[str, Any] = {
        "a": np.zeros((2, 3), "f4"),
        "half": np.zeros(2, "u2"),
        "mask": np.zeros(2, "?"),
    } | change
    with pytest.raises(ContractBroken, match=says):
        blobs_of(schema, {name: array for name, array in weights.items() if array is not None})


def test_reading_refuses_a_byte_that_is_no_bool_and_a_blob_of_wrong_length() -> None:
    schema, held = schema_with(Tensor("mask", "bool", (3,), "equal")), Held()
    with pytest.raises(Corrupt, match="'mask'"):
        weights_of(schema, held.put(schema, bytes([0, 1, 255])), held.read)
    with pytest.raises(Corrupt, match="2 bytes"):
        weights_of(schema, held.put(schema, bytes(3)), lambda _: bytes(2))


def test_a_schema_from_arrays() -> None:
    weights: Weights = {
        "w": np.zeros((2, 3), "f4"),
        "n": np.zeros((), "i8"),
        "on": np.zeros(1, "?"),
        "head": np.zeros(4, "u2"),
        "classes": np.zeros(2, "u1"),
    }
    schema = schema_of(weights, dtypes={"head": "bfloat16"}, rules={"classes": "equal"})
    assert [(t.name, t.dtype, t.shape, t.rule) for t in schema.tensors] == [
        ("w", "float32", (2, 3), "mean"),
        ("n", "int64", (), "max"),
        ("on", "bool", (1,), "equal"),
        ("head", "bfloat16", (4,), "mean"),
        ("classes", "uint8", (2,), "equal"),
    ]
    grouped = schema_of(weights, groups={"weights": ["w", "head"], "state": ["n"]}, dtypes={"head": "bfloat16"})
    assert [(group.name, len(group.tensors)) for group in grouped.groups] == [("weights", 2), ("state", 1)]
    for wrong in (np.zeros(1, "c8"), np.array(["a"])):
        with pytest.raises(ContractBroken, match="'x'"):
            schema_of({"x": wrong})
    with pytest.raises(ContractBroken, match="'x'"):
        schema_of({"x": np.zeros(1, "f4")}, dtypes={"x": "bfloat16"})


def test_any_byte_belongs_to_the_tensor_that_covers_it() -> None:
    schema = schema_with(*(Tensor(f"t{n}", "int16", (size,), "max") for n, size in enumerate([0, 2, 0, 0, 3, 1, 0])))
    assert [tensor_at(schema, byte).name for byte in (0, 3, 4, 9, 10, 11)] == ["t1", "t1", "t4", "t4", "t5", "t5"]


def test_the_reader_holds_one_blob_and_reads_each_once() -> None:
    held = Held()
    with cut_small(8, 8):
        schema = schema_with(*(Tensor(f"t{n}", "uint8", (7,), "max") for n in range(4)))
        tree = held.put(schema, bytes(range(28)))
        reader = TreeReader(schema, tree, held.read)
        assert b"".join(bytes(reader.bytes(at, at + 7)) for at in range(0, 28, 7)) == bytes(range(28))
    assert held.reads == list(tree.blobs)
