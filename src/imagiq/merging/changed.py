"""Models of which only some tensors have changed: what is as it was is neither read nor hashed again."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping

from imagiq.errors import ContractBroken
from imagiq.merging.arrays import Array, flat_bytes
from imagiq.merging.layout import Read, offsets, read_blob
from imagiq.objects import Schema, Tree

__all__ = ["changed_blobs", "tensors_that_differ"]


def changed_blobs(
    schema: Schema, tree: Tree, changed: Mapping[str, Array], read: Read
) -> Iterator[tuple[int, bytes | memoryview]]:
    """Yield the blobs in which changed tensors lie: each one's place in the tree, and its new content.

    Args:
        schema: What the model looks like.
        tree: The model before.
        changed: The new values of the tensors that have changed.
        read: Gives the bytes of a blob; only those are read in which something else lies, too.

    Raises:
        ContractBroken: a tensor is not of this schema, or has another shape or dtype.
        Corrupt: a blob that is held has the wrong length.
    """
    starts = offsets([tensor.nbytes for tensor in schema.tensors])
    ends_of_blobs = offsets(schema.blob_sizes)
    if foreign := changed.keys() - {tensor.name for tensor in schema.tensors}:
        raise ContractBroken(
            "weights-names", f"Tensor '{min(foreign)}' is not of the schema.", "Give tensors of the schema."
        )
    pieces: dict[int, list[tuple[int, memoryview]]] = {}
    for tensor, start in zip(schema.tensors, starts, strict=False):
        if tensor.name not in changed:
            continue
        raw, at = flat_bytes(tensor, changed[tensor.name]), start
        while raw.nbytes:
            place = bisect_right(ends_of_blobs, at) - 1
            piece = raw[: ends_of_blobs[place + 1] - at]
            pieces.setdefault(place, []).append((at - ends_of_blobs[place], piece))
            raw, at = raw[piece.nbytes :], at + piece.nbytes
    for place, parts in sorted(pieces.items()):
        if parts[0][1].nbytes == schema.blob_sizes[place]:
            yield place, parts[0][1]
            continue
        content = bytearray(read_blob(schema, tree, place, read))
        for at, piece in parts:
            content[at : at + piece.nbytes] = piece
        yield place, bytes(content)


def tensors_that_differ(schema: Schema, one: Tree, other: Tree) -> frozenset[int]:
    """Return the places in the schema of the tensors that lie in blobs which two models do not share."""
    starts = offsets([tensor.nbytes for tensor in schema.tensors])
    ends = offsets(schema.blob_sizes)
    found: set[int] = set()
    for place, (mine, theirs) in enumerate(zip(one.blobs, other.blobs, strict=True)):
        if mine != theirs:
            first = bisect_right(starts, ends[place]) - 1
            found.update(n for n in range(first, len(schema.tensors)) if starts[n] < ends[place + 1])
    return frozenset(found)
