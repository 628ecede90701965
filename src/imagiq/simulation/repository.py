"""Where a simulation leaves its sites: ``FOLDER/<site>/.imagiq`` each, beside them the journal and what came of it.

A simulation that was killed is run again, so nothing here waits for the disk: that makes it ten times faster. All else
is the very store that hospitals use.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

from imagiq.errors import Conflict, Corrupt, ImagiqError, NotFound, Unreachable
from imagiq.objects import digest_of
from imagiq.report import Report, report_as_json
from imagiq.report.folder import OUTCOME, PAGE
from imagiq.simulation.journal import Journal, read_journal
from imagiq.store import Content, FolderStore, Lock, RealFiles

__all__ = ["JOURNAL", "SCENARIO", "SitesFolder", "UnsyncedFiles"]

JOURNAL: Final = "journal.jsonl"
SCENARIO: Final = "federation.toml"
REPOSITORY: Final = ".imagiq"
OWN: Final = frozenset({JOURNAL, OUTCOME, PAGE})
"""What a simulation leaves beside the sites."""


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
        fresh: Replace what an earlier simulation left there.
        copy: Leave a copy of the scenario's file there, too.
    """

    def __init__(self, path: Path, *, fresh: bool = False, copy: bool = False) -> None:
        self.path = path
        self._fresh = fresh
        self._copy = copy
        self._files = UnsyncedFiles()

    @property
    def journal(self) -> Path:
        """Where the journal is written."""
        return self.path / JOURNAL

    def make(self, journal: Journal, file: Path | None) -> Journal:
        """Make the folder, and mark it as a simulation's by a journal in which nothing has happened yet.

        Args:
            journal: That journal.
            file: The scenario's file, if it has one.

        Returns:
            The journal, as it was written.

        Raises:
            Conflict: there is something already.
            Unreachable: the disk does not allow it.
        """
        try:
            copy = file.read_bytes() if self._copy and file is not None else b""
            if self._is_taken():
                self._check_own()
                shutil.rmtree(self.path)
            self.path.mkdir(exist_ok=True)
            if copy:
                (self.path / SCENARIO).write_bytes(copy)
                journal = replace(journal, scenario=digest_of(copy))
        except OSError as error:
            raise Unreachable(
                "folder-write",
                f"The folder {self.path} cannot be made: {error.strerror}.",
                "Check its name and rights.",
            ) from error
        journal.write(self.journal)
        return journal

    def leave(self, report: Report) -> None:
        """Leave what came of the simulation, for a report that may be made later."""
        text = json.dumps(report_as_json(report), allow_nan=False, separators=(",", ":"))
        self.write(OUTCOME, text.encode())

    def write(self, name: str, content: bytes) -> None:
        """Write a file beside the sites.

        Raises:
            Unreachable: the disk does not allow it.
        """
        try:
            (self.path / name).write_bytes(content)
        except OSError as error:
            raise Unreachable(
                "folder-write",
                f"The file {self.path / name} cannot be written: {error.strerror}.",
                "Check the folder's rights, and the room on its disk.",
            ) from error

    def _is_taken(self) -> bool:
        return (self.path.is_dir() and any(self.path.iterdir())) or (self.path.exists() and not self.path.is_dir())

    def _check_own(self) -> None:
        """Check that there is nothing but what a simulation left, and that it may be removed."""
        try:
            copy = read_journal(self.journal).scenario
            strange = [inner for inner in self.path.iterdir() if inner.name not in OWN and _is_strange(inner, copy)]
        except (Corrupt, NotFound, Unreachable) as error:
            raise self._not_own(error) from error
        if strange:
            raise self._not_own(None)
        if not self._fresh:
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


def _is_strange(path: Path, copy: str) -> bool:
    """Tell whether this is neither a site's repository nor the unchanged copy of the scenario's file."""
    if path.name == SCENARIO and path.is_file():
        return digest_of(path.read_bytes()) != copy
    return not path.is_dir() or {inner.name for inner in path.iterdir()} != {REPOSITORY}
