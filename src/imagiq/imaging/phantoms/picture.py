"""One picture of phantoms: a patient of each hospital, in each image, and what is true."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from imagiq.imaging.phantoms.patients import HOSPITALS, UNSEEN_HOSPITAL, draw_patient, slices_of
from imagiq.imaging.phantoms.scanners import SCANNERS
from imagiq.imaging.phantoms.tumour import LABELS

__all__ = ["montage"]

_SHADES: Final = {"necrotic or non-enhancing core": 110, "oedema": 175, "enhancing rim": 255}
_STEP: Final = 4
"""Grey values are rounded to multiples of this: noise packs badly."""


def montage(*, seed: int = 1, size: int = 112) -> NDArray[np.uint8]:
    """Return a grey picture: a row for each hospital, the unseen one last; T1, T1ce, T2, FLAIR, and labels over a dim FLAIR.

    Oedema is light grey, core dark grey, the enhancing rim white. Each image is scaled by itself, as on a screen; the fat of
    the scalp may saturate.

    Args:
        seed: Of the patients.
        size: Pixels along a side of an image.
    """
    rows = []
    for number, hospital in enumerate((*HOSPITALS, UNSEEN_HOSPITAL)):
        patient = draw_patient(seed, hospital.name, number, hospital.mix)
        planes, _ = slices_of(patient, SCANNERS[hospital.scanner], size=size, slices=3)
        tiles = [_screen(image) for image in planes.images[1]]
        told = tiles[3] // 2
        for name, label in LABELS.items():
            told[planes.truth[1] == label] = _SHADES[name]
        rows.append(np.concatenate([*tiles, told], axis=1))
    return np.concatenate(rows)


def _screen(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return an image as one would set it on a screen, by what the head itself shows."""
    bright = np.percentile(image[image > 0.25 * np.percentile(image, 98)], 90)
    grey = np.clip(image / bright * 225.0, 0.0, 255.0)
    found: NDArray[np.uint8] = (np.round(grey / _STEP) * _STEP).clip(0, 255).astype(np.uint8)
    return found
