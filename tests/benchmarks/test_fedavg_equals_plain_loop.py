"""FedAvg through imagiq is FedAvg: a plain loop with the same seeds, order and merge rule gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256

import numpy as np
import pytest

from imagiq.federation import Named
from imagiq.learning import heart
from imagiq.learning.logistic import Logistic
from imagiq.learning.tables import Table
from imagiq.simulation import Scenario, SimulatedSite, SimulatedStudy, SiteCases, World
from imagiq.strategies import BUILT_IN

ROUNDS, UPDATES = 6, 30


def plain_loop(learner: Logistic, hospitals: Mapping[str, Table], seed: int, schema: str) -> Iterator[bytes]:
    """Yield the average of each round, as weight and bias one after the other. Imports no merging and no strategy."""

    def place(model: bytes) -> str:
        return sha256(bytes.fromhex(schema) + sha256(model).digest()).hexdigest()

    average = learner.initial(seed).weights
    for done in range(ROUNDS):
        trained = []
        for name, cases in hospitals.items():
            drawn = int(sha256(f"imagiq train seed\n{seed}\n{name}\n{done + 1}".encode()).hexdigest()[:12], 16)
            model = learner.train(average, cases, budget=UPDATES, seed=drawn, progress=done / ROUNDS).weights
            trained.append((model["weight"].tobytes() + model["bias"].tobytes(), len(cases)))
        total = np.zeros(14, np.float64)
        for model_bytes, cases_there in sorted(trained, key=lambda item: place(item[0])):
            total += np.frombuffer(model_bytes, "<f4").astype(np.float64) * np.float64(cases_there)
        mean = (total / np.float64(sum(cases_there for _, cases_there in trained))).astype("<f4")
        average = {"weight": mean[:13], "bias": mean[13:]}
        yield mean.tobytes()


def through_imagiq(learner: Logistic, cases: Mapping[str, SiteCases], seed: int) -> tuple[str, list[bytes]]:
    scenario = Scenario(
        title="heart",
        seed=seed,
        sites=tuple(SimulatedSite(name=name) for name in cases),
        studies=(SimulatedStudy(title="fedavg", strategy=Named("fedavg"), steps=ROUNDS, updates=UPDATES),),
        task=Named("logistic", 1, {"features": 13, "learning_rate": "0.05"}),
    )
    world = World(scenario, cases, learner_of=lambda _: learner, strategies=BUILT_IN)
    world.run()
    bench = world.bench(world.names[0])
    merges = [entry for entry in bench.history if entry.commit.recipe.name == "merge"]
    trees = [bench.models.tree(entry.commit.tree) for entry in merges if entry.commit.tree is not None]
    return trees[0].schema, [b"".join(map(bench.store.read, tree.blobs)) for tree in trees]


@pytest.mark.parametrize("seed", [1, 20_261_121])
def test_fedavg_through_imagiq_gives_the_bytes_of_a_plain_loop(seed: int) -> None:
    learner = Logistic(features=13, learning_rate="0.05")
    hospitals = {hospital.name: hospital for hospital in heart.hospitals()}
    cases = {name: SiteCases(training=h.train, held_back=h.test) for name, h in hospitals.items()}
    schema, averages = through_imagiq(learner, cases, seed)
    assert averages == list(plain_loop(learner, {name: h.train for name, h in hospitals.items()}, seed, schema))
    assert len(set(averages)) == ROUNDS
