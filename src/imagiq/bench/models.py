"""Models at rest at a site: which blobs a commit's model still lacks, and what the gate says once it lacks none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagiq.bench.checks import Checks
from imagiq.bench.making import Making
from imagiq.bench.schemas import schemas_differ
from imagiq.errors import Corrupt, ImagiqError, NotFound, Refused, Unsupported
from imagiq.objects import (
    BLOB_LIMIT,
    JSON,
    TREE_LIMIT,
    Commit,
    Digest,
    Schema,
    Tree,
    check_tree,
    digest_of,
    parse_digest,
    parse_tree,
)
from imagiq.objects.schema import SCHEMA_LIMIT
from imagiq.store import Content, Store

if TYPE_CHECKING:
    from imagiq.merging.arrays import Array

__all__ = ["Models", "Want", "Whole"]


@dataclass(frozen=True, slots=True)
class Want:
    """An object that is lacking, and the most bytes that it may have."""

    digest: Digest
    limit: int

    def met_by(self, raw: bytes | None) -> Whole | None:
        """Return what came if it is what it is called, and no larger than it may be; None: it counts as missing."""
        is_whole = raw is not None and len(raw) <= self.limit and digest_of(raw) == self.digest
        return Whole(self.digest, raw) if raw is not None and is_whole else None


@dataclass(frozen=True, slots=True)
class Whole:
    """An object that is proven to be what it is called; :meth:`Want.met_by` makes it, and nobody else."""

    digest: Digest
    raw: bytes


class Models:
    """The models of one site's store.

    A commit's model is complete when its tree, schema and blobs are here, verified and past the gate. A model that can
    never be complete, or that the gate refuses, is set aside with its reason, not silently lost. One that was let go is
    forgotten: only its tree and schema are sure to be here, and it is complete again once it was fetched again.

    Args:
        store: Where objects rest; its journal remembers the verdicts.
        checks: Where checks of equal bytes are shared.
        making: The models that this process makes in the store.
        largest_bytes: Models above this are set aside.
        read_only: Verdicts are not remembered beyond this object.
    """

    def __init__(
        self,
        store: Store,
        checks: Checks,
        making: Making | None = None,
        *,
        largest_bytes: int,
        read_only: bool = False,
    ) -> None:
        self._store = store
        self._checks = checks
        self._read_only = read_only
        self._largest_bytes = largest_bytes
        self._trees: dict[Digest, Tree] = {}
        self.complete: set[Digest] = set()
        self.set_aside: dict[Digest, str] = {}
        self.forgotten: set[Digest] = set()
        """The commits whose models were let go."""
        self.half_forgotten: set[Digest] = set()
        """Those of them of which some blobs may still be here, since whoever removed them was stopped."""
        self.making = making or Making()

    def anew(self) -> Models:
        """Return the models of the same store, of which nothing is known yet."""
        return Models(
            self._store, self._checks, self.making, largest_bytes=self._largest_bytes, read_only=self._read_only
        )

    def recall(self, records: Iterable[Mapping[str, JSON]]) -> None:
        """Take up the verdicts of an earlier run from the journal."""
        for record in records:
            if record.get("kind") == "forgot":
                self.half_forgotten.clear()
            if record.get("kind") != "verdict":
                continue
            commit = parse_digest(record.get("commit"), "A journal's commit")
            verdict = record.get("verdict")
            if verdict == "forgotten":
                self._forgets(commit)
                continue
            self.complete.discard(commit)
            self.set_aside.pop(commit, None)
            self._recovers(commit)
            if verdict == "complete":
                self.complete.add(commit)
            elif verdict == "aside":
                self.set_aside[commit] = str(record.get("why"))

    def _forgets(self, commit: Digest) -> None:
        self.complete.discard(commit)
        self.forgotten.add(commit)
        self.half_forgotten.add(commit)

    def _recovers(self, commit: Digest) -> None:
        self.forgotten.discard(commit)
        self.half_forgotten.discard(commit)

    def tree(self, digest: Digest) -> Tree:
        """Return a tree that is held.

        Raises:
            NotFound: it is not.
        """
        if digest not in self._trees:
            self._trees[digest] = parse_tree(self._store.read(digest))
        return self._trees[digest]

    def schema(self, digest: Digest) -> Schema:
        """Return a schema that is held.

        Raises:
            NotFound: it is not.
        """
        return self._checks.schema(self._store.read(digest))

    def holds(self, tree: Digest) -> bool:
        """Tell whether a tree is held with its schema and all its blobs."""
        if not self._store.has(tree):
            return False
        parsed = self.tree(tree)
        return self._store.has(parsed.schema) and all(map(self._store.has, parsed.blobs))

    def lacking(self, commit: Commit) -> tuple[Want, ...]:
        """Return what has to be fetched next for a commit's model; nothing when all is here or it is settled.

        A tree comes first, then its schema, then its blobs: what each holds tells how much may be asked next.
        """
        if commit.tree is None or commit.digest in self.complete or commit.digest in self.set_aside:
            return ()
        if not self._store.has(commit.tree):
            return (Want(commit.tree, TREE_LIMIT),)
        try:
            tree = self.tree(commit.tree)
            if not self._store.has(tree.schema):
                return (Want(tree.schema, SCHEMA_LIMIT),)
            schema = self.schema(tree.schema)
            check_tree(tree, schema)
        except (Corrupt, Unsupported) as error:
            self.put_aside(commit, error)
            return ()
        if schema.nbytes > self._largest_bytes:
            self.put_aside(
                commit, Refused("model-size", "The model is larger than this site takes.", "Raise its limit.")
            )
            return ()
        sizes = dict(zip(tree.blobs, schema.blob_sizes, strict=True))
        return tuple(Want(blob, size) for blob, size in sizes.items() if not self._store.has(blob))

    def lacks_only_blobs(self, commit: Commit) -> bool:
        """Tell whether a model's tree and schema are here, so that it is known how much it lacks."""
        has = self._store.has
        return commit.tree is not None and has(commit.tree) and has(self.tree(commit.tree).schema)

    def receive(self, found: Iterable[Whole]) -> None:
        """Keep what came whole of the wanted objects."""
        self._store.add(whole.raw for whole in found)

    def settle(self, commit: Commit, like: Tree | None) -> bool:
        """Pass a commit's model through the gate if nothing of it is lacking; tell whether it is complete.

        Args:
            commit: An admitted commit.
            like: The first model of its study, whose schema it must have; None outside a study.
        """
        if commit.tree is None or self.lacking(commit) or commit.digest in self.set_aside:
            return False
        if commit.digest in self.complete:
            return True
        tree = self.tree(commit.tree)
        try:
            schema = self.schema(tree.schema)
            self._check_sizes(tree, schema)
            if like is not None and like.schema != tree.schema:
                raise Refused(
                    "gate-schema", _how_schemas_differ(self.schema(like.schema), schema), "Use the study's own schema."
                )
            self._checks.gate(schema, tree, self._store.read)
        except (Refused, Corrupt) as error:
            self.put_aside(commit, error)
            return False
        self._recovers(commit.digest)
        self.making.is_committed(commit.tree)
        self.complete.add(commit.digest)
        self._write({"kind": "verdict", "commit": commit.digest, "verdict": "complete"})
        return True

    def _check_sizes(self, tree: Tree, schema: Schema) -> None:
        for blob, size in zip(tree.blobs, schema.blob_sizes, strict=True):
            if self._store.size(blob) != size:
                raise Corrupt(
                    "blob-size", f"Blob {blob[:12]} has another size than its schema says.", "Tell its author."
                )

    def put_aside(self, commit: Commit, error: ImagiqError) -> None:
        """Never use a commit's model as an input here, and remember why."""
        self.complete.discard(commit.digest)
        self.set_aside[commit.digest] = f"{error.code}: {error.what}"
        self._write(
            {"kind": "verdict", "commit": commit.digest, "verdict": "aside", "why": self.set_aside[commit.digest]}
        )

    def forget(self, digest: Digest) -> None:
        """Take back a verdict: the model's blobs turned out to be damaged or gone."""
        self.complete.discard(digest)
        self.set_aside.pop(digest, None)
        self._recovers(digest)
        self._write({"kind": "verdict", "commit": digest, "verdict": "gone"})

    def look_again(self, commit: Commit) -> None:
        """Read a complete model again, since work with it has failed: what is damaged or gone of it is lacking from now on.

        Raises:
            Unreachable: the disk failed.
        """
        if commit.tree is not None and commit.digest in self.complete and not self._is_intact(commit.tree):
            self.forget(commit.digest)

    def _is_intact(self, tree: Digest) -> bool:
        """Tell whether all of a model is here, and take away what of it is damaged."""
        self._trees.pop(tree, None)
        if not self._is_object_intact(tree):
            return False
        parsed = self.tree(tree)
        damaged = [name for name in (parsed.schema, *parsed.blobs) if not self._is_object_intact(name)]
        return not damaged

    def _is_object_intact(self, name: Digest) -> bool:
        try:
            if digest_of(self._store.read(name)) == name:
                return True
        except NotFound:
            return False
        self._store.remove([name])
        return False

    def say_forgotten(self, commits: Iterable[Digest]) -> None:
        """Remember durably that models are forgotten, before or after their blobs are removed.

        Raises:
            Unreachable: the disk does not take it. Here it counts all the same.
        """
        said: list[Mapping[str, JSON]] = []
        for digest in commits:
            self._forgets(digest)
            said.append({"kind": "verdict", "commit": digest, "verdict": "forgotten"})
        if said:
            self._store.journal.append(said, durable=True)

    def note_gone(self, commits: Iterable[Digest], *, all_are: bool) -> None:
        """Take into account that the blobs of models that are forgotten are removed. ``all_are``: of all of them."""
        self.half_forgotten.difference_update(commits)
        if all_are:
            self._write({"kind": "forgot"})

    def ask_back(self, digest: Digest) -> None:
        """Take into account that a model which was forgotten is wanted again."""
        self.forgotten.discard(digest)

    def _write(self, record: Mapping[str, JSON]) -> None:
        if not self._read_only:
            self._store.journal.append([record], durable=False)

    def keep(self, schema: Schema, blobs: Iterable[Content]) -> Tree:
        """Write a model's blobs, streaming, then its schema and tree; all are durable when this returns."""
        with self.making.going_on() as made:
            tree = Tree(schema.digest, self._store.add(blobs))
            check_tree(tree, schema)
            self._store.add([schema.raw, tree.raw])
            made[tree.digest] = tree
        return tree

    def keep_changed(self, base: Tree, changed: Mapping[str, Array]) -> Tree:
        """Keep a model of which only some tensors have changed, as :meth:`keep` does, at the cost of these tensors.

        Args:
            base: The model before; it is held.
            changed: The new values of the tensors that have changed.

        Raises:
            ContractBroken: a tensor is not of the model's schema, or has another shape or dtype.
            NotFound: the model before is not held.
            Refused: the model is not finite.
        """
        from imagiq.merging import changed_blobs  # noqa: PLC0415 - numpy is loaded by who needs it

        schema = self.schema(base.schema)
        blobs = changed_blobs(schema, base, changed, self._store.read)
        places = []

        def contents() -> Iterator[Content]:
            for place, content in blobs:
                places.append(place)
                yield content

        with self.making.going_on() as made:
            names = self._store.add(contents())
            new = dict(zip(places, names, strict=True))
            tree = Tree(schema.digest, tuple(new.get(place, blob) for place, blob in enumerate(base.blobs)))
            self._store.add([tree.raw])
            made[tree.digest] = tree
        self._checks.gate(schema, tree, self._store.read, since=base)
        return tree

    def fetch(self, digest: Digest, limit: int = BLOB_LIMIT) -> bytes | None:
        """Return an object's bytes for another site; None if it is not here or larger than asked."""
        try:
            return self._store.read(digest) if self._store.size(digest) <= limit else None
        except NotFound:
            return None


def _how_schemas_differ(wanted: Schema, given: Schema) -> str:
    found = next(schemas_differ(wanted, given), None)
    if found is not None:
        return f"The study's first model and this one have different schemas. {found}"
    return "The model's schema has other fields than that of the study's first model."
