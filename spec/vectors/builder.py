"""Builds small federations from fixed seeds, for vectors and tests: sites, feeds, commits, models, repository folders."""
# ruff: noqa: INP001 - beside a script

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from imagiq.federation import vote_recipe
from imagiq.keys import FeedKey, SiteKey, certify, sign_commit
from imagiq.objects import (
    JSON,
    Charter,
    Commit,
    Cut,
    Digest,
    Draft,
    Group,
    Member,
    Parent,
    Recipe,
    Schema,
    Tensor,
    Tree,
    digest_of,
)

__all__ = ["SCHEMA", "Federation", "Site", "founding", "successor"]

CREATED = "2026-01-01T00:00:00Z"
SCHEMA = Schema(groups=(Group("weights", (Tensor("w", "float64", (2,)), Tensor("steps", "int64", (), "max"))),))
"""The schema of the models in the vectors."""


class Site:
    """A site with its keys; each feed of it is named by a word."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = SiteKey(hashlib.sha256(f"site {name}".encode()).digest())

    def feed(self, word: str) -> FeedKey:
        """Return the key of one of the site's feeds."""
        return FeedKey(hashlib.sha256(f"feed {self.name} {word}".encode()).digest())

    @property
    def member(self) -> Member:
        """The site as it stands in a charter."""
        return Member(self.name, self.key.public, self.key.exchange_public)


def founding(sites: Sequence[Site], *, recovery: Sequence[FeedKey] = (), title: str = "vectors") -> Charter:
    """Return version 1 of a charter in which every site votes."""
    members = tuple(sorted(site.member for site in sites))
    return Charter(
        title=title,
        members=members,
        voters=tuple(member.name for member in members),
        recovery=tuple(sorted(key.public for key in recovery)),
    )


def successor(
    base: Charter, sites: Sequence[Site], *, cuts: Sequence[Cut] = (), rules: Mapping[str, JSON] | None = None
) -> Charter:
    """Return a version that follows ``base``."""
    members = tuple(sorted(site.member for site in sites))
    return Charter(
        title=base.title,
        version=base.version + 1,
        previous=base.digest,
        federation=base.founding,
        members=members,
        voters=tuple(member.name for member in members),
        recovery=base.recovery,
        cuts=tuple(sorted(cuts)),
        rules=dict(rules or {}),
    )


@dataclass
class Federation:
    """What all sites of a federation have written, in the order of writing."""

    charter: Charter
    objects: dict[Digest, bytes] = field(default_factory=dict)
    commits: list[Commit] = field(default_factory=list)
    charters: list[Charter] = field(default_factory=list)
    _last: dict[str, Commit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Keep the founding charter."""
        self.propose(self.charter)

    def propose(self, charter: Charter) -> Charter:
        """Keep a charter."""
        self.objects[charter.digest] = charter.raw
        self.charters.append(charter)
        return charter

    def model(self, first: float, second: float, steps: int, schema: Schema = SCHEMA) -> Digest:
        """Keep a model of :data:`SCHEMA`, or one of the same bytes; return its tree."""
        content = struct.pack("<ddq", first, second, steps)
        tree = Tree(schema.digest, (digest_of(content),))
        self.objects |= {schema.digest: schema.raw, tree.blobs[0]: content, tree.digest: tree.raw}
        return tree.digest

    def commit(  # noqa: PLR0913 - a commit has many fields
        self,
        site: Site,
        recipe: Recipe,
        *,
        under: Charter | None = None,
        word: str = "first",
        certificate: int = 1,
        after: Commit | None = None,
        parents: Sequence[tuple[str, Commit]] = (),
        tree: Digest | None = None,
        study: Commit | None = None,
        cases: int | None = None,
    ) -> Commit:
        """Write a commit.

        Args:
            site: Who writes.
            recipe: By what it is made.
            under: The charter that it names; the founding one unless told otherwise.
            word: Which of the site's feeds.
            certificate: The number of that feed's certificate.
            after: Its previous; the last of the feed unless told otherwise.
            parents: Roles and commits.
            tree: The model.
            study: The study.
            cases: How many cases.
        """
        key = site.feed(word)
        previous = after or self._last.get(key.public)
        first = previous is None
        draft = Draft(
            federation=self.charter.digest,
            charter=(under or self.charter).digest,
            feed=key.public,
            number=1 if previous is None else previous.number + 1,
            previous=None if previous is None else previous.digest,
            recipe=recipe,
            created=CREATED,
            parents=tuple(Parent(role, parent.digest) for role, parent in parents),
            tree=tree,
            study=None if study is None else study.digest,
            cases=cases,
            certificate=certify(
                site.key, federation=self.charter.digest, feed=key.public, number=certificate, ends=None
            )
            if first
            else None,
        )
        commit = sign_commit(draft, key)
        self._last[key.public] = commit
        self.commits.append(commit)
        return commit

    def vote(self, site: Site, proposal: Charter, ballot: int = 1, *, under: Charter | None = None) -> Commit:
        """Vote for a charter."""
        return self.commit(site, vote_recipe(proposal.digest, ballot), under=under)

    def found(self, sites: Sequence[Site]) -> None:
        """Let all founders vote for version 1."""
        for site in sites:
            self.vote(site, self.charter)

    def write(self, folder: Path) -> None:
        """Write a repository as repository.md says, without imagiq's own store."""
        for kind in ("objects", "commits", "sidecar", "secrets", "tmp"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        (folder / "format").write_bytes(b"imagiq repository 1\n")
        (folder / "journal").write_bytes(b"")
        files = [("objects", name, raw) for name, raw in self.objects.items()]
        files += [("commits", commit.digest, commit.raw) for commit in self.commits]
        for kind, name, raw in files:
            path = folder / kind / name[:2] / name[2:]
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(raw)
