"""Images with their masks or classes, as values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagiq.errors import ContractBroken

__all__ = ["ImageCases", "checked", "of_patients", "together"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageCases:
    """Images of patients and what is true of them.

    A case is one patient; ``len`` counts patients. A patient has one or more images: slices, or one volume.

    Attributes:
        images: float32 [images, channels, *space], intensities as they were read.
        truth: Masks uint8 [images, *space], or classes int64 [images].
        patients: [images], the patient of each image: any text, never shown or sent.
        channels: What each channel is, in order, such as ``FLAIR``.
        labels: Name of a label -> its number in ``truth``; 0 is what lies outside all.
        spacing_mm: Distance of neighbouring pixels or voxels along each axis of space.
    """

    images: NDArray[np.float32]
    truth: NDArray[Any]
    patients: NDArray[np.str_]
    channels: tuple[str, ...]
    labels: Mapping[str, int]
    spacing_mm: tuple[float, ...] = field(default=())

    def __len__(self) -> int:
        return len(set(self.patients.tolist()))


def checked(cases: ImageCases) -> ImageCases:
    """Return cases whose arrays fit together; there may be none.

    Raises:
        ContractBroken: shapes do not fit together, a voxel is NaN or infinite, or a label is not in the map. The message
            names no patient.
    """
    images, truth = cases.images, cases.truth
    space = images.shape[2:]
    fit = (
        images.ndim >= 2
        and images.shape[1] == len(cases.channels)
        and len(truth) == len(images) == len(cases.patients)
        and truth.shape[1:] in {space, ()}
        and (not cases.spacing_mm or len(cases.spacing_mm) == len(space))
    )
    if not fit:
        raise ContractBroken(
            "images-shape",
            f"Images of shape {images.shape}, truths of shape {truth.shape}, {len(cases.patients)} patients' names and "
            f"{len(cases.channels)} channels do not fit together.",
            "Give images [images, channels, *space], masks [images, *space] or classes [images], and one name for each.",
        )
    bad = sum(1 for image in images if not np.isfinite(image).all())
    if bad:
        raise ContractBroken(
            "images-not-finite",
            f"{bad} of {len(images)} images hold a voxel that is NaN or infinite.",
            "Repair or leave out these images: a single such voxel spoils a whole training.",
        )
    stray = sorted(set(np.unique(truth).tolist()) - {0, *cases.labels.values()})
    if stray:
        raise ContractBroken(
            "images-label",
            f"Masks hold the label {stray[0]}, which is not in the label map (0, "
            f"{', '.join(map(str, sorted(cases.labels.values())))}).",
            "Add it to the map, or correct the masks.",
        )
    return cases


def of_patients(cases: ImageCases, patients: Collection[str]) -> ImageCases:
    """Return the images of some patients, in the order in which they are."""
    chosen = np.isin(cases.patients, np.array(sorted(patients), dtype=np.str_))
    return replace(cases, images=cases.images[chosen], truth=cases.truth[chosen], patients=cases.patients[chosen])


def together(sites: Mapping[str, ImageCases]) -> ImageCases:
    """Return the cases of several sites as one set; patients of equal name at two sites stay two patients.

    Raises:
        ContractBroken: the sites differ in channels, labels, size or spacing of images.
    """
    parts = list(sites.values())
    if not parts:
        raise ContractBroken("images-none", "There are no sites whose cases could be joined.", "Give at least one.")
    first = parts[0]
    for site, part in sites.items():
        differs = [
            what
            for what, same in (
                ("channels", part.channels == first.channels),
                ("labels", dict(part.labels) == dict(first.labels)),
                ("image size", part.images.shape[1:] == first.images.shape[1:]),
                ("spacing", np.allclose(part.spacing_mm, first.spacing_mm, rtol=1e-3)),
            )
            if not same
        ]
        if differs:
            raise ContractBroken(
                "images-differ",
                f"The site '{site}' differs from '{next(iter(sites))}' in {' and '.join(differs)}.",
                "Bring the images of all sites to the same channels, labels, size and spacing first.",
            )
    names = [f"{site}/{patient}" for site, part in sites.items() for patient in part.patients.tolist()]
    return replace(
        first,
        images=np.concatenate([part.images for part in parts]),
        truth=np.concatenate([part.truth for part in parts]),
        patients=np.array(names, dtype=np.str_),
    )
