"""A folder as a remote: one machine's disk, a shared drive (NFS, SMB), a USB stick.

It relies on neither file events nor locks: a new file is written under another name, synced, then linked or renamed to
its own. Nothing that others put there is followed out of it: only plain files are read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from secrets import token_hex
from threading import Event
from typing import Final

from imagiq.clock import Clock, SystemClock
from imagiq.errors import Unreachable
from imagiq.exchange.remote import FEEDS, HEAD, OBJECT_LIMIT, Listed, check_folder, check_name

__all__ = ["FolderRemote"]

GLANCE_EVERY_S: Final = 0.05
GLANCE_EVERY_S_FOR_EACH: Final = 0.004
"""With many sites the pause between two glances is so many seconds for each, so that glancing takes a small part of the time."""
LOOK_EVERY_S: Final = 1.0
HEAD_LIMIT: Final = 64
TEMPORARY: Final = ".new-"

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES}
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class FolderRemote:
    """See :class:`imagiq.exchange.remote.Remote`.

    Args:
        path: The folder. It exists; so a drive that is not mounted shows, and is not written under.
        sync: Whether each file is durable before it is visible; only a throw-away copy does without.
        clock: Tells how long a look takes.
    """

    def __init__(self, path: str | os.PathLike[str], *, sync: bool = True, clock: Clock | None = None) -> None:
        self._root = Path(path)
        self._clock = clock or SystemClock()
        self._sync = sync
        self._closed = Event()

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self._root)

    def put_if_absent(self, name: str, content: bytes) -> bool:
        """Put a file where none is."""
        target = self._path(name)
        with self._explained(wrote=True):
            if target.exists():
                return False
            temporary = self._written(target, content)
            try:
                self._link(temporary, target)
            except FileExistsError:
                return False
            finally:
                with suppress(FileNotFoundError):
                    temporary.unlink()
            self._sync_folder(target.parent)
            return True

    def replace(self, name: str, content: bytes) -> None:
        """Put a file in place of the one that is there."""
        target = self._path(name)
        with self._explained(wrote=True):
            temporary = self._written(target, content)
            try:
                temporary.replace(target)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
            self._sync_folder(target.parent)

    def get(self, name: str, *, start: int = 0, length: int = OBJECT_LIMIT + 1) -> bytes | None:
        """Return a part of a file."""
        return self._read(self._path(name), start, length)

    def list(self, folder: str, *, after: str = "") -> Iterator[Listed]:
        """Yield what is in a folder."""
        path = self._root / check_folder(folder)
        found = []
        with self._explained(wrote=False):
            self._check_root()
            try:
                entries = list(os.scandir(path))
            except (FileNotFoundError, NotADirectoryError):
                return
            for entry in entries:
                if entry.name > after and not entry.name.startswith("."):
                    with suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(status.st_mode):
                            found.append(Listed(entry.name, status.st_size))
        yield from sorted(found)

    def news(self, sites: Sequence[str], since: str = "", wait_s: float = 0.0) -> str:
        """Read the heads, then glance at their files' marks again and again until one has changed.

        A glance costs little, and sees at once what another process of this machine has put; of a network drive it may
        see what the machine remembers. So once a second the heads are read: to open a file asks the drive's server.
        """
        heads = [self._path(f"{site}/{FEEDS}/{HEAD}") for site in sites]
        until_s = self._clock.now_s() + wait_s
        marks = _marks(heads)
        while (word := self._word(heads)) == since:
            left_s = until_s - self._clock.now_s()
            if left_s <= 0 or self._closed.is_set():
                break
            marks = self._changed(heads, marks, min(left_s, LOOK_EVERY_S))
        return word

    def _changed(self, heads: Sequence[Path], marks: Sequence[object], wait_s: float) -> Sequence[object]:
        """Wait until the marks of files are others, or the time is over; return them."""
        pause_s = max(GLANCE_EVERY_S, GLANCE_EVERY_S_FOR_EACH * len(heads))
        until_s = self._clock.now_s() + wait_s
        while (left_s := until_s - self._clock.now_s()) > 0 and not self._closed.wait(min(pause_s, left_s)):
            if (found := _marks(heads)) != marks:
                return found
        return marks

    def _word(self, heads: Sequence[Path]) -> str:
        found = hashlib.sha256()
        for head in heads:
            found.update(self._read(head, 0, HEAD_LIMIT) or b"-")
        return found.hexdigest()

    def close(self) -> None:
        """End all waiting."""
        self._closed.set()

    def _path(self, name: str) -> Path:
        return self._root / check_name(name)

    def _check_root(self) -> None:
        if not self._root.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the folder is not there", str(self._root))

    def _read(self, path: Path, start: int, length: int) -> bytes | None:
        with self._explained(wrote=False):
            try:
                handle = os.open(path, _READ)
            except (FileNotFoundError, NotADirectoryError):
                self._check_root()
                return None
            except OSError as error:
                if error.errno in {errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR}:
                    return None
                raise
            try:
                status = os.fstat(handle)
                if not stat.S_ISREG(status.st_mode):
                    return None
                with FileIO(handle, closefd=False) as file:
                    file.seek(start)
                    return _read_whole(file, min(length, status.st_size - start))
            finally:
                os.close(handle)

    def _written(self, target: Path, content: bytes) -> Path:
        """Write a file beside its place."""
        self._check_root()
        for folder in (target.parent.parent, target.parent):
            if not folder.is_dir():
                with suppress(FileExistsError):
                    folder.mkdir()
                self._sync_folder(folder.parent)
        temporary = target.with_name(f"{TEMPORARY}{token_hex(8)}")
        handle = os.open(temporary, _WRITE, 0o644)
        try:
            with FileIO(handle, "w") as file:
                rest = memoryview(content)
                while rest:
                    rest = rest[file.write(rest) :]
                if self._sync:
                    os.fsync(handle)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    def _link(self, temporary: Path, target: Path) -> None:
        """Give a file its name unless another has it; where there are no links, only its one writer gives it that."""
        try:
            os.link(temporary, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if target.exists():
                raise FileExistsError(errno.EEXIST, "there is one", str(target)) from error
            temporary.rename(target)

    def _sync_folder(self, folder: Path) -> None:
        if not self._sync or os.name == "nt":
            return
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network drives cannot, and do it anyway
                raise
        finally:
            os.close(handle)

    @contextmanager
    def _explained(self, *, wrote: bool) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _explain(error, self.name, wrote=wrote) from error


def _marks(paths: Sequence[Path]) -> Sequence[object]:
    """Return what another file of the same name would differ in; None where none can be seen."""
    found: list[object] = []
    for path in paths:
        try:
            status = path.lstat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_mtime_ns, status.st_ino, status.st_size))
    return found


def _read_whole(file: FileIO, length: int) -> bytes:
    parts = []
    while length > 0 and (part := file.read(length)):
        parts.append(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _explain(error: OSError, name: str, *, wrote: bool) -> Unreachable:
    if error.errno in _FULL:
        return Unreachable("remote-full", f"The remote {name} is full.", "Make room there; nothing was lost.")
    if error.errno in _FORBIDDEN and wrote:
        return Unreachable("remote-read-only", f"Nothing can be written to the remote {name}.", "Ask who keeps it.")
    return Unreachable(
        "remote-away", f"The remote {name} does not answer: {error.strerror or error}.", "Check that it is connected."
    )
