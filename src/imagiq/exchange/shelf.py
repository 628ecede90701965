"""What lies on a remote, as far as this site has looked: listings, keys, and commits that were opened and are new.

Nothing here is kept over a restart: a listing tells what is there, and the history tells what of it is known.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from imagiq.bench import Bench
from imagiq.clock import Clock
from imagiq.errors import ImagiqError, Unreachable, Unsupported
from imagiq.exchange.again import Again
from imagiq.exchange.names import SealedNames
from imagiq.exchange.remote import BLOBS, FEEDS, KEYS, OBJECT_LIMIT, Listed, Remote, parse_entry
from imagiq.exchange.ring import Held, Keyring
from imagiq.exchange.sealing import key_id_in, sealed_size
from imagiq.exchange.turns import Turns
from imagiq.exchange.wraps import WRAPS_LIMIT, Wraps
from imagiq.objects import COMMIT_LIMIT, Commit, Digest, digest_of

__all__ = ["Shelf"]

OVERLAP: Final = 256
"""A listing begins so many numbers before the last one known: what came late, or out of order, is seen."""
WHOLE_EVERY: Final = 64
"""Every so many looks all is listed, whatever the remote says about news."""
AT_ONCE: Final = 1024
FRESH_BYTES: Final = 32 * 2**20
OFFERS: Final = 3
RETRIED_AT_ONCE: Final = 64
CHECKED_AFTER_S: Final = 2.0
"""So long after something was put it is looked at the latest whether it is listed, too."""
LOCKED_LIMIT: Final = 100_000
KEYS_AT_ONCE: Final = 64
ENTRIES_LIMIT: Final = 2_000_000
COMMIT_BYTES: Final = sealed_size(COMMIT_LIMIT)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A commit that a remote says it has: below which pseudonym, and called how."""

    pseudonym: str
    name: str

    @classmethod
    def at(cls, path: str) -> _Entry:
        return cls(path.partition("/")[0], path.rpartition("/")[2])

    @property
    def path(self) -> str:
        return f"{self.pseudonym}/{FEEDS}/{self.name}"

    @property
    def sealed(self) -> str:
        return self.name[13:]


@dataclass(slots=True)
class _Fresh:
    """A commit that was opened and is not admitted yet. ``offers``: how often it was offered."""

    commit: Commit
    entry: _Entry
    offers: int = 0


