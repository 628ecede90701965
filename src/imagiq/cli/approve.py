"""``imagiq approve``: the owner's yes."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.cli.deciding import decide
from imagiq.cli.homes import JSON_OPTION
from imagiq.federation.policy import Answer

__all__ = ["command"]


@click.command()
@click.argument("name")
@JSON_OPTION
@click.pass_obj
def command(folder: Path, name: str, *, wants_json: bool) -> int:
    """Approve what NAME asks for: a site's request, a change of the charter, or a study that waits.

    A change is in force when more than half of the voters have voted for it. If another change comes first, this site votes
    again by itself, on top of it. A study takes part in this site's work from then on, and its code may run here.
    """
    return decide("approve", folder, name, Answer.ACCEPT, wants_json=wants_json)
