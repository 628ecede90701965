"""The simulated world: many real sites, each with its own store and keys, under a virtual clock.

What happens is a queue of events: a site looks what to do, finishes what it began, visits a neighbour, crashes, starts
again. Every event is written into a journal with the mishaps that were drawn for it; :meth:`World.replay` plays a
journal back to the same bytes without drawing anything.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from imagiq.bench import Author, Bench, Checks
from imagiq.clock import VirtualClock
from imagiq.errors import Unreachable
from imagiq.exchange import BenchPeer
from imagiq.federation import Named, Strategy, Study, Train, Work, study_recipe
from imagiq.history import Entry
from imagiq.keys import FeedKey, SiteKey
from imagiq.learning import Cases, Learner
from imagiq.merging import blobs_of, schema_of
from imagiq.objects import Charter, Digest, Member, Schema
from imagiq.simulation.network import FaultyPeer, Mishap, Traffic
from imagiq.simulation.scenario import Crash, Partition, Scenario, SimulatedSite
from imagiq.site import Local, MemoryMark, Planned, Site
from imagiq.store import MemoryStore, Store

__all__ = ["Event", "SiteCases", "World", "key_seed"]


@dataclass(frozen=True, kw_only=True)
class SiteCases:
    """The cases of a simulated site: to train on, and held back."""

    training: Cases
    held_back: Cases


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, as the journal keeps it.

    Attributes:
        at_s: When, on the virtual clock.
        what: "look", "finish", "visit", "crash", "start" or "heal".
        site: To whom.
        peer: Whom it visited.
        mishap: What went wrong in the visit.
    """

    at_s: float
    what: str
    site: str
    peer: str = ""
    mishap: Mishap = field(default_factory=Mishap)


@dataclass(slots=True)
class _Machine:
    """A site's machine: what outlives its crashes, and the process that does not."""

    spec: SimulatedSite
    store: Store
    mark: MemoryMark
    site: Site | None = None
    doing: Planned | None = None
    starts: int = 0
    visits_due: set[str] = field(default_factory=set)


def key_seed(seed: int, purpose: str) -> bytes:
    """Return the 32 bytes that a simulated key is made from."""
    return hashlib.sha256(f"imagiq simulated key\n{seed}\n{purpose}".encode()).digest()


