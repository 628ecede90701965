"""What members have witnessed and this store does not know: the heads in others' `seen` that have not come here.

A relay that withholds a feed is found by this: whoever knows more of the feed says so in its own commits. A witness names;
it never condemns, and nothing that anybody claims keeps a commit from being admitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from imagiq.federation.standing import Standing, State
from imagiq.federation.votes import Vote
from imagiq.history import History
from imagiq.objects import Commit, Digest, Seen

__all__ = ["Claim", "Unheard", "Witnessed", "claims_before", "let_in_by", "must_know"]

CLAIMS_OF_ONE: Final = 4096
CLAIMS_OF_FEED: Final = 16
"""So many heads that are not here are kept of one witness, and so many of them in one feed."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A site's word that a commit exists.

    Attributes:
        seen: The commit, as the head of its feed.
        said_in: In which commit the site says so.
        charter: The version under which it says so.
    """

    seen: Seen
    said_in: Digest
    charter: Digest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unheard:
    """A feed of which members know more than this store.

    Attributes:
        feed: Its key.
        site: The name of the member whose feed it is; "": nothing of the feed is here.
        here: The number of its last commit here; 0: there is none.
        witnesses: Who knows more, by name: of each the highest head that it has witnessed and that is not here.
        said_in: All commits in which they say so.
    """

    feed: str
    site: str
    here: int
    witnesses: Mapping[str, Seen]
    said_in: frozenset[Digest]

    @property
    def number(self) -> int:
        """The highest number that somebody has witnessed."""
        return max(seen.number for seen in self.witnesses.values())


class Witnessed:
    """The heads that sites have witnessed and that are not in a history. A commit costs as much as it witnesses.

    Args:
        history: The history; whoever adds to it calls :meth:`note` next.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._claims: dict[Digest, dict[str, Claim]] = {}
        self._by_site: dict[str, dict[Digest, None]] = {}
        self._by_feed: dict[tuple[str, str], dict[Digest, None]] = {}

    def note(self, commit: Commit) -> None:
        """Take in what the author of a commit says that it knows; the commit may still wait for others.

        What waits in a feed of which nothing is known here is not believed: it could be anybody's.
        """
        if commit.digest in self._history:
            for site in list(self._claims.get(commit.digest, ())):
                self._drop(site, commit.digest)
        first = self._history.at(commit.feed, 1)
        for seen in commit.seen if first else ():
            if seen.commit not in self._history:
                self._keep(self._history[first[0]].site, Claim(seen, commit.digest, commit.charter))

    def _keep(self, site: str, claim: Claim) -> None:
        """Keep a claim; of too many the second of a feed goes, so that it stays known since when there are any, and the newest."""
        head, feed = claim.seen.commit, claim.seen.feed
        mine = self._by_site.setdefault(site, {})
        if head in mine:
            return
        if len(mine) >= CLAIMS_OF_ONE:
            self._drop(site, next(iter(mine)))
        of_feed = self._by_feed.setdefault((site, feed), {})
        if len(of_feed) >= CLAIMS_OF_FEED:
            self._drop(site, next(islice(of_feed, 1, None)))
        mine[head] = of_feed[head] = None
        self._claims.setdefault(head, {})[site] = claim

    def _drop(self, site: str, head: Digest) -> None:
        claim = self._claims[head].pop(site)
        if not self._claims[head]:
            del self._claims[head]
        of_feed = self._by_feed[site, claim.seen.feed]
        del self._by_site[site][head], of_feed[head]
        if not of_feed:
            del self._by_feed[site, claim.seen.feed]

    def unheard(self, standing: Standing) -> tuple[Unheard, ...]:
        """Return the feeds of which members know more, those of known sites first; what counts for nothing is left out.

        A word counts while its author is a member and its commit neither void nor contested; what it tells of
        must count, too.
        """
        found: dict[str, dict[str, list[Claim]]] = {}
        names = standing.charter.names_by_site_key
        for claims in self._claims.values():
            for site, claim in claims.items():
                if site in names and self._is_heard(claim, standing) and _is_missed(claim, self._history, standing):
                    found.setdefault(claim.seen.feed, {}).setdefault(names[site], []).append(claim)
        unheard = (_unheard(feed, claims, self._history, standing) for feed, claims in found.items())
        return tuple(sorted(unheard, key=lambda one: (not one.site, one.site, one.feed)))

    def _is_heard(self, claim: Claim, standing: Standing) -> bool:
        return claim.said_in not in self._history or standing.state(claim.said_in).is_input


