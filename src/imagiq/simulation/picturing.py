"""Slices of patients with what is true and what models draw: at each site the best, the median and the worst patient.

Pictures show patients. They are made only where the source says that its images may be shown to anybody, or if whoever
runs the simulation asks for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from imagiq.imaging.cases import ImageCases
from imagiq.learning import Draws, Learner, Weights
from imagiq.report import Picture
from imagiq.simulation.judging import Judge, keeps_local, weights_at
from imagiq.simulation.outcome import Outcome, SiteResult, Way
from imagiq.simulation.world import World
from imagiq.site import marks_of
from imagiq.site.sources import SiteCases

__all__ = ["with_pictures"]

SHOWN: Final = ("FLAIR", "T1ce", "T2", "CT")
"""The channel that is shown is the first of these that there is, else the first of all."""
MOST_PIXELS: Final = 320
MOST_SITES: Final = 8


def with_pictures(
    outcome: Outcome,
    world: World,
    cases: Mapping[str, SiteCases],
    learner: Learner,
    judge: Judge,
    *,
    even_if_private: bool,
) -> Outcome:
    """Return an outcome with pictures, or with the reason why there are none."""
    shown = _ways(outcome)
    if not isinstance(learner, Draws) or not shown or not judge.seen:
        return outcome
    held = {name: at for name, at in cases.items() if isinstance(at.held_back, ImageCases) and name in judge.seen}
    allowed = {name: at.held_back for name, at in held.items() if at.is_shareable or even_if_private}
    why = ""
    if any(_stay_home(world, way) for way in shown):
        return replace(
            outcome, no_pictures="Slices are not shown: a part of each model, its BatchNorm, stays at its site."
        )
    if held and not allowed:
        why = "Slices are not shown: they are images of patients. Whoever may show them says --pictures."
    makers = [
        _Maker(world, site, allowed[site], shown, learner)
        for site in [*world.names, *sorted(set(allowed) - set(world.names))][:MOST_SITES]
        if site in allowed
    ]
    return replace(
        outcome, pictures=tuple(picture for maker in makers for picture in maker.pictures()), no_pictures=why
    )


def _stay_home(world: World, way: Way) -> bool:
    """Tell whether a part of a way's models stays at the sites: without it they draw something else."""
    return any(
        result.model is not None and world.is_up(result.site) and keeps_local(world.bench(result.site), result.model)
        for result in way.sites
    )


def _ways(outcome: Outcome) -> list[Way]:
    """Return the ways whose drawings are shown: each alone, and the best of working together, which comes last."""
    alone = [way for way in outcome.ways if way.strategy == "local"][:1]
    others = [way for way in outcome.ways if way not in alone]
    scored = [(mean.point, way) for way in others if (mean := way.mean[outcome.headline]) is not None]
    return [*alone, *([max(scored, key=lambda one: one[0])[1]] if scored else [])]


@dataclass(frozen=True, eq=False)
class _Maker:
    """Makes the pictures of one site's patients."""

    world: World
    site: str
    cases: ImageCases
    ways: Sequence[Way]
    learner: Draws

    def pictures(self) -> Iterator[Picture]:
        weights = {way.title: found for way in self.ways if (found := self._weights(way)) is not None}
        if not weights:
            return
        ranked_by = list(weights)[-1]
        each = {title: self._dice(model) for title, model in weights.items()}
        for rank, place in _ranked(each[ranked_by]):
            yield self._picture(rank, place, ranked_by, weights, each)

    def _weights(self, way: Way) -> Weights | None:
        """Return the model that this site ends up with; of a site that takes no part, the first one that there is."""
        results = [result for result in way.sites if result.site == self.site] or list(way.sites)
        return next((found for result in results if (found := self._weights_of(result)) is not None), None)

    def _weights_of(self, result: SiteResult) -> Weights | None:
        if result.model is None or not self.world.is_up(result.site):
            return None
        return weights_at(self.world.bench(result.site), result.model)

    def _dice(self, weights: Weights) -> NDArray[np.float64]:
        return marks_of(self.learner.predict(weights, self.cases)).each  # type: ignore[attr-defined]

    def _picture(
        self,
        rank: str,
        place: int,
        ranked_by: str,
        weights: Mapping[str, Weights],
        each: Mapping[str, NDArray[np.float64]],
    ) -> Picture:
        cases = self.cases
        mine = np.flatnonzero(cases.patients == list(dict.fromkeys(cases.patients.tolist()))[place])
        drawn = {title: self.learner.draw(model, cases.images[mine]) for title, model in weights.items()}
        image, depth = _fullest(cases.truth[mine], drawn[ranked_by])
        channel = next((name for name in SHOWN if name in cases.channels), cases.channels[0])
        pixels = cases.images[mine[image], cases.channels.index(channel)]
        return Picture(
            site=self.site,
            rank=rank,
            ranked_by=ranked_by,
            channel=channel,
            image=_grey(_slice(pixels, depth)),
            truth=_labels(_slice(cases.truth[mine[image]], depth)),
            drawn={title: _labels(_slice(masks[image], depth)) for title, masks in drawn.items()},
            scores={title: float(dice[place]) for title, dice in each.items() if np.isfinite(dice[place])},
            labels=dict(cases.labels),
        )


def _ranked(dice: NDArray[np.float64]) -> Iterator[tuple[str, int]]:
    """Yield the places of the best, the median and the worst patient, of those whose Dice is defined."""
    order = [int(place) for place in np.argsort(-dice, kind="stable") if np.isfinite(dice[place])]
    chosen: dict[int, str] = {}
    for rank, at in (("best", 0), ("worst", len(order) - 1), ("median", len(order) // 2)):
        if order:
            chosen.setdefault(order[at], rank)
    for place in order:
        if place in chosen:
            yield chosen[place], place


def _fullest(truth: NDArray[np.uint8], drawn: NDArray[np.uint8]) -> tuple[int, int | None]:
    """Return which image, and which slice of a volume, shows most of what is true, or else of what is drawn."""
    shown = truth if truth.any() else drawn
    sums = (shown > 0).reshape(len(shown), -1, shown.shape[-1]).sum(axis=1) if shown.ndim == 4 else None
    if sums is None:
        return int((shown > 0).reshape(len(shown), -1).sum(axis=1).argmax()), None
    image, depth = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(image), int(depth)


def _slice(values: NDArray[np.generic], depth: int | None) -> NDArray[np.generic]:
    """Return a slice of at most some hundred pixels a side: a volume's by its last axis."""
    found = values if depth is None else np.rot90(values[..., depth])
    step = max(1, -(-max(found.shape) // MOST_PIXELS))
    return found[::step, ::step]


def _grey(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return grey values such that few pixels are black or white beyond telling."""
    found = values.astype(np.float64)
    low, high = np.quantile(found, [0.005, 0.995])
    if high <= low:
        return np.zeros(found.shape, np.uint8)
    return np.asarray((np.clip((found - low) / (high - low), 0.0, 1.0) * 255).round(), np.uint8)


def _labels(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(values.astype(np.uint8))
