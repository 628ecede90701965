"""Schemas, the cutting of tensors into blobs, and trees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.errors import BudgetSpent, Corrupt, Misuse, Unsupported
from imagiq.objects import (
    BLOB_LIMIT,
    TREE_LIMIT,
    Group,
    Schema,
    Tensor,
    Tree,
    check_tree,
    digest_of,
    encode,
    parse_schema,
    parse_tree,
)
from spec.vectors.damage import bad_schemas, changed
from tests.objects.strategies import digests, groups, objects, schemas, values

LARGE = 64 * 1024


def cuts(sizes: Sequence[int]) -> set[int]:
    """Where blobs begin or end, in bytes from the model's start."""
    return set(accumulate(sizes, initial=0))


def naive_cuts(parts: Sequence[Group]) -> Iterator[int]:
    """The rules of the specification, byte by byte in mind: where a new blob starts."""
    at = start = 0
    yield 0
    for group in parts:
        start = at
        yield at
        for tensor in group.tensors:
            if tensor.nbytes >= LARGE:
                yield at
                yield from range(at, at + tensor.nbytes, BLOB_LIMIT)
                at += tensor.nbytes
                start = at
                yield at
            else:
                at += tensor.nbytes
                while at - start > BLOB_LIMIT:
                    start += BLOB_LIMIT
                    yield start
    yield at


@given(groups())
def test_cutting_covers_every_byte_once_and_keeps_the_limits(parts: tuple[Group, ...]) -> None:
    schema = Schema(groups=parts)
    assert sum(schema.blob_sizes) == schema.nbytes == sum(t.nbytes for group in parts for t in group.tensors)
    assert all(0 < size <= BLOB_LIMIT for size in schema.blob_sizes)


@given(groups())
def test_cutting_follows_the_rules(parts: tuple[Group, ...]) -> None:
    assert cuts(Schema(groups=parts).blob_sizes) == set(naive_cuts(parts))


@given(groups(), st.data())
def test_a_large_tensor_keeps_its_blobs_whatever_stands_beside_it(
    parts: tuple[Group, ...], data: st.DataObject
) -> None:
    """So what did not change between two models, even of other schemas, is the same blob."""
    large = [tensor for group in parts for tensor in group.tensors if tensor.nbytes >= LARGE]
    if not large:
        return
    kept = data.draw(st.sampled_from(large))
    schema = Schema(groups=parts)
    start = schema.nbytes - sum(t.nbytes for t in schema.tensors[schema.tensors.index(kept) :])
    inside = {cut - start for cut in cuts(schema.blob_sizes) if start <= cut <= start + kept.nbytes}
    assert inside == cuts(Schema(groups=(Group("alone", (kept,)),)).blob_sizes)


@given(schemas)
def test_reading_and_writing_again_keeps_the_digest(schema: Schema) -> None:
    again = parse_schema(schema.raw)
    assert (again, again.digest, again.groups) == (schema, schema.digest, schema.groups)
    assert Schema(
        groups=again.groups,
        architecture=again.architecture,
        channels=again.channels,
        labels=again.labels,
        preprocessing=again.preprocessing,
    ).digest == (schema.digest)


@given(schemas, values)
def test_unknown_fields_are_carried_and_count(schema: Schema, value: object) -> None:
    raw = changed(schema.raw, {"later": value, "groups": [{"name": "g", "tensors": [], "more": value}]})
    read = parse_schema(raw)
    assert read.raw == raw
    assert read.digest == digest_of(raw)
    assert read != Schema(groups=read.groups)


@pytest.mark.parametrize(("why", "raw"), list(bad_schemas()), ids=lambda given: given if isinstance(given, str) else "")
def test_a_faulty_schema_is_refused(why: str, raw: bytes) -> None:
    with pytest.raises((Corrupt, Unsupported)):
        parse_schema(raw)


@given(schemas, st.data())
def test_a_damaged_schema_is_refused_or_another_one(schema: Schema, data: st.DataObject) -> None:
    raw = bytearray(schema.raw)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(Corrupt, Unsupported):
        assert parse_schema(bytes(raw)).digest != schema.digest


def test_a_schema_that_nobody_could_read_is_not_made() -> None:
    tensor = Tensor("t", "int8", (1,))
    for parts in (
        (Group("n" * 513, ()),),
        (Group("a", (tensor,)), Group("b", (tensor,))),
        (Group("a", (Tensor("t", "int8", (2**41 + 1,)),)),),
        (Group("a", (Tensor("t", "int8", (2**40,)), Tensor("u", "int8", (2**40 + 1,)))),),
        tuple(Group(str(number), ()) for number in range(1025)),
    ):
        with pytest.raises(Misuse):
            Schema(groups=parts)
    with pytest.raises(Misuse):
        Schema(groups=(), labels={"tumour": -1})
    with pytest.raises(Misuse):
        Schema(groups=(), architecture={"x": "y" * 2**22})


def test_a_schema_larger_than_4_mib_is_not_looked_at() -> None:
    with pytest.raises(BudgetSpent):
        parse_schema(b"{" * (4 * 2**20 + 1))


@given(digests, st.lists(digests, max_size=5))
def test_a_tree_reads_back(schema: str, blobs: list[str]) -> None:
    raw = bytes.fromhex(schema + "".join(blobs))
    tree = parse_tree(raw)
    assert (tree.schema, tree.blobs, tree.raw, tree.digest) == (schema, tuple(blobs), raw, digest_of(raw))
    for damaged in (raw[:-1], raw + b"x", b""):
        with pytest.raises(Corrupt):
            parse_tree(damaged)


def test_a_tree_has_a_limit_that_every_schema_keeps() -> None:
    with pytest.raises(Corrupt):
        parse_tree(bytes(TREE_LIMIT + 32))


@given(schemas, digests)
def test_a_tree_fits_only_its_schema(schema: Schema, digest: str) -> None:
    blobs = tuple(digest_of(str(number).encode()) for number in range(len(schema.blob_sizes)))
    check_tree(Tree(schema.digest, blobs), schema)
    for tree in (Tree(schema.digest, (*blobs, digest_of(b""))), Tree(digest_of(b"another"), blobs)):
        with pytest.raises(Corrupt):
            check_tree(tree, schema)


@given(objects)
def test_equal_means_equal_bytes(architecture: dict[str, object]) -> None:
    one = parse_schema(changed(Schema(groups=()).raw, {"architecture": architecture}))
    other = parse_schema(changed(one.raw, {"zzz": 1}))
    assert one != other
    assert one == parse_schema(one.raw)
    assert hash(one) == hash(parse_schema(one.raw))
    assert encode({}) == b"{}"
