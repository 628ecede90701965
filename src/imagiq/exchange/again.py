"""What was looked for in vain on a remote, and when to look again: soon, then ever more seldom.

A relay may be stale, or lie, for a moment only: what it did not give then must not be given up for long. What never comes,
a squatter's garbage, costs little all the same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Iterable
from typing import Final

from imagiq.clock import Clock

__all__ = ["Again"]

FIRST_S: Final = 1.0
LONGEST_S: Final = 600.0
LIMIT: Final = 100_000


class Again:
    """Names of what was not there, or was none. Any thread may call it.

    Args:
        clock: Tells when to look again: after 1 s, then twice as long each time, at most 10 minutes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._met: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        """Whether something was looked for in vain."""
        return name in self._met

    def failed(self, name: str) -> None:
        """Remember that something was looked for in vain, once more; of too many, the earliest is forgotten."""
        times, _ = self._met.pop(name, (0, 0.0))
        self._met[name] = times + 1, self._clock.now_s() + min(LONGEST_S, FIRST_S * 2.0 ** min(times, 20))
        if len(self._met) > LIMIT:
            self._met.popitem(last=False)

    def forget(self, name: str) -> None:
        """Something was found, or is of no interest any more."""
        self._met.pop(name, None)

    def clear(self, *, but: Container[str] = ()) -> None:
        """Forget all others: something has changed, and everything may be there."""
        for name in [name for name in list(self._met) if name not in but]:
            self.forget(name)

    def hurry(self) -> None:
        """Look again for everything now."""
        now_s = self._clock.now_s()
        for name, (times, at_s) in list(self._met.items()):
            if at_s > now_s:
                self._met[name] = times, now_s

    def is_due(self, name: str) -> bool:
        """Tell whether to look for something: for the first time, or again."""
        return self._clock.now_s() >= self._at_s(name)

    def due(self) -> list[str]:
        """Return what to look for again now."""
        now_s = self._clock.now_s()
        return [name for name, (_, at_s) in list(self._met.items()) if at_s <= now_s]

    def next_s(self, names: Iterable[str] | None = None) -> float | None:
        """Return when to look again for the first of these names, or of all; None: there is none."""
        chosen = list(self._met) if names is None else names
        return min((self._at_s(name) for name in chosen), default=None)

    def _at_s(self, name: str) -> float:
        return self._met.get(name, (0, float("-inf")))[1]
