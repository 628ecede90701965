"""What a learner measures is recorded; what is undefined is left out, and stops nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from imagiq.learning import Trained, Weights
from imagiq.site import Planned
from tests.bench.town import Town
from tests.site.plain import Plain, site_in


class Odd(Plain):
    def train(self, weights: Weights, cases: Any, *, budget: int, seed: int, progress: float) -> Trained:
        trained = super().train(weights, cases, budget=budget, seed=seed, progress=progress)
        metrics = {"nan": float("nan"), "up": float("inf"), "down": float("-inf"), "low": -1e300, "loss": 0.5}
        return replace(trained, metrics=metrics)


def test_neither_nan_nor_an_infinity_is_recorded() -> None:
    town = Town()
    town.study("a")
    site = site_in(town, "a", learner=Odd())
    planned = site.plan()
    assert isinstance(planned, Planned)
    site.begin(planned)
    entry = site.finish(planned)
    assert entry is not None, "a metric that is undefined is no failure"
    assert dict(entry.commit.metrics) == {"loss": "0.5", "low": "-1e+300"}
