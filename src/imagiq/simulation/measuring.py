"""Measuring the models that a simulation ends with: each on its site's own held-back cases, all on the same resamples.

Intervals are percentiles of a bootstrap over patients, drawn anew within each site; a difference or a mean is computed
in each resample before its percentiles are taken. They say how much the choice of patients matters, and nothing about
other seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from imagiq.learning import Predictions
from imagiq.scoring import ACCURACY, AUC, Interval, Metric
from imagiq.simulation.outcome import Measures

__all__ = ["FEW", "Scored", "difference", "mean_of", "measures_of", "scored"]

RESAMPLES = 2000
LEVEL = 0.95
FEW = 5
"""An AUC that rests on fewer cases of a class than this tells nothing."""

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Resampled:
    """A metric: its value, and what it is in each resample."""

    point: float
    values: Floats

    def interval(self) -> Interval | None:
        """Return the value with its interval; None where it is not defined."""
        defined = self.values[~np.isnan(self.values)]
        if np.isnan(self.point) or not defined.size:
            return None
        low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Interval(self.point, float(low), float(high), LEVEL)

    def minus(self, other: Resampled) -> Resampled:
        """Return the difference."""
        return Resampled(self.point - other.point, self.values - other.values)


@dataclass(frozen=True, eq=False)
class Scored:
    """A model's scores on one site's held-back cases; ``auc_tells``: whether there are enough of each class."""

    accuracy: Resampled
    auc: Resampled
    auc_tells: bool


def scored(said: Predictions, seed: int) -> Scored | None:
    """Score predictions; None if there are none.

    Args:
        said: What a model says of the held-back cases of a site.
        seed: Draws the patients: the same ones for every model of this site.
    """
    truth: NDArray[Any] = np.asarray(said.truth)
    if not truth.size:
        return None
    positive = int((truth == 1).sum())
    counts = _counts(truth.size, seed)
    return Scored(
        accuracy=_resampled(ACCURACY, said, counts),
        auc=_resampled(AUC, said, counts),
        auc_tells=min(positive, truth.size - positive) >= FEW,
    )


def _counts(cases: int, seed: int) -> NDArray[np.int64]:
    """Return how often each case is in each resample, as :func:`imagiq.scoring.bootstrap` draws them."""
    drawn = np.random.Generator(np.random.PCG64(seed)).integers(cases, size=(RESAMPLES, cases))
    drawn += np.arange(RESAMPLES)[:, None] * cases
    return np.bincount(drawn.ravel(), minlength=RESAMPLES * cases).reshape(RESAMPLES, cases).astype(np.int64)


def _resampled(metric: Metric, said: Predictions, counts: NDArray[np.int64]) -> Resampled:
    truth, score = np.asarray(said.truth).astype(np.bool_), np.asarray(said.score, np.float64)
    return Resampled(metric(said.truth, said.score), metric.of_resamples(truth, score, counts))


def measures_of(one: Scored) -> Measures:
    """Return scores with their intervals."""
    return Measures(accuracy=one.accuracy.interval(), auc=one.auc.interval())


def difference(one: Scored, other: Scored) -> Measures:
    """Return how much better one model is than another on the same cases."""
    return Measures(accuracy=one.accuracy.minus(other.accuracy).interval(), auc=one.auc.minus(other.auc).interval())


def mean_of(sites: Mapping[str, Scored], others: Mapping[str, Scored] | None = None) -> Measures:
    """Return the mean over sites, or how much better it is than that of other models at the same sites.

    The mean of the AUC is over the sites where it tells something.
    """
    names = [name for name in sites if others is None or name in others]
    telling = [name for name in names if sites[name].auc_tells]
    accuracy = _mean([sites[name].accuracy for name in names])
    auc = _mean([sites[name].auc for name in telling])
    if others is not None:
        before = [others[name] for name in names]
        accuracy = accuracy.minus(_mean([one.accuracy for one in before]))
        auc = auc.minus(_mean([others[name].auc for name in telling]))
    return Measures(accuracy=accuracy.interval(), auc=auc.interval())


def _mean(all_of: Sequence[Resampled]) -> Resampled:
    if not all_of:
        return Resampled(float("nan"), np.full(1, np.nan))
    return Resampled(sum(one.point for one in all_of) / len(all_of), np.mean([one.values for one in all_of], axis=0))
