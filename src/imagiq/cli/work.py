"""``imagiq work --once``: one action, for cron and Slurm."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.cli.homes import JSON_OPTION, error_as_json, seats_at, show_error
from imagiq.cli.printing import as_document, escaped, measured, say
from imagiq.site.working import Worked, work_once

__all__ = ["command"]

NOTHING_NOW, NOTHING_LEFT = 4, 5


@click.command()
@click.option("--once", is_flag=True, required=True, help="Do one action and end; `imagiq up` does them all.")
@JSON_OPTION
@click.pass_obj
def command(folder: Path, *, once: bool, wants_json: bool) -> int:  # noqa: ARG001 - it is there to be read
    """Learn from all remotes, do one action, publish it, and end: for cron, and for Slurm.

    Exit codes: 0 an action was done; 4 there is nothing to do until others bring news; 5 nothing is left to do in any study
    of this site; 1 the action failed, or another error. That a remote is away is told, and is no failure.
    """
    home, seats = seats_at(folder)
    with home.lock():
        found = work_once(home, seats)
    if wants_json:
        say(as_document({"command": "work", "federations": list(map(_json, found))}))
    else:
        for one in found:
            _show(one)
    if found[-1].action:
        return 0 if found[-1].entry is not None else 1
    return NOTHING_LEFT if all(one.is_done for one in found) else NOTHING_NOW


def _show(one: Worked) -> None:
    for news in one.synced.remotes:
        if news.error is not None:
            show_error(news.error, news.remote)
    about = escaped(one.federation)
    if one.error is not None:
        show_error(one.error, f"{one.federation}: {one.action}")
    elif one.entry is not None:
        metrics = f", {measured(one.entry.commit.metrics)}" if one.entry.commit.metrics else ""
        say(f"{about}: {one.action} {one.entry.digest[:12]}{metrics}")
    elif one.action:
        say(f"{about}: {one.action} failed")
    else:
        say(f"{about}: nothing left to do" if one.is_done else f"{about}: waits for {escaped(one.why)}")


def _json(one: Worked) -> dict[str, object]:
    return {
        "name": one.federation,
        "action": one.action or None,
        "commit": None if one.entry is None else one.entry.digest,
        "error": None if one.error is None else error_as_json(one.error),
        "why": one.why,
        "is_done": one.is_done,
        "remotes": [
            {"remote": news.remote, "error": None if news.error is None else error_as_json(news.error)}
            for news in one.synced.remotes
        ],
    }
