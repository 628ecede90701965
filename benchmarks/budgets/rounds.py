"""What a simulated round costs beside the learner: federated averaging of a small model at four sites."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from time import perf_counter

from benchmarks.budgets.cases import FEATURES, cases_of
from benchmarks.table import Row
from benchmarks.timing import seconds
from imagiq.federation import Named
from imagiq.learning import Cases, Initial, Predictions, Trained, Weights
from imagiq.learning.logistic import Logistic
from imagiq.objects import JSON
from imagiq.simulation import Scenario, SimulatedSite, SimulatedStudy, World
from imagiq.strategies import BUILT_IN

SITES, ROUND_MS = 4, 20
LEARNER: Mapping[str, JSON] = {"features": FEATURES, "learning_rate": "0.1", "batch": 16}


class TimedLearner:
    """A learner that counts the seconds that it takes."""

    def __init__(self) -> None:
        self._learner = Logistic(features=FEATURES, learning_rate="0.1", batch=16)
        self.took_s = 0.0

    def initial(self, seed: int) -> Initial:
        """Return the untrained model."""
        return self._learner.initial(seed)

    def train(self, weights: Weights, cases: Cases, *, budget: int, seed: int, progress: float) -> Trained:
        """Train, and count."""
        start = perf_counter()
        trained = self._learner.train(weights, cases, budget=budget, seed=seed, progress=progress)
        self.took_s += perf_counter() - start
        return trained

    def predict(self, weights: Weights, cases: Cases) -> Predictions:
        """Predict, and count."""
        start = perf_counter()
        said = self._learner.predict(weights, cases)
        self.took_s += perf_counter() - start
        return said


def measure(*, quick: bool) -> Sequence[Row]:
    """Run a few worlds of many rounds each."""
    rounds = 20 if quick else 100
    cost_ms = statistics.median(_cost_s(rounds) for _ in range(3)) / rounds * 1000
    return [
        Row(
            what=f"a simulated round of {SITES} sites, of {rounds}, without the learner",
            measured=cost_ms,
            unit="ms",
            budget=f"{ROUND_MS} ms",
            most=ROUND_MS,
        )
    ]


def _cost_s(rounds: int) -> float:
    names = [f"site-{number}" for number in range(SITES)]
    scenario = Scenario(
        title="rounds",
        seed=1,
        sites=tuple(SimulatedSite(name=name) for name in names),
        studies=(SimulatedStudy(title="rounds", strategy=Named("fedavg"), steps=rounds, updates=20),),
        task=Named("logistic", 1, LEARNER),
    )
    learner = TimedLearner()
    world = World(scenario, cases_of(names), learner_of=lambda _: learner, strategies=BUILT_IN)
    took_s = seconds(world.run)
    recipes = [entry.commit.recipe.name for entry in world.bench(names[0]).history]
    assert recipes.count("merge") == rounds
    assert recipes.count("evaluate") == SITES
    return took_s - learner.took_s
