"""Sealed names of known commits: so that a listing alone tells what need not be read."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice

from imagiq.exchange.ring import Keyring
from imagiq.history import History
from imagiq.objects import Digest

__all__ = ["SealedNames"]


class SealedNames:
    """What each known commit is called under each key of its author.

    It is made of the history and the keyring alone, so nothing about remotes has to be kept over a restart.
    """

    def __init__(self, ring: Keyring) -> None:
        self._ring = ring
        self._history: History | None = None
        self._entries = 0
        self._keys: set[str] = set()
        self._of_site: dict[str, list[Digest]] = defaultdict(list)
        self._names: dict[str, tuple[Digest, str]] = {}

    def update(self, history: History) -> None:
        """Take in the commits and keys that came since the last call."""
        if history is not self._history or len(history) < self._entries:  # the store was read anew
            self._history, self._entries, self._keys = history, 0, set()
            self._of_site.clear()
            self._names.clear()
        for entry in islice(history, self._entries, None):
            self._of_site[entry.site].append(entry.digest)
            for held in self._ring.of(entry.site, "commits"):
                if held.key.id in self._keys:
                    self._names[held.key.name(entry.digest)] = (entry.digest, held.key.id)
        self._entries = len(history)
        for held in self._ring.all() if len(self._ring) != len(self._keys) else ():
            if held.key.id not in self._keys:
                self._keys.add(held.key.id)
                if held.key.purpose == "commits":
                    for digest in self._of_site[held.statement.author]:
                        self._names[held.key.name(digest)] = (digest, held.key.id)

    def get(self, sealed: str) -> tuple[Digest, str] | None:
        """Return the commit that is called so, and the key that it is sealed under; None if none is known."""
        return self._names.get(sealed)
