"""Patients of simulated hospitals: their slices, and their volumes."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from imagiq.errors import Misuse
from imagiq.imaging.phantoms.acquisition import Grid, Planes, acquire
from imagiq.imaging.phantoms.head import CENTRE, Head, draw_head
from imagiq.imaging.phantoms.scanners import UNSEEN, Scanner
from imagiq.imaging.phantoms.tumour import Tumour, TumourMix, draw_tumour

__all__ = ["HOSPITALS", "UNSEEN_HOSPITAL", "Hospital", "Patient", "draw_patient", "slices_of", "volume_of"]

_FINEST_MM: Final = 1.9
"""Points that a slice is computed from lie no farther apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hospital:
    """A simulated hospital.

    Attributes:
        name: What the source calls it.
        scanner: Its scanner, by name.
        patients: How many patients it has.
        mix: What tumours it sees.
    """

    name: str
    scanner: str
    patients: int
    mix: TumourMix


HOSPITALS: Final = (
    Hospital(name="north", scanner="siemens-1.5t", patients=24, mix=TumourMix(radius_mm=14.0, high_grade=0.75)),
    Hospital(name="east", scanner="ge-3t", patients=14, mix=TumourMix(radius_mm=13.0, high_grade=0.55)),
    Hospital(name="south", scanner="philips-1.5t", patients=10, mix=TumourMix(radius_mm=14.0, high_grade=0.70)),
    Hospital(
        name="west", scanner="siemens-3t", patients=8, mix=TumourMix(radius_mm=21.0, spread_mm=3.0, high_grade=0.90)
    ),
)
"""Four hospitals of unequal size; the smallest sees few, large tumours."""

UNSEEN_HOSPITAL: Final = Hospital(
    name="beyond", scanner=UNSEEN, patients=12, mix=TumourMix(radius_mm=14.0, high_grade=0.70)
)
"""A hospital that takes part in no training, with a scanner that no other has."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Patient:
    """A patient, and the seed of what is random about imaging them.

    Attributes:
        name: Of the patient: any text.
        head: The head.
        tumour: What grows in it.
        imaging: Seed of noise and coil.
    """

    name: str
    head: Head
    tumour: Tumour
    imaging: np.random.SeedSequence

    def noise(self) -> np.random.Generator:
        """Return where the noise of one examination comes from."""
        return np.random.Generator(np.random.PCG64(self.imaging))


def draw_patient(seed: int, hospital: str, number: int, mix: TumourMix) -> Patient:
    """Draw a patient; nobody else's change when a hospital gets more patients, or another hospital joins.

    Args:
        seed: Public seed, 0 or more.
        hospital: Its name.
        number: Which of its patients, from 0.
        mix: What tumours it sees.

    Raises:
        Misuse: the seed or the number is negative.
    """
    if seed < 0 or number < 0:
        raise Misuse("phantom-seed", f"There is no patient {number} of seed {seed}.", "Both are 0 or more.")
    place = int.from_bytes(hashlib.sha256(hospital.encode()).digest()[:8], "big")
    anatomy, imaging = np.random.SeedSequence([seed, place, number]).spawn(2)
    draw = np.random.Generator(np.random.PCG64(anatomy))
    head = draw_head(draw)
    return Patient(name=f"{hospital}-{number:03d}", head=head, tumour=draw_tumour(draw, head, mix), imaging=imaging)


def _grid(size: int) -> Grid:
    if not 16 <= size <= 512:
        raise Misuse("phantom-size", f"Slices of {size} pixels cannot be made.", "Choose from 16 to 512 pixels.")
    coarse = Grid(size=size, finer=1)
    return Grid(size=size, finer=max(2, math.ceil(coarse.pixel_mm / _FINEST_MM)))


def slices_of(patient: Patient, scanner: Scanner, *, size: int, slices: int) -> tuple[Planes, float]:
    """Image axial slices spread evenly over the tumour; the outermost lie about where its oedema ends.

    Args:
        patient: Whom.
        scanner: By which scanner.
        size: Pixels along a side.
        slices: How many.

    Returns:
        The slices from below to above, and the size of a pixel in mm.

    Raises:
        Misuse: there would be no slice, or one of an impossible size.
    """
    if slices < 1:
        raise Misuse("phantom-slices", f"{slices} slices were asked for.", "Ask for one or more.")
    grid = _grid(size)
    reach = 1.15 * patient.tumour.reach_mm
    middle = patient.tumour.centre[2]
    low, high = max(middle - reach, -8.0), min(middle + reach, patient.head.half_axes[2] - 4.0)
    levels = [middle] if slices == 1 else [float(level) for level in np.linspace(low, high, slices)]
    planes = acquire(patient.head, patient.tumour, scanner, levels, grid, patient.noise())
    return planes, grid.pixel_mm


def volume_of(
    patient: Patient, scanner: Scanner, *, size: int, step_mm: float | None = None
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float64]]:
    """Image the cerebrum from the base of the frontal lobes to the vertex.

    Args:
        patient: Whom.
        scanner: By which scanner.
        size: Voxels along the sides of a slice.
        step_mm: Distance of slices; None: their thickness, so that they touch.

    Returns:
        Images [4, right, anterior, superior]; labels [right, anterior, superior]; and the affine from voxels to mm, whose
        axes run to the right, anterior and superior (RAS).
    """
    grid = _grid(size)
    step = scanner.thickness_mm if step_mm is None else step_mm
    top = CENTRE[2] + patient.head.half_axes[2] + patient.head.skull_mm + patient.head.scalp_mm + 6.0
    levels = [float(level) for level in np.arange(-14.0, top, step)]
    planes = acquire(patient.head, patient.tumour, scanner, levels, grid, patient.noise())
    images = planes.images[:, :, ::-1, ::-1].transpose(1, 3, 2, 0)
    truth = planes.truth[:, ::-1, ::-1].transpose(2, 1, 0)
    half = (size - 1) / 2 * grid.pixel_mm
    affine = np.diag([grid.pixel_mm, grid.pixel_mm, step, 1.0])
    affine[:3, 3] = (-half, CENTRE[1] - half, levels[0])
    return np.ascontiguousarray(images), np.ascontiguousarray(truth), affine
