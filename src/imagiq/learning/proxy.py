"""A learner whose networks live in workers: what it is asked for here is done there.

This side loads no deep learning framework; it checks parameters, hands over cases, and translates.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from imagiq.errors import Misuse, Unsupported
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
from imagiq.learning.beside import Beside
from imagiq.learning.fit import check_cases
from imagiq.learning.frames import Frame
from imagiq.learning.pool import Call, Pool, were_closed
from imagiq.learning.settings import Settings, read_settings

__all__ = ["Proxy", "check_terms"]


def check_terms(budget: int, progress: float) -> None:
    """Check the terms of a training.

    Raises:
        Misuse: a budget below 0, or a progress outside [0, 1].
    """
    if budget < 0:
        raise Misuse("budget-range", f"The budget is {budget} updates.", "It is 0 or more.")
    if not 0.0 <= progress <= 1.0:
        raise Misuse("progress-range", f"The progress is {progress}.", "It goes from 0 to 1.")


class Proxy:
    """What learners with networks have in common.

    Args:
        kind: ``segmentation`` or ``classification``.
        parameters: As they are given; those that are None are left out.
        resources: What may be used of this machine.

    Raises:
        Misuse: a parameter is out of its range.
        Unsupported: PyTorch is not installed.
    """

    def __init__(self, kind: str, parameters: Mapping[str, Any], resources: Resources) -> None:
        given = {name: value for name, value in parameters.items() if value is not None}
        self.settings: Settings = read_settings(kind, given)
        if importlib.util.find_spec("torch") is None:
            raise Unsupported(
                "learning-not-installed",
                "Networks are trained with PyTorch, which is not installed.",
                "Install it: pip install 'imagiq[learning]'",
            )
        self._task = {"kind": kind, "parameters": given}
        self._resources = resources
        self._pool: Pool | None = None
        self._is_closed = False
        self._lock = threading.Lock()
        self._told: Callable[[Advance], None] = lambda _: None

    @property
    def pool(self) -> Pool:
        """The workers; they are started when something is asked of them.

        Raises:
            ContractBroken: they were closed.
        """
        with self._lock:
            if self._is_closed:
                raise were_closed()
            if self._pool is None:
                self._pool = Pool(self._resources)
            return self._pool

    def watch(self, tell: Callable[[Advance], None]) -> None:
        """Tell how far each training is from now on."""
        self._told = tell

    def close(self) -> None:
        """End the workers for good: whoever waits for one is told, and so is who asks later."""
        with self._lock:
            self._is_closed = True
            if self._pool is not None:
                self._pool.close()

    def check(self, cases: Cases) -> None:
        """Check that cases are those that the task is about.

        Raises:
            ContractBroken: they are not; the message says what differs.
        """
        check_cases(self.settings, cases)

    def initial(self, seed: int) -> Initial:
        """Return the untrained model that this seed gives."""
        frame = self.pool.ask({"do": "initial", "task": self._task, "seed": seed})
        said = frame.header
        weights = load(frame.parts[0])
        return Initial(
            weights={name: weights[name] for name in said["names"]},
            architecture=said["architecture"],
            channels=tuple(said["channels"]),
            labels=said["labels"],
            preprocessing=said["preprocessing"],
        )

    def begin(self, training: Training) -> Pending:
        """Begin a training in a worker."""
        check_terms(training.budget, training.progress)
        handed = self.pool.handover.cases(training.cases)
        header = {
            "do": "train",
            "task": self._task,
            "cases": handed.to_json(),
            "budget": training.budget,
            "seed": training.seed,
            "progress": training.progress,
            "until": training.until,
        }
        parts = [_packed(training.weights), training.state]
        pool, call = self.pool, Call()

        def tell(said: Mapping[str, Any]) -> None:
            advance = Advance(done=said["done"], budget=said["budget"], loss=said.get("loss"))
            self._told(advance)
            if training.tell is not None:
                training.tell(advance)

        return Beside(lambda: _trained(pool.ask(header, parts, tell=tell, call=call)), call.cancel)

    def train(self, training: Training) -> Trained:
        """Train in a worker, and wait for it."""
        return self.begin(training).result()

    def predict(self, weights: Weights, cases: Cases, state: bytes) -> Predictions | Overlaps:
        """Apply a model to cases."""
        handed = self.pool.handover.cases(cases)
        header = {"do": "predict", "task": self._task, "cases": handed.to_json()}
        frame = self.pool.ask(header, [_packed(weights), state])
        found = load(frame.parts[0])
        if frame.header["is"] == "overlaps":
            return Overlaps(regions=tuple(frame.header["regions"]), **found)
        return Predictions(**found)

    def draw(self, weights: Weights, images: NDArray[np.float32], state: bytes) -> NDArray[np.uint8]:
        """Return the masks that a model draws."""
        return self._apply(weights, images, state)

    def classify(self, weights: Weights, images: NDArray[np.float32], state: bytes) -> NDArray[np.float64]:
        """Return the probability of each class."""
        return self._apply(weights, images, state)

    def _apply(self, weights: Weights, images: NDArray[np.float32], state: bytes) -> NDArray[Any]:
        handed = self.pool.handover.images(images)
        try:
            frame = self.pool.ask(
                {"do": "draw", "task": self._task, "cases": handed.to_json()}, [_packed(weights), state]
            )
        finally:
            self.pool.handover.drop(handed)
        drawn: NDArray[Any] = load(frame.parts[0])["drawn"]
        return drawn


def _packed(weights: Weights) -> bytes:
    return save({name: np.asarray(values, order="C") for name, values in weights.items()})


def _trained(frame: Frame) -> Trained:
    return Trained(
        weights=load(frame.parts[0]),
        metrics=frame.header["metrics"],
        cases=frame.header["cases"],
        state=frame.parts[1],
    )
