"""``imagiq refuse``: the owner's no."""

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
    """Refuse what NAME asks for: a site's request, a change of the charter, or a study.

    A vote that was cast stays cast; others may still have their way.
    """
    return decide("refuse", folder, name, Answer.REFUSE, wants_json=wants_json)
