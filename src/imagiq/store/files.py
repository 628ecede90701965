"""The seam to the file system: the few calls that a store makes, and the real ones.

:class:`imagiq.testing.files.SimulatedFiles` implements the same calls over a simulated page cache.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Final, Protocol

from imagiq.store.contract import Content

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["Files", "Lock", "RealFiles"]

NOTE_BYTES: Final = 32
"""A lock's note always has this length, so that changing it takes no space on a full disk."""

_LOCKED_BYTE: Final = 2**30
_BINARY: Final = getattr(os, "O_BINARY", 0)


class Lock(Protocol):
    """A lock that is held."""

    @property
    def before(self) -> str:
        """The note that was in the file; empty if the last holder released it cleanly, or there was none."""

    def release(self, *, clean: bool) -> None:
        """Let go, with an empty note if ``clean``; the system lets go, leaving the note, when the process ends."""


class Files(Protocol):
    """A file system, as POSIX promises it and no more.

    Contract:
        Paths are text with '/' between names. Errors are OSError with the system's number.

        Content that was not synced may be lost, reordered or torn when the power goes. A name that was made, replaced
        or removed may come out either way until its folder is synced, each name for itself; a rename replaces its
        target whole. Killing the process loses nothing. When syncing a file fails, what was not durable may be lost
        for good, even if a later sync of it succeeds. When syncing a folder fails, it can be tried again.

        Files can be read by their owner only. Calls on different paths may run side by side.
    """

    @property
    def workers(self) -> int:
        """How many calls are worth running side by side; 1 means: in the caller's thread."""

    def read(self, path: str) -> bytes:
        """Return a file's content."""

    def size(self, path: str) -> int:
        """Return a file's length."""

    def list(self, path: str) -> list[str]:
        """Return the names in a folder."""

    def write(self, path: str, content: Content) -> None:
        """Make a new file; its content is durable on return, its name is not. FileExistsError if there is one."""

    def append(self, path: str, content: bytes, *, sync: bool) -> None:
        """Add to the end of a file that is there; with ``sync`` the file's whole content is durable on return."""

    def truncate(self, path: str, length: int) -> None:
        """Cut a file; durable on return, with all that is left of it."""

    def sync(self, path: str) -> None:
        """Make a file's content durable."""

    def sync_folder(self, path: str) -> None:
        """Make the names in a folder durable."""

    def rename(self, old: str, new: str) -> None:
        """Give a file a new name, in place of what had it."""

    def make_folder(self, path: str) -> None:
        """Make a folder. FileExistsError if there is one."""

    def unlink(self, path: str) -> None:
        """Remove a file."""

    def lock(self, path: str, note: str) -> Lock:
        """Take a lock that no other process or caller can take, leaving a note of at most 31 ASCII characters.

        BlockingIOError if another has it.
        """


class RealFiles:
    """The machine's own file system; see :class:`Files`.

    Where it cannot be asked for, as on Windows, syncing a folder does nothing: NTFS keeps names in order by its log.
    """

    workers: Final = 8

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            return file.readall()

    def size(self, path: str) -> int:
        """Return a file's length."""
        return os.stat(path).st_size  # noqa: PTH116

    def list(self, path: str) -> list[str]:
        """Return the names in a folder."""
        return os.listdir(path)  # noqa: PTH208

    def write(self, path: str, content: Content) -> None:
        """Make a new file with durable content."""
        with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as handle:
            _write_whole(handle, content)
            _sync(handle)

    def append(self, path: str, content: bytes, *, sync: bool) -> None:
        """Add to the end of a file that is there."""
        with _opened(path, os.O_WRONLY | os.O_APPEND) as handle:
            _write_whole(handle, content)
            if sync:
                _sync(handle)

    def truncate(self, path: str, length: int) -> None:
        """Cut a file, durably."""
        with _opened(path, os.O_WRONLY) as handle:
            os.ftruncate(handle, length)
            _sync(handle)

    def sync(self, path: str) -> None:
        """Make a file's content durable."""
        with _opened(path, os.O_RDWR) as handle:
            _sync(handle)

    def sync_folder(self, path: str) -> None:
        """Make the names in a folder durable."""
        if sys.platform != "win32":
            with _opened(path, os.O_RDONLY) as handle:
                _sync(handle)

    def rename(self, old: str, new: str) -> None:
        """Give a file a new name, in place of what had it."""
        os.replace(old, new)  # noqa: PTH105

    def make_folder(self, path: str) -> None:
        """Make a folder."""
        os.mkdir(path, 0o700)  # noqa: PTH102

    def unlink(self, path: str) -> None:
        """Remove a file."""
        os.unlink(path)  # noqa: PTH108

    def lock(self, path: str, note: str) -> Lock:
        """Take a lock that no other process or caller can take."""
        handle = os.open(path, os.O_RDWR | os.O_CREAT | _BINARY, 0o600)
        try:
            _take_lock(handle)
            lock = _RealLock(handle, os.read(handle, NOTE_BYTES).decode("ascii", "replace").strip())
            lock.leave(note)
        except OSError:
            os.close(handle)
            raise
        return lock


class _RealLock:
    def __init__(self, handle: int, before: str) -> None:
        self._handle = handle
        self.before = before

    def leave(self, note: str) -> None:
        os.lseek(self._handle, 0, os.SEEK_SET)
        _write_whole(self._handle, note[: NOTE_BYTES - 1].ljust(NOTE_BYTES - 1).encode("ascii") + b"\n")

    def release(self, *, clean: bool) -> None:
        try:
            if clean:
                self.leave("")
        finally:
            os.close(self._handle)


@contextlib.contextmanager
def _opened(path: str, flags: int) -> Iterator[int]:
    handle = os.open(path, flags | _BINARY, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


def _write_whole(handle: int, content: Content) -> None:
    rest = memoryview(content).cast("B")
    while rest:
        rest = rest[os.write(handle, rest) :]


def _sync(handle: int) -> None:
    if sys.platform == "darwin":
        try:
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno not in {errno.ENOTSUP, errno.EINVAL, errno.ENOTTY}:
                raise
        else:
            return
    os.fsync(handle)


def _take_lock(handle: int) -> None:
    if sys.platform == "win32":
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(errno.EAGAIN, "locked") from error
        os.lseek(handle, 0, os.SEEK_SET)
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
