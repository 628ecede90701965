"""Logistic regression by minibatch descent: the learner that needs nothing but numpy.

Its results are equal to the last bit on every processor. BLAS, and numpy's own ``exp``, change the last bits from one
processor to the next; so everything here is sums, products and quotients, which IEEE 754 leaves no choice. The order of
the cases comes from PCG64's raw integers, which numpy promises to keep, not from its distributions, which it does not.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from imagiq.errors import ContractBroken, Misuse
from imagiq.learning import Initial, Predictions, Trained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from imagiq.learning import Weights
    from imagiq.learning.tables import Table

__all__ = ["Logistic"]

_HALVINGS: Final = 10
_COEFFICIENTS: Final = tuple(1.0 / math.factorial(power) for power in range(7, -1, -1))
_SMALLEST_EXPONENT: Final = -45.0
_MOST_FEATURES: Final = 2**24


class Logistic:
    """Logistic regression of two classes.

    The tensors are ``weight`` float32 [features] and ``bias`` float32 [1]; the arithmetic between them is float64. An
    epoch is one pass over the cases in a drawn order; its last batch may be smaller. The loss is the mean over the
    batch, plus half ``weight_decay`` times the squared weights without the bias. A site with one class only, or with
    one case, trains as any other: its model leans towards that class, until it is averaged with those of other sites.

    Args:
        features: Number of features.
        learning_rate: Step size, above 0.
        batch: Cases in a batch, at least 1.
        weight_decay: Strength of the pull towards 0, at least 0.
        schedule: ``constant``, or ``cosine``: the learning rate falls to 0 with the study's progress.

    Numbers may be given as numbers or as decimal strings.

    Raises:
        Misuse: A parameter is out of its range.
    """

    def __init__(
        self,
        *,
        features: int | str,
        learning_rate: float | str,
        batch: int | str = 4,
        weight_decay: float | str = 0.0,
        schedule: Literal["constant", "cosine"] = "constant",
    ) -> None:
        self._features = _whole("features", features)
        self._learning_rate = _number("learning_rate", learning_rate)
        self._batch = _whole("batch", batch)
        self._weight_decay = _number("weight_decay", weight_decay)
        if self._features > _MOST_FEATURES:
            raise _out_of_range("features", f"at most {_MOST_FEATURES}")
        if self._learning_rate == 0.0:
            raise _out_of_range("learning_rate", "above 0")
        if schedule not in ("constant", "cosine"):
            raise _out_of_range("schedule", "'constant' or 'cosine'")
        self._schedule = schedule

    def initial(self, seed: int) -> Initial:
        """Return weights drawn evenly from ±1/√features.

        Args:
            seed: Public seed, 0 or more.
        """
        bound = 1.0 / math.sqrt(self._features)
        raw = np.random.PCG64(seed).random_raw(self._features + 1)
        drawn = ((raw >> np.uint64(11)) * 2.0**-53 * (2.0 * bound) - bound).astype(np.float32)
        return Initial(
            weights={"weight": drawn[:-1].copy(), "bias": drawn[-1:].copy()},
            architecture={"name": "logistic-regression", "features": self._features},
            channels=tuple(f"feature-{index}" for index in range(self._features)),
            labels={"negative": 0, "positive": 1},
            preprocessing={"features": "standardised by the site's own training cases"},
        )

    def train(self, weights: Weights, cases: Table, *, budget: int, seed: int, progress: float) -> Trained:
        """Train by minibatch descent.

        Args:
            weights: ``weight`` [features] and ``bias`` [1].
            cases: At least one case.
            budget: Number of updates, one batch each.
            seed: Draws the order of the cases.
            progress: The study's progress in [0, 1], for the schedule.

        Returns:
            The trained weights; ``loss`` (nats per case, without decay) and ``accuracy`` on the training cases.

        Raises:
            ContractBroken: No cases, a number of features that does not fit, a feature or weight that is not finite,
                or a loss that diverges.
            Misuse: A budget below 0, or a progress outside [0, 1].
        """
        if budget < 0:
            raise Misuse("budget-range", f"The budget is {budget} updates.", "It is 0 or more.")
        start = self._joined(weights)
        x = self._with_ones(cases)
        y = cases.y.astype(np.float64)
        decay = np.full_like(start, self._weight_decay)
        decay[-1] = 0.0
        rate = self._rate(progress)
        w = start.copy()
        product, grown = np.empty_like(x[: self._batch]), np.empty_like(start)
        with np.errstate(over="ignore", invalid="ignore"):
            for bx, by in islice(_batches(x, y, self._batch, seed), budget):
                size = len(by)
                buffer = product[:size]
                error = _sigmoid(np.add.reduce(np.multiply(bx, w, out=buffer), axis=1))
                error -= by
                np.multiply(bx, error[:, None], out=buffer)
                np.add.reduce(buffer, axis=0, out=grown)
                grown *= rate / size
                grown += (rate * decay) * w
                w -= grown
            stored = w.astype(np.float32)
        if not np.isfinite(stored).all():
            raise ContractBroken(
                "training-diverged",
                f"Training diverged: after {budget} updates a weight is no longer a finite number.",
                "Lower learning_rate, and see that the features are standardised.",
            )
        return Trained(
            weights={"weight": stored[:-1].copy(), "bias": stored[-1:].copy()},
            metrics=_metrics(np.add.reduce(x * stored.astype(np.float64), axis=1), y),
            cases=len(cases),
        )

    def predict(self, weights: Weights, cases: Table) -> Predictions:
        """Apply the model.

        Args:
            weights: ``weight`` [features] and ``bias`` [1].
            cases: At least one case.

        Raises:
            ContractBroken: As for training.
        """
        w = self._joined(weights)
        return Predictions(truth=cases.y, score=_sigmoid(np.add.reduce(self._with_ones(cases) * w, axis=1)))

    def _rate(self, progress: float) -> float:
        if not 0.0 <= progress <= 1.0:
            raise Misuse("progress-range", f"The progress is {progress}.", "It goes from 0 to 1.")
        if self._schedule == "constant":
            return self._learning_rate
        # The C library's cosine may differ in its last bit from machine to machine; twelve decimals do not.
        return self._learning_rate * round(0.5 + 0.5 * math.cos(math.pi * progress), 12)

    def _joined(self, weights: Weights) -> NDArray[np.float64]:
        """Return weights and bias as one vector [features + 1]."""
        shapes = {name: np.shape(values) for name, values in weights.items()}
        if shapes != {"weight": (self._features,), "bias": (1,)}:
            raise ContractBroken(
                "weights-shape",
                f"The weights are {shapes}.",
                f"Logistic regression here has a weight of shape ({self._features},) and a bias of shape (1,).",
            )
        joined = np.concatenate([weights["weight"], weights["bias"]]).astype(np.float64)
        if not np.isfinite(joined).all():
            raise ContractBroken("weights-not-finite", "A weight is not a finite number.", "Start from other weights.")
        return joined

    def _with_ones(self, cases: Table) -> NDArray[np.float64]:
        """Return the features and a column of ones for the bias, [cases, features + 1]."""
        if len(cases) == 0:
            raise ContractBroken("cases-none", "There are no cases.", "Give at least one case.")
        if cases.x.shape[1] != self._features:
            raise ContractBroken(
                "cases-features",
                f"The cases have {cases.x.shape[1]} features, the model has {self._features}.",
                "Choose the same columns at every site, and set the learner's features to their number.",
            )
        if not np.isfinite(cases.x).all():
            column = int(np.argmin(np.isfinite(cases.x).all(axis=0)))
            raise ContractBroken(
                "cases-not-finite",
                f"Feature {column} (counted from 0) holds a value that is not a finite number.",
                "Drop or fill the gaps before training.",
            )
        return np.concatenate([cases.x, np.ones((len(cases), 1))], axis=1)


def _batches(
    x: NDArray[np.float64], y: NDArray[np.float64], batch: int, seed: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield batches of drawn orders of the cases, epoch after epoch, for ever."""
    source = np.random.PCG64(seed)
    while True:
        order = np.argsort(source.random_raw(len(y)), kind="stable")
        xs, ys = x[order], y[order]
        for start in range(0, len(y), batch):
            yield xs[start : start + batch], ys[start : start + batch]


