"""Reading models for people and files: every object is hashed again, so that a damaged disk never passes for a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from imagiq.bench.bench import Bench
from imagiq.errors import Corrupt, NotFound
from imagiq.history import Entry
from imagiq.objects import Digest, Schema, Tree, check_tree, digest_of, parse_schema, parse_tree
from imagiq.store import Store

__all__ = ["HeldModel", "Progress", "checked_read", "held_model", "silent"]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""


def silent(what: str, done: int, of: int) -> None:
    """Show no progress."""


@dataclass(frozen=True, slots=True)
class HeldModel:
    """A model of which everything is here."""

    schema: Schema
    tree: Tree


def checked_read(store: Store) -> Callable[[Digest], bytes]:
    """Return a way of reading objects that hashes each.

    The returned function raises Corrupt for an object that does not have its name any more.
    """

    def read(digest: Digest) -> bytes:
        raw = store.read(digest)
        if digest_of(raw) != digest:
            raise Corrupt(
                "object-damaged",
                f"Object {digest[:12]} is damaged on this disk.",
                "Check the disk, run `imagiq fsck --repair`, then sync to get it again.",
            )
        return raw

    return read


def held_model(bench: Bench, entry: Entry) -> HeldModel:
    """Return the model of a commit.

    Raises:
        NotFound: the commit holds none, or not all of it is here.
        Corrupt: its tree or schema is damaged.
    """
    name = entry.commit.tree
    if name is None:
        raise NotFound(
            "model-none",
            f"Commit {entry.digest[:12]} ({entry.commit.recipe.name}) holds no model.",
            "Name a commit that does: `imagiq log` shows them as train, merge, study or import.",
        )
    read = checked_read(bench.store)
    if bench.store.has(name):
        tree = parse_tree(read(name))
        if bench.store.has(tree.schema) and all(map(bench.store.has, tree.blobs)):
            schema = parse_schema(read(tree.schema))
            check_tree(tree, schema)
            return HeldModel(schema, tree)
    if entry.digest in bench.models.forgotten:
        raise NotFound(
            "model-forgotten",
            f"The model of commit {entry.digest[:12]} by {bench.standing.name_of(entry)} was forgotten here, as the charter's "
            "retention says.",
            "Give it a name with `imagiq tag`, then sync: it is fetched from whoever still holds it, and kept.",
        )
    raise NotFound(
        "model-not-held",
        f"The model of commit {entry.digest[:12]} is not here, or not all of it.",
        "Give it a name with `imagiq tag`, then sync, to fetch it; or open the repository of a site that holds it.",
    )
