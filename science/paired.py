"""Ways compared by patient: points, and percentile intervals of a bootstrap that draws the same patients for all ways.

Patients are drawn with replacement within each hospital of each run. A difference or a share is computed in each
resample before its percentiles are taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from science.kept import Kept

__all__ = ["Compared", "Stated", "strata"]

RESAMPLES = 10_000
SEED = 20_261_121

Floats = NDArray[np.float64]
Stratum = Mapping[str, Floats]
"""By way: the Dice of each patient of one hospital in one run; in the same order for all ways."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A number with its 95 % interval."""

    point: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.point:.3f} ({self.low:.3f} to {self.high:.3f})"

    @property
    def signed(self) -> str:
        """The number with its sign, and its interval."""
        return f"{self.point:+.3f} ({self.low:+.3f} to {self.high:+.3f})"

    @property
    def percent(self) -> str:
        """A share in per cent, and its interval."""
        return f"{self.point:.1%} ({self.low:.1%} to {self.high:.1%})"


def strata(runs: Sequence[Kept], *, where: str, join: bool = False, only: str = "") -> list[Stratum]:
    """Return the patients of each hospital in each run.

    Args:
        runs: The runs.
        where: ``own``: a hospital's patients, by the model that it ends up with; ``across``: by the models of all
            hospitals, the mean over these; ``unseen``: patients of hospitals that take no part, likewise.
        join: The runs are folds: the patients of a hospital in all of them are one stratum.
        only: The hospital whose patients are asked for; empty: all.
    """
    found: dict[tuple[str, str], list[Stratum]] = {}
    for run in runs:
        for place in run.unseen if where == "unseen" else run.sites:
            if only not in {"", place}:
                continue
            makers = [place] if where == "own" else run.sites
            whole: dict[str, Floats] = {
                way: np.array([models[maker][place] for maker in makers], np.float64).mean(axis=0)
                for way, models in run.dice.items()
                if all(models[maker].get(place) for maker in makers)
            }
            if whole:
                defined = ~np.isnan(np.array(list(whole.values()))).any(axis=0)
                stratum = {way: values[defined] for way, values in whole.items()}
                found.setdefault(("" if join else run.name, place), []).append(stratum)
    return [{way: np.concatenate([part[way] for part in parts]) for way in parts[0]} for parts in found.values()]


class Compared:
    """Ways, each with its value in each resample.

    Args:
        parts: The strata.
        by: ``patient``: each patient counts the same; ``hospital``: each stratum does.
    """

    def __init__(self, parts: Sequence[Stratum], *, by: str) -> None:
        self.ways = tuple(parts[0])
        self.patients = sum(len(part[self.ways[0]]) for part in parts)
        rng = np.random.Generator(np.random.PCG64(SEED))
        point = np.zeros(len(self.ways))
        drawn = np.zeros((RESAMPLES, len(self.ways)))
        for part in parts:
            values = np.array([part[way] for way in self.ways])
            number = values.shape[1]
            weight = number / self.patients if by == "patient" else 1.0 / len(parts)
            times = rng.multinomial(number, np.full(number, 1.0 / number), size=RESAMPLES)
            point += weight * values.mean(axis=1)
            drawn += weight * (times @ values.T) / number
        self._point = dict(zip(self.ways, point.tolist(), strict=True))
        self._drawn = dict(zip(self.ways, drawn.T, strict=True))

    def value(self, way: str) -> Stated:
        """Return the mean Dice of a way."""
        return _stated(self._point[way], self._drawn[way])

    def difference(self, way: str, other: str) -> Stated:
        """Return how much better a way is than another."""
        return _stated(self._point[way] - self._point[other], self._drawn[way] - self._drawn[other])

    def share(self, way: str, other: str) -> Stated:
        """Return a way's part of another."""
        return _stated(self._point[way] / self._point[other], self._drawn[way] / self._drawn[other])

    def pairs(self) -> Iterator[tuple[str, str, Stated]]:
        """Yield all pairs with their difference, the better way first."""
        ranked = sorted(self.ways, key=lambda way: -self._point[way])
        for better, worse in combinations(ranked, 2):
            yield better, worse, self.difference(better, worse)


def _stated(point: float, drawn: Floats) -> Stated:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Stated(point, float(low), float(high))