def _exponential(exponent: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return e to the power of numbers at most 0: a Taylor series near 0, then squared ten times."""
    small = np.maximum(exponent, _SMALLEST_EXPONENT)
    small *= 2.0**-_HALVINGS
    power = np.full_like(small, _COEFFICIENTS[0])
    for coefficient in _COEFFICIENTS[1:]:
        power *= small
        power += coefficient
    for _ in range(_HALVINGS):
        power *= power
    return power


def _sigmoid(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    power = _exponential(-np.abs(logit))
    return np.where(logit < 0.0, power, 1.0) / (1.0 + power)


def _metrics(logit: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, float]:
    losses = np.maximum(logit, 0.0) - logit * y + np.log1p(_exponential(-np.abs(logit)))
    right = (logit >= 0.0) == (y == 1.0)
    # Six decimals: the logarithm's last bits differ between processors, and these numbers are committed.
    return {"loss": round(float(losses.mean()), 6), "accuracy": round(float(right.mean()), 6)}


def _number(name: str, value: Any) -> float:  # noqa: ANN401 - settings come from a file, their type is what we check
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and number >= 0.0):
        raise _out_of_range(name, "a number of at least 0")
    return number


def _whole(name: str, value: Any) -> int:  # noqa: ANN401 - as above
    number = _number(name, value)
    if number < 1.0 or number != math.floor(number):
        raise _out_of_range(name, "a whole number of at least 1")
    return int(number)


def _out_of_range(name: str, wanted: str) -> Misuse:
    return Misuse("learner-parameter-value", f"The learner's {name} is out of its range.", f"It must be {wanted}.")
