"""A folder of images and masks as nnU-Net and the Medical Segmentation Decathlon lay it out, and what its table says.

``dataset.json`` names channels and labels. nnU-Net 2 keeps one file for each channel, ``imagesTr/CASE_0000.nii.gz``; the
Decathlon keeps one of four dimensions, and lists pairs under ``training``. Masks lie in ``labelsTr``.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from imagiq.errors import ContractBroken, NotFound, Unreachable

__all__ = ["Dataset", "Place", "SourceCase", "read_dataset", "read_places"]

_LIMIT: Final = 2**24
_SUFFIXES: Final = (".nii.gz", ".nii")
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_IGNORED: Final = "ignore"


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceCase:
    """One case: its images, and its mask.

    Attributes:
        name: What the files call it.
        images: One file for each channel, or one that holds all.
        mask: The labels.
    """

    name: str
    images: tuple[Path, ...]
    mask: Path


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """What a folder holds.

    Attributes:
        channels: What each channel is.
        labels: Name of a label -> its number, without the background.
        cases: In the order of their names.
    """

    channels: tuple[str, ...]
    labels: Mapping[str, int]
    cases: tuple[SourceCase, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a case belongs.

    Attributes:
        patient: Whose it is.
        site: At which hospital.
        fold: In which fold; -1: not told.
    """

    patient: str
    site: str
    fold: int


def read_dataset(folder: Path) -> Dataset:
    """Read what a folder holds, without opening an image.

    Raises:
        NotFound: there is no folder, or no ``dataset.json`` in it.
        Unreachable: it cannot be read.
        ContractBroken: ``dataset.json`` is malformed, names a file outside, or images and masks do not come in pairs.
    """
    content = _json(folder / "dataset.json")
    channels = _channels(content)
    labels = _labels(content)
    listed = content.get("training")
    cases = (
        _listed(folder, listed, len(channels)) if isinstance(listed, list) and listed else _found(folder, len(channels))
    )
    if not cases:
        raise ContractBroken(
            "dataset-empty",
            f"{folder.name} holds no images to train on.",
            "Put them into imagesTr, masks into labelsTr.",
        )
    return Dataset(channels=channels, labels=labels, cases=tuple(sorted(cases, key=lambda case: case.name)))


