"""Models in the making: what was written here and no commit names yet, so that nobody removes it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from imagiq.objects import Digest, Tree

__all__ = ["Making"]


class Making:
    """The models that one process makes in one store; any thread may call it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._made: dict[Digest, Tree] = {}

    @contextmanager
    def going_on(self) -> Iterator[dict[Digest, Tree]]:
        """Add objects; yields where to note the tree that they are of."""
        with self._lock:
            yield self._made

    @contextmanager
    def undisturbed(self) -> Iterator[bool]:
        """Remove objects while none are added; yields false if some are being added just now: then nothing may be removed."""
        is_free = self._lock.acquire(blocking=False)
        try:
            yield is_free
        finally:
            if is_free:
                self._lock.release()

    def is_committed(self, tree: Digest) -> None:
        """Take into account that a commit names a tree, durably."""
        self._made.pop(tree, None)

    def uncommitted(self) -> list[Tree]:
        """Return the models that no commit names, as far as is known here."""
        return list(self._made.values())
