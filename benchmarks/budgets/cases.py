"""Made-up cases for simulated sites: a linear rule with noise, a little different at each site."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imagiq.learning.tables import Table
from imagiq.simulation import SiteCases

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["FEATURES", "cases_of"]

FEATURES, TRAINING, HELD_BACK = 13, 64, 32


def cases_of(names: Iterable[str]) -> Mapping[str, SiteCases]:
    """Return each site's cases, the same ones at every call."""
    return {name: _cases(seed) for seed, name in enumerate(names)}


def _cases(seed: int) -> SiteCases:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((TRAINING + HELD_BACK, FEATURES))
    rule = np.linspace(-1.0, 1.0, FEATURES) + 0.2 * rng.standard_normal(FEATURES)
    y = (x @ rule + rng.standard_normal(len(x)) > 0.0).astype(np.int8)
    return SiteCases(training=Table(x=x[:TRAINING], y=y[:TRAINING]), held_back=Table(x=x[TRAINING:], y=y[TRAINING:]))
