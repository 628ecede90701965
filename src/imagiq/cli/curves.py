"""Drawing the curves of a study in a terminal: a row for each site, and how a measure goes from training to training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from imagiq.bench import Checks
from imagiq.bench.repository import open_repository
from imagiq.cli.printing import escaped, measured, rounded, width
from imagiq.federation import Study
from imagiq.site.agenda import pick_study
from imagiq.site.curves import Curve, curves_of

__all__ = ["print_curves", "watch_curves"]

LEVELS: Final = "▁▂▃▄▅▆▇█"
WIDE: Final = 32
LOOK_EVERY_S: Final = 0.5


def print_curves(study: Study, curves: Sequence[Curve], metric: str) -> None:
    """Print them once."""
    Console(width=width(), highlight=False).print(_drawn(study, curves, metric))


def watch_curves(path: Path, name: str, metric: str) -> None:
    """Draw them until somebody stops it, whatever other process works there meanwhile."""
    checks, journal = Checks(), path / ".imagiq" / "journal"
    shown: tuple[int, int] | None = None
    drawing = Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="crop")
    with suppress(KeyboardInterrupt), drawing as live:
        while True:
            status = journal.stat()
            if (status.st_size, status.st_mtime_ns) != shown:
                shown = (status.st_size, status.st_mtime_ns)
                bench = open_repository(path, checks=checks)
                study = pick_study(bench, name)
                live.update(_drawn(study, curves_of(bench, study), metric), refresh=True)
            Event().wait(LOOK_EVERY_S)


def _drawn(study: Study, curves: Sequence[Curve], metric: str) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("site", "steps", metric):
        table.add_column(name, no_wrap=True)
    table.add_column("now", justify="right")
    table.add_column("measured on its own held-back cases")
    every = [value for curve in curves for value in curve.values(metric)]
    low, high = min(every, default=0.0), max(every, default=0.0)
    for curve in curves:
        values, made = curve.values(metric), len(curve.of_kind("train"))
        style = "green" if made >= study.steps else ""
        last = curve.of_kind("evaluate")
        table.add_row(
            escaped(curve.site),
            Text(f"{made:>{len(str(study.steps))}} of {study.steps}", style),
            Text(sparkline(_thinned(values, WIDE), low, high), "cyan"),
            rounded(values[-1]) if values else "",
            measured({name: str(value) for name, value in last[-1].metrics.items()}) if last else "",
        )
    spread = f"{metric} from {rounded(low)} to {rounded(high)}" if every else f"no {metric} yet"
    head = Text.assemble(
        (escaped(study.title), "bold"), (f"  {study.strategy.name}, {study.task.name}; {spread}", "dim")
    )
    return Group(head, table)


def sparkline(values: Iterable[float], low: float, high: float) -> str:
    """Return values as a line of bars between two ends."""
    if high <= low:
        return "".join(LEVELS[0] for _ in values)
    steps = len(LEVELS) - 1
    return "".join(LEVELS[round((min(max(value, low), high) - low) / (high - low) * steps)] for value in values)


def _thinned(values: Sequence[float], most: int) -> Sequence[float]:
    """Return at most so many values: the first, the last, and evenly chosen ones between."""
    if len(values) <= most:
        return values
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]
