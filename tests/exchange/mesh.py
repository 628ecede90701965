"""Sites that each listen for the others: what leaves each is counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np

from imagiq.clock import VirtualClock
from imagiq.exchange import FolderRemote, Publisher, Remote, RemotePeer, fetch_model
from imagiq.exchange.https import HttpsRemote
from imagiq.exchange.listener import Listener
from imagiq.exchange.remote import OBJECT_LIMIT
from imagiq.federation import Named, study_recipe
from imagiq.history import Entry
from imagiq.merging import blobs_of, schema_of
from imagiq.objects import Digest
from tests.bench.town import Town, site_key
from tests.exchange.ward import Ward


class Counted:
    """A remote of which all bytes that come from it are counted."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._lock = Lock()
        self.bytes = 0
        self.name = remote.name
        self.put_if_absent = remote.put_if_absent
        self.replace = remote.replace
        self.list = remote.list
        self.news = remote.news
        self.close = remote.close

    def get(self, name: str, *, start: int = 0, length: int = OBJECT_LIMIT + 1) -> bytes | None:
        found = self._remote.get(name, start=start, length=length)
        with self._lock:
            self.bytes += len(found or b"")
        return found


def study_of(town: Town, name: str, *, tensors: int, tensor_bytes: int) -> Entry:
    """Open a study whose first model has so many tensors that no two are alike."""
    draw = np.random.default_rng(1)
    weights = {f"layer{n:03d}": draw.random(tensor_bytes // 4, np.float32) for n in range(tensors)}
    schema = schema_of(weights)
    recipe = study_recipe(
        title="large", strategy=Named("local"), task=Named("plain"), steps=1, updates=1, sites=town.names, seed=1
    )
    return town.benches[name].commit(recipe, tree=town.benches[name].models.keep(schema, blobs_of(schema, weights)))


@dataclass
class Mesh:
    """An author and receivers, each with a listener over its own folder, each reading from all."""

    folder: Path
    names: tuple[str, ...] = ("author", "b", "c", "d", "e")
    ward: Ward = field(init=False)
    listeners: dict[str, Listener] = field(default_factory=dict)
    left_author: int = 0

    def __post_init__(self) -> None:
        self.ward = Ward(Town(names=self.names, clock=VirtualClock()))
        self.ward.town.names = self.names

    @contextmanager
    def listening(self) -> Iterator[None]:
        admits = {site_key(name).public: self.ward.pseudonym(name) for name in self.names}
        with ExitStack() as stack:
            for name in self.names:
                (self.folder / name).mkdir()
                listener = Listener(self.folder / name, site_key("l" + name), admits)
                self.listeners[name] = stack.enter_context(listener)
            yield

    def publish(self, name: str) -> None:
        self.ward.push(name, FolderRemote(self.folder / name, sync=False))

    @contextmanager
    def peers(self, name: str) -> Iterator[tuple[list[RemotePeer], Publisher, Counted]]:
        """Connect a receiver: its own folder first, then the listeners of the others."""
        with ExitStack() as stack:
            bench, ring = self.ward.bench(name), self.ward.ring(name)
            found: list[RemotePeer] = []
            counted: dict[str, Counted] = {}
            for other in (name, *(n for n in self.names if n != name)):
                if other == name:
                    remote: Remote = FolderRemote(self.folder / name, sync=False)
                else:
                    key = site_key("l" + other).public
                    url = f"https://127.0.0.1:{self.listeners[other].port}"
                    remote = counted[other] = Counted(HttpsRemote(url, site_key(name), key))
                peer = RemotePeer(remote, bench, ring, clock=self.ward.town.clock, read_only=other != name)
                found.append(stack.enter_context(peer))
            yield found, Publisher(found[0]), counted[self.names[0]]

    def receive(self, name: str, commit: Entry) -> int:
        """Fetch a model as a site does; return how many bytes came from the author."""
        with self.peers(name) as (peers, publisher, author):
            site = self.ward.site(name)
            for peer in peers:
                site.learn(peer)
            before = author.bytes

            def kept(pieces: Sequence[Digest]) -> None:
                publisher.pass_on(commit, pieces)

            assert fetch_model(self.ward.bench(name), commit.digest, peers, kept=kept)
            return author.bytes - before

    def receive_all(self, commit: Entry) -> int:
        """Let all receivers fetch a model at once; return how many bytes left the author."""
        receivers = self.names[1:]
        with ThreadPoolExecutor(len(receivers)) as pool:
            return sum(pool.map(lambda name: self.receive(name, commit), receivers))
