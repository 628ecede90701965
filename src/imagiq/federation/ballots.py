"""Ballots: what a voter may do next, and who has broken the rules.

A voter votes once in a ballot, and enters the next only when, by the votes it has seen, nothing can win the present one
any more. While all keep to this, two successors of one version cannot both be in force: the voters of a winner have all
voted for it, or are still to be heard, in the eyes of everyone, so nobody may go on to another ballot; and within one
ballot two majorities share a voter. If both win all the same, that voter has voted twice, or one has gone on too early.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imagiq.federation.votes import Vote
from imagiq.objects import Charter, Digest

__all__ = ["DoubleVote", "ballot_for", "double_votes", "early_votes", "preferred"]


@dataclass(frozen=True, slots=True)
class DoubleVote:
    """Proof that a voter voted for two charters in one ballot."""

    base: Digest
    ballot: int
    voter: str
    commits: tuple[Digest, ...]


def double_votes(votes: Iterable[Vote]) -> tuple[DoubleVote, ...]:
    """Return the proofs that voters voted for two charters in one ballot, sorted."""
    cast: dict[tuple[Digest, int, str], dict[Digest, Digest]] = {}
    for vote in sorted(votes):
        if not vote.founds:
            cast.setdefault((vote.base, vote.ballot, vote.voter), {}).setdefault(vote.charter, vote.commit)
    return tuple(
        DoubleVote(base, ballot, voter, tuple(commits.values()))
        for (base, ballot, voter), commits in sorted(cast.items(), key=lambda item: item[0])
        if len(commits) > 1
    )


def early_votes(votes: Iterable[Vote], charters: Mapping[Digest, Charter]) -> tuple[Vote, ...]:
    """Return the votes that prove that their voters went on to another ballot too early, sorted.

    Where more than half of the voters voted for one charter and for nothing else in a ballot, nobody can have seen votes
    by which that ballot was lost: whoever votes in a later one breaks the rule.
    """
    cast = [vote for vote in votes if not vote.founds]
    choices: dict[tuple[Digest, int, str], set[Digest]] = {}
    for vote in cast:
        choices.setdefault((vote.base, vote.ballot, vote.voter), set()).add(vote.charter)
    firm: dict[tuple[Digest, int, Digest], int] = {}
    for (base, ballot, _), chosen in choices.items():
        if len(chosen) == 1:
            key = (base, ballot, next(iter(chosen)))
            firm[key] = firm.get(key, 0) + 1
    won: dict[Digest, int] = {}
    for (base, ballot, _), count in firm.items():
        if 2 * count > len(charters[base].voters):
            won[base] = min(ballot, won.get(base, ballot))
    return tuple(sorted(vote for vote in cast if vote.base in won and vote.ballot > won[vote.base]))


def ballot_for(base: Charter, votes: Iterable[Vote], voter: str) -> int | None:
    """Return the ballot in which a voter may vote now on the successor of ``base``; None: it has voted, and waits.

    A ballot is over when nothing can win it any more: neither a charter that has votes with those still to come, nor
    one that has none yet.
    """
    if voter not in base.voters:
        return None
    ballots: dict[int, dict[Digest, set[str]]] = {}
    for vote in votes:
        if vote.base == base.digest and not vote.founds:
            ballots.setdefault(vote.ballot, {}).setdefault(vote.charter, set()).add(vote.voter)
    ballot = 1
    while True:
        voters_of = ballots.get(ballot, {})
        have_voted = set().union(*voters_of.values())
        to_come = len(base.voters) - len(have_voted)
        if 2 * (max(map(len, voters_of.values()), default=0) + to_come) > len(base.voters):
            return None if voter in have_voted else ballot
        ballot += 1


def preferred(base: Charter, votes: Iterable[Vote], proposals: Iterable[Digest]) -> Digest | None:
    """Return the proposal that a voter without a will of its own should vote for after a split vote.

    The one with the most voters in the latest ballot, ties by digest: voters who follow this agree in the next ballot.
    """
    candidates = sorted(set(proposals))
    cast = [vote for vote in votes if vote.base == base.digest and vote.charter in candidates]
    latest = max((vote.ballot for vote in cast), default=0)
    support = {c: len({v.voter for v in cast if v.ballot == latest and v.charter == c}) for c in candidates}
    return min(candidates, key=lambda c: (-support[c], c), default=None)
