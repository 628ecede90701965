"""Log: the commits of a repository, newest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from imagiq.bench.as_html import SHORT, table
from imagiq.bench.index_state import Marker, count_commits, current_index
from imagiq.bench.names import pick_site, pick_study
from imagiq.bench.place import store_folder
from imagiq.errors import Conflict, Corrupt, Misuse, Unreachable
from imagiq.objects import Commit, Digest, parse_commit
from imagiq.store import FolderStore, Index, Row

if TYPE_CHECKING:
    from imagiq.bench.bench import Bench

__all__ = ["DEFAULT_LIMIT", "Log", "LogEntry", "log", "log_at"]

DEFAULT_LIMIT = 50
PAGE = 500

_ReadCommit: TypeAlias = Callable[[Digest], Commit]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One commit, as a log shows it.

    Attributes:
        digest: The commit's name.
        height: Its causal height.
        site: Its author's name.
        feed: Its feed.
        number: Its place in the feed.
        recipe: By what it was made.
        study: The study that it opened or belongs to, if any.
        study_title: That study's title; "" if it is in none.
        state: "sound", "void", "contested" or "tainted".
        has_model: Whether it holds a model.
        cases: How many cases were used, if any.
        metrics: What was measured.
        created: Date and time, for people.
        parents: Role and name of each commit that it was made from.
    """

    digest: Digest
    height: int
    site: str
    feed: str
    number: int
    recipe: str
    study: Digest | None
    study_title: str
    state: str
    has_model: bool
    cases: int | None
    metrics: Mapping[str, str | int]
    created: str
    parents: tuple[tuple[str, Digest], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The newest commits of a repository.

    Attributes:
        entries: The commits, the last in causal order first.
        more: Whether there are older ones.
        filtered: Whether commits between these were left out.
    """

    entries: tuple[LogEntry, ...]
    more: bool
    filtered: bool

    def _repr_html_(self) -> str:
        """Return the log as a notebook shows it."""
        columns = ("commit", "site", "by", "study", "state", "cases", "measured")
        rows = (
            (
                entry.digest[:SHORT],
                entry.site,
                entry.recipe,
                entry.study_title,
                entry.state,
                entry.cases,
                ", ".join(f"{name} {value}" for name, value in entry.metrics.items()),
            )
            for entry in self.entries
        )
        title = f"{len(self.entries)} {'commit' if len(self.entries) == 1 else 'commits'}, the newest first"
        return table(title, columns, rows, more="There are older ones: log(limit=...)." if self.more else "")


def log(bench: Bench, *, limit: int = DEFAULT_LIMIT, study: str | None = None, site: str | None = None) -> Log:
    """Return the newest commits that a bench knows.

    Args:
        bench: Where to look.
        limit: How many at most.
        study: Only those of this study: its title, or the first characters of its digest.
        site: Only those of this site.

    Raises:
        Misuse: ``limit`` is not positive, or several studies are meant.
        NotFound: there is no such study or site.
    """
    from imagiq.bench.catalogue import row_of  # noqa: PLC0415 - a current index does without

    entries = sorted(bench.history, key=lambda entry: (-entry.height, entry.digest))
    titles = {digest: steps.study.title for digest, steps in bench.studies.items()}
    sites = frozenset(bench.standing.name_of(entry) for entry in entries)
    known = Marker(commits=len(entries), studies=titles, sites=sites)
    wanted = None if study is None else pick_study(titles, study)
    rows = (row_of(entry, bench.standing) for entry in entries)
    found = (row for row in rows if wanted is None or row.study == wanted)
    return _log(found, known, lambda digest: bench.history[digest].commit, limit=limit, study=study, site=site)


def log_at(path: Path, *, limit: int = DEFAULT_LIMIT, study: str | None = None, site: str | None = None) -> Log:
    """Return the newest commits of the repository at ``path``; see :func:`log`.

    They are read from its index when that is current, else from the whole store, and then the index is built again if
    nobody has the repository open.
    """
    root = store_folder(path)
    store = FolderStore.open(root, read_only=True)
    with current_index(root) as found:
        if found is not None:
            index, known = found
            wanted = None if study is None else pick_study(known.studies, study)
            rows = _rows(index, wanted)
            return _log(rows, known, lambda d: _parsed(store, d), limit=limit, study=study, site=site)
    from imagiq.bench.repository import open_repository  # noqa: PLC0415 - a current index does without

    bench = open_repository(path)
    _try_to_rebuild(root, bench)
    return log(bench, limit=limit, study=study, site=site)


def _parsed(store: FolderStore, digest: Digest) -> Commit:
    """Return a commit that was admitted before it was stored, and whose bytes still have its name."""
    return parse_commit(store.read_commit(digest)).claim


def _rows(index: Index, study: Digest | None) -> Iterator[Row]:
    page = index.newest(PAGE, study=study)
    while page:
        yield from page
        page = index.newest(PAGE, study=study, after=(page[-1].height, page[-1].digest))


def _log(
    rows: Iterator[Row], known: Marker, read: _ReadCommit, *, limit: int, study: str | None, site: str | None
) -> Log:
    if limit < 1:
        raise Misuse("log-limit", f"A log of {limit} commits was asked for.", "Ask for one or more.")
    author = None if site is None else pick_site(known.sites, site)
    found = list(islice((row for row in rows if author is None or row.site == author), limit + 1))
    entries = tuple(_entry(row, known.studies, read(row.digest)) for row in found[:limit])
    return Log(entries=entries, more=len(found) > limit, filtered=study is not None or site is not None)


def _entry(row: Row, titles: Mapping[Digest, str], commit: Commit) -> LogEntry:
    study = Digest(row.study) if row.study else None
    return LogEntry(
        digest=row.digest,
        height=row.height,
        site=row.site,
        feed=row.feed,
        number=row.number,
        recipe=row.recipe,
        study=study,
        study_title="" if study is None else titles.get(study, study[:12]),
        state=row.state or "sound",
        has_model=bool(row.tree),
        cases=row.cases,
        metrics=commit.metrics,
        created=row.created,
        parents=tuple((parent.role, parent.commit) for parent in commit.parents),
    )


def _try_to_rebuild(root: Path, bench: Bench) -> None:
    """Build the index if nobody else writes and nothing came since the store was read; else leave it."""
    from imagiq.bench.catalogue import rebuild  # noqa: PLC0415 - a current index does without

    try:
        with FolderStore.open(root):
            if count_commits(root) == len(bench.history):
                rebuild(root, bench)
    except (Conflict, Corrupt, Unreachable):
        return
