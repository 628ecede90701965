"""A learner that does not train: it moves every tensor by a hair, another one at each site, and is done.

Sites that run as processes find it as ``still``, by an entry point that :func:`offered` writes; see its use. So what a round
costs beside training is measured with real models, of which no two are alike.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imagiq.learning import Cases, Initial, Predictions, Trained, Weights

__all__ = ["Still", "offered"]


class Still:
    """See the module.

    Args:
        tensors: How many tensors a model has.
        values: How many float32 each has.
    """

    def __init__(self, *, tensors: int, values: int) -> None:
        self._tensors = tensors
        self._values = values

    def initial(self, seed: int) -> Initial:
        """Return a model that this seed gives."""
        draw = np.random.default_rng(seed)
        return Initial(
            weights={f"layer{n:03d}": draw.random(self._values, np.float32) for n in range(self._tensors)},
            architecture={"name": "still", "tensors": self._tensors, "values": self._values},
            channels=("none",),
            labels={"negative": 0, "positive": 1},
            preprocessing={},
        )

    def train(self, weights: Weights, cases: Cases, *, budget: int, seed: int, progress: float) -> Trained:
        """Move all tensors by what the seed says."""
        del budget, progress
        hair = np.float32((1 + seed % 1000) * 1e-6)
        return Trained(weights={name: values + hair for name, values in weights.items()}, metrics={}, cases=len(cases))

    def predict(self, weights: Weights, cases: Cases) -> Predictions:
        """Say of everybody the same."""
        del weights
        return Predictions(truth=np.arange(len(cases)) % 2, score=np.full(len(cases), 0.5))


def offered(folder: Path) -> str:
    """Write into a folder what makes installed Python find the learner there; return the folder as a part of PYTHONPATH."""
    package = folder / "still-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: still\nVersion: 1\n", encoding="utf-8")
    (package / "entry_points.txt").write_text("[imagiq.learners]\nstill = benchmarks.still:Still\n", encoding="utf-8")
    return str(folder)
