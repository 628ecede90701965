"""Public randomness of a simulation: drawn from its seed by SHA-256, so it is the same with every version of everything."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["Draws"]

Drawn = TypeVar("Drawn")


class Draws:
    """A stream of draws.

    Args:
        seed: Where it comes from.
        purpose: What is drawn for: streams of one seed for different purposes have nothing to do with each other.
    """

    def __init__(self, seed: int, purpose: str) -> None:
        self._start = hashlib.sha256(f"imagiq draws\n{seed}\n{purpose}\n".encode())
        self._drawn = 0

    def _bits(self) -> int:
        self._drawn += 1
        block = self._start.copy()
        block.update(self._drawn.to_bytes(8, "big"))
        return int.from_bytes(block.digest()[:8], "big")

    def part(self) -> float:
        """Return a number from 0 to just below 1."""
        return (self._bits() >> 11) * 2.0**-53

    def below(self, end: int) -> int:
        """Return a whole number from 0 to just below ``end``, which is small beside 2^64."""
        return self._bits() % end

    def shuffled(self, items: Sequence[Drawn]) -> list[Drawn]:
        """Return the items in a drawn order."""
        return self.some(items, len(items))

    def some(self, items: Sequence[Drawn], number: int) -> list[Drawn]:
        """Return so many of the items, each at most once, in a drawn order."""
        rest = list(items)
        for place in range(min(number, len(rest))):
            other = place + self.below(len(rest) - place)
            rest[place], rest[other] = rest[other], rest[place]
        return rest[:number]
