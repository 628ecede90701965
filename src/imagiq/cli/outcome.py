"""Showing what came of a simulation: tables of at most 100 columns."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Literal

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from imagiq.scoring import Interval
from imagiq.simulation import POOLED, Hospital, Measures, Outcome, SiteResult, Way

__all__ = ["WIDTH", "show_outcome"]

WIDTH = 100
WIDE = 98
"""A terminal that is narrower shows scores without their intervals."""
MOST_COLUMNS = 4
"""With more sites than this a table shows their lowest, middle and highest instead of each."""

Measure = Literal["auc", "accuracy"]


def show_outcome(console: Console, outcome: Outcome) -> None:
    """Print all tables and findings of an outcome."""
    is_wide = console.width >= WIDE
    if len(outcome.hospitals) <= MOST_COLUMNS:
        console.print(_hospitals(outcome.hospitals))
    if any(way.mean.auc is not None for way in outcome.ways):
        console.print(_heading("AUC", "how well a site's model tells its held-back cases apart; 0.5 is chance"))
        console.print(_scores(outcome, "auc", is_wide=is_wide))
    if any(way.mean.accuracy is not None for way in outcome.ways):
        console.print(_heading("Accuracy", "share of held-back cases on the right side of 0.5"))
        console.print(_scores(outcome, "accuracy", is_wide=is_wide))
        console.print(
            Text(
                f"{'Beside each score its 95 % interval over patients. ' if is_wide else ''}▲ better, ▼ worse than alone beyond chance.",
                "dim",
            )
        )
    console.print(
        _heading("What it took", "bytes between sites; virtual seconds, and for how many of them each site was busy")
    )
    console.print(_costs(outcome))
    console.print()
    for sentence in outcome.findings:
        _point(console, sentence, "")
    for sentence in outcome.warnings:
        _point(console, sentence, "yellow")


def _point(console: Console, sentence: str, style: str) -> None:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text("!" if style else "•", style or "dim"), Text(sentence, style))
    console.print(grid)


def _heading(name: str, what: str) -> Padding:
    return Padding(Text.assemble((name, "bold"), f"  {what}"), (1, 0, 0, 0))


def _table(first: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column(first, no_wrap=True)
    return table


def _hospitals(hospitals: Sequence[Hospital]) -> Table:
    table = _table("site")
    for name in ("training cases", "held back", "of them positive", "speed"):
        table.add_column(name, justify="right")
    for hospital in hospitals:
        share = f"{hospital.positive / hospital.held_back:.0%}" if hospital.held_back else "-"
        table.add_row(hospital.title, str(hospital.training), str(hospital.held_back), share, f"{hospital.speed:g}")
    return table


def _scores(outcome: Outcome, measure: Measure, *, is_wide: bool) -> Table:
    table = _table("way")
    few = len(outcome.hospitals) <= MOST_COLUMNS
    for name in [h.title for h in outcome.hospitals] if few else ["lowest site", "middle site", "highest site"]:
        table.add_column(name, no_wrap=True)
    table.add_column("mean", no_wrap=True)
    table.add_column("of pooled", justify="right")
    for way in outcome.lines:
        cells = _each(outcome, way, measure, is_wide=is_wide) if few else _spread(outcome, way, measure)
        share = way.share_of_pooled.get(measure)
        mean = _cell(_of(way.mean, measure), _of(way.gain, measure) if way.gain else None, is_wide=is_wide)
        row_style = "dim" if way.title == POOLED else ""
        table.add_row(way.title, *cells, mean, "" if share is None else f"{share:.1%}", style=row_style)
    return table


def _of(measures: Measures, measure: Measure) -> Interval | None:
    return measures.auc if measure == "auc" else measures.accuracy


def _each(outcome: Outcome, way: Way, measure: Measure, *, is_wide: bool) -> list[Text]:
    results = {result.site: result for result in way.sites}
    cells = []
    for hospital in outcome.hospitals:
        result = results.get(hospital.name)
        if result is None:
            cells.append(Text("-", "dim"))
            continue
        gain = None if result.gain is None else _of(result.gain, measure)
        cell = _cell(_of(result.score, measure), gain, is_wide=is_wide)
        if measure == "auc" and not hospital.auc_tells and result.score.auc is not None:
            cell = Text("tells nothing", "dim")
        cells.append(cell if result.finished else Text.assemble(cell, ("…", "yellow")))
    return cells


def _spread(outcome: Outcome, way: Way, measure: Measure) -> list[Text]:
    telling = {h.name for h in outcome.hospitals if h.auc_tells or measure == "accuracy"}
    scores = [_of(result.score, measure) for result in way.sites if result.site in telling]
    points = sorted(score.point for score in scores if score is not None)
    if not points:
        return [Text("-", "dim")] * 3
    return [Text(f"{point:.3f}") for point in (points[0], median(points), points[-1])]


def _cell(score: Interval | None, gain: Interval | None, *, is_wide: bool) -> Text:
    if score is None:
        return Text("-", "dim")
    mark, style = " ", ""
    if gain is not None and gain.low > 0:
        mark, style = "▲", "green"
    elif gain is not None and gain.high < 0:
        mark, style = "▼", "red"
    interval = f"{_short(score.low)}-{_short(score.high)}" if is_wide else ""
    return Text.assemble(f"{score.point:.3f}", (mark, style), (interval, "dim"))


def _short(part: float) -> str:
    return "1.0" if part > 0.995 else f"{part:.2f}".removeprefix("0")


def _costs(outcome: Outcome) -> Table:
    table = _table("way")
    few = len(outcome.hospitals) <= MOST_COLUMNS
    for name in ("moved", "commits", "took"):
        table.add_column(name, justify="right")
    for name in [h.title for h in outcome.hospitals] if few else ["busiest site", "sites finished"]:
        table.add_column(name, justify="right")
    for way in outcome.ways:
        results = {result.site: result for result in way.sites}
        cells = [_busy(results.get(h.name), way) for h in outcome.hospitals]
        if not few:
            busiest = max(way.sites, key=lambda result: result.busy_s)
            done = sum(result.finished for result in way.sites)
            cells = [_busy(busiest, way), f"{done} of {len(way.sites)}"]
        table.add_row(way.title, _bytes(way.bytes_moved), str(way.commits), f"{way.ended_s:.0f} s", *cells)
    return table


def _busy(result: SiteResult | None, way: Way) -> str:
    if result is None or not way.ended_s:
        return "-"
    return f"{result.busy_s:.0f} s {result.busy_s / way.ended_s:3.0%}"


def _bytes(number: int) -> str:
    if number < 10**6:
        return f"{number / 10**3:.0f} kB"
    return f"{number / 10**6:.1f} MB" if number < 10**9 else f"{number / 10**9:.1f} GB"
