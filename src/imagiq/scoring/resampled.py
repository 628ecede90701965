"""Measures as they are in each resample, so that differences and means are taken before percentiles are.

Within one site all models are scored on the same resamples, drawn from one seed; so a difference between two of them
is paired by patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imagiq.scoring.bootstrap import LEVEL, Drawing, Interval
from imagiq.scoring.marks import Marks
from imagiq.scoring.metrics import Floats

__all__ = ["Resampled", "mean_of_resampled", "resampled"]


@dataclass(frozen=True, eq=False)
class Resampled:
    """A measure: its value, and what it is in each resample; NaN: not defined."""

    point: float
    values: Floats

    def interval(self) -> Interval | None:
        """Return the value with its percentile interval; None where it is not defined."""
        defined = self.values[~np.isnan(self.values)]
        if np.isnan(self.point) or not defined.size:
            return None
        low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Interval(self.point, float(low), float(high), LEVEL)

    def minus(self, other: Resampled) -> Resampled:
        """Return the difference."""
        return Resampled(self.point - other.point, self.values - other.values)


def resampled(marks: Marks, seed: int) -> dict[str, Resampled]:
    """Return each measure of all patients, and of each resample that :func:`imagiq.scoring.bootstrap` draws.

    Args:
        marks: What a model got on patients.
        seed: Draws the patients: the same ones for every model.
    """
    parts: dict[str, list[Floats]] = {name: [] for name in marks.of_resamples}
    for counts in Drawing(seed, np.arange(marks.patients)).counts():
        for name, of in marks.of_resamples.items():
            parts[name].append(of(counts))
    points = marks.points()
    return {name: Resampled(points[name], np.concatenate(found)) for name, found in parts.items()}


def mean_of_resampled(all_of: Sequence[Resampled]) -> Resampled:
    """Return the mean, each counting the same; not defined if there are none or one of them is not."""
    if not all_of:
        return Resampled(float("nan"), np.full(1, np.nan))
    return Resampled(sum(one.point for one in all_of) / len(all_of), np.mean([one.values for one in all_of], axis=0))
