"""Exchange: what do you lack, who has it.

The negotiation is pure: it compares a history with a peer's heads and says what to ask. A :class:`Peer` only carries
bytes, and nothing that it carries is believed. Sealing, and the remotes that reach other machines, stand behind this
seam.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, runtime_checkable

from imagiq.bench import Bench
from imagiq.errors import BudgetSpent, Corrupt, Refused, Unsupported
from imagiq.federation import State
from imagiq.history import History
from imagiq.objects import Digest, digest_of

__all__ = ["Ask", "BenchPeer", "Peer", "asks", "pull"]

CHARTER_LIMIT = 2**20
BATCH = 256
IDLE_BATCHES = 16
HEADS_LIMIT = 65_536
"""So many heads of one peer are looked at; a federation has at most some thousand feeds."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A wish for the part of a feed that ends at ``head``, down to any commit in ``have``."""

    head: Digest
    have: frozenset[Digest]


class Peer(Protocol):
    """Somewhere to learn from.

    Contract: what it answers may be late, partial, repeated, in any order, or garbage; the one who asks checks
    everything. It raises :class:`~imagiq.errors.Unreachable` when it does not answer, at any point; what came before
    stays good. It never blocks for ever.
    """

    @property
    def name(self) -> str:
        """What the peer is called; limits are counted by it."""

    def heads(self) -> Mapping[str, tuple[Digest, ...]]:
        """Return the last commits of each feed that the peer knows: usually one each."""

    def commits(self, ask: Ask) -> Iterable[bytes]:
        """Return the bytes of the commits asked for, usually the earliest first; none if the head is not known."""

    def fetch(self, digest: Digest, limit: int) -> bytes | None:
        """Return an object other than a commit, of at most ``limit`` bytes; None if the peer has none such."""


@runtime_checkable
class Paged(Protocol):
    """A peer that shows a long history a part at a time, so that its reader needs little memory."""

    @property
    def behind(self) -> bool:
        """Whether there is more than :meth:`Peer.heads` has told of yet; it ends."""


def asks(history: History, theirs: Mapping[str, tuple[Digest, ...]], missing: Iterable[Digest] = ()) -> list[Ask]:
    """Return what to ask of a peer with these heads.

    Args:
        history: What is known here.
        theirs: The peer's heads.
        missing: Commits that others which wait here name.
    """
    unknown = sorted((feed, head) for feed, heads in theirs.items() for head in heads if head not in history)
    wishes = [Ask(head, frozenset(history.heads.get(feed, ()))) for feed, head in unknown[:HEADS_LIMIT]]
    named = sorted(set(missing))
    everything = frozenset(head for heads in history.heads.values() for head in heads) if named else frozenset()
    return wishes + [Ask(digest, everything) for digest in named]


class BenchPeer:
    """A bench as others may see it: the exchange between sites on one machine, and the far end of every remote.

    Of what is void it shows only what something else stands on, and what proves that a key was used twice.
    """

    def __init__(self, name: str, bench: Bench) -> None:
        self._name = name
        self._bench = bench
        self._shown: tuple[tuple[int, int], dict[str, tuple[Digest, ...]]] = ((0, 0), {})

    @property
    def name(self) -> str:
        """What the peer is called."""
        return self._name

    def heads(self) -> Mapping[str, tuple[Digest, ...]]:
        """Return the last commits of each feed that are not void, and those that prove something against its owner."""
        state = (len(self._bench.history), self._bench.standing.epoch)
        if self._shown[0] != state:
            self._shown = (state, self._heads())
        return self._shown[1]

    def _heads(self) -> dict[str, tuple[Digest, ...]]:
        history = self._bench.history
        shown: dict[str, set[Digest]] = {}
        for feed, heads in history.heads.items():
            alive = {last for head in heads if (last := self._last_not_void(head)) is not None}
            if alive:
                shown[feed] = alive | self._fork_of(feed)
        for feed in list(shown):
            first = history[history.at(feed, 1)[0]]
            for twin in history.certified(first.site, first.certificate) - shown.keys():
                shown[twin] = {history.at(twin, 1)[0]}
        return {feed: tuple(sorted(heads)) for feed, heads in shown.items()}

    def _fork_of(self, feed: str) -> set[Digest]:
        """Return the first two commits of one number, if there are: either may be void, but both prove the fork."""
        forked_at = self._bench.history.forks.get(feed)
        return set() if forked_at is None else set(self._bench.history.at(feed, forked_at)[:2])

    def _last_not_void(self, head: Digest) -> Digest | None:
        if self._bench.standing.state(head) is not State.VOID:
            return head
        chain = self._bench.history.chain(head)
        return next((e.digest for e in chain if self._bench.standing.state(e.digest) is not State.VOID), None)

    def commits(self, ask: Ask) -> Iterable[bytes]:
        """Return the commits asked for, the earliest first."""
        if ask.head not in self._bench.history:
            return []
        found = []
        for entry in self._bench.history.chain(ask.head):
            if entry.digest in ask.have:
                break
            found.append(entry.commit.raw)
        return reversed(found)

    def fetch(self, digest: Digest, limit: int) -> bytes | None:
        """Return an object's bytes, None if it is not here."""
        return self._bench.models.fetch(digest, limit)


