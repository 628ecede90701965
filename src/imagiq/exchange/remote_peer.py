"""A remote as a peer: whoever writes there, whenever, answers through it."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Final, Self

from imagiq.bench import Bench, Want
from imagiq.bench.admission import charters_named
from imagiq.clock import Clock
from imagiq.exchange.peers import Ask
from imagiq.exchange.remote import Remote
from imagiq.exchange.ring import Held, Keyring
from imagiq.exchange.shelf import Shelf
from imagiq.exchange.turns import Turns
from imagiq.history import History
from imagiq.objects import Commit, Digest

__all__ = ["RemotePeer"]

SIDE_BY_SIDE: Final = 8
"""So many things are fetched at a time; of blobs that is at most 32 MiB."""
KEYS_TRIED: Final = 8


class RemotePeer:
    """The sites that exchange through one remote, as a :class:`~imagiq.exchange.Peer`.

    Args:
        remote: The remote.
        bench: The bench of this site: what is known is not read again.
        ring: This site's keyring.
        clock: For :attr:`news_s`.
        wait_s: How long :meth:`heads` waits for news if there are none.
        read_only: Whether nothing shall be published there.
        turns: Of the bench, if several threads work there: whoever waits for the remote steps aside. The peer itself is for
            one thread at a time.
    """

    def __init__(
        self,
        remote: Remote,
        bench: Bench,
        ring: Keyring,
        *,
        clock: Clock,
        wait_s: float = 0.0,
        read_only: bool = False,
        turns: Turns | None = None,
    ) -> None:
        self.wait_s = wait_s
        self.read_only = read_only
        self.turns = turns or Turns()
        self.pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="exchange")
        self.shelf = Shelf(remote, bench, ring, clock=clock, pool=self.pool, turns=self.turns)
        self._bench = bench
        self._ring = ring
        self._history: History | None = None
        self._entries = 0
        self._commits_of: dict[Digest, list[Digest]] = {}
        self._learnt: set[Digest] = set()
        self._named_by: dict[Digest, set[Digest]] = {}

    @property
    def name(self) -> str:
        """What the remote is called."""
        return self.shelf.remote.name

    @property
    def news_s(self) -> Mapping[str, float]:
        """When something new of each site came by this remote, by site key, on the clock that was given."""
        return self.shelf.news_s

    @property
    def writers(self) -> Collection[str]:
        """The keys of the sites that have put commits there, their own or others'."""
        return self.shelf.writers

    @property
    def behind(self) -> bool:
        """Whether the remote lists more commits than were read: ask again at once."""
        return self.shelf.behind

    @property
    def again_s(self) -> float | None:
        """When to ask again for what could not be read, although the remote tells of no news; None: all was read."""
        return self.shelf.again_s

    def heads(self) -> Mapping[str, tuple[Digest, ...]]:
        """Look what is new, and return the last of the new commits of each feed."""
        self.shelf.look(wait_s=self.wait_s)
        fresh = self.shelf.fresh
        named = {found.commit.previous for found in fresh.values()}
        heads: dict[str, list[Digest]] = {}
        for digest, found in fresh.items():
            if digest not in named:
                heads.setdefault(found.commit.feed, []).append(digest)
        return {feed: tuple(sorted(last)) for feed, last in heads.items()}

    def commits(self, ask: Ask) -> Iterable[bytes]:
        """Return the new commits on the chain that ends at the head, the earliest first."""
        chain = []
        at: Digest | None = ask.head
        while at is not None and at not in ask.have and (found := self.shelf.fresh.get(at)) is not None:
            found.offers += 1
            chain.append(found.commit.raw)
            at = found.commit.previous
        return reversed(chain)

    # ----------------------------------------------------------------------------------------------- objects

    def fetch(self, digest: Digest, limit: int) -> bytes | None:
        """Return an object other than a commit, from whoever has it."""
        keys = self._keys_for(digest)
        return self.shelf.fetch(digest, limit, keys) if keys else None

    def fetch_many(self, wants: Iterable[Want], *, again: bool = False) -> Iterator[tuple[Want, bytes | None]]:
        """Yield objects in the order of the wishes, fetched side by side; few are held at a time.

        A thread that has not the turn at the bench may ask, while the peer is used by another that has it.

        Args:
            wants: The wishes.
            again: Ask also for what was not there before, although the remote tells of no news.

        Raises:
            Unreachable: the remote does not answer.
        """
        fetch = partial(self.shelf.fetch, again=again)
        under_way: deque[tuple[Want, Future[bytes | None]]] = deque()
        try:
            for want in wants:
                with self.turns.mine():
                    keys = self._keys_for(want.digest)
                under_way.append((want, self.pool.submit(fetch, want.digest, want.limit, keys)))
                if len(under_way) >= SIDE_BY_SIDE:
                    yield self._fetched(under_way)
            while under_way:
                yield self._fetched(under_way)
        finally:
            with self.turns.aside():
                wait([future for _, future in under_way if not future.cancel()])

    def _fetched(self, under_way: deque[tuple[Want, Future[bytes | None]]]) -> tuple[Want, bytes | None]:
        want, future = under_way.popleft()
        with self.turns.aside():
            return want, future.result()

    def _keys_for(self, digest: Digest) -> list[Held]:
        """Return what an object may be sealed under: the keys of the commits that name it."""
        self._learn_commits()
        if digest not in self._commits_of and digest not in self._named_by:
            self._learn_trees()
        trees = [digest] if digest in self._commits_of else sorted(self._named_by.get(digest, ()))
        keys: dict[str, Held] = {}
        for commit in (commit for tree in trees for commit in self._commits_of[tree]):
            seen = [self._ring.get(key) for key in self._ring.sealed_as.get(commit, ())]
            author = self._bench.history[commit].site
            for held in (*filter(None, seen), *self._ring.of(author, "commits")[:KEYS_TRIED]):
                models = held.statement.models
                found = self._ring.get(models) or (models and self._find_models_key(models, author))
                if found:
                    keys[found.key.id] = found
        return list(keys.values()) if trees else self._keys_for_charter(digest)

    def _find_models_key(self, key: str, author: str) -> Held | None:
        found = self.shelf.find_key(key, self._ring.federation.pseudonym(author))
        self._ring.save()
        return found

    def _keys_for_charter(self, digest: Digest) -> list[Held]:
        keys: dict[str, Held] = {}
        for commit, _ in self._bench.waiting.commits():
            if digest in charters_named(commit):
                for key in self._ring.sealed_as.get(commit.digest, ()):
                    if (held := self._ring.get(key)) is not None:
                        keys[key] = held
        return list(keys.values())

    def _learn_commits(self) -> None:
        """Learn which commits name a tree."""
        history = self._bench.history
        if history is not self._history:  # the store was read anew
            self._history, self._entries = history, 0
            self._commits_of.clear()
        if self._entries < len(history):
            for entry in islice(history, self._entries, None):
                if entry.commit.tree is not None:
                    self._commits_of.setdefault(entry.commit.tree, []).append(entry.digest)
            self._entries = len(history)

    def _learn_trees(self) -> None:
        """Learn what those trees name that are held, and whose models are not complete and may be wanted."""
        models = self._bench.models
        for tree, commits in self._commits_of.items():
            settled = all(c in models.complete or c in models.set_aside or c in models.forgotten for c in commits)
            if tree not in self._learnt and not settled and self._bench.store.has(tree):
                self._learnt.add(tree)
                parsed = models.tree(tree)
                for name in (parsed.schema, *parsed.blobs):
                    self._named_by.setdefault(name, set()).add(tree)

    # ------------------------------------------------------------------------------------------------- ending

    def commit_is_placed(self, commit: Commit) -> bool:
        """Tell whether a commit has been seen on the remote."""
        return commit.digest in self.shelf.placed

    def close(self) -> None:
        """Let go of the threads, then of the remote."""
        self.pool.shutdown(cancel_futures=True)
        self.shelf.remote.close()

    def __enter__(self) -> Self:
        """Return the peer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
