"""A remote that fails on request: away, slow to agree, forgetful, and lying."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from imagiq.errors import Unreachable
from imagiq.exchange.remote import OBJECT_LIMIT, Listed, Remote

__all__ = ["BadRemote", "Faults"]


@dataclass(kw_only=True)
class Faults:
    """What goes wrong, each in so many of 100 calls. It may be changed at any time.

    Attributes:
        away: The call does nothing and fails.
        lost_answers: The call is done, and fails.
        stale: A listing, or news, is that of an earlier moment.
        missing: Something that is there is not given.
        garbage: Other bytes of the same length are given.
        truncated: A part is given.
        swapped: What another name stands for is given.
        forgets: Something is taken and not kept.
        full: Nothing new is taken.
        cut_after: After so many calls nothing gets through; None: all do.
    """

    away: int = 0
    lost_answers: int = 0
    stale: int = 0
    missing: int = 0
    garbage: int = 0
    truncated: int = 0
    swapped: int = 0
    forgets: int = 0
    full: int = 0
    cut_after: int | None = None


class BadRemote:
    """A remote behind which another one works, if it does.

    Args:
        remote: The one that works.
        choose: Given n, returns a number from 0 to n - 1: where chance comes from.
        faults: What goes wrong.
    """

    def __init__(self, remote: Remote, choose: Callable[[int], int], faults: Faults | None = None) -> None:
        self._remote = remote
        self._choose = choose
        self.faults = faults or Faults()
        self.calls = 0
        self.put: list[str] = []
        """The names of all that was put, in order."""
        self.held: dict[str, bytes] = {}
        """All that it was ever given, by name: what a curious keeper knows."""
        self._listings: dict[tuple[str, str], list[Listed]] = {}
        self._words: list[str] = []

    @property
    def name(self) -> str:
        """What the remote is called."""
        return self._remote.name

    def _happens(self, rate: int) -> bool:
        return rate > 0 and self._choose(100) < rate

    def _call(self) -> None:
        self.calls += 1
        cut = self.faults.cut_after is not None and self.calls > self.faults.cut_after
        if cut or self._happens(self.faults.away):
            raise Unreachable("remote-away", "The remote is away, in a test.", "Try again.")

    def _answered(self) -> None:
        if self._happens(self.faults.lost_answers):
            raise Unreachable("remote-away", "The answer was lost, in a test.", "Try again.")

    def _takes(self, name: str, content: bytes) -> bool:
        self._call()
        if self._happens(self.faults.full):
            raise Unreachable("remote-full", "The remote is full, in a test.", "Make room there.")
        self.put.append(name)
        self.held[f"{name} {len(self.put)}"] = content
        return not self._happens(self.faults.forgets)

    def put_if_absent(self, name: str, content: bytes) -> bool:
        """Put bytes where nothing is, perhaps."""
        was_new = self._remote.put_if_absent(name, content) if self._takes(name, content) else True
        self._answered()
        return was_new

    def replace(self, name: str, content: bytes) -> None:
        """Put bytes in place of what is there, perhaps."""
        if self._takes(name, content):
            self._remote.replace(name, content)
        self._answered()

    def get(self, name: str, *, start: int = 0, length: int = OBJECT_LIMIT + 1) -> bytes | None:
        """Return bytes, perhaps those that were asked for."""
        self._call()
        if self._happens(self.faults.missing):
            return None
        found = self._remote.get(name, start=start, length=length)
        if found and self._happens(self.faults.garbage):
            at = self._choose(len(found))
            return found[:at] + bytes([found[at] ^ (1 + self._choose(255))]) + found[at + 1 :]
        if found and self._happens(self.faults.truncated):
            return found[: self._choose(len(found))]
        if found and self.held and self._happens(self.faults.swapped):
            return list(self.held.values())[self._choose(len(self.held))][:length]
        return found

    def list(self, folder: str, *, after: str = "") -> Iterator[Listed]:
        """List, perhaps as it was earlier."""
        self._call()
        key = (folder, after)
        if key not in self._listings or not self._happens(self.faults.stale):
            self._listings[key] = list(self._remote.list(folder, after=after))
        return iter(self._listings[key])

    def news(self, sites: Sequence[str], since: str = "", wait_s: float = 0.0) -> str:
        """Tell whether there is news, perhaps as it was earlier."""
        self._call()
        word = self._remote.news(sites, since, wait_s)
        if self._words and self._happens(self.faults.stale):
            return self._words[self._choose(len(self._words))]
        self._words.append(word)
        return word

    def close(self) -> None:
        """Close the one that works."""
        self._remote.close()
