"""``imagiq simulate``: run a federation on this machine, under a virtual clock, and compare strategies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from imagiq.cli.outcome import WIDTH, show_outcome
from imagiq.cli.printing import as_document
from imagiq.cli.report import render
from imagiq.cli.watching import Lines, Watcher
from imagiq.report.folder import PAGE
from imagiq.simulation import Happening, Outcome, SitesFolder, World, replay, report_of, simulate

__all__ = ["command", "console", "leave_page", "show", "watched"]


def console() -> Console:
    """Return the console to print on: at most 100 columns, colours only where they are wanted."""
    given = Console(highlight=False)
    return Console(highlight=False, width=min(WIDTH, given.width) if given.is_terminal else WIDTH)


@contextmanager
def watched(on: Console, *, is_silent: bool) -> Iterator[Callable[[World], Callable[[Happening], None]] | None]:
    """Give what watches a simulation: a live table on a terminal, lines elsewhere, nothing if ``is_silent``."""
    if is_silent:
        yield None
    elif on.is_terminal:
        with Watcher(on) as watcher:
            yield watcher.begin
    else:
        yield Lines(lambda line: on.print(line, markup=False, soft_wrap=True)).begin


def show(on: Console, outcome: Outcome, *, as_json: bool, across: bool = False) -> None:
    """Print an outcome."""
    if as_json:
        click.echo(as_document(outcome.to_json()))
    else:
        show_outcome(on, outcome, across=across)


def leave_page(folder: SitesFolder, outcome: Outcome) -> Path:
    """Write the report's page beside the sites; return its path."""
    folder.write(PAGE, render(report_of(outcome)).encode())
    return folder.path / PAGE


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--strategy", metavar="A,B,C", help="Run these studies, by title or strategy, instead of the file's.")
@click.option("--seed", type=click.IntRange(min=0), help="Instead of the file's seed.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FOLDER", help="Leave each site's repository there.")
@click.option("--fresh", is_flag=True, help="Replace what an earlier simulation left in the folder.")
@click.option("--replay", "journal", type=click.Path(path_type=Path), metavar="JOURNAL", help="Play a journal back.")
@click.option("--pictures", is_flag=True, help="Put slices of patients into the report; --out is needed.")
@click.option("--across", is_flag=True, help="Show each model on the held-back cases of all sites, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.option("--quiet", is_flag=True, help="Do not show what happens meanwhile.")
def command(  # noqa: PLR0913 - one for each option
    file: Path,
    strategy: str | None,
    seed: int | None,
    out: Path | None,
    journal: Path | None,
    *,
    fresh: bool,
    pictures: bool,
    across: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Simulate the federation that FILE (TOML) describes: real sites, a virtual clock, faults.

    The same seed gives the same history to the byte. With --replay, the journal that a simulation left is played back,
    and it is an error if other bytes come out.
    """
    if journal is not None and (strategy is not None or seed is not None or out is not None):
        raise click.UsageError("--replay takes strategies and seed from the journal; leave out the other options.")
    on = console()
    folder = None if out is None else SitesFolder(out, fresh=fresh)
    only = None if strategy is None else [name.strip() for name in strategy.split(",") if name.strip()]
    with watched(on, is_silent=quiet or as_json) as progress:
        if journal is not None:
            outcome = replay(journal, file, progress=progress)
        else:
            outcome = simulate(file, only=only, seed=seed, folder=folder, progress=progress, pictures=pictures)
    page = None if folder is None or journal is not None else leave_page(folder, outcome)
    show(on, outcome, as_json=as_json, across=across)
    if as_json:
        return
    if journal is not None:
        on.print(f"\nReplayed: the same bytes came out at all {len(outcome.histories)} sites.")
    elif out is not None:
        site = outcome.hospitals[0].name
        on.print(f"\nTry: imagiq -C {out / site} log --graph", soft_wrap=True)
        on.print(f"The report: {page}", soft_wrap=True)
