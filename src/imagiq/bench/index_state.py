"""Whether the index of a repository is current, told without reading the store.

It is when its marker names as many commits as the store has files. Commits are only ever added: to the store first, then
to the index, then to the marker. So equal numbers mean equal sets, whatever was killed in between.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from imagiq.errors import Conflict, Corrupt, NotFound, Unreachable
from imagiq.objects import Digest
from imagiq.store import Index

__all__ = ["INDEX", "INDEX_FAILURES", "Marker", "count_commits", "current_index"]

INDEX: Final = "index.sqlite"
INDEX_FAILURES: Final = (Conflict, Corrupt, NotFound, Unreachable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """What the index says about itself.

    Attributes:
        commits: How many commits it lists.
        studies: Titles of the studies, by the commits that opened them.
        sites: Names of the sites that wrote commits.
    """

    commits: int
    studies: Mapping[Digest, str] = field(default_factory=dict)
    sites: frozenset[str] = frozenset()

    def text(self) -> str:
        """Return it as it is kept."""
        return json.dumps({"commits": self.commits, "studies": dict(self.studies), "sites": sorted(self.sites)})


def _parse_marker(text: str) -> Marker | None:
    """Return a marker; None if the text is not one that this version writes."""
    try:
        kept = json.loads(text or "null")
        studies = {Digest(digest): str(title) for digest, title in kept["studies"].items()}
        return Marker(commits=int(kept["commits"]), studies=studies, sites=frozenset(map(str, kept["sites"])))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def count_commits(root: Path) -> int:
    """Return how many files of commits a store has."""
    with suppress(OSError):
        fans = [fan for fan in os.scandir(root / "commits") if len(fan.name) == 2]
        return sum(sum(len(name) == 62 for name in os.listdir(fan.path)) for fan in fans)  # noqa: PTH208 - 100,000 names
    return -1


@contextmanager
def current_index(root: Path) -> Iterator[tuple[Index, Marker] | None]:
    """Give the index of a store and what it says about itself; None if it is missing, damaged or not current."""
    try:
        index = Index.open(root / INDEX, read_only=True)
    except INDEX_FAILURES:
        yield None
        return
    with index:
        marker = None
        with suppress(*INDEX_FAILURES):
            marker = _parse_marker(index.marker())
        yield None if marker is None or marker.commits != count_commits(root) else (index, marker)
