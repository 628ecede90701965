"""``imagiq evaluate``: what a commit's model reaches on cases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from imagiq.bench.names import resolve
from imagiq.bench.place import find
from imagiq.bench.repository import open_repository
from imagiq.cli.printing import as_document, columns, escaped, painted, say
from imagiq.errors import NotFound
from imagiq.learning import Resources
from imagiq.scoring import Interval
from imagiq.site.evaluating import PARTS, Evaluated, Evaluation, evaluate, grid_for
from imagiq.site.home import find_home
from imagiq.site.sources import SiteCases, cases_at

__all__ = ["command"]


@click.command()
@click.argument("commit")
@click.option(
    "--cases",
    "source",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="A TOML file with [data], or a folder of NIfTI pairs, all of which are used. Default: this home's own cases.",
)
@click.option("--site", "sites", multiple=True, metavar="NAME", help="Only the cases of this site; may be repeated.")
@click.option("--part", type=click.Choice(PARTS), help="Which of the cases.  [default: held-back; all of a folder]")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, or auto.")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(
    folder: Path,
    commit: str,
    source: Path | None,
    sites: tuple[str, ...],
    part: str | None,
    device: str,
    *,
    wants_json: bool,
) -> None:
    """Apply the model of COMMIT to cases whose truth is known, and print what it reaches.

    Each number has its 95 % interval over patients. Nothing is recorded, and nothing leaves this machine.
    """
    bench = open_repository(find(folder))
    entry = resolve(bench, commit)
    cases = _own(folder) if source is None else cases_at(source, grid_for(bench, entry))
    done = evaluate(
        bench,
        entry,
        _chosen(cases, sites),
        part=part or ("all" if source is not None and source.is_dir() else PARTS[0]),
        resources=Resources(threads=0, device=device),
    )
    if wants_json:
        say(as_document({"command": "evaluate", **_json(done)}))
        return
    for line in _lines(done):
        say(line)


def _own(folder: Path) -> dict[str, SiteCases]:
    """Return the cases of the home that a folder lies in."""
    try:
        settings = find_home(folder)[0].settings
    except NotFound as error:
        raise NotFound(
            "evaluate-no-cases", "This repository lies in no site's home, which would name cases.", "Say --cases."
        ) from error
    return {settings.name: settings.cases()}


def _chosen(cases: dict[str, SiteCases], sites: tuple[str, ...]) -> dict[str, SiteCases]:
    unknown = [name for name in sites if name not in cases]
    if unknown:
        raise NotFound(
            "evaluate-site", f"These cases have no site '{unknown[0]}'.", f"There are {', '.join(list(cases)[:20])}."
        )
    return {name: at for name, at in cases.items() if not sites or name in sites}


def _json(done: Evaluation) -> dict[str, object]:
    return {
        "commit": done.commit,
        "part": done.part,
        "sites": [
            {
                "site": one.site,
                "patients": one.patients,
                "measures": {name: _interval(found) for name, found in one.of.items()},
                "tells_nothing": sorted(one.silent),
                "warnings": list(one.warnings),
            }
            for one in done.sites
        ],
        "warnings": list(done.warnings),
    }


def _interval(found: Interval | None) -> dict[str, float] | None:
    return None if found is None else {"value": found.point, "low": found.low, "high": found.high, "level": found.level}


def _lines(done: Evaluation) -> Iterator[str]:
    rows = [("site", "patients", *(escaped(measure.title) for measure in done.sites[0].measures))]
    rows += [(escaped(one.site), str(one.patients), *_cells(one)) for one in done.sites]
    yield from columns(rows)
    yield painted(
        f"The model of {done.commit[:12]} on {done.part} cases; behind each number its 95 % interval over patients.",
        dim=True,
    )
    for warning in (*done.warnings, *(f"{one.site}: {told}" for one in done.sites for told in one.warnings)):
        yield painted(f"! {escaped(warning)}", "yellow")


def _cells(one: Evaluated) -> Iterator[str]:
    for measure in one.measures:
        found = one.of.get(measure.name)
        if measure.name in one.silent:
            yield f"tells nothing ({one.silent[measure.name]})"
        elif found is None:
            yield "not defined"
        else:
            yield f"{found.point:.3f} ({found.low:.3f}-{found.high:.3f})"
