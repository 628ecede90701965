"""Evaluating: what a model that a repository holds reaches on cases whose truth is known. Nothing is recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from imagiq.bench import Bench
from imagiq.bench.as_html import SHORT, table
from imagiq.bench.reading import held_model
from imagiq.errors import Misuse, NotFound, Refused
from imagiq.history import Entry
from imagiq.learning import Cases, Checks, Learner, Overlaps, Predictions, Resources, predict
from imagiq.objects import Digest, digest_of
from imagiq.scoring import Interval, Measure, resampled
from imagiq.site.applying import Ready, ready
from imagiq.site.judging import marks_of
from imagiq.site.sources import SiteCases
from imagiq.site.studies import UNNAMED

__all__ = ["PARTS", "Evaluated", "Evaluation", "evaluate", "grid_for"]

PARTS = ("held-back", "training", "all")


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What a model reaches on the cases of one site.

    Attributes:
        site: What the source of the cases calls it.
        patients: How many there are.
        measures: What was measured, the headline first.
        of: Name of a measure -> its value with its interval over patients; None: it is not defined on these.
        silent: Measures that rest on too few cases to tell anything -> what there is too little of.
        warnings: What may make these numbers worthless.
    """

    site: str
    patients: int
    measures: tuple[Measure, ...]
    of: Mapping[str, Interval | None]
    silent: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a model reaches on cases.

    Attributes:
        commit: Which model.
        part: Which part of the cases: one of :data:`PARTS`.
        sites: Site by site.
        warnings: What is to be known of all of them.
    """

    commit: Digest
    part: str
    sites: tuple[Evaluated, ...]
    warnings: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """Return the evaluation as a notebook shows it."""
        measures = self.sites[0].measures
        rows = [(one.site, one.patients, *(_cell(one, measure.name) for measure in measures)) for one in self.sites]
        notes = [*self.warnings, *(f"{one.site}: {said}" for one in self.sites for said in one.warnings)]
        title = f"Commit {self.commit[:SHORT]} on {self.part} cases, with 95 % intervals over patients"
        return table(title, ("site", "patients", *(measure.title for measure in measures)), rows, notes=notes)


def _cell(one: Evaluated, measure: str) -> str:
    found = one.of.get(measure)
    if measure in one.silent:
        return f"tells nothing ({one.silent[measure]})"
    return "not defined" if found is None else f"{found.point:.3f} ({found.low:.3f} to {found.high:.3f})"


def evaluate(
    bench: Bench,
    entry: Entry,
    cases: Mapping[str, SiteCases],
    *,
    part: str = "held-back",
    learner: Learner | None = None,
    resources: Resources | None = None,
) -> Evaluation:
    """Apply a commit's model to cases and score what it says. Nothing is recorded.

    Args:
        bench: Where the model is.
        entry: Its commit.
        cases: By site.
        part: One of :data:`PARTS`.
        learner: Applies the model; None: the one that its study's task names.
        resources: What the learner may use of this machine.

    Raises:
        NotFound: there is no model, no study that says what applies it, or there are no such cases.
        ContractBroken: the cases are not those that the model is for; the message says what differs.
        Misuse: there is no such part.
    """
    if part not in PARTS:
        raise Misuse("evaluate-part", f"There is no part '{part}' of cases.", f"There are {', '.join(PARTS)}.")
    chosen = {name: parts for name, at in cases.items() if (parts := _parts(at, part))}
    if not chosen:
        raise NotFound("evaluate-no-cases", f"There are no {part} cases.", "Name other cases, or another part of them.")
    with ready(bench, entry, learner, resources) as model:
        done = [_evaluated(bench, model, name, cases[name], parts) for name, parts in chosen.items()]
        return Evaluation(commit=entry.digest, part=part, sites=tuple(done), warnings=model.warnings)


def grid_for(bench: Bench, entry: Entry) -> dict[str, object]:
    """Return the grid that a model takes images on, as parameters of ``kind = "images"``; empty: it does not say."""
    schema = held_model(bench, entry).schema
    said = schema.preprocessing.get("images")
    if isinstance(said, Mapping):
        shape = said.get("shape")
        return {
            "plane": str(said.get("plane")),
            "spacing_mm": float(str(said.get("spacing_mm", 0))),
            "shape": list(shape) if isinstance(shape, list | tuple) else [],
        }
    return {"plane": "volume"} if schema.architecture.get("dims") == 3 else {}


def _parts(at: SiteCases, part: str) -> list[Cases]:
    wanted = {"held-back": [at.held_back], "training": [at.training], "all": [at.training, at.held_back]}[part]
    return [each for each in wanted if len(each)]


def _evaluated(bench: Bench, model: Ready, site: str, at: SiteCases, parts: Sequence[Cases]) -> Evaluated:
    for each in parts:
        if isinstance(model.learner, Checks):
            model.learner.check(each)
    _check_columns(model, site, at)
    said = [predict(model.learner, model.weights, each, model.state) for each in parts]
    marks = marks_of(_joined(said))
    seed = int(digest_of(f"imagiq evaluate\n{bench.founding.digest}\n{site}".encode())[:12], 16)
    return Evaluated(
        site=site,
        patients=marks.patients,
        measures=marks.measures,
        of={name: each.interval() for name, each in resampled(marks, seed).items()},
        silent=marks.silent,
        warnings=at.warnings,
    )


def _check_columns(model: Ready, site: str, at: SiteCases) -> None:
    """Check that cases have the columns that the model takes, in their order.

    Raises:
        Refused: they do not.
    """
    wanted, given = model.schema.channels, at.columns
    if not given or given == wanted or (all(map(UNNAMED.fullmatch, wanted)) and len(given) == len(wanted)):
        return
    differing = next(((one, two) for one, two in zip(wanted, given, strict=False) if one != two), None)
    what = (
        f"there are {len(given)} where it takes {len(wanted)}"
        if differing is None
        else f"'{differing[1]}' stands where it takes '{differing[0]}'"
    )
    raise Refused(
        "cases-columns",
        f"The columns of '{site}' are not those of the model: {what}.",
        f"Give it {', '.join(wanted)}, in this order.",
    )


def _joined(said: Sequence[Predictions | Overlaps]) -> Predictions | Overlaps:
    """Return what was said of several sets of patients as of one."""
    first = said[0]
    if isinstance(first, Overlaps):
        each = [one for one in said if isinstance(one, Overlaps)]
        true, drawn, common = (
            np.concatenate([getattr(one, name) for one in each]) for name in ("true", "drawn", "common")
        )
        return Overlaps(regions=first.regions, true=true, drawn=drawn, common=common)
    parts = [one for one in said if isinstance(one, Predictions)]
    return Predictions(
        truth=np.concatenate([one.truth for one in parts]), score=np.concatenate([one.score for one in parts])
    )
