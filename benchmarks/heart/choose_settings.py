"""Choose the settings of the heart demonstration by its training cases: ``python benchmarks/heart/choose_settings.py``.

Three folds inside each hospital's training cases; the demonstration's test cases are never looked at. Each fold is
standardised by its own training part. A choice is scored by the area under the ROC curve on held-out cases, as the mean
over the hospitals that hold out both classes, over folds and seeds, then over the ways that exchange models; the best
mean wins. Accuracy would not do: the hospitals' shares of ill patients go from 38 % to all, so at one threshold it
measures mostly how a model's bias fits a hospital.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from imagiq.learning import Predictions, Weights, heart
from imagiq.learning.logistic import Logistic
from imagiq.learning.tables import SiteTable, Table, standardised

_STEPS = 12
_FOLDS = 3
_SEEDS = (1, 2)
_SECONDS_OF_A_STEP = (1, 1, 2, 3)
_LEARNING_RATES = ("0.003", "0.01", "0.03", "0.1", "0.3")
_DECAYS = ("0", "0.01", "0.1")
_SCHEDULES: tuple[Literal["constant", "cosine"], ...] = ("constant", "cosine")
_BATCHES_AND_UPDATES = ((4, 100), (8, 50), (16, 25))
_SHOWN = 12
_EVEN_ODDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is chosen: the learner's parameters and the number of updates in a step."""

    learning_rate: str
    weight_decay: str
    schedule: Literal["constant", "cosine"]
    batch: int
    updates: int

    def learner(self) -> Logistic:
        """Return the learner with these parameters."""
        return Logistic(
            features=13,
            learning_rate=self.learning_rate,
            batch=self.batch,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
        )


Sites: TypeAlias = Sequence[Table]
Measured: TypeAlias = NDArray[np.float64]
Way: TypeAlias = Callable[[Settings, Sites, int], list[Weights]]
"""Settings, training cases of the hospitals and a seed -> each hospital's last model."""


def mean(models: Sequence[Weights], cases: Sequence[int]) -> Weights:
    """Return the average of models, weighted by numbers of cases."""
    return {
        name: np.average([model[name] for model in models], axis=0, weights=cases).astype(np.float32)
        for name in models[0]
    }


def step(settings: Settings, weights: Weights, cases: Table, seed: int, done: float) -> Weights:
    """Return the weights after one step of training."""
    return settings.learner().train(weights, cases, budget=settings.updates, seed=seed, progress=done).weights


def alone(settings: Settings, sites: Sites, seed: int) -> list[Weights]:
    """Each hospital trains by itself."""
    models = [settings.learner().initial(seed).weights for _ in sites]
    for number in range(_STEPS):
        models = [
            step(settings, model, cases, seed + number, number / _STEPS)
            for model, cases in zip(models, sites, strict=True)
        ]
    return models


def fedavg(settings: Settings, sites: Sites, seed: int) -> list[Weights]:
    """All train from the average of all, round by round."""
    model = settings.learner().initial(seed).weights
    for number in range(_STEPS):
        trained = [step(settings, model, cases, seed + number, number / _STEPS) for cases in sites]
        model = mean(trained, [len(cases) for cases in sites])
    return [model] * len(sites)


def cyclic(settings: Settings, sites: Sites, seed: int) -> list[Weights]:
    """One model goes round the hospitals, as often as there are steps."""
    model = settings.learner().initial(seed).weights
    for number, cases in itertools.product(range(_STEPS), sites):
        model = step(settings, model, cases, seed + number, number / _STEPS)
    return [model] * len(sites)


def incremental(settings: Settings, sites: Sites, seed: int) -> list[Weights]:
    """One model visits each hospital once, for all of its steps."""
    model = settings.learner().initial(seed).weights
    for place, (cases, number) in enumerate(itertools.product(sites, range(_STEPS))):
        model = step(settings, model, cases, seed + number, place / (_STEPS * len(sites)))
    return [model] * len(sites)


def latest(settings: Settings, sites: Sites, seed: int) -> list[Weights]:
    """Each hospital at its own pace trains from the average of the newest model of each, and none waits."""
    start = settings.learner().initial(seed).weights
    newest: dict[int, Weights] = {}
    steps = [0] * len(sites)
    for tick in range(1, _STEPS * max(_SECONDS_OF_A_STEP) + 1):
        seen = dict(newest)
        for index, cases in enumerate(sites):
            if tick % _SECONDS_OF_A_STEP[index] or steps[index] == _STEPS:
                continue
            model = mean(list(seen.values()), [len(sites[other]) for other in seen]) if seen else start
            done = sum(steps) / (_STEPS * len(sites))
            newest[index] = step(settings, model, cases, seed + steps[index], done)
            steps[index] += 1
    return [mean(list(newest.values()), [len(sites[index]) for index in newest])] * len(sites)


