"""Fetching a model: from several peers side by side, checked before it counts, kept piece by piece.

Where receivers serve each other, each begins with another share of the pieces, drawn by rendezvous hashing from the
names of those that serve; so a model leaves its author about once, however many want it. Nobody depends on another
for that: while others bring nothing, all is asked of whoever has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from threading import Condition, Event
from typing import Final, Protocol, TypeAlias, runtime_checkable

from imagiq.bench import Bench, Want, Whole
from imagiq.errors import Unreachable
from imagiq.exchange.peers import Peer
from imagiq.objects import Digest

__all__ = ["Eager", "Fetched", "Written", "fetch_model"]

AT_ONCE_BYTES: Final = 32 * 2**20
"""So much is held in memory at most, beside what is on the line."""
PORTION: Final = 8
TICK_S: Final = 0.5
QUIET_TICKS: Final = 3
"""Who brings nothing for so long is not reckoned with."""
HELD_BACK_TICKS: Final = 20
"""So long, or as long as its own share took, an author is spared at most while others bring the rest."""

Pieces: TypeAlias = Generator[tuple[Want, Whole], None, None]
Aside: TypeAlias = Callable[[], AbstractContextManager[None]]
Batches: TypeAlias = Generator[list[tuple[Want, Whole]], None, None]


@runtime_checkable
class Eager(Protocol):
    """A peer that can fetch several things side by side."""

    def fetch_many(self, wants: Iterable[Want], *, again: bool = False) -> Iterator[tuple[Want, bytes | None]]:
        """Yield what :meth:`Peer.fetch` would return for each wish, in their order; ``again``: it was not there."""


@runtime_checkable
class Written(Protocol):
    """A peer that knows who writes where it looks."""

    @property
    def writers(self) -> Collection[str]:
        """The keys of the sites that write there."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Progress: so many bytes of the tensors that a model lacked are here now."""

    done: int
    lacked: int


def fetch_model(
    bench: Bench,
    commit: Digest,
    peers: Sequence[Peer],
    *,
    progress: Callable[[Fetched], None] = lambda _: None,
    kept: Callable[[Sequence[Digest]], None] = lambda _: None,
    aside: Aside = nullcontext,
) -> bool:
    """Fetch what the model of a commit lacks; tell whether it is complete.

    Pieces are kept as they come: little memory is held, and what was fetched before a cut stays.

    Args:
        bench: Where it is lacking.
        commit: An admitted commit.
        peers: Whom to ask. What one does not give, the others are asked for; who is slow holds nobody up.
        progress: Called as soon as it is known how much is lacking, and as that is kept.
        kept: Called with the names of what is kept.
        aside: Entered while this thread waits: others may work at the bench meanwhile.

    Raises:
        Unreachable: no peer answers any more, or the own disk failed; what came before is kept.
    """
    entry = bench.history[commit]
    me = "" if bench.author is None else bench.author.site.public
    bench.models.ask_back(commit)
    useful = [peer for peer in peers if not isinstance(peer, Written) or set(peer.writers) != {me}] or list(peers)
    while wants := bench.models.lacking(entry.commit):
        lacked, done = sum(want.limit for want in wants), 0
        is_known = bench.models.lacks_only_blobs(entry.commit)
        if is_known:
            progress(Fetched(0, lacked))
        if len(useful) == 1:
            batches = _batches(_asked(useful[0], wants))
        elif len(wants) == 1:
            batches = _Race(wants, useful, author="", me=me, aside=aside).run()  # of one piece nobody is spared
        else:
            batches = _Race(wants, useful, author=entry.site, me=me, aside=aside).run()
        with closing(batches):
            for batch in batches:
                bench.models.receive(found for _, found in batch)
                done += sum(want.limit for want, _ in batch)
                kept([want.digest for want, _ in batch])
                if is_known:
                    progress(Fetched(done, lacked))
        if done == 0:
            return False
    return bench.settle(commit)


def _batches(pieces: Iterable[tuple[Want, Whole]]) -> Batches:
    """Yield pieces that are kept together; those that came before a line broke, too."""
    batch: list[tuple[Want, Whole]] = []
    size = 0
    try:
        for piece in pieces:
            batch.append(piece)
            size += len(piece[1].raw)
            if size >= AT_ONCE_BYTES:
                yield batch
                batch, size = [], 0
    except Unreachable:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _asked(peer: Peer, wants: Iterable[Want], *, again: bool = False) -> Pieces:
    """Yield what a peer gives and what is what it is called."""
    if isinstance(peer, Eager):
        answers = peer.fetch_many(wants, again=again)
    else:
        answers = ((want, peer.fetch(want.digest, want.limit)) for want in wants)
    for want, raw in answers:
        if (found := want.met_by(raw)) is not None:
            yield want, found


