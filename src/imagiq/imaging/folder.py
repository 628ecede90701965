"""Any folder of NIfTI pairs as a source of cases: ``kind = "images"``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from imagiq.errors import ContractBroken, Misuse, NotFound
from imagiq.imaging.cache import kept, key_of
from imagiq.imaging.cases import ImageCases
from imagiq.imaging.dataset import Dataset, Place, SourceCase, read_dataset, read_places
from imagiq.imaging.grid import check_over
from imagiq.imaging.nifti import read_mask, read_volume, read_volumes
from imagiq.imaging.sites import SiteImages, site_of, split_by_folds, split_by_share
from imagiq.imaging.slicing import Slicing, check_grid, fitted, resampled, resampled_mask

__all__ = ["Preparation", "images", "prepared"]


_CASES_ARE_PATIENTS: Final = (
    "There is no table of patients, so each case counts as a patient: if somebody has several, such as two visits, they may "
    "be trained on and tested. Name a table of patients and sites as 'sites'."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """What is done to a volume.

    Attributes:
        slicing: How slices are cut; None: the volume stays whole.
        spacing_mm: Voxels of a whole volume are resampled to this size; 0: they stay.
        shape: A whole volume is cropped or filled up to this shape; empty: it stays.
        least: Slices with fewer labelled pixels are left out.
    """

    slicing: Slicing | None
    spacing_mm: float = 0.0
    shape: tuple[int, ...] = ()
    least: int = 0


def images(  # noqa: PLR0913 - the parameters of a source, each by keyword
    *,
    path: Path,
    sites: Path | None = None,
    plane: str = "axial",
    every: int = 1,
    spacing_mm: float = 0.0,
    shape: Sequence[int] = (),
    least: int = 0,
    held_back: float = 0.25,
    validation: float = 0.2,
    fold: int = -1,
    judge: str = "test",
    seed: int = 0,
    cache: Path | None = None,
) -> tuple[SiteImages, ...]:
    """Return the images of a folder in the layout of nnU-Net or of the Medical Segmentation Decathlon, by site.

    Sites come from a table; without one, from folders: each folder in ``path`` that holds a ``dataset.json`` is a site, or
    ``path`` itself is the only one, and each case counts as a patient, which is a warning. Every patient, and so all images
    of them, is either trained on or held back.

    Args:
        path: The folder.
        sites: CSV table with the columns ``patient``, ``site``, and if one likes ``case`` and ``fold``.
        plane: ``axial``, ``coronal`` or ``sagittal`` slices; ``volume`` for whole volumes.
        every: Every so many-th slice.
        spacing_mm: Size that pixels or voxels are resampled to; 0: they stay as they are.
        shape: Rows and columns of a slice, or sizes of a volume to the right, anterior and superior, by cropping and filling
            up with 0; empty: they stay as they are, and must all be equal.
        least: Slices with fewer labelled pixels are left out; 0: none is.
        held_back: Part of each site's patients that is for the test, where no fold is named.
        validation: Part of the others that is for choosing settings, where no fold is named.
        fold: This fold of the table is for the test, the one before it for validation.
        judge: ``test`` or ``validation``; see :func:`~imagiq.imaging.sites.site_of`.
        seed: Public seed of a drawn split.
        cache: Folder that keeps what was read and prepared.

    Raises:
        NotFound: there is no such folder or file.
        ContractBroken: files do not hold what they should; see :mod:`~imagiq.imaging.dataset` and
            :mod:`~imagiq.imaging.nifti`.
        Misuse: a parameter is out of range.
    """
    how = _preparation(plane, every, spacing_mm, tuple(shape), least)
    found = []
    for name, dataset, places in _sites(path, sites):
        whole, dropped = _read(dataset, how, cache, {case: place.patient for case, place in places.items()})
        if not len(whole):
            raise Misuse(
                "slices-none",
                f"No slice of the site '{name}' has {how.least} labelled pixels: all {dropped} would be left out.",
                "Choose a smaller 'least', or a finer 'spacing_mm'.",
            )
        split = (
            split_by_folds({place.patient: place.fold for place in places.values()}, fold)
            if fold >= 0
            else split_by_share(
                {place.patient for place in places.values()}, held_back=held_back, validation=validation, seed=seed
            )
        )
        told = (_CASES_ARE_PATIENTS,) if sites is None and (split.validation or split.test) else ()
        found.append(site_of(name, whole, split, judge=judge, dropped=dropped, warnings=told))
    _check_alike(found)
    return tuple(found)


def _preparation(plane: str, every: int, spacing_mm: float, shape: tuple[int, ...], least: int) -> Preparation:
    if plane != "volume":
        return Preparation(slicing=Slicing(plane=plane, every=every, spacing_mm=spacing_mm, shape=shape), least=least)
    check_grid(spacing_mm, shape, 3)
    if every != 1 or least != 0:
        raise Misuse("slices-volume", "Whole volumes have no slices to choose.", "Leave out 'every' and 'least'.")
    return Preparation(slicing=None, spacing_mm=spacing_mm, shape=shape)


def _sites(path: Path, table: Path | None) -> list[tuple[str, Dataset, dict[str, Place]]]:
    """Return each site's name, cases, and where these belong."""
    if table is None:
        folders = [path] if (path / "dataset.json").exists() else _inner(path)
        read = [(folder.name, read_dataset(folder)) for folder in folders]
        return [
            (name, dataset, {c.name: Place(patient=c.name, site=name, fold=-1) for c in dataset.cases})
            for name, dataset in read
        ]
    dataset, places = read_dataset(path), read_places(table)
    unknown = [case for case in dataset.cases if case.name not in places]
    if unknown:
        raise ContractBroken(
            "sites-incomplete",
            f"{len(unknown)} of {len(dataset.cases)} cases of {path.name} are not in {table.name}.",
            "Add a line for each, or take them out of the folder.",
        )
    found = []
    for name in dict.fromkeys(place.site for place in places.values()):
        cases = tuple(case for case in dataset.cases if places[case.name].site == name)
        if cases:
            one = Dataset(channels=dataset.channels, labels=dataset.labels, cases=cases)
            found.append((name, one, {case.name: places[case.name] for case in cases}))
    return found


