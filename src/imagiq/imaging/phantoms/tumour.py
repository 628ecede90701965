"""A glioma: where it sits, what it is made of, how far its oedema spreads, how it pushes the brain aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from imagiq.imaging.phantoms.head import Head
from imagiq.imaging.phantoms.shapes import Array, Field, Points, Triple, cover, smooth_field
from imagiq.imaging.phantoms.tissues import Tissue

__all__ = ["LABELS", "REGIONS", "Tumour", "TumourMix", "draw_tumour", "labels_of"]

LABELS: Final[Mapping[str, int]] = MappingProxyType(
    {"necrotic or non-enhancing core": 1, "oedema": 2, "enhancing rim": 3}
)
"""Name of a label -> its number: BraTS's numbering, in which the rim is 3 since 2023 and was 4 before. 0 is all else."""

REGIONS: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {"whole tumour": (1, 2, 3), "tumour core": (1, 3), "enhancing": (3,)}
)
"""Name of a region -> the labels that make it up; each holds the next."""

_CORE: Final = (Tissue.SOLID, Tissue.NECROSIS, Tissue.RIM)


@dataclass(frozen=True, kw_only=True, slots=True)
class TumourMix:
    """What tumours a hospital sees.

    Attributes:
        radius_mm: Mean radius of the core.
        spread_mm: Standard deviation of that radius.
        high_grade: Part of its patients whose tumour is of high grade.
        deep: How deep under the surface tumours sit at most, in mm.
    """

    radius_mm: float = 15.0
    spread_mm: float = 4.5
    high_grade: float = 0.75
    deep: float = 34.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Tumour:
    """What distinguishes one tumour from another.

    Attributes:
        high_grade: It has an enhancing rim, and most often a necrotic core.
        centre: Where it is, in mm (RAS).
        radius_mm: Mean radius of its core.
        stretch: By how much it is longer along each axis.
        rim_mm: Thickness of the enhancing rim.
        necrosis: How much of what lies inside the rim is necrotic, 0 to 1.
        oedema_mm: How far the oedema spreads beyond the core.
        edge_mm: Over how many millimetres the oedema, and a core of low grade, fade into the brain: infiltration.
        push: Part of the core's volume that pushes the brain aside; the rest of it grew in its place.
        uptake_per_s: What the contrast agent adds to the rate of T1 in the rim.
        lobes: Shape of the core.
        fingers: Shape of the oedema.
        patches: Texture of the core.
    """

    high_grade: bool
    centre: Triple
    radius_mm: float
    stretch: Triple
    rim_mm: float
    necrosis: float
    oedema_mm: float
    edge_mm: float
    push: float
    uptake_per_s: float
    lobes: Field
    fingers: Field
    patches: Field

    @property
    def reach_mm(self) -> float:
        """How far the tumour with its oedema reaches from its centre, about."""
        return self.radius_mm * max(self.stretch) + 0.8 * self.oedema_mm

    def pushed(self, points: Points, depth: Array) -> Points:
        """Return where points lay before the tumour pushed them away; the skull stays where it is."""
        offsets = [p - np.float32(c) for p, c in zip(points, self.centre, strict=True)]
        away = np.sqrt(offsets[0] ** 2 + offsets[1] ** 2 + offsets[2] ** 2) + np.float32(1e-3)
        kept = np.cbrt(np.maximum(1.0 - self.push * (np.float32(self.radius_mm) / away) ** 3, 0.0))
        firm = np.clip(depth / 12.0, 0.0, 1.0)
        scale = 1.0 - firm * (1.0 - kept)
        found = [(np.float32(c) + o * scale).astype(np.float32) for o, c in zip(offsets, self.centre, strict=True)]
        return found[0], found[1], found[2]

    def grow(self, parts: dict[Tissue, Array], points: Points, depth: Array, width: float) -> None:
        """Put the tumour into a head.

        Args:
            parts: The part of each tissue at points; changed.
            points: Where they are.
            depth: How deep they lie under the surface of the brain.
            width: Size of a voxel.
        """
        core = self._core(points)
        fingers = self.fingers.at(points)
        side = np.float32(np.sign(self.centre[0])) * points[0]
        reach = core + np.float32(self.oedema_mm) * (1.0 + 0.75 * fingers) - 1.5 * np.maximum(-side, 0.0)
        wet = cover(reach, self.edge_mm)
        parts[Tissue.OEDEMA] = np.zeros_like(core)
        for tissue, share in (
            (Tissue.WHITE, 1.0),
            (Tissue.AGED_WHITE, 1.0),
            (Tissue.GREY, 0.30),
            (Tissue.DEEP_GREY, 0.55),
        ):
            if tissue in parts:
                taken = parts[tissue] * wet * np.float32(share)
                parts[tissue] = parts[tissue] - taken
                parts[Tissue.OEDEMA] = parts[Tissue.OEDEMA] + taken
        soft = width if self.high_grade else max(width, 0.7 * self.edge_mm)
        there = cover(np.minimum(core, depth - 1.5), soft)
        for tissue, part in list(parts.items()):
            parts[tissue] = part * (1.0 - there)
        patches = self.patches.at(points)
        rim = np.float32(self.rim_mm) * (1.0 + 0.45 * patches)
        hollow = cover(core - np.maximum(rim, 0.0), width)
        dead = np.clip((np.float32(2.0 * self.necrosis - 1.0) + 0.6 * patches) * 1.5 + 0.5, 0.0, 1.0)
        parts[Tissue.RIM] = there * (1.0 - hollow)
        parts[Tissue.NECROSIS] = there * hollow * dead
        parts[Tissue.SOLID] = there * hollow * (1.0 - dead)

    def _core(self, points: Points) -> Array:
        """Return the distance to the surface of the core, positive inside."""
        away = sum(
            ((p - np.float32(c)) / np.float32(s)) ** 2
            for p, c, s in zip(points, self.centre, self.stretch, strict=True)
        )
        lobes = np.float32(0.20 * self.radius_mm) * self.lobes.at(points)
        found: Array = np.float32(self.radius_mm) - np.sqrt(away) + lobes
        return found


