"""``imagiq found``: a new federation."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.bench.repository import open_repository
from imagiq.cli.homes import JSON_OPTION, act_now, home_at, show_done
from imagiq.cli.printing import escaped, listed, say
from imagiq.objects import Member
from imagiq.site.founding import found, read_charter

__all__ = ["command"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="CHARTER.toml")
@JSON_OPTION
@click.pass_obj
def command(folder: Path, file: Path, *, wants_json: bool) -> int:
    """Found a federation with the charter in FILE, and vote for it.

    It is in force when all founders have voted: each of the others joins with an invitation.
    """
    home = home_at(folder)
    key = home.key()
    charter = read_charter(file, Member(home.settings.name, key.public, key.exchange_public))
    with home.lock():
        seat = found(home, charter)
    done = act_now(home, seat)
    bench = open_repository(seat.path)
    voted = {vote.voter for vote in bench.standing.votes}
    waiting = [member.name for member in charter.members if member.name not in voted]
    if not wants_json:
        say(f"'{escaped(charter.title)}' is founded: {seat.name}")
        if waiting:
            say(f"It is in force when these have joined, too: {listed(waiting)}. `imagiq invite` makes invitations.")
    return show_done(
        "found", done, wants_json=wants_json, federation=charter.digest, name=seat.name, waiting_for=waiting
    )
