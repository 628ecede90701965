"""The pen: all that a site writes into its feed goes through here, one commit after the other.

It watches that no number is ever used twice: by a store that was put back to an older state, by a disk that fails in the
middle of a commit, by somebody else who has the feed's key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict, Unpack

from imagiq.bench import Author, Bench
from imagiq.errors import Misuse, Refused, Unreachable
from imagiq.exchange import Peer, pull
from imagiq.federation import Continue, Head, OpenFeed, ReadOnly, Start, State, at_start
from imagiq.history import Entry
from imagiq.keys import FeedKey
from imagiq.objects import Digest, Parent, Recipe, Tree
from imagiq.site.mark import HighWaterMark

__all__ = ["CommitFields", "Pen"]


class CommitFields(TypedDict, total=False):
    """What :meth:`Bench.commit` takes beside the recipe."""

    parents: Sequence[Parent]
    study: Digest | None
    tree: Tree | None
    action: Digest | None
    metrics: Mapping[str, str | int]
    cases: int | None
    charter: Digest | None
    sidecar: Mapping[str, bytes]


class Pen:
    """The one writer of a site's feed.

    Args:
        bench: Where commits are written.
        mark: The feed's high-water mark, outside the store.
        new_feed_key: Makes the key of a new feed, given its certificate's number.
    """

    def __init__(self, bench: Bench, mark: HighWaterMark, new_feed_key: Callable[[int], FeedKey]) -> None:
        self._bench = bench
        self._mark = mark
        self._new_feed_key = new_feed_key
        self._opened_with: tuple[Head, frozenset[Digest]] | None = None
        self._unmarked: Entry | None = None
        self.why_not: str | None = None
        """Why nothing may be written for now; None: it may."""

    def start(self, peers: Sequence[Peer]) -> Start:
        """Find out whether this store may be written to: it may be a restored backup, or a copy.

        Until this is known the site reads, and writes nothing. It is asked again at each sync.

        Args:
            peers: Whom to ask for this site's own feed.
        """
        self.hold()
        answered = [self._has_answered(peer) for peer in peers]
        return self.conclude(told=any(answered))

    def hold(self) -> None:
        """Write nothing until :meth:`conclude`; call it before anything is learnt from others."""
        self.why_not = "It is not known yet whether this store is an old one."
        self._held_at_opening()

    def conclude(self, *, told: bool) -> Start:
        """Say whether this store may be written to.

        Args:
            told: Whether another site has been asked for this site's own feed since :meth:`hold`, and has answered.
        """
        own, known = self._held_at_opening()
        site, history = self._author().site.public, self._bench.history
        heads = [head for one in history.feeds_of(site) for head in self._heads_of(one)]
        mark = self._mark.read()
        start = at_start(
            own,
            known=known,
            told=heads if told else None,
            mark=None if mark is None else Head(*mark),
            certificates=history.next_certificate(site)[0] - 1,
        )
        if isinstance(start, ReadOnly):
            self.why_not = start.why
            return start
        if isinstance(start, OpenFeed):
            self.open_feed()
        elif isinstance(start, Continue):
            self._mark.write((own.feed, own.number, own.commit))
        self._opened_with = self.why_not = None
        return start

    def _held_at_opening(self) -> tuple[Head, frozenset[Digest]]:
        """Return the own feed's head and all commits, as the store had them before others were asked.

        Others may have to be asked often: what one brought before its line broke was lost here all the same.
        """
        if self._opened_with is None:
            feed = self._author().feed.public
            unwritten = Head(feed, 0, Digest(feed))
            own = max(self._heads_of(feed), key=lambda head: (head.number, head.commit), default=unwritten)
            self._opened_with = own, frozenset(entry.digest for entry in self._bench.history)
        return self._opened_with

    def _author(self) -> Author:
        if self._bench.author is None:
            raise Misuse("bench-read-only", "This bench has no keys to write with.", "Open it as its site.")
        return self._bench.author

    def _heads_of(self, feed: str) -> list[Head]:
        commits = (self._bench.history[digest].commit for digest in self._bench.history.heads.get(feed, ()))
        return [Head(feed, commit.number, commit.digest) for commit in commits]

    def _has_answered(self, peer: Peer) -> bool:
        try:
            pull(self._bench, peer)
        except Unreachable:
            return False
        return True

    def commit(self, recipe: Recipe, **fields: Unpack[CommitFields]) -> Entry:
        """Write a commit; see :meth:`Bench.commit`.

        Raises:
            Refused: nothing may be written until it is known whether this store is an old one.
        """
        if self.why_not is not None:
            raise Refused("site-read-only", self.why_not, "Let the site reach another site, or apply a bundle.")
        self.settle_doubt()
        if any(self._bench.standing.state(head) is State.CONTESTED for head in self._own_heads()):
            self.open_feed()
        return self._marked(self._bench.commit(recipe, **fields))

    def settle_doubt(self) -> None:
        """Write the commit first that a failing disk may or may not have kept, and the mark that it did not take."""
        entry = self._bench.finish_in_doubt() or self._unmarked
        if entry is not None:
            self._marked(entry)

    def _marked(self, entry: Entry) -> Entry:
        """Raise the high-water mark, before anybody else sees the commit and before the next one."""
        self._unmarked = entry
        self._mark.write((entry.commit.feed, entry.commit.number, entry.digest))
        self._unmarked = None
        return entry

    def _own_heads(self) -> tuple[Digest, ...]:
        return self._bench.history.heads.get(self._author().feed.public, ())

    def open_feed(self) -> None:
        """Go on in a new feed, whose first commit will carry the next certificate.

        Raises:
            Unreachable: the disk does not take its key, or its mark; the site has opened no other feed.
        """
        author = self._author()
        number, _ = self._bench.history.next_certificate(author.site.public)
        key = self._new_feed_key(number)
        self._bench.store.secret_write("feed", key.seed)
        self._mark.write((key.public, 0, Digest(key.public)))
        self._bench.author = Author(author.site, key)
