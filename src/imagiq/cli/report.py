"""``imagiq report``: one page that says what was done, and which way of working together was worth it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagiq.cli.printing import as_document, say
from imagiq.clock import SystemClock
from imagiq.errors import Unreachable
from imagiq.report import csv_of, report_as_json, tables_of
from imagiq.report.folder import PAGE, read_report

if TYPE_CHECKING:
    from imagiq.report import Report

__all__ = ["command", "render"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help=f"Where to write the page.  [default: {PAGE}]")
@click.option(
    "--csv", "tables", type=click.Path(path_type=Path), metavar="DIR", help="Write every number there as CSV."
)
@click.option("--json", "as_json", is_flag=True, help="Print every number as JSON; no page unless -o is given.")
@click.pass_obj
def command(place: Path, folder: Path | None, output: Path | None, tables: Path | None, *, as_json: bool) -> None:
    """Make the report of FOLDER: of a simulation that was left there, or of a site's repository.

    It is one HTML file that needs no network. Without FOLDER it is the folder in which one stands.
    """
    report = read_report(folder if folder is not None else place)
    written = []
    if output is not None or not (as_json or tables is not None):
        target = output or Path(PAGE)
        write(target, render(report))
        written.append(target)
    if tables is not None:
        for table in tables_of(report):
            write(tables / f"{table.name}.csv", csv_of(table))
            written.append(tables / f"{table.name}.csv")
    if as_json:
        click.echo(as_document({"command": "report", **report_as_json(report, pictures=False)}))
        return
    for path in written:
        say(f"Wrote {path}")


def render(report: Report) -> str:
    """Return the page of a report, made now."""
    from imagiq.report.page import page  # noqa: PLC0415 - what prints no page does without a template engine

    return page(report, made=SystemClock().utc()[:10])


def write(path: Path, text: str) -> None:
    """Write a file, and the folder that it lies in if that is missing.

    Raises:
        Unreachable: the disk does not allow it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise Unreachable(
            "file-write", f"{path} cannot be written: {error.strerror}.", "Name another place, or make room."
        ) from error
