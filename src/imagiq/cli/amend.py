"""``imagiq amend``: other rules."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.bench.names import resolve
from imagiq.bench.repository import open_repository
from imagiq.cli.deciding import voting
from imagiq.cli.homes import JSON_OPTION, act_now, is_sure, seat_at, show_done
from imagiq.cli.printing import as_document, columns, escaped, say
from imagiq.federation.policy import Answer
from imagiq.site.amending import amendments, said, terms
from imagiq.site.releasing import acceptance_of

__all__ = ["command"]


@click.command()
@click.argument("changes", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--drop", multiple=True, metavar="NAME", help="Let a rule not stand any more.")
@click.option("--accept", multiple=True, metavar="COMMIT", help="Let this tainted commit be released all the same.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON_OPTION
@click.pass_obj
def command(
    folder: Path,
    changes: tuple[str, ...],
    *,
    drop: tuple[str, ...],
    accept: tuple[str, ...],
    yes: bool,
    wants_json: bool,
) -> int:
    """Propose that terms of the charter read otherwise: `imagiq amend audit_per_mille=200`; without any, list them.

    Other voters see it in `imagiq requests`. It is in force when more than half have voted for it. Values are written as in
    the charter's file.
    """
    home, seat = seat_at(folder)
    bench = open_repository(seat.path)
    charter = bench.standing.charter
    now = terms(charter)
    if not changes and not drop and not accept:
        if wants_json:
            say(as_document({"command": "amend", "charter": charter.version, "terms": now}))
            return 0
        say(f"{escaped(charter.title)}, version {charter.version} of its charter")
        for line in columns([(escaped(name), escaped(said(value))) for name, value in now.items()], indent="  "):
            say(line)
        return 0
    voting(home, seat, bench)
    accepted = [f"{acceptance_of(resolve(bench, commit).digest)}=true" for commit in accept]
    proposed = amendments(charter, [*changes, *accepted], drop)
    if not wants_json:
        for wish in proposed:
            say(f"{escaped(wish.name)}: {escaped(said(now.get(wish.name)))} -> {escaped(said(wish.reads))}")
    if not is_sure(f"Propose this to the voters of '{escaped(charter.title)}'?", yes=yes):
        raise click.Abort
    for wish in proposed:
        seat.decisions.decide(wish, Answer.ACCEPT)
    if not wants_json:
        say(f"It is in force when {charter.majority} of {len(charter.voters)} voters have said so.")
    amended = {wish.name: wish.reads for wish in proposed}
    return show_done("amend", act_now(home, seat), wants_json=wants_json, amended=amended)
