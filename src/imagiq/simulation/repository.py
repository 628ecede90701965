"""Where a simulation leaves its sites: ``FOLDER/<site>/.imagiq`` each, and the journal beside them.

A simulation that was killed is run again, so nothing here waits for the disk: that makes it ten times faster. All else
is the very store that hospitals use.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from imagiq.errors import Conflict, Corrupt, ImagiqError, NotFound, Unreachable
from imagiq.simulation.journal import read_journal
from imagiq.store import Content, FolderStore, Lock, RealFiles

__all__ = ["JOURNAL", "SitesFolder", "UnsyncedFiles"]

JOURNAL: Final = "journal.jsonl"
REPOSITORY: Final = ".imagiq"


class UnsyncedFiles:
    """The machine's own file system, without waiting for the disk; see :class:`imagiq.store.Files`.

    It keeps everything that it promises but one thing: when the power goes, what was written last may be gone.
    """

    workers: Final = 1

    def __init__(self) -> None:
        self._real = RealFiles()
        self.read = self._real.read
        self.size = self._real.size
        self.list = self._real.list
        self.rename = self._real.rename
        self.make_folder = self._real.make_folder
        self.unlink = self._real.unlink

    def write(self, path: str, content: Content) -> None:
        """Make a new file."""
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(handle, "wb", buffering=0) as file:
            file.write(content)

    def append(self, path: str, content: bytes, *, sync: bool) -> None:  # noqa: ARG002 - nothing is synced
        """Add to the end of a file that is there."""
        self._real.append(path, content, sync=False)

    def truncate(self, path: str, length: int) -> None:
        """Cut a file."""
        os.truncate(path, length)

    def sync(self, path: str) -> None:
        """Do nothing."""

    def sync_folder(self, path: str) -> None:
        """Do nothing."""

    def lock(self, path: str, note: str) -> Lock:
        """Take a lock that no other process or caller can take."""
        return self._real.lock(path, note)


class SitesFolder:
    """The folder in which a simulation leaves its sites.

    Args:
        path: The folder; the one above it must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = UnsyncedFiles()

    @property
    def journal(self) -> Path:
        """Where the journal is written."""
        return self.path / JOURNAL

    def make(self, *, fresh: bool = False) -> None:
        """Make the folder; one that a simulation left is removed first if ``fresh``.

        Raises:
            Conflict: there is something already.
            Unreachable: the disk does not allow it.
        """
        try:
            if self._is_taken():
                self._check_own(fresh=fresh)
                shutil.rmtree(self.path)
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            raise Unreachable(
                "folder-write",
                f"The folder {self.path} cannot be made: {error.strerror}.",
                "Check its name and rights.",
            ) from error

    def _is_taken(self) -> bool:
        return (self.path.is_dir() and any(self.path.iterdir())) or (self.path.exists() and not self.path.is_dir())

    def _check_own(self, *, fresh: bool) -> None:
        """Check that there is nothing but what a simulation left, and that it may be removed."""
        try:
            read_journal(self.journal)
            strange = [name for name in self.path.iterdir() if name.name != JOURNAL and _is_strange(name)]
        except (Corrupt, NotFound, Unreachable) as error:
            raise self._not_own(error) from error
        if strange:
            raise self._not_own(None)
        if not fresh:
            raise Conflict(
                "folder-exists",
                f"A simulation has left its sites in {self.path} already.",
                "Look at them, name another folder, or say --fresh to make them anew.",
            )

    def _not_own(self, error: ImagiqError | None) -> Conflict:
        why = "" if error is None or isinstance(error, NotFound) else f" ({error.what})"
        return Conflict(
            "folder-foreign",
            f"In {self.path} is something that no simulation left there{why}.",
            "Name another folder; it is not touched.",
        )

    def store(self, site: str) -> FolderStore:
        """Make the store of a site."""
        (self.path / site).mkdir()
        return FolderStore.create(self.path / site / REPOSITORY, files=self._files)


def _is_strange(path: Path) -> bool:
    return not path.is_dir() or {inner.name for inner in path.iterdir()} != {REPOSITORY}
