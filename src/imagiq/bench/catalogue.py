"""The index of a repository's commits, kept up with its store, so that a long history is listed without reading it.

The index is current when its marker names as many commits as the store has files. Commits are only ever added: to the
store first, then to the index, then to the marker. So equal numbers mean equal sets, whatever was killed in between.
Nothing rests only here; an index that fails is left alone until it is built again.
"""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagiq.errors import Conflict, Corrupt, ImagiqError, NotFound, Unreachable
from imagiq.federation import Standing, State, parse_study
from imagiq.history import Entry
from imagiq.objects import Digest
from imagiq.store import Index, Row

if TYPE_CHECKING:
    from imagiq.bench.bench import Bench

__all__ = ["INDEX", "Catalogue", "Marker", "count_commits", "current_index", "rebuild", "row_of"]

INDEX: Final = "index.sqlite"
EVERYTHING: Final = 2**62
_FAILURES: Final = (Conflict, Corrupt, NotFound, Unreachable)


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
    except (ValueError, TypeError, KeyError, AttributeError):
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
    except _FAILURES:
        yield None
        return
    with index:
        marker = None
        with suppress(*_FAILURES):
            marker = _parse_marker(index.marker())
        yield None if marker is None or marker.commits != count_commits(root) else (index, marker)


def row_of(entry: Entry, standing: Standing) -> Row:
    """Return a commit as lists show it."""
    commit = entry.commit
    state = standing.state(entry.digest)
    study = commit.digest if parse_study(commit) is not None else commit.study
    return Row(
        digest=commit.digest,
        height=entry.height,
        feed=commit.feed,
        number=commit.number,
        site=standing.name_of(entry),
        study=study or "",
        recipe=commit.recipe.name,
        state="" if state is State.SOUND else state.value,
        tree=commit.tree or "",
        cases=commit.cases,
        created=commit.created,
        parents=tuple(f"{parent.role}:{parent.commit}" for parent in commit.parents),
    )


class Catalogue:
    """Keeps the index of a repository that is open for writing.

    Args:
        root: The store's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._bench: weakref.ref[Bench] | None = None
        self._index: Index | None = None
        self._epoch = 0
        self._studies: dict[Digest, str] = {}
        self._sites: set[str] = set()

    def follow(self, bench: Bench) -> None:
        """Bring the index up to what a bench knows, and keep it there."""
        if len(bench.history) != count_commits(self._root):
            return  # some stored commits wait for a damaged one; a list of the others would pass for the whole
        with self._or_never_mind():
            self._index = _open_for_writing(self._root)
            self._bench = weakref.ref(bench)
            self._write_all(bench)

    def note(self, entries: Sequence[Entry]) -> None:
        """Take in what was just admitted; a bench calls this once they are durable."""
        bench = None if self._bench is None else self._bench()
        if bench is None or self._index is None:
            return
        with self._or_never_mind():
            if bench.standing.epoch != self._epoch:
                self._write_all(bench)
            else:
                self._write(entries, bench)

    def close(self) -> None:
        """Let go of the index."""
        index, self._index = self._index, None
        if index is not None:
            with suppress(*_FAILURES):
                index.close()

    def _write_all(self, bench: Bench) -> None:
        """Write the rows that differ from what is listed."""
        if self._index is None:
            return
        self._epoch = bench.standing.epoch
        listed = {row.digest: row for row in self._index.newest(EVERYTHING)}
        if any(digest not in bench.history for digest in listed):
            self._index.clear()
            listed = {}
        self._learn(bench.history)
        self._sites |= {row.site for row in listed.values()}
        changed = [row for e in bench.history if (row := row_of(e, bench.standing)) != listed.get(row.digest)]
        self._put(changed, len(bench.history))

    def _write(self, entries: Sequence[Entry], bench: Bench) -> None:
        self._learn(entries)
        self._put([row_of(entry, bench.standing) for entry in entries], len(bench.history))

    def _learn(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            study = parse_study(entry.commit) if entry.commit.recipe.name == "study" else None
            if study is not None:
                self._studies[study.digest] = study.title

    def _put(self, rows: Sequence[Row], commits: int) -> None:
        if self._index is None:
            return
        self._sites |= {row.site for row in rows}
        self._index.upsert(rows)
        marker = Marker(commits=commits, studies=self._studies, sites=frozenset(self._sites))
        self._index.set_marker(marker.text())

    @contextmanager
    def _or_never_mind(self) -> Iterator[None]:
        """Stop keeping an index that fails: it then counts as not current, and nothing else depends on it."""
        try:
            yield
        except ImagiqError:
            self.close()


def _open_for_writing(root: Path) -> Index:
    try:
        return Index.open(root / INDEX)
    except Corrupt:
        for name in (INDEX, f"{INDEX}-wal", f"{INDEX}-shm"):
            with suppress(OSError):
                (root / name).unlink()
        return Index.open(root / INDEX)


def rebuild(root: Path, bench: Bench) -> bool:
    """Build the index anew from what a bench has read; the caller holds the store's lock. Tell whether it is current."""
    catalogue = Catalogue(root)
    catalogue.follow(bench)
    catalogue.close()
    with current_index(root) as found:
        return found is not None
