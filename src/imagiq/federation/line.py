"""The line of charters: which versions are in force, and which one rules.

Nothing here ever forgets a vote, so that what rules is a function of the set of known commits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from imagiq.federation.votes import Recovery, Vote
from imagiq.objects import Charter, Digest

__all__ = ["Line", "line_of"]

_Winners: TypeAlias = "Callable[[Charter], tuple[list[Charter], list[Charter]]]"


@dataclass(frozen=True)
class Line:
    """The versions in force, first to last.

    Attributes:
        versions: Version 1 to the ruling one; empty while version 1 is not in force.
        rivals: Successors of the ruling version that have won against each other; work goes on under the ruling one
            until the recovery keys sign a successor.
        enacted: Every charter that has ever won, on this line or beside it. It only grows, so what was made under
            such a charter is admitted everywhere, whichever rival is settled on later.
    """

    versions: tuple[Charter, ...] = ()
    rivals: tuple[Digest, ...] = ()
    enacted: frozenset[Digest] = frozenset()

    @property
    def ruling(self) -> Charter | None:
        """The newest version in force; None before the federation is founded."""
        return self.versions[-1] if self.versions else None


def line_of(
    founding: Charter,
    charters: Mapping[Digest, Charter],
    votes: Iterable[Vote],
    recoveries: Iterable[Recovery],
) -> Line:
    """Return the line of charters that these votes put in force.

    Version 1 is in force when each founder has voted for it. A successor is in force when more than half of the voters
    before it voted for it in one ballot, or when more than half of the recovery keys signed it, which wins over votes.

    Args:
        founding: Version 1.
        charters: All charters that are named by the votes and recoveries, and those before them.
        votes: What :func:`imagiq.federation.votes.vote_in` found.
        recoveries: What :func:`imagiq.federation.votes.recovery_in` found.
    """
    voters: dict[tuple[Digest, int], set[str]] = {}
    for vote in votes:
        voters.setdefault((vote.charter, vote.ballot), set()).add(vote.voter)
    signed: dict[Digest, frozenset[str]] = {}
    for recovery in recoveries:
        signed[recovery.charter] = signed.get(recovery.charter, frozenset()) | recovery.keys
    most_voters: dict[Digest, int] = {}
    for (charter, _), names in voters.items():
        most_voters[charter] = max(most_voters.get(charter, 0), len(names))
    if most_voters.get(founding.digest, 0) < len(founding.members):
        return Line(enacted=frozenset({founding.digest}))
    successors: dict[Digest, list[Charter]] = {}
    for charter in {*most_voters, *signed} - {founding.digest}:
        if (previous := charters[charter].previous) is not None:
            successors.setdefault(previous, []).append(charters[charter])

    def winners_after(last: Charter) -> tuple[list[Charter], list[Charter]]:
        possible = successors.get(last.digest, ())
        by_recovery = [c for c in possible if 2 * len(signed.get(c.digest, ())) > len(last.recovery) > 0]
        by_votes = [c for c in possible if 2 * most_voters.get(c.digest, 0) > len(last.voters)]
        return by_recovery, by_votes

    return Line(*_settled(founding, winners_after), frozenset(_enacted(founding, winners_after)))


def _settled(founding: Charter, winners_after: _Winners) -> tuple[tuple[Charter, ...], tuple[Digest, ...]]:
    """Follow the line while exactly one successor has won; return it, and the rivals at its end."""
    versions = [founding]
    while True:
        by_recovery, by_votes = winners_after(versions[-1])
        winners = by_recovery or by_votes
        if len(winners) != 1:
            return tuple(versions), tuple(sorted(winner.digest for winner in winners))
        versions.append(winners[0])


def _enacted(founding: Charter, winners_after: _Winners) -> Iterator[Digest]:
    """Yield every charter that has won, whatever has won beside it."""
    to_follow = [founding]
    while to_follow:
        charter = to_follow.pop()
        yield charter.digest
        by_recovery, by_votes = winners_after(charter)
        to_follow += {c.digest: c for c in (*by_recovery, *by_votes)}.values()
