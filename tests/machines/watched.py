"""A store that can stop or fail at any operation, and that looks at what is written, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self

from imagiq.errors import Unreachable
from imagiq.objects import Digest
from imagiq.store import Content, Journal, Record, Store
from imagiq.testing.files import Crash

__all__ = ["Crash", "Watched"]


class WatchedJournal:
    """Remembers which actions have a durable started mark."""

    def __init__(self, inner: Journal, watched: Watched) -> None:
        self._inner = inner
        self._watched = watched
        self._begun: set[str] = set()

    def append(self, records: Iterable[Record], *, durable: bool) -> None:
        self._watched.step()
        records = list(records)
        self._inner.append(records, durable=durable)
        self._begun |= {str(record["action"]) for record in records if record.get("kind") == "started"}
        if durable:
            self._watched.started |= self._begun
        self._watched.step()

    def read(self) -> Iterator[Record]:
        return self._inner.read()

    def salvage(self) -> Iterator[Record]:
        return self._inner.salvage()

    def rewrite(self, records: Iterable[Record]) -> None:
        self._watched.step()
        self._inner.rewrite(list(records))
        self._watched.step()


class Watched:
    """Every write is an operation of its own before which, and after which, the process may end or the disk may fail.

    Args:
        inner: The store.
        on_commit: Called with a commit's bytes before they are first written.
    """

    def __init__(self, inner: Store, on_commit: Callable[[bytes], None]) -> None:
        self.inner = inner
        self._on_commit = on_commit
        self._offered: set[bytes] = set()
        self._journal = WatchedJournal(inner.journal, self)
        self.started: set[str] = set()
        self.left: int | None = None
        self.fails = False
        self.dead = False

    def step(self) -> None:
        """Let the process end, or the disk fail once, if it is time."""
        if self.dead:
            raise Crash
        if self.left is None:
            return
        self.left -= 1
        if self.left > 0:
            return
        self.left = None
        if self.fails:
            raise Unreachable("disk-error", "The disk does not do what was asked.", "Try again.")
        self.dead = True
        raise Crash

    @property
    def journal(self) -> WatchedJournal:
        return self._journal

    def add(self, objects: Iterable[Content]) -> tuple[Digest, ...]:
        self.step()
        names: list[Digest] = []
        for content in objects:
            names += self.inner.add([content])
            self.step()
        return tuple(names)

    def add_commits(self, raws: Iterable[bytes]) -> tuple[Digest, ...]:
        raws = list(raws)
        for raw in raws:
            if raw not in self._offered:
                self._offered.add(raw)
                self._on_commit(raw)
        self.step()
        names: list[Digest] = []
        for raw in raws:
            names += self.inner.add_commits([raw])
            self.step()
        return tuple(names)

    def has(self, digest: Digest) -> bool:
        return self.inner.has(digest)

    def read(self, digest: Digest) -> bytes:
        return self.inner.read(digest)

    def size(self, digest: Digest) -> int:
        return self.inner.size(digest)

    def objects(self) -> Iterator[Digest]:
        return self.inner.objects()

    def remove(self, digests: Iterable[Digest]) -> None:
        for digest in digests:
            self.step()
            self.inner.remove([digest])
        self.step()

    def has_commit(self, digest: Digest) -> bool:
        return self.inner.has_commit(digest)

    def read_commit(self, digest: Digest) -> bytes:
        return self.inner.read_commit(digest)

    def commits(self) -> Iterator[bytes]:
        return self.inner.commits()

    def sidecar_write(self, commit: Digest, name: str, content: bytes) -> None:
        self.step()
        self.inner.sidecar_write(commit, name, content)
        self.step()

    def sidecar_read(self, commit: Digest, name: str) -> bytes | None:
        return self.inner.sidecar_read(commit, name)

    def sidecar_remove(self, commit: Digest) -> None:
        self.step()
        self.inner.sidecar_remove(commit)

    def secret_write(self, name: str, content: bytes) -> None:
        self.step()
        self.inner.secret_write(name, content)
        self.step()

    def secret_read(self, name: str) -> bytes | None:
        return self.inner.secret_read(name)

    def close(self) -> None:
        self.inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
