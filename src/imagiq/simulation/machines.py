"""The machines of a simulated federation: how their sites are founded, started, and started again from their stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from imagiq.bench import Author, Bench, Checks
from imagiq.clock import Clock
from imagiq.errors import Misuse, Unreachable
from imagiq.exchange import BenchPeer
from imagiq.federation import Named, Strategy, Study, study_recipe
from imagiq.history import Entry
from imagiq.keys import FeedKey
from imagiq.learning import Learner
from imagiq.merging import blobs_of
from imagiq.simulation.founding import charter_of, feed_key, key_seed, site_key
from imagiq.simulation.scenario import Scenario, SimulatedSite
from imagiq.site import Local, MemoryMark, Planned, Site
from imagiq.site.sources import SiteCases
from imagiq.site.studies import schema_for
from imagiq.store import Store

__all__ = ["Machine", "Machines"]


@dataclass(slots=True)
class Machine:
    """A site's machine: what outlives its crashes, and the process that does not."""

    spec: SimulatedSite
    store: Store
    mark: MemoryMark = field(default_factory=MemoryMark)
    site: Site | None = None
    peer: BenchPeer | None = None
    doing: Planned | None = None
    starts: int = 0
    visits_due: set[str] = field(default_factory=set)
    looks_due_s: set[float] = field(default_factory=set)

    @property
    def running(self) -> Site:
        """The site, which is running.

        Raises:
            Unreachable: it has crashed.
        """
        if self.site is None:
            raise Unreachable("site-down", f"Site '{self.spec.name}' has crashed.", "Wait until it starts again.")
        return self.site

    def forget_states_before(self, entry: Entry) -> None:
        """Let go of what the training before one left here: nothing reads it any more, and it is larger than a model."""
        steps = self.running.bench.studies[entry.commit.study or entry.digest]
        for step in steps.trainings(self.spec.name)[-2:-1]:
            self.store.sidecar_remove(step.digest)

    def crash(self) -> None:
        """Stop at once; only the store and the mark are left."""
        if self.site is not None:
            self.site.abandon()
        self.site, self.peer, self.doing = None, None, None
        self.starts += 1
        self.visits_due.clear()
        self.looks_due_s.clear()


class Machines:
    """The machines of all sites.

    Args:
        scenario: What is simulated.
        cases: The cases of each site.
        clock: The one clock of them all.
        learner_of: Makes the learner that a task names.
        strategies: Strategies by name and version.
        store_of: Makes the store of each site.
        on_entries: Called with a site's name and the entries that it admitted or wrote.
    """

    def __init__(
        self,
        scenario: Scenario,
        cases: Mapping[str, SiteCases],
        *,
        clock: Clock,
        learner_of: Callable[[Named], Learner],
        strategies: Mapping[tuple[str, int], Strategy],
        store_of: Callable[[str], Store],
        on_entries: Callable[[str, Sequence[Entry]], None],
    ) -> None:
        self.founding = charter_of(scenario)
        self._scenario = scenario
        self._cases = cases
        self._clock = clock
        self._learner_of = learner_of
        self._strategies = strategies
        self._on_entries = on_entries
        self._checks = Checks()
        self._machines = {site.name: Machine(site, store_of(site.name)) for site in scenario.sites}

    def __getitem__(self, name: str) -> Machine:
        """Return a site's machine."""
        return self._machines[name]

    def __contains__(self, name: object) -> bool:
        """Tell whether there is such a site."""
        return name in self._machines

    def __iter__(self) -> Iterator[str]:
        """Yield the sites' names, in the scenario's order."""
        return iter(self._machines)

    def found(self) -> None:
        """Start all sites, and let them vote for the founding charter."""
        votes = []
        for name in self:
            vote = self.boot(name).vote(self.founding)
            votes += [] if vote is None else [vote.commit.raw]
        for name in self:
            self[name].running.bench.admit(votes, "founding")

    def open_studies(self) -> dict[str, Study]:
        """Let the first site open the scenario's studies; return them by their titles.

        Raises:
            Misuse: the charter does not permit one.
        """
        scenario = self._scenario
        opener = self[scenario.sites[0].name].running
        initial = self._learner_of(scenario.task).initial(scenario.seed)
        schema = schema_for(initial, opener.name, self._cases[opener.name])
        first = opener.bench.models.keep(schema, blobs_of(schema, initial.weights))
        studies: dict[str, Study] = {}
        for wanted in scenario.studies:
            recipe = study_recipe(
                title=wanted.title,
                strategy=wanted.strategy,
                task=scenario.task,
                steps=wanted.steps,
                updates=wanted.updates,
                sites=wanted.sites or tuple(self),
                seed=scenario.seed,
            )
            entry = opener.open_study(recipe, first)
            if entry.digest not in opener.bench.studies:
                raise Misuse(
                    "scenario-charter",
                    f"The charter's rules do not permit the study '{wanted.title}'.",
                    "Add its strategy and task to the rules, or leave it out.",
                )
            studies[wanted.title] = opener.bench.studies[entry.digest].study
        return studies

    def boot(self, name: str) -> Site:
        """Start the process of a site: everything that it knows comes from its store."""
        machine, scenario, cases = self[name], self._scenario, self._cases[name]
        seed = machine.store.secret_read("feed")
        feed = feed_key(scenario, name, 1) if seed is None else FeedKey(seed)
        author = Author(site_key(scenario, name), feed)
        if seed is None:
            machine.store.secret_write("feed", feed.seed)
            machine.store.secret_write("site", author.site.seed)
        bench = Bench(
            machine.store,
            self.founding,
            clock=self._clock,
            author=author,
            checks=self._checks,
            on_entries=lambda entries: self._on_entries(name, entries),
        )
        local = Local(
            cases=lambda: cases,
            data=f"simulated {scenario.seed} {name}",
            learner_of=self._learner_of,
            strategies=self._strategies,
            accepts=lambda _: True,
            audit_draw=lambda merge: int.from_bytes(key_seed(scenario.seed, f"audit {name} {merge}")[:6]) % 1000,
        )
        machine.site = Site(
            name,
            bench,
            local,
            clock=self._clock,
            mark=machine.mark,
            new_feed_key=lambda number: feed_key(scenario, name, number),
        )
        machine.peer = BenchPeer(name, bench)
        machine.starts += 1
        return machine.site
