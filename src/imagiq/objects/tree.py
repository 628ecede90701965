"""A tree: one state of a model, as the digest of its schema and the digests of its blobs.

Its bytes are these digests, 32 bytes each, one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from imagiq.errors import Corrupt
from imagiq.objects.digest import Digest, digest_of
from imagiq.objects.schema import BLOB_LIMIT, TREE_BYTES_LIMIT, Schema

__all__ = ["TREE_LIMIT", "Tree", "check_tree", "parse_tree"]

DIGEST_BYTES = 32
TREE_LIMIT = DIGEST_BYTES * (1 + TREE_BYTES_LIMIT // BLOB_LIMIT + 200_000)


@dataclass(frozen=True)
class Tree:
    """One model state.

    Attributes:
        schema: The digest of its schema.
        blobs: The digests of its blobs, as many as the schema cuts and in the schema's order.
    """

    schema: Digest
    blobs: tuple[Digest, ...]

    @cached_property
    def raw(self) -> bytes:
        """The tree's bytes."""
        return bytes.fromhex(self.schema + "".join(self.blobs))

    @cached_property
    def digest(self) -> Digest:
        """The tree's name."""
        return digest_of(self.raw)


def parse_tree(raw: bytes) -> Tree:
    """Read a foreign tree.

    Raises:
        Corrupt: its length is not that of one or more digests, or too large.
    """
    if not raw or len(raw) % DIGEST_BYTES or len(raw) > TREE_LIMIT:
        raise Corrupt("tree-form", f"A tree of {len(raw)} bytes is no list of digests.", "Get it again.")
    names = [Digest(raw[at : at + DIGEST_BYTES].hex()) for at in range(0, len(raw), DIGEST_BYTES)]
    return Tree(names[0], tuple(names[1:]))


def check_tree(tree: Tree, schema: Schema) -> None:
    """Check that a tree has as many blobs as its schema cuts.

    Raises:
        Corrupt: it has not, or names another schema.
    """
    if tree.schema != schema.digest or len(tree.blobs) != len(schema.blob_sizes):
        raise Corrupt(
            "tree-schema", "A tree does not fit its schema.", "Get it again; if it stays so, tell its author."
        )
