"""Publishing: what a remote lacks of this site's commits, and of others' that it has seen nowhere there.

What a commit names comes before the commit, so that whoever finds it finds the rest. All names are decided by content:
what was put before is not put again, whoever put it and however often the work was cut off.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass
from itertools import islice
from secrets import token_hex
from typing import Final

from imagiq.bench import Bench
from imagiq.bench.admission import charters_named
from imagiq.errors import NotFound
from imagiq.exchange.remote import BLOBS, FEEDS, HEAD, KEYS, entry_name
from imagiq.exchange.remote_peer import RemotePeer
from imagiq.exchange.ring import Held, Own
from imagiq.exchange.sealing import sealed_size
from imagiq.federation import State
from imagiq.history import Entry, History
from imagiq.objects import Digest, Member, parse_tree
from imagiq.store import Store

__all__ = ["Published", "Publisher", "Sent"]

UNDER_WAY: Final = 8
"""So many objects are sealed and sent side by side: at most 32 MiB in memory, beside trees of very large models."""
CHECK_EVERY: Final = 64
BATCH: Final = 32


@dataclass(frozen=True, slots=True)
class Sent:
    """Something was put on a remote: progress for whoever watches. ``size``: its bytes, sealed."""

    name: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What one call of :meth:`Publisher.publish` did.

    Attributes:
        commits: How many commits were put.
        objects: How many other objects.
        size: The bytes of all.
        unsealed: How many commits of others could not be put, since no key of their authors is known here.
    """

    commits: int = 0
    objects: int = 0
    size: int = 0
    unsealed: int = 0


