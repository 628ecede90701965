"""The learner ``segmentation``: a network draws masks into images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from imagiq.learning import (
    Advance,
    Cases,
    Initial,
    Overlaps,
    Pending,
    Predictions,
    Resources,
    Trained,
    Training,
    Weights,
)
from imagiq.learning.proxy import Proxy
from imagiq.learning.settings import Parameters

__all__ = ["Segmentation"]


class Segmentation:
    """Masks for images, by a network that is trained in a worker. ``docs/learning.md`` lists every parameter.

    Args:
        resources: What may be used of this machine.
        parameters: ``channels`` and ``labels``, which must be given, and ``regions``, ``dims``, ``network``, ``loss``,
            ``optimiser``, ``preparation``, ``augmentation``, ``patch``, ``batch``, ``batch_norm``, ``deterministic``.

    Raises:
        Misuse: a parameter is missing, unknown or out of its range.
        Unsupported: PyTorch is not installed.
    """

    def __init__(self, *, resources: Resources | None = None, **parameters: Unpack[Parameters]) -> None:
        self.proxy = Proxy("segmentation", parameters, resources or Resources())

    def check(self, cases: Cases) -> None:
        """Check that cases are those that the task is about; raise what differs."""
        self.proxy.check(cases)

    def initial(self, seed: int) -> Initial:
        """Return the untrained network that this seed gives."""
        return self.proxy.initial(seed)

    def begin(self, training: Training) -> Pending:
        """Begin a training in a worker, and return at once."""
        return self.proxy.begin(training)

    def train(self, weights: Weights, cases: Cases, *, budget: int, seed: int, progress: float) -> Trained:
        """Train in a worker, and wait for it; see :class:`~imagiq.learning.Learner`."""
        return self.proxy.train(Training(weights=weights, cases=cases, budget=budget, seed=seed, progress=progress))

    def predict(self, weights: Weights, cases: Cases) -> Predictions | Overlaps:
        """Return how well the masks of a model cover the true ones, patient by patient."""
        return self.proxy.predict(weights, cases, b"")

    def predict_with(self, weights: Weights, cases: Cases, *, state: bytes) -> Predictions | Overlaps:
        """As :meth:`predict`, with BatchNorm that is kept at the site."""
        return self.proxy.predict(weights, cases, state)

    def draw(self, weights: Weights, images: NDArray[np.float32], *, state: bytes = b"") -> NDArray[np.uint8]:
        """Return the masks that a model draws."""
        return self.proxy.draw(weights, images, state)

    def watch(self, tell: Callable[[Advance], None]) -> None:
        """Tell how far each training is from now on."""
        self.proxy.watch(tell)

    def close(self) -> None:
        """End the workers."""
        self.proxy.close()
