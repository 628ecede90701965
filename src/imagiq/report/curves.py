"""Learning curves: lines over time and over bytes, each with its name at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from imagiq.report.dots import colours
from imagiq.report.svg import Drawing, apart, span, ticks
from imagiq.report.values import Point, Report
from imagiq.report.words import byte_ticks, score, time_ticks

__all__ = ["Chart", "loss_charts", "measure_charts"]

HEIGHT = 240
SMALL = 130
FOOT = 24
LABEL = 15
MOST_LINES = 12
MOST_POINTS = 400
NEAR_END = 0.9
"""A tick beyond this part of the width stands before its place: beside it are the names of the lines."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A drawn chart.

    Attributes:
        title: What it shows.
        drawn: The drawing.
        unit: What lies along x.
    """

    title: str
    drawn: Markup
    unit: str = ""


@dataclass(frozen=True)
class _Line:
    label: str
    classes: str
    points: Sequence[tuple[float, float]]


def measure_charts(report: Report) -> list[Chart]:
    """Return the headline measure over time, and over bytes where these are known."""
    headline = report.headline
    points = [point for point in report.points if headline is not None and point.measure == headline.name]
    if headline is None or not points:
        return []
    classes, pooled = colours(report.ways), _pooled(report)
    charts = []
    for unit, name, place, marks in (
        (f"{report.clock} time", "time", lambda point: point.at_s, time_ticks),
        ("bytes moved between sites", "bytes", lambda point: point.nbytes, byte_ticks),
    ):
        lines = _lines(points, place, lambda point: point.way, classes)
        if lines and max(x for line in lines for x, _ in line.points) > 0:
            drawn = _drawn(
                lines,
                HEIGHT,
                marks,
                name=f"curve-{name}",
                title=f"Mean {headline.title} over {unit}",
                reference=pooled,
            )
            charts.append(Chart(title=f"Mean {headline.title} over {unit}", drawn=drawn, unit=unit))
    return charts


def loss_charts(report: Report) -> list[Chart]:
    """Return the loss of each way's trainings over time, a line for each site."""
    found: dict[str, list[Point]] = {}
    for point in report.points:
        if point.measure == "loss":
            found.setdefault(point.way, []).append(point)
    values = [point.value for points in found.values() for point in points]
    if not values:
        return []
    titles = report.titles
    order = {site.name: f"site{place % 4}" for place, site in enumerate(report.sites)}
    charts = []
    order_of_ways = [way.title for way in report.ways]
    for number, (way, points) in enumerate(sorted(found.items(), key=lambda one: order_of_ways.index(one[0]))):
        lines = _lines(
            points, lambda p: p.at_s, lambda p: titles.get(p.site, p.site), {titles[s]: c for s, c in order.items()}
        )
        drawn = _drawn(
            lines,
            SMALL,
            time_ticks,
            name=f"loss-{number}",
            title=f"Training loss of {way} over {report.clock} time, a line for each site",
            domain=span(values),
        )
        charts.append(Chart(title=way, drawn=drawn))
    return charts


def _pooled(report: Report) -> float | None:
    if report.headline is None:
        return None
    titles = {way.title for way in report.ways if way.role == "pooled"}
    means = report.scores_of("mean", report.headline.name).values()
    return next((one.value for one in means if one.way in titles), None)


def _lines(
    points: Sequence[Point],
    place: Callable[[Point], float | None],
    label: Callable[[Point], str],
    classes: Mapping[str, str],
) -> list[_Line]:
    found: dict[str, list[tuple[float, float]]] = {}
    for point in points:
        x = place(point)
        if x is not None:
            found.setdefault(label(point), []).append((x, point.value))
    return [
        _Line(name, classes.get(name, "hue0"), _thinned(sorted(line, key=lambda one: one[0])))
        for name, line in list(found.items())[:MOST_LINES]
    ]


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    step = -(-len(points) // MOST_POINTS)
    return points if step <= 1 else [*points[::step], points[-1]]


def _drawn(
    lines: Sequence[_Line],
    height: int,
    marks: Callable[..., list[tuple[float, str]]],
    *,
    name: str,
    title: str,
    reference: float | None = None,
    domain: tuple[float, float] | None = None,
) -> Markup:
    values = [y for line in lines for _, y in line.points] + ([] if reference is None else [reference])
    low, high = domain or span(values)
    right = max(x for line in lines for x, _ in line.points) or 1.0
    top, foot = 8.0, float(height - FOOT)

    def at(y: float) -> float:
        return foot - (y - low) / (high - low) * (foot - top)

    about = "; ".join(f"{line.label} ends at {score(line.points[-1][1])}" for line in lines)
    drawing = Drawing(height, name=name, title=title, about=about, classes="chart")
    for mark in ticks(low, high, most=max(3, height // 50)):
        drawing.line(0, at(mark), 1, at(mark), "grid")
        drawing.text(0, at(mark) + 4, f"{mark:.6g}".replace("-", "\N{MINUS SIGN}"), "tick end", dx=-8)
    for mark, said in marks(right, most=3):
        where = "start" if not mark else "end" if mark > NEAR_END * right else "middle"
        drawing.text(mark / right, height - 6, said, f"tick {where}")
    if reference is not None:
        drawing.line(0, at(reference), 1, at(reference), "reference")
        drawing.text(0, at(reference) - 5, "pooled", "tick start", dx=4)
    ends = [at(line.points[-1][1]) for line in lines]
    for line, label_at in zip(lines, apart(ends, least=LABEL, low=top + 4, high=foot + 4), strict=True):
        drawing.path([(x / right, at(y)) for x, y in line.points], f"stroke {line.classes}")
        x, y = line.points[-1]
        drawing.dot(x / right, at(y), 3.5, f"point {line.classes}", f"{line.label}: {score(y)}")
        drawing.text(1, label_at + 4, line.label, f"label {line.classes}", dx=10)
    return drawing.markup()
