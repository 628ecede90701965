"""The keys with which a site writes, and the charter under which it may."""

from __future__ import annotations

from dataclasses import dataclass

from imagiq.errors import Misuse, Refused
from imagiq.federation import Standing
from imagiq.keys import FeedKey, SiteKey
from imagiq.objects import Digest

__all__ = ["Author", "charter_to_write_under"]


@dataclass(frozen=True, slots=True)
class Author:
    """The keys with which a site writes: its own, and that of the feed of this store."""

    site: SiteKey
    feed: FeedKey


def charter_to_write_under(author: Author, standing: Standing, wanted: Digest | None) -> Digest:
    """Return the version that a commit is made under. ``wanted``: this one; None: the ruling one.

    Raises:
        Misuse: none rules yet.
        Refused: the site is no member by it.
    """
    ruling = standing.ruling
    under = wanted or (ruling.digest if ruling is not None else None)
    if under is None:
        raise Misuse("federation-not-founded", "Not all founders have voted for the charter yet.", "Sync, and wait.")
    if author.site.public not in standing.charters[under].names_by_site_key:
        raise Refused(
            "author-no-member",
            "This site is no member by the charter that its commit would name, so that everybody would refuse it.",
            "Ask the federation's voters to let it join.",
        )
    return under
