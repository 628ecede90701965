"""A store in memory: for simulations, where hundreds live in one process, and for tests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from threading import Lock
from types import TracebackType
from typing import Self

from imagiq.objects import Digest, digest_of
from imagiq.store._checks import check_commit, check_name, commit_missing, encode_record, object_missing
from imagiq.store.contract import Content, Record

__all__ = ["MemoryJournal", "MemoryStore"]


class MemoryJournal:
    """A journal in memory; see :class:`imagiq.store.Journal`."""

    def __init__(self) -> None:
        self._payloads: list[bytes] = []
        self._durable = 0
        self._lock = Lock()

    def append(self, records: Iterable[Record], *, durable: bool) -> None:
        """Add records at the end."""
        payloads = [encode_record(record) for record in records]
        with self._lock:
            self._payloads.extend(payloads)
            if durable:
                self._durable = len(self._payloads)

    def read(self) -> Iterator[Record]:
        """Return all records that there are at the moment of the call."""
        return map(json.loads, tuple(self._payloads))

    def salvage(self) -> Iterator[Record]:
        """Return all records: memory is not damaged."""
        return self.read()

    def rewrite(self, records: Iterable[Record]) -> None:
        """Replace all records by these."""
        payloads = [encode_record(record) for record in records]
        with self._lock:
            self._payloads = payloads
            self._durable = len(payloads)

    def copy(self, *, durable_only: bool) -> MemoryJournal:
        """Return a journal of its own with the same records."""
        twin = MemoryJournal()
        with self._lock:
            twin._payloads = self._payloads[: self._durable] if durable_only else list(self._payloads)
            twin._durable = min(self._durable, len(twin._payloads))
        return twin


class MemoryStore:
    """A store in memory; see :class:`imagiq.store.Store`. It holds references to the bytes it is given, not copies."""

    def __init__(self) -> None:
        self._objects: dict[Digest, bytes] = {}
        self._commits: dict[Digest, bytes] = {}
        self._sidecars: dict[tuple[Digest, str], bytes] = {}
        self._secrets: dict[str, bytes] = {}
        self._journal = MemoryJournal()

    @property
    def journal(self) -> MemoryJournal:
        """The local journal."""
        return self._journal

    def copy(self) -> MemoryStore:
        """Return a clone: what an administrator makes who restores a backup or copies a site's disk."""
        return self._twin(durable_only=False)

    def after_crash(self) -> MemoryStore:
        """Return what a crash leaves: everything but the journal's last records that were not durable."""
        return self._twin(durable_only=True)

    def _twin(self, *, durable_only: bool) -> MemoryStore:
        twin = MemoryStore()
        twin._objects = dict(self._objects)
        twin._commits = dict(self._commits)
        twin._sidecars = dict(self._sidecars)
        twin._secrets = dict(self._secrets)
        twin._journal = self._journal.copy(durable_only=durable_only)
        return twin

    def add(self, objects: Iterable[Content]) -> tuple[Digest, ...]:
        """Keep blobs, trees, schemas and charters."""
        return tuple(_keep(self._objects, content) for content in objects)

    def add_commits(self, raws: Iterable[bytes]) -> tuple[Digest, ...]:
        """Keep commits."""
        return tuple(_keep(self._commits, raw) for raw in raws)

    def has(self, digest: Digest) -> bool:
        """Tell whether an object other than a commit is here."""
        return digest in self._objects

    def read(self, digest: Digest) -> bytes:
        """Return an object's bytes."""
        content = self._objects.get(digest)
        if content is None:
            raise object_missing(digest)
        return content

    def size(self, digest: Digest) -> int:
        """Return how many bytes an object has."""
        return len(self.read(digest))

    def objects(self) -> Iterator[Digest]:
        """Return the names of all objects other than commits."""
        return iter(tuple(self._objects))

    def remove(self, digests: Iterable[Digest]) -> None:
        """Forget objects."""
        for digest in digests:
            self._objects.pop(digest, None)

    def has_commit(self, digest: Digest) -> bool:
        """Tell whether a commit is here."""
        return digest in self._commits

    def read_commit(self, digest: Digest) -> bytes:
        """Return a commit's bytes."""
        raw = self._commits.get(digest)
        if raw is None:
            raise commit_missing(digest)
        return check_commit(digest, raw)

    def commits(self) -> Iterator[bytes]:
        """Return the bytes of all commits."""
        return iter(tuple(self._commits.values()))

    def sidecar_write(self, commit: Digest, name: str, content: bytes) -> None:
        """Keep what belongs to a commit and never leaves the site."""
        self._sidecars[commit, check_name(name)] = content

    def sidecar_read(self, commit: Digest, name: str) -> bytes | None:
        """Return what :meth:`sidecar_write` kept, or None."""
        return self._sidecars.get((commit, check_name(name)))

    def sidecar_remove(self, commit: Digest) -> None:
        """Forget all that was kept beside a commit."""
        for key in [key for key in self._sidecars if key[0] == commit]:
            del self._sidecars[key]

    def secret_write(self, name: str, content: bytes) -> None:
        """Keep a key."""
        self._secrets[check_name(name)] = content

    def secret_read(self, name: str) -> bytes | None:
        """Return what :meth:`secret_write` kept, or None."""
        return self._secrets.get(check_name(name))

    def close(self) -> None:
        """Do nothing: the memory goes with the last reference."""

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


def _keep(shelf: dict[Digest, bytes], content: Content) -> Digest:
    digest = digest_of(content)
    if digest not in shelf:
        shelf[digest] = bytes(content)
    return digest
