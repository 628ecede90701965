"""Phantoms as files: a folder of NIfTI volumes in the layout of nnU-Net, with a table of sites."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from imagiq.errors import Unreachable
from imagiq.imaging.nifti import Volume, write_mask, write_volume
from imagiq.imaging.phantoms.patients import HOSPITALS, Hospital, draw_patient, volume_of
from imagiq.imaging.phantoms.scanners import scanner
from imagiq.imaging.phantoms.signal import SEQUENCES
from imagiq.imaging.phantoms.tumour import LABELS

__all__ = ["write_phantoms"]


def write_phantoms(
    folder: Path,
    *,
    seed: int = 0,
    hospitals: Sequence[Hospital] = HOSPITALS,
    size: int = 128,
    step_mm: float | None = None,
) -> int:
    """Write volumes of all patients of hospitals.

    ``imagesTr/NAME_0000.nii.gz`` to ``_0003`` are T1, T1ce, T2 and FLAIR, ``labelsTr/NAME.nii.gz`` the labels,
    ``dataset.json`` says what they are, and ``sites.csv`` which patient is at which hospital. Voxels lie in RAS, the origin on
    the line of the commissures.

    Args:
        folder: Where; made if it is not there.
        seed: Public seed.
        hospitals: Whose patients.
        size: Voxels along the sides of an axial slice.
        step_mm: Distance of slices; None: their thickness.

    Returns:
        How many patients were written.

    Raises:
        Misuse: a parameter is out of range.
        Unreachable: the folder cannot be written to.
    """
    places = []
    try:
        for inner in ("imagesTr", "labelsTr"):
            (folder / inner).mkdir(parents=True, exist_ok=True)
        for hospital in hospitals:
            device = scanner(hospital.scanner)
            for number in range(hospital.patients):
                patient = draw_patient(seed, hospital.name, number, hospital.mix)
                images, truth, affine = volume_of(patient, device, size=size, step_mm=step_mm)
                for channel, image in enumerate(images):
                    path = folder / "imagesTr" / f"{patient.name}_{channel:04d}.nii.gz"
                    write_volume(path, Volume(array=image, affine=affine))
                write_mask(folder / "labelsTr" / f"{patient.name}.nii.gz", truth, Volume(array=truth, affine=affine))
                places.append((patient.name, hospital.name))
        _describe(folder, places)
    except OSError as error:
        raise Unreachable(
            "phantom-unwritable", f"{folder} cannot be written to: {error.strerror}.", "Make room, or name another."
        ) from error
    return len(places)


def _describe(folder: Path, places: list[tuple[str, str]]) -> None:
    told = {
        "channel_names": {str(number): name for number, name in enumerate(SEQUENCES)},
        "labels": {"background": 0, **LABELS},
        "numTraining": len(places),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    with (folder / "sites.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(("patient", "site"))
        table.writerows(places)
