"""A learner and sites without any machine learning in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from imagiq.federation import Strategy
from imagiq.learning import Initial, Learner, Predictions, Trained, Weights
from imagiq.site import Local, MemoryMark, Site
from imagiq.site.sources import SiteCases
from imagiq.strategies import BUILT_IN
from tests.bench.town import SHAPE, Town, feed_key


class Plain:
    """Adds the seed's last digit to every number; fails when told to."""

    fails_with: Exception | None = None

    def initial(self, seed: int) -> Initial:
        return Initial(
            weights={name: array * 0 + seed for name, array in SHAPE.items()},
            architecture={"name": "plain"},
            channels=(),
            labels={},
            preprocessing={},
        )

    def train(self, weights: Weights, cases: Any, *, budget: int, seed: int, progress: float) -> Trained:
        if self.fails_with is not None:
            raise self.fails_with
        moved = {name: array + np.float32(seed % 10 + budget) for name, array in weights.items()}
        return Trained(weights=moved, metrics={"loss": 1.0 - progress, "odd": float("nan")}, cases=len(cases))

    def predict(self, weights: Weights, cases: Any) -> Predictions:
        return Predictions(truth=np.arange(len(cases)) % 2, score=np.full(len(cases), 0.5))


def site_in(
    town: Town,
    name: str,
    *,
    learner: Plain | None = None,
    held_back: range = range(0),
    strategies: Mapping[tuple[str, int], Strategy] = BUILT_IN,
    audit_draw: int = 999,
    mark: MemoryMark | None = None,
    dismiss: Callable[[Learner], None] = lambda _: None,
) -> Site:
    chosen = learner or Plain()
    local = Local(
        cases=lambda: SiteCases(training=range(10), held_back=held_back),
        data=name,
        learner_of=lambda _: chosen,
        dismiss=dismiss,
        strategies=strategies,
        accepts=lambda _: True,
        audit_draw=lambda _: audit_draw,
    )
    return Site(
        name,
        town.benches[name],
        local,
        clock=town.clock,
        mark=mark or MemoryMark(),
        new_feed_key=lambda number: feed_key(f"{name}{number}"),
    )
