"""``imagiq up``: the site's process."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

import click

from imagiq.bench.place import in_no_federation
from imagiq.cli.homes import error_as_json, home_at
from imagiq.cli.printing import JSON_VERSION, escaped, is_terminal, measured, metrics_as_json, painted, say
from imagiq.clock import SystemClock
from imagiq.site.running import Told
from imagiq.site.status import Status, status_of
from imagiq.site.supervisor import Supervisor

__all__ = ["command"]

COMMAND_S = 10.0
"""For so long another command that works in the home is waited for; a site that runs already is not."""
SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP")


@click.command()
@click.option("--lines", is_flag=True, help="Print lines on a terminal too, not a status that lives.")
@click.option("--json", "wants_json", is_flag=True, help="Print a JSON document for whatever happens, each in a line.")
@click.pass_obj
def command(folder: Path, *, lines: bool, wants_json: bool) -> None:
    """Run this site until it is stopped: exchange with all remotes, decide, train and merge, commit, publish.

    One process serves all federations of the home. It may be killed at any moment: it goes on where it was. Ctrl-C and
    `imagiq down` stop it.
    """
    home = home_at(folder)
    if not home.seats():
        raise in_no_federation(home.path)
    runs = status_of(home.path, home.holder()) is not None
    with home.lock(patience_s=0.0 if runs else COMMAND_S):
        if wants_json:
            _run(Supervisor(home, tell=lambda told: _print(_as_json(told))), lambda _: None)
        elif is_terminal() and not lines:
            from imagiq.cli.living import Living  # noqa: PLC0415 - rich is loaded where somebody looks

            with Living(home.settings.title or home.settings.name) as living:
                _run(Supervisor(home, tell=living.tell), living.show)
        else:
            _print(f"{SystemClock().utc()}  up, pid {os.getpid()}")
            _run(Supervisor(home, tell=lambda told: _print(f"{SystemClock().utc()}  {in_words(told)}")), lambda _: None)
            _print(f"{SystemClock().utc()}  down")
    _end_now()


def _run(supervisor: Supervisor, tick: Callable[[Status], None]) -> None:
    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        supervisor.stop()

    before = {name: signal.signal(getattr(signal, name), stop) for name in SIGNALS if hasattr(signal, name)}
    try:
        supervisor.run(tick=tick)
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _print(line: str) -> None:
    """Print a line. A full disk, or a reader that has gone, must not stop a site."""
    with suppress(OSError):
        say(line)
        sys.stdout.flush()


def _as_json(told: Told) -> str:
    shown = {
        "version": JSON_VERSION,
        "command": "up",
        "at": SystemClock().utc(),
        "federation": told.federation,
        "what": told.what,
        "commit": None if told.entry is None else told.entry.digest,
        "metrics": {} if told.entry is None else metrics_as_json(told.entry.commit.metrics),
        "error": None if told.error is None else error_as_json(told.error),
    }
    return json.dumps(shown)


def in_words(told: Told) -> str:
    """Return what happened in a line."""
    about = f"{escaped(told.federation)}: " + (f"{escaped(told.what)}: " if told.what and told.error else "")
    if told.error is not None:
        return about + painted(
            f"error[{told.error.code}]: {escaped(told.error.what)} {escaped(told.error.advice)}", "red"
        )
    if told.entry is None:
        return about + escaped(told.what)
    commit = told.entry.commit
    cases = "" if commit.cases is None else f", {commit.cases} cases"
    metrics = f", {measured(commit.metrics)}" if commit.metrics else ""
    return f"{about}{escaped(told.what)} {told.entry.digest[:12]}{cases}{metrics}"


def _end_now() -> None:
    """End, though a thread may still wait for an answer of a remote that is slow: all is closed, and nothing is written."""
    with suppress(OSError):
        sys.stdout.flush()
    os._exit(0)
