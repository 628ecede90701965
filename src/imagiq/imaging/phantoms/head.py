"""A head: its layers, the folds of its cortex, what lies deep, and how all that differs from patient to patient."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from imagiq.imaging.phantoms.shapes import (
    Array,
    Field,
    Points,
    Triple,
    band_field,
    capsule,
    cover,
    ellipsoid,
    sheets_of,
    smooth_field,
    turned,
)
from imagiq.imaging.phantoms.tissues import Tissue

__all__ = ["Head", "draw_head"]

CENTRE: Final[Triple] = (0.0, -4.0, 6.0)
"""Middle of the cerebrum; the origin lies between the foramina, on the line of the commissures."""

CORTEX_MM: Final = 2.8

_AGED: Final = 50.0
"""Years after which atrophy and bright spots of white matter begin to show."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """What distinguishes one head from another.

    Attributes:
        age: In years.
        atrophy: 0 in the young to about 1.
        half_axes: Of the cerebrum, in mm: right, anterior, superior.
        taper: How much narrower the forehead is than the back, as a part.
        ventricles: Size of the ventricles, 1 at 40 years.
        scalp_mm: Thickness of the fat under the skin.
        skull_mm: Thickness of the skull.
        spots: How much of the white matter near the ventricles is bright on FLAIR, 0 to 1.
        sulci: Distance to the middle of the nearest sulcus, on the surface.
        depths: How deep sulci go.
        bends: How the head departs from symmetry, three fields.
        patches: Texture of white matter.
    """

    age: float
    atrophy: float
    half_axes: Triple
    taper: float
    ventricles: float
    scalp_mm: float
    skull_mm: float
    spots: float
    sulci: Field
    depths: Field
    bends: tuple[Field, Field, Field]
    patches: Field

    def uneven(self, points: Points) -> Array:
        """Return by how much the surface of the cerebrum departs from its plain shape near points, in mm."""
        return np.float32(0.8) * self.bends[0].at(points)

    def depth(self, points: Points, uneven: Array) -> Array:
        """Return how deep points lie under the surface of the cerebrum; negative outside."""
        x, y, z = points
        narrow = 1.0 + np.float32(self.taper) * np.clip((y - np.float32(CENTRE[1])) / 80.0, -1.0, 1.0)
        flat = x * narrow, y, np.where(z < CENTRE[2], (z - CENTRE[2]) * np.float32(0.75) + CENTRE[2], z)
        return ellipsoid(flat, CENTRE, self.half_axes) + uneven

    def bent(self, points: Points, amount_mm: float = 2.2) -> Points:
        """Return where points would lie in a symmetric head."""
        moved = [p + np.float32(amount_mm) * bend.at(points) for p, bend in zip(points, self.bends, strict=True)]
        return moved[0], moved[1], moved[2]

    def tissues(self, points: Points, depth: Array, pushed: Points, moved: Array, width: float) -> dict[Tissue, Array]:
        """Return the part of each tissue at points.

        Args:
            points: Where to look.
            depth: How deep that lies.
            pushed: Where it lay before a tumour pushed it away.
            moved: How deep that was.
            width: Size of a voxel, over which surfaces are soft.
        """
        parts = self._layers(points, depth, width)
        inside = cover(depth, width)
        place = self.bent(pushed)
        surface = self._pia(place, moved)
        fluid = 1.0 - cover(surface, width)
        white = cover(surface - CORTEX_MM, width)
        parts[Tissue.CSF] = parts[Tissue.CSF] + inside * fluid
        parts[Tissue.GREY] = inside * (1.0 - fluid - white)
        parts[Tissue.WHITE] = inside * white
        self._falx(parts, points, depth, width)
        self._deep(parts, place, inside, width)
        return parts

    def _layers(self, points: Points, depth: Array, width: float) -> dict[Tissue, Array]:
        """Return what lies around the cerebrum."""
        x, y, z = points
        fluid = 1.0 + 1.6 * self.atrophy
        temple = np.exp(-(((np.abs(x) - 62.0) / 22.0) ** 2) - ((y - 22.0) / 26.0) ** 2 - ((z + 8.0) / 26.0) ** 2)
        muscle = np.float32(11.0) * temple.astype(np.float32)
        table = 0.27 * self.skull_mm
        out = -depth
        bounds = [fluid, fluid + 0.8]
        bounds += [bounds[1] + table, bounds[1] + self.skull_mm - table, bounds[1] + self.skull_mm]
        beyond = [cover(out - np.float32(bound), width) for bound in (0.0, *bounds)]
        reach = out - np.float32(bounds[-1]) - muscle
        beyond += [cover(reach - np.float32(thick), width) for thick in (0.0, self.scalp_mm, self.scalp_mm + 1.8)]
        steps = [first - second for first, second in pairwise(beyond)]
        return {
            Tissue.CSF: steps[0],
            Tissue.DURA: steps[1],
            Tissue.BONE: steps[2] + steps[4],
            Tissue.MARROW: steps[3],
            Tissue.MUSCLE: steps[5],
            Tissue.FAT: steps[6],
            Tissue.SKIN: steps[7],
        }

    def _pia(self, points: Points, depth: Array) -> Array:
        """Return the distance to the surface of the cortex; negative in the fluid of sulci and fissures."""
        x, y, z = points
        wide = np.abs(x)
        rough = self.depths.at(points)
        slack = np.float32(0.25 + 0.9 * self.atrophy) + np.float32(0.45) * rough
        level = np.maximum(1.0 - depth / np.float32(75.0), 0.3) ** np.float32(0.6)
        spot = [
            (p - np.float32(c)) / level + np.float32(c) + np.float32(2.5) * rough
            for p, c in zip(points, CENTRE, strict=True)
        ]
        aside = np.abs(self.sulci.at((spot[0], spot[1], spot[2]))) * level
        sulcus = np.hypot(aside, np.maximum(depth - np.clip(16.0 + 6.0 * rough, 5.0, 26.0), 0.0)) - slack
        arch = -ellipsoid((x * 0.0, y, z), (0.0, -3.0, 5.0), (1.0e3, 42.0, 27.0))
        between = np.hypot(wide, 2.0 * np.maximum(-arch, 0.0))
        inner = np.abs(self.sulci.at((x + np.float32(7.0), y, z)))
        medial = np.hypot(inner, np.maximum(between - np.clip(9.0 + 4.0 * rough, 2.0, 15.0), 0.0)) - slack
        curve = 37.0 - ((y - 2.0) / 22.0) ** 2 * 4.0 + 1.5 * rough
        insula = np.sqrt(
            (wide - curve) ** 2
            + np.maximum(np.abs(y - 1.0) - 16.0, 0.0) ** 2
            + np.maximum(np.abs(z - 3.0) - 11.0, 0.0) ** 2
        ) - np.float32(0.5 + 1.2 * self.atrophy)
        plane = (0.5 * y + z - 5.0) * np.float32(1.0 / 1.118) + np.float32(2.0) * rough
        lateral = np.sqrt(
            np.maximum(curve - wide, 0.0) ** 2 + plane**2 + np.maximum(np.abs(y + 3.0) - 25.0, 0.0) ** 2
        ) - np.float32(0.4 + 1.2 * self.atrophy)
        fissure = between - np.float32(0.6 + 0.8 * self.atrophy)
        found: Array = np.minimum.reduce([depth, sulcus, medial, fissure, insula, lateral])
        return found.astype(np.float32)

    def _falx(self, parts: dict[Tissue, Array], points: Points, depth: Array, width: float) -> None:
        """Put the falx into the fluid between the hemispheres, and the sagittal sinus at its back and top."""
        x, y, z = points
        high = np.clip((np.hypot(y + 3.0, (z - 5.0) * 1.5) - 50.0) / 6.0, 0.0, 1.0)
        falx = parts[Tissue.CSF] * np.clip(0.6 / width, 0.0, 1.0) * (np.abs(x) < 0.5 * width + 0.3) * high
        parts[Tissue.CSF] = parts[Tissue.CSF] - falx
        parts[Tissue.DURA] = parts[Tissue.DURA] + falx
        sinus = cover(np.float32(3.4) - np.hypot(x, np.minimum(depth + 1.5, 6.0)), width)
        sinus = sinus * ((y < -25.0) | (z > 45.0)).astype(np.float32)
        _replace(parts, {Tissue.VESSEL: sinus})

    def _deep(self, parts: dict[Tissue, Array], points: Points, inside: Array, width: float) -> None:
        """Put nuclei, ventricles and spots into the white matter."""
        x, y, z = points
        half = np.abs(x), y, z
        ventricle = self._ventricles(half)
        nuclei = [
            ellipsoid(half, (12.5, 17.0, 8.0), (5.0, 9.5, 9.0)),
            ellipsoid(half, (16.0, -2.0, 18.0), (3.2, 16.0, 4.0)),
            ellipsoid(turned(half, (25.0, 2.0, 2.0), 14.0), (25.0, 2.0, 2.0), (6.0, 15.5, 11.0)),
            ellipsoid(turned(half, (10.5, -15.0, 6.0), 24.0), (10.5, -15.0, 6.0), (7.5, 14.0, 9.5)),
        ]
        deep = cover(np.maximum.reduce(nuclei), width)
        pale = cover(ellipsoid(turned(half, (19.0, 0.0, 0.0), 20.0), (19.0, 0.0, 0.0), (4.5, 10.0, 8.0)), width)
        grey = inside * np.maximum(deep, pale)
        ash = np.float32(0.55) * pale
        _replace(parts, {Tissue.DEEP_GREY: grey * (1.0 - ash), Tissue.WHITE: grey * ash})
        if self.spots > 0.0:
            near = np.exp(-(np.maximum(-ventricle, 0.0) ** 2) / np.float32(2.0 * 5.5**2))
            wish = 0.9 * self.patches.at(points) + 2.7 * near + 1.7 * self.spots
            spots = parts[Tissue.WHITE] * np.clip((wish - 3.3) / 0.5, 0.0, 1.0)
            parts[Tissue.AGED_WHITE] = spots.astype(np.float32)
            parts[Tissue.WHITE] = parts[Tissue.WHITE] - parts[Tissue.AGED_WHITE]
        fluid = inside * cover(ventricle, width)
        plexus = fluid * cover(ellipsoid(half, (23.0, -37.0, 11.0), (1.7, 5.0, 3.2)), width)
        _replace(parts, {Tissue.CSF: fluid - plexus, Tissue.CHOROID: plexus})

    def _ventricles(self, half: Points) -> Array:
        """Return the distance to the ventricles, positive inside."""
        v = float(np.sqrt(self.ventricles))
        tall = half[0], half[1], (half[2] - 14.0) * np.float32(0.6) + 14.0
        horns = [
            capsule(tall, (14.5, 33.0, 11.0), (6.0, 21.0, 13.0), (1.8 * v, 3.6 * v)),
            capsule(tall, (6.0, 21.0, 13.0), (5.5, 2.0, 16.0), (3.6 * v, 3.4 * v)),
            capsule(tall, (5.5, 2.0, 16.0), (13.0, -22.0, 17.0), (3.6 * v, 4.2 * v)),
            capsule(half, (13.0, -22.0, 19.0), (23.0, -38.0, 12.0), (5.0 * v, 6.2 * v)),
            capsule(half, (24.0, -38.0, 11.0), (23.0, -58.0, 6.0), (6.0 * v, 2.5 * v)),
            capsule(half, (24.0, -38.0, 11.0), (33.0, -22.0, -8.0), (5.0 * v, 2.5 * v)),
        ]
        lateral = np.minimum(np.maximum.reduce(horns), half[0] - np.float32(0.7))
        third = ellipsoid(half, (0.0, -10.0, -1.0), (1.6 * v * v + 0.4, 13.0, 11.0))
        found: Array = np.maximum(lateral, third)
        return found


def _replace(parts: dict[Tissue, Array], new: dict[Tissue, Array]) -> None:
    """Put tissues in the place of whatever is there."""
    total: Array = np.minimum(np.add.reduce(list(new.values())), np.float32(1.0))
    for tissue, part in list(parts.items()):
        parts[tissue] = part * (1.0 - total)
    for tissue, part in new.items():
        parts[tissue] = parts[tissue] + part if tissue in parts else part


def draw_head(draw: np.random.Generator) -> Head:
    """Draw a head."""
    age = float(np.clip(draw.normal(56.0, 14.0), 22.0, 85.0))
    atrophy = float(np.clip((age - _AGED) / 35.0 + draw.normal(0.0, 0.18), 0.0, 1.1))
    ventricles = float(np.clip(1.0 + 0.9 * atrophy + draw.normal(0.0, 0.28), 0.45, 2.6))
    spread = draw.normal(0.0, 1.0, 6)
    return Head(
        age=age,
        atrophy=atrophy,
        half_axes=(67.0 + 2.2 * float(spread[0]), 84.0 + 3.0 * float(spread[1]), 67.0 + 2.2 * float(spread[2])),
        taper=float(0.09 + 0.02 * spread[3]),
        ventricles=ventricles,
        scalp_mm=float(np.clip(3.5 + 1.2 * spread[4], 2.2, 8.0)),
        skull_mm=float(np.clip(7.0 + 0.9 * spread[5], 5.0, 9.5)),
        spots=float(np.clip((age - 45.0) / 45.0 + draw.normal(0.0, 0.3), 0.0, 1.0)),
        sulci=sheets_of(band_field(draw, 11.5), 12.0),
        depths=smooth_field(draw, 20.0),
        bends=(smooth_field(draw, 45.0), smooth_field(draw, 45.0), smooth_field(draw, 45.0)),
        patches=smooth_field(draw, 6.0),
    )
