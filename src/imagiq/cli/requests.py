"""``imagiq requests``: what waits for the word of this site's owner, or of other voters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from imagiq.bench.repository import open_repository
from imagiq.cli.homes import JSON_OPTION, seat_at
from imagiq.cli.printing import as_document, columns, escaped, say
from imagiq.federation.membership import Amendment
from imagiq.objects import JSON
from imagiq.site.agenda import Item, StudyItem, agenda_of, studies_of
from imagiq.site.amending import said, terms
from imagiq.site.founding import my_name

__all__ = ["command"]

KINDS = {
    "join": "asks to join",
    "leave": "leaves",
    "new-key": "asks for a new key",
    "remove": "is to be removed",
    "amend": "of the charter is to change",
}


@click.command()
@JSON_OPTION
@click.pass_obj
def command(folder: Path, *, wants_json: bool) -> None:
    """List what sites ask for, changes of the charter that are voted on, and studies that wait for this site's owner."""
    home, seat = seat_at(folder)
    bench = open_repository(seat.path)
    items = agenda_of(bench, seat.decisions)
    studies = [
        s for s in studies_of(home, seat, bench, my_name(home, seat, bench)) if s.answer == "ask" and not s.stopped
    ]
    if wants_json:
        waiting = [study_as_json(item) for item in studies]
        say(as_document({"command": "requests", "requests": [_json(item) for item in items], "studies": waiting}))
        return
    now = terms(bench.standing.charter)
    for line in columns([_row(item, now) for item in items]):
        say(line)
    for item in studies:
        say(f"study '{escaped(item.study.title)}' of {escaped(item.opener)}: {item.why}; {item.study.digest[:12]}")
    if not items and not studies:
        say("nothing waits")


def _row(item: Item, now: Mapping[str, JSON]) -> tuple[str, ...]:
    votes = f"{len(item.approved_by)} of {item.needed} votes needed"
    about = ", ".join(escaped(text) for text in (item.title, item.contact) if text)
    if isinstance(item.wish, Amendment):
        about = escaped(f"{said(now.get(item.name))} -> {said(item.wish.reads)}")
    mine = {"accept": "approved here", "refuse": "refused here"}.get(item.decided, "")
    return (escaped(item.name), KINDS.get(item.kind, item.kind), votes, mine, about)


def _json(item: Item) -> dict[str, object]:
    return {
        "kind": item.kind,
        "name": item.name,
        "title": item.title,
        "contact": item.contact,
        "sponsor": item.sponsor,
        "approved_by": item.approved_by,
        "needed": item.needed,
        "decided": item.decided,
        "change": item.wish.to_json(),
    }


def study_as_json(item: StudyItem) -> dict[str, object]:
    """Return a study as JSON."""
    study = item.study
    return {
        "digest": study.digest,
        "title": study.title,
        "opener": item.opener,
        "strategy": study.strategy.to_json(),
        "task": study.task.to_json(),
        "steps": study.steps,
        "updates": study.updates,
        "seed": study.seed,
        "sites": study.sites,
        "answer": item.answer,
        "why": item.why,
        "stopped": item.stopped,
        "made": dict(item.done),
    }
