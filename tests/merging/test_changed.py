"""Models of which only some tensors have changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagiq.errors import ContractBroken, Refused
from imagiq.merging import blobs_of, changed_blobs, pass_gate
from imagiq.merging.changed import tensors_that_differ
from imagiq.objects import DTYPE_SIZES, Digest, Group, Schema, Tensor, Tree, digest_of
from tests.merging.held import Held, cut_small, schema_with
from tests.merging.test_arrays import rule_of, weights_for


@given(
    st.lists(st.tuples(st.sampled_from(sorted(DTYPE_SIZES)), st.lists(st.integers(0, 3), max_size=3)), max_size=6),
    st.sampled_from([(5, 3), (8, 8), (16, 16), (64, 32), (2**22, 2**16)]),
    st.sets(st.integers(0, 5)),
)
@settings(max_examples=2 * settings().max_examples)
def test_what_has_changed_gives_the_model_that_all_would_give(
    kinds: list[tuple[str, list[int]]], layout: tuple[int, int], chosen: set[int]
) -> None:
    tensors = [Tensor(f"t{n}", dtype, tuple(shape), rule_of(dtype)) for n, (dtype, shape) in enumerate(kinds)]
    with cut_small(*layout):
        schema = Schema(groups=(Group("a", tuple(tensors[:2])), Group("b", tuple(tensors[2:]))))
        before, other, held = weights_for(schema, 1), weights_for(schema, 2), Held()
        tree = held.put(schema, b"".join(blobs_of(schema, before)))
        changed = {tensor.name: other[tensor.name] for n, tensor in enumerate(tensors) if n in chosen}
        new = {place: bytes(content) for place, content in changed_blobs(schema, tree, changed, held.read)}
        whole = [bytes(blob) for blob in blobs_of(schema, {**before, **changed})]
        old = [held.read(blob) for blob in tree.blobs]
        assert [new.get(place, raw) for place, raw in enumerate(old)] == whole
        now = Tree(schema.digest, tuple(map(digest_of, whole)))
        differing = tensors_that_differ(schema, tree, now)
    for number, tensor in enumerate(tensors):
        is_another = tensor.nbytes > 0 and before[tensor.name].tobytes() != {**before, **changed}[tensor.name].tobytes()
        assert not is_another or number in differing


class Counted:
    """Counts what is read."""

    def __init__(self, held: Held) -> None:
        self.held = held
        self.names: list[Digest] = []

    def read(self, digest: Digest) -> bytes:
        self.names.append(digest)
        return self.held.read(digest)


def large(names: Sequence[str]) -> Schema:
    return schema_with(*(Tensor(name, "float32", (2**15,)) for name in names))


def test_what_has_not_changed_is_not_read() -> None:
    schema, held = large("abc"), Held()
    weights = {name: np.full(2**15, number, "<f4") for number, name in enumerate("abc")}
    tree = held.put(schema, b"".join(blobs_of(schema, weights)))
    counted = Counted(held)
    (changed,) = changed_blobs(schema, tree, {"b": np.zeros(2**15, "<f4") - 1}, counted.read)
    assert (changed[0], counted.names) == (1, [])
    now = held.put(schema, b"".join(blobs_of(schema, {**weights, "b": np.zeros(2**15, "<f4") - 1})))
    proof = pass_gate(schema, tree, held.read)
    assert pass_gate(schema, now, counted.read, since=proof).tree == now
    assert counted.names == [now.blobs[1]]


def test_the_gate_looks_at_what_has_changed() -> None:
    schema, held = large("ab"), Held()
    weights = {name: np.zeros(2**15, "<f4") for name in "ab"}
    proof = pass_gate(schema, held.put(schema, b"".join(blobs_of(schema, weights))), held.read)
    bad = {**weights, "b": np.full(2**15, np.inf, "<f4")}
    with pytest.raises(Refused) as caught:
        pass_gate(schema, held.put(schema, b"".join(blobs_of(schema, bad))), held.read, since=proof)
    assert caught.value.code == "gate-not-finite"


def test_proof_for_another_schema_proves_nothing() -> None:
    one, other, held = large("ab"), large("ba"), Held()
    proof = pass_gate(one, held.put(one, bytes(one.nbytes)), held.read)
    counted = Counted(held)
    pass_gate(other, held.put(other, bytes(other.nbytes)), counted.read, since=proof)
    assert len(counted.names) == 2


def test_a_foreign_tensor_is_refused() -> None:
    schema, held = large("a"), Held()
    tree = held.put(schema, bytes(schema.nbytes))
    for changed in ({"z": np.zeros(1)}, {"a": np.zeros(3, "<f4")}):
        with pytest.raises(ContractBroken):
            list(changed_blobs(schema, tree, changed, held.read))
