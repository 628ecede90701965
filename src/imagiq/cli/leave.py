"""``imagiq leave``: leave a federation."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.bench.repository import open_repository
from imagiq.cli.homes import JSON_OPTION, act_now, is_sure, seat_at, show_done
from imagiq.cli.printing import escaped, say
from imagiq.errors import Misuse
from imagiq.federation.requests import leave_recipe

__all__ = ["command"]


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON_OPTION
@click.pass_obj
def command(folder: Path, *, yes: bool, wants_json: bool) -> int:
    """Say that this site leaves. What it contributed stays; it begins nothing new, and the voters let it go by themselves.

    Sync once more, so that the others hear of it. Its folder stays until you remove it.
    """
    home, seat = seat_at(folder)
    bench = open_repository(seat.path)
    charter = bench.standing.charter
    if len(charter.members) == 1:
        raise Misuse("leave-last", "This site is the last member.", "Remove the federation's folder in the home.")
    if not is_sure(f"Leave '{escaped(charter.title)}'?", yes=yes):
        raise click.Abort
    seat.decisions.order(leave_recipe())
    done = act_now(home, seat)
    if not wants_json:
        say("Run `imagiq sync` so that the others hear of it.")
    return show_done("leave", done, wants_json=wants_json)
