"""``imagiq down``: stop the site's process."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from threading import Event

import click

from imagiq.cli.homes import JSON_OPTION, home_at
from imagiq.cli.printing import as_document, say
from imagiq.clock import SystemClock
from imagiq.errors import Conflict, Unreachable
from imagiq.site.home import Home
from imagiq.site.status import status_of

__all__ = ["command"]

PATIENCE_S = 30.0
LOOK_EVERY_S = 0.05


@click.command()
@JSON_OPTION
@click.pass_obj
def command(folder: Path, *, wants_json: bool) -> None:
    """Stop this site, and wait until it has stopped. What it is doing is given up, and done again when it is up again.

    A process that has not ended after 30 s is killed: nothing that was committed can be lost by that.
    """
    home = home_at(folder)
    pid = home.holder()
    how = "not running" if pid is None else _stop(home, pid)
    if wants_json:
        say(as_document({"command": "down", "pid": pid, "how": how}))
    else:
        say("This site does not run." if pid is None else f"The site is down; pid {pid} was {how}.")


def _stop(home: Home, pid: int) -> str:
    if status_of(home.path, pid) is None:
        raise Conflict(
            "home-locked",
            f"Another command (pid {pid}) works in {home.path}.",
            "Wait until it has ended; it is no `up`.",
        )
    for number, how in ((signal.SIGTERM, "stopped"), (getattr(signal, "SIGKILL", signal.SIGTERM), "killed")):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return how
        except OSError as error:
            raise Unreachable(
                "site-not-stoppable", f"The process {pid} cannot be stopped: {error.strerror}.", "Ask its owner."
            ) from error
        if _has_ended(home, pid):
            return how
    raise Unreachable(
        "site-not-stoppable", f"The process {pid} does not end.", "Look at it with the system's own tools."
    )


def _has_ended(home: Home, pid: int) -> bool:
    clock = SystemClock()
    until_s = clock.now_s() + PATIENCE_S
    while clock.now_s() < until_s:
        if home.holder() != pid:
            return True
        Event().wait(LOOK_EVERY_S)
    return False
