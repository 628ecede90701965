"""Objects: bytes whose name is their SHA-256, as values with one encoding.

Five kinds: blob (raw tensor bytes), schema, tree, charter, commit. ``spec/`` describes every byte.
"""

from imagiq.objects.canonical import JSON, decimal, encode, parse_decimal
from imagiq.objects.charter import Charter, Cut, Member, parse_charter
from imagiq.objects.commit import (
    COMMIT_LIMIT,
    Certificate,
    Commit,
    Draft,
    Parent,
    Recipe,
    Seen,
    UnverifiedCommit,
    parse_commit,
)
from imagiq.objects.digest import Digest, digest_of, parse_digest
from imagiq.objects.schema import BLOB_LIMIT, DTYPE_SIZES, FORMAT, Group, Schema, Tensor, parse_schema
from imagiq.objects.tree import TREE_LIMIT, Tree, check_tree, parse_tree

__all__ = [
    "BLOB_LIMIT",
    "COMMIT_LIMIT",
    "DTYPE_SIZES",
    "FORMAT",
    "JSON",
    "TREE_LIMIT",
    "Certificate",
    "Charter",
    "Commit",
    "Cut",
    "Digest",
    "Draft",
    "Group",
    "Member",
    "Parent",
    "Recipe",
    "Schema",
    "Seen",
    "Tensor",
    "Tree",
    "UnverifiedCommit",
    "check_tree",
    "decimal",
    "digest_of",
    "encode",
    "parse_charter",
    "parse_commit",
    "parse_decimal",
    "parse_digest",
    "parse_schema",
    "parse_tree",
]
