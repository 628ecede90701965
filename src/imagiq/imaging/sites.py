"""The images of one site, split by patient into what is trained on and what is held back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from imagiq.errors import ContractBroken, Misuse
from imagiq.imaging.cases import ImageCases, checked, of_patients

__all__ = ["SiteImages", "Split", "site_of", "split_by_folds", "split_by_share"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Which patients are for what.

    Attributes:
        train: Trained on.
        validation: For choosing settings.
        test: For reporting.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check that no patient is in two parts.

        Raises:
            ContractBroken: one is. The message names none.
        """
        everyone = [*self.train, *self.validation, *self.test]
        twice = len(everyone) - len(set(everyone))
        if twice:
            raise ContractBroken(
                "split-patient-twice",
                f"{twice} patient{'s are' if twice > 1 else ' is'} in more than one of training, validation and test.",
                "Put all images of a patient into one part: a model knows again whom it was trained on.",
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteImages:
    """One site's images.

    Attributes:
        name: What the source calls the site.
        columns: The channels.
        train: To train on.
        test: Never trained on.
        dropped: How many images were left out.
        warnings: What may make results at this site worthless, one sentence each.
        is_unseen: The site takes no part in training; models are tried on its ``test`` images.
        is_shareable: Its images may be shown to anybody, since they are of nobody.
    """

    name: str
    columns: tuple[str, ...]
    train: ImageCases
    test: ImageCases
    dropped: int = 0
    warnings: tuple[str, ...] = ()
    is_unseen: bool = False
    is_shareable: bool = False


def split_by_share(patients: Collection[str], *, held_back: float, validation: float, seed: int) -> Split:
    """Draw which patients are held back, and which are for validation.

    Each part's number of patients is rounded, but where there are two patients or more, none of the parts that is asked for
    takes the last one of training. The patients' names are sorted first, so their order does not matter.

    Args:
        patients: Names, each once.
        held_back: Part of all patients that is for the test, from 0 to below 1.
        validation: Part of the others that is for validation, from 0 to below 1.
        seed: Public seed.

    Raises:
        Misuse: a part or the seed is out of range.
    """
    for part in (held_back, validation):
        if not 0.0 <= part < 1.0:
            raise Misuse(
                "split-share", f"A part of {part} cannot be held back.", "Choose from 0 to below 1, such as 0.25."
            )
    if seed < 0:
        raise Misuse("split-seed", f"A split cannot be drawn from the seed {seed}.", "Choose a seed of 0 or more.")
    names = sorted(patients)
    order = np.argsort(np.random.PCG64(seed).random_raw(len(names)), kind="stable").tolist() if names else []
    drawn = [names[index] for index in order]
    test = _number(len(drawn), held_back)
    rest = len(drawn) - test
    kept = rest - _number(rest, validation)
    return Split(train=tuple(drawn[:kept]), validation=tuple(drawn[kept:rest]), test=tuple(drawn[rest:]))


def split_by_folds(folds: Mapping[str, int], fold: int) -> Split:
    """Return the split in which one fold is for the test, and the fold before it for validation; before fold 0 is the last.

    Args:
        folds: A patient's name -> their fold, 0 or more.
        fold: Which one is for the test.

    Raises:
        ContractBroken: a patient has no fold.
    """
    lacking = sum(1 for each in folds.values() if each < 0)
    if lacking:
        raise ContractBroken(
            "split-folds", f"{lacking} of {len(folds)} patients have no fold.", "Give each one, numbered from 0."
        )
    before = fold - 1 if fold > 0 else max(folds.values(), default=0)
    parts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for patient, each in sorted(folds.items()):
        parts["test" if each == fold else "validation" if each == before else "train"].append(patient)
    return Split(train=tuple(parts["train"]), validation=tuple(parts["validation"]), test=tuple(parts["test"]))


def _number(patients: int, part: float) -> int:
    if part == 0.0 or patients < 2:
        return 0
    return min(max(round(patients * part), 1), patients - 1)


def site_of(
    name: str,
    cases: ImageCases,
    split: Split,
    *,
    judge: str,
    dropped: int = 0,
    warnings: tuple[str, ...] = (),
    is_shareable: bool = False,
) -> SiteImages:
    """Return a site's images by their split.

    Args:
        name: The site.
        cases: All its images.
        split: Which patients are for what; patients that it does not name are left out.
        judge: ``test``: train on training and validation patients, and hold back the test patients. ``validation``: train on
            training patients, hold back validation patients, and touch no test patient; to choose settings with.
        dropped: How many images were left out before.
        warnings: What the source has to say of them.
        is_shareable: The images are of nobody.

    Raises:
        Misuse: ``judge`` is something else.
        ContractBroken: the images do not fit together.
    """
    if judge not in {"test", "validation"}:
        raise Misuse("split-judge", f"Models cannot be judged on '{judge}'.", "Say 'test' or 'validation'.")
    checked(cases)
    train = split.train if judge == "validation" else (*split.train, *split.validation)
    parts = {
        "training": of_patients(cases, train),
        "held-back": of_patients(cases, split.validation if judge == "validation" else split.test),
    }
    return SiteImages(
        name=name,
        columns=cases.channels,
        train=parts["training"],
        test=parts["held-back"],
        dropped=dropped,
        warnings=(*warnings, *_warnings(parts)),
        is_shareable=is_shareable,
    )


def _warnings(parts: Mapping[str, ImageCases]) -> list[str]:
    found = []
    for what, part in parts.items():
        if len(part) <= 1:
            found.append(f"There {'is one' if len(part) else 'are no'} {what} patient{'' if len(part) else 's'}.")
        empty = _patients_without(part)
        if empty:
            found.append(f"{empty} of {len(part)} {what} patients have no labelled voxel in any image.")
    return found


def _patients_without(cases: ImageCases) -> int:
    """Count the patients none of whose masks holds anything."""
    if cases.truth.ndim < 2:
        return 0
    filled = {str(name) for name, mask in zip(cases.patients, cases.truth, strict=True) if mask.any()}
    return len(cases) - len(filled)
