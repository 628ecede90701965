"""Frozen vectors: what was right once stays right, here and for every other reader of the specification."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imagiq.merging import Input, weighted_mean
from imagiq.objects import parse_schema
from tests.merging.held import Held
from tests.merging.make_vectors import FROZEN, SPEC, vectors

VECTORS: list[dict[str, Any]] = json.loads(FROZEN.read_text())["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_frozen_vector(vector: dict[str, Any]) -> None:
    schema = parse_schema(vector["schema"].encode())
    held = Held()

    def raw_of(tensors: dict[str, str]) -> bytes:
        return b"".join(bytes.fromhex(tensors[tensor.name]) for tensor in schema.tensors)

    inputs = [Input(held.put(schema, raw_of(one["tensors"])), one["weight"]) for one in vector["inputs"]]
    assert [one.tree.digest for one in inputs] == [one["tree"] for one in vector["inputs"]]
    merged = b"".join(weighted_mean(schema, inputs, held.read))
    assert merged.hex() == raw_of(vector["result"]["tensors"]).hex()
    assert held.put(schema, merged).digest == vector["result"]["tree"]


def test_the_specification_holds_the_same_vectors() -> None:
    assert SPEC.read_bytes() == FROZEN.read_bytes()


def test_the_oracle_still_writes_them() -> None:
    assert json.loads(FROZEN.read_text()) == vectors()
