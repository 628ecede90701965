"""``imagiq gc``: forget the models that the charter's retention does not keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from imagiq.cli.homes import JSON_OPTION, is_sure, seats_at
from imagiq.cli.printing import as_document, as_json, escaped, say
from imagiq.errors import Conflict
from imagiq.federation import Retention, retention_in
from imagiq.site.home import Home, Seat
from imagiq.site.retaining import Retainer, in_words
from imagiq.site.session import open_seat

__all__ = ["command"]


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What may be forgotten in one federation.

    Attributes:
        name: What the federation is called here.
        keeps: How many models of each site, kind and study the charter keeps; None: all.
        models: How many models go.
        nbytes: How many bytes that frees.
        done: Whether they went.
    """

    name: str
    keeps: int | None
    models: int = 0
    nbytes: int = 0
    done: bool = False


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would go, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON_OPTION
@click.pass_obj
def command(folder: Path, *, dry_run: bool, yes: bool, wants_json: bool) -> int:
    """Forget the models that the charter's retention does not keep, and that nothing here needs.

    Commits stay, so that everything can still be verified but for merges that nobody holds the parents of. A site that runs
    does this by itself. A model that was forgotten comes back when it is needed, from whoever still holds it.
    """
    home, seats = seats_at(folder)
    try:
        with home.lock():
            found = [_forget(home, seat, dry_run=dry_run, yes=yes, quiet=wants_json) for seat in seats]
    except Conflict as error:
        if error.code != "home-locked":
            raise
        raise Conflict(error.code, error.what, "A site that runs forgets by itself; to do it now, stop it.") from error
    if wants_json:
        say(as_document({"command": "gc", "dry_run": dry_run, "federations": as_json(found)}))
    return 0


def _forget(home: Home, seat: Seat, *, dry_run: bool, yes: bool, quiet: bool) -> _Found:
    with open_seat(home, seat) as session:
        retention = retention_in(session.charter.rules)
        retainer = Retainer(session.site)
        planned = list(retainer.plan())
        found = _Found(
            name=seat.name,
            keeps=None if retention is None else retention.models,
            models=sum(portion.whole for portion in planned),
            nbytes=sum(portion.nbytes for portion in planned),
        )
        for line in () if quiet else _lines(found, retention):
            say(line)
        if dry_run or not planned or not (found.nbytes == 0 or is_sure("Forget them?", yes=yes)):
            return found
        while retainer.forget().more:
            pass
    if found.nbytes and not quiet:
        say(f"{escaped(seat.name)}: forgot them; commits, and what is needed, are all here")
    return _Found(name=found.name, keeps=found.keeps, models=found.models, nbytes=found.nbytes, done=True)


def _lines(found: _Found, retention: Retention | None) -> Iterator[str]:
    about = escaped(found.name)
    if retention is None:
        yield f"{about}: the charter has no rule of retention, so everything is kept"
        return
    yield f"{about}: of each study the charter keeps the newest {retention.models} trained and merged models of each site"
    size = in_words(found.nbytes)
    yield f"{about}: {found.models} models go, {size}" if found.nbytes else f"{about}: nothing to forget"
