"""``imagiq demo``: four hospitals build a model together, in several ways, in one history."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from imagiq.bench.graph import Node, draw
from imagiq.cli.simulate import console, leave_page, show, watched
from imagiq.errors import Unsupported
from imagiq.federation import Step
from imagiq.objects import Digest
from imagiq.simulation import Happening, Outcome, SitesFolder, World, simulate
from imagiq.simulation.repository import SCENARIO
from imagiq.strategies import BUILT_IN

__all__ = ["command"]

SHOWN_STEPS = 14
GRAPH_WIDTH = 22
STYLES = ("cyan", "yellow", "magenta", "green")
"""One for each hospital in the graph."""


IMAGING = ("torch", "monai", "scipy")
"""What the imaging demo needs beside the core."""
INSTALL = "pip install 'imagiq[learning]'"

INTRODUCTIONS = {
    "brain": (
        "Four hospitals with different scanners learn to draw brain tumours side by side in {ways}. No image leaves its "
        "hospital. The images are phantoms, drawn anew from a seed.\n"
    ),
    "heart": (
        "Cleveland, Budapest, Zürich/Basel and Long Beach predict heart disease side by side in {ways}. No case leaves "
        "its hospital.\n"
    ),
}
USUAL = {
    "brain": (
        "three ways: each alone, in rounds with a server (fedavg), and without anyone ever waiting (latest-of-each)"
    ),
    "heart": (
        "five ways: each alone, in rounds with a server (fedavg), with one model that goes round (cyclic) or visits "
        "each hospital once (incremental), and without anyone ever waiting (latest-of-each)"
    ),
}


def can_learn() -> bool:
    """Tell whether what the imaging demo needs is installed; it is looked for, not loaded."""
    return all(find_spec(name) is not None for name in IMAGING)


@click.command()
@click.argument("which", type=click.Choice(sorted(INTRODUCTIONS)), required=False)
@click.option("--all", "wants_all", is_flag=True, help="Run every strategy that there is, not only the demo's.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to leave the repositories.  [<demo>-demo]")
@click.option("--fresh", is_flag=True, help="Replace what an earlier demo left there.")
@click.option("--seed", type=click.IntRange(min=0), help="Draw everything anew from this number.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.option("--quiet", is_flag=True, help="Do not show what happens meanwhile.")
def command(
    which: str | None,
    folder: Path | None,
    seed: int | None,
    *,
    wants_all: bool,
    fresh: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Watch four hospitals build one model together, in several ways side by side.

    brain: tumours in the images of four simulated scanners, in minutes; the default where PyTorch and MONAI are
    installed. heart: four real hospitals of 1988, in seconds; the default elsewhere.

    Everything runs on this machine: four real sites with their own keys and stores, under a virtual clock. Their
    repositories stay in the folder brain-demo or heart-demo, to look at with the other commands.
    """
    is_lacking = which is None and not can_learn()
    which = _chosen(which)
    on, folder = console(), folder or Path(f"{which}-demo")
    only = list(dict.fromkeys(name for name, _ in BUILT_IN)) if wants_all else None
    if not as_json and not quiet:
        ways = f"every way that there is ({', '.join(only)})" if only else USUAL[which]
        on.print(INTRODUCTIONS[which].format(ways=ways))
    worlds: list[World] = []
    with (
        as_file(files("imagiq.simulation") / f"{which}.toml") as file,
        watched(on, is_silent=as_json or quiet) as watch,
    ):

        def progress(world: World) -> Callable[[Happening], None]:
            worlds.append(world)
            return (lambda _: None) if watch is None else watch(world)

        place = SitesFolder(folder, fresh=fresh, copy=True)
        outcome = simulate(file, folder=place, only=only, seed=seed, progress=progress)
    page = leave_page(place, outcome)
    show(on, outcome, as_json=as_json)
    if as_json:
        return
    _show_graph(on, worlds[0], outcome)
    _show_commands(on, folder, worlds[0])
    on.print(Text.assemble("\nThe report: ", (str(page), "cyan")), soft_wrap=True)
    if is_lacking:
        on.print(
            Text.assemble("\nThere is a demo with images, which needs PyTorch and MONAI: ", (INSTALL, "cyan")),
            soft_wrap=True,
        )


def _chosen(which: str | None) -> str:
    """Return which demo to run.

    Raises:
        Unsupported: the one that was asked for needs what is not installed.
    """
    if which == "brain" and not can_learn():
        missing = ", ".join(name for name in IMAGING if find_spec(name) is None)
        raise Unsupported(
            "learning-not-installed",
            f"The demo 'brain' trains networks; this is not installed: {missing}.",
            f"Install it: {INSTALL}. Without it there is `imagiq demo heart`.",
        )
    return which or ("brain" if can_learn() else "heart")


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
