"""Taking turns at a bench: one thread at a time works there, and who waits for something else lets the others work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

__all__ = ["Closed", "Turns"]


class Closed(Exception):
    """The bench is closed: a thread that steps up to it has nothing to do there any more, and ends."""


class Turns:
    """The turn at one bench; use it as a context.

    A bench is for one thread at a time. Where several exchange and act, each does so in its turn, and steps
    :meth:`aside` whenever it waits for a remote, a training or anything else that may take long. What it knew of the
    bench may have grown when its turn comes again. Not for a thread that has its turn already.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._closed = False

    def __enter__(self) -> Self:
        """Wait for the turn.

        Raises:
            Closed: there are no more turns.
        """
        self._lock.acquire()
        if self._closed:
            self._lock.release()
            raise Closed
        self._owner = threading.get_ident()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the next one work, if this thread still has the turn: it lost it for good if it was closed meanwhile."""
        if self._owner == threading.get_ident():
            self._owner = None
            self._lock.release()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let others work while this thread waits; a thread that has not the turn, such as a helper's, just waits.

        Raises:
            Closed: there are no more turns.
        """
        if self._owner != threading.get_ident():
            yield
            return
        self.__exit__(None, None, None)
        try:
            yield
        finally:
            self.__enter__()

    @contextmanager
    def mine(self) -> Iterator[None]:
        """Have the turn, if this thread has it already or not.

        Raises:
            Closed: there are no more turns.
        """
        if self._owner == threading.get_ident():
            yield
            return
        with self:
            yield

    def close(self) -> None:
        """Wait for the turn, and let nobody else have one ever again."""
        with self._lock:
            self._closed = True
