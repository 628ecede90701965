"""What the commands on a site's home have in common: which home, which federation, and doing what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from imagiq.bench.place import in_no_federation
from imagiq.cli.printing import as_document, escaped, painted, say
from imagiq.errors import Conflict, ImagiqError
from imagiq.site.acting import Done, act
from imagiq.site.home import Home, Seat, find_home
from imagiq.site.session import open_seat

__all__ = [
    "JSON_OPTION",
    "act_now",
    "done_as_json",
    "error_as_json",
    "home_at",
    "is_sure",
    "seat_at",
    "seats_at",
    "setting",
    "show_done",
    "show_error",
]

JSON_OPTION = click.option("--json", "wants_json", is_flag=True, help="Print one JSON document.")
LATER = "Another process works in this home; it does this when it syncs next."


def home_at(folder: Path) -> Home:
    """Return the home that a folder is, or lies in."""
    return find_home(folder)[0]


def seat_at(folder: Path) -> tuple[Home, Seat]:
    """Return the home that a folder is, or lies in, and the federation that is meant."""
    home, name = find_home(folder)
    return home, home.seat(name)


def seats_at(folder: Path) -> tuple[Home, tuple[Seat, ...]]:
    """Return the home that a folder is, or lies in, and the federation whose folder it is or lies in, else all.

    Raises:
        NotFound: the site is in none.
    """
    home, name = find_home(folder)
    seats = home.seats() if name is None else (home.seat(name),)
    if not seats:
        raise in_no_federation(home.path)
    return home, seats


def act_now(home: Home, seat: Seat, *, insist: bool = True) -> list[Done] | None:
    """Do what was decided, without asking any remote; None: another process has the home, and will do it.

    Raises:
        ImagiqError: nothing may be written for now, or the disk failed.
    """
    try:
        with home.lock(), open_seat(home, seat) as session:
            return act(session, insist=insist)
    except Conflict as error:
        if error.code not in {"home-locked", "store-locked"}:
            raise
        return None


def show_done(command: str, done: Sequence[Done] | None, *, wants_json: bool, **fields: object) -> int:
    """Print what was done, or that it will be; return the exit code."""
    if wants_json:
        shown = done_as_json(done or ())
        say(as_document({"command": command, "later": done is None, "done": shown, **fields}))
    elif done is None:
        say(LATER)
    else:
        for one in done:
            if one.error is None:
                say(f"{escaped(one.what)}: {'' if one.entry is None else one.entry.digest[:12]}")
            else:
                show_error(one.error, one.what)
    return 1 if any(one.error is not None for one in done or ()) else 0


def done_as_json(done: Sequence[Done]) -> list[dict[str, object]]:
    """Return what was done as JSON."""
    return [
        {
            "what": one.what,
            "commit": None if one.entry is None else one.entry.digest,
            "error": None if one.error is None else error_as_json(one.error),
        }
        for one in done
    ]


def error_as_json(error: ImagiqError) -> dict[str, str]:
    """Return an error as JSON."""
    return {"code": error.code, "what": error.what, "advice": error.advice}


def show_error(error: ImagiqError, what: str = "") -> None:
    """Print an error that did not end the command."""
    about = f"{escaped(what)}: " if what else ""
    say(painted(f"{about}error[{error.code}]: {escaped(error.what)} {escaped(error.advice)}", "red"))


def is_sure(question: str, *, yes: bool) -> bool:
    """Ask on the terminal; without one, and without ``--yes``, the answer is no."""
    return yes or click.confirm(question, default=False, err=True)


def setting(text: str) -> tuple[str, str]:
    """Return the key and the value that an option holds."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.UsageError(f"--config takes KEY=VALUE, not '{key}'.")
    return key, value
