"""The high-water mark: how far a store's feed has come, kept outside the store.

A store that was restored from a backup has less than its mark says; that is how its site notices, even when nobody
else can be asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from imagiq.errors import Corrupt, Unreachable
from imagiq.objects import Digest, parse_digest
from imagiq.store.files import RealFiles

__all__ = ["FileMark", "HighWaterMark", "Mark", "MemoryMark"]

Mark = tuple[str, int, Digest]
"""A feed, the number of its last commit, and that commit."""

_LIMIT: Final = 4096


class HighWaterMark(Protocol):
    """Where the mark is kept.

    Contract: :meth:`read` returns what was written last, or None if nothing ever was. It lies outside the store, so
    that who copies the store back does not copy the mark back.
    """

    def read(self) -> Mark | None:
        """Return the mark."""

    def write(self, mark: Mark) -> None:
        """Replace the mark; durable when it returns."""


class MemoryMark:
    """A mark in memory, for simulations: it outlives the crashes of a simulated site."""

    def __init__(self) -> None:
        self._mark: Mark | None = None

    def read(self) -> Mark | None:
        """Return the mark."""
        return self._mark

    def write(self, mark: Mark) -> None:
        """Replace the mark."""
        self._mark = mark


class FileMark:
    """A mark in a file.

    Args:
        path: The file; its folder is made when it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files = RealFiles()

    def read(self) -> Mark | None:
        """Return the mark.

        Raises:
            Corrupt: the file is damaged.
            Unreachable: it cannot be read.
        """
        try:
            with self._path.open("rb") as stream:
                parts = stream.read(_LIMIT).decode("ascii", "replace").split()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unreachable(
                "mark-unreadable", f"The high-water mark cannot be read: {error.strerror}.", "Permit it."
            ) from error
        if len(parts) == 3 and parts[1].isdecimal():
            return parse_digest(parts[0], "The mark's feed"), int(parts[1]), parse_digest(parts[2], "The mark's commit")
        raise Corrupt(
            "mark-form", "The high-water mark is damaged.", "Sync with another site, then delete the mark's file."
        )

    def write(self, mark: Mark) -> None:
        """Replace the mark: a new file, synced, then renamed over the old one.

        Raises:
            Unreachable: the disk does not take it.
        """
        new = self._path.with_suffix(".new")
        try:
            new.unlink(missing_ok=True)
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._files.write(str(new), f"{mark[0]} {mark[1]} {mark[2]}\n".encode("ascii"))
            self._files.rename(str(new), str(self._path))
            self._files.sync_folder(str(self._path.parent))
        except OSError as error:
            raise Unreachable(
                "mark-unwritable",
                f"The high-water mark cannot be written: {error.strerror}.",
                "Make room, or permit it.",
            ) from error
