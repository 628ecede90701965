"""A small federation of real sites, each with a store that crashes, is restored, is cloned; nothing here judges."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np

from imagiq.bench import Author, Bench, Limits
from imagiq.clock import VirtualClock
from imagiq.errors import NotFound, Unreachable
from imagiq.exchange import BenchPeer
from imagiq.federation import Named, Wait, study_recipe
from imagiq.keys import FeedKey, SiteKey
from imagiq.merging import blobs_of
from imagiq.objects import Charter, Digest, Member
from imagiq.site import Local, MemoryMark, Planned, Site
from imagiq.site.mark import Mark
from imagiq.site.retaining import Retainer
from imagiq.site.sources import SiteCases
from imagiq.store import FolderStore, MemoryStore, Store
from imagiq.strategies import BUILT_IN
from imagiq.testing.files import SimulatedFiles
from tests.machines.model import Model
from tests.machines.toy import SCHEMA, BadLine, Toy, toy_weights
from tests.machines.watched import Crash, Watched

LIMITS = Limits(waiting_commits=15, waiting_bytes=100_000, model_bytes=10_000)
RECOVERY = {key.public: key.seed for key in (FeedKey(bytes([number]) * 32) for number in range(3))}
Look = Callable[["Hospital", bytes], None]


class Hospital:
    """One site's machine: what outlives the process, and the process, if it runs.

    Args:
        world: Where it stands.
        name: The site's name.
        number: Makes its keys and cases.
        on_disk: Whether it keeps its store in files, or in memory.
    """

    def __init__(self, world: World, name: str, number: int, *, on_disk: bool) -> None:
        self.world = world
        self.name = name
        self.number = number
        self.key = SiteKey(bytes([number]) * 32)
        self.cases = tuple(number + one / 7 for one in range(2 + number * number % 11))
        self.files = SimulatedFiles(world.draw.randrange) if on_disk else None
        self.memory = MemoryStore()
        self.mark = MemoryMark()
        self.site: Site | None = None
        self.watched: Watched | None = None
        self.acknowledged: set[bytes] = set()
        self.backup: MemoryStore | None = None
        self.old_mark: Mark | None = None
        self.was_restored = False
        self.begun: dict[Digest, int] = {}
        self.failed_s: dict[Digest, float] = {}
        self.toy = Toy()
        self.key_in_two_places = False
        self.chosen: Model | None = None
        self.complete: frozenset[str] = frozenset()
        """What was known, and what was complete, when the present work was chosen."""

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def running(self) -> Site:
        assert self.site is not None
        return self.site

    @property
    def bench(self) -> Bench:
        return self.running.bench

    def open(self) -> Store:
        if self.files is None:
            return self.memory
        with suppress(NotFound):
            return FolderStore.open("/repository", files=self.files)
        return FolderStore.create("/repository", files=self.files)

    def boot(self, peers: Sequence[Hospital] = ()) -> Site:
        """Start the process: what it knows comes from its store, and from others whom it can ask."""
        watched = Watched(self.open(), lambda raw: self.world.look(self, raw))
        seed = watched.secret_read("feed")
        feed = self.world.feed_key() if seed is None else FeedKey(seed)
        if seed is None:
            watched.secret_write("feed", feed.seed)
        local = Local(
            cases=lambda: SiteCases(training=self.cases, held_back=self.cases[:3]),
            data=self.name,
            learner_of=lambda _: self.toy,
            strategies=BUILT_IN,
            accepts=lambda _: True,
            audit_draw=lambda merge: int(merge[:4], 16) % 1000,
        )
        clock = self.world.clock
        bench = Bench(watched, self.world.founding, clock=clock, author=Author(self.key, feed), limits=LIMITS)
        self.watched, self.failed_s = watched, {}
        watched.started = {
            str(record["action"]) for record in watched.journal.read() if record.get("kind") == "started"
        }
        self.site = Site(
            self.name, bench, local, clock=clock, mark=self.mark, new_feed_key=lambda _: self.world.feed_key()
        )
        self.site.start([BadLine(BenchPeer(peer.name, peer.bench)) for peer in peers])
        return self.site

    @contextmanager
    def sick(self) -> Iterator[None]:
        """Let the learner fail."""
        self.toy.fails = True
        yield
        self.toy.fails = False

    def stop(self) -> None:
        """End the process in good order."""
        if self.site is not None and self.watched is not None:
            self.site, self.watched.dead = None, True
            self.watched.close()

    def crash(self, *, power: bool) -> None:
        """End the process as it stands."""
        if self.watched is not None:
            self.watched.dead = True
        self.site = None
        if self.files is None:
            self.memory = self.memory.after_crash()
        elif power:
            self.files.power_cut()
        else:
            self.files.kill()

    @contextmanager
    def trouble(self, after: int | None, *, fails: bool, power: bool) -> Iterator[None]:
        """Let the process end, or the disk fail, at the given write; a crash ends the block."""
        assert self.watched is not None
        self.watched.left, self.watched.fails = after, fails
        try:
            yield
        except Crash:
            self.crash(power=power)
            self.boot(self.world.others(self))
        except Unreachable:
            assert after is not None, "a disk or line failed that is in order"
        self.watched.left = None

    def work(self, most: int = 1) -> int:
        """Plan, begin and finish, as long as there is something to do; return how often."""
        for done in range(most):
            planned = self.choose()
            if planned is None:
                return done
            self.do(planned)
        return most

    def choose(self) -> Planned | None:
        planned = self.running.plan()
        if isinstance(planned, Wait):
            return None
        waits_until_s = self.failed_s.pop(planned.action, -1e9) + 10
        assert self.world.clock.now_s() >= waits_until_s, "what failed is tried again at once"
        self.chosen = self.world.model(self)
        self.complete = frozenset(self.bench.models.complete)
        return planned

    def do(self, planned: Planned) -> None:
        number = self.running.begin(planned)
        assert number > self.begun.get(planned.action, 0), "an attempt is forgotten"
        self.begun[planned.action] = number
        if self.running.finish(planned) is None:
            self.failed_s[planned.action] = self.world.clock.now_s()

    def forget(self) -> None:
        """Forget what may be forgotten."""
        Retainer(self.running).forget()

    def sync(self, other: Hospital, draw: random.Random | None = None) -> int:
        """Learn from another, as far as the line holds; return how much news came."""
        try:
            return self.running.sync(BadLine(BenchPeer(other.name, other.bench), draw))
        except Unreachable as error:
            if error.code != "peer-cut":
                raise
            return 1


class World:
    """The hospitals, their charter, and one clock.

    Args:
        draw: All choices that are not drawn by name.
        honest: How many founders run real sites.
        on_disk: Which of them keep files.
        outsiders: Keys of further founders, who run what they like, by name.
        newcomers: How many more sites there are that are no founders.
    """

    def __init__(self, draw: random.Random, honest: int, outsiders: dict[str, SiteKey], newcomers: int = 1) -> None:
        self.draw = draw
        self.clock = VirtualClock()
        self.clock.advance_to(1000.0)
        self.feeds = 0
        self.on_look: Look = lambda _hospital, _raw: None
        names = ["alba", "berg", "cava", "dorf", "esch"]
        chosen = names[:honest] + [f"new{number}" for number in range(newcomers)]
        self.hospitals = [Hospital(self, n, 1 + place, on_disk=place == 0) for place, n in enumerate(chosen)]
        self.clones: list[Hospital] = []
        keys = {hospital.name: hospital.key for hospital in self.hospitals[:honest]} | outsiders
        self.founding = Charter(
            title="founding",
            members=tuple(Member(name, key.public, key.exchange_public) for name, key in sorted(keys.items())),
            voters=tuple(sorted(keys)),
            recovery=tuple(sorted(RECOVERY)),
            rules={
                "audit_per_mille": 300,
                "retention": {"models": 1},
                "strategies": [*sorted(name for name, _ in BUILT_IN), "unheard-of"],
            },
        )
        self.proposals: list[Charter] = [self.founding]
        self.founders = self.hospitals[:honest]
        for hospital in self.hospitals:
            hospital.boot()

    def feed_key(self) -> FeedKey:
        self.feeds += 1
        return FeedKey(self.feeds.to_bytes(32, "big"))

    def look(self, hospital: Hospital, raw: bytes) -> None:
        self.on_look(hospital, raw)

    def model(self, hospital: Hospital, *, but: bytes = b"") -> Model:
        """Return what follows from all that a site knows, or from all but one commit."""
        bench = hospital.bench
        charters = {name: charter.raw for name, charter in bench.standing.charters.items()}
        raws = [entry.commit.raw for entry in bench.history]
        return Model([raw for raw in raws if raw != but], charters, self.founding.digest)

    @property
    def everybody(self) -> list[Hospital]:
        return [*self.hospitals, *self.clones]

    @property
    def up(self) -> list[Hospital]:
        return [hospital for hospital in self.everybody if hospital.site is not None]

    def others(self, hospital: Hospital) -> list[Hospital]:
        return [other for other in self.up if other is not hospital]

    def pick(self, place: int) -> Hospital:
        return self.up[place % len(self.up)]

    def found(self, votes: Sequence[bytes]) -> None:
        """Let everybody vote for version 1, and hear of it."""
        raws = [*votes]
        for hospital in self.founders:
            entry = hospital.running.vote(self.founding)
            assert entry is not None
            raws.append(entry.commit.raw)
        for hospital in self.hospitals:
            hospital.bench.admit(self.draw.sample(raws, len(raws)), "founding")

    def open_study(self, hospital: Hospital, strategy: Named, sites: Sequence[str], steps: int, seed: int) -> Digest:
        weights = toy_weights(np.random.default_rng(seed))
        first = hospital.bench.models.keep(SCHEMA, blobs_of(SCHEMA, weights))
        recipe = study_recipe(
            title=strategy.name, strategy=strategy, task=Named("toy"), steps=steps, updates=1, sites=sites, seed=seed
        )
        return hospital.running.open_study(recipe, first).digest

    def clone(self, hospital: Hospital) -> Hospital:
        """Copy a running site's store to another machine, mark and keys and all, and run it there too."""
        twin = Hospital(self, hospital.name, hospital.number, on_disk=False)
        twin.memory = copy_of(hospital)
        if mark := hospital.mark.read():
            twin.mark.write(mark)
        twin.acknowledged = set(hospital.acknowledged)
        hospital.key_in_two_places = twin.key_in_two_places = True
        self.clones.append(twin)
        twin.boot()
        return twin


def copy_of(hospital: Hospital) -> MemoryStore:
    """Return what a backup holds."""
    assert hospital.watched is not None
    inner, copy = hospital.watched.inner, MemoryStore()
    if isinstance(inner, MemoryStore):
        return inner.copy()
    copy.add(inner.read(digest) for digest in inner.objects())
    copy.add_commits(inner.commits())
    copy.journal.append(list(inner.journal.read()), durable=True)
    copy.secret_write("feed", inner.secret_read("feed") or b"")
    return copy