def pooled(settings: Settings, sites: Sites, seed: int) -> list[Weights]:
    """One model trains on all cases together, with the updates of all hospitals: what no hospital may do."""
    together = Table(x=np.concatenate([cases.x for cases in sites]), y=np.concatenate([cases.y for cases in sites]))
    model = settings.learner().initial(seed).weights
    for number in range(_STEPS * len(sites)):
        model = step(settings, model, together, seed + number, number / (_STEPS * len(sites)))
    return [model] * len(sites)


WAYS: Mapping[str, Way] = {way.__name__: way for way in (alone, fedavg, cyclic, incremental, latest, pooled)}
EXCHANGING = ("fedavg", "cyclic", "latest")


def folds(hospitals: Sequence[SiteTable]) -> Iterator[list[tuple[Table, Table]]]:
    """Yield for each fold the training and held-out part of each hospital, of its training cases only."""
    for fold in range(_FOLDS):
        parts = []
        for hospital in hospitals:
            whole = hospital.train
            # Sorting by class deals each class evenly to the folds.
            place = np.argsort(np.argsort(whole.y, kind="stable"), kind="stable") % _FOLDS
            kept, held = (Table(x=whole.x[part], y=whole.y[part]) for part in (place != fold, place == fold))
            parts.append(standardised(kept, held))
        yield parts


def accuracy(found: Predictions) -> float:
    """Return the share of cases that a model gets right at even odds."""
    return float(((found.score >= _EVEN_ODDS) == found.truth).mean())


def area(found: Predictions) -> float:
    """Return the chance that an ill case scores above a healthy one; not a number where either is lacking."""
    ill, healthy = found.score[found.truth == 1, None], found.score[None, found.truth == 0]
    return float(((ill > healthy) + 0.5 * (ill == healthy)).mean()) if ill.size and healthy.size else float("nan")


def measure(settings: Settings, name: str, hospitals: Sequence[SiteTable]) -> Measured:
    """Return area and accuracy at each hospital on its held-out cases, [2, folds and seeds, hospitals]."""
    found = []
    for parts, seed in itertools.product(folds(hospitals), _SEEDS):
        models = WAYS[name](settings, [train for train, _ in parts], 1000 * seed)
        answers = [settings.learner().predict(model, held) for model, (_, held) in zip(models, parts, strict=True)]
        found.append([[area(answer) for answer in answers], [accuracy(answer) for answer in answers]])
    return np.array(found).transpose(1, 0, 2)


def main() -> None:
    """Print the best settings, and how each way does with the very best."""
    hospitals = heart.hospitals()
    scores = {}
    for rate, decay, schedule, (batch, updates) in itertools.product(
        _LEARNING_RATES, _DECAYS, _SCHEDULES, _BATCHES_AND_UPDATES
    ):
        settings = Settings(learning_rate=rate, weight_decay=decay, schedule=schedule, batch=batch, updates=updates)
        areas = [measure(settings, name, hospitals)[0] for name in EXCHANGING]
        scores[settings] = float(np.nanmean(np.nanmean(areas, axis=2)))
    ranked = sorted(scores, key=lambda settings: -scores[settings])
    for settings in ranked[:_SHOWN]:
        print(f"{scores[settings]:.4f} {settings}")
    print(f"\nWith the first, {_STEPS} steps at each hospital:")
    print(f"{'way':12}{'area':>6} {'at each':28}{'accuracy':>8}  at each")
    for name in WAYS:
        areas, accuracies = measure(ranked[0], name, hospitals)
        area_of_way = np.nanmean(np.nanmean(areas, axis=1))
        print(f"{name:12}{area_of_way:6.3f} {_each(areas)}{accuracies.mean():8.3f}  {_each(accuracies)}")


def _each(measured: Measured) -> str:
    # A hospital of one class has no area in any fold.
    known = [column[np.isfinite(column)] for column in measured.T]
    return "".join(f"{values.mean():7.3f}" if values.size else f"{'none':>7}" for values in known)


if __name__ == "__main__":
    main()
