"""Which images, or which parts of them, are trained on together.

The images of a training come in drawn orders, one order after the other without a gap, cut into batches of one size.
The orders come from PCG64's raw integers, which numpy promises to keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from imagiq.learning.deep.augmenting import augmented
from imagiq.learning.deep.preparing import Prepared
from imagiq.learning.settings import PatchSettings, Settings

__all__ = ["Transforms", "batches"]

Transforms = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]
"""A chain of somebody else: image [channels, *space], truth [*space] or [], and a seed, to the same varied."""


def batches(
    settings: Settings, cases: Prepared, *, seed: int, transforms: Transforms | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches for ever: images [batch, channels, *space], truth [batch, *space] or [batch].

    Args:
        settings: Size of a batch, patches, augmentation.
        cases: Prepared cases.
        seed: All randomness.
        transforms: A chain of somebody else, applied before our own augmentation.
    """
    source = np.random.PCG64(seed)
    generator = Generator().manual_seed(seed)
    order = _orders(source, len(cases.images))
    places: dict[int, NDArray[np.int64]] = {}
    while True:
        chosen = [next(order) for _ in range(settings.batch)]
        if settings.patch.size:
            parts = [_patch(settings.patch, cases, number, places, generator) for number in chosen]
        else:
            parts = [(cases.images[number], cases.truth[number]) for number in chosen]
        if transforms is not None:
            seeds = [int(drawn) % 2**32 for drawn in np.atleast_1d(source.random_raw(len(parts)))]
            parts = [transforms(*part, drawn) for part, drawn in zip(parts, seeds, strict=True)]
        images = torch.stack([image for image, _ in parts])
        truth = torch.stack([mask for _, mask in parts])
        yield augmented(settings.augmentation, images, truth, generator)


def _orders(source: np.random.PCG64, count: int) -> Iterator[int]:
    while True:
        drawn = np.atleast_1d(source.random_raw(count))
        yield from np.argsort(drawn, kind="stable").tolist()


def _patch(
    settings: PatchSettings, cases: Prepared, number: int, places: dict[int, NDArray[np.int64]], generator: Generator
) -> tuple[Tensor, Tensor]:
    """Return a part of one image, beyond whose border lie zeros; often centred on something that is labelled."""
    image, truth = cases.images[number], cases.truth[number]
    space = np.array(truth.shape)
    size = np.array(settings.size)
    drawn = torch.rand(len(size) + 2, generator=generator, dtype=torch.float64).numpy()
    start = np.floor(drawn[:-2] * (np.maximum(space - size, 0) + 1)).astype(np.int64)
    if drawn[-2] < settings.foreground:
        if number not in places:
            places[number] = np.flatnonzero(truth.numpy())
        labelled = places[number]
        if labelled.size:
            centre = np.unravel_index(labelled[int(drawn[-1] * labelled.size)], truth.shape)
            start = np.clip(np.array(centre) - size // 2, 0, np.maximum(space - size, 0))
    cut = tuple(slice(int(first), int(first + length)) for first, length in zip(start, size, strict=True))
    image, truth = image[(slice(None), *cut)], truth[cut]
    missing = [int(wanted - there) for wanted, there in zip(size, truth.shape, strict=True)]
    if any(missing):
        widths = [part for length in reversed(missing) for part in (0, length)]
        image, truth = torch.nn.functional.pad(image, widths), torch.nn.functional.pad(truth, widths)
    return image, truth
