"""Makes long histories: what sites write that follow each strategy, without training anything.

The trees that the commits name do not exist: what is measured with these histories looks at commits only.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from benchmarks.budgets.federation import CREATED, Founded
from imagiq.bench import Author
from imagiq.federation import Named, study_recipe
from imagiq.keys import sign_commit
from imagiq.objects import Commit, Digest, Draft, Parent, Recipe, Seen, digest_of

__all__ = ["PATTERNS", "Feeds", "commits_of"]

SEEN_AT_ONCE = 64
STEPS = 1_000_000
CASES = 100

Write: TypeAlias = Callable[[str, Recipe, tuple[Parent, ...]], Commit]
Pattern: TypeAlias = Callable[[Write, Digest, list[str]], Iterator[Commit]]
"""Given who writes, the study and its sites: all commits, for ever."""


@dataclass(slots=True)
class Feeds:
    """Writes commits into the feeds of a federation, witnesses included.

    Attributes:
        federation: Whose feeds.
        signed: Whether signatures are made and bytes exist; unsigned commits are good for in-process decisions only.
    """

    federation: Founded
    signed: bool = True
    _heads: dict[str, Commit] = field(default_factory=dict)
    _news: dict[str, dict[str, Commit]] = field(default_factory=dict)
    _written: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        """Begin after the votes."""
        self._news = {name: {} for name in self.federation.authors}
        for name, vote in zip(self.federation.authors, self.federation.votes, strict=True):
            self._take(name, vote)

    def write(self, site: str, recipe: Recipe, parents: tuple[Parent, ...] = (), study: Digest | None = None) -> Commit:
        """Return the next commit of a site's feed."""
        author, previous, number = self.federation.authors[site], self._heads[site], next(self._written)
        seen = list(itertools.islice(self._news[site].items(), SEEN_AT_ONCE))
        for feed, _ in seen:
            del self._news[site][feed]
        model = digest_of(b"a model %d" % number)
        draft = Draft(
            federation=self.federation.charter.digest,
            charter=self.federation.charter.digest,
            feed=author.feed.public,
            number=previous.number + 1,
            previous=previous.digest,
            recipe=recipe,
            created=CREATED,
            study=study,
            parents=tuple(sorted(parents)),
            tree=model,
            action=digest_of(b"an action %d" % number),
            cases=CASES,
            seen=tuple(sorted(Seen(feed, head.number, head.digest) for feed, head in seen)),
        )
        commit = sign_commit(draft, author.feed) if self.signed else _unsigned(draft, author, number)
        self._take(site, commit)
        return commit

    def _take(self, site: str, commit: Commit) -> None:
        self._heads[site] = commit
        for other, news in self._news.items():
            if other != site:
                news[commit.feed] = commit


def _unsigned(draft: Draft, author: Author, number: int) -> Commit:
    return Commit(
        raw=b"",
        digest=digest_of(b"a commit %d" % number),
        federation=draft.federation,
        charter=draft.charter,
        study=draft.study,
        feed=author.feed.public,
        number=draft.number,
        previous=draft.previous,
        parents=draft.parents,
        recipe=draft.recipe,
        tree=draft.tree,
        action=draft.action,
        metrics={},
        cases=draft.cases,
        seen=draft.seen,
        created=draft.created,
        certificate=None,
    )


def commits_of(strategy: str, feeds: Feeds) -> Iterator[Commit]:
    """Yield for ever: the commit that opens a study of this strategy, then what its sites write."""
    sites = list(feeds.federation.authors)
    recipe = study_recipe(
        title=strategy,
        strategy=Named(strategy),
        task=Named("none"),
        steps=STEPS,
        updates=1,
        sites=sites,
        seed=0,
    )
    study = feeds.write(sites[0], recipe)
    yield study
    yield from PATTERNS[strategy](lambda site, made, on: feeds.write(site, made, on, study.digest), study.digest, sites)


def _train(step: int) -> Recipe:
    return Recipe("train", 1, {"step": step, "updates": 1, "progress": "0.5"}, seed=step)


def _merge(inputs: int) -> Recipe:
    return Recipe("merge", 1, {"rule": "mean", "weights": [CASES] * inputs})


def _base(commit: Digest) -> tuple[Parent, ...]:
    return (Parent("base", commit),)


def _inputs(commits: Mapping[str, Digest]) -> tuple[Parent, ...]:
    return tuple(Parent("input", commit) for commit in commits.values())


def _local(write: Write, start: Digest, sites: list[str]) -> Iterator[Commit]:
    newest = dict.fromkeys(sites, start)
    for step in itertools.count(1):
        for site in sites:
            commit = write(site, _train(step), _base(newest[site]))
            newest[site] = commit.digest
            yield commit


def _fedavg(write: Write, start: Digest, sites: list[str]) -> Iterator[Commit]:
    return _rounds(write, start, sites, itertools.repeat(sites[0]))


def _swarm(write: Write, start: Digest, sites: list[str]) -> Iterator[Commit]:
    return _rounds(write, start, sites, itertools.cycle(sites))


def _rounds(write: Write, start: Digest, sites: list[str], leaders: Iterator[str]) -> Iterator[Commit]:
    model = start
    for step, leader in enumerate(leaders, 1):
        trained = {}
        for site in sites:
            commit = write(site, _train(step), _base(model))
            trained[site] = commit.digest
            yield commit
        merge = write(leader, _merge(len(sites)), (*_base(model), *_inputs(trained)))
        model = merge.digest
        yield merge


def _cyclic(write: Write, start: Digest, sites: list[str]) -> Iterator[Commit]:
    model = start
    for step in itertools.count(1):
        for site in sites:
            commit = write(site, _train(step), _base(model))
            model = commit.digest
            yield commit


def _incremental(write: Write, start: Digest, sites: list[str]) -> Iterator[Commit]:
    model = start
    for step in itertools.count(1):
        commit = write(sites[0], _train(step), _base(model))
        model = commit.digest
        yield commit


def _latest_of_each(write: Write, start: Digest, sites: list[str]) -> Iterator[Commit]:
    trained: dict[str, Digest] = {}
    for site in sites:
        commit = write(site, _train(1), _base(start))
        trained[site] = commit.digest
        yield commit
    for step in itertools.count(2):
        for site in sites:
            merge = write(site, _merge(len(sites)), _inputs(trained))
            yield merge
            commit = write(site, _train(step), _base(merge.digest))
            trained[site] = commit.digest
            yield commit


def _gossip(write: Write, start: Digest, sites: list[str]) -> Iterator[Commit]:
    trained: dict[str, Digest] = {}
    for site in sites:
        commit = write(site, _train(1), _base(start))
        trained[site] = commit.digest
        yield commit
    for step in itertools.count(2):
        for place, site in enumerate(sites):
            peer = sites[(place + step) % len(sites)]
            pair = {one: trained[one] for one in (site, peer)}
            merge = write(site, _merge(len(pair)), _inputs(pair))
            yield merge
            commit = write(site, _train(step), _base(merge.digest))
            trained[site] = commit.digest
            yield commit


PATTERNS: Mapping[str, Pattern] = {
    "local": _local,
    "one-shot": _local,
    "fedavg": _fedavg,
    "swarm": _swarm,
    "cyclic": _cyclic,
    "incremental": _incremental,
    "latest-of-each": _latest_of_each,
    "gossip": _gossip,
}
"""What the sites of a study write, by its strategy."""
