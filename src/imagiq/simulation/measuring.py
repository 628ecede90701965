"""Measuring the models that a simulation ends with: all models of a site's patients on the same resamples of them.

Intervals are percentiles of a bootstrap over patients, drawn anew within each site; a difference or a mean is computed
in each resample before its percentiles are taken. They say how much the choice of patients matters, and nothing about
other seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan

from imagiq.learning import Overlaps, Predictions
from imagiq.scoring import Interval, Marks, Resampled, mean_of_resampled, resampled
from imagiq.simulation.outcome import Measures
from imagiq.site import marks_of

__all__ = ["Scored", "difference", "mean_of", "measures_of", "scored"]


@dataclass(frozen=True, eq=False)
class Scored:
    """A model's scores on one site's held-back cases."""

    marks: Marks
    measures: Mapping[str, Resampled]

    def tells(self, measure: str) -> bool:
        """Tell whether there are enough cases for a measure to tell anything."""
        return measure not in self.marks.silent

    def defines(self, measure: str) -> bool:
        """Tell whether a measure is defined on these cases."""
        return measure in self.measures and not isnan(self.measures[measure].point)


def scored(said: Predictions | Overlaps, seed: int) -> Scored:
    """Score what a model says.

    Args:
        said: What it says of the held-back cases of a site.
        seed: Draws the patients: the same ones for every model of this site.
    """
    marks = marks_of(said)
    return Scored(marks, resampled(marks, seed))


def measures_of(one: Scored) -> Measures:
    """Return scores with their intervals."""
    return Measures(of={name: measure.interval() for name, measure in one.measures.items()})


def difference(one: Scored, other: Scored) -> Measures:
    """Return how much better one model is than another on the same cases."""
    return Measures(of={name: each.minus(other.measures[name]).interval() for name, each in one.measures.items()})


def mean_of(some: Sequence[Scored], others: Sequence[Scored] | None = None) -> Measures:
    """Return the mean over models on cases, or how much better it is than that of other models.

    A measure's mean is over the sites where it is defined and tells something.

    Args:
        some: Scores of models.
        others: Scores of other models, each on the same cases as its counterpart.
    """
    measures: dict[str, Interval | None] = {}
    for name in dict.fromkeys(name for one in some for name in one.measures):
        pairs = [
            (one.measures[name], other.measures[name])
            for one, other in zip(some, some if others is None else others, strict=True)
            if one.tells(name) and one.defines(name) and other.defines(name)
        ]
        mean = mean_of_resampled([one for one, _ in pairs])
        if others is not None:
            mean = mean.minus(mean_of_resampled([other for _, other in pairs]))
        measures[name] = mean.interval()
    return Measures(of=measures)
