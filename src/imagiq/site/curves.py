"""The curves of a study: what each site has measured, commit by commit, as far as it is known here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imagiq.bench import Bench
from imagiq.federation import State, Study
from imagiq.history import Entry
from imagiq.objects import Digest

__all__ = ["Curve", "Point", "curves_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A commit in which a site says what it measured.

    Attributes:
        commit: The commit.
        kind: ``train``, ``merge`` or ``evaluate``.
        step: Of a training: how many the site had then made.
        created: When it was made, as its author says; for people.
        cases: On how many cases; None: none were used.
        metrics: What was measured.
    """

    commit: Digest
    kind: str
    step: int | None
    created: str
    cases: int | None
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What one site has done in a study.

    Attributes:
        site: Its name.
        points: Its commits, in causal order.
    """

    site: str
    points: tuple[Point, ...] = ()

    def of_kind(self, kind: str) -> tuple[Point, ...]:
        """Return the points of one kind."""
        return tuple(point for point in self.points if point.kind == kind)

    def values(self, metric: str) -> tuple[float, ...]:
        """Return how a measure went from training to training."""
        return tuple(point.metrics[metric] for point in self.of_kind("train") if metric in point.metrics)


def curves_of(bench: Bench, study: Study) -> tuple[Curve, ...]:
    """Return the curves of all sites of a study, in the order of its sites; what is void has no part in them."""
    points: dict[str, list[Point]] = {site: [] for site in study.sites}
    for entry in sorted(bench.history, key=lambda entry: entry.order):
        if entry.commit.study != study.digest or bench.standing.state(entry.digest) is State.VOID:
            continue
        site = bench.standing.name_of(entry)
        if site in points and entry.commit.recipe.name in {"train", "merge", "evaluate"}:
            points[site].append(_point(entry))
    return tuple(Curve(site=site, points=tuple(made)) for site, made in points.items())


def _point(entry: Entry) -> Point:
    commit = entry.commit
    step = commit.recipe.parameters.get("step") if commit.recipe.name == "train" else None
    return Point(
        commit=entry.digest,
        kind=commit.recipe.name,
        step=step if isinstance(step, int) else None,
        created=commit.created,
        cases=commit.cases,
        metrics={name: float(value) for name, value in commit.metrics.items()},
    )
