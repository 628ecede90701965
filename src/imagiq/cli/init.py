"""``imagiq init``: a home for a site."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.cli.homes import JSON_OPTION
from imagiq.cli.printing import as_document, say
from imagiq.site.card import card_of
from imagiq.site.home import make_home
from imagiq.site.invitation import fingerprint

__all__ = ["command"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False, metavar="[DIR]")
@click.option("--name", required=True, help="What the site is called in charters: letters, digits, '-', '_' and '.'.")
@click.option("--title", default="", help="What people call it.")
@click.option("--contact", default="", help="Whom other sites ask.")
@JSON_OPTION
@click.pass_obj
def command(here: Path, folder: Path | None, name: str, title: str, contact: str, *, wants_json: bool) -> None:
    """Make a home for this site in DIR, or here: settings, a policy, and a key that only its owner can read.

    The line that is printed is the site's card, with its name and public keys: it is no secret.
    """
    home = make_home(here / (folder or Path()), name=name, title=title, contact=contact)
    card = card_of(name, home.key())
    if wants_json:
        say(
            as_document(
                {"command": "init", "home": home.path, "name": name, "site_key": home.key().public, "card": card}
            )
        )
        return
    say(f"{home.path} is the home of '{name}' now. Say in its site.toml where the cases are.")
    say("Its card, for the founder of a federation or for whoever invites it:")
    say(card)
    say(f"Fingerprint of the card: {fingerprint(card)}")
