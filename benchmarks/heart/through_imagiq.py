"""FLamby's Fed-Heart-Disease protocol through imagiq, in every way: ``python -m benchmarks.heart.through_imagiq``.

Four simulated sites, five studies, one history per seed. Logistic regression of 13 features, initialised evenly in
±1/√13; 15 steps of 100 updates of gradient descent at each hospital, learning rate 0.001, batch 4; averages weighted by
number of training cases. Each hospital tests what came of a study for it on its own test cases; reported is the mean of
the four accuracies. Beside it stand :mod:`benchmarks.heart.reference`, which does the same in plain numpy, and what
FLamby reports.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.heart import reference
from imagiq.federation import Named
from imagiq.learning import heart
from imagiq.learning.logistic import Logistic
from imagiq.objects import JSON
from imagiq.simulation import Scenario, SimulatedSite, SimulatedStudy, SiteCases, World
from imagiq.strategies import BUILT_IN

__all__ = ["FLAMBY", "WAYS", "Summary", "summaries"]

WAYS = ("local", "fedavg", "cyclic", "incremental", "latest-of-each")
STEPS, UPDATES = 15, 100
LEARNER: Mapping[str, JSON] = {"features": 13, "learning_rate": "0.001", "batch": 4}
SEEDS, SEEDS_QUICK = 20, 3
FLAMBY = {"pooled": 0.735, "fedavg": 0.685}
"""What FLamby reports, as mean of the four hospitals' accuracies and over five seeds."""

T_95 = {SEEDS_QUICK: 4.303, SEEDS: 2.093}
"""Student's t for a two-sided interval of 95 %, by number of seeds."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What came of one way over all seeds.

    Attributes:
        mean: Mean over seeds of the mean of the hospitals' accuracies.
        half: Half the width of its 95 % interval.
        deviation: Standard deviation over seeds.
        each: Mean over seeds at each hospital.
    """

    mean: float
    half: float
    deviation: float
    each: tuple[float, ...]

    @property
    def interval(self) -> str:
        """The 95 % interval of the mean."""
        return f"{self.mean - self.half:.3f} to {self.mean + self.half:.3f}"


def _summary(found: Sequence[Sequence[float]]) -> Summary:
    """Return the summary of accuracies [seeds, hospitals]."""
    values = np.array(found)
    means = values.mean(axis=1)
    deviation = float(means.std(ddof=1))
    return Summary(
        mean=float(means.mean()),
        half=T_95[len(means)] * deviation / math.sqrt(len(means)),
        deviation=deviation,
        each=tuple(values.mean(axis=0).tolist()),
    )


def _run(seed: int, cases: Mapping[str, SiteCases]) -> Mapping[str, list[float]]:
    """Return each hospital's accuracy in each way, as it is recorded in the history."""
    scenario = Scenario(
        title="heart",
        seed=seed,
        sites=tuple(SimulatedSite(name=name) for name in cases),
        studies=tuple(
            SimulatedStudy(title=way, strategy=Named(way), steps=STEPS, updates=UPDATES, sites=tuple(cases))
            for way in WAYS
        ),
        task=Named("logistic", 1, LEARNER),
    )
    learner = Logistic(features=13, learning_rate="0.001", batch=4)
    world = World(scenario, cases, learner_of=lambda _: learner, strategies=BUILT_IN)
    world.run()
    return {way: _accuracies(world, way) for way in WAYS}


def _accuracies(world: World, way: str) -> list[float]:
    found = {}
    for entry in world.bench(world.names[0]).history:
        if entry.commit.recipe.name == "evaluate" and entry.commit.study == world.studies[way].digest:
            found[world.founding.names_by_site_key[entry.site]] = float(entry.commit.metrics["accuracy"])
    return [found[name] for name in world.names]


def summaries(seeds: int) -> tuple[Mapping[str, Summary], Mapping[str, Summary]]:
    """Return what came of each way through imagiq, and of pooled training and FedAvg in plain numpy."""
    cases = {site.name: SiteCases(training=site.train, held_back=site.test) for site in heart.hospitals()}
    runs = [_run(seed, cases) for seed in range(seeds)]
    plain = tuple(reference.hospitals().values())
    return (
        {way: _summary([run[way] for run in runs]) for way in WAYS},
        {
            way.__name__: _summary(
                [reference.accuracies(way(plain, np.random.default_rng(seed)), plain) for seed in range(seeds)]
            )
            for way in (reference.pooled, reference.fedavg)
        },
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="FLamby's Heart-Disease protocol through imagiq.")
    parser.add_argument("--quick", action="store_true", help=f"{SEEDS_QUICK} seeds instead of {SEEDS}")
    seeds = SEEDS_QUICK if parser.parse_args().quick else SEEDS
    ways, plain = summaries(seeds)
    names = [site.name for site in heart.hospitals()]
    print(f"{'way':26}{'mean':>7}{'95 % interval':>18}{'sd':>8}  " + "".join(f"{name:>12}" for name in names))
    titled = {f"imagiq, {way}": found for way, found in ways.items()}
    for title, found in (titled | {f"plain numpy, {way}": found for way, found in plain.items()}).items():
        each = "".join(f"{value:12.3f}" for value in found.each)
        print(f"{title:26}{found.mean:7.3f}{found.interval:>18}{found.deviation:8.3f}  {each}")
    for way, value in FLAMBY.items():
        print(f"{f'FLamby, {way}':26}{value:7.3f}")


if __name__ == "__main__":
    main()
