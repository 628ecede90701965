"""Where repositories lie: a folder with ``.imagiq`` in it; in a site's home, one for each federation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from imagiq.errors import Misuse, NotFound

__all__ = [
    "FEDERATIONS",
    "FOLDER",
    "SETTINGS",
    "find",
    "holds_repository",
    "in_no_federation",
    "in_several_federations",
    "store_folder",
]

FOLDER: Final = ".imagiq"
SETTINGS: Final = "site.toml"
"""The file that makes a folder the home of a site."""
FEDERATIONS: Final = "federations"
"""The folder in a home that has a folder for each federation."""


def find(start: Path) -> Path:
    """Return the repository that a folder lies in: the folder itself, or the nearest above it that has ``.imagiq``.

    The home of a site stands for the repository of its federation, if it is in one.

    Raises:
        NotFound: there is none.
        Misuse: the site is in several federations.
    """
    folder = start.absolute()
    if not folder.is_dir():
        raise NotFound("folder-missing", f"There is no folder {folder}.", "Check the name after -C.")
    for candidate in (folder, *folder.parents):
        if holds_repository(candidate):
            return candidate
        if (candidate / SETTINGS).is_file() and (candidate / FEDERATIONS).is_dir():
            return _only_seat(candidate)
    raise NotFound(
        "repository-missing",
        f"There is no imagiq repository in {folder} or above it.",
        "Go into one, name one with `imagiq -C FOLDER`, or make one with `imagiq demo`.",
    )


def _only_seat(home: Path) -> Path:
    seats = sorted(folder for folder in (home / FEDERATIONS).iterdir() if holds_repository(folder))
    if not seats:
        raise in_no_federation(home)
    if len(seats) > 1:
        raise in_several_federations([seat.name for seat in seats])
    return seats[0]


def in_no_federation(home: Path) -> NotFound:
    """Return the error for a site that is in no federation."""
    return NotFound(
        "federation-none",
        f"The site in {home} is in no federation.",
        "Found one with `imagiq found`, or join one with `imagiq join`.",
    )


def in_several_federations(names: Iterable[str]) -> Misuse:
    """Return the error for a site that is in several federations, where one must be named."""
    return Misuse(
        "federation-choose",
        f"This site is in several federations: {', '.join(names)}.",
        "Name one: imagiq --federation NAME ...",
    )


def holds_repository(folder: Path) -> bool:
    """Tell whether there is a repository in a folder."""
    try:
        return (folder / FOLDER / "format").is_file()
    except OSError:  # a folder above that nobody may look into
        return False


def store_folder(path: Path) -> Path:
    """Return where the store of the repository at ``path`` lies. ``path``: the folder, or the ``.imagiq`` in it."""
    return path if path.name == FOLDER else path / FOLDER
