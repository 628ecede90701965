"""Dots with their intervals, a row for each: tables whose middle column is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from imagiq.report.svg import Drawing, span, ticks
from imagiq.report.values import Report, Score, Way
from imagiq.report.words import interval, score, signed, verdict

__all__ = ["Panel", "Row", "colours", "gain_panels", "mean_panel", "most_panels", "site_panels"]

ROW = 26
MARKS = {"better": "▲", "worse": "▼", "alike": "", "": ""}
SAID = {"better": "better", "worse": "worse", "alike": "not to be told from chance", "": ""}
MOST = 12
COLOURS = 7


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a panel.

    Attributes:
        label: What it is about.
        classes: Its colour.
        drawn: The dot and its interval.
        value: The number.
        interval: Its interval in words.
        mark: ▲ or ▼, if it is beyond chance better or worse than going alone.
        said: What the mark says.
        share: The share of the pooled line; empty: not told.
    """

    label: str
    classes: str
    drawn: Markup
    value: str
    interval: str
    mark: str = ""
    said: str = ""
    share: str = ""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A table of dots.

    Attributes:
        title: What it shows.
        note: More of that.
        rows: Its rows.
        axis: The ticks beneath.
        empty: Why there is nothing to show.
    """

    title: str
    note: str = ""
    rows: tuple[Row, ...] = ()
    axis: Markup = field(default_factory=Markup)
    empty: str = ""


def colours(ways: Sequence[Way]) -> dict[str, str]:
    """Return the class of each way's colour: going alone is grey, pooled is ink, others have a hue each."""
    found: dict[str, str] = {}
    for way in ways:
        hues = sum(1 for said in found.values() if said not in {"alone", "pooled"})
        found[way.title] = way.role if way.role != "together" else f"hue{hues % COLOURS}"
    return found


def most_panels(report: Report) -> str:
    """Return in words how many sites have no panel of their own; empty: all have one."""
    beyond = sum(site.takes_part for site in report.sites) - MOST
    return f"{beyond} more sites are not drawn; their numbers stand in the table." if beyond > 0 else ""


def mean_panel(report: Report, kind: str, title: str, note: str) -> Panel | None:
    """Return the means over sites of all ways; None: there are none."""
    if report.headline is None:
        return None
    found = report.scores_of(kind, report.headline.name)
    scores = {one.way: one for one in found.values()}
    return _panel(report, scores, title, note, _domain(scores.values())) if scores else None


def site_panels(report: Report) -> list[Panel]:
    """Return a panel for each site: its own models on its own held-back cases or patients, all on one axis."""
    if report.headline is None:
        return []
    found = report.scores_of("own", report.headline.name)
    domain = _domain([one for one in found.values() if one.counts])
    panels = []
    for site in [site for site in report.sites if site.takes_part][:MOST]:
        scores = {way: one for (way, name, _), one in found.items() if name == site.name}
        note = _cases(site.training, site.held_back)
        if scores and not any(one.counts for one in scores.values()):
            why = f"Too few held-back {report.case}s for its {report.headline.title} to tell anything; it is left out of means."
            panels.append(Panel(title=site.title, note=note, empty=why))
        elif scores:
            panels.append(_panel(report, scores, site.title, note, domain))
    return panels


def _cases(training: int | None, held_back: int | None) -> str:
    parts = [
        *([f"{training} to train on"] if training is not None else []),
        *([f"{held_back} held back"] if held_back is not None else []),
    ]
    return ", ".join(parts)


def _domain(scores: Iterable[Score]) -> tuple[float, float]:
    ends = [end for one in scores for end in (one.value, one.low, one.high) if end is not None]
    return span(ends) if ends else (0.0, 1.0)


