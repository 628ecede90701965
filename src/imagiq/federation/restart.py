"""Restart: may a site go on in its feed, or was its store put back to an older state?

A store that was restored from a backup, or copied, lacks commits that its site has published. Going on in its feed would
give a second commit to a number that is taken: proof against the site that it used a key twice. Two witnesses know
better than the store: other sites, and the high-water mark that the site keeps outside the store.

The mark is written after a commit is durable, and before it is visible to others and before the next one is written:

    published commits  <=  mark  <=  commits in the store

So a crash leaves a mark that is behind the store by one commit at most, and who lost nothing goes on; a site that goes on
brings its mark up to its head first. A mark that names a commit which the store has not proves that the store is an old
one. A mark that is further behind was not left by a crash: it is itself an old one, or the store is another's, and it
witnesses nothing. A feed that is opened is marked at number 0, after its key is durable and before anything is written in
it: a site that had to open a feed and was stopped before it wrote there goes on, too.
"""

from __future__ import annotations

from collections.abc import Collection, Container
from dataclasses import dataclass
from typing import TypeAlias

from imagiq.objects import Digest

__all__ = ["Continue", "Head", "OpenFeed", "ReadOnly", "Start", "at_start"]


@dataclass(frozen=True, slots=True)
class Head:
    """The last commit of a feed, as far as somebody knows: the feed, its number, its name.

    Number 0, with the feed in the place of the commit: the feed is open, and nothing is written in it.
    """

    feed: str
    number: int
    commit: Digest


@dataclass(frozen=True, slots=True)
class Continue:
    """The site goes on in the feed of its store."""


@dataclass(frozen=True, slots=True)
class OpenFeed:
    """The site opens a new feed: its certificate's ``number``, and where the feed before it ends, if one is known."""

    number: int
    ends: Digest | None


@dataclass(frozen=True, slots=True)
class ReadOnly:
    """The site reads and evaluates, and writes nothing until it has an answer or a bundle. ``why``: for people."""

    why: str


Start: TypeAlias = Continue | OpenFeed | ReadOnly


def at_start(
    own: Head, *, known: Container[Digest], told: Collection[Head] | None, mark: Head | None, certificates: int
) -> Start:
    """Return how a site starts.

    Args:
        own: The head of the feed that its store writes, before it learnt anything from others.
        known: The commits in its store, before it learnt anything from others.
        told: The heads of this site's feeds that other sites have shown, verified commits and no mere claims: anyone
            can claim, only the site's own keys can have signed. None: nobody answered.
        mark: The high-water mark; None: there is none.
        certificates: The highest number of a certificate of this site's feeds, known here or shown by others.
    """
    lost = [head for head in told or () if head.commit not in known]
    restored = mark is not None and _is_ahead(mark, own, known)
    if told is not None:
        if not lost and not restored:
            return Continue()
        heads = [head for head in (own, mark, *lost) if head is not None and head.number]
        return OpenFeed(certificates + 1, _end_of_last_feed(heads, own))
    if restored:
        return ReadOnly("The store is older than the site's high-water mark, and no other site answers.")
    if _follows_mark(own, mark, certificates):
        return Continue()
    if mark is None:
        return ReadOnly("The site's high-water mark is missing, and no other site answers.")
    return ReadOnly("The site's high-water mark is not that of this store, and no other site answers.")


def _is_ahead(mark: Head, own: Head, known: Container[Digest]) -> bool:
    """Tell whether a mark is of something that the store has not."""
    return mark.commit not in known if mark.number else mark.feed != own.feed


def _follows_mark(own: Head, mark: Head | None, certificates: int) -> bool:
    """Tell whether a store's head is the commit marked, or the one after it."""
    if mark is None:
        return own.number == 0 and certificates == 0
    if mark.feed != own.feed:
        return own.number == 0
    return own.commit == mark.commit or own.number == mark.number + 1


def _end_of_last_feed(heads: list[Head], own: Head) -> Digest | None:
    """Return the last known commit of the feed that the new one follows."""
    others = [head for head in heads if head.feed != own.feed]
    last = max(others or heads, key=lambda head: (head.number, head.commit), default=None)
    return None if last is None else last.commit
