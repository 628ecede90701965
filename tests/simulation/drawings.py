"""A segmentation small enough for tests: bright squares, and a learner that finds a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imagiq.federation import Named
from imagiq.imaging.cases import ImageCases
from imagiq.learning import Initial, Overlaps, Trained, Weights
from imagiq.simulation import Outcome, SiteCases, simulate
from tests.simulation.wards import NAMES, scenario

TASK = Named("threshold", 1, {})
LABELS = {"square": 1, "core": 2}
SIZE = 24


def drawings(patients: int, seed: int, *, gain: float = 1.0) -> ImageCases:
    """Squares with a brighter core in noise, two slices a patient; ``gain`` is the site's scanner."""
    rng = np.random.default_rng(seed)
    images = rng.normal(0.0, 0.15, (2 * patients, 1, SIZE, SIZE))
    truth = np.zeros((2 * patients, SIZE, SIZE), np.uint8)
    for mask in truth:
        top, left, side = rng.integers(1, 9), rng.integers(1, 9), rng.integers(7, 14)
        mask[top : top + side, left : left + side] = 1
        if rng.random() < 0.7:
            mask[top + 2 : top + 5, left + 2 : left + 5] = 2
    images += truth[:, None] * 0.6
    return ImageCases(
        images=(gain * images).astype(np.float32),
        truth=truth,
        patients=np.repeat([f"secret-{seed}-{number}" for number in range(patients)], 2),
        channels=("FLAIR",),
        labels=LABELS,
        spacing_mm=(1.0, 1.0),
    )


class Threshold:
    """Two thresholds, moved towards what lies between the means of the labels."""

    def initial(self, seed: int) -> Initial:
        return Initial(
            weights={"thresholds": np.array([2.0, 3.0])},
            architecture={"name": "threshold"},
            channels=("FLAIR",),
            labels=LABELS,
            preprocessing={},
        )

    def train(self, weights: Weights, cases: ImageCases, *, budget: int, seed: int, progress: float) -> Trained:
        means = [float(cases.images[:, 0][cases.truth == label].mean()) for label in (0, 1, 2)]
        wanted = np.array([(means[0] + means[1]) / 2, (means[1] + means[2]) / 2])
        now = weights["thresholds"] + (wanted - weights["thresholds"]) * min(1.0, budget / 10)
        return Trained(weights={"thresholds": now}, metrics={"loss": float(abs(now - wanted).sum())}, cases=len(cases))

    def draw(self, weights: Weights, images: NDArray[np.float32]) -> NDArray[np.uint8]:
        low, high = weights["thresholds"]
        return np.asarray((images[:, 0] >= low) + 1 * (images[:, 0] >= high), np.uint8)

    def predict(self, weights: Weights, cases: ImageCases) -> Overlaps:
        drawn = self.draw(weights, cases.images)
        names = list(dict.fromkeys(cases.patients.tolist()))
        counts = np.zeros((3, len(names), 2), np.int64)
        for place, name in enumerate(names):
            mine = cases.patients == name
            for region in (0, 1):
                one, two = cases.truth[mine] > region, drawn[mine] > region
                counts[:, place, region] = one.sum(), two.sum(), (one & two).sum()
        return Overlaps(regions=("whole", "core"), true=counts[0], drawn=counts[1], common=counts[2])


class Keeps(Threshold):
    """A learner a part of whose model stays at each site; without it nothing is drawn."""

    def initial(self, seed: int) -> Initial:
        return replace(super().initial(seed), architecture={"name": "keeps", "batch_norm": "local"})

    def train(self, weights: Weights, cases: ImageCases, *, budget: int, seed: int, progress: float) -> Trained:
        trained = super().train(weights, cases, budget=budget, seed=seed, progress=progress)
        return replace(trained, state=b"stays")

    def draw(self, weights: Weights, images: NDArray[np.float32], *, state: bytes = b"") -> NDArray[np.uint8]:
        return super().draw(weights, images) if state == b"stays" else np.zeros_like(images[:, 0], np.uint8)

    def predict_with(self, weights: Weights, cases: ImageCases, *, state: bytes) -> Overlaps:
        assert state == b"stays"
        return Threshold().predict(weights, cases)


def wards_that_draw(*, is_shareable: bool = True) -> Mapping[str, SiteCases]:
    """Three sites with scanners of their own, and a fourth that takes no part."""
    sites = {
        name: SiteCases(
            training=drawings(6, 10 + place, gain=1 + place / 4),
            held_back=drawings(5, 20 + place, gain=1 + place / 4),
            is_shareable=is_shareable,
        )
        for place, name in enumerate(NAMES)
    }
    beyond = SiteCases(training=drawings(1, 8), held_back=drawings(7, 9, gain=2.0), is_unseen=True)
    return {**sites, "beyond": beyond}


def drawn_outcome(*, is_shareable: bool = True) -> Outcome:
    """What comes of three ways of learning to draw squares."""
    return simulate(
        scenario("local", "fedavg", "latest-of-each", task=TASK),
        cases=wards_that_draw(is_shareable=is_shareable),
        learners={"threshold": Threshold},
    )
