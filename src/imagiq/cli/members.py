"""``imagiq members``: who belongs to a federation."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.bench import Bench
from imagiq.bench.repository import open_repository
from imagiq.cli.homes import JSON_OPTION, seat_at
from imagiq.cli.printing import as_document, columns, escaped, listed, painted, say
from imagiq.objects import Charter
from imagiq.site.founding import my_key
from imagiq.site.serving import admission_text, admitted
from imagiq.site.syncing import last_of

__all__ = ["command"]


@click.command()
@click.option("--for-relay", is_flag=True, help="Print the list that a relay needs: keys and pseudonyms, no secrets.")
@JSON_OPTION
@click.pass_obj
def command(folder: Path, *, for_relay: bool, wants_json: bool) -> None:
    """List the members of the federation, who votes, and when each was last heard of."""
    home, seat = seat_at(folder)
    bench = open_repository(seat.path)
    if for_relay:
        admits = admitted(seat, bench, my_key(seat, bench), next_key=home.key())
        say(as_document({"command": "members", "admitted": admits}) if wants_json else admission_text(admits).rstrip())
        return
    charter, mine = bench.standing.charter, my_key(seat, bench).public
    in_force = bench.standing.ruling is not None
    members = [
        {
            "name": member.name,
            "site_key": member.site_key,
            "votes": member.name in charter.voters,
            "here": member.site_key == mine,
            "last": last_of(bench.history, member.site_key),
        }
        for member in charter.members
    ]
    if wants_json:
        fields = {"title": charter.title, "version": charter.version, "federation": charter.founding}
        rivals = list(bench.standing.line.rivals)
        held = {"in_force": in_force, "rivals": rivals, "recovery": charter.recovery}
        say(as_document({"command": "members", **fields, **held, "waiting_for": _missing(bench), "members": members}))
        return
    say(f"{escaped(charter.title)}, version {charter.version} of its charter")
    for line in columns([_row(member) for member in members], indent="  "):
        say(line)
    if not in_force:
        say(f"Not in force: these founders have not voted: {listed(_missing(bench))}")
    if mine not in charter.names_by_site_key:
        say("This site is no member.")
    _warn(bench, charter)


def _row(member: dict[str, object]) -> tuple[str, ...]:
    return (
        escaped(str(member["name"])),
        "votes" if member["votes"] else "",
        "this site" if member["here"] else str(member["last"] or "no news yet"),
    )


def _missing(bench: Bench) -> list[str]:
    if bench.standing.ruling is not None:
        return []
    voted = {vote.voter for vote in bench.standing.votes}
    return [member.name for member in bench.founding.members if member.name not in voted]


def _warn(bench: Bench, charter: Charter) -> None:
    if bench.standing.line.rivals:
        way = "recovery keys must sign one of them, or another" if charter.recovery else "nothing settles that"
        say(painted(f"Two successors of this version have won against each other: {way}.", "red"))
    for double in bench.standing.double_votes:
        say(painted(f"'{escaped(double.voter)}' has voted twice in one ballot.", "red"))
