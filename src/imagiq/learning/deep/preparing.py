"""What is done to images before a network sees them, and to masks before a loss does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imagiq.errors import ContractBroken
from imagiq.imaging.cases import ImageCases
from imagiq.learning.handover import check_kind
from imagiq.learning.settings import SEGMENTATION, PreparationSettings, Settings

__all__ = ["Prepared", "check_fit", "prepared", "prepared_images"]

_NO_LABEL = 255


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """Cases as a network takes them.

    Attributes:
        images: float32 [images, channels, *space], normalised.
        truth: The place of each label in :attr:`Settings.classes`: uint8 [images, *space], or int64 [images].
        patients: int64 [images], the number of each image's patient.
    """

    images: Tensor
    truth: Tensor
    patients: NDArray[np.int64]


def prepared(settings: Settings, cases: ImageCases, patients: NDArray[np.int64]) -> Prepared:
    """Check cases and prepare them.

    Raises:
        ContractBroken: they do not fit the task.
    """
    check_fit(settings, cases)
    return Prepared(
        images=prepared_images(settings, cases.images),
        truth=_truth(settings, cases),
        patients=patients,
    )


def check_fit(settings: Settings, cases: ImageCases) -> None:
    """Check that cases are those that a task is about.

    Raises:
        ContractBroken: they have other channels, labels or shapes.
    """
    check_kind(cases)
    if tuple(cases.channels) != settings.channels:
        raise ContractBroken(
            "cases-channels",
            f"The images have the channels {', '.join(cases.channels)}; the task is about {', '.join(settings.channels)}.",
            "Give all sites the task's channels, in its order.",
        )
    given = {name: number for name, number in cases.labels.items() if settings.kind != SEGMENTATION or number != 0}
    for name, number in given.items():
        if settings.labels.get(name, number) != number or (
            name not in settings.labels and number in settings.labels.values()
        ):
            raise ContractBroken(
                "cases-labels",
                f"The cases call label {number} '{name}'; the task has {_said(settings.labels)}.",
                "Map the labels of these cases to those of the task.",
            )
    images, truth = cases.images.shape, cases.truth.shape
    wanted = (images[0], *images[2:]) if settings.kind == SEGMENTATION else (images[0],)
    if len(images) != settings.dims + 2 or images[1] != len(settings.channels) or truth != wanted:
        raise ContractBroken(
            "cases-shape",
            f"There are images of shape {list(images)} and truth of shape {list(truth)}; the task is about "
            f"{len(settings.channels)} channels in {settings.dims} dimensions.",
            "Give images [images, channels, *space], and a mask of the same space or one class for each.",
        )


def _said(labels: Mapping[str, int]) -> str:
    return ", ".join(f"'{name}' = {number}" for name, number in labels.items())


def _truth(settings: Settings, cases: ImageCases) -> Tensor:
    """Return the truth as places in the task's classes."""
    truth = np.asarray(cases.truth)
    if settings.kind == SEGMENTATION:
        table = np.full(256, _NO_LABEL, np.uint8)
        table[list(settings.classes)] = np.arange(len(settings.classes), dtype=np.uint8)
        places = table[truth.astype(np.uint8, copy=False)]
        outside = places == _NO_LABEL
        if truth.dtype != np.uint8:
            outside |= (truth < 0) | (truth > _NO_LABEL)
    else:
        places = np.searchsorted(settings.classes, truth).clip(0, len(settings.classes) - 1)
        outside = np.asarray(settings.classes)[places] != truth
    if outside.any():
        raise ContractBroken(
            "cases-label-outside",
            f"The truth holds {_numbers(truth[outside])}, which the task's labels do not name: {_said(settings.labels)}.",
            "Correct the label map, or the masks.",
        )
    return torch.from_numpy(np.ascontiguousarray(places))


def _numbers(found: NDArray[np.generic]) -> str:
    numbers = sorted(set(found.tolist()))
    return "the label " + str(numbers[0]) if len(numbers) == 1 else f"{len(numbers)} numbers, such as {numbers[0]}"


def prepared_images(settings: Settings, images: NDArray[np.float32]) -> Tensor:
    """Return images [images, channels, *space] normalised, each channel of each by itself.

    Raises:
        ContractBroken: an intensity is not a finite number, or there are other channels.
    """
    if images.ndim != settings.dims + 2 or images.shape[1] != len(settings.channels):
        raise ContractBroken(
            "images-shape",
            f"The images have the shape {list(images.shape)}, not [images, {len(settings.channels)}, "
            f"{settings.dims} axes of space].",
            f"Give the channels {', '.join(settings.channels)}, in this order.",
        )
    done = np.empty(images.shape, np.float32)
    for number, image in enumerate(images):
        for channel, values in enumerate(image):
            if not np.isfinite(values).all():
                raise ContractBroken(
                    "cases-not-finite",
                    f"Image {number} (counted from 0), channel '{settings.channels[channel]}', holds an intensity that "
                    "is NaN or infinite.",
                    "Correct the image, or leave it out.",
                )
            done[number, channel] = _normalised(settings.preparation, values)
    return torch.from_numpy(done)


def _normalised(settings: PreparationSettings, values: NDArray[np.float32]) -> NDArray[np.floating]:
    """Return one channel of one image, normalised in float64."""
    if settings.normalise == "none" and not settings.clip:
        return values
    inside = values != 0 if settings.normalise == "zscore-nonzero" else np.ones(values.shape, np.bool_)
    kept = values[inside].astype(np.float64)
    if kept.size == 0:
        return np.zeros_like(values)
    if settings.clip:
        low, high = np.percentile(kept, settings.clip)
        kept = kept.clip(low, high)
    if settings.normalise == "unit":
        span = kept.max() - kept.min()
        kept = (kept - kept.min()) / span if span > 0 else np.zeros_like(kept)
    elif settings.normalise != "none":
        deviation = kept.std()
        kept = (kept - kept.mean()) / deviation if deviation > 0 else np.zeros_like(kept)
    done = np.zeros(values.shape, np.float64)
    done[inside] = kept
    return done
