"""Models in memory, made from raw bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from imagiq.merging import weighted_mean
from imagiq.merging.mean import Input
from imagiq.objects import Digest, Group, Schema, Tensor, Tree, digest_of


class Held:
    """Blobs by digest; notes which were read."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}
        self.reads: list[Digest] = []

    def put(self, schema: Schema, raw: bytes) -> Tree:
        names = []
        at = 0
        for size in schema.blob_sizes:
            names.append(digest_of(raw[at : at + size]))
            self.blobs[names[-1]] = raw[at : at + size]
            at += size
        assert at == len(raw)
        return Tree(schema.digest, tuple(names))

    def read(self, digest: Digest) -> bytes:
        self.reads.append(digest)
        return self.blobs[digest]

    def bytes_of(self, tree: Tree) -> bytes:
        return b"".join(self.blobs[digest] for digest in tree.blobs)

    def merge(self, schema: Schema, inputs: list[tuple[Tree, int]]) -> bytes:
        blobs = [bytes(blob) for blob in weighted_mean(schema, [Input(*one) for one in inputs], self.read)]
        assert [len(blob) for blob in blobs] == list(schema.blob_sizes)
        return b"".join(blobs)


def schema_with(*tensors: Tensor) -> Schema:
    return Schema(groups=(Group("weights", tensors),))


def one_tensor(dtype: str, elements: int, rule: str = "mean") -> Schema:
    return schema_with(Tensor("tensor", dtype, (elements,), rule))


@contextmanager
def cut_small(limit: int, large: int) -> Iterator[None]:
    """Cut models into tiny blobs, so that elements straddle them everywhere."""
    with patch("imagiq.objects.schema.BLOB_LIMIT", limit), patch("imagiq.objects.schema.LARGE_TENSOR", large):
        yield
