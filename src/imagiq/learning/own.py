"""A network of one's own, from Python: any ``torch.nn.Module``, and any chain of transforms, such as MONAI's.

Whoever brings a network has PyTorch loaded, so everything happens in their own process, one training after the other. A
network that an installed package offers (entry points, group ``imagiq.networks``) is trained in workers instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Final, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imagiq.learning import Advance, Cases, Initial, Later, Overlaps, Pending, Predictions, Trained, Training, Weights
from imagiq.learning.deep.chains import seeded_chain
from imagiq.learning.deep.network_learner import NetworkLearner
from imagiq.learning.fit import check_cases
from imagiq.learning.settings import Parameters, read_settings

__all__ = ["OwnNetwork"]

ONE_AT_A_TIME: Final = Lock()
"""PyTorch's generator belongs to the process, and a chain of transforms to whoever uses it now."""


class OwnNetwork:
    """A learner with a network of one's own.

    Args:
        make: Makes the untrained network, such as its class; its weights come from PyTorch's generator, which is seeded.
            It takes images [images, channels, *space] and gives scores [images, classes, *space], or [images, classes].
        task: ``segmentation`` or ``classification``.
        transforms: Varies what is trained on: takes and gives ``{"image": [channels, *space], "label": [1, *space]}``.
        device: Where to compute.
        parameters: As those of the learner ``task``; ``network`` names the network in the studies' models, and says with
            which parameters it was made.

    Raises:
        Misuse: a parameter is out of its range, or the network has BatchNorm and ``batch_norm`` refuses it.
    """

    def __init__(
        self,
        make: Callable[[], nn.Module],
        *,
        task: str = "segmentation",
        transforms: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
        device: str = "cpu",
        **parameters: Unpack[Parameters],
    ) -> None:
        parameters.setdefault("network", getattr(make, "__name__", "own"))
        settings = read_settings(task, parameters)
        chain = None if transforms is None else seeded_chain(transforms)
        self._settings = settings
        self._learner = NetworkLearner(settings, make, torch.device(device), transforms=chain)
        self._told: Callable[[Advance], None] = lambda _: None

    def check(self, cases: Cases) -> None:
        """Check that cases are those that the task is about; raise what differs."""
        check_cases(self._settings, cases)

    def initial(self, seed: int) -> Initial:
        """Return the untrained network that this seed gives."""
        with ONE_AT_A_TIME:
            return self._learner.initial(seed)

    def begin(self, training: Training) -> Pending:
        """Return a training that is done when its result is asked for."""
        return Later(lambda: self._train(training))

    def train(self, weights: Weights, cases: Cases, *, budget: int, seed: int, progress: float) -> Trained:
        """Train; see :class:`~imagiq.learning.Learner`."""
        return self._train(
            Training(weights=weights, cases=cases, budget=budget, seed=seed, progress=progress, tell=self._told)
        )

    def _train(self, training: Training) -> Trained:
        with ONE_AT_A_TIME:
            return self._learner.train(training)

    def predict(self, weights: Weights, cases: Cases) -> Predictions | Overlaps:
        """Apply a model to cases, patient by patient."""
        return self.predict_with(weights, cases, state=b"")

    def predict_with(self, weights: Weights, cases: Cases, *, state: bytes) -> Predictions | Overlaps:
        """As :meth:`predict`, with BatchNorm that is kept at the site."""
        with ONE_AT_A_TIME:
            return self._learner.predict(weights, cases, state, _unheard)

    def draw(self, weights: Weights, images: NDArray[np.float32], *, state: bytes = b"") -> NDArray[Any]:
        """Return the masks that a model draws, or the probability of each class: [images, classes]."""
        with ONE_AT_A_TIME:
            return self._learner.draw(weights, images, state, _unheard)

    def watch(self, tell: Callable[[Advance], None]) -> None:
        """Tell how far each training is from now on."""
        self._told = tell


def _unheard(done: int, budget: int) -> None:
    """Nobody asked how far it is."""
