"""Whether cases are those that a task is about: channels, labels, shapes, numbers. Needs no deep learning framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagiq.errors import ContractBroken
from imagiq.imaging.cases import ImageCases
from imagiq.learning import Cases
from imagiq.learning.handover import check_kind
from imagiq.learning.settings import SEGMENTATION, Settings

__all__ = ["check_cases", "check_fit", "check_images", "places_of"]

_NO_LABEL = 255
_SPACING_PART = 0.02
"""By so much of it a spacing may differ from the task's."""
_PIXELS = {2: "pixels", 3: "voxels"}


def check_cases(settings: Settings, given: Cases) -> None:
    """Check that cases are those that a task is about, down to each number.

    Raises:
        ContractBroken: they are not; the message says what differs.
    """
    cases = check_kind(given)
    check_fit(settings, cases)
    check_images(settings, cases.images)
    places_of(settings, cases)


def check_fit(settings: Settings, cases: ImageCases) -> None:
    """Check that the frame of cases is that of a task.

    Raises:
        ContractBroken: they have other channels, labels, shapes or spacings.
    """
    check_kind(cases)
    if cases.channels and tuple(cases.channels) != settings.channels:
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
    _check_grid(settings, cases)


def _check_grid(settings: Settings, cases: ImageCases) -> None:
    """Check that images lie on the grid that the task names; what either leaves open fits."""
    wanted, space = settings.images, cases.images.shape[2:]
    if wanted is None:
        return
    if wanted.shape and space != wanted.shape:
        raise ContractBroken(
            "cases-grid",
            f"The images have {_by(space)} {_PIXELS[settings.dims]}; the task is about {_by(wanted.shape)}.",
            "Say in [data] that images are brought to the task's size.",
        )
    spacing = cases.spacing_mm
    if wanted.spacing_mm and any(abs(each / wanted.spacing_mm - 1.0) > _SPACING_PART for each in spacing):
        raise ContractBroken(
            "cases-grid",
            f"The {_PIXELS[settings.dims]} of the images are {' x '.join(f'{each:.3g}' for each in spacing)} mm large; "
            f"the task is about {wanted.spacing_mm:.3g} mm.",
            "Say in [data] that images are resampled to the task's spacing.",
        )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _said(labels: Mapping[str, int]) -> str:
    return ", ".join(f"'{name}' = {number}" for name, number in labels.items())


def places_of(settings: Settings, cases: ImageCases) -> NDArray[Any]:
    """Return the truth as places in :attr:`Settings.classes`: uint8 [images, *space] of masks, int64 [images] of classes.

    Raises:
        ContractBroken: it holds a number that the task's labels do not name.
    """
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
    return places


def _numbers(found: NDArray[np.generic]) -> str:
    numbers = sorted(set(found.tolist()))
    return "the label " + str(numbers[0]) if len(numbers) == 1 else f"{len(numbers)} numbers, such as {numbers[0]}"


def check_images(settings: Settings, images: NDArray[np.float32]) -> None:
    """Check images by themselves.

    Raises:
        ContractBroken: there are other channels or axes, or an intensity is not a finite number.
    """
    if images.ndim != settings.dims + 2 or images.shape[1] != len(settings.channels):
        raise ContractBroken(
            "images-shape",
            f"The images have the shape {list(images.shape)}, not [images, {len(settings.channels)}, "
            f"{settings.dims} axes of space].",
            f"Give the channels {', '.join(settings.channels)}, in this order.",
        )
    for number, image in enumerate(images):
        for channel, values in zip(settings.channels, image, strict=True):
            if not np.isfinite(values).all():
                raise ContractBroken(
                    "cases-not-finite",
                    f"Image {number} (counted from 0), channel '{channel}', holds an intensity that is NaN or infinite.",
                    "Correct the image, or leave it out.",
                )
