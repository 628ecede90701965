"""Write the split of FLamby's Fed-Heart-Disease: ``python benchmarks/heart/make_split.py split.json``.

Needs scikit-learn, whose ``train_test_split`` FLamby uses.
"""

from __future__ import annotations

import csv
import json
import sys
from importlib.resources import files
from pathlib import Path

from sklearn.model_selection import train_test_split  # type: ignore[import-untyped]

from imagiq.learning import heart

_TRAIN_FRACTION = 0.66
_STATE = 43
_FEW = 2


def make_split() -> dict[str, dict[str, list[int]]]:
    """Return for each hospital the ascending indices of its training and test cases, among its rows without gaps."""
    text = (files(heart) / "heart_disease.csv").read_text(encoding="utf-8")
    diseases: dict[str, list[int]] = {}
    for row in csv.DictReader(text.splitlines()):
        if all(row[name] for name in heart.FEATURES):
            diseases.setdefault(row["site"], []).append(int(row["disease"]))
    return {name: _split(disease) for name, disease in diseases.items()}


def _split(disease: list[int]) -> dict[str, list[int]]:
    stratify = disease if min(disease.count(0), disease.count(1)) > _FEW else None
    train, test = train_test_split(
        range(len(disease)),
        train_size=_TRAIN_FRACTION,
        test_size=1.0 - _TRAIN_FRACTION,
        random_state=_STATE,
        stratify=stratify,
    )
    return {"train": sorted(train), "test": sorted(test)}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(make_split()) + "\n", encoding="utf-8")