class World:
    """A running simulation.

    Args:
        scenario: All that it depends on.
        cases: The cases of each site.
        learner_of: Makes the learner that the task names.
        strategies: Strategies by name and version.
        store_of: Makes the store of each site; in memory unless told otherwise.
        on_commit: Called with each commit that a site makes, its site's name, and how long the work took in seconds.
    """

    def __init__(
        self,
        scenario: Scenario,
        cases: Mapping[str, SiteCases],
        *,
        learner_of: Callable[[Named], Learner],
        strategies: Mapping[tuple[str, int], Strategy],
        store_of: Callable[[str], Store] = lambda _: MemoryStore(),
        on_commit: Callable[[Entry, str, float], None] | None = None,
    ) -> None:
        self.scenario = scenario
        self.clock = VirtualClock()
        self.journal: list[Event] = []
        self.traffic = Traffic()
        self.busy_s: defaultdict[tuple[str, Digest], float] = defaultdict(float)
        self._cases = cases
        self._learner_of = learner_of
        self._strategies = strategies
        self._on_commit = on_commit
        self._checks = Checks()
        self._draws = random.Random(scenario.seed)
        self._queue: list[tuple[float, int, Event, int]] = []
        self._queued = 0
        self._machines = {s.name: _Machine(s, store_of(s.name), MemoryMark()) for s in scenario.sites}
        self._neighbours = self._draw_neighbours()
        self.founding = self._founding()
        self._found()
        self.studies = self._open_studies()

    # ------------------------------------------------------------------------------------------ the beginning

    def _draw_neighbours(self) -> dict[str, tuple[str, ...]]:
        names = sorted(self._machines)
        wanted = self.scenario.network.neighbours
        if wanted is None or wanted >= len(names) - 1:
            return {name: tuple(other for other in names if other != name) for name in names}
        ring = {name: {names[(place + 1) % len(names)]} for place, name in enumerate(names)}
        drawn = {n: ring[n] | set(self._draws.sample([o for o in names if o != n], wanted)) for n in names}
        return {name: tuple(sorted(others)) for name, others in drawn.items()}

    def site_key(self, name: str) -> SiteKey:
        """Return a simulated site's key."""
        return SiteKey(key_seed(self.scenario.seed, f"site {name}"))

    def feed_key(self, name: str, number: int) -> FeedKey:
        """Return the key of a simulated site's feed, by the number of its certificate."""
        return FeedKey(key_seed(self.scenario.seed, f"feed {name} {number}"))

    def _founding(self) -> Charter:
        names = sorted(self._machines)
        keys = {name: self.site_key(name) for name in names}
        return Charter(
            title=self.scenario.title,
            members=tuple(Member(name, keys[name].public, keys[name].exchange_public) for name in names),
            voters=tuple(names),
            rules={**self.scenario.rules, "simulated": True},
        )

    def _found(self) -> None:
        votes = []
        for name in self._machines:
            site = self._boot(name)
            vote = site.vote(self.founding)
            votes += [] if vote is None else [vote.commit.raw]
        for machine in self._machines.values():
            _running(machine).bench.admit(votes, "founding")

    def _open_studies(self) -> dict[str, Study]:
        opener = _running(self._machines[self.scenario.sites[0].name])
        task = self.scenario.task
        initial = self._learner_of(task).initial(self.scenario.seed)
        schema = Schema(
            groups=schema_of(initial.weights).groups,
            architecture=initial.architecture,
            channels=initial.channels,
            labels=initial.labels,
            preprocessing=initial.preprocessing,
        )
        first = opener.bench.models.keep(schema, blobs_of(schema, initial.weights))
        studies: dict[str, Study] = {}
        for wanted in self.scenario.studies:
            recipe = study_recipe(
                title=wanted.title,
                strategy=wanted.strategy,
                task=task,
                steps=wanted.steps,
                updates=wanted.updates,
                sites=wanted.sites or tuple(self._machines),
                seed=self.scenario.seed,
            )
            entry = opener.open_study(recipe, first)
            studies[wanted.title] = opener.bench.studies[entry.digest].study
            self._note_owner(entry, entry.digest)
        return studies

    def _boot(self, name: str) -> Site:
        """Start the process of a site: everything that it knows comes from its store."""
        machine = self._machines[name]
        seed = machine.store.secret_read("feed")
        feed = self.feed_key(name, 1) if seed is None else FeedKey(seed)
        if seed is None:
            machine.store.secret_write("feed", feed.seed)
            machine.store.secret_write("site", self.site_key(name).seed)
        author = Author(self.site_key(name), feed)
        bench = Bench(machine.store, self.founding, clock=self.clock, author=author, checks=self._checks)
        local = Local(
            training=self._cases[name].training,
            held_back=self._cases[name].held_back,
            data=f"simulated {self.scenario.seed} {name}",
            learner_of=self._learner_of,
            strategies=self._strategies,
            accepts=lambda _: True,
            audit_draw=lambda merge: int.from_bytes(key_seed(self.scenario.seed, f"audit {name} {merge}")[:6]) % 1000,
        )
        machine.site = Site(
            name,
            bench,
            local,
            clock=self.clock,
            mark=machine.mark,
            new_feed_key=lambda number: self.feed_key(name, number),
        )
        machine.starts += 1
        return machine.site

    # ---------------------------------------------------------------------------------------------- the events

    def run(self) -> None:
        """Let everything happen until nobody has anything left to do, or the scenario's time is over."""
        for name in self._machines:
            self._at(0.0, Event(at_s=0.0, what="look", site=name))
        self._announce(self.scenario.sites[0].name)
        for fault in self.scenario.faults:
            self._plan_fault(fault)
        while self._queue:
            at_s, _, event, starts = heapq.heappop(self._queue)
            if at_s > self.scenario.until_s:
                return
            if starts in {0, self._machines[event.site].starts}:
                self._happen(event)

    def replay(self, journal: Iterable[Event]) -> None:
        """Play a journal back: the same events at the same moments, with the same mishaps."""
        for event in journal:
            self._happen(event)

    def _plan_fault(self, fault: Crash | Partition) -> None:
        if isinstance(fault, Crash):
            self._at(fault.at_s, Event(at_s=0.0, what="crash", site=fault.site))
            self._at(fault.at_s + fault.for_s, Event(at_s=0.0, what="start", site=fault.site))
        else:
            for name in sorted(fault.sites):
                self._at(fault.at_s + fault.for_s, Event(at_s=0.0, what="heal", site=name))

    def _at(self, at_s: float, event: Event, *, starts: int = 0) -> None:
        self._queued += 1
        heapq.heappush(self._queue, (at_s, self._queued, _moved(event, at_s), starts))

    def _happen(self, event: Event) -> None:
        self.clock.advance_to(event.at_s)
        machine = self._machines[event.site]
        if event.what == "visit":
            event = self._visit(machine, event)
        elif event.what == "crash":
            machine.site, machine.doing, machine.starts = None, None, machine.starts + 1
            machine.visits_due.clear()
        elif event.what == "start":
            self._boot(event.site)
            self._meet_again(event.site)
        elif event.what == "heal":
            self._meet_again(event.site)
        elif event.what == "finish" and machine.doing is not None:
            self._finish(machine, machine.doing)
        self.journal.append(event)
        self._look(machine)

    def _look(self, machine: _Machine) -> None:
        if machine.site is None or machine.doing is not None:
            return
        planned = machine.site.plan()
        name, now_s = machine.spec.name, self.clock.now_s()
        if isinstance(planned, Planned):
            machine.site.begin(planned)
            machine.doing = planned
            done_s = now_s + self._duration_s(machine.spec, planned.study, planned.work)
            self._at(done_s, Event(at_s=0.0, what="finish", site=name), starts=machine.starts)
        elif planned.until_s is not None:
            self._at(planned.until_s, Event(at_s=0.0, what="look", site=name), starts=machine.starts)

    def _duration_s(self, spec: SimulatedSite, study: Study, work: Work) -> float:
        at_speed_1_s = study.updates * self.scenario.update_s if isinstance(work, Train) else self.scenario.merge_s
        return at_speed_1_s / spec.speed

    def _finish(self, machine: _Machine, planned: Planned) -> None:
        entry = _running(machine).finish(planned)
        machine.doing = None
        if entry is None:
            return
        took_s = self._duration_s(machine.spec, planned.study, planned.work)
        self.busy_s[machine.spec.name, planned.study.digest] += took_s
        self._note_owner(entry, planned.study.digest)
        if self._on_commit is not None:
            self._on_commit(entry, machine.spec.name, took_s)
        self._announce(machine.spec.name)

    def _note_owner(self, entry: Entry, study: Digest) -> None:
        self.traffic.studies[entry.commit.raw] = study
        if entry.commit.tree is not None:
            tree = self.bench(self._author_of(entry)).models.tree(entry.commit.tree)
            for name in (tree.digest, *tree.blobs):
                self.traffic.studies.setdefault(name, study)

    def _author_of(self, entry: Entry) -> str:
        return self.founding.names_by_site_key[entry.site]

    # --------------------------------------------------------------------------------------------- the network

    def _announce(self, name: str) -> None:
        """Let the neighbours of a site that has news visit it, each after the network's delay."""
        for other in self._neighbours[name]:
            self._visit_later(other, name, self.scenario.network.delay_s)

    def _visit_later(self, visitor: str, host: str, delay_s: float) -> None:
        machine = self._machines[visitor]
        if host not in machine.visits_due:
            machine.visits_due.add(host)
            jitter_s = self._draws.uniform(0.0, self.scenario.network.jitter_s)
            event = Event(at_s=0.0, what="visit", site=visitor, peer=host, mishap=self._draw_mishap())
            self._at(self.clock.now_s() + delay_s + jitter_s, event)

    def _draw_mishap(self) -> Mishap:
        network, draw = self.scenario.network, self._draws.random
        if not (network.loss or network.cut or network.repeat):
            return Mishap()
        return Mishap(
            lost=draw() < network.loss,
            cut_after=self._draws.randrange(1, 20) if draw() < network.cut else None,
            shuffle=self._draws.randrange(2**32) if draw() < network.repeat else None,
        )

    def _visit(self, machine: _Machine, event: Event) -> Event:
        host = self._machines[event.peer]
        machine.visits_due.discard(event.peer)
        if machine.site is None or host.site is None:
            return event
        if self._are_apart(event.site, event.peer):
            return _moved(event, event.at_s, Mishap(lost=True))
        peer = FaultyPeer(BenchPeer(event.peer, host.site.bench), event.mishap, self.traffic)
        before = len(machine.site.bench.history)
        try:
            machine.site.sync(peer)
        except Unreachable:
            self._visit_later(event.site, event.peer, self.scenario.network.retry_s)
        if len(machine.site.bench.history) > before:
            self._announce(event.site)
        return event

    def _are_apart(self, one: str, other: str) -> bool:
        now_s = self.clock.now_s()
        return any(
            fault.at_s <= now_s < fault.at_s + fault.for_s and (one in fault.sites) != (other in fault.sites)
            for fault in self.scenario.faults
            if isinstance(fault, Partition)
        )

    def _meet_again(self, name: str) -> None:
        for other in self._neighbours[name]:
            self._visit_later(name, other, self.scenario.network.delay_s)
            self._visit_later(other, name, self.scenario.network.delay_s)

    # ---------------------------------------------------------------------------------------------- the outcome

    @property
    def names(self) -> Sequence[str]:
        """The sites, in the scenario's order."""
        return [site.name for site in self.scenario.sites]

    def site(self, name: str) -> Site:
        """Return a site that is running.

        Raises:
            Unreachable: it has crashed.
        """
        return _running(self._machines[name])

    def bench(self, name: str) -> Bench:
        """Return the bench of a site that is running."""
        return self.site(name).bench


def _running(machine: _Machine) -> Site:
    if machine.site is None:
        raise Unreachable("site-down", f"Site '{machine.spec.name}' has crashed.", "Wait until it starts again.")
    return machine.site


def _moved(event: Event, at_s: float, mishap: Mishap | None = None) -> Event:
    return Event(at_s=at_s, what=event.what, site=event.site, peer=event.peer, mishap=mishap or event.mishap)