def read_places(path: Path) -> dict[str, Place]:
    """Read a table with the columns ``patient``, ``site``, and, if one likes, ``case`` and ``fold``.

    Returns:
        Name of a case -> where it belongs; without the column ``case``, a case is called as its patient.

    Raises:
        NotFound: there is no such file.
        Unreachable: it cannot be read.
        ContractBroken: a column is missing, a cell is empty, a case stands twice, or a patient in two folds or sites. The
            message names lines, never patients.
    """
    found: dict[str, Place] = {}
    homes: dict[str, tuple[str, int]] = {}
    for line, row in _rows(path):
        patient, site = row["patient"], row["site"]
        case, fold = row.get("case") or patient, row.get("fold") or "-1"
        if not patient or not site or not _NUMBER.fullmatch(fold.removeprefix("-")):
            raise ContractBroken(
                "sites-cell",
                f"Line {line} of {path.name} lacks a patient or a site, or its fold is no number.",
                "Fill it.",
            )
        if case in found:
            raise ContractBroken(
                "sites-twice",
                f"Line {line} of {path.name} names a case that stands above already.",
                "Keep one of them.",
            )
        if homes.setdefault(patient, (site, int(fold))) != (site, int(fold)):
            raise ContractBroken(
                "split-patient-twice",
                f"Line {line} of {path.name} puts a patient into another site or fold than a line above does.",
                "Put all images of a patient into one site and fold: a model knows again whom it was trained on.",
            )
        found[case] = Place(patient=patient, site=site, fold=int(fold))
    if not found:
        raise ContractBroken("sites-empty", f"{path.name} has no rows.", "Add one for each case.")
    return found


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            columns = [name.strip() for name in reader.fieldnames or []]
            missing = [name for name in ("patient", "site") if columns.count(name) != 1]
            if missing:
                raise ContractBroken(
                    "sites-columns",
                    f"{path.name} has not exactly one column called {' and one called '.join(missing)}.",
                    "Give it the columns patient and site, and if you like case and fold, with commas between them.",
                )
            reader.fieldnames = columns
            rows = [
                (reader.line_num, {name: (cell or "").strip() for name, cell in row.items() if isinstance(name, str)})
                for row in reader
            ]
            return [
                (line, row) for line, row in rows if any(row.values())
            ]  # spreadsheets leave lines of nothing but commas
    except FileNotFoundError as error:
        raise NotFound("sites-missing", f"There is no file {path}.", "Check its name and folder.") from error
    except OSError as error:
        raise Unreachable(
            "sites-unreadable", f"{path} cannot be read: {error.strerror}.", "Check its kind and rights."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ContractBroken(
            "sites-format", f"{path.name} is not a CSV file in UTF-8.", "Save it as CSV with commas, in UTF-8."
        ) from error


def _json(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as stream:
            content = json.loads(stream.read(_LIMIT))
    except FileNotFoundError as error:
        raise NotFound(
            "dataset-missing",
            f"There is no file {path}.",
            "Name the folder that holds dataset.json, imagesTr and labelsTr.",
        ) from error
    except OSError as error:
        raise Unreachable(
            "dataset-unreadable", f"{path} cannot be read: {error.strerror}.", "Check its kind and rights."
        ) from error
    except (ValueError, RecursionError) as error:
        raise _malformed("it is not JSON") from error
    if not isinstance(content, dict):
        raise _malformed("it is no table of names and values")
    return content


def _malformed(why: str) -> ContractBroken:
    return ContractBroken(
        "dataset-form", f"dataset.json cannot be used: {why}.", "Write it as nnU-Net or the Decathlon do."
    )


def _channels(content: Mapping[str, Any]) -> tuple[str, ...]:
    named = content.get("channel_names", content.get("modality"))
    if not isinstance(named, dict) or not named:
        raise _malformed("it has neither channel_names nor modality")
    if sorted(named) != sorted(str(number) for number in range(len(named))):
        raise _malformed("its channels are not numbered from 0")
    if not all(isinstance(name, str) and name for name in named.values()):
        raise _malformed("a channel has no name")
    return tuple(named[str(number)] for number in range(len(named)))


def _labels(content: Mapping[str, Any]) -> dict[str, int]:
    """Return names and numbers of labels; regions, which are several labels together, are taken apart.

    What nnU-Net calls ``ignore`` is no label: a mask that holds it is refused, since nobody drew anything there.
    """
    given = content.get("labels")
    if not isinstance(given, dict):
        raise _malformed("it has no labels")
    names = [value for value in given.values() if isinstance(value, str)]
    if len(set(names)) != len(names):
        raise _malformed("two numbers have one label")
    found: dict[str, int] = {}
    for name, value in given.items():
        if isinstance(value, str) and _NUMBER.fullmatch(name):
            found[value] = int(name)
        elif isinstance(value, list) and value and all(type(number) is int for number in value):
            found |= {f"label {number}": number for number in value}
        elif type(value) is int:
            found[name] = value
        else:
            raise _malformed("a label is neither a number nor a list of numbers")
    kept = {name: number for name, number in found.items() if number != 0 and name != _IGNORED}
    if not kept or len(set(kept.values())) != len(kept) or not all(0 < number < 256 for number in kept.values()):
        raise _malformed("its labels are not numbers from 1 to 255, each once")
    return dict(sorted(kept.items(), key=lambda item: item[1]))


def _listed(folder: Path, listed: list[Any], channels: int) -> list[SourceCase]:
    cases = []
    for pair in listed:
        if not isinstance(pair, dict) or not all(isinstance(pair.get(key), str) for key in ("image", "label")):
            raise _malformed("a pair under training has no image or no label")
        try:
            image, mask = (folder / pair[key] for key in ("image", "label"))
            is_inside = all(path.resolve().is_relative_to(folder.resolve()) for path in (image, mask))
            images = _images(image, channels)
            cases.append((SourceCase(name=_stem(image), images=images, mask=mask), images[0].is_file(), mask.is_file()))
        except (OSError, ValueError, RuntimeError) as error:
            raise _malformed("a pair under training names what cannot be a file") from error
        if not is_inside:
            raise _malformed("a pair under training lies outside the folder")
    _check_pairs(
        folder,
        sum(1 for _, _, has_mask in cases if not has_mask),
        len(cases),
        sum(1 for _, has_image, _ in cases if not has_image),
    )
    found = [case for case, _, _ in cases]
    if len({case.name for case in found}) != len(found):
        raise _malformed("two pairs under training have one name")
    return found


def _images(listed: Path, channels: int) -> tuple[Path, ...]:
    """Return the files of an image as it is listed; nnU-Net 1 lists ``CASE.nii.gz`` for its files ``CASE_0000.nii.gz``, ..."""
    if listed.exists():
        return (listed,)
    stem = _stem(listed)
    ending = listed.name.removeprefix(stem)
    files = tuple(listed.with_name(f"{stem}_{number:04}{ending}") for number in range(channels))
    return files if all(file.exists() for file in files) else (listed,)


def _found(folder: Path, channels: int) -> list[SourceCase]:
    masks = {_stem(path): path for path in _files(folder / "labelsTr")}
    images: dict[str, dict[int, Path]] = {}
    for path in _files(folder / "imagesTr"):
        name, _, number = _stem(path).rpartition("_")
        if not name or not _NUMBER.fullmatch(number) or int(number) >= channels:
            raise ContractBroken(
                "dataset-name",
                f"A file in {folder.name}/imagesTr is not called CASE_0000 with the number of one of {channels} channels.",
                "Name the files of each case by channel, from _0000 on.",
            )
        images.setdefault(name, {})[int(number)] = path
    short = sum(1 for files in images.values() if len(files) != channels)
    if short:
        raise ContractBroken(
            "dataset-channels",
            f"{short} of {len(images)} cases in {folder.name} have not all {channels} channels.",
            "Add what is missing, or take these cases out.",
        )
    _check_pairs(folder, len(images.keys() - masks.keys()), len(images), len(masks.keys() - images.keys()))
    return [
        SourceCase(name=name, images=tuple(files[number] for number in range(channels)), mask=masks[name])
        for name, files in images.items()
    ]


def _check_pairs(folder: Path, lacking: int, images: int, alone: int) -> None:
    if lacking:
        raise ContractBroken(
            "dataset-masks",
            f"{lacking} of {images} images in {folder.name} have no mask.",
            "Add the masks to labelsTr, or take these images out of imagesTr.",
        )
    if alone:
        raise ContractBroken(
            "dataset-images", f"{alone} masks in {folder.name} have no image.", "Add the images, or take the masks out."
        )


def _files(folder: Path) -> list[Path]:
    try:
        files = sorted(path for path in folder.iterdir() if path.name.endswith(_SUFFIXES) and path.name[0] != ".")
    except FileNotFoundError as error:
        raise NotFound("dataset-missing", f"There is no folder {folder}.", "Check its name.") from error
    except OSError as error:
        raise Unreachable(
            "dataset-unreadable", f"{folder} cannot be read: {error.strerror}.", "Check its kind and rights."
        ) from error
    if not all(path.is_file() for path in files):
        raise ContractBroken(
            "dataset-name", f"Something in {folder} is called as an image and is no file.", "Take it out, or rename it."
        )
    twice = len(files) - len({_stem(path) for path in files})
    if twice:
        raise ContractBroken(
            "dataset-twice",
            f"{twice} images in {folder} are there as .nii and as .nii.gz.",
            "Keep one of each: they may differ.",
        )
    return files


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")
