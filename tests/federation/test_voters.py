"""Voters who keep to the rules, messages that come whenever they come: one successor at most, and one in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from imagiq.federation import Line, Recovery, Vote, ballot_for, double_votes, early_votes, line_of, preferred
from imagiq.objects import Charter, Digest, digest_of
from tests.federation.world import charter, successor

seeds = st.integers(0, 2**32 - 1)


@dataclass
class Parliament:
    """Voters of one version, each with the votes that it has seen. ``cheat`` votes as it likes."""

    random: Random
    size: int
    cheats: int = 0
    cast: list[Vote] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = tuple(f"site {number}" for number in range(self.size))
        self.base = charter(self.names)
        self.proposals = [successor(self.base, add=[f"new {number}"]) for number in range(self.random.randrange(2, 4))]
        self.charters: dict[Digest, Charter] = {c.digest: c for c in (self.base, *self.proposals)}
        self.seen: dict[str, set[Vote]] = {name: set() for name in self.names}
        self.cheating = self.names[: self.cheats]

    def vote(self, voter: str, ballot: int, proposal: Digest) -> None:
        name = digest_of(f"{len(self.cast)}".encode())
        vote = Vote(self.base.digest, ballot, voter, proposal, name)
        self.cast.append(vote)
        self.seen[voter].add(vote)

    def turn(self, voter: str, *, own_will: bool) -> None:
        """Let a voter vote, if the rules let it: by its own will in the first ballot, else as is preferred."""
        proposals = [proposal.digest for proposal in self.proposals]
        ballot = ballot_for(self.base, self.seen[voter], voter)
        choice = preferred(self.base, self.seen[voter], proposals)
        if voter in self.cheating:
            self.vote(voter, self.random.randrange(1, 4), self.random.choice(proposals))
        elif ballot is not None and choice is not None:
            self.vote(voter, ballot, self.random.choice(proposals) if own_will else choice)

    def deliver(self) -> None:
        if self.cast:
            self.seen[self.random.choice(self.names)].add(self.random.choice(self.cast))

    def muddle(self, turns: int, *, own_will: bool) -> None:
        """Let anybody vote and anything arrive."""
        for _ in range(turns):
            if self.random.random() < 0.4:
                self.turn(self.random.choice(self.names), own_will=own_will)
            else:
                self.deliver()

    def line(self) -> Line:
        founders = [Vote(self.base.digest, 1, name, self.base.digest, self.base.digest) for name in self.names]
        return line_of(self.base, self.charters, [*founders, *self.cast], list[Recovery]())


@given(seed=seeds, size=st.integers(1, 7), own_will=st.booleans())
def test_two_successors_are_never_in_force_while_voters_follow_the_rules(
    seed: int, size: int, *, own_will: bool
) -> None:
    parliament = Parliament(Random(seed), size)
    parliament.muddle(60 * size, own_will=own_will)
    assert parliament.line().rivals == ()
    assert double_votes(parliament.cast) == ()
    assert early_votes(parliament.cast, parliament.charters) == ()


@given(seed=seeds, size=st.integers(1, 7), before=st.integers(0, 100))
def test_voters_who_follow_what_is_preferred_end_in_one_successor(seed: int, size: int, before: int) -> None:
    parliament = Parliament(Random(seed), size)
    parliament.muddle(before, own_will=True)
    for _ in range(3 * size):
        for voter in parliament.random.sample(parliament.names, k=size):
            parliament.seen = {name: set(parliament.cast) for name in parliament.names}
            parliament.turn(voter, own_will=False)
    assert len(parliament.line().versions) == 2


@given(seed=seeds, size=st.integers(2, 7), cheats=st.integers(1, 3))
def test_if_two_successors_win_somebody_who_broke_the_rules_is_proven(seed: int, size: int, cheats: int) -> None:
    parliament = Parliament(Random(seed), size, cheats=min(cheats, size))
    parliament.muddle(60 * size, own_will=True)
    proven = {proof.voter for proof in double_votes(parliament.cast)}
    proven |= {vote.voter for vote in early_votes(parliament.cast, parliament.charters)}
    assert proven <= set(parliament.cheating), "nobody else is ever accused"
    if parliament.line().rivals:
        assert proven


def test_cheats_do_bring_two_successors_into_force_now_and_then() -> None:
    """The test above means something only if this happens."""
    rivals = 0
    for seed in range(200):
        parliament = Parliament(Random(seed), 3, cheats=2)
        parliament.muddle(100, own_will=True)
        rivals += bool(parliament.line().rivals)
    assert rivals > 10
