"""FedAvg of networks through imagiq is FedAvg: a loop in plain PyTorch with the same seeds gives the same bits.

The loop below shares nothing with imagiq but its network and images: normalisation, order of images, loss, optimiser,
learning rate and average are written out again, from what the docs say of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from hashlib import sha256

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch.nn import functional

from imagiq.federation import Named
from imagiq.imaging.cases import ImageCases
from imagiq.learning import Resources
from imagiq.learning.deep.plain import PlainUNet
from imagiq.learning.segmentation import Segmentation
from imagiq.objects import JSON
from imagiq.simulation import Scenario, SimulatedSite, SimulatedStudy, SiteCases, World
from imagiq.site.work import STATE
from imagiq.strategies import BUILT_IN
from tests.learning.pictures import CHANNELS, LABELS, discs, of_others

pytestmark = [pytest.mark.process, pytest.mark.slow]

ROUNDS, UPDATES, BATCH, RATE, SEED = 3, 6, 4, 0.004, 11
TASK: dict[str, JSON] = {
    "channels": list(CHANNELS),
    "labels": dict(LABELS),
    "batch": BATCH,
    "network": {"name": "PlainUNet", "parameters": {"channels": [4, 8]}},
    "optimiser": {"learning_rate": str(RATE), "moments": "carried", "schedule": "cosine", "weight_decay": "0.02"},
}
HOSPITALS = {"east": discs(patients=5, seed=1), "north": discs(patients=3, seed=2), "west": discs(patients=2, seed=3)}
Model = dict[str, NDArray[np.float32]]


def normalised(images: NDArray[np.float32]) -> torch.Tensor:
    done = np.empty_like(images)
    for number, channel in np.ndindex(*images.shape[:2]):
        values = images[number, channel].astype(np.float64)
        inside = values != 0
        mean, deviation = values[inside].mean(), values[inside].std()
        done[number, channel] = np.where(inside, (values - mean) / deviation, 0.0)
    return torch.from_numpy(done)


def dice_and_cross_entropy(scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    log_parts = functional.log_softmax(scores, dim=1)
    true = functional.one_hot(truth, scores.shape[1]).permute(0, 3, 1, 2).float()
    drawn, wanted = log_parts.exp()[:, 1:], true[:, 1:]
    common, both = (drawn * wanted).sum((0, 2, 3)), drawn.sum((0, 2, 3)) + wanted.sum((0, 2, 3))
    dice = (1 - (2 * common + 1e-5) / (both + 1e-5)).mean()
    return dice - (true * log_parts).sum(1).mean()


class Hospital:
    """A hospital that trains in plain PyTorch and keeps its optimiser's moments."""

    def __init__(self, name: str, cases: ImageCases) -> None:
        self.name, self.patients = name, len(set(cases.patients.tolist()))
        self.images = normalised(cases.images)
        self.truth = torch.from_numpy(np.searchsorted([0, *sorted(LABELS.values())], cases.truth))
        self.network = PlainUNet(spatial_dims=2, in_channels=2, out_channels=3, channels=(4, 8))
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=RATE, weight_decay=0.02, fused=True)

    def train(self, average: Model, number: int) -> Model:
        self.network.load_state_dict({name: torch.from_numpy(values) for name, values in average.items()})
        seed = int(sha256(f"imagiq train seed\n{SEED}\n{self.name}\n{number + 1}".encode()).hexdigest()[:12], 16)
        draw, order = np.random.PCG64(seed), list[int]()
        for update in range(UPDATES):
            while len(order) < BATCH:
                order += np.argsort(draw.random_raw(len(self.images)), kind="stable").tolist()
            chosen, order = order[:BATCH], order[BATCH:]
            for group in self.optimiser.param_groups:
                group["lr"] = RATE * (0.5 + 0.5 * math.cos(math.pi * (number + update / UPDATES) / ROUNDS))
            self.optimiser.zero_grad()
            loss = dice_and_cross_entropy(self.network(self.images[chosen]), self.truth[chosen])
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimiser.step()
        return {name: tensor.contiguous().numpy().copy() for name, tensor in self.network.state_dict().items()}


def plain_loop(place: Mapping[bytes, str]) -> Iterator[bytes]:
    """Yield the average of each round. ``place`` tells in which order imagiq sums up models: floats depend on it."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)
        first = PlainUNet(spatial_dims=2, in_channels=2, out_channels=3, channels=(4, 8))
    average = {name: tensor.contiguous().numpy().copy() for name, tensor in first.state_dict().items()}
    hospitals = [Hospital(name, cases) for name, cases in HOSPITALS.items()]
    for number in range(ROUNDS):
        trained = [(hospital.train(average, number), hospital.patients) for hospital in hospitals]
        trained.sort(key=lambda one: place.get(bytes_of(one[0]), ""))
        for name, before in list(average.items()):
            total = np.zeros(before.shape)
            for model, patients in trained:
                total += model[name].astype(np.float64) * np.float64(patients)
            average[name] = (total / np.float64(sum(patients for _, patients in trained))).astype(np.float32)
        yield bytes_of(average)


def bytes_of(model: Model) -> bytes:
    return b"".join(values.tobytes() for values in model.values())


@pytest.fixture
def world() -> Iterator[World]:
    learner = Segmentation(**TASK, resources=Resources(workers=2, threads=1))  # type: ignore[arg-type]
    scenario = Scenario(
        title="discs",
        seed=SEED,
        sites=tuple(SimulatedSite(name=name) for name in HOSPITALS),
        studies=(SimulatedStudy(title="fedavg", strategy=Named("fedavg"), steps=ROUNDS, updates=UPDATES),),
        task=Named("segmentation", 1, TASK),
    )
    cases = {name: SiteCases(training=one, held_back=of_others(one)) for name, one in HOSPITALS.items()}
    world = World(scenario, cases, learner_of=lambda _: learner, strategies=BUILT_IN)
    world.run()
    yield world
    world.close()
    learner.close()


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_fedavg_of_networks_gives_the_bits_of_a_plain_loop(world: World) -> None:
    bench = world.bench(world.names[0])

    def models(recipe: str) -> list[tuple[bytes, str]]:
        found = [entry.commit.tree for entry in bench.history if entry.commit.recipe.name == recipe]
        trees = [bench.models.tree(name) for name in found if name is not None]
        return [(b"".join(map(bench.store.read, tree.blobs)), tree.digest) for tree in trees]

    averages = [model for model, _ in models("merge")]
    assert averages == list(plain_loop(dict(models("train"))))
    assert len(set(averages)) == ROUNDS


def test_moments_stay_at_their_site(world: World) -> None:
    """A simulation keeps those of the last training: nothing reads the others any more."""
    for name in world.names:
        bench = world.bench(name)
        last = {steps.trainings(name)[-1].digest for steps in bench.studies.values()}
        found = {entry.digest: bench.store.sidecar_read(entry.digest, STATE) for entry in bench.history}
        kept = {digest: raw for digest, raw in found.items() if raw is not None}
        assert kept.keys() == last
        for raw in kept.values():
            assert {key.split("/")[-1] for key in load(raw)} == {"step", "exp_avg", "exp_avg_sq"}
