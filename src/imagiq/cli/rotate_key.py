"""``imagiq rotate-key``: a new key for this site."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.cli.homes import JSON_OPTION, act_now, home_at, is_sure, show_done
from imagiq.cli.printing import say
from imagiq.site.rotating import rotate

__all__ = ["command"]


@click.command(name="rotate-key")
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON_OPTION
@click.pass_obj
def command(folder: Path, *, yes: bool, wants_json: bool) -> int:
    """Make a new key, and ask the voters of all federations to put it in the old one's place.

    Until they have, this site begins nothing new there. What it did with the old key stands up to its last commit.
    """
    home = home_at(folder)
    if not is_sure("Make a new key for this site, in all federations?", yes=yes):
        raise click.Abort
    with home.lock():
        seats = rotate(home)
    done = [one for seat in seats for one in act_now(home, seat) or ()]
    if not wants_json:
        say("The new key is made. Run `imagiq sync`; the voters see the request in `imagiq requests`.")
    names = [seat.name for seat in seats]
    return show_done("rotate-key", done, wants_json=wants_json, site_key=home.key().public, federations=names)
