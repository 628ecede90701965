"""How a scanner turns a head into images: slices, coil, blur, noise, grey values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]  # scipy ships no types

from imagiq.imaging.phantoms.head import CENTRE, Head
from imagiq.imaging.phantoms.scanners import Scanner
from imagiq.imaging.phantoms.shapes import Array, Points
from imagiq.imaging.phantoms.signal import SEQUENCES, brightness
from imagiq.imaging.phantoms.tissues import Tissue
from imagiq.imaging.phantoms.tumour import Tumour, labels_of

__all__ = ["FIELD_OF_VIEW_MM", "Grid", "Planes", "acquire"]

FIELD_OF_VIEW_MM: Final = 215.0

_THROUGH: Final = ((-1.0 / 3.0, 0.3), (0.0, 0.4), (1.0 / 3.0, 0.3))
"""Where in a slice's thickness it is looked at, as a part of it, and how much that counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """The pixels of an axial slice.

    Attributes:
        size: Pixels along a side.
        finer: How many points along a side of each pixel are looked at.
    """

    size: int
    finer: int

    @property
    def pixel_mm(self) -> float:
        """Size of a pixel."""
        return FIELD_OF_VIEW_MM / self.size

    def points(self, z_mm: float, *, thickness_mm: float) -> Points:
        """Return the points that a slice is computed from, [through, rows, columns].

        Rows go from anterior to posterior, columns from the patient's right to the left, as radiologists look at slices.
        """
        count = self.size * self.finer
        along = (np.arange(count, dtype=np.float32) - np.float32((count - 1) / 2)) * np.float32(
            -FIELD_OF_VIEW_MM / count
        )
        levels = np.array([z_mm + thickness_mm * offset for offset, _ in _THROUGH], dtype=np.float32)
        z, y, x = np.meshgrid(levels, along + np.float32(CENTRE[1]), along, indexing="ij")
        return x, y, z


@dataclass(frozen=True, kw_only=True, eq=False)
class Planes:
    """Axial slices of one patient.

    Attributes:
        images: float32 [slices, 4, rows, columns], in the order of :data:`~imagiq.imaging.phantoms.signal.SEQUENCES`.
        truth: Labels, uint8 [slices, rows, columns].
    """

    images: NDArray[np.float32]
    truth: NDArray[np.uint8]


def acquire(
    head: Head, tumour: Tumour | None, scanner: Scanner, levels_mm: list[float], grid: Grid, draw: np.random.Generator
) -> Planes:
    """Image axial slices.

    Args:
        head: Whose.
        tumour: What grows in it.
        scanner: By which scanner.
        levels_mm: Height of the middle of each slice above the line of the commissures.
        grid: The pixels.
        draw: Where noise comes from.
    """
    lights = _lights(scanner, tumour)
    drift = np.exp(draw.normal(0.0, 0.06, len(SEQUENCES))).astype(np.float32)
    texture = draw.standard_normal((2, 3), dtype=np.float32)
    images, truth = [], []
    for level in levels_mm:
        parts = _seen(head, tumour, grid, level, scanner.thickness_mm)
        truth.append(labels_of({tissue: _coarser(part, grid.finer) for tissue, part in parts.items()}))
        signal = _signal(lights, parts)
        sigma = scanner.blur_mm / 2.355 / (grid.pixel_mm / grid.finer)
        signal = ndimage.gaussian_filter(signal, (0.0, sigma, sigma))
        signal = np.stack([_coarser(plane, grid.finer) for plane in signal])
        signal *= _coil(scanner, grid, level, texture)
        images.append(_grey_values(signal * drift[:, None, None], lights, scanner, draw))
    return Planes(images=np.stack(images), truth=np.stack(truth))


def _lights(scanner: Scanner, tumour: Tumour | None) -> Array:
    """Return how bright each tissue is in each image, [images, tissues]."""
    uptake = None if tumour is None else tumour.uptake_per_s
    return np.stack([brightness(each, scanner.field_t, rim_uptake_per_s=uptake) for each in scanner.sequences()])


def _seen(head: Head, tumour: Tumour | None, grid: Grid, level: float, thickness: float) -> dict[Tissue, Array]:
    """Return the part of each tissue in a slice, on the finer grid: the mean through its thickness."""
    everywhere = grid.points(level, thickness_mm=thickness)
    near = _near(head, everywhere)
    points = everywhere[0][:, near], everywhere[1][:, near], everywhere[2][:, near]
    width = max(grid.pixel_mm / grid.finer, thickness / 3.0)
    uneven = head.uneven(points)
    depth = head.depth(points, uneven)
    pushed = points if tumour is None else tumour.pushed(points, depth)
    parts = head.tissues(points, depth, pushed, head.depth(pushed, uneven), width)
    if tumour is not None:
        tumour.grow(parts, points, depth, width)
    weights = np.array([weight for _, weight in _THROUGH], dtype=np.float32)
    found = {tissue: np.zeros(near.shape, dtype=np.float32) for tissue in parts}
    for tissue, part in parts.items():
        found[tissue][near] = np.add.reduce(weights[:, None] * part, axis=0)
    return found


def _near(head: Head, points: Points) -> NDArray[np.bool_]:
    """Return which points of a slice can lie in the head, [rows, columns]: nothing else need be computed."""
    x, y, z = (axis[1] for axis in points)
    margin = 24.0 + head.scalp_mm
    level = (x / (head.half_axes[0] * (1.0 + head.taper) + margin)) ** 2
    level = level + ((y - CENTRE[1]) / (head.half_axes[1] + margin)) ** 2
    found: NDArray[np.bool_] = level + (np.maximum(z - CENTRE[2], 0.0) / (head.half_axes[2] + margin)) ** 2 < 1.0
    return found


def _signal(lights: Array, parts: dict[Tissue, Array]) -> Array:
    """Return the signal of each image: tissues add up by their parts."""
    tissues = list(parts)
    stacked = np.stack([parts[tissue] for tissue in tissues])
    found: Array = np.zeros((len(lights), *stacked.shape[1:]), dtype=np.float32)
    for image, row in enumerate(lights):
        for tissue, part in zip(tissues, stacked, strict=True):
            found[image] += row[tissue] * part
    return found


def _coarser(fine: Array, times: int) -> Array:
    """Return the mean of each square of ``times`` by ``times`` points."""
    rows, columns = fine.shape[0] // times, fine.shape[1] // times
    found: Array = fine.reshape(rows, times, columns, times).mean(axis=(1, 3), dtype=np.float32)
    return found


def _coil(scanner: Scanner, grid: Grid, level: float, texture: Array) -> Array:
    """Return the sensitivity of the coil in a slice: brighter on one side, and a little uneven in each patient."""
    x, y, z = (axis[0] for axis in Grid(size=grid.size, finer=1).points(level, thickness_mm=0.0))
    scaled = x / 80.0, (y - CENTRE[1]) / 95.0, (z - CENTRE[2]) / 75.0
    aim = np.array(scanner.coil, dtype=np.float32) + 0.15 * texture[0]
    aim = aim / np.sqrt((aim**2).sum())
    slope = sum(s * a for s, a in zip(scaled, aim, strict=True))
    bowl = 0.35 * sum((s * (1.0 + 0.2 * t)) ** 2 for s, t in zip(scaled, texture[1], strict=True))
    field: Array = np.maximum(1.0 + np.float32(scanner.bias / 2.0) * (slope + bowl - 0.3), 0.2)
    return field.astype(np.float32)


def _grey_values(signal: Array, lights: Array, scanner: Scanner, draw: np.random.Generator) -> Array:
    """Add noise of both channels of the receiver, take the magnitude, and scale it as the maker does."""
    white = lights[0, Tissue.WHITE]
    levels = scanner.noise * np.maximum(lights[:, Tissue.WHITE], lights[:, Tissue.GREY])
    noise = draw.standard_normal((2, *signal.shape), dtype=np.float32) * levels[:, None, None].astype(np.float32)
    magnitude = np.hypot(signal + noise[0], noise[1])
    found: Array = np.float32(scanner.gain) * (magnitude / white) ** np.float32(scanner.gamma)
    return found
