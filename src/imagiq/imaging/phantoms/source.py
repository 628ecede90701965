"""Phantoms as a source of cases: ``kind = "phantom-brain"``, and ``"phantom-brain-unseen"`` for the hospital beyond."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from imagiq.errors import Misuse
from imagiq.imaging.cases import ImageCases
from imagiq.imaging.phantoms.patients import HOSPITALS, UNSEEN_HOSPITAL, Hospital, draw_patient, slices_of
from imagiq.imaging.phantoms.scanners import scanner
from imagiq.imaging.phantoms.signal import SEQUENCES
from imagiq.imaging.phantoms.tumour import LABELS
from imagiq.imaging.sites import SiteImages, site_of, split_by_share

__all__ = ["phantom_brain", "phantom_brain_unseen", "phantom_cases"]

_NAMES: Final = tuple(hospital.name for hospital in HOSPITALS)


def phantom_brain(  # noqa: PLR0913 - the parameters of a source, each by keyword
    *,
    seed: int = 0,
    hospitals: Sequence[str] = _NAMES,
    patients: Sequence[int] = (),
    scanners: Sequence[str] = (),
    size: int = 64,
    slices: int = 6,
    held_back: float = 0.25,
    validation: float = 0.2,
    judge: str = "test",
    unseen: int = 0,
) -> tuple[SiteImages, ...]:
    """Return phantoms of several hospitals, each with its own scanner.

    Every patient, and so all slices of them, is either trained on or held back.

    Args:
        seed: Public seed of anatomy, tumours, noise and the split.
        hospitals: Names. Those of :data:`~imagiq.imaging.phantoms.patients.HOSPITALS` bring their scanner, number of patients
            and mix of tumours; a new name takes those of the hospital at its place in that list, from its start again
            after its end.
        patients: How many patients each hospital has, in the order of ``hospitals``; empty: as many as the list says.
        scanners: The scanner of each, by name in :data:`~imagiq.imaging.phantoms.scanners.SCANNERS`; empty: the list's.
        size: Pixels along a side of a slice.
        slices: Slices of each patient.
        held_back: Part of each hospital's patients that is for the test.
        validation: Part of the others that is for choosing settings.
        judge: ``test`` or ``validation``; see :func:`~imagiq.imaging.sites.site_of`.
        unseen: How many patients of the hospital beyond to add, on which every model is tried; 0: none.

    Raises:
        Misuse: a parameter is out of range, or the lists are not of one length.
    """
    for what, given in (("patients", patients), ("scanners", scanners)):
        if given and len(given) != len(hospitals):
            raise Misuse(
                "phantom-lists",
                f"There are {len(hospitals)} hospitals and {len(given)} {what}.",
                f"Give one of {what} for each hospital, or none at all.",
            )
    if len(set(hospitals)) != len(hospitals) or not hospitals:
        raise Misuse("phantom-hospitals", "Two hospitals have one name, or there is none.", "Give each its own name.")
    found = []
    for place, name in enumerate(hospitals):
        like = _like(name, place)
        chosen = Hospital(
            name=name,
            scanner=scanners[place] if scanners else like.scanner,
            patients=patients[place] if patients else like.patients,
            mix=like.mix,
        )
        cases = phantom_cases(chosen, seed=seed, size=size, slices=slices)
        split = split_by_share(set(cases.patients.tolist()), held_back=held_back, validation=validation, seed=seed)
        found.append(site_of(name, cases, split, judge=judge, is_shareable=True))
    if unseen:
        found += phantom_brain_unseen(seed=seed, patients=unseen, size=size, slices=slices)
    return tuple(found)


def phantom_brain_unseen(
    *, seed: int = 0, patients: int = UNSEEN_HOSPITAL.patients, size: int = 64, slices: int = 6
) -> tuple[SiteImages, ...]:
    """Return phantoms of the hospital that takes part in no training: it holds back all of its patients.

    Args:
        seed: Public seed.
        patients: How many.
        size: Pixels along a side of a slice.
        slices: Slices of each patient.
    """
    hospital = Hospital(
        name=UNSEEN_HOSPITAL.name, scanner=UNSEEN_HOSPITAL.scanner, patients=patients, mix=UNSEEN_HOSPITAL.mix
    )
    cases = phantom_cases(hospital, seed=seed, size=size, slices=slices)
    chosen = np.zeros(len(cases.patients), dtype=bool)
    nobody = ImageCases(
        images=cases.images[chosen],
        truth=cases.truth[chosen],
        patients=cases.patients[chosen],
        channels=cases.channels,
        labels=cases.labels,
        spacing_mm=cases.spacing_mm,
    )
    return (
        SiteImages(
            name=hospital.name, columns=cases.channels, train=nobody, test=cases, is_unseen=True, is_shareable=True
        ),
    )


def phantom_cases(hospital: Hospital, *, seed: int, size: int, slices: int) -> ImageCases:
    """Return the slices of all patients of a hospital.

    Raises:
        Misuse: a parameter is out of range.
    """
    if hospital.patients < 1:
        raise Misuse(
            "phantom-patients",
            f"The hospital '{hospital.name}' would have {hospital.patients} patients.",
            "Give each one or more.",
        )
    device = scanner(hospital.scanner)
    images, truth, names, pixel = [], [], [], 0.0
    for number in range(hospital.patients):
        patient = draw_patient(seed, hospital.name, number, hospital.mix)
        planes, pixel = slices_of(patient, device, size=size, slices=slices)
        images.append(planes.images)
        truth.append(planes.truth)
        names += [patient.name] * slices
    return ImageCases(
        images=np.concatenate(images),
        truth=np.concatenate(truth),
        patients=np.array(names, dtype=np.str_),
        channels=SEQUENCES,
        labels=dict(LABELS),
        spacing_mm=(pixel, pixel),
    )


def _like(name: str, place: int) -> Hospital:
    known = {hospital.name: hospital for hospital in (*HOSPITALS, UNSEEN_HOSPITAL)}
    return known.get(name, HOSPITALS[place % len(HOSPITALS)])
