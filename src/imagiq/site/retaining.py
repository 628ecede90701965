"""Retaining: a site keeps the models that the charter's retention names and those that it needs, and forgets the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from imagiq.bench.forgetting import Portion, forgettable_commits, let_go, portions
from imagiq.errors import Corrupt
from imagiq.federation import retention_in
from imagiq.objects import Commit, Digest
from imagiq.site.needs import pinned, retention_of
from imagiq.site.site import Site

__all__ = ["Retainer", "in_words"]

EVERY: Final = 4
"""After so many new commits it is looked again what may be forgotten."""
SHARE: Final = 1024
"""Or after so large a share of them: then a look, which looks at all, costs each commit little."""


def in_words(nbytes: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{nbytes / 1e6:.1f} MB" if nbytes >= 100_000 else f"{nbytes} bytes"


class Retainer:
    """Forgets at one site what may be forgotten.

    Args:
        site: The site; nobody else works at its bench during a call.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._looked_at: tuple[Digest | None, int, int] | None = None
        self._empty: set[Digest] = set()

    def look_again(self) -> None:
        """Be due: there is no room on the disk."""
        self._looked_at = None

    @property
    def is_due(self) -> bool:
        """Whether something may have come to be forgettable; it costs nothing to ask."""
        if retention_of(self._site.bench) is None:
            return False
        charter, epoch, commits = self._state()
        if self._looked_at is None or self._looked_at[:2] != (charter, epoch):
            return True
        return not 0 <= commits - self._looked_at[2] < max(EVERY, commits // SHARE)

    def _state(self) -> tuple[Digest | None, int, int]:
        bench = self._site.bench
        ruling = bench.standing.ruling
        return (None if ruling is None else ruling.digest, bench.standing.epoch, len(bench.history))

    def plan(self) -> Iterator[Portion]:
        """Yield what would be forgotten, portion by portion; nothing is.

        Raises:
            Corrupt: what a model that stays consists of cannot be told.
            Refused: what the charter says of retention cannot be read.
        """
        yield from portions(self._site.bench, self._forgettable())

    def forget(self) -> Portion:
        """Forget what may be forgotten, or a part of it: then there is ``more``.

        Raises:
            Corrupt: what a model that stays consists of cannot be told.
            Refused: what the charter says of retention cannot be read.
            Unreachable: the disk is read-only or failing; what was not removed is removed another time.
        """
        state, commits = self._state(), self._forgettable()
        try:
            found = let_go(self._site.bench, commits, empty=self._empty)
        except Corrupt:
            self._looked_at = state
            raise
        if found is None:
            return Portion()
        if not found.more:
            self._looked_at = state
            models = self._site.bench.models
            self._empty = {c.digest for c in commits if c.digest not in models.forgotten}
        return found

    def _forgettable(self) -> list[Commit]:
        bench = self._site.bench
        retention = None if bench.standing.ruling is None else retention_in(bench.standing.ruling.rules)
        if retention is None:
            return []
        return forgettable_commits(bench, retention, pinned(bench) | self._site.needed())
