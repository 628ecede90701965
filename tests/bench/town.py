"""A few founded sites with a bench each, for tests that need no simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imagiq.bench import Admitted, Author, Bench, Limits
from imagiq.clock import VirtualClock
from imagiq.federation import Named, study_recipe, vote_recipe
from imagiq.history import Entry
from imagiq.keys import FeedKey, SiteKey, sign_commit
from imagiq.merging import Input, blobs_of, schema_of, weighted_mean
from imagiq.objects import JSON, Charter, Commit, Digest, Draft, Member, Parent, Recipe, Schema, Tree
from imagiq.store import MemoryStore, Store

SHAPE = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.zeros(2, np.float32)}


def site_key(name: str) -> SiteKey:
    return SiteKey(name.encode().ljust(32, b"s")[:32])


def feed_key(name: str) -> FeedKey:
    return FeedKey(name.encode().ljust(32, b"f")[:32])


def founding_charter(names: Sequence[str], title: str = "town", audit_per_mille: int = 0, keeps: int = 0) -> Charter:
    keys = {name: site_key(name) for name in sorted(names)}
    members = tuple(Member(name, key.public, key.exchange_public) for name, key in keys.items())
    rules: dict[str, JSON] = {"simulated": True, "audit_per_mille": audit_per_mille}
    rules |= {"retention": {"models": keeps}} if keeps else {}
    return Charter(title=title, members=members, voters=tuple(sorted(names)), rules=rules)


def forked(first: Commit, name: str, recipe: Recipe, created: str, **more: Any) -> bytes:
    """Return another commit of the number of one by a site; ``more``: further fields of it."""
    draft = Draft(
        federation=first.federation,
        charter=first.charter,
        feed=first.feed,
        number=first.number,
        previous=first.previous,
        recipe=recipe,
        created=created,
        **more,
    )
    return sign_commit(draft, feed_key(name)).raw


def backup_of(store: Store) -> MemoryStore:
    """Copy a store, as a backup does."""
    assert isinstance(store, MemoryStore)
    return store.copy()


@dataclass
class Town:
    """Benches by name; all founders have voted and know it."""

    names: tuple[str, ...] = ("a", "b", "c")
    title: str = "town"
    stores: Mapping[str, Store] = field(default_factory=dict)
    limits: Limits | None = None
    audit_per_mille: int = 0
    keeps: int = 0
    clock: VirtualClock = field(default_factory=VirtualClock)

    def __post_init__(self) -> None:
        self.founding = founding_charter(self.names, self.title, self.audit_per_mille, self.keeps)
        self.stores = {name: self.stores.get(name) or MemoryStore() for name in self.names}
        self.benches = {name: self.open(name) for name in self.names}
        votes = [
            bench.commit(vote_recipe(self.founding.digest, 1), charter=self.founding.digest)
            for bench in self.benches.values()
        ]
        for bench in self.benches.values():
            bench.admit([vote.commit.raw for vote in votes], "founding")
        self.schema = schema_of(SHAPE)

    def open(self, name: str) -> Bench:
        """Open a site's store, as after a restart."""
        author = Author(site_key(name), feed_key(name))
        return Bench(self.stores[name], self.founding, clock=self.clock, author=author, limits=self.limits)

    def reopen(self, name: str) -> Bench:
        self.benches[name] = self.open(name)
        return self.benches[name]

    def model(self, name: str, value: float, schema: Schema | None = None) -> Tree:
        """Keep a model at a site in which every number is ``value``."""
        schema = schema or self.schema
        weights = {t.name: np.full(t.shape, value, t.dtype) for t in schema.tensors}
        return self.benches[name].models.keep(schema, blobs_of(schema, weights))

    def study(self, name: str = "a", strategy: str = "local", steps: int = 3) -> Entry:
        recipe = study_recipe(
            title=strategy,
            strategy=Named(strategy),
            task=Named("plain"),
            steps=steps,
            updates=1,
            sites=self.names,
            seed=1,
        )
        return self.benches[name].commit(recipe, tree=self.model(name, 0.0))

    def train(self, name: str, base: Digest, value: float, study: Digest, step: int = 1) -> Entry:
        recipe = Recipe("train", 1, {"step": step, "updates": 1, "progress": "0"}, 7)
        tree = self.model(name, value)
        return self.benches[name].commit(recipe, parents=[Parent("base", base)], study=study, tree=tree, cases=10)

    def merge(self, name: str, inputs: Mapping[Digest, int], study: Digest, *, tree: Tree | None = None) -> Entry:
        """Merge truly, or claim that ``tree`` is the merge."""
        bench = self.benches[name]
        ordered = sorted(inputs.items())
        if tree is None:
            trees = [bench.models.tree(bench.history[digest].commit.tree or Digest("")) for digest, _ in ordered]
            given = [Input(one, weight) for one, (_, weight) in zip(trees, ordered, strict=True)]
            tree = bench.models.keep(self.schema, weighted_mean(self.schema, given, bench.store.read))
        recipe = Recipe("merge", 1, {"rule": "mean", "weights": [weight for _, weight in ordered]})
        parents = [Parent("input", digest) for digest, _ in ordered]
        return bench.commit(recipe, parents=parents, study=study, tree=tree)

    def give(self, giver: str, taker: str, *entries: Entry) -> None:
        """Let a site admit commits and fetch all that their models need."""
        taking, giving = self.benches[taker], self.benches[giver]
        outcomes = taking.admit([entry.commit.raw for entry in entries], giver)
        assert all(isinstance(outcome, Admitted) for outcome in outcomes), outcomes
        for entry in entries:
            self.fetch(giver, taker, entry)
        assert giving is not taking

    def fetch(self, giver: str, taker: str, entry: Entry) -> bool:
        models = self.benches[taker].models
        while wants := models.lacking(entry.commit):
            came = [want.met_by(self.benches[giver].models.fetch(want.digest, want.limit)) for want in wants]
            if not any(came):
                return False
            models.receive(filter(None, came))
        return self.benches[taker].settle(entry.digest)
