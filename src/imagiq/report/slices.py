"""Slices of patients with the outlines of what is true and what is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagiq.report.png import data_uri, outline
from imagiq.report.values import Picture, Report
from imagiq.report.words import score

__all__ = ["Slice", "SliceRow", "slices"]

SAID = {"best": "Best patient", "median": "Median patient", "worst": "Worst patient"}


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What one way's model draws.

    Attributes:
        way: Its title.
        score: The patient's headline measure, over all of its images.
        outer: Outline of everything that it draws.
        inner: Outlines of the labels inside.
    """

    way: str
    score: str
    outer: str
    inner: str


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A slice of a patient.

    Attributes:
        name: Unique on the page.
        rank: "Best patient", ...
        about: What is to be seen, for those who do not see it.
        image: The grey picture.
        width: Its width in pixels.
        height: Its height in pixels.
        outer: Outline of everything that is true.
        inner: Outlines of the labels inside.
        drawn: What each way draws.
    """

    name: str
    rank: str
    about: str
    image: str
    width: int
    height: int
    outer: str
    inner: str
    drawn: tuple[Drawn, ...]


@dataclass(frozen=True, kw_only=True)
class SliceRow:
    """The slices of one site. ``title``: the site; ``channel``: what they show."""

    title: str
    channel: str
    slices: tuple[Slice, ...]


def slices(report: Report) -> list[SliceRow]:
    """Return the slices of each site, in the report's order of sites."""
    rows: list[SliceRow] = []
    titles = {**{picture.site: picture.site for picture in report.pictures}, **report.titles}
    for site, title in titles.items():
        mine = [picture for picture in report.pictures if picture.site == site]
        if mine:
            shown = tuple(_slices(mine, f"{len(rows)}", title))
            rows.append(SliceRow(title=title, channel=mine[0].channel, slices=shown))
    return rows


def _slices(pictures: Sequence[Picture], prefix: str, title: str) -> Iterator[Slice]:
    for number, picture in enumerate(pictures):
        height, width = picture.image.shape
        outer, inner = _outlines(picture, picture.truth)
        drawn = [_drawn(picture, way) for way in picture.drawn]
        told = "; ".join(f"{one.way} reaches {one.score}" for one in drawn)
        yield Slice(
            name=f"slice-{prefix}-{number}",
            rank=SAID.get(picture.rank, picture.rank),
            about=f"{title}, {picture.rank} patient by {picture.ranked_by}, {picture.channel}: {told}",
            image=data_uri(picture.image),
            width=width,
            height=height,
            outer=outer,
            inner=inner,
            drawn=tuple(drawn),
        )


def _drawn(picture: Picture, way: str) -> Drawn:
    outer, inner = _outlines(picture, picture.drawn[way])
    value = picture.scores.get(way)
    return Drawn(way=way, score="not defined" if value is None else score(value), outer=outer, inner=inner)


def _outlines(picture: Picture, mask: NDArray[np.uint8]) -> tuple[str, str]:
    """Return the outline of all labels together, and of all but the one that takes most room in truth."""
    labels = [number for number in picture.labels.values() if number]
    inner = sorted(labels, key=lambda number: -int((picture.truth == number).sum()))[1:]
    return outline(mask > 0), outline(np.isin(mask, inner)) if inner else ""