class Shelf:
    """A remote as one site sees it.

    Args:
        remote: Where to look.
        bench: What is known already.
        ring: What opens.
        clock: When news came.
        pool: Where several things are read side by side.
        turns: Of the bench; whoever waits for the remote steps aside.
    """

    def __init__(
        self,
        remote: Remote,
        bench: Bench,
        ring: Keyring,
        *,
        clock: Clock,
        pool: Executor,
        turns: Turns | None = None,
    ) -> None:
        self.remote = remote
        self.bench = bench
        self.ring = ring
        self.pool = pool
        self._turns = turns or Turns()
        self.placed: set[Digest] = set()
        """The commits that have been seen on the remote."""
        self.last_number = 0
        """The highest number below the own pseudonym."""
        self.has_forgotten = False
        """Whether the remote has been found not to list what was put there: it took it and forgot it, or was rolled back."""
        self.news_s: dict[str, float] = {}
        """When something new of a site came last, by its key."""
        self.fresh: dict[Digest, _Fresh] = {}
        self._fresh_bytes = 0
        self._clock = clock
        self._names = SealedNames(ring)
        self._word = ""
        self._looks = 0
        self._cursors: dict[str, str] = {}
        self._backlog: dict[str, deque[_Entry]] = {}
        self._taken: set[str] = set()
        self._again = Again(clock)
        self._locked: OrderedDict[str, dict[str, _Entry]] = OrderedDict()
        self._locked_by: dict[str, str] = {}
        self._missing = Again(clock)
        self._put_names: deque[str] = deque(maxlen=OVERLAP)
        self._check_at_s: float | None = None
        self._forgetting = Again(clock)
        self._writing: set[str] = set()
        self._last_giver = ""
        self._read: dict[str, Digest] = {}

    @property
    def sites(self) -> Mapping[str, str]:
        """The site keys by pseudonym: where to look."""
        return self.ring.sites(self.bench.standing)

    @property
    def own(self) -> str:
        """This site's pseudonym."""
        return self.ring.federation.pseudonym(self.ring.site.public)

    @property
    def writers(self) -> frozenset[str]:
        """The keys of the sites below whose pseudonyms commits were found."""
        return frozenset(self.sites[site] for site in self._writing if site in self.sites)

    @property
    def behind(self) -> bool:
        """Whether more is listed than was read."""
        return any(self._backlog.values())

    @property
    def again_s(self) -> float | None:
        """When to look again although the remote tells of no news: for what could not be read, or was just put."""
        times = (self._again.next_s(), self._missing.next_s(self._locked), self._check_at_s)
        return min((at_s for at_s in times if at_s is not None), default=None)

    def note_put(self, name: str) -> None:
        """Something was put into the own ``feeds``: it must be listed from now on."""
        self._put_names.append(name)
        self._check_at_s = self._clock.now_s() + CHECKED_AFTER_S

    # ----------------------------------------------------------------------------------------------- looking

    def look(self, *, wait_s: float = 0.0, whole: bool = False) -> None:
        """Look what is new, and read it, as far as there is room for.

        Args:
            wait_s: How long to wait for news, if there is none.
            whole: List all, not only what was added.

        Raises:
            Unreachable: the remote does not answer; what came before stays.
        """
        self._forget_admitted()
        self._names.update(self.bench.history)
        if not self.behind:
            self._list(wait_s, whole=whole or self._looks % WHOLE_EVERY == 0)
        self._take_again()
        try:
            self._read_on()
        finally:
            self.ring.save()

    def _list(self, wait_s: float, *, whole: bool) -> None:
        sites = sorted(self.sites)
        with self._turns.aside():
            word = self.remote.news(sites, self._word, 0.0 if whole else wait_s)
        is_to_check = self._check_at_s is not None and self._clock.now_s() >= self._check_at_s
        unseen = [site for site in sites if site not in self._cursors or (is_to_check and site == self.own)]
        self._looks += 1
        if not (whole or unseen or word != self._word):
            return
        self._missing.clear()
        if whole:
            self._again.clear(but=self._locked_by)
        everywhere = sites if whole or word != self._word else unseen
        starts = ["" if whole else self._cursors.get(site, "") for site in everywhere]
        with self._turns.aside():
            listings = list(self.pool.map(self._listed, everywhere, starts))
        for site, after, listed in zip(everywhere, starts, listings, strict=True):
            if site == self.own:
                self._check_own(after, listed)
            self._take_listing(site, listed)
        self._word = word

    def _listed(self, site: str, after: str) -> list[Listed]:
        found = []
        for listed in self.remote.list(f"{site}/{FEEDS}", after=after):
            found.append(listed)
            if len(found) >= ENTRIES_LIMIT:
                break
        return found

    def _check_own(self, after: str, listing: Sequence[Listed]) -> None:
        """See whether all is listed that was put; where it is not, that is told at once, then ever more seldom."""
        self._check_at_s = None
        if {name for name in self._put_names if name > after} <= {listed.name for listed in listing}:
            self._forgetting.clear()
        elif self._forgetting.is_due(self.own):
            self._forgetting.failed(self.own)
            self._put_names.clear()
            self.has_forgotten = True

    def _take_listing(self, site: str, listing: Sequence[Listed]) -> None:
        last = 0
        for listed in listing:
            parsed = parse_entry(listed.name)
            if parsed is None:
                continue
            last = max(last, parsed[0])
            self._take_entry(_Entry(site, listed.name), listed.size)
        if last:
            self._writing.add(site)
        if last or site not in self._cursors:
            self._cursors[site] = f"{max(0, last - OVERLAP):012d}"
        if site == self.own:
            self.last_number = max(self.last_number, last)

    def _take_entry(self, entry: _Entry, size: int) -> None:
        known = self._names.get(entry.sealed)
        if known is not None and size == sealed_size(len(self.bench.history[known[0]].commit.raw)):
            self.placed.add(known[0])
            self.ring.note_seal(*known)
        elif known is None and size <= COMMIT_BYTES and not self._was_met(entry):
            self._taken.add(entry.path)
            self._backlog.setdefault(entry.pseudonym, deque()).append(entry)

    def _was_met(self, entry: _Entry) -> bool:
        """Tell whether an entry is going to be read, was read and waits, or could not be read."""
        digest = self._read.get(entry.sealed)
        if digest is not None and (digest in self.fresh or digest in self.bench.waiting):
            return True
        return entry.path in self._again or entry.path in self._taken

    # ----------------------------------------------------------------------------------------------- reading

    def _read_on(self) -> None:
        """Read what is listed, of each site in turn, until there is no more room for what is not admitted yet."""
        self._unlock()
        left = AT_ONCE
        while left > 0 and self._fresh_bytes < FRESH_BYTES and (batch := self._next_entries(min(left, 64))):
            left -= len(batch)
            try:
                with self._turns.aside():
                    raws = list(self.pool.map(self._raw, batch))
            except Unreachable:
                for entry in batch:
                    self._backlog.setdefault(entry.pseudonym, deque()).appendleft(entry)
                    self._taken.add(entry.path)
                raise
            closed = [(entry, raw) for entry, raw in zip(batch, raws, strict=True) if not self._opened(entry, raw)]
            self._fetch_keys({_key_of(raw): entry.pseudonym for entry, raw in closed if raw is not None})
            for entry, raw in closed:
                if not self._opened(entry, raw):
                    self._put_off(entry, raw)

    def _next_entries(self, count: int) -> list[_Entry]:
        found: list[_Entry] = []
        while len(found) < count and (waiting := [queue for queue in self._backlog.values() if queue]):
            for queue in waiting[: count - len(found)]:
                entry = queue.popleft()
                self._taken.discard(entry.path)
                if self._names.get(entry.sealed) is None:
                    found.append(entry)
        return found

    def _raw(self, entry: _Entry) -> bytes | None:
        return self.remote.get(entry.path, length=COMMIT_BYTES + 1)

    def _opened(self, entry: _Entry, raw: bytes | None) -> bool:
        """Open a commit if its key is held; tell whether it was, or is not worth another try."""
        held = None if raw is None else self.ring.get(_key_of(raw))
        if raw is None or held is None or held.key.purpose != "commits":
            return False
        try:
            plain = held.key.open(entry.sealed, raw, limit=COMMIT_LIMIT)
        except ImagiqError:
            return False
        try:
            commit = self.bench.checks.commit(plain)
        except Unsupported as error:
            self.bench.unread.note(digest_of(plain), held.statement.author, self.remote.name, error)
            return False
        except ImagiqError:
            return False
        self.placed.add(commit.digest)
        if entry.path in self._again:  # what was none before is right now: the rest may be so, too
            self._again.forget(entry.path)
            self._again.hurry()
        self.ring.note_seal(commit.digest, held.key.id)
        if commit.digest not in self.bench.history and commit.digest not in self.fresh:
            self.fresh[commit.digest] = _Fresh(commit, entry)
            self._read[entry.sealed] = commit.digest
            self._fresh_bytes += len(commit.raw)
            self.news_s[held.statement.author] = self._clock.now_s()
        return True

    def _put_off(self, entry: _Entry, raw: bytes | None) -> None:
        """Remember an entry that could not be opened: until it is read again; or until its key comes, if it has one."""
        key = "" if raw is None else _key_of(raw)
        if key and self.ring.get(key) is None and len(self._locked_by) < LOCKED_LIMIT:
            self._locked.setdefault(key, {})[entry.path] = entry
            self._locked_by[entry.path] = key
            self._taken.add(entry.path)
        self._give_up(entry)

    def _let_go(self, path: str) -> None:
        """Wait no more for the key of an entry: it is read again, and its key may have been garbage too."""
        key = self._locked_by.pop(path, None)
        if key is not None:
            self._taken.discard(path)
            del self._locked[key][path]
            if not self._locked[key]:
                del self._locked[key]

    def _give_up(self, entry: _Entry) -> None:
        """Pass over an entry for a while: what was none, or of no use, may have been so on the way only."""
        self._again.failed(entry.path)

    def _take_again(self) -> None:
        """Read some of what was given up a while ago."""
        for path in self._again.due()[:RETRIED_AT_ONCE]:
            entry = _Entry.at(path)
            self._let_go(path)
            if self._names.get(entry.sealed) is not None:
                self._again.forget(path)
            elif path not in self._taken:
                self._taken.add(path)
                self._backlog.setdefault(entry.pseudonym, deque()).append(entry)

    def _unlock(self) -> None:
        """Look again for keys that were lacking; what they open is read with what is new."""
        for key in list(self._locked)[:KEYS_AT_ONCE]:
            self._locked.move_to_end(key)
            if self.ring.get(key) is None:
                self._fetch_keys({key: next(iter(self._locked[key].values())).pseudonym})
            if self.ring.get(key) is not None:
                for path, entry in self._locked.pop(key).items():
                    del self._locked_by[path]
                    self._backlog.setdefault(entry.pseudonym, deque()).append(entry)

    def _forget_admitted(self) -> None:
        """Let go of what was taken in, and of what was offered often and not taken."""
        waiting, history = self.bench.waiting, self.bench.history
        for digest, fresh in list(self.fresh.items()):
            taken = digest in history or digest in waiting
            if taken or fresh.offers >= OFFERS:
                del self.fresh[digest]
                self._fresh_bytes -= len(fresh.commit.raw)
                if not taken:
                    self._give_up(fresh.entry)
        for sealed in [s for s, digest in self._read.items() if digest not in self.fresh and digest not in waiting]:
            del self._read[sealed]

    # -------------------------------------------------------------------------------------------------- keys

    def _fetch_keys(self, wanted: Mapping[str, str]) -> None:
        """Look for keys, each first below the pseudonym where something sealed under it was found."""
        for key, found_below in list(wanted.items())[:KEYS_AT_ONCE]:
            if key and self.ring.get(key) is None:
                self.find_key(key, found_below)

    def find_key(self, key: str, first: str) -> Held | None:
        """Return a key, from the wraps of any site; None if nobody has wrapped it to this site yet."""
        if not self._missing.is_due(key):
            return None
        for wraps in self.wraps_of(key, [first, *(site for site in self.sites if site != first)]):
            del wraps
            if (held := self.ring.get(key)) is not None:
                return held
        self._missing.failed(key)
        return None

    def wraps_of(self, key: str, below: Iterable[str]) -> Iterator[Wraps]:
        """Yield all wraps of a key that are what they should be."""
        for site in below:
            with self._turns.aside():
                raw = self.remote.get(f"{site}/{KEYS}/{key}", length=WRAPS_LIMIT + 1)
            if raw is None:
                continue
            try:
                wraps = self.ring.learn(raw, self.sites)
            except Unsupported as error:
                self.bench.unread.note(digest_of(raw), self.sites.get(site, ""), self.remote.name, error, lasts=False)
                continue
            except ImagiqError:  # a bad object counts as missing
                continue
            if wraps.statement.key == key:
                yield wraps

    # ----------------------------------------------------------------------------------------------- objects

    def fetch(self, digest: Digest, limit: int, keys: Sequence[Held], *, again: bool = False) -> bytes | None:
        """Return an object from whoever has it whole; None if nobody has.

        Args:
            digest: Its name.
            limit: The most bytes that it may have.
            keys: What it may be sealed under, the likeliest first.
            again: Ask also for what was not there before.
        """
        if not keys or not (again or self._missing.is_due(digest)):
            return None
        length = min(OBJECT_LIMIT, sealed_size(limit)) + 1
        for held in keys:
            author = self.ring.federation.pseudonym(held.statement.author)
            sealed = held.key.name(digest)
            for site in sorted(self._writing | {author}, key=lambda site: (site != self._last_giver, site != author)):
                with self._turns.aside():
                    raw = self.remote.get(f"{site}/{BLOBS}/{sealed}", length=length)
                if raw is None:
                    continue
                try:
                    found = held.key.open(sealed, raw, limit=limit)
                except ImagiqError:  # a bad object counts as missing
                    continue
                self._last_giver = site
                return found
        self._missing.failed(digest)
        return None


def _key_of(raw: bytes) -> str:
    try:
        return key_id_in(raw)
    except ImagiqError:
        return ""
