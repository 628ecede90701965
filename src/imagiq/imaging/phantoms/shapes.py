"""Distances to simple shapes, and smooth random fields, at points of space. All lengths in millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]  # scipy ships no types

__all__ = [
    "Array",
    "Field",
    "Points",
    "Triple",
    "band_field",
    "capsule",
    "cover",
    "ellipsoid",
    "sheets_of",
    "smooth_field",
    "turned",
]

Array: TypeAlias = NDArray[np.float32]
Points: TypeAlias = tuple[Array, Array, Array]
"""Coordinates right, anterior and superior of the middle (RAS), arrays of one shape."""

Triple: TypeAlias = tuple[float, float, float]

_LOW: Final = (-100.0, -115.0, -60.0)
_HIGH: Final = (100.0, 115.0, 110.0)
"""The box that a head fits in; a field is constant beyond it."""


def cover(distance: Array, width: float) -> Array:
    """Return the part of a voxel that lies on the positive side of a surface.

    Args:
        distance: Signed distance of the voxel's middle to the surface.
        width: Over which it goes from 0 to 1: the size of a voxel.
    """
    found: Array = np.clip(distance / np.float32(width) + np.float32(0.5), 0.0, 1.0)
    return found


def ellipsoid(points: Points, centre: Triple, axes: Triple) -> Array:
    """Return the distance to an ellipsoid, positive inside; near its surface it is right to first order."""
    scaled = [(p - np.float32(c)) / np.float32(a) for p, c, a in zip(points, centre, axes, strict=True)]
    level = np.sqrt(scaled[0] ** 2 + scaled[1] ** 2 + scaled[2] ** 2) + np.float32(1e-6)
    slope = np.sqrt(sum((s / np.float32(a)) ** 2 for s, a in zip(scaled, axes, strict=True))) + np.float32(1e-6)
    distance: Array = level * (1.0 - level) / slope
    return distance


def capsule(points: Points, start: Triple, end: Triple, radii: tuple[float, float]) -> Array:
    """Return the distance to a segment that is as thick as ``radii`` at its two ends, positive inside."""
    along = [e - s for s, e in zip(start, end, strict=True)]
    length = sum(a * a for a in along)
    offsets = [p - np.float32(s) for p, s in zip(points, start, strict=True)]
    part = np.clip(sum(o * np.float32(a / length) for o, a in zip(offsets, along, strict=True)), 0.0, 1.0)
    away = sum((o - part * np.float32(a)) ** 2 for o, a in zip(offsets, along, strict=True))
    distance: Array = np.float32(radii[0]) + part * np.float32(radii[1] - radii[0]) - np.sqrt(away)
    return distance


def turned(points: Points, centre: Triple, degrees: float) -> Points:
    """Turn points about a vertical axis through ``centre``, from right towards anterior."""
    angle = np.deg2rad(degrees)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    x, y = points[0] - np.float32(centre[0]), points[1] - np.float32(centre[1])
    return c * x - s * y + np.float32(centre[0]), s * x + c * y + np.float32(centre[1]), points[2]


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    """A field on a lattice, read between its nodes.

    Attributes:
        values: float32 [right, anterior, superior].
        step_mm: Distance of neighbouring nodes.
    """

    values: Array
    step_mm: float

    def at(self, points: Points) -> Array:
        """Return the field at points."""
        places = np.stack(
            [(p - np.float32(low)) / np.float32(self.step_mm) for p, low in zip(points, _LOW, strict=True)]
        )
        found: Array = ndimage.map_coordinates(self.values, places, order=1, mode="nearest", output=np.float32)
        return found


def smooth_field(draw: np.random.Generator, size_mm: float) -> Field:
    """Draw a field of mean 0 and standard deviation 1 whose bumps are about ``size_mm`` wide."""
    step = size_mm / 3.0
    return Field(values=_scaled(ndimage.gaussian_filter(_white(draw, step), 1.0)), step_mm=step)


def band_field(draw: np.random.Generator, size_mm: float) -> Field:
    """Draw a field of mean 0 and standard deviation 1 that crosses 0 about every ``size_mm``."""
    step = size_mm / 4.5
    white = _white(draw, step)
    sigma = 0.38 * size_mm / step
    return Field(
        values=_scaled(ndimage.gaussian_filter(white, sigma) - ndimage.gaussian_filter(white, 1.6 * sigma)),
        step_mm=step,
    )


def sheets_of(field: Field, limit_mm: float) -> Field:
    """Return the signed distance to where a field is 0, to first order, and never more than ``limit_mm``."""
    slopes = np.gradient(field.values, field.step_mm)
    steepness = np.sqrt(sum(slope**2 for slope in slopes)) + np.float32(1e-3)
    return Field(
        values=np.clip(field.values / steepness, -limit_mm, limit_mm).astype(np.float32), step_mm=field.step_mm
    )


def _white(draw: np.random.Generator, step: float) -> Array:
    sizes: Sequence[int] = [int((high - low) / step) + 2 for low, high in zip(_LOW, _HIGH, strict=True)]
    return draw.standard_normal(sizes, dtype=np.float32)


def _scaled(values: Array) -> Array:
    return np.asarray((values - values.mean()) / values.std(), dtype=np.float32)
