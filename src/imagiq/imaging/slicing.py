"""Slices out of volumes, brought to one spacing and size; and masks of slices put back into the volume."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]  # scipy ships no types

from imagiq.errors import BudgetSpent, Misuse

__all__ = ["AXES", "Slicing", "check_grid", "fitted", "put_back_along", "resampled", "resampled_mask"]

AXES: Final[Mapping[str, int]] = MappingProxyType({"sagittal": 0, "coronal": 1, "axial": 2})
"""Name of a plane -> the axis of a volume in RAS that it is perpendicular to."""


_FINEST_MM: Final = 0.01
_COARSEST_MM: Final = 100.0
_LARGEST: Final = 2**29
"""So many points, 2 GiB in float32, may an image have once it was resampled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slicing:
    """How slices are cut.

    Slices are seen as radiologists see them: axial ones with the patient's right on the left and anterior above, coronal ones
    with the right on the left and superior above, sagittal ones with anterior on the left and superior above.

    Attributes:
        plane: ``axial``, ``coronal`` or ``sagittal``.
        every: Every so many-th slice, beginning with the first in which there would be one on both sides.
        spacing_mm: Pixels are resampled to this size; 0: they stay.
        shape: Rows and columns; slices are cropped or filled up with 0 about their middle; empty: they stay.
    """

    plane: str = "axial"
    every: int = 1
    spacing_mm: float = 0.0
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check the parameters."""
        if self.plane not in AXES:
            raise Misuse("slices-plane", f"There is no plane '{self.plane}'.", f"There are {', '.join(AXES)}.")
        if self.every < 1:
            raise Misuse("slices-every", f"Every {self.every}-th slice was asked for.", "Ask for every first or later.")
        check_grid(self.spacing_mm, self.shape, 2)

    def numbers(self, count: int) -> range:
        """Return which of so many slices are taken."""
        return range(min(self.every // 2, count - 1), count, self.every)

    def pixel_mm(self, spacing_mm: tuple[float, float, float]) -> tuple[float, float]:
        """Return the size of a pixel, rows before columns."""
        if self.spacing_mm:
            return self.spacing_mm, self.spacing_mm
        rows, columns = _axes(AXES[self.plane])
        return spacing_mm[rows], spacing_mm[columns]

    def cut(self, volumes: NDArray[np.float32], spacing_mm: tuple[float, float, float]) -> NDArray[np.float32]:
        """Return slices [slices, channels, rows, columns] of volumes [channels, right, anterior, superior]."""
        planes = self._stack(volumes)
        planes = planes[list(self.numbers(len(planes)))]
        found = resampled(planes, (1.0, 1.0, *self._factors(spacing_mm)))
        return fitted(found, (*found.shape[:2], *(self.shape or found.shape[2:])))

    def cut_mask(self, mask: NDArray[np.uint8], spacing_mm: tuple[float, float, float]) -> NDArray[np.uint8]:
        """Return slices [slices, rows, columns] of a mask [right, anterior, superior]."""
        planes = self._stack(mask[None])[:, 0]
        planes = planes[list(self.numbers(len(planes)))]
        found = resampled_mask(planes, (1.0, *self._factors(spacing_mm)))
        return fitted(found, (len(found), *(self.shape or found.shape[1:])))

    def put_back(
        self, masks: NDArray[np.uint8], shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
    ) -> NDArray[np.uint8]:
        """Return a mask of a volume, [right, anterior, superior], from masks of its slices, [slices, rows, columns].

        Slices that were not taken get the mask of the nearest one that was; what was cropped away gets 0.

        Raises:
            Misuse: there are more or fewer masks than slices.
        """
        axis = AXES[self.plane]
        numbers = np.array(self.numbers(shape[axis]))
        if len(masks) != len(numbers):
            raise Misuse(
                "slices-number", f"There are {len(masks)} masks for {len(numbers)} slices.", "Give one for each slice."
            )
        rows, columns = (shape[each] for each in _axes(axis))
        planes = put_back_along(masks, (len(masks), rows, columns), (1.0, *self._factors(spacing_mm)))
        nearest = np.abs(np.arange(shape[axis])[:, None] - numbers[None]).argmin(axis=1)
        return np.ascontiguousarray(self._unstack(planes[nearest]))

    def _factors(self, spacing_mm: tuple[float, float, float]) -> tuple[float, float]:
        if not self.spacing_mm:
            return 1.0, 1.0
        rows, columns = _axes(AXES[self.plane])
        return spacing_mm[rows] / self.spacing_mm, spacing_mm[columns] / self.spacing_mm

    def _stack(self, volumes: NDArray[Any]) -> NDArray[Any]:
        """Return all slices, [slices, channels, rows, columns]."""
        axis = AXES[self.plane]
        rows, columns = _axes(axis)
        return volumes.transpose(1 + axis, 0, 1 + rows, 1 + columns)[:, :, ::-1, ::-1]

    def _unstack(self, planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Undo :meth:`_stack` for [slices, rows, columns]."""
        axis = AXES[self.plane]
        return planes[:, ::-1, ::-1].transpose(np.argsort((axis, *_axes(axis))))


