"""Metrics of scores against truths: of all cases once, or of many resamples of them at a time.

A resample is written as counts: how often each case is in it. So one pass over the cases in order of their scores
serves all resamples, and accuracy and AUC, which are ratios of integers, come out the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imagiq.errors import Misuse

__all__ = ["ACCURACY", "AUC", "BRIER", "Counts", "Floats", "Metric", "Truths", "accuracy", "auc", "brier", "checked"]

Floats: TypeAlias = NDArray[np.float64]
Truths: TypeAlias = NDArray[np.bool_]
Counts: TypeAlias = NDArray[np.int64]

THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of binary scores.

    Attributes:
        name: What it is called in a table.
        of_resamples: From truths ``[cases]``, scores ``[cases]`` and counts ``[resamples, cases]`` to the metric of
            each resample ``[resamples]``; NaN where it is not defined.
    """

    name: str
    of_resamples: Callable[[Truths, Floats, Counts], Floats]

    def __call__(self, truth: ArrayLike, score: ArrayLike) -> float:
        """Return the metric of all cases; NaN where it is not defined.

        Args:
            truth: 0 or 1 for each case, of shape ``[cases]``.
            score: The probability given to 1, of shape ``[cases]``.

        Raises:
            Misuse: the shapes differ, there are no cases, a truth is not 0 or 1, or a score is not finite.
        """
        truths, scores = checked(truth, score)
        return float(self.of_resamples(truths, scores, np.ones((1, truths.size), np.int64))[0])


def checked(truth: ArrayLike, score: ArrayLike) -> tuple[Truths, Floats]:
    """Return truths and scores as arrays of shape ``[cases]``, or say what is wrong with them.

    Raises:
        Misuse: as :meth:`Metric.__call__` says.
    """
    truths: NDArray[Any] = np.asarray(truth)
    scores = np.asarray(score, np.float64)
    if truths.ndim != 1 or truths.shape != scores.shape:
        raise Misuse(
            "score-shape",
            f"There are truths of shape {list(truths.shape)} and scores of shape {list(scores.shape)}.",
            "Give one truth and one score for each case.",
        )
    if not truths.size:
        raise Misuse("score-empty", "There are no cases to score.", "Give one or more.")
    if not np.isin(truths, (0, 1)).all():
        raise Misuse("score-truth", "A truth is neither 0 nor 1.", "Score one class against the others.")
    if not np.isfinite(scores).all():
        raise Misuse("score-finite", "A score is NaN or infinite.", "Look at the model that gave it.")
    return truths.astype(np.bool_), scores


def _accuracy(truths: Truths, scores: Floats, counts: Counts) -> Floats:
    right = (scores >= THRESHOLD) == truths
    return _ratio((counts * right).sum(axis=1), counts.sum(axis=1))


def _auc(truths: Truths, scores: Floats, counts: Counts) -> Floats:
    """Count pairs of a 1 and a 0: twice for each that is in the right order, once for each tie (Mann and Whitney)."""
    order = np.argsort(scores, kind="stable")
    scores, truths = scores[order], truths[order]
    ones = counts[:, order] * truths
    zeros = counts[:, order] * ~truths
    first = np.searchsorted(scores, scores, side="left")
    after = np.searchsorted(scores, scores, side="right")
    below = np.concatenate([np.zeros((len(counts), 1), np.int64), np.cumsum(zeros, axis=1)], axis=1)
    twice = (ones * (below[:, first] + below[:, after])).sum(axis=1)
    return _ratio(twice, 2 * ones.sum(axis=1) * zeros.sum(axis=1))


def _brier(truths: Truths, scores: Floats, counts: Counts) -> Floats:
    return _ratio((counts * (scores - truths) ** 2).sum(axis=1), counts.sum(axis=1))


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> Floats:
    """Return the quotients; NaN where there is nothing to divide by."""
    quotients = np.full(above.shape, np.nan)
    np.divide(above, below, out=quotients, where=below != 0)
    return quotients


ACCURACY = Metric("accuracy", _accuracy)
AUC = Metric("AUC", _auc)
BRIER = Metric("Brier score", _brier)


def accuracy(truth: ArrayLike, score: ArrayLike) -> float:
    """Return the share of cases on the right side of 0.5; a score of 0.5 counts as 1. See :class:`Metric`."""
    return ACCURACY(truth, score)


def auc(truth: ArrayLike, score: ArrayLike) -> float:
    """Return the area under the ROC curve, a tie counting half; NaN with one class. See :class:`Metric`."""
    return AUC(truth, score)


def brier(truth: ArrayLike, score: ArrayLike) -> float:
    """Return the mean squared distance between score and truth. See :class:`Metric`."""
    return BRIER(truth, score)
