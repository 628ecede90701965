"""Where repositories lie: a folder with ``.imagiq`` in it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from imagiq.errors import NotFound

__all__ = ["FOLDER", "find", "holds_repository", "store_folder"]

FOLDER: Final = ".imagiq"


def find(start: Path) -> Path:
    """Return the repository that a folder lies in: the folder itself, or the nearest above it that has ``.imagiq``.

    Raises:
        NotFound: there is none.
    """
    folder = start.absolute()
    if not folder.is_dir():
        raise NotFound("folder-missing", f"There is no folder {folder}.", "Check the name after -C.")
    for candidate in (folder, *folder.parents):
        if holds_repository(candidate):
            return candidate
    raise NotFound(
        "repository-missing",
        f"There is no imagiq repository in {folder} or above it.",
        "Go into one, name one with `imagiq -C FOLDER`, or make one with `imagiq demo`.",
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
