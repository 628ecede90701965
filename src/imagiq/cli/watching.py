"""Watching a simulation: a table that lives while it runs, or a line for each model that is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from imagiq.federation import Evaluate, Merge, Train, Work
from imagiq.objects import Digest
from imagiq.simulation import Happening, World

__all__ = ["Lines", "Watcher"]

BAR = 14
SHOWN_SITES = 24
DOING = {Train: "trains", Merge: "merges", Evaluate: "measures"}


@dataclass(slots=True)
class _Row:
    """What a site is doing."""

    title: str
    doing: str = "rests"
    study: str = ""
    commits: int = 0
    busy_s: float = 0.0
    loss: str = ""


class Watcher:
    """A live table of sites; use it as a context, and give :meth:`begin` to the simulation.

    Args:
        console: Where to draw.
    """

    def __init__(self, console: Console) -> None:
        self._draw: Callable[[], RenderableType] = lambda: Text("")
        # The state is asked for only when it is drawn, not at each of thousands of events.
        self._live = Live(console=console, refresh_per_second=15, transient=True, get_renderable=self.drawn)

    def __enter__(self) -> Self:
        """Start drawing."""
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop drawing, and leave nothing."""
        self._live.stop()

    def drawn(self) -> RenderableType:
        """Return the table as it is now."""
        return self._draw()

    def begin(self, world: World) -> Callable[[Happening], None]:
        """Watch a world that is about to run."""
        rows = {site.name: _Row(site.title or site.name) for site in world.scenario.sites}
        titles = {study.digest: title for title, study in world.studies.items()}
        self._draw = lambda: _drawn(world, rows)

        def watch(happening: Happening) -> None:
            _note(rows[happening.site], happening, titles)

        return watch


def _note(row: _Row, happening: Happening, titles: dict[Digest, str]) -> None:
    study = "" if happening.study is None else titles[happening.study]
    if happening.what == "began":
        row.doing, row.study = _doing(happening.work), study
        return
    row.doing, row.study = ("is down" if happening.what == "crash" else "rests"), ""
    row.busy_s += happening.took_s
    if happening.entry is not None:
        row.commits += 1
        row.loss = str(happening.entry.commit.metrics.get("loss", row.loss))


def _doing(work: Work | None) -> str:
    return "" if work is None else DOING[type(work)]


def _drawn(world: World, rows: dict[str, _Row]) -> Group:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("site", "is doing", "in study"):
        table.add_column(name, min_width=14)
    for name in ("commits", "loss"):
        table.add_column(name, justify="right", min_width=7)
    table.add_column("busy", min_width=BAR + 5)
    now_s = world.clock.now_s()
    for row in list(rows.values())[:SHOWN_SITES]:
        style = {"trains": "green", "merges": "magenta", "measures": "cyan", "is down": "red"}.get(row.doing, "dim")
        loss = row.loss[:6] if row.loss else ""
        share = min(1.0, row.busy_s / now_s) if now_s else 0.0
        table.add_row(row.title, Text(row.doing, style), row.study, str(row.commits), loss, _bar(share))
    head = Text.assemble((f"{world.scenario.title}  ", "bold"), (f"virtual clock {now_s:6.0f} s", "dim"))
    more = len(rows) - SHOWN_SITES
    return Group(head, table, Text(f"and {more} more sites" if more > 0 else "", "dim"))


def _bar(share: float) -> Text:
    full = round(share * BAR)
    return Text.assemble(("━" * full, "green"), ("━" * (BAR - full), "bright_black"), (f" {share:4.0%}", "dim"))


class Lines:
    """A line for each model that a site has measured, and for each crash and start: for logs and pipes.

    Args:
        say: Prints a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def begin(self, world: World) -> Callable[[Happening], None]:
        """Watch a world that is about to run."""
        sites = {site.name: site.title or site.name for site in world.scenario.sites}
        titles = {study.digest: title for title, study in world.studies.items()}
        width = max(map(len, sites.values()))

        def watch(happening: Happening) -> None:
            study = "" if happening.study is None else titles[happening.study]
            what = ""
            if happening.what in {"crash", "start"}:
                what = {"crash": "has crashed", "start": "has started again"}[happening.what]
            elif happening.what == "failed":
                what = f"{study}: failed to {type(happening.work).__name__.lower()}"
            elif happening.entry is not None and happening.entry.commit.recipe.name == "evaluate":
                metrics = happening.entry.commit.metrics
                said = ", ".join(f"{name} {float(value):.3f}" for name, value in metrics.items())
                what = f"{study}: measured what came of it: {said}"
            if what:
                self._say(f"{happening.at_s:7.0f} s  {sites[happening.site]:{width}}  {what}")

        return watch
