"""A comparison as a page of the documentation: tables in Markdown, and a figure in SVG that needs no style sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from markupsafe import Markup

from imagiq.report.svg import Drawing, span, ticks
from science.kept import Kept
from science.paired import Compared, Stated, strata

__all__ = ["figure", "of_runs", "pairs_table", "sites_table", "ways_table"]

ROW = 30
STYLE = """
svg.figure { font: 13px system-ui, sans-serif; background: #fff }
text { fill: #222; dominant-baseline: middle }
text.end { text-anchor: end }
text.middle { text-anchor: middle; fill: #666 }
line.grid { stroke: #ddd }
line.interval { stroke: #2b6cb0; stroke-width: 3; stroke-linecap: round }
circle { fill: #2b6cb0 }
line.pooled { stroke: #b7791f; stroke-width: 3; stroke-linecap: round }
circle.pooled { fill: #b7791f }
"""


def ways_table(compared: Compared, *, alone: str, pooled: str) -> Iterator[str]:
    """Yield the lines of a table: each way beside pooled training and beside going alone."""
    yield f"| way | Dice | part of {pooled} | over {alone} |"
    yield "|---|---|---|---|"
    for way in compared.ways:
        share = "" if way == pooled else compared.share(way, pooled).percent
        gain = "" if way == alone else compared.difference(way, alone).signed
        yield f"| {way} | {compared.value(way)} | {share} | {gain} |"


def pairs_table(compared: Compared) -> Iterator[str]:
    """Yield the lines of a table of all pairs, and whether they can be told apart."""
    yield "| better | than | by | told apart |"
    yield "|---|---|---|---|"
    for better, worse, difference in compared.pairs():
        yield f"| {better} | {worse} | {difference.signed} | {'yes' if difference.low > 0 else 'no'} |"


def sites_table(runs: Sequence[Kept], *, join: bool = False) -> Iterator[str]:
    """Yield the lines of a table: each hospital's own patients, by the model that it ends up with in each way."""
    ways = list(runs[0].dice)
    yield f"| hospital | patients | {' | '.join(ways)} |"
    yield f"|---|---|{'---|' * len(ways)}"
    for place in runs[0].sites:
        compared = Compared(strata(runs, where="own", join=join, only=place), by="patient")
        values = [f"{compared.value(way).point:.3f}" for way in ways]
        yield f"| {place} | {compared.patients} | {' | '.join(values)} |"


def of_runs(runs: Sequence[Kept]) -> Iterator[str]:
    """Yield what the runs took, and with what."""
    total_s, most_s = sum(run.cpu_s for run in runs), max(run.cpu_s for run in runs)
    versions = ", ".join(f"{name} {number}" for name, number in runs[0].versions.items())
    yield (
        f"{len(runs)} runs ({', '.join(run.name for run in runs)}) of {runs[0].updates} optimiser updates of each hospital "
        f"in each way took {total_s:.0f} processor seconds, the longest {most_s:.0f}. {versions}."
    )


def figure(place: Path, compared: Compared, *, title: str, pooled: str) -> None:
    """Write a dot and its interval for each way."""
    values = {way: compared.value(way) for way in compared.ways}
    low, high = span([end for value in values.values() for end in (value.low, value.high)])
    height = ROW * (len(values) + 2)
    drawing = Drawing(height, name="ways", title=title, about="; ".join(f"{w} {v}" for w, v in values.items()))

    def along(value: float) -> float:
        return 0.2 + 0.52 * (value - low) / (high - low)

    for tick in ticks(low, high):
        drawing.line(along(tick), ROW, along(tick), height - ROW, "grid")
        drawing.text(along(tick), height - ROW / 2, f"{tick:g}", "middle")
    drawing.text(0.46, ROW / 2, title, "middle")
    for number, (way, value) in enumerate(values.items(), start=1):
        _dot(drawing, along, ROW * (number + 0.5), way, value, "pooled" if way == pooled else "interval")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" class="figure" width="760" height="{}" viewBox="0 0 760 {}">'
            "<style>{}</style>{}</svg>\n"
        ).format(height, height, Markup(STYLE), drawing.markup()),  # noqa: S704 - written above
        encoding="utf-8",
    )


def _dot(drawing: Drawing, along: Callable[[float], float], y: float, way: str, value: Stated, classes: str) -> None:
    drawing.text(0.18, y, way, "end")
    drawing.line(along(value.low), y, along(value.high), y, classes)
    drawing.dot(along(value.point), y, 5, classes)
    drawing.text(0.76, y, str(value))
