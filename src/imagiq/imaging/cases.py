"""Images with their masks or classes, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ImageCases"]


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
