"""The grid that a model takes images on: volumes are brought to it, and what the model draws is put back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from imagiq.errors import ContractBroken, Misuse
from imagiq.imaging.nifti import Volume, read_volumes, same_place
from imagiq.imaging.slicing import Slicing, check_grid, fitted, put_back_along, resampled

__all__ = ["VOLUME", "Grid", "channel_files", "check_over", "grid_of", "read_channels"]

VOLUME: Final = "volume"
_NAMED: Final = re.compile(r"([^=]+)=(.+)", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """A grid.

    Attributes:
        plane: ``axial``, ``coronal`` or ``sagittal`` slices, or ``volume``.
        spacing_mm: Pixels or voxels are resampled to this size; 0: they stay.
        shape: Images are cropped or filled up with 0 about their middle; empty: they stay.
    """

    plane: str = "axial"
    spacing_mm: float = 0.0
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check the parameters."""
        if self.plane == VOLUME:
            check_grid(self.spacing_mm, self.shape, 3)
        else:
            self._slicing()

    @property
    def in_words(self) -> str:
        """What people call it, such as ``axial slices of 64 x 64 pixels of 3.36 mm``."""
        what, unit = ("volumes", "voxels") if self.plane == VOLUME else (f"{self.plane} slices", "pixels")
        size = f" of {' x '.join(map(str, self.shape))} {unit}" if self.shape else ""
        return what + size + (f" of {self.spacing_mm:.3g} mm" if self.spacing_mm else "")

    def _slicing(self) -> Slicing:
        return Slicing(plane=self.plane, spacing_mm=self.spacing_mm, shape=self.shape)

    def cut(self, volumes: NDArray[np.float32], spacing_mm: tuple[float, float, float]) -> NDArray[np.float32]:
        """Return images [images, channels, *space] of volumes [channels, right, anterior, superior]."""
        if self.plane != VOLUME:
            return self._slicing().cut(volumes, spacing_mm)
        found = resampled(volumes, (1.0, *self._factors(spacing_mm)))
        return fitted(found, (len(found), *(self.shape or found.shape[1:])))[None]

    def put_back(
        self, masks: NDArray[np.uint8], shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
    ) -> NDArray[np.uint8]:
        """Return a mask of a volume, [right, anterior, superior], from masks of its images; what was cropped gets 0.

        Raises:
            Misuse: there are more or fewer masks than images.
        """
        if self.plane != VOLUME:
            return self._slicing().put_back(masks, shape, spacing_mm)
        if len(masks) != 1:
            raise Misuse("slices-number", f"There are {len(masks)} masks for one volume.", "Give one.")
        return put_back_along(masks[0], shape, self._factors(spacing_mm))

    def _factors(self, spacing_mm: tuple[float, float, float]) -> tuple[float, float, float]:
        if not self.spacing_mm:
            return 1.0, 1.0, 1.0
        first, second, third = (each / self.spacing_mm for each in spacing_mm)
        return first, second, third


def channel_files(given: Sequence[str], channels: Sequence[str]) -> tuple[Path, ...]:
    """Return the files of an image, in the order of a model's channels.

    Args:
        given: Files in the model's order, or ``CHANNEL=FILE`` in any order; or one file that holds all channels.
        channels: The model's.

    Raises:
        Misuse: there are more or fewer, one is named that the model does not take, or only some are named.
    """
    wanted = f"The model takes {len(channels)} channels: {', '.join(channels)}"
    named = [None if Path(text).exists() else _NAMED.fullmatch(text) for text in given]
    if not any(named):
        if len(given) not in {1, len(channels)}:
            raise Misuse(
                "image-channels",
                f"{wanted}; {len(given)} files were given.",
                "Give one file for each, in this order or as CHANNEL=FILE, or one that holds all.",
            )
        return tuple(map(Path, given))
    found: dict[str, Path] = {}
    for text, match in zip(given, named, strict=True):
        if match is None or match[1] not in channels or match[1] in found:
            why = "is not named" if match is None else "is named twice" if match[1] in found else "is none of these"
            shown = Path(text).name if match is None else match[1]
            raise Misuse("image-channels", f"{wanted}; '{shown}' {why}.", "Name each once: CHANNEL=FILE.")
        found[match[1]] = Path(match[2])
    missing = [name for name in channels if name not in found]
    if missing:
        raise Misuse("image-channels", f"{wanted}; {', '.join(missing)} is missing.", "Name each once: CHANNEL=FILE.")
    return tuple(found[name] for name in channels)


def read_channels(files: Sequence[Path], channels: Sequence[str]) -> tuple[Volume, ...]:
    """Read the channels of an image, which lie over each other.

    Args:
        files: One for each channel, or one that holds all.
        channels: What they are.

    Raises:
        ContractBroken: a file holds more or fewer volumes, or they do not lie in the same places.
        ImagiqError: a file cannot be read; see :func:`~imagiq.imaging.nifti.read_volume`.
    """
    volumes: list[Volume] = []
    for file in files:
        held = read_volumes(file)
        wanted = len(channels) if len(files) == 1 else 1
        if len(held) != wanted:
            raise ContractBroken(
                "images-channels",
                f"{file.name} holds {_channels(len(held))}, where {wanted} are wanted ({', '.join(channels)})."
                if len(files) == 1
                else f"{file.name} holds {_channels(len(held))}, where one is wanted.",
                "Give one file for each channel, or one that holds all.",
            )
        check_over(file, held[0], files[0], volumes[0] if volumes else held[0])
        volumes += held
    return tuple(volumes)


def _channels(number: int) -> str:
    return "one channel" if number == 1 else f"{number} channels"


def check_over(file: Path, one: Volume, first_file: Path, first: Volume) -> None:
    """Check that two volumes lie over each other.

    Raises:
        ContractBroken: they have other shapes, or lie in different places.
    """
    if one.array.shape != first.array.shape:
        raise ContractBroken(
            "images-shape-differs",
            f"{file.name} has {one.array.shape} voxels, {first_file.name} {first.array.shape}.",
            "Resample one to the other, such as by the software that drew the mask.",
        )
    if not same_place(one, first):
        raise ContractBroken(
            "images-affine-differs",
            f"The voxels of {file.name} and {first_file.name} lie in different places, by their affines.",
            "Resample one to the other. If they do lie over each other, correct the header that is wrong.",
        )


def grid_of(preprocessing: Mapping[str, object]) -> Grid | None:
    """Return the grid that a model's schema names; None: it names none."""
    said = preprocessing.get("images")
    if not isinstance(said, Mapping):
        return None
    shape = said.get("shape")
    sizes = tuple(size for size in shape if isinstance(size, int)) if isinstance(shape, list | tuple) else ()
    try:
        return Grid(
            plane=str(said.get("plane", "axial")), spacing_mm=float(str(said.get("spacing_mm", 0))), shape=sizes
        )
    except ValueError as error:
        raise ContractBroken(
            "model-grid", "The model's schema does not say in numbers what grid it takes images on.", "Name one."
        ) from error
