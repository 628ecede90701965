"""Run a simulation, or play one back: what ``imagiq.simulate``, ``imagiq simulate`` and ``imagiq demo`` call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from imagiq.errors import ContractBroken, Misuse, Refused
from imagiq.federation import Named, Strategy
from imagiq.learning import Checks, Learner, Resources, processors
from imagiq.simulation.assembling import histories_of, outcome_of
from imagiq.simulation.files import read_machine, read_scenario
from imagiq.simulation.happening import Happening
from imagiq.simulation.journal import Journal, read_journal
from imagiq.simulation.learners import Learners, MadeLearners
from imagiq.simulation.outcome import Outcome
from imagiq.simulation.pooling import PooledLine, pooled_line
from imagiq.simulation.reporting import report_of
from imagiq.simulation.repository import SitesFolder
from imagiq.simulation.scenario import Scenario, SimulatedStudy
from imagiq.simulation.world import World
from imagiq.site.sources import CasesOfSites, SiteCases, cases_of, parted_as_stated
from imagiq.site.studies import schema_for
from imagiq.site.toml import explaining, suggestion
from imagiq.store import MemoryStore
from imagiq.strategies import BUILT_IN

__all__ = ["Learners", "Progress", "Strategies", "replay", "simulate"]

Strategies = Mapping[tuple[str, int], Strategy]
"""Own strategies, by name and version."""

Progress = Callable[[World], Callable[[Happening], None]]
"""Given the world before it runs, returns what is called with each :class:`~imagiq.simulation.Happening`."""


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """Everything that a world is made of."""

    scenario: Scenario
    cases: Mapping[str, SiteCases]
    strategies: Strategies
    learner_of: MadeLearners


def simulate(  # noqa: PLR0913 - each is asked for by name
    scenario: Scenario | str | Path,
    *,
    strategies: Strategies | None = None,
    learners: Learners | None = None,
    cases: CasesOfSites | None = None,
    folder: str | Path | SitesFolder | None = None,
    only: Sequence[str] | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
    pictures: bool = False,
    resources: Resources | None = None,
) -> Outcome:
    """Run a simulation.

    Args:
        scenario: A scenario, or the TOML file that describes it.
        strategies: Own strategies, by name and version, beside those of imagiq.
        learners: Own learners by name, beside those that are installed.
        cases: The cases of each site, instead of those that the file names; needed with a scenario.
        folder: Where to leave each site's repository, as ``folder/<site>/.imagiq``, ``folder/journal.jsonl``, and
            ``folder/outcome.json``, of which ``imagiq report folder`` makes a report.
        only: Titles or strategies: run these studies; a strategy that no study has gets one of its own.
        seed: Instead of the scenario's.
        progress: Watches what happens.
        pictures: Put slices of patients into the outcome even if their source does not say that they may be shown to
            anybody.
        resources: What learners may use of this machine, instead of what the file's ``[machine]`` says; with neither,
            as many trainings run side by side as there are processors and sites, each in one thread.

    Raises:
        ImagiqError: the file, the cases or a parameter is not as it must be; the message says what to do.
    """
    setting = _setting(scenario, strategies, learners, cases, only, seed, resources=resources)
    place = SitesFolder(Path(folder)) if isinstance(folder, str | Path) else folder
    titles = tuple(study.title for study in setting.scenario.studies)
    journal = Journal(seed=setting.scenario.seed, studies=titles)
    if place is not None:
        journal = place.make(journal, None if isinstance(scenario, Scenario) else Path(scenario))
    with ExitStack() as open_things:
        # Closed in reverse: first the stores, then the workers, then nobody trains the pooled line any more.
        lines: list[PooledLine] = []
        open_things.callback(_end, lines)
        open_things.enter_context(closing(setting.learner_of))
        world = open_things.enter_context(closing(_world(setting, place, progress)))
        line = pooled_line(setting.scenario, setting.cases, setting.learner_of(setting.scenario.task))
        lines += [] if line is None else [line]
        world.run()
        if place is not None:
            replace(journal, events=world.journal, histories=histories_of(world)).write(place.journal)
        outcome = outcome_of(world, setting.cases, setting.learner_of, pictures=pictures, line=line)
        if place is not None:
            place.leave(report_of(outcome))
        return outcome


def _end(lines: Sequence[PooledLine]) -> None:
    for line in lines:
        line.end()


def replay(
    journal: str | Path,
    scenario: Scenario | str | Path,
    *,
    strategies: Strategies | None = None,
    learners: Learners | None = None,
    cases: CasesOfSites | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Play a simulation back from its journal, and check that the same bytes come out.

    Args:
        journal: The ``journal.jsonl`` that it left.
        scenario: As for :func:`simulate`; the seed and the studies are the journal's.
        strategies: As for :func:`simulate`.
        learners: As for :func:`simulate`.
        cases: As for :func:`simulate`.
        progress: As for :func:`simulate`.

    Raises:
        ContractBroken: other bytes come out: the scenario, the cases or the software are not the same.
        ImagiqError: as for :func:`simulate`.
    """
    written = read_journal(Path(journal))
    if not written.histories:
        raise ContractBroken(
            "replay-unfinished", f"The simulation that wrote {journal} never finished.", "Run the simulation again."
        )
    setting = _setting(scenario, strategies, learners, cases, written.studies, written.seed)
    with closing(setting.learner_of):
        return _replayed(written, setting, progress)


