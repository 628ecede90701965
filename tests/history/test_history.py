"""The history answers by the set of commits alone, whatever the order in which it grew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.errors import Misuse, NotFound
from imagiq.history import History
from imagiq.keys import sign_commit
from imagiq.objects import Commit, Digest, Recipe, digest_of
from spec.vectors.builder import Federation, Site, founding
from tests.keys.test_keys import COMMIT, DRAFT
from tests.objects.strategies import FEED

SITES = [Site("anna"), Site("bert")]
FEEDS = [(site, word, number) for site in SITES for word, number in (("one", 1), ("two", 2), ("again", 1))]


@st.composite
def histories(draw: st.DrawFn) -> list[Commit]:
    """Commits in an order in which they can be added: several feeds, forks, double certificates, any parents."""
    world = Federation(founding(SITES))
    for step in range(draw(st.integers(0, 8))):
        site, word, number = draw(st.sampled_from(FEEDS))
        mine = [commit for commit in world.commits if commit.feed == site.feed(word).public]
        after = draw(st.none() | st.sampled_from(mine)) if mine else None
        parents = draw(st.lists(st.sampled_from(world.commits), max_size=3, unique=True)) if world.commits else []
        world.commit(
            site, Recipe(f"step {step}"), word=word, certificate=number, after=after,
            parents=[("base", parent) for parent in parents],
        )  # fmt: skip
    return world.commits


def shuffled(commits: list[Commit], random: Random) -> list[Commit]:
    """The same commits in another order in which they can be added."""
    left, history, order = list(commits), History(), list[Commit]()
    while left:
        commit = random.choice([commit for commit in left if not history.missing(commit)])
        history.add(commit)
        left.remove(commit)
        order.append(commit)
    return order


def grown(commits: list[Commit]) -> History:
    history = History()
    for commit in commits:
        history.add(commit)
    return history


@dataclass
class Plain:
    """What the answers mean, said as plainly as possible."""

    commits: list[Commit]

    def get(self, digest: Digest | None) -> Commit:
        return next(commit for commit in self.commits if commit.digest == digest)

    def first(self, commit: Commit) -> Commit:
        return commit if commit.previous is None else self.first(self.get(commit.previous))

    def height(self, commit: Commit) -> int:
        named = [parent.commit for parent in commit.parents] + ([commit.previous] if commit.previous else [])
        return 1 + max((self.height(self.get(digest)) for digest in named), default=0)

    def ancestors(self, commit: Commit) -> set[Digest]:
        parents = {parent.commit for parent in commit.parents}
        return parents.union(*(self.ancestors(self.get(parent)) for parent in parents))

    def of_feed(self, feed: str) -> list[Commit]:
        return [commit for commit in self.commits if commit.feed == feed]

    def heads(self) -> dict[str, tuple[Digest, ...]]:
        named = {commit.previous for commit in self.commits}
        return {
            feed: tuple(sorted(c.digest for c in self.of_feed(feed) if c.digest not in named))
            for feed in {commit.feed for commit in self.commits}
        }

    def forks(self) -> dict[str, int]:
        places = [(commit.feed, commit.number) for commit in self.commits]
        twice = {place for place in places if places.count(place) > 1}
        return {feed: min(n for f, n in twice if f == feed) for feed, _ in twice}


def everything(history: History, commits: list[Commit]) -> dict[str, object]:
    """All answers that a history gives."""
    sites = [site.key.public for site in SITES]
    return {
        "len": len(history),
        "heads": dict(history.heads),
        "forks": dict(history.forks),
        "heights": {commit.digest: history[commit.digest].height for commit in commits},
        "places": {commit.digest: history.at(commit.feed, commit.number) for commit in commits},
        "sites": {commit.digest: history[commit.digest].site for commit in commits},
        "certificates": {commit.digest: history[commit.digest].certificate for commit in commits},
        "ancestors": {c.digest: [entry.digest for entry in history.ancestors(c.digest)] for c in commits},
        "chains": {c.digest: [entry.digest for entry in history.chain(c.digest)] for c in commits},
        "newest": [entry.digest for entry in history.newest_first()],
        "feeds": [history.feeds_of(site) for site in sites],
        "certified": [history.certified(site, number) for site in sites for number in (1, 2, 3)],
    }


@given(histories(), st.randoms())
def test_every_order_of_adding_gives_the_same_answers(commits: list[Commit], random: Random) -> None:
    assert everything(grown(shuffled(commits, random)), commits) == everything(grown(commits), commits)


@given(histories())
def test_the_answers_mean_what_they_say(commits: list[Commit]) -> None:
    history, plain = grown(commits), Plain(commits)
    assert dict(history.heads) == plain.heads()
    assert dict(history.forks) == plain.forks()
    for commit in commits:
        entry = history[commit.digest]
        certificate = plain.first(commit).certificate
        assert certificate is not None
        assert (entry.height, entry.site, entry.certificate) == (
            plain.height(commit),
            certificate.site,
            certificate.number,
        )
        assert {found.digest for found in history.ancestors(commit.digest)} == plain.ancestors(commit)
        alike = [c.digest for c in plain.of_feed(commit.feed) if c.number == commit.number]
        assert history.at(commit.feed, commit.number) == tuple(sorted(alike))
    for site in SITES:
        firsts = [c for c in commits if c.certificate is not None and c.certificate.site == site.key.public]
        assert history.feeds_of(site.key.public) == tuple(sorted({commit.feed for commit in firsts}))
        for number in (1, 2):
            feeds = {c.feed for c in firsts if c.certificate is not None and c.certificate.number == number}
            assert history.certified(site.key.public, number) == feeds


@given(histories())
def test_ancestors_come_each_once_and_the_highest_first(commits: list[Commit]) -> None:
    history = grown(commits)
    for commit in commits:
        found = list(history.ancestors(commit.digest))
        assert len({entry.digest for entry in found}) == len(found)
        heights = [entry.height for entry in found]
        assert heights == sorted(heights, reverse=True)
        assert all(entry.height < history[commit.digest].height for entry in found)


@given(histories(), st.randoms())
def test_entries_come_after_what_they_name_and_a_child_is_higher(commits: list[Commit], random: Random) -> None:
    history, before = grown(shuffled(commits, random)), set[Digest]()
    for entry in history:
        named = {parent.commit for parent in entry.commit.parents} | {entry.commit.previous} - {None}
        assert named <= before
        assert all(history[digest].order < entry.order for digest in named if digest is not None)
        before.add(entry.digest)
    newest = history.newest_first()
    assert [entry.order for entry in newest] == sorted((entry.order for entry in newest), reverse=True)


@given(histories())
def test_adding_again_changes_nothing(commits: list[Commit]) -> None:
    history = grown(commits)
    before = everything(history, commits)
    for commit in commits:
        assert history.add(commit) is history[commit.digest]
    assert everything(history, commits) == before


@given(histories())
def test_what_is_missing_is_told_and_cannot_be_passed_over(commits: list[Commit]) -> None:
    empty = History()
    for commit in commits:
        named = [commit.previous] * (commit.previous is not None) + [parent.commit for parent in commit.parents]
        assert empty.missing(commit) == tuple(named)
        if named:
            with pytest.raises(Misuse):
                empty.add(commit)
        assert commit.digest not in empty
    assert (len(empty), dict(empty.heads), dict(empty.forks), empty.newest_first()) == (0, {}, {}, [])


def _another_feed() -> Commit:
    other = Site("anna").feed("one")
    return sign_commit(replace(DRAFT, feed=other.public, number=2, previous=COMMIT.digest, certificate=None), other)


def _a_gap() -> Commit:
    return sign_commit(replace(DRAFT, number=3, previous=COMMIT.digest, certificate=None), FEED)


@pytest.mark.parametrize("wrong", [_another_feed, _a_gap])
def test_a_commit_follows_one_of_its_own_feed_with_the_number_before(wrong: Callable[[], Commit]) -> None:
    history = grown([COMMIT])
    with pytest.raises(Misuse):
        history.add(wrong())
    assert everything(history, [COMMIT]) == everything(grown([COMMIT]), [COMMIT])


def test_an_unknown_commit_is_not_found() -> None:
    history = grown([COMMIT])
    unknown = digest_of(b"unknown")
    assert history.get(unknown) is None
    assert unknown not in history
    assert (history.at("no feed", 1), history.feeds_of("nobody"), history.certified("nobody", 1)) == (
        (),
        (),
        frozenset(),
    )
    with pytest.raises(NotFound):
        history[unknown]


def test_a_long_feed_needs_no_deep_stack() -> None:
    commits = [COMMIT]
    for number in range(2, 1200):
        draft = replace(DRAFT, number=number, previous=commits[-1].digest, certificate=None, parents=())
        commits.append(sign_commit(draft, FEED))
    history = grown(commits)
    assert history[commits[-1].digest].height == 1199
    assert len(list(history.chain(commits[-1].digest))) == 1199
