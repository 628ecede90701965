"""The history: a grow-only set of commits, with feeds, heads, forks and causal order.

Pure: no I/O, no clock, no trust. What is added has been verified and admitted before, and names only commits that were
added before. Every answer depends on the set alone, not on the order in which it grew.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imagiq.errors import Misuse, NotFound
from imagiq.objects import Commit, Digest

__all__ = ["Entry", "History"]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A commit in its place.

    Attributes:
        commit: The commit.
        height: One more than the highest of its previous and parents; computed, never claimed.
        site: Public key of the site whose feed it stands in.
        certificate: Number of the feed's certificate.
    """

    commit: Commit
    height: int
    site: str
    certificate: int

    @property
    def digest(self) -> Digest:
        """The commit's name."""
        return self.commit.digest

    @property
    def order(self) -> tuple[int, Digest]:
        """Its place in causal order: height, ties by digest."""
        return (self.height, self.commit.digest)


class History:
    """All commits that a site knows."""

    def __init__(self) -> None:
        self._entries: dict[Digest, Entry] = {}
        self._places: dict[tuple[str, int], tuple[Digest, ...]] = {}
        self._heads: dict[str, tuple[Digest, ...]] = {}
        self._forked_at: dict[str, int] = {}
        self._feeds_of_certificates: dict[tuple[str, int], frozenset[str]] = {}
        self._feeds_of_sites: dict[str, tuple[str, ...]] = {}

    def __len__(self) -> int:
        """Return how many commits are known."""
        return len(self._entries)

    def __contains__(self, digest: object) -> bool:
        """Tell whether a commit is known."""
        return digest in self._entries

    def __iter__(self) -> Iterator[Entry]:
        """Yield all entries, each after what it names."""
        return iter(self._entries.values())

    def __getitem__(self, digest: Digest) -> Entry:
        """Return the entry of a known commit.

        Raises:
            NotFound: it is not known.
        """
        entry = self._entries.get(digest)
        if entry is None:
            raise NotFound("commit-unknown", f"Commit {digest[:12]} is not known here.", "Sync, or check the name.")
        return entry

    def get(self, digest: Digest) -> Entry | None:
        """Return the entry of a commit, None if it is not known."""
        return self._entries.get(digest)

    def missing(self, commit: Commit) -> tuple[Digest, ...]:
        """Return which of the commits that this one names as previous or parents are not known."""
        named = (() if commit.previous is None else (commit.previous,)) + tuple(p.commit for p in commit.parents)
        return tuple(digest for digest in named if digest not in self._entries)

    def add(self, commit: Commit) -> Entry:
        """Add an admitted commit; adding it again changes nothing.

        Raises:
            Misuse: it names a commit that was not added, or does not follow its previous.
        """
        known = self._entries.get(commit.digest)
        if known is not None:
            return known
        if self.missing(commit):
            raise Misuse("history-order", f"{commit!r} names commits that are not known.", "Add those first.")
        entry = self._placed(commit)
        self._entries[commit.digest] = entry
        self._note_place(entry)
        return entry

    def _placed(self, commit: Commit) -> Entry:
        heights = [self._entries[parent.commit].height for parent in commit.parents]
        if commit.previous is None:
            if commit.certificate is None:
                raise Misuse("history-feed", f"{commit!r} begins a feed without a certificate.", "Certify the feed.")
            return Entry(commit, 1 + max(heights, default=0), commit.certificate.site, commit.certificate.number)
        previous = self._entries[commit.previous]
        if previous.commit.feed != commit.feed or previous.commit.number + 1 != commit.number:
            raise Misuse("history-feed", f"{commit!r} does not follow its previous.", "It should have been refused.")
        return Entry(commit, 1 + max([previous.height, *heights]), previous.site, previous.certificate)

    def _note_place(self, entry: Entry) -> None:
        commit = entry.commit
        feed, place = commit.feed, (commit.feed, commit.number)
        there = self._places.get(place, ())
        self._places[place] = tuple(sorted((*there, commit.digest)))
        if there:
            self._forked_at[feed] = min(commit.number, self._forked_at.get(feed, commit.number))
        heads = self._heads.get(feed, ())
        self._heads[feed] = tuple(sorted((*(head for head in heads if head != commit.previous), commit.digest)))
        if commit.number == 1:
            numbered = (entry.site, entry.certificate)
            self._feeds_of_certificates[numbered] = self._feeds_of_certificates.get(numbered, frozenset()) | {feed}
            self._feeds_of_sites[entry.site] = tuple(sorted({*self._feeds_of_sites.get(entry.site, ()), feed}))

    @property
    def heads(self) -> Mapping[str, tuple[Digest, ...]]:
        """The last commits of each feed: one, or more where it forks."""
        return self._heads

    @property
    def forks(self) -> Mapping[str, int]:
        """The feeds that fork, each with the first number that two commits have."""
        return self._forked_at

    def at(self, feed: str, number: int) -> tuple[Digest, ...]:
        """Return the commits of a feed that have this number: none, one, or more where it forks."""
        return self._places.get((feed, number), ())

    def feeds_of(self, site: str) -> tuple[str, ...]:
        """Return the feeds that a site's key has certified, sorted."""
        return self._feeds_of_sites.get(site, ())

    def certified(self, site: str, number: int) -> frozenset[str]:
        """Return the feeds that a site's key has certified under one number: more than one is a fork."""
        return self._feeds_of_certificates.get((site, number), frozenset())

    def next_certificate(self, site: str) -> tuple[int, Digest | None]:
        """Return the number of the certificate of a site's next feed, and where the feed before it ends."""
        ends = [max((self[head] for head in self._heads[feed]), key=lambda e: e.order) for feed in self.feeds_of(site)]
        last = max(ends, key=lambda entry: (entry.certificate, entry.order), default=None)
        return (1, None) if last is None else (last.certificate + 1, last.digest)

    def chain(self, head: Digest) -> Iterator[Entry]:
        """Yield a commit, its previous, and so on to the feed's first."""
        at: Digest | None = head
        while at is not None:
            entry = self[at]
            yield entry
            at = entry.commit.previous

    def ancestors(self, digest: Digest) -> Iterator[Entry]:
        """Yield every commit that this one was made from, directly or not, each once, the highest first.

        Models stand on their parents; what only stands before them in the feed is no ancestor.
        """
        found = {parent.commit for parent in self[digest].commit.parents}
        waiting = [(-self[parent].height, parent) for parent in found]
        heapq.heapify(waiting)
        while waiting:
            entry = self[heapq.heappop(waiting)[1]]
            yield entry
            for parent in entry.commit.parents:
                if parent.commit not in found:
                    found.add(parent.commit)
                    heapq.heappush(waiting, (-self[parent.commit].height, parent.commit))

    def newest_first(self) -> list[Entry]:
        """Return all entries, the last in causal order first."""
        return sorted(self._entries.values(), key=lambda entry: entry.order, reverse=True)