def _inner(path: Path) -> list[Path]:
    folders = sorted(file.parent for file in path.glob("*/dataset.json"))
    if not folders:
        raise NotFound(
            "dataset-missing",
            f"Neither {path} nor a folder in it holds a dataset.json.",
            "Name the folder that holds dataset.json, imagesTr and labelsTr, or the one above several of them.",
        )
    return folders


def _read(
    dataset: Dataset, how: Preparation, cache: Path | None, patients: Mapping[str, str]
) -> tuple[ImageCases, int]:
    """Return the images of a site, and how many slices were left out."""
    pictures: list[NDArray[Any]] = []
    masks: list[NDArray[Any]] = []
    names, dropped = [], 0
    spacing: tuple[float, ...] = ()
    told = f"{how} {list(dataset.channels)} {list(dataset.labels.items())}"
    for case in dataset.cases:
        key = "" if cache is None else key_of((*case.images, case.mask), told)
        arrays = kept(cache, key, lambda case=case: prepared(case, dataset, how))  # type: ignore[misc]
        here = tuple(float(size) for size in arrays["spacing_mm"])
        image, truth = arrays["images"], arrays["truth"]
        if pictures and (image.shape[1:] != pictures[0].shape[1:] or not np.allclose(here, spacing, rtol=0.01)):
            raise ContractBroken(
                "images-sizes",
                f"Images differ in size or spacing: {image.shape[2:]} at {_mm(here)} and {pictures[0].shape[2:]} at "
                f"{_mm(spacing)} in two cases.",
                "Say which 'spacing_mm' and 'shape' all are brought to.",
            )
        spacing = spacing or here
        pictures.append(image)
        masks.append(truth)
        names += [patients[case.name]] * len(image)
        dropped += int(arrays["dropped"])
    cases = ImageCases(
        images=np.concatenate(pictures),
        truth=np.concatenate(masks),
        patients=np.array(names, dtype=np.str_),
        channels=dataset.channels,
        labels=dict(dataset.labels),
        spacing_mm=spacing,
    )
    return cases, dropped


def _mm(spacing: tuple[float, ...]) -> str:
    return " x ".join(f"{size:.2f}" for size in spacing) + " mm"


def prepared(case: SourceCase, dataset: Dataset, how: Preparation) -> dict[str, NDArray[Any]]:
    """Read a case and prepare it.

    Returns:
        ``images`` float32 [images, channels, *space], ``truth`` uint8 [images, *space], ``spacing_mm`` [space], and
        ``dropped``, how many slices were left out.

    Raises:
        ContractBroken: channels, image and mask do not lie over each other, or a file does not hold what it should.
    """
    volumes = read_volumes(case.images[0]) if len(case.images) == 1 else tuple(map(read_volume, case.images))
    if len(volumes) != len(dataset.channels):
        raise ContractBroken(
            "images-channels",
            f"{case.images[0].name} holds {len(volumes)} channels, dataset.json says {len(dataset.channels)}.",
            "Correct dataset.json, or the file.",
        )
    mask = read_mask(case.mask, dataset.labels)
    first = volumes[0]
    for file, other in [*zip(case.images[1:], volumes[1:], strict=False), (case.mask, mask)]:
        check_over(file, other, case.images[0], first)
    arrays = np.stack([volume.array for volume in volumes])
    if how.slicing is not None:
        pictures = how.slicing.cut(arrays, first.spacing_mm)
        truth = how.slicing.cut_mask(mask.array, first.spacing_mm)
        stay = np.count_nonzero(truth, axis=(1, 2)) >= how.least
        spacing: tuple[float, ...] = how.slicing.pixel_mm(first.spacing_mm)
        return _arrays(pictures[stay], truth[stay], spacing, int(np.count_nonzero(~stay)))
    factors = tuple(size / how.spacing_mm for size in first.spacing_mm) if how.spacing_mm else (1.0, 1.0, 1.0)
    picture, truth = resampled(arrays, (1.0, *factors)), resampled_mask(mask.array, factors)
    shape = how.shape or truth.shape
    spacing = (how.spacing_mm,) * 3 if how.spacing_mm else first.spacing_mm
    return _arrays(fitted(picture, (len(picture), *shape))[None], fitted(truth, shape)[None], spacing, 0)


def _arrays(
    pictures: NDArray[Any], truth: NDArray[Any], spacing: tuple[float, ...], dropped: int
) -> dict[str, NDArray[Any]]:
    return {"images": pictures, "truth": truth, "spacing_mm": np.array(spacing), "dropped": np.array(dropped)}


def _check_alike(sites: Sequence[SiteImages]) -> None:
    """Check that all sites have the same channels, labels and sizes."""
    first = sites[0].train
    for site in sites[1:]:
        if (site.train.channels, dict(site.train.labels)) != (first.channels, dict(first.labels)):
            raise ContractBroken(
                "images-differ",
                f"The site '{site.name}' has other channels or labels than '{sites[0].name}'.",
                "Bring all sites to the same channels and labels first.",
            )
        if site.train.images.shape[1:] != first.images.shape[1:]:
            raise ContractBroken(
                "images-sizes",
                f"Images of the sites '{site.name}' and '{sites[0].name}' differ in size.",
                "Say which 'spacing_mm' and 'shape' all are brought to.",
            )
