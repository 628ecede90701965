"""Real repositories on disk: three sites, one study, two trained models, a merge of them that everybody has."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from imagiq.bench import Author, Bench
from imagiq.bench.repository import open_repository
from imagiq.clock import VirtualClock
from imagiq.history import Entry
from imagiq.objects import Digest, Parent, Recipe
from imagiq.store import FolderStore
from tests.bench.town import Town, feed_key, forked, site_key

NAMES = ("a", "b", "c")


@dataclass(frozen=True)
class Repositories:
    """Three sites' repositories, closed, and what is in them.

    Attributes:
        root: Below it a folder for each site.
        study: The commit that opened the study "local", by a.
        trained: By a, then by b.
        merge: Of these two, by a; b has attested it.
        attest: By b.
    """

    root: Path
    study: Digest
    trained: tuple[Digest, Digest]
    merge: Digest
    attest: Digest

    def __getitem__(self, name: str) -> Path:
        return self.root / name

    def copied_to(self, root: Path) -> Repositories:
        """Return a copy that a test may damage."""
        shutil.copytree(self.root, root, dirs_exist_ok=True)
        return Repositories(root, self.study, self.trained, self.merge, self.attest)

    def object(self, name: str, digest: Digest) -> Path:
        """Return the file of an object of a site."""
        return self[name] / ".imagiq" / "objects" / digest[:2] / digest[2:]

    def commit(self, name: str, digest: Digest) -> Path:
        """Return the file of a commit of a site."""
        return self[name] / ".imagiq" / "commits" / digest[:2] / digest[2:]

    def writable(self, name: str) -> Bench:
        """Open a site's repository for writing; the test closes it."""
        return open_repository(self[name], read_only=False, clock=VirtualClock())

    def tree_of(self, name: str, commit: Digest) -> tuple[Digest, tuple[Digest, ...]]:
        """Return a commit's tree and its blobs."""
        bench = open_repository(self[name])
        tree = bench.history[commit].commit.tree
        assert tree is not None
        return tree, bench.models.tree(tree).blobs


def town_on_disk(root: Path) -> Town:
    """Found three sites, each with a repository below ``root``; the test closes the stores."""
    stores = {}
    for name in NAMES:
        (root / name).mkdir(parents=True)
        stores[name] = FolderStore.create(root / name / ".imagiq")
        stores[name].secret_write("site", site_key(name).seed)
        stores[name].secret_write("feed", feed_key(name).seed)
    return Town(names=NAMES, stores=stores)


def close(town: Town) -> None:
    for store in town.stores.values():
        store.close()


def make(root: Path) -> Repositories:
    """Make the repositories."""
    town = town_on_disk(root)
    study = town.study("a")
    town.give("a", "b", study)
    first = town.train("a", study.digest, 1.0, study.digest)
    second = town.train("b", study.digest, 3.0, study.digest)
    town.give("a", "b", first)
    town.give("b", "a", second)
    merge = town.merge("a", {first.digest: 10, second.digest: 30}, study.digest)
    town.give("a", "b", merge)
    attest = town.benches["b"].commit(
        Recipe("attest", 1, {"verdict": "verified"}), parents=[Parent("input", merge.digest)], study=study.digest
    )
    town.give("b", "a", attest)
    town.benches["c"].admit([e.commit.raw for e in (study, first, second, merge, attest)], "everybody")
    close(town)
    return Repositories(root, study.digest, (first.digest, second.digest), merge.digest, attest.digest)


def author(name: str) -> Author:
    return Author(site_key(name), feed_key(name))


def trained_again(sites: Repositories) -> tuple[Entry, bytes]:
    """Let b train again, beside its first training: two commits of one number."""
    entry = open_repository(sites["c"]).history[sites.trained[1]]
    recipe = Recipe("train", 1, {"step": 1, "updates": 1, "progress": "0"}, 8)
    base, first = (Parent("base", sites.study),), entry.commit
    return entry, forked(first, "b", recipe, "another", study=first.study, parents=base, tree=first.tree)
