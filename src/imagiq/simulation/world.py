"""The simulated world: many real sites, each with its own store and keys, under a virtual clock.

What happens is a queue of events: a site looks what to do, finishes what it began, visits a neighbour, crashes, starts
again. Every event is written into a journal with the mishaps that were drawn for it; :meth:`World.replay` plays a
journal back to the same bytes without drawing anything.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from imagiq.bench import Bench
from imagiq.clock import VirtualClock
from imagiq.errors import Misuse, Unreachable
from imagiq.federation import Named, Strategy, Study, Train, Work
from imagiq.history import Entry
from imagiq.learning import Advance, Learner
from imagiq.objects import Digest
from imagiq.simulation.course import Made, Worked
from imagiq.simulation.founding import SiteCases
from imagiq.simulation.happening import Happening
from imagiq.simulation.journal import Event
from imagiq.simulation.machines import Machine, Machines
from imagiq.simulation.network import FaultyPeer, Lines, Mishap, Traffic
from imagiq.simulation.scenario import Crash, Partition, Scenario, SimulatedSite
from imagiq.site import Planned, Site
from imagiq.store import MemoryStore, Store

__all__ = ["World"]

FAULTS = frozenset({"crash", "start", "heal"})


class World:
    """A running simulation.

    Args:
        scenario: All that it depends on.
        cases: The cases of each site.
        learner_of: Makes the learner that the task names.
        strategies: Strategies by name and version.
        store_of: Makes the store of each site; in memory unless told otherwise.

    Attributes:
        clock: The virtual clock.
        journal: What happened so far.
        traffic: What passed between sites.
        busy_s: How long each site computed for each study, in virtual seconds.
        commits: How many commits each site made in each study.
        ended_s: When each study's last commit so far was made.
        worked: Who worked on what so far, and who was down.
        made: The commits of the studies so far.
        down_since_s: Since when sites are down that have crashed.
        stopped: Why the simulation was stopped before all was done; empty: it was not.
        watch: Called with whatever happens.
        founding: The federation's charter.
        studies: The studies, by their titles.
    """

    def __init__(
        self,
        scenario: Scenario,
        cases: Mapping[str, SiteCases],
        *,
        learner_of: Callable[[Named], Learner],
        strategies: Mapping[tuple[str, int], Strategy],
        store_of: Callable[[str], Store] = lambda _: MemoryStore(),
    ) -> None:
        self.scenario = scenario
        self.clock = VirtualClock()
        self.journal: list[Event] = []
        self.traffic = Traffic()
        self.busy_s: defaultdict[tuple[str, Digest], float] = defaultdict(float)
        self.commits: Counter[tuple[str, Digest]] = Counter()
        self.ended_s: dict[Digest, float] = {}
        self.worked: list[Worked] = []
        self.made: list[Made] = []
        self.stopped = ""
        self.watch: Callable[[Happening], None] = lambda _: None
        self._lines = Lines(scenario)
        self._queue: list[tuple[float, int, Event, int]] = []
        self._queued = 0
        self._quiet_since_s = 0.0
        self.down_since_s: dict[str, float] = {}
        self._machines = Machines(
            scenario,
            cases,
            clock=self.clock,
            learner_of=learner_of,
            strategies=strategies,
            store_of=store_of,
            on_entries=self._note,
        )
        self.founding = self._machines.founding
        self._keys = {name: key for key, name in self.founding.names_by_site_key.items()}
        self._machines.found()
        self.studies = self._machines.open_studies()

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
                self.stopped = f"The simulation was stopped after {self.scenario.until_s:g} s, as it was told."
                return
            if event.what not in FAULTS and at_s > self._quiet_since_s + self.scenario.idle_s:
                self.stopped = f"Nobody committed anything for {self.scenario.idle_s:g} s: the simulation was stopped."
                return
            if starts in {0, self._machines[event.site].starts}:
                self._happen(event)

    def replay(self, journal: Iterable[Event]) -> None:
        """Play a journal back: the same events at the same moments, with the same mishaps.

        Raises:
            Misuse: the journal is of another scenario.
        """
        for event in journal:
            if event.site not in self._machines or (event.peer and event.peer not in self._machines):
                raise Misuse(
                    "journal-foreign", "The journal tells of other sites.", "Name the file that it was made with."
                )
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
        heapq.heappush(self._queue, (at_s, self._queued, replace(event, at_s=at_s), starts))

    def _happen(self, event: Event) -> None:
        self.clock.advance_to(event.at_s)
        machine = self._machines[event.site]
        changed = True
        if event.what == "visit":
            event, changed = self._visit(machine, event)
        elif event.what == "finish" and machine.doing is not None:
            self._finish(machine, machine.doing)
        elif event.what in FAULTS:
            self._fault(machine, event)
        self.journal.append(event)
        if changed and machine.site is not None:
            self._look(machine, machine.site)

    def _fault(self, machine: Machine, event: Event) -> None:
        self._quiet_since_s = event.at_s
        if event.what == "crash":
            machine.crash()
            self.down_since_s.setdefault(event.site, event.at_s)
        elif event.what == "start" and machine.site is None:
            self._machines.boot(event.site)
            self.worked.append(
                Worked(
                    site=event.site,
                    study=None,
                    kind="down",
                    from_s=self.down_since_s.pop(event.site, event.at_s),
                    to_s=event.at_s,
                )
            )
        if event.what != "crash":
            for other in self._lines.linked(event.site):
                self._visit_later(event.site, other, self._lines.delay_s())
                self._visit_later(other, event.site, self._lines.delay_s())
        if event.what != "heal":
            self.watch(Happening(at_s=event.at_s, site=event.site, what=event.what))

    def _look(self, machine: Machine, site: Site) -> None:
        """Let a site do what it decides, fetch what it wants, or look again when it says."""
        name, now_s = machine.spec.name, self.clock.now_s()
        if machine.doing is None:
            planned = site.plan()
            if isinstance(planned, Planned):
                site.tell = lambda of, advance: self._advanced(name, of, advance)
                site.begin(planned)
                machine.doing = planned
                took_s = self._duration_s(machine.spec, planned.study, planned.work)
                self._at(now_s + took_s, Event(at_s=0.0, what="finish", site=name), starts=machine.starts)
                study = planned.study.digest
                self.watch(Happening(at_s=now_s, site=name, what="began", study=study, work=planned.work))
            elif planned.until_s is not None and planned.until_s not in machine.looks_due_s:
                machine.looks_due_s = {at_s for at_s in machine.looks_due_s if at_s > now_s} | {planned.until_s}
                self._at(planned.until_s, Event(at_s=0.0, what="look", site=name), starts=machine.starts)
        for host in sorted({self._holder_of(digest, site) for digest in site.wanted()} - {name}):
            self._visit_later(name, host, self._lines.delay_s())

    def _holder_of(self, wanted: Digest, site: Site) -> str:
        """Return whom a site asks for a model: its author, or a neighbour if that one is down."""
        author = self.founding.names_by_site_key[site.bench.history[wanted].site]
        if self._machines[author].site is not None:
            return author
        return next((other for other in self._lines.linked(site.name) if self._holds(other, wanted)), site.name)

    def _holds(self, name: str, commit: Digest) -> bool:
        site = self._machines[name].site
        return site is not None and commit in site.bench.models.complete

    def _duration_s(self, spec: SimulatedSite, study: Study, work: Work) -> float:
        at_speed_1_s = study.updates * self.scenario.update_s if isinstance(work, Train) else self.scenario.merge_s
        return at_speed_1_s / spec.speed

    def _finish(self, machine: Machine, planned: Planned) -> None:
        site, name = machine.running, machine.spec.name
        before = len(site.bench.history)
        took_s = self._duration_s(machine.spec, planned.study, planned.work)
        entry = site.finish(planned)
        machine.doing = None
        self.busy_s[name, planned.study.digest] += took_s
        self.worked.append(
            Worked(
                site=name,
                study=planned.study.digest,
                kind=type(planned.work).__name__.lower(),
                from_s=self.clock.now_s() - took_s,
                to_s=self.clock.now_s(),
                failed=entry is None,
            )
        )
        told = Happening(at_s=self.clock.now_s(), site=name, what="failed", study=planned.study.digest, took_s=took_s)
        self.watch(replace(told, work=planned.work) if entry is None else replace(told, what="commit", entry=entry))
        if isinstance(planned.work, Train) and entry is not None:
            machine.forget_states_before(entry)
        if len(site.bench.history) > before:
            self._announce(name)

    def _advanced(self, name: str, planned: Planned, advance: Advance) -> None:
        told = Happening(at_s=self.clock.now_s(), site=name, what="advance", study=planned.study.digest)
        self.watch(replace(told, work=planned.work, advance=advance))

    def _note(self, name: str, entries: Sequence[Entry]) -> None:
        """Note to which study the own commits of a site belong, and what they hold."""
        for entry in entries:
            study = entry.digest if entry.commit.recipe.name == "study" else entry.commit.study
            if entry.site != self._keys[name] or study is None:
                continue
            self.commits[name, study] += 1
            self.made.append(self._made(name, study, entry))
            self._quiet_since_s = self.ended_s[study] = self.clock.now_s()
            self.traffic.studies[entry.commit.raw] = study

    def _count(self, bench: Bench, entry: Entry, names: Sequence[Digest]) -> None:
        """Note what was fetched for a commit's model."""
        study = entry.digest if entry.commit.recipe.name == "study" else entry.commit.study
        self.traffic.count_objects(study, sum(map(bench.store.size, names)))

    def _made(self, name: str, study: Digest, entry: Entry) -> Made:
        commit = entry.commit
        return Made(
            commit=entry.digest,
            site=name,
            study=study,
            recipe=commit.recipe.name,
            parents=tuple(parent.commit for parent in commit.parents),
            at_s=self.clock.now_s(),
            nbytes=self.traffic.bytes_of[study],
            cases=commit.cases,
            metrics={key: float(value) for key, value in commit.metrics.items()},
        )

    # --------------------------------------------------------------------------------------------- the network

    def _announce(self, name: str) -> None:
        """Let the neighbours of a site that has news visit it, each after the network's delay."""
        for other in self._lines.neighbours(name):
            delay_s = self._lines.delay_s()
            waits_s = self._lines.looks_after_s(other, self.clock.now_s() + delay_s)
            self._visit_later(other, name, delay_s + waits_s)

    def _visit_later(self, visitor: str, host: str, delay_s: float) -> None:
        due = self._machines[visitor].visits_due
        if host not in due:
            due.add(host)
            event = Event(at_s=0.0, what="visit", site=visitor, peer=host, mishap=self._lines.mishap())
            self._at(self.clock.now_s() + delay_s, event)

    def _visit(self, machine: Machine, event: Event) -> tuple[Event, bool]:
        """Let a site visit another; return what happened, and whether it brought anything."""
        host = self._machines[event.peer]
        machine.visits_due.discard(event.peer)
        if machine.site is None or host.peer is None:
            return event, False
        if self._lines.are_apart(event.site, event.peer, event.at_s):
            return replace(event, mishap=Mishap(lost=True)), False
        bench = machine.site.bench
        known, complete = len(bench.history), len(bench.models.complete)
        try:
            peer = FaultyPeer(host.peer, event.mishap, self.traffic)
            machine.site.learn(peer)
            machine.site.fetch([peer], kept=lambda entry, names: self._count(bench, entry, names))
            machine.site.attest()
        except Unreachable:
            self._visit_later(event.site, event.peer, self.scenario.network.retry_s)
        if len(bench.history) > known:
            self._announce(event.site)
        return event, len(bench.history) > known or len(bench.models.complete) != complete

    # ---------------------------------------------------------------------------------------------- the outcome

    @property
    def names(self) -> Sequence[str]:
        """The sites, in the scenario's order."""
        return [site.name for site in self.scenario.sites]

    def is_up(self, name: str) -> bool:
        """Tell whether a site is running."""
        return self._machines[name].site is not None

    def site(self, name: str) -> Site:
        """Return a site that is running.

        Raises:
            Unreachable: it has crashed.
        """
        return self._machines[name].running

    def bench(self, name: str) -> Bench:
        """Return the bench of a site that is running."""
        return self.site(name).bench

    def close(self) -> None:
        """Let go of all stores."""
        for name in self._machines:
            self._machines[name].store.close()
