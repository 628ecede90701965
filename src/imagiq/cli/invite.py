"""``imagiq invite``: one short text by which another site finds a federation."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.bench.repository import open_repository
from imagiq.cli.homes import JSON_OPTION, seat_at, show_error
from imagiq.cli.printing import as_document, say
from imagiq.site.card import read_card
from imagiq.site.founding import invite, my_key
from imagiq.site.invitation import fingerprint

__all__ = ["command"]


@click.command()
@click.option("--for", "card", metavar="CARD", help="Only the site with this card can use it.")
@JSON_OPTION
@click.pass_obj
def command(folder: Path, card: str | None, *, wants_json: bool) -> None:
    """Print an invitation: hand it over by any way, and compare the fingerprint over the phone.

    Who has it can ask to join, and learns the charter and what the studies do. Commits and models it opens none.
    """
    home, seat = seat_at(folder)
    bench = open_repository(seat.path)
    text, failed = invite(home, seat, bench, my_key(seat, bench), only_for=None if card is None else read_card(card))
    if wants_json:
        say(as_document({"command": "invite", "invitation": text, "fingerprint": fingerprint(text)}))
        return
    for error in failed:
        show_error(error)
    say(text)
    say(f"Fingerprint: {fingerprint(text)}")
