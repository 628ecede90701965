"""What is done to images before a network sees them, and to masks before a loss does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imagiq.imaging.cases import ImageCases
from imagiq.learning.fit import check_fit, check_images, places_of
from imagiq.learning.settings import PreparationSettings, Settings

__all__ = ["Prepared", "prepared", "prepared_images"]


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
        truth=torch.from_numpy(np.ascontiguousarray(places_of(settings, cases))),
        patients=patients,
    )


def prepared_images(settings: Settings, images: NDArray[np.float32]) -> Tensor:
    """Return images [images, channels, *space] normalised, each channel of each by itself.

    Raises:
        ContractBroken: an intensity is not a finite number, or there are other channels.
    """
    check_images(settings, images)
    done = np.empty(images.shape, np.float32)
    for number, image in enumerate(images):
        for channel, values in enumerate(image):
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
