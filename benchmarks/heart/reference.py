"""FLamby's Fed-Heart-Disease protocol in plain numpy, without imagiq: ``python benchmarks/heart/reference.py``.

Logistic regression of 13 features, initialised evenly in ±1/√13. *Pooled*: Adam, learning rate 0.001, batch 4, 50
epochs over all training cases, standardised together. *FedAvg*: 15 rounds of 100 updates of gradient descent at each
hospital, learning rate 0.001, batch 4, averaged by number of training cases; each hospital standardises by its own
training cases. Either model is tested on each hospital's test cases, standardised as the hospital does; reported is the
mean of the four accuracies.

FLamby's own results are in its repository, ``flamby/results/results_benchmark_fed_heart_disease/heart_seed42.csv`` to
``heart_seed46.csv``. Their means of the four hospitals are 0.735 for pooled training (standard deviation over the five
seeds 0.003) and 0.685 for FedAvg (0.028).
"""

from __future__ import annotations

import csv
import json
import math
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

Vector: TypeAlias = "NDArray[np.float64]"

_DATA = Path(__file__).parents[2] / "src" / "imagiq" / "learning" / "heart"
_NUMBERS = ("age", "sex", "trestbps", "chol", "fbs", "thalach", "exang", "oldpeak")
_LEVELS = {"cp": (2.0, 3.0, 4.0), "restecg": (1.0, 2.0)}
_LEARNING_RATE = 0.001
_BATCH = 4
_ROUNDS, _UPDATES = 15, 100
_EPOCHS = 50
_SEEDS = range(20)
_T_95_OF_19 = 2.093


class Hospital(NamedTuple):
    """Cases of one hospital as they are in the file, features [cases, 13] and classes [cases]."""

    train_x: Vector
    train_y: Vector
    test_x: Vector
    test_y: Vector


def hospitals() -> dict[str, Hospital]:
    """Read the four hospitals, their rows without gaps, split as FLamby splits them."""
    with (_DATA / "heart_disease.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if all(row[name] for name in (*_NUMBERS, *_LEVELS))]
    found = {}
    for name, split in json.loads((_DATA / "split.json").read_text(encoding="utf-8")).items():
        own = [row for row in rows if row["site"] == name]
        x = np.array(
            [
                [float(row[column]) for column in _NUMBERS]
                + [float(float(row[column]) == level) for column, levels in _LEVELS.items() for level in levels]
                for row in own
            ]
        )
        y = np.array([float(row["disease"]) for row in own])
        found[name] = Hospital(x[split["train"]], y[split["train"]], x[split["test"]], y[split["test"]])
    return found


def scaler(x: Vector) -> Callable[[Vector], Vector]:
    """Return what standardises features as these are, a constant one to 0, and appends a column of ones."""
    mean, deviation = x.mean(axis=0), x.std(axis=0, ddof=1)
    kept = x.max(axis=0) > x.min(axis=0)

    def scale(values: Vector) -> Vector:
        scaled = np.where(kept, (values - mean) / np.where(kept, deviation, 1.0), 0.0)
        return np.concatenate([scaled, np.ones((len(values), 1))], axis=1)

    return scale


def initial(draw: np.random.Generator, size: int) -> Vector:
    """Return weights and bias, drawn evenly from ±1/√features."""
    bound = 1.0 / math.sqrt(size - 1)
    return draw.uniform(-bound, bound, size)


def batches(x: Vector, y: Vector, draw: np.random.Generator) -> Iterator[tuple[Vector, Vector]]:
    """Yield shuffled batches, epoch after epoch, for ever."""
    while True:
        order = draw.permutation(len(y))
        for start in range(0, len(y), _BATCH):
            chosen = order[start : start + _BATCH]
            yield x[chosen], y[chosen]


def gradient(w: Vector, x: Vector, y: Vector) -> Vector:
    """Return the gradient of the mean loss."""
    return (1.0 / (1.0 + np.exp(-(x @ w))) - y) @ x / len(y)


def descend(w: Vector, x: Vector, y: Vector, draw: np.random.Generator) -> Vector:
    """Return the weights after one round of plain gradient descent."""
    for batch in islice(batches(x, y, draw), _UPDATES):
        w = w - _LEARNING_RATE * gradient(w, *batch)
    return w


def pooled(sites: Sequence[Hospital], draw: np.random.Generator) -> Vector:
    """Return the weights that Adam finds on all training cases together."""
    together = np.concatenate([site.train_x for site in sites])
    x, y = scaler(together)(together), np.concatenate([site.train_y for site in sites])
    w = initial(draw, x.shape[1])
    first, second = np.zeros_like(w), np.zeros_like(w)
    updates = _EPOCHS * math.ceil(len(y) / _BATCH)
    for step, batch in enumerate(islice(batches(x, y, draw), updates), start=1):
        slope = gradient(w, *batch)
        first += 0.1 * (slope - first)
        second += 0.001 * (slope**2 - second)
        scale = np.sqrt(second / (1.0 - 0.999**step)) + 1e-8
        w -= _LEARNING_RATE * first / (1.0 - 0.9**step) / scale
    return w


def fedavg(sites: Sequence[Hospital], draw: np.random.Generator) -> Vector:
    """Return the weights after all rounds of federated averaging."""
    scaled = [scaler(site.train_x)(site.train_x) for site in sites]
    cases = [len(site.train_y) for site in sites]
    w = initial(draw, scaled[0].shape[1])
    for _ in range(_ROUNDS):
        trained = [descend(w, x, site.train_y, draw) for x, site in zip(scaled, sites, strict=True)]
        w = np.average(trained, axis=0, weights=cases)
    return w


def accuracies(w: Vector, sites: Sequence[Hospital]) -> list[float]:
    """Return the accuracy on each hospital's test cases."""
    return [float(((scaler(site.train_x)(site.test_x) @ w >= 0.0) == site.test_y).mean()) for site in sites]


def main() -> None:
    """Print the mean over seeds, its 95 % interval, the standard deviation, and each hospital's mean."""
    named = hospitals()
    sites = tuple(named.values())
    print(f"{'way':8}{'mean':>7}{'95 % interval':>18}{'sd':>8}  " + "".join(f"{name:>12}" for name in named))
    for way in (pooled, fedavg):
        found = np.array([accuracies(way(sites, np.random.default_rng(seed)), sites) for seed in _SEEDS])
        means = found.mean(axis=1)
        mean, deviation = means.mean(), means.std(ddof=1)
        half = _T_95_OF_19 * deviation / math.sqrt(len(_SEEDS))
        each = "".join(f"{value:12.3f}" for value in found.mean(axis=0))
        print(f"{way.__name__:8}{mean:7.3f}{f'{mean - half:.3f} to {mean + half:.3f}':>18}{deviation:8.3f}  {each}")


if __name__ == "__main__":
    main()
