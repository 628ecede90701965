"""Who was busy when: for each site a band for each way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from imagiq.report.dots import colours
from imagiq.report.svg import Drawing
from imagiq.report.values import Report, Work
from imagiq.report.words import duration, time_ticks

__all__ = ["Band", "timeline"]

BAND = 14
MOST_SITES = 12
MOST_BARS = 1500
SAID = {"train": "trains", "merge": "merges", "evaluate": "measures", "down": "is down"}


@dataclass(frozen=True, kw_only=True)
class Band:
    """A site's time.

    Attributes:
        title: The site.
        share: For which share of the time it was busy.
        labels: The names of its rows.
        drawn: Its rows.
    """

    title: str
    share: str
    labels: tuple[tuple[str, str], ...]
    drawn: Markup


def timeline(report: Report) -> tuple[list[Band], Markup, str]:
    """Return a band for each site, the axis beneath, and what is not drawn, in words."""
    if not report.work:
        return [], Markup(""), ""
    end_s = max(one.to_s for one in report.work) or 1.0
    classes, ways = colours(report.ways), [way.title for way in report.ways if way.role != "pooled"]
    sites = [site for site in report.sites if site.takes_part]
    budget = MOST_BARS // max(1, min(len(sites), MOST_SITES))
    bands, joined = [], False
    for number, site in enumerate(sites[:MOST_SITES]):
        mine = [one for one in report.work if one.site == site.name]
        shown = _joined(mine, end_s / 400) if len(mine) > budget else mine
        joined = joined or len(shown) < len(mine)
        busy = sum(one.to_s - one.from_s for one in mine if one.kind != "down") / end_s
        drawing = Drawing(
            BAND * len(ways),
            name=f"time-{number}",
            title=f"When {site.title} was busy with which study",
            about=f"Busy for {busy:.0%} of {duration(end_s)}."
            if report.clock == "virtual"
            else "Moments of its commits.",
            classes="chart",
        )
        for place in range(len(ways)):
            drawing.line(0, BAND * (place + 0.5), 1, BAND * (place + 0.5), "grid")
        for one in shown:
            _bar(drawing, one, ways, classes.get(one.way, ""), end_s)
        labels = tuple((way, classes[way]) for way in ways)
        bands.append(
            Band(
                title=site.title,
                share=f"busy {busy:.0%}" if report.clock == "virtual" else "",
                labels=labels,
                drawn=drawing.markup(),
            )
        )
    left_out = len(sites) - MOST_SITES
    words = [f"{left_out} more sites are not drawn."] if left_out > 0 else []
    words += ["Work that followed closely is drawn as one bar."] if joined else []
    return bands, _axis(end_s), " ".join(words)


def _bar(drawing: Drawing, one: Work, ways: Sequence[str], classes: str, end_s: float) -> None:
    said = f"{one.way or 'the site'} {SAID.get(one.kind, one.kind)}{', and fails' if one.failed else ''}"
    said = f"{said}: {duration(one.from_s)} to {duration(one.to_s)}"
    first, last = one.from_s / end_s, one.to_s / end_s
    if one.kind == "down":
        drawing.bar(first, last, 0, BAND * len(ways), "down", said)
    elif one.way in ways:
        kind = "failed" if one.failed else "work" if one.kind == "train" else "work faint"
        drawing.bar(first, last, BAND * ways.index(one.way) + 2, BAND - 4, f"{kind} {classes}", said)


def _joined(work: Sequence[Work], gap_s: float) -> list[Work]:
    """Return work with what follows closely taken together."""
    found: dict[tuple[str, str, bool], list[Work]] = {}
    for one in sorted(work, key=lambda each: each.from_s):
        line = found.setdefault((one.way, one.kind, one.failed), [])
        if line and one.from_s - line[-1].to_s <= gap_s:
            last = line.pop()
            one = Work(  # noqa: PLW2901 - the two together
                site=one.site,
                way=one.way,
                kind=one.kind,
                from_s=last.from_s,
                to_s=max(one.to_s, last.to_s),
                failed=one.failed,
            )
        line.append(one)
    return [one for line in found.values() for one in line]


def _axis(end_s: float) -> Markup:
    drawing = Drawing(20)
    for mark, said in time_ticks(end_s, most=5):
        drawing.text(mark / end_s, 14, said, f"tick {'start' if not mark else 'middle'}")
    return drawing.markup()