def labels_of(parts: Mapping[Tissue, Array]) -> Array:
    """Return the label of each voxel, uint8: tumour where it is at least half of the voxel, and then what prevails.

    Grey matter is spared by most oedema; who draws the outline of an oedema draws it over the grey matter inside. So half
    of what oedema leaves of it is counted.
    """
    zero = np.zeros_like(parts[Tissue.WHITE])
    core = np.add.reduce([parts.get(tissue, zero) for tissue in _CORE])
    rim = parts.get(Tissue.RIM, zero)
    wet = parts.get(Tissue.OEDEMA, zero)
    whole = core + wet + 0.5 * np.minimum(parts[Tissue.GREY] + parts.get(Tissue.DEEP_GREY, zero), 2.0 * wet)
    found = np.where(whole >= 0.5, np.uint8(LABELS["oedema"]), np.uint8(0))
    is_core = (whole >= 0.5) & (core >= 0.5 * whole)
    found[is_core] = LABELS["necrotic or non-enhancing core"]
    found[is_core & (rim >= 0.5 * core)] = LABELS["enhancing rim"]
    return found


def draw_tumour(draw: np.random.Generator, head: Head, mix: TumourMix) -> Tumour:
    """Draw a tumour into a head: in the white matter of one hemisphere, above the base of the brain."""
    high = bool(draw.random() < mix.high_grade)
    radius = float(np.clip(draw.normal(mix.radius_mm if high else 1.1 * mix.radius_mm, mix.spread_mm), 7.0, 27.0))
    stretch = np.exp(draw.normal(0.0, 0.16, 3))
    return Tumour(
        high_grade=high,
        centre=_place(draw, head, mix.deep),
        radius_mm=radius,
        stretch=(float(stretch[0]), float(stretch[1]), float(stretch[2])),
        rim_mm=float(np.clip(draw.normal(4.2, 1.0), 2.5, 7.0)) if high else -10.0,
        necrosis=float(np.clip(draw.normal(0.70, 0.25), 0.0, 1.0)) if high else 0.05,
        oedema_mm=float(
            np.clip(draw.normal(13.0, 5.0), 3.0, 26.0) if high else np.clip(draw.normal(4.0, 2.0), 1.0, 9.0)
        ),
        edge_mm=float(draw.uniform(1.5, 4.0) if high else draw.uniform(2.5, 6.0)),
        push=float(draw.uniform(0.35, 0.75) if high else draw.uniform(0.05, 0.35)),
        uptake_per_s=float(draw.uniform(0.45, 1.20)),
        lobes=smooth_field(draw, max(0.9 * radius, 9.0)),
        fingers=smooth_field(draw, 20.0),
        patches=smooth_field(draw, 9.0),
    )


def _place(draw: np.random.Generator, head: Head, deep_mm: float) -> Triple:
    """Draw the centre of a tumour."""
    while True:
        x, y, z = draw.uniform((16.0, -62.0, 2.0), (56.0, 58.0, 46.0))
        side = 1.0 if draw.random() < 0.5 else -1.0
        place = np.array([[side * x], [y], [z]], dtype=np.float32)
        depth = float(head.depth((place[0], place[1], place[2]), np.zeros(1, dtype=np.float32))[0])
        if 13.0 <= depth <= deep_mm:
            return float(side * x), float(y), float(z)
