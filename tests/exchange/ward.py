"""Sites that exchange through a remote only, and are never online together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from imagiq.bench import Bench
from imagiq.exchange import Keyring, Published, Publisher, Remote, RemotePeer
from imagiq.site import Site
from tests.bench.town import Town, site_key
from tests.site.plain import site_in

SECRET = bytes(range(32))


@dataclass
class Ward:
    """A town's sites with their keyrings; each keeps its view of each remote, as a process does."""

    town: Town
    rings: dict[str, Keyring] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.town.names:
            self.rings[name] = self.ring(name)

    def ring(self, name: str) -> Keyring:
        """Read a site's keyring from its store, or make it."""
        store = self.town.stores[name]
        if store.secret_read("exchange") is None:
            Keyring.join(store, site_key(name), self.town.founding.digest, SECRET)
        return Keyring.open(store, site_key(name))

    def bench(self, name: str) -> Bench:
        return self.town.benches[name]

    @contextmanager
    def at(self, name: str, remote: Remote) -> Iterator[RemotePeer]:
        """Connect a site anew, as after a restart."""
        peer = RemotePeer(remote, self.bench(name), self.ring(name), clock=self.town.clock)
        try:
            yield peer
        finally:
            peer.pool.shutdown()

    def push(self, name: str, remote: Remote) -> Published:
        with self.at(name, remote) as peer:
            return Publisher(peer).publish()

    def sync(self, site: Site, remote: Remote) -> int:
        with self.at(site.name, remote) as peer:
            news = site.sync(peer)
            Publisher(peer).publish()
            return news

    def site(self, name: str) -> Site:
        return site_in(self.town, name)
