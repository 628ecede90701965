"""Slices of several sites in NumPy archives as a source of cases: ``kind = "slices"``."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from imagiq.errors import BudgetSpent, ContractBroken, Misuse, NotFound, Unreachable
from imagiq.imaging.cases import ImageCases
from imagiq.imaging.sites import SiteImages, site_of, split_by_folds, split_by_share

__all__ = ["slices"]

_LIMIT: Final = 2**32
_NEEDED: Final = ("image", "mask", "patient")


def slices(  # noqa: PLR0913 - the parameters of a source, each by keyword
    *,
    path: Path,
    sites: Sequence[str] = (),
    channels: Sequence[str] = (),
    label: str = "lesion",
    coarser: int = 1,
    pixel_mm: float = 0.0,
    fold: int = -1,
    held_back: float = 0.25,
    validation: float = 0.2,
    judge: str = "test",
    seed: int = 0,
) -> tuple[SiteImages, ...]:
    """Return slices with one label from a folder of archives ``site_NAME.npz``, one for each site.

    An archive holds ``image`` [slices, channels, rows, columns], grey values; ``mask`` [slices, rows, columns], 0 or 1, or
    packed into bits along its last axis; ``patient`` [slices], whole numbers; and, where folds are used, ``fold`` [slices].
    Every patient, and so all slices of them, is either trained on or held back.

    Args:
        path: The folder.
        sites: Names of sites, in order; empty: all that are there, by name.
        channels: What each channel is; empty: they are numbered.
        label: What the mask shows.
        coarser: Slices are reduced by so many times along each side: grey values by the exact mean of each square, the mask
            to where at least half of the square is labelled.
        pixel_mm: Size of a pixel in the archive; 0: not known.
        fold: This fold is for the test, the one before it for validation; -1: the split is drawn.
        held_back: Part of each site's patients that is for the test, where no fold is named.
        validation: Part of the others that is for choosing settings, where no fold is named.
        judge: ``test`` or ``validation``; see :func:`~imagiq.imaging.sites.site_of`.
        seed: Public seed of a drawn split.

    Raises:
        NotFound: there is no such folder, or no archive of a site.
        Unreachable: an archive cannot be read.
        ContractBroken: an archive does not hold what it should, or a patient is in two folds.
        BudgetSpent: an archive would unpack to more than 4 GiB.
        Misuse: a parameter is out of range.
    """
    found = []
    for name in sites or _sites(path):
        arrays = _archive(path / f"site_{name}.npz", (*_NEEDED, "fold") if fold >= 0 else _NEEDED)
        cases = _cases(name, arrays, tuple(channels), label, coarser, pixel_mm)
        names = cases.patients.tolist()
        if fold >= 0:
            split = split_by_folds(_folds(name, names, arrays["fold"]), fold)
        else:
            split = split_by_share(set(names), held_back=held_back, validation=validation, seed=seed)
        found.append(site_of(name, cases, split, judge=judge))
    return tuple(found)


def _sites(path: Path) -> list[str]:
    names = sorted(file.stem.removeprefix("site_") for file in path.glob("site_*.npz"))
    if not names:
        raise NotFound("slices-missing", f"There is no archive site_NAME.npz in {path}.", "Check the folder's name.")
    return names


def _archive(path: Path, wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size > _LIMIT:
            raise BudgetSpent(
                "slices-size",
                f"{path.name} would unpack to {size / 2**30:.1f} GiB, more than 4.",
                "Split it into several.",
            )
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            missing = [name for name in wanted if name not in archive.files]
            if missing:
                raise ContractBroken(
                    "slices-arrays", f"{path.name} has no array called {' or '.join(missing)}.", "Write it anew."
                )
            return {name: archive[name] for name in wanted}
    except FileNotFoundError as error:
        raise NotFound("slices-missing", f"There is no file {path}.", "Check its name and folder.") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ContractBroken(
            "slices-form", f"{path.name} is no whole archive of plain arrays.", "Get it again."
        ) from error
    except OSError as error:
        raise Unreachable(
            "slices-unreadable", f"{path} cannot be read: {error.strerror}.", "Check its kind and rights."
        ) from error


def _cases(
    site: str, arrays: dict[str, NDArray[Any]], channels: tuple[str, ...], label: str, coarser: int, pixel_mm: float
) -> ImageCases:
    pictures, mask, patient = (arrays[name] for name in _NEEDED)
    if pictures.ndim == 4 and mask.ndim == 3 and mask.shape[2] * 8 == pictures.shape[3] and mask.dtype == np.uint8:
        mask = np.unpackbits(mask, axis=-1)
    if pictures.ndim != 4 or mask.shape != (len(pictures), *pictures.shape[2:]) or patient.shape != (len(pictures),):
        raise ContractBroken(
            "slices-shape",
            f"The archive of '{site}' holds images {pictures.shape}, masks {mask.shape} and patients {patient.shape}, which "
            "do not fit together.",
            "Write it anew: one mask and one patient for each slice.",
        )
    names = channels or tuple(f"channel {number}" for number in range(1, pictures.shape[1] + 1))
    if len(names) != pictures.shape[1]:
        raise Misuse(
            "slices-channels",
            f"The archive of '{site}' has {pictures.shape[1]} channels, {len(names)} are named.",
            "Name each of them, or none.",
        )
    sizes = pictures.shape[2:]
    if coarser < 1 or any(size % coarser for size in sizes):
        raise Misuse(
            "slices-coarser",
            f"Slices of {sizes[0]} x {sizes[1]} pixels cannot be reduced {coarser} times.",
            "Choose a number that divides both.",
        )
    if not set(np.unique(mask).tolist()) <= {0, 1}:
        raise ContractBroken("images-label", f"A mask of '{site}' holds something else than 0 and 1.", "Write it anew.")
    return ImageCases(
        images=_squares(pictures, coarser),
        truth=(_squares(mask, coarser) >= 0.5).astype(np.uint8),
        patients=np.array([f"{number}" for number in patient.tolist()], dtype=np.str_),
        channels=names,
        labels={label: 1},
        spacing_mm=(pixel_mm * coarser,) * 2 if pixel_mm else (),
    )


def _squares(arrays: NDArray[Any], times: int) -> NDArray[np.float32]:
    """Return the mean of each square of ``times`` by ``times`` pixels."""
    *outer, rows, columns = arrays.shape
    squares = arrays.reshape(*outer, rows // times, times, columns // times, times)
    found: NDArray[np.float32] = squares.mean(axis=(-3, -1), dtype=np.float32)
    return found


def _folds(site: str, patients: list[str], folds: NDArray[Any]) -> dict[str, int]:
    if folds.shape != (len(patients),):
        raise ContractBroken(
            "slices-shape", f"The archive of '{site}' does not hold one fold for each slice.", "Write it anew."
        )
    pairs = set(zip(patients, folds.tolist(), strict=True))
    if len(pairs) != len(set(patients)):
        raise ContractBroken(
            "split-patient-twice",
            f"{len(pairs) - len(set(patients))} patients of '{site}' have slices in more than one fold.",
            "Put all slices of a patient into one fold: a model knows again whom it was trained on.",
        )
    return {patient: int(fold) for patient, fold in pairs}
