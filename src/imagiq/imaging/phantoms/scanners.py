"""The scanners that phantoms are imaged with: a table that was fixed before anything was trained on it.

The timing of each scanner is that of one column of a published acquisition protocol: table 4 of MS-SMART, a trial in
British hospitals that had to run on whatever scanner a hospital owned (Connick et al., BMJ Open 8 (2018) e021944,
doi 10.1136/bmjopen-2018-021944; "guide to scan parameters ... according to scanner model"): T1 by spin echo, T2 by the second
echo of a dual fast spin echo, FLAIR, each for three makers at 1.5 and 3 tesla. T1ce is the same sequence as T1, after
contrast agent, as consensus on imaging of brain tumours asks for.

Slices are 3 mm there. Two scanners here have 5 mm, what the ACRIN 6686 protocol for brain tumours allows at most
("section thickness not greater than 5 mm").

A protocol says nothing of noise, coil, gain and what a maker's software does to grey values. Those are our choice, in the
terms of BrainWeb (Kwan et al. 1999, brainweb.bic.mni.mcgill.ca): noise of 3 to 7 % of a tissue, intensity that varies by
20 to 40 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from imagiq.errors import Misuse
from imagiq.imaging.phantoms.signal import Sequence

__all__ = ["SCANNERS", "UNSEEN", "Scanner", "scanner"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scanner:
    """A scanner and how it is set.

    Attributes:
        name: Maker and field strength.
        field_t: Field strength in tesla.
        t1: Timing of T1, and of T1ce.
        t2: Timing of T2.
        flair: Timing of FLAIR.
        thickness_mm: Thickness of slices.
        noise: Standard deviation of the noise in each channel of the receiver, as a part of the brighter of white and grey
            matter in the image.
        bias: How far the coil's sensitivity spreads over the head: 0.4 is from 0.8 to 1.2.
        coil: Where the coil is most sensitive, in half head sizes from the middle: right, anterior, superior.
        gain: What white matter on T1 becomes, in grey values.
        gamma: Exponent that the maker's software applies to grey values, relative to ``gain``; 1: none.
        blur_mm: Full width at half maximum of what filters and movement blur, in the plane.
    """

    name: str
    field_t: float
    t1: Sequence
    t2: Sequence
    flair: Sequence
    thickness_mm: float
    noise: float
    bias: float
    coil: tuple[float, float, float]
    gain: float
    gamma: float
    blur_mm: float

    def sequences(self) -> tuple[Sequence, Sequence, Sequence, Sequence]:
        """Return the timing of T1, T1ce, T2 and FLAIR."""
        enhanced = Sequence(repetition_ms=self.t1.repetition_ms, echo_ms=self.t1.echo_ms, contrast=True)
        return self.t1, enhanced, self.t2, self.flair


def _timing(repetition: float, echo: float, inversion: float = 0.0) -> Sequence:
    return Sequence(repetition_ms=repetition, echo_ms=echo, inversion_ms=inversion)


SCANNERS: Final[Mapping[str, Scanner]] = MappingProxyType(
    {
        "siemens-1.5t": Scanner(
            name="Siemens, 1.5 T",
            field_t=1.5,
            t1=_timing(518.0, 12.0),
            t2=_timing(2680.0, 86.0),
            flair=_timing(9500.0, 122.0, 2400.0),
            thickness_mm=3.0,
            noise=0.05,
            bias=0.20,
            coil=(0.0, -0.3, 0.2),
            gain=220.0,
            gamma=1.0,
            blur_mm=1.0,
        ),
        "ge-3t": Scanner(
            name="GE, 3 T",
            field_t=3.0,
            t1=_timing(700.0, 20.0),
            t2=_timing(2600.0, 85.0),
            flair=_timing(9500.0, 127.0, 2400.0),
            thickness_mm=3.0,
            noise=0.03,
            bias=0.40,
            coil=(0.2, 0.9, 0.1),
            gain=1400.0,
            gamma=0.80,
            blur_mm=1.0,
        ),
        "philips-1.5t": Scanner(
            name="Philips, 1.5 T",
            field_t=1.5,
            t1=_timing(600.0, 20.0),
            t2=_timing(3300.0, 100.0),
            flair=_timing(10000.0, 120.0, 2400.0),
            thickness_mm=5.0,
            noise=0.06,
            bias=0.25,
            coil=(-0.8, 0.2, 0.0),
            gain=600.0,
            gamma=1.25,
            blur_mm=2.0,
        ),
        "siemens-3t": Scanner(
            name="Siemens, 3 T",
            field_t=3.0,
            t1=_timing(600.0, 6.8),
            t2=_timing(2700.0, 97.0),
            flair=_timing(9500.0, 100.0, 2400.0),
            thickness_mm=3.0,
            noise=0.04,
            bias=0.35,
            coil=(0.1, -0.9, 0.3),
            gain=340.0,
            gamma=0.90,
            blur_mm=0.8,
        ),
        "ge-1.5t": Scanner(
            name="GE, 1.5 T",
            field_t=1.5,
            t1=_timing(650.0, 20.0),
            t2=_timing(2900.0, 86.0),
            flair=_timing(10000.0, 128.0, 2200.0),
            thickness_mm=5.0,
            noise=0.07,
            bias=0.30,
            coil=(0.7, 0.5, -0.2),
            gain=900.0,
            gamma=1.10,
            blur_mm=1.5,
        ),
        "philips-3t": Scanner(
            name="Philips, 3 T",
            field_t=3.0,
            t1=_timing(600.0, 10.0),
            t2=_timing(2900.0, 90.0),
            flair=_timing(9500.0, 120.0, 2400.0),
            thickness_mm=3.0,
            noise=0.03,
            bias=0.40,
            coil=(-0.5, -0.6, 0.1),
            gain=480.0,
            gamma=1.0,
            blur_mm=1.0,
        ),
    }
)
"""Name of a scanner -> how it is set."""

UNSEEN: Final = "ge-1.5t"
"""The scanner of a hospital that takes part in no training."""


def scanner(name: str) -> Scanner:
    """Return a scanner by its name.

    Raises:
        Misuse: there is none of this name.
    """
    if name not in SCANNERS:
        raise Misuse("phantom-scanner", f"There is no scanner '{name}'.", f"There are {', '.join(SCANNERS)}.")
    return SCANNERS[name]
