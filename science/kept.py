"""One simulated federation of a comparison, kept as a file: a comparison that was cut off goes on where it was.

What is kept of a model is its Dice on each held-back patient, without names, by the site that it was tried at.
"""

from __future__ import annotations

import gc
import json
import resource
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

from imagiq.learning import Resources
from imagiq.objects import digest_of
from imagiq.simulation import Outcome, simulate
from imagiq.simulation.files import read_scenario
from imagiq.site.sources import CasesOfSites, cases_of
from imagiq.strategies import BUILT_IN

__all__ = ["Kept", "cpu_s", "kept_run", "settings_of"]

PROGRAMS = ("imagiq", "numpy", "scipy", "torch", "monai")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is kept of a run.

    Attributes:
        name: Of the run, such as ``seed-100``.
        settings: Digest of everything that it depends on but the versions.
        sites: Those that take part.
        unseen: Those that do not.
        dice: Way -> site whose model it is -> site where it was tried -> Dice of each patient.
        updates: Optimiser updates of each hospital in a way.
        cpu_s: Processor time of all processes.
        wall_s: Time that passed.
        versions: Of the programs.
    """

    name: str
    settings: str
    sites: Sequence[str]
    unseen: Sequence[str]
    dice: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]
    updates: int
    cpu_s: float
    wall_s: float
    versions: Mapping[str, str]


def cpu_s() -> float:
    """Return how much processor time this process and those that it has waited for have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def settings_of(file: Path) -> dict[str, Any]:
    """Return what a file for ``imagiq simulate`` says."""
    return tomllib.loads(file.read_text("utf-8"))


def kept_run(
    folder: Path,
    name: str,
    file: Path,
    *,
    seed: int,
    data: Mapping[str, Any],
    source: Callable[..., CasesOfSites],
    workers: int,
    steps: int | None = None,
    updates: int | None = None,
) -> Kept:
    """Return a run: the one that is kept in the folder, else a new one.

    Args:
        folder: Where runs are kept.
        name: Of the run.
        file: For ``imagiq simulate``.
        seed: Instead of the file's.
        data: Parameters of the source, instead of the file's.
        source: Makes the cases from them.
        workers: Trainings side by side.
        steps: Training commits of each hospital in each study, instead of the file's.
        updates: Optimiser updates in one of them, instead of the file's.
    """
    told = {key: value if isinstance(value, int | float | list) else str(value) for key, value in data.items()}
    parts = [
        settings_of(file),
        seed,
        {key: told[key] for key in told if key != "path"},
        *([] if steps is None else [steps]),
        *([] if updates is None else [{"updates": updates}]),
    ]
    settings = digest_of(json.dumps(parts, sort_keys=True).encode())
    place = folder / f"{name}-{settings[:12]}.json"
    if place.exists():
        return Kept(**json.loads(place.read_text("utf-8")))
    gc.collect()  # the run before is one large circle of gigabytes, of few objects
    before_s, began_s = cpu_s(), perf_counter()
    cases = cases_of(source(**data))
    scenario, _ = read_scenario(file, strategies=BUILT_IN, cases=cases)
    studies = tuple(
        replace(study, steps=steps or study.steps, updates=updates or study.updates) for study in scenario.studies
    )
    scenario = replace(scenario, studies=studies)
    outcome = simulate(scenario, seed=seed, cases=cases, resources=Resources(workers=workers, threads=1))
    if outcome.warnings:
        print(*outcome.warnings, sep="\n")
    kept = Kept(
        name=name,
        settings=settings,
        sites=[hospital.name for hospital in outcome.hospitals],
        unseen=[hospital.name for hospital in outcome.unseen],
        dice=_dice(outcome),
        updates=max(way.terms.steps * way.terms.updates for way in outcome.ways if way.terms is not None),
        cpu_s=round(cpu_s() - before_s, 1),
        wall_s=round(perf_counter() - began_s, 1),
        versions={program: version(program) for program in PROGRAMS},
    )
    folder.mkdir(parents=True, exist_ok=True)
    partly = place.with_suffix(".part")
    partly.write_text(json.dumps(asdict(kept)), encoding="utf-8")
    partly.rename(place)
    print(f"{name}: {kept.cpu_s:.0f} processor seconds, {kept.wall_s:.0f} s", flush=True)
    return kept


def _dice(outcome: Outcome) -> dict[str, dict[str, dict[str, list[float]]]]:
    return {
        way.title: {
            result.site: {place: [round(one, 6) for one in each] for place, each in result.patients.items()}
            for result in way.sites
        }
        for way in outcome.lines
    }
