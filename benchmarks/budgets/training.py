"""What training through imagiq costs beside the same loop in plain PyTorch, a round beside its training, an idle site."""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
from collections.abc import Sequence
from time import perf_counter

import numpy as np
import torch
from torch.nn import functional

from benchmarks.table import Row
from imagiq.federation import Named
from imagiq.imaging.cases import ImageCases
from imagiq.learning import Cases, Initial, Overlaps, Pending, Predictions, Resources, Training, Weights, begin
from imagiq.learning.deep.plain import PlainUNet
from imagiq.learning.segmentation import Segmentation
from imagiq.simulation import Scenario, SimulatedSite, SimulatedStudy, SiteCases, World
from imagiq.strategies import BUILT_IN

BATCH, SIDE, SLICES = 8, 64, 48
MOST_RATIO, ROUND_S, IDLE_MIB = 1.05, 0.3, 80
SITES, FEATURES = 4, (32, 64, 128)
LABELS = {"rim": 1, "core": 2}
CHANNELS = ("T1", "T1ce", "T2", "FLAIR")

IDLE = """
import imagiq.site, imagiq.exchange, imagiq.bench, imagiq.strategies
from imagiq.learning import find
from imagiq.imaging.cases import ImageCases
find("segmentation", {"channels": ["T1"], "labels": {"tumour": 1}})
import os, sys
from pathlib import Path
assert "torch" not in sys.modules
print(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE"))
"""


def images(seed: int = 0) -> ImageCases:
    """Return noise with a bright square to find."""
    draw = np.random.default_rng(seed)
    found = draw.normal(1.0, 0.3, (SLICES, len(CHANNELS), SIDE, SIDE)).astype(np.float32)
    masks = np.zeros((SLICES, SIDE, SIDE), np.uint8)
    masks[:, 20:40, 20:40], masks[:, 25:30, 25:30] = 1, 2
    found += masks[:, None]
    patients = np.repeat([f"p{seed}-{number}" for number in range(SLICES // 6)], 6)
    return ImageCases(images=found, truth=masks, patients=patients, channels=CHANNELS, labels=LABELS)


def plain(cases: ImageCases, updates: int) -> float:
    """Return how long the same updates take in a loop that knows nothing of imagiq."""
    network = PlainUNet(spatial_dims=2, in_channels=len(CHANNELS), out_channels=3)
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.003, fused=True)
    values = cases.images
    mean, deviation = values.mean((2, 3), keepdims=True), values.std((2, 3), keepdims=True)
    normalised, truth = torch.from_numpy((values - mean) / deviation), torch.from_numpy(cases.truth).long()
    order = np.random.default_rng(0)
    start = perf_counter()
    for _ in range(updates):
        chosen = torch.from_numpy(order.choice(SLICES, BATCH, replace=False))
        optimiser.zero_grad()
        scores, wanted = network(normalised[chosen]), truth[chosen]
        log_parts = functional.log_softmax(scores, 1)
        true = functional.one_hot(wanted, 3).movedim(-1, 1).float()
        drawn, labelled = log_parts.exp()[:, 1:], true[:, 1:]
        common, both = (drawn * labelled).sum((0, 2, 3)), (drawn + labelled).sum((0, 2, 3))
        loss = (1 - (2 * common + 1e-5) / (both + 1e-5)).mean() - (true * log_parts).sum(1).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        assert math.isfinite(loss.item())
    return perf_counter() - start


def learner_of(workers: int, channels: Sequence[int] | None = None) -> Segmentation:
    """Return the learner that is measured."""
    network = {"name": "PlainUNet", "parameters": {} if channels is None else {"channels": list(channels)}}
    resources = Resources(workers=workers, threads=1, device="cpu")
    return Segmentation(channels=CHANNELS, labels=LABELS, network=network, batch=BATCH, resources=resources)


def measure(*, quick: bool) -> Sequence[Row]:
    """Run all three."""
    idle = subprocess.run([sys.executable, "-c", IDLE], check=True, capture_output=True, text=True)
    return [
        _steps(updates=10 if quick else 40, repeats=2 if quick else 15),
        _round(rounds=2 if quick else 6),
        Row(what="an idle site with a learner", measured=int(idle.stdout) / 2**20, unit="MiB",
            budget=f"{IDLE_MIB} MiB", most=IDLE_MIB),
    ]  # fmt: skip


def _steps(*, updates: int, repeats: int) -> Row:
    torch.set_num_threads(1)
    cases, learner = images(), learner_of(1)
    weights = learner.initial(1).weights
    training = Training(weights=weights, cases=cases, budget=updates, seed=1, progress=0.0)
    begin(learner, training).result()
    plain(cases, updates)
    pairs = []
    for _ in range(repeats):  # they take turns, so that what disturbs one disturbs the other
        start = perf_counter()
        begin(learner, training).result()
        pairs.append((perf_counter() - start, plain(cases, updates)))
    learner.close()
    through, bare = (statistics.median(column) / updates * 1000 for column in zip(*pairs, strict=True))
    return Row(what=f"an optimiser step through imagiq, of {updates}", measured=through, unit="ms", line="plain PyTorch",
               limit=bare, budget=f"{MOST_RATIO} x line", most=MOST_RATIO * bare,
               note="U-Net of 121,000 parameters, 8 slices of 64 x 64, one thread; the median of "
               f"{repeats}. Handing over weights, moments and result is counted.")  # fmt: skip


class Timed:
    """A learner whose seconds of training are counted: the time in which at least one training runs."""

    def __init__(self, learner: Segmentation) -> None:
        self._learner = learner
        self.took_s = 0.0

    def initial(self, seed: int) -> Initial:
        """Return the untrained model."""
        return self._learner.initial(seed)

    def begin(self, training: Training) -> Pending:
        """Train at once, so that nothing else happens meanwhile, and count."""
        start = perf_counter()
        pending = self._learner.begin(training)
        pending.result()
        self.took_s += perf_counter() - start
        return pending

    def train(self, weights: Weights, cases: Cases, *, budget: int, seed: int, progress: float) -> object:
        """Nobody asks for this."""
        raise NotImplementedError

    def predict(self, weights: Weights, cases: Cases) -> Predictions | Overlaps:
        """Predict, and count."""
        start = perf_counter()
        said = self._learner.predict(weights, cases)
        self.took_s += perf_counter() - start
        return said


def _round(*, rounds: int) -> Row:
    names = [f"site-{number}" for number in range(SITES)]
    cases = {name: SiteCases(training=images(seed), held_back=images(seed + 9)) for seed, name in enumerate(names)}
    learner = learner_of(1, FEATURES)
    size = sum(values.nbytes for values in learner.initial(1).weights.values())
    scenario = Scenario(
        title="rounds",
        seed=1,
        sites=tuple(SimulatedSite(name=name) for name in names),
        studies=(SimulatedStudy(title="rounds", strategy=Named("fedavg"), steps=rounds, updates=1),),
        task=Named("segmentation", 1, {}),
    )
    timed = Timed(learner)
    world = World(scenario, cases, learner_of=lambda _: timed, strategies=BUILT_IN)  # type: ignore[arg-type, return-value]
    start = perf_counter()
    world.run()
    cost_s = (perf_counter() - start - timed.took_s) / rounds
    world.close()
    learner.close()
    return Row(what=f"a round of {SITES} sites beside training, model of {size / 1e6:.1f} MB", measured=cost_s, unit="s",
               budget=f"{ROUND_S} s", most=ROUND_S,
               note="Signing, storing, gating, exchanging, merging, recomputing; trainings one after the other.")  # fmt: skip