def pull(bench: Bench, peer: Peer) -> int:
    """Learn from a peer what it knows and this bench does not: commits and charters, never blobs.

    Returns:
        How many commits were admitted.

    Raises:
        Unreachable: the peer, or the own disk, failed; what came before is kept.
    """
    before = len(bench.history)
    _pull_once(bench, peer)
    while isinstance(peer, Paged) and peer.behind:
        _pull_once(bench, peer)
    return len(bench.history) - before


def _pull_once(bench: Bench, peer: Peer) -> None:
    wishes = asks(bench.history, peer.heads(), bench.waiting.missing)
    while wishes:
        known, waiting = len(bench.history), len(bench.waiting)
        _take(bench, peer.name, _in_turns(bench, [_answer(peer, ask) for ask in wishes]))
        for digest in sorted(bench.waiting.missing):
            raw = peer.fetch(digest, CHARTER_LIMIT)
            if raw is not None:
                _admit_charter(bench, digest, raw, peer.name)
        if (known, waiting) == (len(bench.history), len(bench.waiting)):
            break
        wishes = asks(bench.history, {}, bench.waiting.missing)


def _take(bench: Bench, source: str, answer: Iterator[bytes]) -> None:
    """Admit what a peer answers, a batch at a time, until it ends or has brought nothing new for long."""
    idle = 0
    while idle < IDLE_BATCHES:
        known = len(bench.history) + len(bench.waiting)
        if len(bench.admit(islice(answer, BATCH), source)) < BATCH:
            return
        idle = 0 if len(bench.history) + len(bench.waiting) != known else idle + 1


def _answer(peer: Peer, ask: Ask) -> Iterator[bytes]:
    """Ask when the first commit is wanted, not before."""
    yield from peer.commits(ask)


def _in_turns(bench: Bench, answers: Sequence[Iterator[bytes]]) -> Iterator[bytes]:
    """Yield the commits of several feeds, one of each in turn; a feed whose last commit waits stands back.

    Feeds name each other's commits. Feed by feed, a long history would wait for its last feed, and more would have to
    wait than there is room for.
    """
    last: list[Digest | None] = [None] * len(answers)
    open_feeds = list(range(len(answers)))
    while open_feeds:
        ready = [feed for feed in open_feeds if last[feed] not in bench.waiting]
        for feed in ready or list(open_feeds):
            raw = next(answers[feed], None)
            if raw is None:
                open_feeds.remove(feed)
            else:
                last[feed] = digest_of(raw)
                yield raw


def _admit_charter(bench: Bench, digest: Digest, raw: bytes, source: str) -> None:
    try:
        bench.admit_charter(raw)
    except Unsupported as error:
        if digest_of(raw) == digest:
            bench.unread.note(digest, _site_that_names(bench, digest), source, error)
    except (BudgetSpent, Corrupt, Refused):
        return


def _site_that_names(bench: Bench, digest: Digest) -> str:
    """Return the key of a site whose commit waits for an object; "": none whose feed is known."""
    firsts = (bench.history.at(commit.feed, 1) for commit in bench.waiting.waiting_for(digest))
    return next((bench.history[first[0]].site for first in firsts if first), "")
