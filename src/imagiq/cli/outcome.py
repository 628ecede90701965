"""Showing what came of a simulation: tables of at most 100 columns."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from imagiq.scoring import FEW, Interval
from imagiq.simulation import POOLED, Hospital, Outcome, SiteResult, Way

__all__ = ["WIDTH", "show_outcome"]

WIDTH = 100
WIDE = 98
"""A terminal that is narrower shows scores without their intervals."""
MOST_COLUMNS = 4
"""With more sites than this a table shows their lowest, middle and highest instead of each."""


def show_outcome(console: Console, outcome: Outcome, *, across: bool = False) -> None:
    """Print all tables and findings of an outcome.

    Args:
        console: Where to.
        outcome: What came of a simulation.
        across: Show how good each site's model is on the cases of all sites, even if there is no unseen one.
    """
    is_wide = console.width >= WIDE
    if len(outcome.hospitals) <= MOST_COLUMNS:
        console.print(_hospitals([*outcome.hospitals, *outcome.unseen]))
    shown = [measure for measure in outcome.measures if not measure.is_part and _is_measured(outcome, measure.name)]
    for measure in shown:
        console.print(_heading(measure.title, measure.what))
        console.print(_scores(outcome, measure.name, is_wide=is_wide))
    if shown:
        console.print(
            Text(
                f"{'Beside each score its 95 % interval over patients. ' if is_wide else ''}▲ better, ▼ worse than alone beyond chance.",
                "dim",
            )
        )
    if shown and (outcome.unseen or across):
        console.print(_heading(f"{shown[0].title} elsewhere", "every site's model on cases that are not its own"))
        console.print(_elsewhere(outcome, shown[0].name, is_wide=is_wide))
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
    return Padding(Text.assemble((name, "bold"), f"  {what}"), (1, 0, 0, 0), expand=False)


def _table(first: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column(first, no_wrap=True)
    return table


def _hospitals(hospitals: Sequence[Hospital]) -> Table:
    table = _table("site")
    has_classes = any(hospital.positive is not None for hospital in hospitals)
    for name in ("training cases", "held back", *(["of them positive"] if has_classes else []), "speed"):
        table.add_column(name, justify="right")
    for hospital in hospitals:
        share = "-" if hospital.positive is None else f"{hospital.positive / hospital.held_back:.0%}"
        cells = [str(hospital.training), str(hospital.held_back), *([share] if has_classes else [])]
        table.add_row(hospital.title, *cells, f"{hospital.speed:g}" if hospital.speed else "takes no part")
    return table


def _scores(outcome: Outcome, measure: str, *, is_wide: bool) -> Table:
    table = _table("way")
    few = len(outcome.hospitals) <= MOST_COLUMNS
    for name in [h.title for h in outcome.hospitals] if few else ["lowest site", "middle site", "highest site"]:
        table.add_column(name, no_wrap=True)
    table.add_column("mean", no_wrap=True)
    table.add_column("of pooled", justify="right")
    for way in outcome.lines:
        cells = _each(outcome, way, measure, is_wide=is_wide) if few else _spread(outcome, way, measure)
        share = way.share_of_pooled.get(measure)
        mean = _cell(way.mean[measure], way.gain[measure] if way.gain else None, is_wide=is_wide)
        row_style = "dim" if way.title == POOLED else ""
        table.add_row(way.title, *cells, mean, "" if share is None else f"{share:.1%}", style=row_style)
    return table


def _is_measured(outcome: Outcome, measure: str) -> bool:
    return any(way.mean[measure] is not None for way in outcome.ways)


def _elsewhere(outcome: Outcome, measure: str, *, is_wide: bool) -> Table:
    table = _table("way")
    if any(way.across is not None for way in outcome.ways):
        table.add_column("across all sites", no_wrap=True)
    if outcome.unseen:
        titles = ", ".join(hospital.title for hospital in outcome.unseen)
        table.add_column(f"unseen: {titles}", no_wrap=True)
    for way in outcome.lines:
        tried = [abroad for abroad in (way.across, way.unseen) if abroad is not None]
        cells = [_cell(a.mean[measure], a.gain[measure] if a.gain else None, is_wide=is_wide) for a in tried]
        table.add_row(way.title, *cells, style="dim" if way.title == POOLED else "")
    return table


def _each(outcome: Outcome, way: Way, measure: str, *, is_wide: bool) -> list[Text]:
    results = {result.site: result for result in way.sites}
    cells = []
    for hospital in outcome.hospitals:
        result = results.get(hospital.name)
        if result is None:
            cells.append(Text("-", "dim"))
            continue
        gain = None if result.gain is None or hospital.held_back < FEW else result.gain[measure]
        cell = _cell(result.score[measure], gain, is_wide=is_wide)
        if measure in hospital.silent and result.score[measure] is not None:
            cell = Text("tells nothing", "dim")
        cells.append(cell if result.finished else Text.assemble(cell, ("…", "yellow")))
    return cells


def _spread(outcome: Outcome, way: Way, measure: str) -> list[Text]:
    telling = {h.name for h in outcome.hospitals if measure not in h.silent}
    scores = [result.score[measure] for result in way.sites if result.site in telling]
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
