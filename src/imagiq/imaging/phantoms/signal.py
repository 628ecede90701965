"""How bright a tissue is in an image, by the equations of spin echo and of inversion recovery.

Magnitudes of the steady state with ideal pulses of 90 and 180 degrees. A train of echoes (fast spin echo) is taken as a
spin echo at its effective echo time; what the train does beyond that (magnetisation transfer, blurring) is left out.
See Bernstein, King and Zhou, Handbook of MRI Pulse Sequences, Elsevier 2004, sections 14.2 and 14.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from imagiq.errors import Misuse
from imagiq.imaging.phantoms.tissues import TISSUES, Relaxation, Tissue

__all__ = ["SEQUENCES", "Sequence", "brightness", "inversion_recovery", "spin_echo"]

SEQUENCES: Final = ("T1", "T1ce", "T2", "FLAIR")
"""The four images of a patient, in the order of channels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequence:
    """Timing of one kind of image, in milliseconds.

    Attributes:
        repetition_ms: TR, from one excitation to the next.
        echo_ms: TE, or the effective one of a train of echoes.
        inversion_ms: TI, from the inversion to the excitation; 0: no inversion, a spin echo.
        contrast: Taken after contrast agent.
    """

    repetition_ms: float
    echo_ms: float
    inversion_ms: float = 0.0
    contrast: bool = False

    def __post_init__(self) -> None:
        """Check the order of the times."""
        if not 0.0 < self.echo_ms < self.repetition_ms or not 0.0 <= self.inversion_ms < self.repetition_ms:
            raise Misuse(
                "phantom-timing",
                f"TR {self.repetition_ms} ms, TE {self.echo_ms} ms and TI {self.inversion_ms} ms do not fit together.",
                "TE is above 0 and below TR, TI is 0 or above and below TR.",
            )


def spin_echo(density: float, tissue: Relaxation, *, repetition_ms: float, echo_ms: float) -> float:
    """Return the signal of a spin echo: density · (1 - exp(-TR/T1)) · exp(-TE/T2).

    The refocusing pulse's own effect on recovery, of the order of TE/TR, is left out, as is usual.
    """
    recovered = 1.0 - math.exp(-repetition_ms / tissue.t1_ms)
    return density * recovered * math.exp(-echo_ms / tissue.t2_ms)


def inversion_recovery(
    density: float, tissue: Relaxation, *, repetition_ms: float, echo_ms: float, inversion_ms: float
) -> float:
    """Return the signal of an inversion recovery: density · abs(1 - 2 exp(-TI/T1) + exp(-TR/T1)) · exp(-TE/T2)."""
    recovered = 1.0 - 2.0 * math.exp(-inversion_ms / tissue.t1_ms) + math.exp(-repetition_ms / tissue.t1_ms)
    return density * abs(recovered) * math.exp(-echo_ms / tissue.t2_ms)


def brightness(sequence: Sequence, field_t: float, *, rim_uptake_per_s: float | None = None) -> NDArray[np.float32]:
    """Return the signal of each tissue, float32 [tissues].

    Args:
        sequence: How the image is taken.
        field_t: Field strength in tesla.
        rim_uptake_per_s: How much contrast agent this patient's tumour takes up, if not as much as the table says.
    """
    found = []
    for tissue, values in zip(Tissue, TISSUES, strict=True):
        if tissue is Tissue.RIM and rim_uptake_per_s is not None:
            values = replace(values, uptake_per_s=rim_uptake_per_s)  # noqa: PLW2901 - the same tissue, of this patient
        times = values.relaxation(field_t, contrast=sequence.contrast)
        if sequence.inversion_ms:
            signal = inversion_recovery(
                values.density,
                times,
                repetition_ms=sequence.repetition_ms,
                echo_ms=sequence.echo_ms,
                inversion_ms=sequence.inversion_ms,
            )
        else:
            signal = spin_echo(values.density, times, repetition_ms=sequence.repetition_ms, echo_ms=sequence.echo_ms)
        found.append(signal)
    return np.array(found, dtype=np.float32)
