"""The line of charters: which versions are in force, which one rules, and what a voter may do next.

A vote is a commit. Nothing here ever forgets a vote, so that what rules is a function of the set of known commits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from imagiq.errors import Corrupt, Misuse, Untrusted
from imagiq.history import Entry
from imagiq.keys import verify_recovery
from imagiq.objects import Charter, Digest, Recipe

__all__ = [
    "DoubleVote",
    "Line",
    "Recovery",
    "Vote",
    "ballot_for",
    "check_successor",
    "double_votes",
    "line_of",
    "preferred",
    "recover_recipe",
    "recovery_in",
    "vote_in",
    "vote_recipe",
]

_Winners: TypeAlias = "Callable[[tuple[Charter, ...]], tuple[list[Charter], list[Charter]]]"


@dataclass(frozen=True, slots=True, order=True)
class Vote:
    """One voter's word in one ballot on the successor of one version.

    Attributes:
        base: The version whose voter speaks; for version 1 itself, version 1.
        ballot: From 1.
        voter: The voter's name in ``base``.
        charter: The version voted for.
        commit: The commit that casts it.
    """

    base: Digest
    ballot: int
    voter: str
    charter: Digest
    commit: Digest


@dataclass(frozen=True, slots=True)
class Recovery:
    """Recovery keys' signatures of a successor. ``keys``: those of ``base`` whose signature holds."""

    base: Digest
    charter: Digest
    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class DoubleVote:
    """Proof that a voter voted twice in one ballot."""

    base: Digest
    ballot: int
    voter: str
    commits: tuple[Digest, ...]


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


def vote_recipe(charter: Digest, ballot: int) -> Recipe:
    """Return the recipe of a commit that votes for a charter."""
    return Recipe("vote", 1, {"charter": charter, "ballot": ballot})


def recover_recipe(charter: Digest, signatures: Mapping[str, str]) -> Recipe:
    """Return the recipe of a commit that carries recovery keys' signatures (hexadecimal, by key)."""
    return Recipe("recover", 1, {"charter": charter, "signatures": dict(signatures)})


def vote_in(entry: Entry, charters: Mapping[Digest, Charter]) -> Vote | None:
    """Return the vote that a commit casts; None if it casts none that counts."""
    recipe = entry.commit.recipe
    charter, ballot = recipe.parameters.get("charter"), recipe.parameters.get("ballot")
    if (recipe.name, recipe.version) != ("vote", 1) or not isinstance(ballot, int) or ballot < 1:
        return None
    base = charters.get(entry.commit.charter)
    proposal = charters.get(Digest(str(charter)))
    if base is None or proposal is None or base.digest != (proposal.previous or proposal.digest):
        return None
    voter = base.names_by_site_key.get(entry.site)
    founding = proposal.previous is None
    if voter is None or not (founding or voter in base.voters):
        return None
    return Vote(base.digest, ballot, voter, proposal.digest, entry.digest)


def recovery_in(entry: Entry, charters: Mapping[Digest, Charter]) -> Recovery | None:
    """Return what recovery keys sign in a commit; None if no signature of it counts."""
    recipe = entry.commit.recipe
    signatures = recipe.parameters.get("signatures")
    if (recipe.name, recipe.version) != ("recover", 1) or not isinstance(signatures, Mapping):
        return None
    proposal = charters.get(Digest(str(recipe.parameters.get("charter"))))
    base = None if proposal is None or proposal.previous is None else charters.get(proposal.previous)
    if proposal is None or base is None:
        return None
    keys = frozenset(key for key in base.recovery if _signed(key, signatures.get(key), proposal.digest))
    return Recovery(base.digest, proposal.digest, keys) if keys else None


def _signed(key: str, signature: object, charter: Digest) -> bool:
    if not isinstance(signature, str):
        return False
    try:
        verify_recovery(key, signature, charter)
    except (Corrupt, Untrusted):
        return False
    return True


