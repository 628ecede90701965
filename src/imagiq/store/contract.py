"""What every store promises: where objects rest at a site."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from imagiq.objects import JSON, Digest

__all__ = ["Content", "Journal", "Record", "Store"]

Content: TypeAlias = "bytes | memoryview"
"""An object's bytes; a memoryview is not changed by its owner until the call that takes it returns."""

Record: TypeAlias = Mapping[str, JSON]
"""One entry of the journal: a JSON object, without floats."""


class Journal(Protocol):
    """What is known only here (started marks, first-seen times, failures, verdicts): records in order of appending.

    Contract:
        Records come back equal and in order. An append that was asked to be durable is when it returns, and so is
        every record before it. One that was not asked to be is readable at once; a crash may take it, and then every
        later one. An append that raises may have happened or not; the journal stays usable. Records that were durable
        and are damaged are never passed over in silence: reading and appending raise Corrupt until :meth:`rewrite`.
    """

    def append(self, records: Iterable[Record], *, durable: bool) -> None:
        """Add records at the end; with none and ``durable``, make all before durable.

        Raises:
            Misuse: a record cannot be written as canonical JSON or is longer than 1 MiB; nothing was appended.
            Corrupt: the journal is damaged.
            Unreachable: the disk is full, read-only or failing.
        """

    def read(self) -> Iterator[Record]:
        """Return all records that there are at the moment of the call.

        Raises:
            Corrupt: the journal is damaged.
            Unreachable: the disk is failing.
        """

    def salvage(self) -> Iterator[Record]:
        """Return the records that are whole, before and after any damage."""

    def rewrite(self, records: Iterable[Record]) -> None:
        """Replace all records by these: after a crash either the old ones are there or the new ones. Durable."""


class Store(Protocol):
    """Where objects, commits and what is private to a site rest.

    Contract:
        *Durable* means: there after the process is killed and after the machine loses its power. *Visible* means:
        found by ``has``, ``read``, ``objects`` and their like. What is visible is whole; nothing torn ever is.

        Objects first, then commits: whoever calls ``add_commits`` has added what the commits name, or knows that it
        is missing. When ``add_commits`` returns, every object that was visible when it was called is durable too. In
        the process that adds it, a commit is visible only once it is durable.

        When ``add`` or ``add_commits`` raises, each object may be there or not. Who signed a commit adds the same
        bytes again; it does not sign another with the same number. The store stays usable, and readable on a full
        disk. What is held already costs no write.

        Reading does not hash again, except for commits; ``imagiq fsck`` hashes everything. A store keeps bytes: it
        does not parse, and nothing foreign is handed to it before it was admitted. Any thread may call it. Nobody
        removes what an ``add`` under way names.
    """

    @property
    def journal(self) -> Journal:
        """The local journal."""

    def add(self, objects: Iterable[Content]) -> tuple[Digest, ...]:
        """Keep blobs, trees, schemas and charters; durable when it returns.

        Args:
            objects: Taken one by one, so that a model of any size passes through bounded memory.

        Returns:
            Their names, in the order given.

        Raises:
            Unreachable: the disk is full, read-only or failing.
        """

    def add_commits(self, raws: Iterable[bytes]) -> tuple[Digest, ...]:
        """Keep commits; durable when it returns, and visible then.

        Raises:
            Unreachable: the disk is full, read-only or failing.
        """

    def has(self, digest: Digest) -> bool:
        """Tell whether an object other than a commit is here."""

    def read(self, digest: Digest) -> bytes:
        """Return an object's bytes.

        Raises:
            NotFound: it is not here.
            Unreachable: the disk does not give it.
        """

    def size(self, digest: Digest) -> int:
        """Return how many bytes an object has; raises as :meth:`read` does."""

    def objects(self) -> Iterator[Digest]:
        """Return the names of all objects other than commits, in any order."""

    def remove(self, digests: Iterable[Digest]) -> None:
        """Forget objects, never commits; one that is not here is passed over. A crash may bring them back."""

    def has_commit(self, digest: Digest) -> bool:
        """Tell whether a commit is here."""

    def read_commit(self, digest: Digest) -> bytes:
        """Return a commit's bytes.

        Raises:
            NotFound: it is not here.
            Corrupt: its bytes do not have its name any more.
            Unreachable: the disk does not give it.
        """

    def commits(self) -> Iterator[bytes]:
        """Return the bytes of all commits, in any order."""

    def sidecar_write(self, commit: Digest, name: str, content: bytes) -> None:
        """Keep what belongs to a commit and never leaves the site; replaced as a whole, durable when it returns.

        Raises:
            Misuse: ``name`` is not made of a-z, 0-9, '-' and '_'.
            Unreachable: the disk is full, read-only or failing.
        """

    def sidecar_read(self, commit: Digest, name: str) -> bytes | None:
        """Return what :meth:`sidecar_write` kept, or None."""

    def sidecar_remove(self, commit: Digest) -> None:
        """Forget all that was kept beside a commit, if anything was. A crash may bring it back."""

    def secret_write(self, name: str, content: bytes) -> None:
        """Keep a key where only its owner can read it; replaced as a whole, durable when it returns."""

    def secret_read(self, name: str) -> bytes | None:
        """Return what :meth:`secret_write` kept, or None."""

    def close(self) -> None:
        """Let go of the store; a second call does nothing. Afterwards nothing is written to it."""

    def __enter__(self) -> Self:
        """Return the store itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
