"""Checks of bytes: each gives a proof or raises, and depends on the bytes alone.

Therefore what was checked once need not be checked again in the same process: the sites of a simulation share one
:class:`Checks`, and every site of a hospital has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from imagiq.errors import Corrupt, ImagiqError, Refused, Unsupported
from imagiq.federation import Step
from imagiq.keys import verify_certificate, verify_commit
from imagiq.objects import Commit, Digest, Schema, Tree, digest_of, parse_commit, parse_schema

if TYPE_CHECKING:
    from imagiq.merging import Gated

__all__ = ["Checks", "Verdict"]


class Verdict(Enum):
    """What a recomputation says of a merge."""

    VERIFIED = "verified"
    FALSE = "FALSE"


@dataclass(slots=True)
class Checks:
    """Verified commits, parsed schemas, passed gates and recomputed merges, each remembered by digest.

    Attributes:
        steps: The steps of studies that were made of verified commits; each follows from its commit alone.
    """

    steps: dict[Digest, Step] = field(default_factory=dict)
    _commits: dict[Digest, Commit] = field(default_factory=dict)
    _schemas: dict[Digest, Schema] = field(default_factory=dict)
    _gates: dict[Digest, Gated | ImagiqError] = field(default_factory=dict)
    _merges: dict[Digest, Verdict] = field(default_factory=dict)

    def commit(self, raw: bytes) -> Commit:
        """Return the commit in foreign bytes, proven to be canonical, signed and, at a feed's start, certified.

        Raises:
            BudgetSpent: too large.
            Corrupt: malformed.
            Unsupported: of another format.
            Untrusted: the signature or certificate does not hold.
        """
        digest = digest_of(raw)
        known = self._commits.get(digest)
        if known is not None:
            return known
        commit = verify_commit(parse_commit(raw))
        if commit.number == 1:
            verify_certificate(commit)
        self._commits[digest] = commit
        return commit

    def schema(self, raw: bytes) -> Schema:
        """Return the schema in foreign bytes; see :func:`imagiq.objects.parse_schema`."""
        digest = digest_of(raw)
        if digest not in self._schemas:
            self._schemas[digest] = parse_schema(raw)
        return self._schemas[digest]

    def gate(self, schema: Schema, tree: Tree, read: Callable[[Digest], bytes], *, since: Tree | None = None) -> Gated:
        """Return the proof that a model may be an input.

        Args:
            schema: What it must look like.
            tree: The model.
            read: Gives the bytes of a blob.
            since: The model that it was made from; if that has passed, only what differs is looked at.

        Raises:
            Corrupt: a bool in it is neither 0 nor 1, or a blob has the wrong length.
            Refused: it is not finite, or has another form than its schema says.
        """
        from imagiq.merging import pass_gate  # noqa: PLC0415 - numpy is loaded by who needs it

        found = self._gates.get(tree.digest)
        if found is None:
            try:
                before = None if since is None else self._gates.get(since.digest)
                found = pass_gate(schema, tree, read, since=None if isinstance(before, ImagiqError) else before)
            except (Corrupt, Refused) as error:
                found = error
            self._gates[tree.digest] = found
        if isinstance(found, ImagiqError):
            raise found
        return found

    def merge(
        self, commit: Commit, tree: Tree, schema: Schema, inputs: Sequence[Tree], read: Callable[[Digest], bytes]
    ) -> Verdict:
        """Recompute a merge from its inputs, which are held, in the order of its parents.

        Raises:
            Corrupt: a blob that is held is damaged. Nobody is called a liar for the fault of one's own disk.
        """
        verdict = self._merges.get(commit.digest)
        if verdict is None:
            verdict = Verdict.VERIFIED
            if not _equals(commit, tree, schema, inputs, read):
                _check_intact(inputs, read)
                verdict = Verdict.FALSE
            self._merges[commit.digest] = verdict
        return verdict


def _equals(
    commit: Commit, tree: Tree, schema: Schema, inputs: Sequence[Tree], read: Callable[[Digest], bytes]
) -> bool:
    from imagiq.merging import Input, weighted_mean  # noqa: PLC0415 - numpy is loaded by who needs it

    weights = commit.recipe.parameters.get("weights")
    if not isinstance(weights, list | tuple) or len(weights) != len(inputs):
        return False
    if not all(isinstance(weight, int) and not isinstance(weight, bool) for weight in weights):
        return False
    weighted = [Input(given, int(str(weight))) for given, weight in zip(inputs, weights, strict=True)]
    try:
        right = [digest_of(blob) for blob in weighted_mean(schema, weighted, read)]
    except (Corrupt, Refused, Unsupported):
        return False
    return tuple(right) == tree.blobs


def _check_intact(trees: Sequence[Tree], read: Callable[[Digest], bytes]) -> None:
    for blob in (blob for tree in trees for blob in tree.blobs):
        if digest_of(read(blob)) != blob:
            raise Corrupt(
                "object-damaged", f"Blob {blob[:12]} is damaged here.", "Run `imagiq fsck --repair`, and sync."
            )