def check_successor(versions: tuple[Charter, ...], proposal: Charter) -> None:
    """Check that a charter may follow the last of ``versions``.

    Raises:
        Misuse: it does not name that version, or brings back a site key that was removed.
    """
    last = versions[-1]
    if (proposal.previous, proposal.version, proposal.founding) != (last.digest, last.version + 1, last.founding):
        raise Misuse(
            "charter-successor",
            f"Version {proposal.version} of the charter does not follow version {last.version}, which rules.",
            "Make it anew from the ruling version.",
        )
    present = set(last.names_by_site_key)
    gone = {key for version in versions for key in version.names_by_site_key} - present
    if gone & set(proposal.names_by_site_key):
        raise Misuse(
            "charter-key-again", "The charter brings back a site key that was removed.", "Let the site make a new key."
        )


def _may_follow(versions: tuple[Charter, ...], proposal: Charter) -> bool:
    try:
        check_successor(versions, proposal)
    except Misuse:
        return False
    return True


def line_of(
    founding: Charter,
    charters: Mapping[Digest, Charter],
    votes: Iterable[Vote],
    recoveries: Iterable[Recovery],
) -> Line:
    """Return the line of charters that these votes put in force.

    Version 1 is in force when each founder has voted for it. A successor is in force when more than half of the voters
    before it voted for it in one ballot, or when more than half of the recovery keys signed it, which wins over votes.
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

    def winners_after(versions: tuple[Charter, ...]) -> tuple[list[Charter], list[Charter]]:
        last = versions[-1]
        successors = [c for c in charters.values() if c.previous == last.digest and _may_follow(versions, c)]
        by_recovery = [c for c in successors if 2 * len(signed.get(c.digest, ())) > len(last.recovery) > 0]
        by_votes = [c for c in successors if 2 * most_voters.get(c.digest, 0) > len(last.voters)]
        return by_recovery, by_votes

    return Line(*_settled((founding,), winners_after), frozenset(_enacted((founding,), winners_after)))


def _settled(versions: tuple[Charter, ...], winners_after: _Winners) -> tuple[tuple[Charter, ...], tuple[Digest, ...]]:
    """Follow the line while exactly one successor has won; return it, and the rivals at its end."""
    while True:
        by_recovery, by_votes = winners_after(versions)
        winners = by_recovery or by_votes
        if len(winners) != 1:
            return versions, tuple(sorted(winner.digest for winner in winners))
        versions += (winners[0],)


def _enacted(versions: tuple[Charter, ...], winners_after: _Winners) -> Iterator[Digest]:
    """Yield every charter that has won, whatever has won beside it."""
    to_follow = [versions]
    while to_follow:
        path = to_follow.pop()
        yield path[-1].digest
        by_recovery, by_votes = winners_after(path)
        to_follow += [(*path, charter) for charter in by_recovery + [c for c in by_votes if c not in by_recovery]]


def double_votes(votes: Iterable[Vote]) -> tuple[DoubleVote, ...]:
    """Return the proofs that voters voted for two charters in one ballot, sorted."""
    cast: dict[tuple[Digest, int, str], dict[Digest, Digest]] = {}
    for vote in sorted(votes):
        cast.setdefault((vote.base, vote.ballot, vote.voter), {}).setdefault(vote.charter, vote.commit)
    return tuple(
        DoubleVote(base, ballot, voter, tuple(commits.values()))
        for (base, ballot, voter), commits in sorted(cast.items())
        if len(commits) > 1
    )


def ballot_for(base: Charter, votes: Iterable[Vote], voter: str) -> int | None:
    """Return the ballot in which a voter may vote now on the successor of ``base``; None: it has voted, and waits.

    A ballot is over when nothing can win it any more: neither a charter that has votes with those still to come, nor
    one that has none yet.
    """
    cast = [vote for vote in votes if vote.base == base.digest]
    ballot = 1
    while True:
        present = [vote for vote in cast if vote.ballot == ballot]
        have_voted = {vote.voter for vote in present}
        counts = {c: len({v.voter for v in present if v.charter == c}) for c in {v.charter for v in present}}
        to_come = len(set(base.voters) - have_voted)
        if 2 * (max(counts.values(), default=0) + to_come) > len(base.voters):
            return None if voter in have_voted or voter not in base.voters else ballot
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
