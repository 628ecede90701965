"""``imagiq demo``: four hospitals build a model together, in several ways, in one history."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from imagiq.bench.graph import Node, draw
from imagiq.cli.simulate import console, leave_page, show, watched
from imagiq.federation import Step
from imagiq.objects import Digest
from imagiq.simulation import Happening, Outcome, SitesFolder, World, simulate
from imagiq.simulation.repository import SCENARIO

__all__ = ["command"]

SHOWN_STEPS = 14
GRAPH_WIDTH = 22
STYLES = ("cyan", "yellow", "magenta", "green")
"""One for each hospital in the graph."""


INTRODUCTIONS = {
    "heart": (
        "Cleveland, Budapest, Zürich/Basel and Long Beach predict heart disease in five ways side by side: each "
        "alone, in rounds with a server (fedavg), with one model that goes round (cyclic) or visits each hospital "
        "once (incremental), and without anyone ever waiting (latest-of-each). No case leaves its hospital.\n"
    ),
    "brain": (
        "Four hospitals with different scanners learn to draw brain tumours in three ways side by side: each alone, in "
        "rounds with a server (fedavg), and without anyone ever waiting (latest-of-each). No image leaves its "
        "hospital. The images are phantoms, and take a moment to make.\n"
    ),
}


@click.command()
@click.argument("which", type=click.Choice(sorted(INTRODUCTIONS)), default="heart")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to leave the repositories.  [<demo>-demo]")
@click.option("--fresh", is_flag=True, help="Replace what an earlier demo left there.")
@click.option("--seed", type=click.IntRange(min=0), help="Draw everything anew from this number.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.option("--quiet", is_flag=True, help="Do not show what happens meanwhile.")
def command(which: str, folder: Path | None, seed: int | None, *, fresh: bool, as_json: bool, quiet: bool) -> None:
    """Watch four hospitals build one model together, in several ways side by side.

    heart, the default: four real hospitals of 1988, five ways, in seconds. brain: tumours in the images of four simulated
    scanners, in minutes; it needs the extra 'learning'.

    Everything runs on this machine: four real sites with their own keys and stores, under a virtual clock. Their
    repositories stay in the folder heart-demo or brain-demo, to look at with the other commands.
    """
    on, folder = console(), folder or Path(f"{which}-demo")
    if not as_json and not quiet:
        on.print(INTRODUCTIONS[which])
    worlds: list[World] = []
    with (
        as_file(files("imagiq.simulation") / f"{which}.toml") as file,
        watched(on, is_silent=as_json or quiet) as watch,
    ):

        def progress(world: World) -> Callable[[Happening], None]:
            worlds.append(world)
            return (lambda _: None) if watch is None else watch(world)

        place = SitesFolder(folder, fresh=fresh, copy=True)
        outcome = simulate(file, folder=place, seed=seed, progress=progress)
    page = leave_page(place, outcome)
    show(on, outcome, as_json=as_json)
    if not as_json:
        _show_graph(on, worlds[0], outcome)
        _show_commands(on, folder, worlds[0])
        on.print(Text.assemble("\nThe report: ", (str(page), "cyan")), soft_wrap=True)


def _show_graph(on: Console, world: World, outcome: Outcome) -> None:
    """Draw how one of the studies began."""
    name = next(iter(world.names))
    bench, titles = world.bench(name), {site.name: site.title for site in world.scenario.sites}
    style = dict(zip(titles, STYLES, strict=False))
    way = outcome.way("latest-of-each")
    steps = list(bench.studies[Digest(str(way.study))])[:SHOWN_STEPS]
    author = {str(step.digest): step.site or name for step in steps}
    nodes = [
        Node(step.digest, tuple(parent.commit for parent in step.commit.parents), author[step.digest])
        for step in sorted(steps, key=lambda step: step.order, reverse=True)
    ]
    by_name = {str(step.digest): step for step in steps}
    on.print(
        Text.assemble(("\nHow latest-of-each began", "bold"), "  the newest commit on top; each stands on those below")
    )
    for row in draw(nodes, width=40):
        line = Text()
        for character, owner in row.cells:
            line.append(character, style.get(owner, ""))
        if row.node:
            step = by_name[row.node]
            line.pad_right(GRAPH_WIDTH - len(line))
            line.append(f"{row.node[:8]} ", "dim")
            line.append(titles[author[row.node]], style.get(author[row.node], ""))
            line.append(f" {_said(step)}")
        on.print(line)


def _said(step: Step) -> str:
    if step.kind == "start":
        return "opens the study with an untrained model"
    if step.kind == "merge":
        return f"merges {len(step.inputs)} {'model' if len(step.inputs) == 1 else 'models'}"
    return f"trains on {step.commit.cases} cases, loss {float(step.commit.metrics['loss']):.3f}"


def _show_commands(on: Console, folder: Path, world: World) -> None:
    """Print what to try on the repositories that are left."""
    site = next(iter(world.names))
    at = f"imagiq -C {folder / site}"
    commands = (
        (f"{at} log --graph", "the whole history"),
        (f"{at} show fedavg", "what came of fedavg"),
        (f"{at} diff alone@{site} fedavg", "and how it differs"),
        (f"{at} verify", "recompute all that can be"),
        (f"{at} checkout fedavg -o fedavg.safetensors", "the model, to use it"),
        (f"imagiq simulate {folder / SCENARIO}", "change it and run it"),
    )
    on.print(Text("\nThe hospitals' repositories are left behind. Try:", "bold"))
    width = max(len(command) for command, _ in commands)
    is_wide = on.width >= width + max(len(why) for _, why in commands) + 4
    for command_line, why in commands:
        said = (f"  {why}", "dim") if is_wide else ""
        on.print(Text.assemble("  ", (f"{command_line:{width}}", "cyan"), said), soft_wrap=True)
