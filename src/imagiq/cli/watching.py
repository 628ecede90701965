"""Watching a simulation: a table that lives while it runs, or a line for each model that is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from imagiq.clock import Clock, SystemClock
from imagiq.federation import Evaluate, Merge, Train, Work
from imagiq.objects import Digest
from imagiq.simulation import Happening, World

__all__ = ["Lines", "Watcher", "left_in_words"]

BAR = 14
SHOWN_SITES = 24
FEW_SITES = 4
QUIET_S = 10.0
"""In a pipe, how far all is is told at most this often."""
DOING = {Train: "trains", Merge: "merges", Evaluate: "measures"}


@dataclass(slots=True)
class _Row:
    """What a site is doing.

    Attributes:
        title: The site.
        budget: How many updates it makes in all its studies.
        doing: In a word.
        study: For which study.
        commits: How many it has made.
        done: How many updates are committed.
        now: How many of the training that runs are done.
        loss: The newest.
    """

    title: str
    budget: int
    doing: str = "rests"
    study: str = ""
    commits: int = 0
    done: int = 0
    now: int = 0
    loss: str = ""

    @property
    def share(self) -> float:
        """How much of its training is done."""
        return min(1.0, (self.done + self.now) / self.budget) if self.budget else 1.0


@dataclass(frozen=True, slots=True)
class _State:
    """What is known of a running simulation."""

    rows: dict[str, _Row]
    titles: dict[Digest, str]
    updates: dict[Digest, int]

    @classmethod
    def of(cls, world: World) -> Self:
        """Return what is known before anything has happened."""
        studies = world.studies.values()
        rows = {
            site.name: _Row(site.title or site.name, sum(s.steps * s.updates for s in studies if site.name in s.sites))
            for site in world.scenario.sites
        }
        titles = {study.digest: title for title, study in world.studies.items()}
        return cls(rows, titles, {study.digest: study.updates for study in studies})

    @property
    def share(self) -> float:
        """How much of all training is done."""
        budget = sum(row.budget for row in self.rows.values())
        done = sum(min(row.done + row.now, row.budget) for row in self.rows.values())
        return done / budget if budget else 1.0

    def note(self, happening: Happening) -> None:
        """Take in what happened; it may come from any thread."""
        row = self.rows[happening.site]
        study = "" if happening.study is None else self.titles[happening.study]
        if happening.advance is not None:
            row.now = happening.advance.done
            row.loss = row.loss if happening.advance.loss is None else f"{happening.advance.loss:.4f}"
            return
        row.now = 0
        if happening.what == "began":
            row.doing, row.study = _doing(happening.work), study
            return
        row.doing, row.study = ("is down" if happening.what == "crash" else "rests"), ""
        if happening.entry is not None:
            row.commits += 1
            row.loss = str(happening.entry.commit.metrics.get("loss", row.loss))
            if happening.entry.commit.recipe.name == "train" and happening.study is not None:
                row.done += self.updates[happening.study]


class Watcher:
    """A live table of sites; use it as a context, and give :meth:`begin` to the simulation.

    Args:
        console: Where to draw.
        clock: Tells how long it takes.
    """

    def __init__(self, console: Console, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        began_s = self._clock.now_s()
        self._draw: Callable[[], RenderableType] = lambda: _preparing(self._clock.now_s() - began_s)
        # The state is asked for only when it is drawn, not at each of thousands of events.
        self._live = Live(console=console, refresh_per_second=8, transient=True, get_renderable=self.drawn)

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
        state, began_s = _State.of(world), self._clock.now_s()
        self._draw = lambda: _drawn(world, state, self._clock.now_s() - began_s)
        return state.note


def _preparing(passed_s: float) -> Text:
    """Return what is shown before anything can be watched."""
    return Text("" if passed_s < 1.0 else f"reading and preparing the cases, {passed_s:.0f} s", "dim")


def _doing(work: Work | None) -> str:
    return "" if work is None else DOING[type(work)]


def _drawn(world: World, state: _State, passed_s: float) -> Group:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("site", "is doing", "in study"):
        table.add_column(name, min_width=14)
    for name in ("commits", "loss"):
        table.add_column(name, justify="right", min_width=7)
    table.add_column("trained", min_width=BAR + 5)
    table.add_column("left", justify="right", min_width=7)
    for row in list(state.rows.values())[:SHOWN_SITES]:
        style = {"trains": "green", "merges": "magenta", "measures": "cyan", "is down": "red"}.get(row.doing, "dim")
        left = left_in_words(row.share, passed_s)
        cells = (row.study, str(row.commits), row.loss[:6], _bar(row.share), Text(left, "dim"))
        table.add_row(row.title, Text(row.doing, style), *cells)
    now_s = world.clock.now_s()
    left = left_in_words(state.share, passed_s)
    told = f"virtual clock {now_s:6.0f} s" + (f", about {left} left" if left else "")
    if state.share >= 1.0:
        told = f"virtual clock {now_s:6.0f} s, measuring what came of it"
    head = Text.assemble((f"{world.scenario.title}  ", "bold"), (told, "dim"))
    more = len(state.rows) - SHOWN_SITES
    return Group(head, table, Text(f"and {more} more sites" if more > 0 else "", "dim"))


def left_in_words(share: float, passed_s: float) -> str:
    """Return how long something will still take, if it goes on as it began; empty if that cannot be told yet.

    Args:
        share: How much of it is done, from 0 to 1.
        passed_s: How long that took.
    """
    if share <= 0.0 or share >= 1.0 or passed_s < 1.0:
        return ""
    left_s = passed_s * (1 - share) / share
    return (
        f"{left_s:.0f} s" if left_s < 100 else f"{left_s / 60:.0f} min" if left_s < 7200 else f"{left_s / 3600:.1f} h"
    )


def _bar(share: float) -> Text:
    full = round(share * BAR)
    return Text.assemble(("━" * full, "green"), ("━" * (BAR - full), "bright_black"), (f" {share:4.0%}", "dim"))


def _losses(state: _State) -> str:
    """Return the newest loss of each site in a few words; of many sites, none."""
    told = [f"{row.title} {row.loss[:4]}" for row in state.rows.values() if row.loss]
    return f"loss: {', '.join(told)}" if told and len(state.rows) <= FEW_SITES else ""


class Lines:
    """A line for each model that a site has measured, each crash and start, and now and then for how far all is.

    Args:
        say: Prints a line.
        clock: Tells how long it takes.
    """

    def __init__(self, say: Callable[[str], None], clock: Clock | None = None) -> None:
        self._say = say
        self._clock = clock or SystemClock()

    def begin(self, world: World) -> Callable[[Happening], None]:
        """Watch a world that is about to run."""
        sites = {site.name: site.title or site.name for site in world.scenario.sites}
        titles = {study.digest: title for title, study in world.studies.items()}
        width = max(map(len, sites.values()))
        state, began_s = _State.of(world), self._clock.now_s()
        said_s = began_s

        def tell_how_far(happening: Happening) -> None:
            nonlocal said_s
            now_s = self._clock.now_s()
            if now_s - said_s >= QUIET_S and happening.entry is not None:
                said_s = now_s
                left = left_in_words(state.share, now_s - began_s)
                about = f", about {left} left" if left else ""
                for told in (f"{state.share:.0%} of all training is done{about}", _losses(state)):
                    if told:
                        self._say(f"{'':9}  {'':{width}}  {told}")

        def watch(happening: Happening) -> None:
            state.note(happening)
            tell_how_far(happening)
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
