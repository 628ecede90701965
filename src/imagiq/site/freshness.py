"""Freshness: what members know and no remote gives here, or gives and this version cannot read; what a newcomer must hear of first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from imagiq.bench import Bench
from imagiq.bench.unheard import unheard
from imagiq.federation.unheard import Claim, Unheard, claims_before, let_in_by, must_know
from imagiq.objects import Digest
from imagiq.site.status import UnheardStatus, UnreadStatus

__all__ = ["ADVICE", "Newcomer", "in_words", "long_unheard", "unread", "unread_in_words"]

ORDINARY_LAG_S: Final = 600.0
"""Who publishes puts what it has seen there first. So what is known of and not here is rare, and mostly a listing that is late."""
SHOWN: Final = 16
ADVICE: Final = (
    "A remote may withhold it: add another remote, ask who runs the ones you have, or ask who knows it for a bundle."
)


def long_unheard(bench: Bench, now_s: float, *, lag_s: float = ORDINARY_LAG_S) -> tuple[UnheardStatus, ...]:
    """Return the feeds of which members have known more for longer than news ordinarily take; of very many, the first.

    Args:
        bench: The federation.
        now_s: The time, on the bench's clock.
        lag_s: How long news may take.
    """
    late = [(one, since_s) for one, since_s in unheard(bench).items() if now_s - since_s > lag_s]
    return tuple(
        UnheardStatus(
            site=one.site,
            feed=one.feed,
            here=one.here,
            known_to={name: seen.number for name, seen in one.witnesses.items()},
            since_s=since_s,
        )
        for one, since_s in late[:SHOWN]
    )


def in_words(one: UnheardStatus) -> str:
    """Return as a sentence who knows what, such as ``alba knows caro's feed up to commit 12, and here it ends at 9.``."""
    upto = max(one.known_to.values())
    verb = "knows" if len(one.known_to) == 1 else "know"
    if not one.here:
        return (
            f"{_listed(one.known_to)} {verb} a feed, {one.feed[:12]}, up to commit {upto}, and nothing of it has come."
        )
    if upto <= one.here:
        return f"{_listed(one.known_to)} {verb} another commit {upto} of {one.site}'s feed than the one here."
    return f"{_listed(one.known_to)} {verb} {one.site}'s feed up to commit {upto}, and here it ends at {one.here}."


def unread(bench: Bench) -> tuple[UnreadStatus, ...]:
    """Return what came from sites that are or were members, or from nobody known, and cannot be read here."""
    names = {key: name for one in bench.standing.charters.values() for key, name in one.names_by_site_key.items()}
    return tuple(
        UnreadStatus(site=names.get(one.site, ""), by=one.source, objects=one.count, what=one.what, advice=one.advice)
        for one in bench.unread.listed(bench.history, bench.standing)
    )


def unread_in_words(one: UnreadStatus) -> str:
    """Return as a sentence who sends what this version cannot read."""
    who = one.site or f"Somebody, by {one.by},"
    return f"{who} sends what this imagiq cannot read, {one.objects} object{'s' * (one.objects > 1)}: {one.what}"


def _listed(names: Iterable[str]) -> str:
    *most, last = sorted(names)
    return f"{', '.join(most)} and {last}" if most else last


class Newcomer:
    """Whether a site that was let in has heard of what those knew who let it in.

    Args:
        bench: The federation.
        site: The site's key.
    """

    def __init__(self, bench: Bench, site: str) -> None:
        self._bench = bench
        self._site = site
        self._claims: dict[Digest, Mapping[str, Claim]] = {}
        self._has_begun = False

    def waits_for(self) -> str | None:
        """Return whose commits it still has to hear of before it begins, in words; None: it may begin, or has."""
        history, standing = self._bench.history, self._bench.standing
        if not self._has_begun:
            heads = (head for feed in history.feeds_of(self._site) for head in history.heads[feed])
            self._has_begun = any(entry.commit.tree is not None for head in heads for entry in history.chain(head))
        if self._has_begun:
            return None
        known_to: dict[str, Mapping[str, Claim]] = {}
        for vote in let_in_by(self._site, standing):
            if vote.commit not in self._claims:
                self._claims[vote.commit] = claims_before(vote.commit, history)
            known_to[vote.voter] = self._claims[vote.commit]
        missing = must_know(known_to, history, standing)
        return _awaited(missing) if missing else None


def _awaited(missing: tuple[Unheard, ...]) -> str:
    named = [one for one in missing if one.site]
    first = (named or list(missing))[0]
    whose = f"commits of {first.site} up to number {first.number}" if first.site else f"the feed {first.feed[:12]}"
    more = f" and {len(missing) - 1} more feeds" if len(missing) > 1 else ""
    return f"{whose}{more}, which {_listed(first.witnesses)} knew when they let this site in; no remote gives them yet"
