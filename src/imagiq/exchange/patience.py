"""Trying again: a remote that fails for a moment is asked again, after times that differ from site to site."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import Final, TypeVar

from imagiq.errors import Unreachable
from imagiq.exchange.remote import OBJECT_LIMIT, Listed, Remote

__all__ = ["PatientRemote"]

FIRST_S: Final = 0.2
LONGEST_S: Final = 20.0
WORTH_IT: Final = frozenset({"remote-away"})
"""What may pass in a moment; who is refused, finds no room, or has used up its quota is told so at once, and does not hammer."""

T = TypeVar("T")


class PatientRemote:
    """A remote that tries again; see :class:`imagiq.exchange.remote.Remote`.

    Args:
        remote: The remote.
        draw: Returns a number from 0 up to 1, another one at each site: so that not all come back at one moment.
        attempts: How often each call is made at most.
        pause: Waits so many seconds; None: until :meth:`close` at the latest.
    """

    def __init__(
        self,
        remote: Remote,
        draw: Callable[[], float],
        *,
        attempts: int = 4,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._remote = remote
        self._draw = draw
        self._attempts = attempts
        self._closed = Event()
        self._pause = pause or self._closed.wait

    @property
    def name(self) -> str:
        """What the remote is called."""
        return self._remote.name

    def _patiently(self, call: Callable[[], T]) -> T:
        attempt = 0
        while True:
            attempt += 1
            try:
                return call()
            except Unreachable as error:
                self._wait_after(error, attempt)

    def _wait_after(self, error: Unreachable, attempt: int) -> None:
        """Wait before the next attempt, each time longer.

        Raises:
            Unreachable: the error, if there shall be none.
        """
        if attempt >= self._attempts or error.code not in WORTH_IT or self._closed.is_set():
            raise error
        self._pause(min(LONGEST_S, FIRST_S * 2.0**attempt) * (0.5 + self._draw()))

    def put_if_absent(self, name: str, content: bytes) -> bool:
        """Put bytes where nothing is; a put whose answer was lost counts as one that was not first."""
        return self._patiently(lambda: self._remote.put_if_absent(name, content))

    def replace(self, name: str, content: bytes) -> None:
        """Put bytes in place of what is there."""
        self._patiently(lambda: self._remote.replace(name, content))

    def get(self, name: str, *, start: int = 0, length: int = OBJECT_LIMIT + 1) -> bytes | None:
        """Return a part of what is there."""
        return self._patiently(lambda: self._remote.get(name, start=start, length=length))

    def list(self, folder: str, *, after: str = "") -> Iterator[Listed]:
        """Yield what is in a folder; a listing that is cut off goes on behind the last name."""
        last = after
        for attempt in range(1, self._attempts + 1):
            try:
                for listed in self._remote.list(folder, after=last):
                    last = listed.name
                    yield listed
            except Unreachable as error:
                self._wait_after(error, attempt)
            else:
                return

    def news(self, sites: Sequence[str], since: str = "", wait_s: float = 0.0) -> str:
        """Return another word when there is news."""
        return self._patiently(lambda: self._remote.news(sites, since, wait_s))

    def close(self) -> None:
        """End all waiting, and close the remote."""
        self._closed.set()
        self._remote.close()
