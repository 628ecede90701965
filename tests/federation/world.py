"""A tiny world without store or network: keys from names, charters, votes, commits, studies, and several readers of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from imagiq.federation import Named, Standing, StudyHistory, parse_study, recover_recipe, study_recipe, vote_recipe
from imagiq.history import Entry, History
from imagiq.keys import FeedKey, SiteKey, certify, recovery_signature, sign_commit
from imagiq.objects import Charter, Commit, Cut, Digest, Draft, Member, Parent, Recipe, digest_of


@cache
def site_key(name: str) -> SiteKey:
    return SiteKey(hashlib.sha256(f"site {name}".encode()).digest())


@cache
def feed_key(name: str) -> FeedKey:
    return FeedKey(hashlib.sha256(f"feed {name}".encode()).digest())


@cache
def tree(name: str) -> Digest:
    return digest_of(f"tree {name}".encode())


@cache
def member(name: str, key: str = "") -> Member:
    keys = site_key(key or name)
    return Member(name, keys.public, keys.exchange_public)


def charter(names: Iterable[str], *, voters: Iterable[str] | None = None, recovery: int = 0, **fields: Any) -> Charter:
    """Return version 1 of a charter."""
    names = sorted(names)
    offline = tuple(sorted(feed_key(f"recovery {number}").public for number in range(recovery)))
    chosen = tuple(sorted(names if voters is None else voters))
    return Charter(title="World", members=tuple(map(member, names)), voters=chosen, recovery=offline, **fields)


def successor(
    before: Charter,
    *,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    keys: Mapping[str, str] | None = None,
    cuts: Iterable[Commit | Cut] = (),
    cuts_again: bool = True,
    **fields: Any,
) -> Charter:
    """Return the version that follows; ``keys``: whose key each name has from now on; ``cuts`` come to those before."""
    names = sorted({*(m.name for m in before.members), *add} - set(remove))
    old = {m.name: m for m in before.members}
    new_keys = keys or {}
    members = tuple(old[n] if n in old and n not in new_keys else member(n, new_keys.get(n, "")) for n in names)
    voters = tuple(
        sorted(({*before.voters} | ({*add} if len(before.voters) == len(before.members) else set())) & {*names})
    )
    new = [c if isinstance(c, Cut) else Cut(c.feed, c.number, c.digest) for c in cuts]
    changed: dict[str, Any] = {
        "version": before.version + 1,
        "previous": before.digest,
        "federation": before.founding,
        "members": members,
        "voters": voters,
        "cuts": tuple(sorted({cut.feed: cut for cut in (*(before.cuts if cuts_again else ()), *new)}.values())),
    }
    plain = {"title": before.title, "recovery": before.recovery, "rules": before.rules}
    return Charter(**(plain | changed | fields))


class Feed:
    """One feed of a site, as its author writes it; ``fork`` gives another pen for the same key."""

    def __init__(self, world: World, site: str, name: str = "", *, number: int = 1, key: str = "") -> None:
        self.world = world
        self.site = site
        self.site_key = site_key(key or site)
        self.key = feed_key(name or f"{key or site} {number}")
        self.number = number
        self.last: Commit | None = None

    def fork(self, at: Commit | None = None) -> Feed:
        other = Feed(self.world, self.site)
        other.site_key, other.key, other.number = self.site_key, self.key, self.number
        other.last = at or self.last
        return other

    def commit(self, recipe: Recipe, *, under: Charter | None = None, **fields: Any) -> Commit:
        federation = self.world.founding.digest
        first = self.last is None
        certificate = certify(self.site_key, federation=federation, feed=self.key.public, number=self.number, ends=None)
        draft = Draft(
            federation=federation,
            charter=(under or self.world.founding).digest,
            feed=self.key.public,
            number=1 if self.last is None else self.last.number + 1,
            previous=None if self.last is None else self.last.digest,
            recipe=recipe,
            created="2025-01-01T00:00:00Z",
            certificate=certificate if first else None,
            **fields,
        )
        self.last = self.world.keep(sign_commit(draft, self.key))
        return self.last

    def note(self, text: str = "", *, parents: Sequence[Commit] = (), under: Charter | None = None) -> Commit:
        """Make a commit that says nothing in particular."""
        named = tuple(sorted(Parent("input", parent.digest) for parent in parents))
        return self.commit(Recipe("note", 1, {"text": text}), under=under, parents=named)

    def vote(self, proposal: Charter, ballot: int = 1, *, under: Charter | None = None) -> Commit:
        self.world.keep_charter(proposal)
        base = under or (proposal if proposal.previous is None else self.world.charters[proposal.previous])
        return self.commit(vote_recipe(proposal.digest, ballot), under=base)

    def recover(self, proposal: Charter, keys: Iterable[int]) -> Commit:
        self.world.keep_charter(proposal)
        names = [f"recovery {number}" for number in keys]
        signatures = {feed_key(n).public: recovery_signature(feed_key(n).seed, proposal.digest) for n in names}
        return self.commit(recover_recipe(proposal.digest, signatures))

    def train(self, study: Commit, base: Commit, *, cases: int | None = 10, **fields: Any) -> Commit:
        return self._step(Recipe("train", 1, {}), study, [Parent("base", base.digest)], cases=cases, **fields)

    def merge(self, study: Commit, inputs: Iterable[Commit], base: Commit | None = None, **fields: Any) -> Commit:
        chosen = sorted(inputs, key=lambda commit: commit.digest)
        parents = [Parent("input", commit.digest) for commit in chosen]
        parents += [] if base is None else [Parent("base", base.digest)]
        weights = fields.pop("weights", [commit.cases or 1 for commit in chosen])
        return self._step(Recipe("merge", 1, {"rule": "mean", "weights": weights}), study, parents, **fields)

    def _step(self, recipe: Recipe, study: Commit, parents: Sequence[Parent], **fields: Any) -> Commit:
        holds = tree(f"{self.site} {0 if self.last is None else self.last.number}")
        return self.commit(recipe, study=study.digest, parents=tuple(sorted(parents)), tree=holds, **fields)

    def study(self, strategy: str, sites: Sequence[str], steps: int = 3, **parameters: Any) -> Commit:
        recipe = study_recipe(
            title="Study",
            strategy=Named(strategy, 1, parameters),
            task=Named("logistic"),
            steps=steps,
            updates=1,
            sites=sites,
            seed=7,
        )
        return self.commit(recipe, tree=tree("start"))


class World:
    """All charters and commits that anybody has made."""

    def __init__(self, founding: Charter) -> None:
        self.founding = founding
        self.charters: dict[Digest, Charter] = {founding.digest: founding}
        self.commits: dict[Digest, Commit] = {}
        self.feeds = {m.name: Feed(self, m.name) for m in founding.members}

    def keep(self, commit: Commit) -> Commit:
        self.commits[commit.digest] = commit
        return commit

    def keep_charter(self, proposal: Charter) -> Charter:
        return self.charters.setdefault(proposal.digest, proposal)

    def found(self) -> World:
        """Let all founders vote for version 1."""
        for feed in self.feeds.values():
            feed.vote(self.founding)
        return self

    def enact(self, proposal: Charter, by: Iterable[str] | None = None) -> Charter:
        """Let voters vote for a successor, all in the first ballot."""
        base = self.charters[proposal.previous or proposal.digest]
        for name in base.voters if by is None else by:
            self.feeds[name].vote(proposal)
        return proposal

    def feed(self, site: str, name: str = "", *, number: int = 1, key: str = "") -> Feed:
        return Feed(self, site, name, number=number, key=key)


class Reader:
    """One who learns commits and charters, in whatever order they come, as soon as what they name is there."""

    def __init__(self, founding: Charter) -> None:
        self.history = History()
        self.standing = Standing(self.history, founding)
        self.changes: list[frozenset[Digest]] = []
        self.studies: dict[Digest, StudyHistory] = {}

    def learn(self, *news: Commit | Charter) -> Reader:
        """Learn news; a commit before what it names is a mistake of the test."""
        for item in news:
            if isinstance(item, Charter):
                self._rejudge(self.standing.learn_charter(item))
            elif item.digest not in self.history:
                entry = self.history.add(item)
                changed = self.standing.note(entry)
                self._index(entry)
                self._rejudge(changed)
        return self

    def learn_all(self, world: World) -> Reader:
        """Learn everything that is new, charters first."""
        return self.learn(*world.charters.values(), *world.commits.values())

    def _index(self, entry: Entry) -> None:
        study = parse_study(entry.commit)
        if study is not None:
            self.studies[study.digest] = StudyHistory(study, entry)
        elif entry.commit.study in self.studies:
            state = self.standing.state(entry.digest)
            name = self.standing.charters[entry.commit.charter].names_by_site_key.get(entry.site, "")
            self.studies[entry.commit.study].add(entry, name, is_input=state.is_input)

    def _rejudge(self, changed: frozenset[Digest]) -> None:
        self.changes.append(changed)
        for digest in changed:
            study = self.history[digest].commit.study
            if study in self.studies:
                self.studies[study].judge(digest, is_input=self.standing.state(digest).is_input)

    def states(self) -> dict[Digest, str]:
        return {entry.digest: self.standing.state(entry.digest).value for entry in self.history}

    def state(self, commit: Commit) -> str:
        return self.standing.state(commit.digest).value


def read(world: World) -> Reader:
    return Reader(world.founding).learn_all(world)


def admissible(known: Reader, commit: Commit) -> bool:
    """Tell whether everything that a commit names is there: what admission would ask."""
    if known.history.missing(commit) or not known.standing.in_force(commit.charter):
        return False
    return commit.study is None or commit.study in known.history
