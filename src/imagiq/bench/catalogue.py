"""Keeping the index of a repository's commits up with its store, so that a long history is listed without reading it.

Nothing rests only in the index; one that fails is left alone until it is built again.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagiq.bench.index_state import INDEX, INDEX_FAILURES, Marker, count_commits, current_index
from imagiq.errors import Corrupt, ImagiqError
from imagiq.federation import Standing, State, parse_study
from imagiq.history import Entry
from imagiq.objects import Digest
from imagiq.store import Index, Row

if TYPE_CHECKING:
    from imagiq.bench.bench import Bench

__all__ = ["Catalogue", "rebuild", "row_of"]

EVERYTHING: Final = 2**62


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
            with suppress(*INDEX_FAILURES):
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
