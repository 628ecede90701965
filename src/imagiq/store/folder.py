"""A store in a folder: objects rest plainly, as files.

::

    format            imagiq repository 1
    objects/ab/cdef…  blobs, trees, schemas, charters, by their digests
    commits/ab/cdef…  commits, by their digests
    journal           what is known only here; see imagiq.store.journal
    sidecar/<digest>/<name>   private to the site, belonging to a commit
    secrets/<name>    keys
    tmp/              files being written; emptied at each opening for writing
    lock              held while the repository is open for writing; its text tells whether it was closed
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import count
from types import TracebackType
from typing import Final, Self

from imagiq.errors import Conflict, Misuse
from imagiq.objects import Digest
from imagiq.store._checks import check_commit, commit_missing, object_missing
from imagiq.store._explain import reading, writing
from imagiq.store._layout import FOLDERS, Layout, check_format, lay_out, take_lock
from imagiq.store._staging import Staging, nbytes, side_by_side, write_temporary
from imagiq.store._visible import Publisher
from imagiq.store.contract import Content
from imagiq.store.files import Files, Lock, RealFiles
from imagiq.store.journal import FolderJournal

__all__ = ["FolderStore"]

_HEX: Final = frozenset("0123456789abcdef")


class FolderStore:
    """A store in a folder; see :class:`imagiq.store.Store`. Made by :meth:`open` and :meth:`create`."""

    def __init__(self, layout: Layout, files: Files, lock: Lock | None) -> None:
        self.root = layout.root
        self._layout = layout
        self._files = files
        self._lock = lock
        self._temporary = count(1)
        self._pool = ThreadPoolExecutor(files.workers) if lock is not None and files.workers > 1 else None
        self._publisher = Publisher(files, self._pool)
        self._journal = FolderJournal(files, layout, writable=lock is not None)

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, files: Files | None = None) -> FolderStore:
        """Make an empty repository and open it for writing; the folder may exist, the one above it must.

        Raises:
            Conflict: there is a repository, or another process is making one.
            Unreachable: the folder cannot be written.
        """
        layout, files = Layout(path), files or RealFiles()
        with writing(layout.root):
            with suppress(FileExistsError):
                files.make_folder(layout.root)
            with ExitStack() as undo:
                lock = take_lock(files, layout)
                undo.callback(lock.release, clean=False)
                if "format" in files.list(layout.root):
                    raise Conflict(
                        "store-exists", f"{layout.root} is a repository already.", "Open it, or name another folder."
                    )
                lay_out(files, layout)
                undo.pop_all()
        return cls(layout, files, lock)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, files: Files | None = None, read_only: bool = False) -> FolderStore:
        """Open a repository; for writing, one process at a time can.

        Raises:
            NotFound: there is none.
            Unsupported: it is of another format.
            Conflict: another process has it open for writing.
            Unreachable: the disk is full, read-only or failing.
        """
        layout, files = Layout(path), files or RealFiles()
        check_format(files, layout)
        if read_only:
            return cls(layout, files, None)
        with writing(layout.root), ExitStack() as undo:
            lock = take_lock(files, layout)
            undo.callback(lock.release, clean=False)
            store = cls(layout, files, lock)
            undo.callback(store._stop_pool)
            store._recover(was_closed=not lock.before)
            undo.pop_all()
        return store

    def _recover(self, *, was_closed: bool) -> None:
        """Remove what was being written; after a kill, make durable what is visible.

        Folders may be missing: programs that copy a repository may leave out empty ones.
        """
        for path in map(self._layout.shelf, FOLDERS):
            with suppress(FileExistsError):
                self._files.make_folder(path)
                self._publisher.doubt([self.root])
        for name in self._files.list(self._layout.temporary):
            self._files.unlink(f"{self._layout.temporary}/{name}")
        if was_closed:
            return
        self._journal.renew()
        self._publisher.doubt([self._layout.above, self.root, *map(self._layout.shelf, FOLDERS)])
        for kind in ("objects", "commits"):
            self._publisher.doubt(f"{self._layout.shelf(kind)}/{two}" for two in self._fans(kind))
        self._publisher.settle()

    @property
    def journal(self) -> FolderJournal:
        """The local journal."""
        return self._journal

    def add(self, objects: Iterable[Content]) -> tuple[Digest, ...]:
        """Keep blobs, trees, schemas and charters."""
        return self._add("objects", objects)

    def add_commits(self, raws: Iterable[bytes]) -> tuple[Digest, ...]:
        """Keep commits."""
        return self._add("commits", raws)

    def _add(self, kind: str, contents: Iterable[Content]) -> tuple[Digest, ...]:
        self._require_writable()
        holds = self._holds_commit if kind == "commits" else self._holds_object
        staging = Staging(self._files, self.root, self._next_name, holds)
        try:
            digests = tuple(side_by_side(self._pool, staging.take, contents, weigh=nbytes))
            targets = {digest: self._layout.object(kind, digest) for digest in staging.temporary}
            with writing(self.root):
                self._publisher.publish(staging.temporary, targets, hide=kind == "commits")
        finally:
            staging.discard()
        return digests

    def has(self, digest: Digest) -> bool:
        """Tell whether an object other than a commit is here."""
        return self._is_file(self._layout.object("objects", digest))

    def read(self, digest: Digest) -> bytes:
        """Return an object's bytes."""
        with reading(self.root):
            try:
                return self._files.read(self._layout.object("objects", digest))
            except FileNotFoundError as error:
                raise object_missing(digest) from error

    def size(self, digest: Digest) -> int:
        """Return how many bytes an object has."""
        with reading(self.root):
            try:
                return self._files.size(self._layout.object("objects", digest))
            except FileNotFoundError as error:
                raise object_missing(digest) from error

    def objects(self) -> Iterator[Digest]:
        """Return the names of all objects other than commits."""
        return self._digests("objects")

    def remove(self, digests: Iterable[Digest]) -> None:
        """Forget objects."""
        self._require_writable()
        for digest in digests:
            with writing(self.root), suppress(FileNotFoundError):
                self._files.unlink(self._layout.object("objects", digest))

    def has_commit(self, digest: Digest) -> bool:
        """Tell whether a commit is here."""
        return self._is_file(self._layout.object("commits", digest)) and digest not in self._publisher.hidden

    def read_commit(self, digest: Digest) -> bytes:
        """Return a commit's bytes."""
        with reading(self.root):
            try:
                raw = self._files.read(self._layout.object("commits", digest))
            except FileNotFoundError as error:
                raise commit_missing(digest) from error
        if digest in self._publisher.hidden:
            raise commit_missing(digest)
        return check_commit(digest, raw)

    def commits(self) -> Iterator[bytes]:
        """Return the bytes of all commits, as they are found: a damaged one is returned damaged."""
        for digest in self._digests("commits"):
            with reading(self.root):
                raw = self._files.read(self._layout.object("commits", digest))
            if digest not in self._publisher.hidden:
                yield raw

    def sidecar_write(self, commit: Digest, name: str, content: bytes) -> None:
        """Keep what belongs to a commit and never leaves the site."""
        self._replace(self._layout.sidecar(commit, name), content)

    def sidecar_read(self, commit: Digest, name: str) -> bytes | None:
        """Return what :meth:`sidecar_write` kept, or None."""
        return self._read_if_there(self._layout.sidecar(commit, name))

    def sidecar_remove(self, commit: Digest) -> None:
        """Forget all that was kept beside a commit."""
        self._require_writable()
        folder = self._layout.sidecars(commit)
        with writing(self.root), suppress(FileNotFoundError):
            for name in self._files.list(folder):
                self._files.unlink(f"{folder}/{name}")

    def secret_write(self, name: str, content: bytes) -> None:
        """Keep a key where only its owner can read it."""
        self._replace(self._layout.secret(name), content)

    def secret_read(self, name: str) -> bytes | None:
        """Return what :meth:`secret_write` kept, or None."""
        return self._read_if_there(self._layout.secret(name))

    def close(self) -> None:
        """Make everything durable and let go of the lock."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        clean = False
        try:
            with writing(self.root):
                self._publisher.settle()
                self._journal.close()
                clean = True
        finally:
            self._stop_pool()
            with writing(self.root):
                lock.release(clean=clean)

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _stop_pool(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def _require_writable(self) -> None:
        if self._lock is None:
            raise Misuse("store-read-only", f"{self.root} is not open for writing.", "Open it for writing.")

    def _next_name(self) -> str:
        return f"{self._layout.temporary}/{next(self._temporary)}"

    def _holds_object(self, digest: Digest, content: Content) -> bool:
        """Tell whether a file of the right length is there, so that one that was cut off is written again."""
        try:
            return self._files.size(self._layout.object("objects", digest)) == nbytes(content)
        except FileNotFoundError:
            return False

    def _holds_commit(self, digest: Digest, raw: Content) -> bool:
        """Tell whether a file with these bytes is there, so that a damaged one is written again."""
        try:
            return self._files.read(self._layout.object("commits", digest)) == raw
        except FileNotFoundError:
            return False

    def _is_file(self, path: str) -> bool:
        with reading(self.root), suppress(FileNotFoundError):
            self._files.size(path)
            return True
        return False

    def _read_if_there(self, path: str) -> bytes | None:
        with reading(self.root), suppress(FileNotFoundError):
            return self._files.read(path)
        return None

    def _replace(self, path: str, content: bytes) -> None:
        self._require_writable()
        temporary = self._next_name()
        try:
            with writing(self.root):
                write_temporary(self._files, temporary, content)
                self._publisher.replace(temporary, path)
        finally:
            with suppress(OSError):
                self._files.unlink(temporary)

    def _fans(self, kind: str) -> list[str]:
        with suppress(FileNotFoundError):
            return [n for n in self._files.list(self._layout.shelf(kind)) if len(n) == 2 and _HEX.issuperset(n)]
        return []

    def _digests(self, kind: str) -> Iterator[Digest]:
        with reading(self.root):
            fans = self._fans(kind)
        for two in fans:
            with reading(self.root):
                names = self._files.list(f"{self._layout.shelf(kind)}/{two}")
            yield from (Digest(two + name) for name in names if len(name) == 62 and _HEX.issuperset(name))
