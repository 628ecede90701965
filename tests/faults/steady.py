"""A learner whose steps take as long as the study says and hardly any processor: so a wait shows, on any machine."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from imagiq.learning import Initial, Predictions, Trained, Weights
from imagiq.learning.logistic import Logistic

BALLAST = "ballast"


class Steady:
    """Logistic regression on 13 features that takes its time; found as any package's learner is, by its entry point.

    Args:
        step_s: How long a training takes.
        ballast_mib: So large the model is beside; each training draws that anew, so that it has to travel.
    """

    def __init__(self, *, step_s: str = "1.0", ballast_mib: int = 0) -> None:
        self._step_s = float(step_s)
        self._ballast_mib = ballast_mib
        self._logistic = Logistic(features=13, learning_rate="0.05")

    def initial(self, seed: int) -> Initial:
        found = self._logistic.initial(seed)
        return Initial(
            weights={**found.weights, **self._ballast(seed)},
            architecture=found.architecture,
            channels=found.channels,
            labels=found.labels,
            preprocessing=found.preprocessing,
        )

    def train(self, weights: Weights, cases: Any, *, budget: int, seed: int, progress: float) -> Trained:
        if "IMAGIQ_FAILS" in os.environ:
            raise ValueError("patient 17 has no age")
        trained = self._logistic.train(bare(weights), cases, budget=budget, seed=seed, progress=progress)
        time.sleep(self._step_s)
        return Trained(weights={**trained.weights, **self._ballast(seed)}, metrics=trained.metrics, cases=trained.cases)

    def predict(self, weights: Weights, cases: Any) -> Predictions:
        return self._logistic.predict(bare(weights), cases)

    def _ballast(self, seed: int) -> dict[str, Any]:
        drawn = np.random.default_rng(seed).random(self._ballast_mib * 2**18, np.float32)
        return {BALLAST: drawn} if self._ballast_mib else {}


def bare(weights: Weights) -> dict[str, Any]:
    return {name: array for name, array in weights.items() if name != BALLAST}
