"""Percentile intervals by the bootstrap over patients, from a public seed.

Patients are drawn with replacement, and all cases of a patient come along, since cases of one patient are alike.
Draws come from numpy's PCG64, so who has the seed and the scores finds the same interval. (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, chapter 13; resampling of clusters: Davison and Hinkley, 1997, section 3.8.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imagiq.errors import Misuse, Refused
from imagiq.scoring.metrics import Counts, Floats, Metric, checked

__all__ = ["LEVEL", "RESAMPLES", "Drawing", "Interval", "bootstrap", "bootstrap_difference"]

CHUNK = 2**18
"""How many counts are held at a time."""
RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with its interval.

    Attributes:
        point: The metric of all cases.
        low: Lower end of the interval.
        high: Upper end of the interval.
        level: The interval's level of confidence, such as 0.95.
    """

    point: float
    low: float
    high: float
    level: float


def bootstrap(
    metric: Metric,
    truth: ArrayLike,
    score: ArrayLike,
    *,
    seed: int,
    patients: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """Return a metric with its percentile interval over patients.

    Resamples in which the metric is not defined, such as an AUC with one class, are left out.

    Args:
        metric: Such as :data:`imagiq.scoring.AUC`.
        truth: 0 or 1 for each case, of shape ``[cases]``.
        score: The probability given to 1, of shape ``[cases]``.
        seed: Public; the same seed draws the same patients, whatever the metric and the scores.
        patients: Whose case each is, of shape ``[cases]``; default: each case is a patient.
        resamples: How many are drawn.
        level: The interval's level of confidence.

    Raises:
        Misuse: the cases, ``patients``, ``resamples``, ``level`` or ``seed`` cannot be.
        Refused: the metric of all cases is not defined.
    """
    truths, scores = checked(truth, score)
    draws = Drawing(seed, _numbered(patients, truths.size), resamples, level)
    values = [metric.of_resamples(truths, scores, counts) for counts in draws.counts()]
    return _interval(metric, metric(truths, scores), np.concatenate(values), level)


def bootstrap_difference(
    metric: Metric,
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    *,
    seed: int,
    patients: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """Return the metric of ``first`` minus that of ``second`` with its interval; both are scored on the same draws.

    Args and errors as in :func:`bootstrap`; ``first`` and ``second`` are the scores of two models on the same cases.
    """
    truths, scores = checked(truth, first)
    _, others = checked(truth, second)
    draws = Drawing(seed, _numbered(patients, truths.size), resamples, level)
    values = [
        metric.of_resamples(truths, scores, counts) - metric.of_resamples(truths, others, counts)
        for counts in draws.counts()
    ]
    return _interval(metric, metric(truths, scores) - metric(truths, others), np.concatenate(values), level)


def _numbered(patients: ArrayLike | None, cases: int) -> NDArray[np.intp]:
    """Return the number of each case's patient, from 0, of shape ``[cases]``."""
    if patients is None:
        return np.arange(cases)
    names = np.asarray(patients)
    if names.shape != (cases,):
        raise Misuse(
            "score-patients",
            f"There are patients of shape {list(names.shape)} for {cases} cases.",
            "Name one for each.",
        )
    return np.unique(names, return_inverse=True)[1]


@dataclass(frozen=True)
class Drawing:
    """What is drawn: ``resamples`` times as many patients as there are, with replacement.

    Attributes:
        seed: Public.
        patients: The number of each case's patient, from 0, of shape ``[cases]``.
        resamples: How many are drawn.
        level: The interval's level of confidence.
    """

    seed: int
    patients: NDArray[np.intp]
    resamples: int = RESAMPLES
    level: float = LEVEL

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.seed < 0 or self.resamples < 1 or not 0 < self.level < 1:
            raise Misuse(
                "score-bootstrap",
                f"A bootstrap was asked for with seed {self.seed}, {self.resamples} resamples and level {self.level}.",
                "Give a seed from 0, one or more resamples and a level between 0 and 1.",
            )

    def counts(self) -> Iterator[Counts]:
        """Yield how often each case is in each resample, of shape ``[some resamples, cases]``, a few at a time."""
        rng = np.random.Generator(np.random.PCG64(self.seed))
        number = int(self.patients.max()) + 1
        most = max(1, CHUNK // self.patients.size)
        for start in range(0, self.resamples, most):
            rows = min(most, self.resamples - start)
            drawn = rng.integers(number, size=(rows, number))
            drawn += np.arange(rows)[:, None] * number
            times = np.bincount(drawn.ravel(), minlength=rows * number).reshape(rows, number)
            yield times[:, self.patients].astype(np.int64)


def _interval(metric: Metric, point: float, values: Floats, level: float) -> Interval:
    defined = values[~np.isnan(values)]
    if math.isnan(point) or not defined.size:
        raise Refused(
            "score-undefined",
            f"The {metric.name} of these cases is not defined: they are all of one class.",
            "Leave it out, or score cases of both classes.",
        )
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(point, float(low), float(high), level)
