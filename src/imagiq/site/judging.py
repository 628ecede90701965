"""What a learner said of cases: its marks, and the sidecar in which a site keeps it for itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from imagiq.errors import Corrupt
from imagiq.learning import Overlaps, Predictions
from imagiq.objects import JSON, decimal, encode
from imagiq.scoring import Marks, marks_of_classes, marks_of_overlaps

__all__ = ["SCORES", "marks_of", "parse_scores", "scores_of"]

SCORES = "scores"
"""The sidecar of an evaluation: what was said of each case. It never leaves the site."""


def marks_of(said: Predictions | Overlaps) -> Marks:
    """Return the marks of what a model said.

    Raises:
        Misuse: it does not fit together.
    """
    if isinstance(said, Overlaps):
        return marks_of_overlaps(said.regions, said.true, said.drawn, said.common)
    return marks_of_classes(said.truth, said.score)


def scores_of(said: Predictions | Overlaps) -> bytes:
    """Return what a model said, as it rests in a sidecar."""
    if isinstance(said, Overlaps):
        counts: dict[str, JSON] = {
            name: np.asarray(getattr(said, name)).tolist() for name in ("true", "drawn", "common")
        }
        return encode({"regions": list(said.regions), **counts})
    score = np.asarray(said.score, np.float64)
    shown: JSON = [decimal(each) for each in score.tolist()] if score.ndim == 1 else _rows(score.tolist())
    return encode({"truth": np.asarray(said.truth).tolist(), "score": shown})


def _rows(rows: list[list[float]]) -> JSON:
    return [[decimal(each) for each in row] for row in rows]


def parse_scores(raw: bytes) -> Predictions | Overlaps:
    """Read a sidecar of scores.

    Raises:
        Corrupt: it is none.
    """
    try:
        found: Any = json.loads(raw)
        if isinstance(found, Mapping) and "regions" in found:
            true, drawn, common = (np.array(found[name], np.int64) for name in ("true", "drawn", "common"))
            return Overlaps(regions=tuple(map(str, found["regions"])), true=true, drawn=drawn, common=common)
        return Predictions(truth=np.array(found["truth"], np.int64), score=np.array(found["score"], np.float64))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise Corrupt(
            "scores-damaged", "A sidecar of scores does not hold scores.", "Evaluate the model again."
        ) from error