class _Race:
    """Several peers that bring the pieces of one model.

    Each has a thread that asks for a few pieces at a time which nobody else is asked for. A peer that lacks a piece
    leaves it to the others. Where an author and other receivers can be asked, the author is asked first for the pieces
    that this site is first to fetch, and spared for the rest as long as others bring some.
    """

    def __init__(
        self, wants: Sequence[Want], peers: Sequence[Peer], *, author: str, me: str, aside: Aside = nullcontext
    ) -> None:
        self._peers = peers
        self._aside = aside
        written = {n: set(peer.writers) for n, peer in enumerate(peers) if isinstance(peer, Written)}
        serving = {n: sites for n, sites in written.items() if author not in sites and sites - {me}}
        self._spared = {n for n, sites in written.items() if author in sites} if serving else set()
        rivals = set().union(*serving.values()) - {author, me}
        self._ranks = {want.digest: _rank(want.digest, me, rivals) for want in wants}
        self._left = {want.digest: want for want in sorted(wants, key=lambda want: self._ranks[want.digest])}
        self._lacks: list[set[Digest]] = [set() for _ in peers]
        self._asked: dict[Digest, tuple[int, int]] = {}
        self._live = set(range(len(peers)))
        self._came: list[tuple[Want, Whole]] = []
        self._held = 0
        self._tick = 0
        self._given_at = 0
        self._spared_since: int | None = None
        self._failed: list[Unreachable] = []
        self._is_over = False
        self._changed = Condition()

    def run(self) -> Batches:
        """Yield the pieces as they come, those together that came while the ones before were kept.

        Raises:
            Unreachable: all peers have failed, and something is lacking.
        """
        stopped = Event()
        pool = ThreadPoolExecutor(len(self._peers) + 1, thread_name_prefix="fetch")
        try:
            pool.submit(self._count_time, stopped)
            workers = [pool.submit(self._work, number) for number in range(len(self._peers))]
            while batch := self._next():
                yield batch
            for worker in workers:
                if worker.done():
                    worker.result()
            if self._left and len(self._failed) == len(self._peers):
                raise self._failed[-1]
        finally:
            stopped.set()
            with self._changed:
                self._is_over = True
                self._changed.notify_all()
            pool.shutdown(wait=False, cancel_futures=True)  # who is slow ends when its answer does

    def _next(self) -> list[tuple[Want, Whole]]:
        """Wait for pieces, and return those that are there; none: no more will come."""
        with self._aside(), self._changed:
            self._changed.wait_for(lambda: self._came or not self._live or not self._left)
            batch, self._came, self._held = self._came, [], 0
            self._changed.notify_all()
            return batch

    def _count_time(self, stopped: Event) -> None:
        """Give those who serve another chance now and then, and end all waiting."""
        while not stopped.wait(TICK_S):
            with self._changed:
                self._tick += 1
                if any(self._left.keys() - self._lacks[number] for number in self._live & self._spared):
                    for number in self._live - self._spared:
                        self._lacks[number].clear()
                self._changed.notify_all()

    def _work(self, number: int) -> None:
        """Ask one peer, until there is nothing more to ask it for."""
        try:
            while (wants := self._portion(number)) is not None:
                for want, found in _asked(self._peers[number], wants, again=self._tick > 0):
                    self._take(number, want, found)
                    if self._is_over:
                        return
                self._miss(number, wants)
        except Unreachable as error:
            self._failed.append(error)
        finally:
            with self._changed:
                self._live.discard(number)
                self._asked = {digest: by for digest, by in self._asked.items() if by[0] != number}
                self._changed.notify_all()

    def _portion(self, number: int) -> list[Want] | None:
        """Wait until there is something to ask a peer for; None: there will be nothing."""
        with self._changed:
            while not self._is_over and self._left:
                found = [] if self._held > AT_ONCE_BYTES else self._open_to(number)
                if found:
                    self._asked |= dict.fromkeys((want.digest for want in found), (number, self._tick))
                    return found
                if not self._asked and all(self._left.keys() <= self._lacks[live] for live in self._live):
                    return None
                self._changed.wait()
            return None

    def _open_to(self, number: int) -> list[Want]:
        """Return what to ask a peer for next: what nobody is asked for; at the end, what others are slow to bring."""
        lacks = self._lacks[number]
        free = [want for want in self._left.values() if want.digest not in lacks and want.digest not in self._asked]
        if not free:
            return [want for want in self._left.values() if want.digest not in lacks and self._is_late(want, number)][
                :1
            ]
        if number in self._spared and not self._asks_for_all():
            free = [want for want in free if self._ranks[want.digest] == 0]
        return free[:PORTION]

    def _asks_for_all(self) -> bool:
        """Tell whether an author is asked for what others are first to fetch: they had their time, or bring nothing."""
        if any(self._ranks[digest] == 0 for digest in self._left):
            return False
        if self._spared_since is None:
            self._spared_since = self._tick
        is_quiet = self._tick - self._given_at >= QUIET_TICKS or not self._live - self._spared
        had_their_time = self._tick - self._spared_since >= max(HELD_BACK_TICKS, self._spared_since)
        return is_quiet or had_their_time

    def _is_late(self, want: Want, number: int) -> bool:
        """Tell whether another peer than this one has been asked for a piece for some time."""
        by, since = self._asked.get(want.digest, (number, self._tick))
        return by != number and self._tick - since >= QUIET_TICKS

    def _take(self, number: int, want: Want, found: Whole) -> None:
        with self._changed:
            self._asked_no_more(number, want)
            if self._left.pop(want.digest, None) is not None and not self._is_over:
                self._came.append((want, found))
                self._held += len(found.raw)
                self._given_at = self._tick
            self._changed.notify_all()

    def _asked_no_more(self, number: int, want: Want) -> None:
        if self._asked.get(want.digest, (-1, 0))[0] == number:
            del self._asked[want.digest]

    def _miss(self, number: int, wants: Iterable[Want]) -> None:
        with self._changed:
            for want in wants:
                if want.digest in self._left:
                    self._lacks[number].add(want.digest)
                    self._asked_no_more(number, want)
            self._changed.notify_all()


def _rank(piece: Digest, me: str, rivals: Collection[str]) -> int:
    """Return how many others come before this site in fetching a piece; they reckon the same."""

    def draw(site: str) -> bytes:
        return hashlib.sha256(f"imagiq share\n{site}\n{piece}".encode()).digest()

    return sum(draw(rival) < draw(me) for rival in rivals)
