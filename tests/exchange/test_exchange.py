"""What do you lack, who has it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.bench import Bench
from imagiq.errors import Unreachable
from imagiq.exchange import Ask, BenchPeer, Peer, asks, pull
from imagiq.federation import State, vote_recipe
from imagiq.objects import Charter, Cut, Digest, Recipe, digest_of
from imagiq.store import MemoryStore
from tests.bench.town import Town, feed_key


class Line:
    """A peer behind a line that can be bad."""

    def __init__(self, peer: Peer, *, cut_after: int | None = None, seed: int | None = None) -> None:
        self._peer = peer
        self._left = cut_after
        self._seed = seed
        self.passed = 0

    @property
    def name(self) -> str:
        return self._peer.name

    def heads(self) -> Mapping[str, tuple[Digest, ...]]:
        return self._peer.heads()

    def commits(self, ask: Ask) -> Iterator[bytes]:
        raws = list(self._peer.commits(ask))
        if self._seed is not None:
            raws = raws + raws[:2]
            random.Random(self._seed).shuffle(raws)
        for raw in raws:
            if self._left == 0:
                raise Unreachable("cut", "Cut.", "Wait.")
            self._left = None if self._left is None else self._left - 1
            self.passed += 1
            yield raw

    def fetch(self, digest: Digest, limit: int) -> bytes | None:
        return self._peer.fetch(digest, limit)


class Liar:
    """A peer that answers for ever, with garbage or with what is known."""

    name = "liar"

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def heads(self) -> Mapping[str, tuple[Digest, ...]]:
        return {digest_of(bytes([n])): (digest_of(b"head" + bytes([n])),) for n in range(3)}

    def commits(self, ask: Ask) -> Iterable[bytes]:
        while True:
            yield self._answer

    def fetch(self, digest: Digest, limit: int) -> bytes | None:
        return b"garbage"


def busy_town() -> Town:
    town = Town()
    study = town.study("b")
    for step in range(5):
        town.train("b", study.digest, float(step), study.digest, step)
    town.benches["c"].admit([e.commit.raw for e in town.benches["b"].history], "b")
    town.train("c", study.digest, 9.0, study.digest)
    return town


def known(town: Town, name: str) -> set[Digest]:
    return {entry.digest for entry in town.benches[name].history}


def test_one_visit_brings_all_that_a_peer_knows() -> None:
    town = busy_town()
    assert pull(town.benches["a"], BenchPeer("c", town.benches["c"])) == 7
    assert known(town, "a") == known(town, "c")


def test_a_visit_with_nothing_new_asks_for_nothing() -> None:
    town = busy_town()
    peer = BenchPeer("c", town.benches["c"])
    pull(town.benches["a"], peer)
    assert asks(town.benches["a"].history, peer.heads()) == []


def test_only_what_is_lacking_travels() -> None:
    town = busy_town()
    pull(town.benches["a"], BenchPeer("c", town.benches["c"]))
    town.benches["b"].commit(Recipe("hello"))
    line = Line(BenchPeer("b", town.benches["b"]))
    pull(town.benches["a"], line)
    assert line.passed == 1


@given(cut_after=st.integers(0, 9), seed=st.integers(0, 99))
def test_whatever_is_cut_repeated_or_out_of_order_ends_in_one_history(cut_after: int, seed: int) -> None:
    town = busy_town()
    peer = BenchPeer("c", town.benches["c"])
    for line in (Line(peer, cut_after=cut_after, seed=seed), Line(peer, cut_after=cut_after), Line(peer, seed=seed)):
        try:
            pull(town.benches["a"], line)
        except Unreachable:
            assert known(town, "a") <= known(town, "c")
    assert known(town, "a") == known(town, "c")
    assert len(town.benches["a"].waiting) == 0


def test_a_charter_travels_with_the_votes_that_name_it() -> None:
    town = Town()
    proposal = successor(town, cuts=())
    town.benches["b"].store.add([proposal.raw])
    town.benches["b"].learn_charter(proposal)
    town.benches["b"].commit(vote_recipe(proposal.digest, 1))
    pull(town.benches["a"], BenchPeer("b", town.benches["b"]))
    assert proposal.digest in town.benches["a"].standing.charters
    assert known(town, "a") == known(town, "b")


def test_a_peer_that_lies_for_ever_is_left() -> None:
    town = Town()
    known_commit = next(iter(town.benches["a"].history)).commit.raw
    for answer in (b"\0" * 100, known_commit):
        assert pull(town.benches["a"], Liar(answer)) == 0


def test_both_branches_of_a_fork_travel() -> None:
    town = Town()
    clone = town.open("b")
    one = town.benches["b"].commit(Recipe("hello"))
    other = clone.commit(Recipe("hullo"))
    town.benches["c"].admit([one.commit.raw, other.commit.raw], "b")
    pull(town.benches["a"], BenchPeer("c", town.benches["c"]))
    assert town.benches["a"].history.forks == {feed_key("b").public: 2}


def successor(town: Town, cuts: tuple[Cut, ...]) -> Charter:
    return Charter(
        title="town",
        version=2,
        previous=town.founding.digest,
        federation=town.founding.digest,
        members=tuple(m for m in town.founding.members if m.name != "c" or not cuts),
        voters=("a", "b"),
        cuts=cuts,
    )


def test_what_is_void_is_not_shown_but_votes_are() -> None:
    town = Town()
    (last,) = town.benches["c"].history.heads[feed_key("c").public]
    removed = successor(town, cuts=(Cut(feed_key("c").public, 1, last),))
    gone = town.benches["c"].commit(Recipe("hello"))
    pull(town.benches["a"], BenchPeer("c", town.benches["c"]))
    for name in ("a", "b"):
        bench = town.benches[name]
        bench.store.add([removed.raw])
        bench.learn_charter(removed)
        pull(bench, BenchPeer("a", town.benches["a"]))
        bench.commit(vote_recipe(removed.digest, 1))
    pull(town.benches["a"], BenchPeer("b", town.benches["b"]))
    assert town.benches["a"].standing.ruling == removed
    assert gone.digest in town.benches["a"].history
    assert BenchPeer("a", town.benches["a"]).heads()[feed_key("c").public] == (last,)


def test_what_proves_a_fork_travels_even_where_one_branch_is_void() -> None:
    town = Town()
    proposed, clone = successor(town, cuts=()), town.open("c")
    removed = Charter(
        title="without c",
        version=2,
        previous=town.founding.digest,
        federation=town.founding.digest,
        members=tuple(member for member in town.founding.members if member.name != "c"),
        voters=("a", "b"),
    )
    for bench in (*town.benches.values(), clone):
        for charter in (proposed, removed):
            bench.store.add([charter.raw])
            bench.learn_charter(charter)
    vote = town.benches["c"].commit(vote_recipe(proposed.digest, 1))  # never void
    note = clone.commit(Recipe("hello"))
    town.benches["a"].admit([vote.commit.raw, note.commit.raw], "c")
    for name in ("a", "b"):
        pull(town.benches[name], BenchPeer("a", town.benches["a"]))
        town.benches[name].commit(vote_recipe(removed.digest, 1))
    pull(town.benches["a"], BenchPeer("b", town.benches["b"]))
    assert town.benches["a"].standing.state(note.digest) is State.VOID
    newcomer = Bench(MemoryStore(), town.founding, clock=town.clock)
    pull(newcomer, BenchPeer("a", town.benches["a"]))
    for digest in (vote.digest, note.digest):
        assert newcomer.standing.state(digest) is town.benches["a"].standing.state(digest)


def test_an_unknown_head_is_answered_with_nothing() -> None:
    town = Town()
    assert list(BenchPeer("a", town.benches["a"]).commits(Ask(digest_of(b"?"), frozenset()))) == []


def test_an_object_larger_than_asked_is_not_given() -> None:
    town = Town()
    peer = BenchPeer("a", town.benches["a"])
    assert peer.fetch(town.founding.digest, 10) is None
    assert peer.fetch(town.founding.digest, len(town.founding.raw)) == town.founding.raw
    with pytest.raises(KeyError):
        peer.heads()["nobody"]
