"""``imagiq study``: the joint work of a federation."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from imagiq.bench import Bench
from imagiq.bench.repository import open_repository
from imagiq.cli.homes import JSON_OPTION, act_now, is_sure, seat_at, show_done
from imagiq.cli.printing import as_document, as_json, columns, escaped, is_terminal, say
from imagiq.cli.requests import study_as_json
from imagiq.errors import Conflict, Refused
from imagiq.federation import check_permitted
from imagiq.federation.notices import stop_recipe
from imagiq.site.agenda import StudyItem, pick_study, studies_of
from imagiq.site.curves import Curve, Point, curves_of
from imagiq.site.founding import my_name
from imagiq.site.home import Home, Seat
from imagiq.site.replaying import replay as replay_of
from imagiq.site.session import open_seat
from imagiq.site.studies import code_of, proposed, read_study
from imagiq.strategies import BUILT_IN

__all__ = ["command"]

FINDINGS = {
    "same": "the same, to the bit",
    "differs": "another model came out",
    "forgotten": "not done again: what they began with is forgotten, as the charter's retention says",
    "not recorded": "another model came out, but an older imagiq did not write all down",
}
ANSWERS = {"accept": "takes part", "refuse": "refused here", "ask": "waits for its owner", "": "not asked"}


@click.group(name="study")
def command() -> None:
    """Open, list, watch and stop studies: pieces of joint work, each with its own task, strategy and budget."""


@command.command(name="open")
@click.argument("file", type=click.Path(path_type=Path))
@JSON_OPTION
@click.pass_obj
def open_(folder: Path, file: Path, *, wants_json: bool) -> int:
    """Open the study that FILE describes; docs/site.md says what it may hold.

    This site takes part in it. Each other one does what its own policy says: it takes part, refuses, or asks its owner.
    """
    home, seat, bench = _opened(folder)
    charter = bench.standing.ruling
    if charter is None or my_name(home, seat, bench) not in {member.name for member in charter.members}:
        raise Refused(
            "study-no-member",
            "Only a member of a federation opens studies, once its charter is in force.",
            "See `imagiq members`.",
        )
    recipe = read_study(file, strategies=BUILT_IN.keys(), charter=charter)
    check_permitted(proposed(recipe), charter)
    title = str(recipe.parameters["title"])
    if any(item.study.title == title and not item.stopped for item in _items(home, seat, bench)):
        raise Conflict("study-exists", f"There is a study called '{title}' already.", "Give this one another title.")
    for code in code_of(proposed(recipe)):  # who opens a study lets it run
        seat.decisions.let_run(code)
    seat.decisions.order(recipe)
    done = act_now(home, seat)
    return show_done("study open", done, wants_json=wants_json, title=title)


@command.command(name="list")
@JSON_OPTION
@click.pass_obj
def list_(folder: Path, *, wants_json: bool) -> None:
    """List the studies of a federation: who opened them, what this site says to them, how far they are."""
    items = _items(*_opened(folder))
    if wants_json:
        say(as_document({"command": "study list", "studies": [study_as_json(item) for item in items]}))
        return
    rows = [("study", "digest", "opened by", "strategy", "task", "this site", "steps made"), *map(_row, items)]
    for line in columns(rows) if items else ["no study yet: open one with `imagiq study open`"]:
        say(line)


def _row(item: StudyItem) -> tuple[str, ...]:
    study = item.study
    state = "ended" if item.stopped else ANSWERS[item.answer]
    made = f"{sum(item.done.values())} of {study.steps * len(study.sites)}"
    names = (study.title, study.digest[:12], item.opener, study.strategy.name, study.task.name)
    return (*map(escaped, names), state, made)


@command.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON_OPTION
@click.pass_obj
def stop(folder: Path, name: str, *, yes: bool, wants_json: bool) -> int:
    """End a study for all sites: at once if this site opened it, else when more than half of the voters say so."""
    home, seat, bench = _opened(folder)
    study = pick_study(bench, name)
    opener = bench.standing.name_of(bench.history[study.digest])
    if my_name(home, seat, bench) not in {opener, *bench.standing.charter.voters}:
        raise Refused(
            "study-not-yours",
            f"'{study.title}' was opened by '{opener}', and this site does not vote.",
            f"To end it here alone: `imagiq refuse {study.digest[:12]}`.",
        )
    if not is_sure(f"End the study '{escaped(study.title)}' for all sites?", yes=yes):
        return 1
    seat.decisions.order(stop_recipe(), study=study.digest)
    done = act_now(home, seat)
    return show_done("study stop", done, wants_json=wants_json, study=study.digest, title=study.title)


@command.command()
@click.argument("name")
@click.option("--metric", default="loss", show_default=True, help="Which measure of training to draw.")
@click.option("--once", is_flag=True, help="Print what is known now, and end.")
@JSON_OPTION
@click.pass_obj
def watch(folder: Path, name: str, *, metric: str, once: bool, wants_json: bool) -> None:
    """Watch the curves of all sites of a study, as far as their commits have come here; Ctrl-C ends it."""
    _, seat = seat_at(folder)
    if wants_json or once or not is_terminal():
        bench = open_repository(seat.path)
        study = pick_study(bench, name)
        curves = curves_of(bench, study)
        if wants_json:
            shown = {"study": study.digest, "title": study.title, "steps": study.steps}
            say(as_document({"command": "study watch", **shown, "curves": list(map(_curve_as_json, curves))}))
            return
        from imagiq.cli.curves import print_curves  # noqa: PLC0415 - rich is loaded by who draws

        print_curves(study, curves, metric)
        return
    from imagiq.cli.curves import watch_curves  # noqa: PLC0415 - the same

    watch_curves(seat.path, name, metric)


def _opened(folder: Path) -> tuple[Home, Seat, Bench]:
    home, seat = seat_at(folder)
    return home, seat, open_repository(seat.path)


def _items(home: Home, seat: Seat, bench: Bench) -> list[StudyItem]:
    return list(studies_of(home, seat, bench, my_name(home, seat, bench)))


def _curve_as_json(curve: Curve) -> dict[str, object]:
    return {"site": curve.site, "points": list(map(_point_as_json, curve.points))}


def _point_as_json(point: Point) -> dict[str, object]:
    return {
        "commit": point.commit,
        "recipe": point.kind,
        "step": point.step,
        "created": point.created,
        "cases": point.cases,
        "metrics": point.metrics,
    }


@command.command()
@click.argument("name")
@JSON_OPTION
@click.pass_obj
def replay(folder: Path, name: str, *, wants_json: bool) -> int:
    """Do this site's own trainings in the study NAME again, and say whether the same models come out, to the bit.

    NAME is its title, or the first characters of its digest. Nothing is written. The same bits need the same cases,
    versions, threads and device. Merges are recomputed by `imagiq verify`. Ends with exit code 1 if another model comes out.
    """
    home, seat, bench = _opened(folder)
    study = pick_study(bench, name)
    with home.lock(), open_seat(home, seat) as session:
        found = list(replay_of(session, study))
    counts: Counter[str] = Counter(one.finding for one in found)
    if wants_json:
        say(as_document({"command": "study replay", "study": study.digest, "trainings": as_json(found)}))
    else:
        say(f"{len(found)} trainings of this site in '{escaped(study.title)}'")
        for finding, words in FINDINGS.items():
            if counts[finding]:
                say(f"  {counts[finding]} {words}")
        for one in found:
            if one.finding == "differs":
                say(f"  differs: step {one.step}, {one.commit[:12]}")
    return 1 if counts["differs"] else 0
