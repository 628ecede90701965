"""A small federation to measure with: keys from a seed, a founding charter, and everybody's vote for it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from imagiq.bench import Author
from imagiq.federation import vote_recipe
from imagiq.keys import FeedKey, SiteKey, certify, sign_commit
from imagiq.objects import Charter, Commit, Draft, Member

__all__ = ["Founded", "found"]

CREATED = "2000-01-01T00:00:00Z"


@dataclass(frozen=True, kw_only=True)
class Founded:
    """A federation whose charter is in force once the votes are admitted.

    Attributes:
        charter: Version 1.
        authors: The keys of each site, by name, in order.
        votes: The first commit of each site's feed, in the same order.
    """

    charter: Charter
    authors: dict[str, Author]
    votes: Sequence[Commit]


def found(sites: int) -> Founded:
    """Return a federation of this many sites, the same one at every call."""
    names = [f"site-{number:03}" for number in range(sites)]
    authors = {name: Author(SiteKey(_seed(f"site {name}")), FeedKey(_seed(f"feed {name}"))) for name in names}
    charter = Charter(
        title="benchmark",
        members=tuple(
            Member(name, author.site.public, author.site.exchange_public) for name, author in authors.items()
        ),
        voters=tuple(names),
    )
    return Founded(charter=charter, authors=authors, votes=[_vote(charter, author) for author in authors.values()])


def _vote(charter: Charter, author: Author) -> Commit:
    feed = author.feed.public
    certificate = certify(author.site, federation=charter.digest, feed=feed, number=1, ends=None)
    draft = Draft(
        federation=charter.digest,
        charter=charter.digest,
        feed=feed,
        number=1,
        recipe=vote_recipe(charter.digest, 1),
        created=CREATED,
        certificate=certificate,
    )
    return sign_commit(draft, author.feed)


def _seed(purpose: str) -> bytes:
    return hashlib.sha256(f"imagiq benchmark\n{purpose}".encode()).digest()