def _unheard(feed: str, claims: Mapping[str, Sequence[Claim]], history: History, standing: Standing) -> Unheard:
    first, heads = history.at(feed, 1), history.heads.get(feed, ())
    return Unheard(
        feed=feed,
        site=standing.name_of(history[first[0]]) if first else "",
        here=max((history[head].commit.number for head in heads), default=0),
        witnesses={name: max(claim.seen for claim in said) for name, said in sorted(claims.items())},
        said_in=frozenset(claim.said_in for said in claims.values() for claim in said),
    )


def _is_missed(claim: Claim, history: History, standing: Standing) -> bool:
    """Tell whether a commit that somebody knows should be here: it would count, and those who have it would pass it on.

    Not so what lies beyond a cut, the feeds of sites that are no members, and of a contested feed what is contested. Of a feed of which nothing is
    here nobody can tell whose it is: what was said of it before a site was removed may be about that site.
    """
    seen, ruling = claim.seen, standing.charter
    cut = ruling.cuts_by_feed.get(seen.feed)
    if cut is not None:
        return seen.number <= cut.number and cut.commit not in history
    first = history.at(seen.feed, 1)
    if not first:
        then = standing.charters.get(claim.charter)
        return then is None or then.names_by_site_key.keys() <= ruling.names_by_site_key.keys()
    if history[first[0]].site not in ruling.names_by_site_key or standing.state(first[0]) is State.CONTESTED:
        return False
    forked_at = history.forks.get(seen.feed)
    return forked_at is None or seen.number < forked_at


# ---------------------------------------------------------------------------------------------------- newcomers


def let_in_by(site: str, standing: Standing) -> tuple[Vote, ...]:
    """Return the votes for the first version of the ruling line that names a site's key, of those who still are members.

    None for a founder, or for a site that recovery keys let in.
    """
    first = next((one for one in standing.line.versions if site in one.names_by_site_key), None)
    if first is None or first.previous is None:
        return ()
    members = standing.charter.names_by_site_key
    voters = {m.name for m in standing.charters[first.previous].members if m.site_key in members}
    return tuple(vote for vote in standing.votes if vote.charter == first.digest and vote.voter in voters)


def claims_before(vote: Digest, history: History) -> dict[str, Claim]:
    """Return the highest head of each feed that a voter had witnessed when it voted, its own vote among them."""
    found: dict[str, Claim] = {}
    for entry in history.chain(vote):
        commit = entry.commit
        own = Seen(commit.feed, commit.number, commit.digest)
        for seen in (own, *commit.seen):
            if seen.feed not in found or seen.number > found[seen.feed].seen.number:
                found[seen.feed] = Claim(seen, commit.digest, commit.charter)
    return found


def must_know(known_to: Mapping[str, Mapping[str, Claim]], history: History, standing: Standing) -> tuple[Unheard, ...]:
    """Return what a newcomer must still hear of before it begins: of each feed, what more than half knew of those who let it in.

    Any commit of the number ends that: another one than was witnessed proves a fork, or a false witness.

    Args:
        known_to: By voter, by feed: what :func:`claims_before` found.
        history: What is known here.
        standing: What it is worth.
    """
    missing = []
    for feed in sorted({feed for claims in known_to.values() for feed in claims}):
        knew = {voter: claims[feed] for voter, claims in known_to.items() if feed in claims}
        if 2 * len(knew) <= len(known_to):
            continue
        needed = sorted(knew.values(), key=lambda claim: claim.seen, reverse=True)[len(known_to) // 2]
        number = needed.seen.number
        if not history.at(feed, number) and _is_missed(needed, history, standing):
            enough = [voter for voter, claim in knew.items() if claim.seen.number >= number]
            missing.append(_unheard(feed, {voter: [needed] for voter in enough}, history, standing))
    return tuple(missing)
