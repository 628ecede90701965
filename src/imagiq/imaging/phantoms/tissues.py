"""What a voxel of the head can hold, by proton density and relaxation times, at 1.5 and 3 tesla.

Sources, by the letters in the table:

- W: T1 of white matter, cortex, putamen and caudate by MPRAGE. Wright et al., MAGMA 21 (2008) 121,
  doi 10.1007/s10334-008-0104-8.
- S: T2 of white and grey matter; T1 and T2 of muscle and blood. Stanisz et al., Magn Reson Med 54 (2005) 507,
  doi 10.1002/mrm.20605.
- L: T1 is 14 to 30 % longer and T2 12 to 19 % shorter at 3 T than at 1.5 T in the brain. Lu et al., J Magn Reson Imaging 22
  (2005) 13, doi 10.1002/jmri.20356.
- K: proton densities. Kwan et al., IEEE Trans Med Imaging 18 (1999) 1085 (BrainWeb), doi 10.1109/42.816072; water content
  of white and grey matter about 0.70 and 0.82. Tofts, Quantitative MRI of the Brain, Wiley 2003.
- R: T1 of cerebrospinal fluid is about 4.3 s at any field strength: Rooney et al., Magn Reson Med 57 (2007) 308,
  doi 10.1002/mrm.21122. Here it is a little less, between that and what the inversion times of common FLAIR protocols null.
- F: T1 of subcutaneous fat. de Bazelaire et al., Radiology 230 (2004) 652. T2 of fat and marrow as seen by trains of
  echoes, and T1 of marrow: table 1 of Radiat Oncol 8 (2013) 51, doi 10.1186/1748-717X-8-51.
- T: T1 from 1850 to 3200 ms and T2 from 115 to 225 ms at 3 T tell dense glioma (Kinoshita and others, 11C-methionine
  study); enhancing tumour loses 838 +- 210 ms, oedema 123 +- 74 ms, normal tissue 32 +- 35 ms of T1 by contrast agent at
  3 T: Quantitative T1 mapping indicates tumor infiltration, Goethe-Universitaet Frankfurt 2020.
- o: our choice within what those leave open.

docs/phantoms.md says which of these values were compared with a text, and which stand here from memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from imagiq.errors import Misuse

__all__ = ["FIELDS_T", "TISSUES", "Relaxation", "Tissue", "TissueValues"]

FIELDS_T: Final = (1.5, 3.0)
"""Field strengths that values are known for, in tesla."""


class Tissue(IntEnum):
    """What a voxel can hold; the number is its place in arrays of fractions."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    BONE = 4
    MARROW = 5
    DURA = 6
    VESSEL = 7
    CSF = 8
    GREY = 9
    WHITE = 10
    DEEP_GREY = 11
    AGED_WHITE = 12
    CHOROID = 13
    OEDEMA = 14
    SOLID = 15
    NECROSIS = 16
    RIM = 17


@dataclass(frozen=True, kw_only=True, slots=True)
class Relaxation:
    """Relaxation times at one field strength, in milliseconds."""

    t1_ms: float
    t2_ms: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TissueValues:
    """What decides how bright a tissue is.

    Attributes:
        density: Proton density, 1 for water.
        at_1_5t: Relaxation times at 1.5 T.
        at_3t: Relaxation times at 3 T.
        uptake_per_s: What the contrast agent adds to the rate of T1, in 1/s, at the time of the T1ce image.
    """

    density: float
    at_1_5t: Relaxation
    at_3t: Relaxation
    uptake_per_s: float

    def relaxation(self, field_t: float, *, contrast: bool) -> Relaxation:
        """Return the relaxation times at a field strength, after contrast agent or without it.

        Raises:
            Misuse: nothing is known for this field strength.
        """
        if field_t not in FIELDS_T:
            raise Misuse("phantom-field", f"Nothing is known for {field_t} tesla.", "Choose 1.5 or 3 tesla.")
        found = self.at_1_5t if field_t == FIELDS_T[0] else self.at_3t
        if not contrast:
            return found
        return Relaxation(t1_ms=1000.0 / (1000.0 / found.t1_ms + self.uptake_per_s), t2_ms=found.t2_ms)


def _tissue(density: float, low: tuple[float, float], high: tuple[float, float], uptake: float) -> TissueValues:
    return TissueValues(
        density=density,
        at_1_5t=Relaxation(t1_ms=low[0], t2_ms=low[1]),
        at_3t=Relaxation(t1_ms=high[0], t2_ms=high[1]),
        uptake_per_s=uptake,
    )


TISSUES: Final[tuple[TissueValues, ...]] = (
    # density, (T1, T2) at 1.5 T, (T1, T2) at 3 T, uptake
    _tissue(0.00, (1000.0, 50.0), (1000.0, 50.0), 0.0),  # air
    _tissue(0.70, (900.0, 40.0), (1100.0, 38.0), 0.30),  # skin: o
    _tissue(0.85, (343.0, 133.0), (382.0, 133.0), 0.0),  # fat: F
    _tissue(0.75, (1008.0, 44.0), (1412.0, 50.0), 0.15),  # muscle: S
    _tissue(0.05, (200.0, 0.5), (220.0, 0.5), 0.0),  # cortical bone: no signal at any echo time here
    _tissue(0.35, (340.0, 133.0), (365.0, 133.0), 0.0),  # marrow of the skull: F; density o
    _tissue(0.40, (900.0, 45.0), (1100.0, 40.0), 1.50),  # dura: o
    _tissue(
        0.40, (1441.0, 60.0), (1932.0, 60.0), 8.00
    ),  # flowing blood: T1 by S; density and T2: what flow leaves of it, o
    _tissue(1.00, (3800.0, 2000.0), (4000.0, 1900.0), 0.0),  # cerebrospinal fluid: R, o
    _tissue(0.82, (1197.0, 95.0), (1607.0, 99.0), 0.03),  # cortex: W, S, K
    _tissue(0.70, (646.0, 72.0), (838.0, 69.0), 0.02),  # white matter: W, S, K
    _tissue(0.80, (1084.0, 85.0), (1332.0, 75.0), 0.03),  # putamen, caudate, thalamus: W; T2 by L
    _tissue(0.77, (950.0, 120.0), (1180.0, 112.0), 0.02),  # white matter of the aged, bright on FLAIR: o
    _tissue(0.90, (1600.0, 200.0), (1900.0, 180.0), 1.00),  # choroid plexus: o
    _tissue(0.82, (1150.0, 135.0), (1450.0, 128.0), 0.06),  # oedema and infiltrated white matter: T for uptake, o
    _tissue(0.86, (1500.0, 165.0), (1850.0, 155.0), 0.08),  # solid tumour that does not enhance: T
    _tissue(0.94, (2300.0, 420.0), (2700.0, 390.0), 0.06),  # necrosis: between solid tumour and fluid, o
    _tissue(0.85, (1400.0, 140.0), (1700.0, 130.0), 0.57),  # enhancing rim: T
)
"""Values of each tissue, in the order of :class:`Tissue`."""
