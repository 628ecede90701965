"""Sites that exchange through a remote only, and are never online together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from imagiq.bench import Author, Bench
from imagiq.exchange import Keyring, Published, Publisher, Remote, RemotePeer
from imagiq.exchange.wraps import Federation
from imagiq.objects import JSON, Charter, Cut, Digest, Member
from imagiq.site import Planned, Site
from imagiq.store import MemoryStore
from tests.bench.town import Town, feed_key, site_key
from tests.site.plain import site_in

SECRET = bytes(range(32))
Place = Callable[[str], Remote]
"""Gives the remote as the site of this name reaches it."""


@dataclass
class Ward:
    """A town whose sites are connected anew for each visit, as after a restart: nothing is kept but their stores."""

    town: Town = field(default_factory=Town)

    @property
    def federation(self) -> Federation:
        return Federation(digest=self.town.founding.digest, secret=SECRET)

    def pseudonym(self, name: str) -> str:
        return self.federation.pseudonym(site_key(name).public)

    def ring(self, name: str) -> Keyring:
        """Read a site's keyring from its store, or make it."""
        store = self.bench(name).store
        if store.secret_read("exchange") is None:
            sites = [site_key(other).public for other in self.town.names]
            Keyring.join(store, site_key(name), self.town.founding.digest, SECRET, sites)
        return Keyring.open(store, site_key(name))

    def bench(self, name: str) -> Bench:
        return self.town.benches[name]

    def newcomer(self, name: str) -> Bench:
        """Open an empty bench for a site that is in no charter that it knows of."""
        author = Author(site_key(name), feed_key(name))
        self.town.benches[name] = Bench(MemoryStore(), self.town.founding, clock=self.town.clock, author=author)
        return self.town.benches[name]

    @contextmanager
    def at(self, name: str, remote: Remote) -> Iterator[RemotePeer]:
        """Connect a site."""
        peer = RemotePeer(remote, self.bench(name), self.ring(name), clock=self.town.clock)
        try:
            yield peer
        finally:
            peer.pool.shutdown()

    def push(self, name: str, remote: Remote) -> Published:
        with self.at(name, remote) as peer:
            return Publisher(peer).publish()

    def pull(self, name: str, remote: Remote) -> int:
        with self.at(name, remote) as peer:
            return self.site(name).sync(peer)

    def sync(self, name: str, remote: Remote) -> int:
        with self.at(name, remote) as peer:
            news = self.site(name).sync(peer)
            Publisher(peer).publish()
            return news

    def site(self, name: str) -> Site:
        return site_in(self.town, name)

    def work(self, name: str, remote: Remote) -> bool:
        """Let a site pull, do one action, and push, as from a job of cron; tell whether it did anything."""
        with self.at(name, remote) as peer:
            site = self.site(name)
            news = site.sync(peer)
            planned = site.plan()
            if isinstance(planned, Planned):
                site.begin(planned)
                site.finish(planned)
            return Publisher(peer).publish().commits + news > 0

    def work_until_done(self, place: Place, names: tuple[str, ...] = ()) -> None:
        """Let the sites work by turns, one at a time, until nobody has anything to do."""
        for _ in range(100):
            busy = {name for name in names or self.town.names if self.work(name, place(name))}
            if not busy:
                return
        raise AssertionError("the sites never come to an end")

    def known(self, name: str) -> set[Digest]:
        return {entry.digest for entry in self.bench(name).history}

    # -------------------------------------------------------------------------------------------- charters

    def charter(self, names: tuple[str, ...], rules: dict[str, JSON] | None = None) -> Charter:
        """Propose the members of the next charter; of feeds that end, all that "a" knows stands."""
        bench = self.bench("a")
        ruling = bench.standing.ruling
        assert ruling is not None
        gone = [bench.history.feeds_of(m.site_key) for m in ruling.members if m.name not in names]
        heads = [bench.history[bench.history.heads[feed][0]].commit for feeds in gone for feed in feeds]
        keys = {name: site_key(name) for name in sorted(names)}
        return Charter(
            title=ruling.title,
            version=ruling.version + 1,
            previous=ruling.digest,
            federation=self.town.founding.digest,
            members=tuple(Member(name, key.public, key.exchange_public) for name, key in keys.items()),
            voters=tuple(name for name in sorted(names) if name in ruling.voters),
            cuts=tuple(sorted(Cut(head.feed, head.number, head.digest) for head in heads)),
            rules={**ruling.rules, **(rules or {})},
        )

    def enact(self, charter: Charter, voters: tuple[str, ...], place: Place) -> None:
        """Let some sites vote for a charter, exchanging through a remote only, until it is in force for them."""
        for _ in range(2):
            for name in voters:
                self.sync(name, place(name))
                if self.bench(name).standing.ruling != charter:
                    self.site(name).vote(charter)
                self.sync(name, place(name))
        assert all(self.bench(name).standing.ruling == charter for name in voters)
