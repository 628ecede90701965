"""A scenario in a TOML file; ``docs/simulate.md`` says what it may hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from imagiq.errors import Misuse
from imagiq.federation import Named
from imagiq.learning import Resources, processors
from imagiq.objects import JSON
from imagiq.simulation.scenario import Crash, Network, Partition, Scenario, SimulatedSite, SimulatedStudy
from imagiq.site.sources import CasesOfSites, SiteCases, cases_of, read_cases
from imagiq.site.toml import Table, read_toml, suggestion

__all__ = ["read_machine", "read_scenario"]

TOP = (
    *("title", "seed", "update_s", "merge_s", "until_s", "idle_s"),
    *("data", "unseen", "task", "budget", "site", "study", "network", "fault", "charter", "machine"),
)
"""What may stand at the top of a file."""


def read_scenario(
    path: Path, *, strategies: Collection[tuple[str, int]], cases: CasesOfSites | None = None
) -> tuple[Scenario, dict[str, SiteCases]]:
    """Read a scenario and the cases of its sites.

    Args:
        path: The file.
        strategies: Name and version of each strategy that there is.
        cases: The cases of the sites, instead of what ``[data]`` says.

    Raises:
        Misuse: a key is unknown or missing, or a value is of the wrong kind or out of its range.
        NotFound: a file is not there.
        Unsupported: no installed package offers the source of the cases.
        ContractBroken: the source's file does not hold what it should.
    """
    file = read_toml(path)
    file.only(*TOP)
    data = file.table("data", needed=cases is None)
    found = dict(read_cases(data) if cases is None else cases_of(cases))
    found |= _unseen(file.table("unseen"), found)
    named = [_site(table, found) for table in file.tables("site")]
    refined = {site.cases for site in named}
    if len(refined) < len(named):
        raise Misuse(
            "scenario-site", f"{path.name}: two [[site]] have the same cases.", "Give each site cases of its own."
        )
    rest = [name for name, cases in found.items() if name not in refined and not cases.is_unseen]
    sites = (*named, *(SimulatedSite(name=name) for name in rest))
    task, budget = file.table("task", needed=True), file.table("budget")
    steps, updates = budget.whole("steps", None), budget.whole("updates", None)
    budget.end()
    studies = [_study(table, steps, updates, strategies) for table in file.tables("study")]
    task_of = Named(task.text("learner"), task.needed_whole("version", 1), task.signed_rest())
    network = _network(file.table("network"))
    faults = tuple(_fault(table) for table in file.tables("fault"))
    rules = _rules(file.table("charter"))
    with file.explaining():
        scenario = Scenario(
            title=file.text("title", path.stem),
            seed=file.needed_whole("seed", 1),
            sites=sites,
            studies=tuple(studies),
            task=task_of,
            update_s=file.number("update_s", 0.1),
            merge_s=file.number("merge_s", 0.1),
            network=network,
            faults=faults,
            rules=rules,
            until_s=file.number("until_s", 1e9),
            idle_s=file.number("idle_s", 86_400.0),
        )
    unseen = {name: cases for name, cases in found.items() if cases.is_unseen}
    return scenario, {site.name: found[site.cases or site.name] for site in sites} | unseen


def read_machine(path: Path) -> Resources | None:
    """Return what a file lets learners use of this machine, in ``[machine]``; None: it does not say.

    Raises:
        Misuse: a key is unknown, or a value is of the wrong kind.
    """
    table = read_toml(path).table("machine")
    if not table:
        return None
    programs = table.table("programs")
    names = list(programs.rest())
    resources = Resources(
        workers=table.needed_whole("workers", processors()),
        threads=table.needed_whole("threads", 1),
        device=table.text("device", "auto"),
        memory_mib=table.whole("memory_mib", None),
        programs={name: programs.texts(name) for name in names},
        folder=path.parent,
    )
    table.end()
    return resources


def _unseen(table: Table, found: Mapping[str, SiteCases]) -> dict[str, SiteCases]:
    """Return the cases of the sites of ``[unseen]``, which take no part."""
    if not table:
        return {}
    unseen = {name: replace(cases, is_unseen=True) for name, cases in read_cases(table).items()}
    twice = sorted(unseen.keys() & found.keys())
    if twice:
        raise table.wrong(
            "kind", f"brings a site '{twice[0]}', which takes part", "Name another source or other sites."
        )
    return unseen


def _site(table: Table, found: Mapping[str, SiteCases]) -> SimulatedSite:
    name = table.text("name")
    cases, title, speed = table.text("cases", name), table.text("title", ""), table.number("speed", 1.0)
    table.end()
    if cases not in found or found[cases].is_unseen:
        raise Misuse("scenario-site", f"{table.where}: the data has no site '{cases}'.", suggestion(cases, list(found)))
    with table.explaining():
        return SimulatedSite(name=name, title=title, cases=cases, speed=speed)


def _study(
    table: Table, steps: int | None, updates: int | None, strategies: Collection[tuple[str, int]]
) -> SimulatedStudy:
    name, version = table.text("strategy"), table.needed_whole("version", 1)
    if (name, version) not in strategies:
        advice = suggestion(name, [known for known, _ in strategies])
        what = f"{table.where}: there is no strategy '{name}'" + ("" if version == 1 else f" of version {version}")
        raise Misuse("strategy-unknown", f"{what}.", advice)
    with table.explaining():
        study = SimulatedStudy(
            title=table.text("title", name),
            strategy=Named(name, version, table.table("parameters").signed_rest()),
            steps=table.needed_whole("steps", steps),
            updates=table.needed_whole("updates", updates),
            sites=table.texts("sites"),
        )
    table.end()
    return study


def _network(table: Table) -> Network:
    usual = Network()
    values = {
        key: table.number(key, getattr(usual, key))
        for key in ("delay_s", "jitter_s", "poll_s", "loss", "cut", "repeat", "retry_s")
    }
    neighbours = table.whole("neighbours", None)
    table.end()
    with table.explaining():
        return Network(**values, neighbours=neighbours)


def _fault(table: Table) -> Crash | Partition:
    kind = table.text("kind")
    at_s, for_s = table.number("at_s", 0.0), table.number("for_s", 1.0)
    fault: Crash | Partition
    with table.explaining():
        if kind == "crash":
            fault = Crash(site=table.text("site"), at_s=at_s, for_s=for_s)
        elif kind == "partition":
            fault = Partition(sites=frozenset(table.texts("sites")), at_s=at_s, for_s=for_s)
        else:
            raise table.wrong("kind", f"is '{kind}'", suggestion(kind, ["crash", "partition"]))
    table.end()
    return fault


def _rules(table: Table) -> Mapping[str, JSON]:
    rules: dict[str, JSON] = {"audit_per_mille": table.needed_whole("audit_per_mille", 100)}
    for key in ("strategies", "tasks"):
        if names := table.texts(key):
            rules[key] = list(names)
    table.end()
    return rules
