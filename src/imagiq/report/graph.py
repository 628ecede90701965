"""The commits of a study as a drawing: time to the right, a lane for each site, a line to each parent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from imagiq.report.dots import colours
from imagiq.report.svg import Drawing, ticks
from imagiq.report.values import Commit, Report, Way
from imagiq.report.words import duration, plural

__all__ = ["Graph", "graphs"]

LANE = 26
FIRST, LAST = 60, 30
"""How many commits are drawn from a study's beginning and from its end, if there are more than both."""
MOST_LANES = 10
SHAPES = {"study": "opens", "train": "trains", "merge": "merges", "evaluate": "measures"}


@dataclass(frozen=True, kw_only=True)
class Graph:
    """The drawn commits of a study.

    Attributes:
        title: The study.
        note: How many commits there are, and which are not drawn.
        lanes: The sites.
        drawn: The drawing.
        height: Its height.
    """

    title: str
    note: str
    lanes: tuple[str, ...]
    drawn: Markup
    height: int


def graphs(report: Report) -> list[Graph]:
    """Return a drawing for each study that has commits."""
    classes = colours(report.ways)
    found = []
    for number, way in enumerate(report.ways):
        every = [one for one in report.commits if one.way == way.title]
        commits = [one for one in every if one.kind in SHAPES]
        if commits:
            found.append(_graph(report, way, commits, classes[way.title], number, others=len(every) - len(commits)))
    return found


def _graph(report: Report, way: Way, commits: Sequence[Commit], classes: str, number: int, *, others: int) -> Graph:
    """Draw a study's commits; ``others``: how many more there are, which made no model and measured none."""
    shown = list(commits) if len(commits) <= FIRST + LAST else [*commits[:FIRST], *commits[-LAST:]]
    names = [site.name for site in report.sites if any(one.site == site.name for one in shown)]
    drawn_names = names[:MOST_LANES]
    shown = [one for one in shown if one.site in drawn_names]
    titles = report.titles
    height = LANE * len(drawn_names) + 22
    places = _places(shown, gap=len(commits) > FIRST + LAST)
    note = plural(len(commits) + others, "commit")
    note += f", {others} of them only {'tells' if others == 1 else 'tell'} of others" if others else ""
    if len(shown) < len(commits):
        note += f"; {len(commits) - len(shown)} of them are not drawn"
        note += f" (the first {FIRST} and the last {LAST} are)" if len(commits) > FIRST + LAST else ""
    drawing = Drawing(
        height, name=f"graph-{number}", title=f"Commits of {way.title}", about=note, classes=f"chart graph {classes}"
    )
    lanes = {name: LANE * (place + 0.5) for place, name in enumerate(drawn_names)}
    for y in lanes.values():
        drawing.line(0, y, 1, y, "grid")
    by_name = {one.commit: one for one in shown}
    for one in shown:
        for parent in one.parents:
            if parent in by_name:
                other = by_name[parent]
                drawing.curve(places[parent], lanes[other.site], places[one.commit], lanes[one.site], "edge")
    for one in shown:
        loss = f", loss {one.metrics['loss']:.3f}" if "loss" in one.metrics else ""
        told = f"{one.commit[:8]} {titles.get(one.site, one.site)} {SHAPES[one.kind]} at {duration(one.at_s)}{loss}"
        radius = {"train": 3.2, "merge": 4.4, "study": 5.0}.get(one.kind, 2.6)
        drawing.dot(places[one.commit], lanes[one.site], radius, f"node {one.kind}", told)
    _mark_times(drawing, shown, places, height)
    return Graph(
        title=way.title,
        note=note,
        lanes=tuple(titles.get(name, name) for name in drawn_names),
        drawn=drawing.markup(),
        height=height,
    )


def _places(shown: Sequence[Commit], *, gap: bool) -> dict[str, float]:
    """Return where commits lie: by time, mixed with their order so that none hides another; a gap where some are left out."""
    times = [one.at_s for one in shown]
    first, last = min(times, default=0.0), max(times, default=0.0)
    found: dict[str, float] = {}
    for order, one in enumerate(shown):
        by_order = (order + (4 if gap and order >= FIRST else 0)) / max(1, len(shown) - 1 + (4 if gap else 0))
        by_time = (one.at_s - first) / (last - first) if last > first else by_order
        found[one.commit] = 0.01 + 0.98 * (by_order if gap else 0.5 * by_order + 0.5 * by_time)
    return found


def _mark_times(drawing: Drawing, shown: Sequence[Commit], places: dict[str, float], height: int) -> None:
    """Write some commits' times beneath them."""
    if not shown:
        return
    for part in ticks(0, len(shown) - 1, most=5):
        one = shown[min(len(shown) - 1, round(part))]
        where = "start" if places[one.commit] < 0.05 else "end" if places[one.commit] > 0.95 else "middle"
        drawing.text(places[one.commit], height - 5, duration(one.at_s), f"tick {where}")
