"""Heart disease in four hospitals of 1988: the cases that come with imagiq.

The cases, the columns and the split into training and test cases are those of FLamby's Fed-Heart-Disease. Where the
cases come from is told in ``ATTRIBUTION.md`` beside them.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from imagiq.learning.tables import SiteTable, read_table

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CATEGORICAL", "FEATURES", "PLACES", "hospitals"]

FEATURES: Final = ("age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak")
CATEGORICAL: Final = ("cp", "restecg")

PLACES: Final[Mapping[str, str]] = MappingProxyType(
    {"cleveland": "Cleveland", "hungarian": "Budapest", "switzerland": "Zürich and Basel", "va": "Long Beach"}
)
"""Name of a hospital in the table -> where it is."""


def hospitals() -> tuple[SiteTable, ...]:
    """Return the cases of Cleveland, Budapest, Zürich and Basel, and Long Beach.

    Each hospital has 13 features, standardised by its own training cases, and class 1 for a narrowed coronary artery.
    A cholesterol of 0, which stands for a missing one, is kept as a number, as FLamby does.
    """
    folder = files(__name__)
    with as_file(folder / "heart_disease.csv") as table, as_file(folder / "split.json") as split:
        return read_table(table, site="site", label="disease", features=FEATURES, categorical=CATEGORICAL, split=split)
