"""Making written files visible: all renamed, then each folder touched synced once; nothing is durable before that."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from threading import RLock

from imagiq.objects import Digest
from imagiq.store._staging import side_by_side
from imagiq.store.files import Files

__all__ = ["Publisher"]


class Publisher:
    """Renames into folders, and knows which folders hold names that are not durable yet.

    A name that is visible but not durable is what a call leaves that was interrupted between the two. Every later call
    makes such names durable first, so that nobody stands on an object that a power cut takes away again.

    Args:
        files: The file system.
        pool: Where folders are synced side by side.
    """

    def __init__(self, files: Files, pool: Executor | None) -> None:
        self._files = files
        self._pool = pool
        self._lock = RLock()
        self._known: set[str] = set()
        self._unsynced: set[str] = set()
        self.hidden: set[Digest] = set()

    def doubt(self, folders: Iterable[str]) -> None:
        """Take these folders' names as not durable."""
        with self._lock:
            self._unsynced.update(folders)

    def publish(self, temporary: dict[Digest, str], targets: dict[Digest, str], *, hide: bool) -> None:
        """Give files their names, durably.

        Args:
            temporary: The written files; each is taken out when it has its name.
            targets: The names.
            hide: Whether they stay in :attr:`hidden` until they are durable. Who looks for a file's name there does
                so after finding the file.
        """
        with self._lock:
            self.settle()
            for digest in list(temporary):
                if hide:
                    self.hidden.add(digest)
                self._move(temporary[digest], targets[digest])
                del temporary[digest]
            self.settle()

    def replace(self, temporary: str, target: str) -> None:
        """Give one file its name, in place of what had it, durably."""
        with self._lock:
            self._move(temporary, target)
            self.settle()

    def _move(self, temporary: str, target: str) -> None:
        folder = target.rpartition("/")[0]
        if folder not in self._known:
            self._unsynced.add(folder.rpartition("/")[0])
            self._make(folder)
            self._known.add(folder)
        self._unsynced.add(folder)
        try:
            self._files.rename(temporary, target)
        except FileNotFoundError:  # somebody has removed the folder: it is made again by the next call
            self._known.discard(folder)
            raise

    def _make(self, folder: str) -> None:
        """Make a folder, and the one above it, if somebody has removed that."""
        above = folder.rpartition("/")[0]
        try:
            self._files.make_folder(folder)
        except FileExistsError:
            return
        except FileNotFoundError:
            self._files.make_folder(above)
            self._unsynced.add(above.rpartition("/")[0])
            self._files.make_folder(folder)

    def settle(self) -> None:
        """Make every visible name durable."""
        with self._lock:
            for folder in side_by_side(self._pool, self._synced, sorted(self._unsynced), weigh=len):
                self._unsynced.discard(folder)
            self.hidden.clear()

    def _synced(self, folder: str) -> str:
        try:
            self._files.sync_folder(folder)
        except FileNotFoundError:  # somebody has removed it: then that is made durable
            self._files.sync_folder(folder.rpartition("/")[0])
            self._known.discard(folder)
        return folder