def _panel(report: Report, scores: Mapping[str, Score], title: str, note: str, domain: tuple[float, float]) -> Panel:
    """Return a panel of ways. One with a title stands beside others, and has room for few ticks."""
    classes, marks = colours(report.ways), ticks(*domain, most=3 if title else 5)
    pooled = next((scores[way.title] for way in report.ways if way.role == "pooled" and way.title in scores), None)
    rows = []
    for way in report.ways:
        if way.title not in scores:
            continue
        one = scores[way.title]
        said = verdict(one)
        rows.append(
            Row(
                label=way.title,
                classes=classes[way.title],
                drawn=_drawn(one.value, one.low, one.high, domain, marks, None if pooled is None else pooled.value),
                value=score(one.value),
                interval=interval(one.low, one.high) or ("as reported" if one.reported else "too few"),
                mark=MARKS[said],
                said=SAID[said],
                share="" if one.share_of_pooled is None else f"{one.share_of_pooled:.0%}",
            )
        )
    return Panel(title=title, note=note, rows=tuple(rows), axis=_axis(domain, marks))


def gain_panels(report: Report) -> list[Panel]:
    """Return a panel for each way of working together: what each site gains over going alone."""
    if report.headline is None:
        return []
    found = report.scores_of("own", report.headline.name)
    gains = {key: one for key, one in found.items() if one.gain is not None and one.counts}
    ends = [end for one in gains.values() for end in (one.gain, one.gain_low, one.gain_high) if end is not None]
    if not ends:
        return []
    domain = span([0.0, *ends])
    marks, classes = ticks(*domain, most=4), colours(report.ways)
    panels = []
    for way in report.ways:
        mine = [(site, one) for site in report.sites for key, one in gains.items() if key[:2] == (way.title, site.name)]
        if way.role == "alone" or not mine:
            continue
        rows = [_gain(site.title, one, classes[way.title], domain, marks) for site, one in mine[:MOST]]
        note = "only a simulation can draw this line" if way.role == "pooled" else ""
        axis = _axis(domain, marks, is_gain=True)
        panels.append(Panel(title=way.title, note=note, rows=tuple(rows), axis=axis))
    return panels


def _gain(label: str, one: Score, classes: str, domain: tuple[float, float], marks: Sequence[float]) -> Row:
    said = verdict(one)
    gain = one.gain if one.gain is not None else 0.0
    return Row(
        label=label,
        classes=classes,
        drawn=_drawn(gain, one.gain_low, one.gain_high, domain, marks, 0.0, hollow=said not in {"better", "worse"}),
        value=signed(gain),
        interval=interval(one.gain_low, one.gain_high, is_gain=True) or "too few to tell",
        mark=MARKS[said],
        said=SAID[said],
    )


def _drawn(
    value: float,
    low: float | None,
    high: float | None,
    domain: tuple[float, float],
    marks: Sequence[float],
    reference: float | None,
    *,
    hollow: bool = False,
) -> Markup:
    def at(x: float) -> float:
        return (x - domain[0]) / (domain[1] - domain[0])

    drawing = Drawing(ROW)
    for mark in marks:
        drawing.line(at(mark), 0, at(mark), ROW, "grid")
    if reference is not None:
        drawing.line(at(reference), 0, at(reference), ROW, "reference")
    if low is not None and high is not None:
        drawing.line(at(low), ROW / 2, at(high), ROW / 2, "whisker")
    drawing.dot(at(value), ROW / 2, 4.5, "point hollow" if hollow else "point")
    return drawing.markup()


def _axis(domain: tuple[float, float], marks: Sequence[float], *, is_gain: bool = False) -> Markup:
    drawing = Drawing(18)
    digits = max([1, *(len(f"{mark:.6g}".partition(".")[2]) for mark in marks)])
    for mark in marks:
        said = f"{mark:+.{digits}f}" if is_gain and mark else f"{mark:.{digits}f}"
        drawing.text(
            (mark - domain[0]) / (domain[1] - domain[0]), 13, said.replace("-", "\N{MINUS SIGN}"), "tick middle"
        )
    return drawing.markup()
