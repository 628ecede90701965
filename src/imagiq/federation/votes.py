"""Votes: what commits say about charters, and which charter may follow which.

A vote is a commit. What a commit says is read here; what follows from all of them is found in
:mod:`imagiq.federation.line`, and what a voter may do next in :mod:`imagiq.federation.ballots`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imagiq.errors import Corrupt, Misuse, Untrusted
from imagiq.history import Entry
from imagiq.keys import verify_recovery
from imagiq.objects import Charter, Digest, Recipe

__all__ = [
    "Recovery",
    "Vote",
    "check_successor",
    "missing_charter",
    "recover_recipe",
    "recovery_in",
    "vote_in",
    "vote_recipe",
]


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

    @property
    def founds(self) -> bool:
        """Whether it is a founder's vote for version 1; such a vote is in no ballot on a successor."""
        return self.charter == self.base


@dataclass(frozen=True, slots=True)
class Recovery:
    """Recovery keys' signatures of a successor. ``keys``: those of ``base`` whose signature holds."""

    base: Digest
    charter: Digest
    keys: frozenset[str]


def vote_recipe(charter: Digest, ballot: int) -> Recipe:
    """Return the recipe of a commit that votes for a charter."""
    return Recipe("vote", 1, {"charter": charter, "ballot": ballot})


def recover_recipe(charter: Digest, signatures: Mapping[str, str]) -> Recipe:
    """Return the recipe of a commit that carries recovery keys' signatures (hexadecimal, by key)."""
    return Recipe("recover", 1, {"charter": charter, "signatures": dict(signatures)})


def missing_charter(entry: Entry, charters: Mapping[Digest, Charter]) -> Digest | None:
    """Return a charter that must be known before it is clear what a commit says; None: nothing is missing.

    That is the version voted for, and every version before it.
    """
    named: object = entry.commit.recipe.parameters.get("charter")
    while isinstance(named, str):
        charter = charters.get(Digest(named))
        if charter is None:
            return Digest(named)
        named = charter.previous
    return None


def vote_in(entry: Entry, charters: Mapping[Digest, Charter]) -> Vote | None:
    """Return the vote that a commit casts; None if it casts none that counts."""
    recipe = entry.commit.recipe
    ballot = recipe.parameters.get("ballot")
    if (recipe.name, recipe.version) != ("vote", 1) or not isinstance(ballot, int) or isinstance(ballot, bool):
        return None
    base, proposal = charters.get(entry.commit.charter), _proposal_of(entry, charters)
    if base is None or proposal is None or ballot < 1 or base.digest != (proposal.previous or proposal.digest):
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
    proposal = _proposal_of(entry, charters)
    if proposal is None or proposal.previous is None:
        return None
    base = charters[proposal.previous]
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


def _proposal_of(entry: Entry, charters: Mapping[Digest, Charter]) -> Charter | None:
    """Return the charter that a commit speaks for, if that may follow those before it and all are known."""
    if missing_charter(entry, charters) is not None:
        return None
    proposal = charters.get(Digest(str(entry.commit.recipe.parameters.get("charter"))))
    if proposal is None or proposal.previous is None:
        return proposal
    versions = [charters[proposal.previous]]
    while (previous := versions[0].previous) is not None:
        versions.insert(0, charters[previous])
    try:
        check_successor(tuple(versions), proposal)
    except Misuse:
        return None
    return proposal


def check_successor(versions: tuple[Charter, ...], proposal: Charter) -> None:
    """Check that a charter may follow the last of ``versions``, which begin with version 1.

    Raises:
        Misuse: it does not name that version, brings back a site key that was removed, or gives a site key another name.
    """
    last = versions[-1]
    if (proposal.previous, proposal.version, proposal.founding) != (last.digest, last.version + 1, last.founding):
        raise Misuse(
            "charter-successor",
            f"Version {proposal.version} of the charter does not follow version {last.version}, which rules.",
            "Make it anew from the ruling version.",
        )
    names = {key: name for version in versions for key, name in version.names_by_site_key.items()}
    if (names.keys() - last.names_by_site_key.keys()) & proposal.names_by_site_key.keys():
        raise Misuse(
            "charter-key-again", "The charter brings back a site key that was removed.", "Let the site make a new key."
        )
    renamed = sorted(name for key, name in proposal.names_by_site_key.items() if names.get(key, name) != name)
    if renamed:
        raise Misuse(
            "charter-key-renamed",
            f"The charter gives the site key of another member to '{renamed[0]}'; a site would count under two names.",
            "Keep the site's name, or let it make a new key.",
        )
