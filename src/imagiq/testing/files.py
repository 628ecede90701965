"""A file system in memory that crashes, fills up and fails on request, and forgets what was not synced.

It models the page cache: a running system sees every call at once, and a power cut keeps of what was not synced any
part, in any order. See :class:`imagiq.store.Files` for what may be relied on.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import Final

from imagiq.store.contract import Content
from imagiq.store.files import NOTE_BYTES
from imagiq.testing._pages import Choose, File, Folder

__all__ = ["Choose", "Crash", "Fault", "SimulatedFiles"]


class Crash(BaseException):
    """The machine stops. Every later call raises it too, until :meth:`SimulatedFiles.power_cut` or ``kill``."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        at: At which call, counted from 1 by :attr:`SimulatedFiles.calls`.
        number: The system's number for the error, such as ``errno.ENOSPC``; None: the machine crashes.
        calls: How many calls fail, beginning with that one.
    """

    at: int
    number: int | None = None
    calls: int = 1


class SimulatedFiles:
    """A file system in memory; see :class:`imagiq.store.Files`. Its one folder at the beginning is ``/``.

    The calls are counted. A call that writes and syncs counts as several, since a machine can stop between them.
    A call that fails with ENOSPC may have written a part. When syncing a file fails, what was not durable stays
    readable until the power goes, and is lost then, whatever is synced later.

    Args:
        choose: Decides what a power cut keeps, and how much of a failing write is done.
    """

    workers: Final = 1

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self._top = Folder()
        self._locked: set[str] = set()
        self._stopped = False
        self._life = 0
        self.calls = 0
        self.fault: Fault | None = None

    def power_cut(self) -> None:
        """Stop the machine and start it again: of what was not durable any part is left."""
        self.kill()
        self._top.settle(self._choose)

    def kill(self) -> None:
        """End the process: its locks are free, and nothing that it wrote is lost."""
        self._locked.clear()
        self._stopped = False
        self._life += 1
        self.fault = None

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        self._call()
        return bytes(self._file(path).content)

    def size(self, path: str) -> int:
        """Return a file's length."""
        self._call()
        return len(self._file(path).content)

    def list(self, path: str) -> list[str]:
        """Return the names in a folder."""
        self._call()
        return sorted(self._folder(path).entries)

    def write(self, path: str, content: Content) -> None:
        """Make a new file with durable content."""
        self._call()
        folder, name = self._place(path)
        if name in folder.entries:
            raise _refusal(errno.EEXIST, path)
        file = File()
        folder.put(name, file)
        self._put(file, 0, bytes(content))
        self._sync(file)

    def append(self, path: str, content: bytes, *, sync: bool) -> None:
        """Add to the end of a file that is there."""
        file = self._file(path)
        if content:
            self._put(file, len(file.content), content)
        if sync:
            self._sync(file)

    def truncate(self, path: str, length: int) -> None:
        """Cut a file, durably."""
        self._call()
        file = self._file(path)
        file.cut(length)
        self._sync(file)

    def sync(self, path: str) -> None:
        """Make a file's content durable."""
        self._sync(self._file(path))

    def sync_folder(self, path: str) -> None:
        """Make the names in a folder durable."""
        self._call()
        self._folder(path).sync()

    def rename(self, old: str, new: str) -> None:
        """Give a file a new name, in place of what had it."""
        self._call()
        file = self._file(old)
        folder, name = self._place(new)
        if isinstance(folder.entries.get(name), Folder):
            raise _refusal(errno.EISDIR, new)
        folder.put(name, file)
        self._unlink(old)

    def make_folder(self, path: str) -> None:
        """Make a folder."""
        self._call()
        folder, name = self._place(path)
        if name in folder.entries:
            raise _refusal(errno.EEXIST, path)
        folder.put(name, Folder())

    def unlink(self, path: str) -> None:
        """Remove a file."""
        self._call()
        self._file(path)
        self._unlink(path)

    def lock(self, path: str, note: str) -> _SimulatedLock:
        """Take a lock that no other caller can take."""
        self._call()
        folder, name = self._place(path)
        if path in self._locked:
            raise _refusal(errno.EAGAIN, path)
        if name not in folder.entries:
            folder.put(name, File())
        before = self._file(path).content.decode("ascii", "replace").strip(" \n\0")
        self._leave(path, note)
        self._locked.add(path)
        return _SimulatedLock(self, path, before, self._life)

    def unlock(self, path: str, life: int, *, clean: bool) -> None:
        """Release a lock that was taken in life number ``life`` of the process."""
        if life != self._life:
            return
        self._locked.discard(path)
        if clean:
            self._leave(path, "")

    def _leave(self, path: str, note: str) -> None:
        self._put(self._file(path), 0, note.ljust(NOTE_BYTES - 1).encode("ascii") + b"\n")

    def _put(self, file: File, at: int, data: bytes) -> None:
        try:
            self._call()
        except OSError as error:
            if error.errno == errno.ENOSPC:
                file.put(at, data[: self._choose(len(data) + 1)])
            raise
        file.put(at, data)

    def _sync(self, file: File) -> None:
        try:
            self._call()
        except OSError:
            file.changes.clear()
            raise
        file.sync()

    def _call(self) -> None:
        """Count a call, and let it fail if it shall."""
        if self._stopped:
            raise Crash
        self.calls += 1
        fault = self.fault
        if fault is None or not fault.at <= self.calls < fault.at + fault.calls:
            return
        if fault.number is None:
            self._stopped = True
            raise Crash
        raise _refusal(fault.number, f"call {self.calls}")

    def _place(self, path: str) -> tuple[Folder, str]:
        above, _, name = path.rpartition("/")
        return self._folder(above), name

    def _folder(self, path: str) -> Folder:
        entry = self._entry(path)
        if isinstance(entry, File):
            raise _refusal(errno.ENOTDIR, path)
        return entry

    def _file(self, path: str) -> File:
        if self._stopped:
            raise Crash
        entry = self._entry(path)
        if isinstance(entry, Folder):
            raise _refusal(errno.EISDIR, path)
        return entry

    def _entry(self, path: str) -> File | Folder:
        entry: File | Folder = self._top
        for name in filter(None, path.split("/")):
            if isinstance(entry, File):
                raise _refusal(errno.ENOTDIR, path)
            below = entry.entries.get(name)
            if below is None:
                raise _refusal(errno.ENOENT, path)
            entry = below
        return entry

    def _unlink(self, path: str) -> None:
        folder, name = self._place(path)
        folder.put(name, None)


@dataclass(frozen=True, slots=True)
class _SimulatedLock:
    files: SimulatedFiles
    path: str
    before: str
    life: int

    def release(self, *, clean: bool) -> None:
        """Let go."""
        self.files.unlock(self.path, self.life, clean=clean)


def _refusal(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)
