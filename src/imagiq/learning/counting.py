"""From what a model says of images to what it says of patients. Needs no deep learning framework."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagiq.errors import ContractBroken
from imagiq.learning import Overlaps, Predictions
from imagiq.learning.settings import Settings

__all__ = ["classified", "overlaps"]


def overlaps(
    settings: Settings, truth: NDArray[Any], patients: NDArray[np.int64], drawn: NDArray[np.uint8]
) -> Overlaps:
    """Count, for each patient and region, what is true, what is drawn, and what is both.

    Args:
        settings: The task, with its regions.
        truth: [images, *space], the place of each label in :attr:`Settings.classes`.
        patients: [images], the number of each image's patient, from 0.
        drawn: [images, *space], places as in ``truth``.
    """
    found = {name: np.zeros((patients.max() + 1, len(settings.regions)), np.int64) for name in _COUNTS}
    axes = tuple(range(1, truth.ndim))
    for column, numbers in enumerate(settings.regions.values()):
        belongs = np.isin(settings.classes, numbers)
        here, there = belongs[truth], belongs[drawn]
        for name, inside in zip(_COUNTS, (here, there, here & there), strict=True):
            np.add.at(found[name][:, column], patients, inside.sum(axis=axes))
    return Overlaps(regions=tuple(settings.regions), **found)


_COUNTS = ("true", "drawn", "common")


def classified(truth: NDArray[Any], patients: NDArray[np.int64], scores: NDArray[np.float64]) -> Predictions:
    """Return what is said of each patient: the mean over that patient's images.

    Args:
        truth: [images], the place of each class in :attr:`Settings.classes`.
        patients: [images], the number of each image's patient, from 0.
        scores: [images, classes], the probability of each class.

    Raises:
        ContractBroken: the images of one patient are of different classes.
    """
    count = int(patients.max()) + 1
    classes = np.full(count, -1, np.int64)
    classes[patients] = truth
    if (classes[patients] != truth).any():
        raise ContractBroken(
            "cases-patient-classes",
            "Images of one patient are of different classes, so that the patient has none.",
            "Name as a patient what has one class, such as a lesion.",
        )
    sums = np.zeros((count, scores.shape[1]))
    np.add.at(sums, patients, scores)
    mean = sums / np.bincount(patients, minlength=count)[:, None]
    return Predictions(truth=classes, score=mean[:, 1] if scores.shape[1] == 2 else mean)
