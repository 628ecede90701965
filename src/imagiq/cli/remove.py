"""``imagiq remove``: let a member be removed."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.bench.names import pick_site
from imagiq.bench.repository import open_repository
from imagiq.cli.homes import JSON_OPTION, act_now, is_sure, seat_at, show_done
from imagiq.cli.printing import escaped, say
from imagiq.errors import Misuse
from imagiq.federation.membership import Change
from imagiq.federation.policy import Answer
from imagiq.site.founding import my_name

__all__ = ["command"]


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON_OPTION
@click.pass_obj
def command(folder: Path, name: str, *, yes: bool, wants_json: bool) -> int:
    """Propose that the member NAME is removed; what it did stands up to its last commit that is known here.

    Other voters see it in `imagiq requests`. It is removed when more than half have voted for it, and reads nothing that
    is sealed after that.
    """
    home, seat = seat_at(folder)
    bench = open_repository(seat.path)
    charter = bench.standing.charter
    pick_site([member.name for member in charter.members], name)
    if name == my_name(home, seat, bench):
        raise Misuse("remove-self", "This is this site's own name.", "Use `imagiq leave`.")
    member = next(member for member in charter.members if member.name == name)
    if not is_sure(f"Remove '{escaped(name)}' from '{escaped(charter.title)}'?", yes=yes):
        raise click.Abort
    seat.decisions.decide(Change(member, None), Answer.ACCEPT)
    if not wants_json:
        say(f"'{escaped(name)}' is removed when {charter.majority} of {len(charter.voters)} voters have said so.")
    return show_done("remove", act_now(home, seat), wants_json=wants_json, name=name)