def _replayed(written: Journal, setting: _Setting, progress: Progress | None) -> Outcome:
    world = _world(setting, None, progress)
    world.replay(written.events)
    found = histories_of(world)
    differing = sorted(name for name in {*found, *written.histories} if found.get(name) != written.histories.get(name))
    if differing:
        raise ContractBroken(
            "replay-differs",
            f"Other bytes came out than when the journal was written, at {', '.join(differing)}.",
            "Replay it with the same file, cases, learner and version of imagiq.",
        )
    return outcome_of(world, setting.cases, setting.learner_of)


def _setting(
    scenario: Scenario | str | Path,
    strategies: Strategies | None,
    learners: Learners | None,
    cases: CasesOfSites | None,
    only: Sequence[str] | None,
    seed: int | None,
    *,
    resources: Resources | None = None,
) -> _Setting:
    known = {**BUILT_IN, **(strategies or {})}
    where = ""
    if not isinstance(scenario, Scenario):
        where = f"{Path(scenario).name}, [task]"
        resources = resources or read_machine(Path(scenario))
        scenario, found = read_scenario(Path(scenario), strategies=known, cases=cases)
    elif cases is None:
        raise Misuse("scenario-cases", "A scenario was given without cases.", "Say cases=..., one set for each site.")
    else:
        given = cases_of(cases)
        found = {site.name: _cases_at(given, site.cases or site.name) for site in scenario.sites}
        found |= {name: cases for name, cases in given.items() if cases.is_unseen}
    if only is not None:
        scenario = replace(scenario, studies=_chosen(scenario, only, known))
    if seed is not None:
        scenario = replace(scenario, seed=seed)
    usual = Resources(workers=min(processors(), len(scenario.sites)), threads=1)
    made = MadeLearners(learners or {}, resources or usual)
    setting = _Setting(scenario=scenario, cases=found, strategies=known, learner_of=made)
    try:
        with explaining(where):
            _check_schemas(setting)
    except BaseException:
        made.close()
        raise
    return setting


def _cases_at(found: Mapping[str, SiteCases], name: str) -> SiteCases:
    if name not in found:
        raise Misuse("scenario-site", f"There are no cases for a site '{name}'.", suggestion(name, list(found)))
    return found[name]


def _chosen(scenario: Scenario, only: Sequence[str], known: Strategies) -> tuple[SimulatedStudy, ...]:
    """Return the studies that have one of these titles or strategies; a new study for each other strategy."""
    chosen: dict[str, SimulatedStudy] = {}
    for name in only:
        found = [study for study in scenario.studies if name == study.title]
        found = found or [study for study in scenario.studies if name == study.strategy.name]
        if not found and name in {strategy for strategy, _ in known}:
            version = max(version for strategy, version in known if strategy == name)
            usual = scenario.studies[0]
            found = [replace(usual, title=name, strategy=Named(name, version))]
        if not found:
            names = [*(study.title for study in scenario.studies), *(strategy for strategy, _ in known)]
            raise Misuse("strategy-unknown", f"There is no study or strategy '{name}'.", suggestion(name, names))
        chosen |= {study.title: study for study in found}
    return tuple(chosen.values())


def _check_schemas(setting: _Setting) -> None:
    """Check that the cases of all sites ask for one schema: models of different schemas cannot be averaged."""
    scenario = setting.scenario
    learner = setting.learner_of(scenario.task)
    _check_cases(setting, learner)
    initial = learner.initial(scenario.seed)
    first = scenario.sites[0].name
    schema = schema_for(initial, first, setting.cases[first])
    for site in scenario.sites[1:]:
        other = schema_for(initial, site.name, setting.cases[site.name])
        if other.digest != schema.digest:
            one, two = next((a, b) for a, b in zip(schema.channels, other.channels, strict=False) if a != b)
            raise Refused(
                "cases-columns",
                f"The columns of '{site.name}' differ from those of '{first}': '{two}' stands where '{one}' should.",
                "Give all sites the same columns in the same order.",
            )


def _check_cases(setting: _Setting, learner: Learner) -> None:
    """Check that all cases are those that the task is about, before anything is trained on them."""
    for name, cases in setting.cases.items():
        with explaining(f"Site '{name}'"):
            if not cases.is_unseen:
                parted_as_stated(cases, setting.scenario.task)
            for part in (cases.training, cases.held_back):
                if isinstance(learner, Checks) and len(part):
                    learner.check(part)


def _world(setting: _Setting, place: SitesFolder | None, progress: Progress | None) -> World:
    world = World(
        setting.scenario,
        setting.cases,
        learner_of=setting.learner_of,
        strategies=setting.strategies,
        store_of=(lambda _: MemoryStore()) if place is None else place.store,
    )
    if progress is not None:
        world.watch = progress(world)
    return world