class Publisher:
    """Puts on a remote what it lacks.

    Args:
        peer: The remote as this site sees it.
        chooses: Whether the model of a commit goes with it, as far as it is held.
        progress: Called for each thing that was put, from any thread.
    """

    def __init__(
        self,
        peer: RemotePeer,
        *,
        chooses: Callable[[Entry], bool] = lambda _: True,
        progress: Callable[[Sent], None] = lambda _: None,
    ) -> None:
        self._peer = peer
        self._shelf = peer.shelf
        self._remote = peer.shelf.remote
        self._ring = peer.shelf.ring
        self._bench: Bench = peer.shelf.bench
        self._pool = peer.pool
        self._turns = peer.turns
        self._chooses = chooses
        self._progress = progress
        self._calls = 0
        self._history: History | None = None
        self._done = 0
        self._left: dict[Digest, Entry] = {}
        self._unsealed: dict[Digest, Entry] = {}
        self._there: dict[str, int] | None = None
        self._wrapped_for: Digest | None = None
        self._wrapped: set[str] = set()
        self._counts = {"commits": 0, "objects": 0, "size": 0}

    @property
    def _store(self) -> Store:
        return self._bench.store

    def publish(self, *, check: bool = False) -> Published:
        """Put what the remote lacks; it goes on where an earlier call was cut off.

        Args:
            check: Ask the remote first whether it still has what it took before.

        Raises:
            Unreachable: the remote does not take it; what it took stays.
            Refused: this site is no member.
        """
        self._counts = dict.fromkeys(self._counts, 0)
        check = check or self._shelf.has_forgotten or self._calls % CHECK_EVERY == 0
        self._calls += 1
        if check:
            self._forget()
            self._shelf.look(whole=True)
            self._shelf.has_forgotten = False
        own = self._ring.own(self._bench.standing, self._bench.founding)
        self._wrap(own)
        unsealed = self._publish_commits(own)
        return Published(unsealed=unsealed, **self._counts)

    def pass_on(self, entry: Entry, pieces: Iterable[Digest]) -> None:
        """Put pieces of a model that were fetched from elsewhere, for others to fetch them here before it is whole.

        Raises:
            Unreachable: the remote does not take them.
        """
        own = self._ring.own(self._bench.standing, self._bench.founding)
        key = self._key_for(entry, own)
        models = None if key is None else self._ring.get(key.statement.models)
        if models is not None:
            self._put_objects(models, pieces)

    def _forget(self) -> None:
        self._there = None
        self._history = None
        self._wrapped_for = None
        self._shelf.placed.clear()

    # ----------------------------------------------------------------------------------------------- commits

    def _publish_commits(self, own: Own) -> int:
        """Put what is due, several commits side by side; return of how many no key is known."""
        self._learn_entries()
        batch: list[tuple[Entry, Held]] = []
        for entry in self._due():
            key = self._key_for(entry, own)
            if key is None:
                self._unsealed[entry.digest] = entry
                continue
            self._publish_named(entry, key)
            batch.append((entry, key))
            if len(batch) >= BATCH:
                self._put_commits(batch)
                batch = []
        self._put_commits(batch)
        return len(self._unsealed)

    def _learn_entries(self) -> None:
        history = self._bench.history
        if history is not self._history:
            self._history, self._done = history, 0
            self._left.clear()
            self._unsealed.clear()
        for entry in islice(history, self._done, None):
            self._left[entry.digest] = entry
        self._done = len(history)
        self._left |= self._unsealed
        self._unsealed.clear()
        for digest in [digest for digest in self._left if digest in self._shelf.placed]:
            del self._left[digest]

    def _due(self) -> Iterator[Entry]:
        """Yield what is to be put, each after what it names: what is not void, what that stands on, and evidence."""
        state = self._bench.standing.state
        proofs = _proofs_of_double_use(self._bench.history) if self._left else frozenset()
        handed_out: set[Digest] = set()
        for entry in [e for d, e in self._left.items() if state(d) is not State.VOID or d in proofs]:
            stack = [entry]
            while stack:
                top = stack[-1]
                named = [self._left[name] for name in _names(top) if name in self._left and name not in handed_out]
                stack += named
                if not named:
                    stack.pop()
                    if top.digest not in handed_out:
                        handed_out.add(top.digest)
                        yield top

    def _key_for(self, entry: Entry, own: Own) -> Held | None:
        """Return under which key to seal a commit: that under which it was seen, else its author's newest."""
        if entry.site == self._ring.site.public:
            return own.commits
        seen = (self._ring.get(key) for key in self._ring.sealed_as.get(entry.digest, ()))
        return next((held for held in (*seen, *self._ring.of(entry.site, "commits")) if held is not None), None)

    def _put_commits(self, batch: Sequence[tuple[Entry, Held]]) -> None:
        if not batch:
            return
        first = self._shelf.last_number + 1
        self._shelf.last_number += len(batch)  # also if it fails: a number may have gaps
        side_by_side = [
            self._pool.submit(self._put_commit, number, entry, key) for number, (entry, key) in enumerate(batch, first)
        ]
        with self._turns.aside():
            _, left = wait(side_by_side, return_when=FIRST_EXCEPTION)
            wait([future for future in left if not future.cancel()])  # who is refused one does not try the rest
        for future, (entry, _) in zip(side_by_side, batch, strict=True):
            if not future.cancelled():
                future.result()
                self._left.pop(entry.digest, None)
        self._put_head()

    def _put_commit(self, number: int, entry: Entry, key: Held) -> None:
        sealed_name, sealed = key.key.seal(entry.commit.raw, entry.digest)
        name = entry_name(number, sealed_name)
        self._put(f"{self._shelf.own}/{FEEDS}/{name}", sealed)
        self._shelf.note_put(name)
        self._counts["commits"] += 1
        self._shelf.placed.add(entry.digest)
        self._ring.note_seal(entry.digest, key.key.id)

    def _put_head(self) -> None:
        """Tell who looks that there is something new; it is a hint, and nobody believes more."""
        line = f"{self._shelf.last_number:012d} {token_hex(4)}\n"
        with self._turns.aside():
            self._remote.replace(f"{self._shelf.own}/{FEEDS}/{HEAD}", line.encode("ascii"))

    # ----------------------------------------------------------------------------------------------- objects

    def _publish_named(self, entry: Entry, key: Held) -> None:
        """Put what a commit names: charters under its own key, its model under the author's key for models."""
        for name in sorted(charters_named(entry.commit)):
            charter = self._bench.standing.charters.get(name)
            if charter is not None:
                self._put_object(key, name, len(charter.raw), lambda charter=charter: charter.raw)  # type: ignore[misc]
        if entry.commit.tree is None or not self._chooses(entry):
            return
        models = self._ring.get(key.statement.models)
        if models is not None:
            self._put_objects(models, self._names_of(entry.commit.tree))

    def _names_of(self, tree: Digest) -> Iterator[Digest]:
        """Yield what a model consists of, as far as it is held."""
        if not self._store.has(tree):
            return
        parsed = parse_tree(self._store.read(tree))
        yield from (name for name in dict.fromkeys((*parsed.blobs, parsed.schema, tree)) if self._store.has(name))

    def _put_objects(self, key: Held, names: Iterable[Digest]) -> None:
        under_way: deque[Future[None]] = deque()
        try:
            for name in names:
                if len(under_way) >= UNDER_WAY:
                    with self._turns.aside():
                        under_way.popleft().result()
                under_way.append(self._pool.submit(self._put_held, key, name))
            with self._turns.aside():
                while under_way:
                    under_way.popleft().result()
        finally:
            with self._turns.aside():
                wait([future for future in under_way if not future.cancel()])

    def _put_held(self, key: Held, name: Digest) -> None:
        try:
            self._put_object(key, name, self._store.size(name), lambda: self._store.read(name))
        except NotFound:  # it was removed here meanwhile
            return

    def _put_object(self, key: Held, name: Digest, size: int, read: Callable[[], bytes]) -> None:
        sealed_name = key.key.name(name)
        if self._listed().get(sealed_name) == sealed_size(size):
            return
        _, sealed = key.key.seal(read(), name)
        self._put(f"{self._shelf.own}/{BLOBS}/{sealed_name}", sealed)
        self._counts["objects"] += 1
        self._listed()[sealed_name] = len(sealed)

    def _listed(self) -> dict[str, int]:
        """Return what the remote says it has of this site, with sizes; listed once: only this site writes there."""
        if self._there is None:
            with self._turns.aside():
                there = {listed.name: listed.size for listed in self._remote.list(f"{self._shelf.own}/{BLOBS}")}
            self._there = there
        return self._there

    def _put(self, name: str, content: bytes) -> None:
        """Put something below the own pseudonym; garbage that a squatter put there first is replaced."""
        with self._turns.aside():
            if not self._remote.put_if_absent(name, content) and self._remote.get(name) != content:
                self._remote.replace(name, content)
        self._counts["size"] += len(content)
        self._progress(Sent(name, len(content)))

    # -------------------------------------------------------------------------------------------------- keys

    def _wrap(self, own: Own) -> None:
        """Wrap the own keys to all members, and older ones to those that came later, once per charter."""
        charter = self._bench.standing.charter
        if charter.digest != self._wrapped_for:
            self._wrapped.clear()
            self._wrapped_for = charter.digest
        new = [held for held in self._ring.all() if held.key.id not in self._wrapped]
        if not new:
            return
        sites = sorted(self._shelf.sites)
        with self._turns.aside():
            lists = list(self._pool.map(lambda site: {x.name for x in self._remote.list(f"{site}/{KEYS}")}, sites))
        there = dict(zip(sites, lists, strict=True))
        for held in new:
            if held in {own.models, own.commits}:
                there_too = {self._shelf.own: there[self._shelf.own]}
                self._wrap_for_lacking(held, charter.members, there_too)
            else:
                self._wrap_for_lacking(held, self._ring.entitled(held, charter, self._bench.standing), there)
            self._wrapped.add(held.key.id)

    def _wrap_for_lacking(self, held: Held, members: Iterable[Member], there: Mapping[str, set[str]]) -> None:
        """Wrap a key to those of these members who have it from nobody here yet."""
        tags = {self._ring.federation.tag_of(member.exchange_key): member.exchange_key for member in members}
        have: set[str] = set()
        mine: set[str] = set()
        for wraps in self._shelf.wraps_of(held.key.id, [site for site in there if held.key.id in there[site]]):
            have |= wraps.sealed.keys()
            mine |= wraps.sealed.keys() if wraps.by == self._ring.site.public else set()
        lacking = tags.keys() - have
        if lacking:
            self._put_wraps(held, {tags[tag] for tag in lacking | (mine & tags.keys())})

    def _put_wraps(self, held: Held, exchange_keys: Iterable[str]) -> None:
        raw = self._ring.wrap(held, exchange_keys)
        with self._turns.aside():
            self._remote.replace(f"{self._shelf.own}/{KEYS}/{held.key.id}", raw)
        self._counts["objects"] += 1
        self._counts["size"] += len(raw)


def _names(entry: Entry) -> list[Digest]:
    """Return the commits that one names."""
    commit = entry.commit
    named = [parent.commit for parent in commit.parents]
    return named + [digest for digest in (commit.previous, commit.study) if digest is not None]


def _proofs_of_double_use(history: History) -> frozenset[Digest]:
    """Return what proves that a key was used twice: it travels even where it is void."""
    proofs: set[Digest] = set()
    for feed, number in history.forks.items():
        proofs.update(history.at(feed, number)[:2])
    for feed in history.heads:
        first = history[history.at(feed, 1)[0]]
        if len(history.certified(first.site, first.certificate)) > 1:
            proofs.add(first.digest)
    return frozenset(proofs)