def check_grid(spacing_mm: float, shape: tuple[int, ...], axes: int) -> None:
    """Check a spacing and a shape.

    Raises:
        Misuse: one of them cannot be.
    """
    if spacing_mm != 0.0 and not _FINEST_MM <= spacing_mm <= _COARSEST_MM:
        raise Misuse(
            "slices-spacing",
            f"A spacing of {spacing_mm} mm cannot be.",
            f"Give from {_FINEST_MM} to {_COARSEST_MM:g} mm, or 0 to keep it.",
        )
    if shape and (len(shape) != axes or any(type(size) is not int or not 1 <= size <= 4096 for size in shape)):
        raise Misuse(
            "slices-grid", f"A shape of {list(shape)} cannot be.", f"Give {axes} numbers from 1 to 4096, or none."
        )


def resampled(arrays: NDArray[np.float32], factors: tuple[float, ...]) -> NDArray[np.float32]:
    """Return arrays with so many times the points along each axis, edges in place: linear, smoothed first where coarser.

    Raises:
        BudgetSpent: the result would take more than 2 GiB.
    """
    if all(abs(factor - 1.0) < 1e-3 for factor in factors):
        return np.ascontiguousarray(arrays, dtype=np.float32)
    points = math.prod(_length(size, factor) for size, factor in zip(arrays.shape, factors, strict=True))
    if points > _LARGEST:
        raise BudgetSpent(
            "images-resampled",
            f"An image would grow to {points * 4 / 2**30:.1f} GiB by resampling, more than {_LARGEST * 4 / 2**30:g}.",
            "Choose a coarser 'spacing_mm'.",
        )
    sigmas = [0.5 * math.sqrt(max(1.0 / factor**2 - 1.0, 0.0)) if factor < 1.0 else 0.0 for factor in factors]
    smooth = ndimage.gaussian_filter(arrays.astype(np.float32), sigmas, mode="nearest")
    return _zoomed(smooth, factors)


def resampled_mask(masks: NDArray[np.uint8], factors: tuple[float, ...]) -> NDArray[np.uint8]:
    """Return masks resampled label by label: a voxel gets the label that most of it has, and the smaller one of equals."""
    if all(abs(factor - 1.0) < 1e-3 for factor in factors):
        return np.ascontiguousarray(masks)
    best: NDArray[np.float32] | None = None
    found = np.zeros((), dtype=np.uint8)
    for label in np.unique(masks):
        part = resampled((masks == label).astype(np.float32), factors)
        if best is None:
            best, found = part, np.full(part.shape, label, dtype=np.uint8)
            continue
        more = part > best
        best[more], found[more] = part[more], label
    return found


def _zoomed(arrays: NDArray[np.float32], factors: tuple[float, ...]) -> NDArray[np.float32]:
    for axis, factor in enumerate(factors):
        if abs(factor - 1.0) < 1e-3:
            continue
        count = arrays.shape[axis]
        size = _length(count, factor)
        places = np.clip((np.arange(size) + 0.5) / factor - 0.5 + (count - size / factor) / 2.0, 0.0, count - 1.0)
        low = np.minimum(places.astype(np.intp), max(count - 2, 0))
        shape = [1] * arrays.ndim
        shape[axis] = size
        part = (places - low).astype(np.float32).reshape(shape)
        high = np.minimum(low + 1, count - 1)
        arrays = arrays.take(low, axis=axis) * (1.0 - part) + arrays.take(high, axis=axis) * part
    return arrays.astype(np.float32)


def fitted(arrays: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return arrays cropped, or filled up with 0, to a shape, about the middle."""
    found = np.zeros(shape, dtype=arrays.dtype)
    cuts, places = [], []
    for have, want in zip(arrays.shape, shape, strict=True):
        common = min(have, want)
        cuts.append(slice((have - common) // 2, (have - common) // 2 + common))
        places.append(slice((want - common) // 2, (want - common) // 2 + common))
    found[tuple(places)] = arrays[tuple(cuts)]
    return found


def put_back_along(masks: NDArray[np.uint8], shape: tuple[int, ...], factors: tuple[float, ...]) -> NDArray[np.uint8]:
    """Undo :func:`resampled` by ``factors`` and :func:`fitted` for masks: each point gets the label nearest to it.

    Args:
        masks: Resampled and fitted.
        shape: What they were before.
        factors: How many times the points they were resampled to along each axis.
    """
    fine = tuple(_length(size, factor) for size, factor in zip(shape, factors, strict=True))
    found = fitted(masks, fine)
    for axis, (have, want, factor) in enumerate(zip(fine, shape, factors, strict=True)):
        if have != want or abs(factor - 1.0) >= 1e-3:
            found = found.take(_nearest(have, want, factor), axis=axis)
    return np.ascontiguousarray(found)


def _axes(axis: int) -> tuple[int, int]:
    """Return which axes of a volume are a slice's rows and columns."""
    return {0: (2, 1), 1: (2, 0), 2: (1, 0)}[axis]


def _length(count: int, factor: float) -> int:
    return max(round(count * factor), 1)


def _nearest(have: int, want: int, factor: float) -> NDArray[np.intp]:
    """Return which of ``have`` points each of ``want`` lies nearest to, of which they were resampled by ``factor``."""
    places = (np.arange(want) + 0.5 - (want - have / factor) / 2.0) * factor
    found: NDArray[np.intp] = np.clip(places.astype(np.intp), 0, have - 1)
    return found
