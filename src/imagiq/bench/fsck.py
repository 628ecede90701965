"""Fsck: hashes everything at rest, says what is damaged or missing, and on wish takes away what is damaged.

What is taken away counts as missing, so that the next sync brings it again. A commit whose bytes have its name and whose
signature holds is never taken away, whatever stands around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from imagiq.bench.admission import Limits, charters_named
from imagiq.bench.bench import Bench
from imagiq.bench.catalogue import rebuild
from imagiq.bench.checks import Checks
from imagiq.bench.index_state import INDEX
from imagiq.bench.models import Models
from imagiq.bench.reading import Progress, silent
from imagiq.bench.repository import founding_charter, store_folder
from imagiq.clock import SystemClock
from imagiq.errors import BudgetSpent, Conflict, Corrupt, ImagiqError, Unreachable, Unsupported, Untrusted
from imagiq.keys import FeedKey
from imagiq.objects import JSON, Commit, Digest, digest_of, parse_tree
from imagiq.store import FolderStore

__all__ = ["Health", "Missing", "fsck"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Something that a commit stands on and that is not here. ``what``: "previous", "parent", "study" or "charter"."""

    commit: Digest
    what: str
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What was found at rest, and what was done about it.

    Attributes:
        objects: How many objects were hashed.
        commits: How many commits were hashed and their signatures checked.
        damaged_objects: Objects that do not have their names any more.
        damaged_commits: Commits whose bytes or signatures do not hold, each with what is wrong.
        unreadable: Files that the disk does not give, each with what it says; never taken away.
        missing: What commits stand on and is not here; sync brings it.
        incomplete: Commits whose models were complete and are not any more.
        forgotten: How many models were forgotten as the charter's retention says: of these nothing is missed.
        journal_damaged: Whether the journal is damaged in the middle.
        records: How many records of the journal are whole.
        leftovers: How many files somebody was writing when the repository was not closed, or is writing now.
        index: "built", or why it was not.
        repaired: Whether what was damaged was taken away and the journal mended.
        new_feed: Whether this site goes on in a new feed, since a commit that was taken away may have been its own.
    """

    objects: int = 0
    commits: int = 0
    damaged_objects: tuple[Digest, ...] = ()
    damaged_commits: Mapping[Digest, str] = field(default_factory=dict)
    unreadable: Mapping[Digest, str] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()
    incomplete: tuple[Digest, ...] = ()
    forgotten: int = 0
    journal_damaged: bool = False
    records: int = 0
    leftovers: int = 0
    index: str = ""
    repaired: bool = False
    new_feed: bool = False

    @property
    def damages(self) -> int:
        """How many things a repair takes away or mends."""
        return len(self.damaged_objects) + len(self.damaged_commits) + len(self.incomplete) + self.journal_damaged

    @property
    def problems(self) -> int:
        """How many things are wrong now."""
        return len(self.unreadable) + len(self.missing) + (0 if self.repaired else self.damages)


def fsck(path: Path, *, repair: bool = False, progress: Progress = silent) -> Health:
    """Look at everything in the repository at ``path``, and build its index anew if nothing is damaged.

    Args:
        path: The folder that holds ``.imagiq``.
        repair: Take away what is damaged, and mend the journal.
        progress: Told how far it is.

    Raises:
        NotFound: there is no repository.
        Conflict: it is to be repaired, and another process has it open.
        Unreachable: it is to be repaired, and the disk does not take it.
    """
    root = store_folder(path)
    leftovers = _leftovers(root)
    with FolderStore.open(root, read_only=not repair) as store:
        examination = _Examination(store, progress)
        found = replace(examination.health(), leftovers=leftovers)
        if repair:
            found = _repair(store, root, found)
            return replace(found, index=_build_index(store, root, found))
    try:
        with FolderStore.open(root) as store:
            return replace(found, index=_build_index(store, root, found))
    except (Conflict, Unreachable) as error:
        return replace(found, index=error.what)


def _leftovers(root: Path) -> int:
    with suppress(OSError):
        return sum(1 for _ in (root / "tmp").iterdir())
    return 0


class _Examination:
    """One look at everything in a store; changes nothing."""

    def __init__(self, store: FolderStore, progress: Progress) -> None:
        self._store = store
        self._progress = progress
        self._checks = Checks()
        self._commits: dict[Digest, Commit] = {}
        self._damaged_commits: dict[Digest, str] = {}
        self._unreadable: dict[Digest, str] = {}
        self._objects = 0
        self._damaged: set[Digest] = set()

    def health(self) -> Health:
        """Return what was found."""
        self._look_at_commits()
        self._look_at_objects()
        records, journal_damaged = self._records()
        models = Models(self._store, self._checks, largest_bytes=Limits().model_bytes, read_only=True)
        models.recall(records)
        return Health(
            objects=self._objects,
            commits=len(self._commits) + len(self._damaged_commits),
            damaged_objects=tuple(sorted(self._damaged)),
            damaged_commits=self._damaged_commits,
            unreadable=self._unreadable,
            missing=tuple(self._missing()),
            incomplete=tuple(self._incomplete(models)),
            forgotten=len(models.forgotten),
            journal_damaged=journal_damaged,
            records=len(records),
        )

    def _look_at_commits(self) -> None:
        names = sorted(_commit_names(Path(self._store.root)))
        for done, digest in enumerate(names):
            self._progress("commits", done, len(names))
            try:
                self._commits[digest] = self._checks.commit(self._store.read_commit(digest))
            except (BudgetSpent, Corrupt, Untrusted) as error:
                self._damaged_commits[digest] = f"{error.code}: {error.what}"
            except (Unreachable, Unsupported) as error:
                self._unreadable[digest] = f"{error.code}: {error.what}"
        self._progress("commits", len(names), len(names))

    def _look_at_objects(self) -> None:
        names = sorted(self._store.objects())
        self._objects = len(names)
        for done, digest in enumerate(names):
            self._progress("objects", done, len(names))
            try:
                if digest_of(self._store.read(digest)) != digest:
                    self._damaged.add(digest)
            except Unreachable as error:
                self._unreadable[digest] = f"{error.code}: {error.what}"
        self._progress("objects", len(names), len(names))

    def _records(self) -> tuple[Sequence[Mapping[str, JSON]], bool]:
        try:
            return list(self._store.journal.read()), False
        except Corrupt:
            return list(self._store.journal.salvage()), True

    def _missing(self) -> Iterator[Missing]:
        for digest, commit in self._commits.items():
            named = [("parent", parent.commit) for parent in commit.parents]
            named += [("previous", commit.previous)] if commit.previous is not None else []
            named += [("study", commit.study)] if commit.study is not None else []
            for what, name in dict.fromkeys((what, name) for what, name in named if name not in self._commits):
                yield Missing(commit=digest, what=what, digest=name)
            for name in sorted(charters_named(commit)):
                if not self._holds(name):
                    yield Missing(commit=digest, what="charter", digest=name)

    def _holds(self, name: Digest) -> bool:
        return name not in self._damaged and self._store.has(name)

    def _incomplete(self, models: Models) -> Iterator[Digest]:
        """Yield the commits of which the journal says something that the objects do not bear out any more."""
        for digest in sorted(models.complete | models.set_aside.keys()):
            commit = self._commits.get(digest)
            whole, spoilt = (False, False) if commit is None else self._model(commit)
            if spoilt or (digest in models.complete and not whole):
                yield digest

    def _model(self, commit: Commit) -> tuple[bool, bool]:
        """Return whether all of a commit's model is here, and whether any of it is damaged."""
        names = [] if commit.tree is None else [commit.tree]
        if commit.tree is not None and self._holds(commit.tree):
            with suppress(Corrupt):
                tree = parse_tree(self._store.read(commit.tree))
                names += [tree.schema, *tree.blobs]
        return all(map(self._holds, names)), not self._damaged.isdisjoint(names)


def _commit_names(root: Path) -> Iterator[Digest]:
    with suppress(FileNotFoundError):
        for fan in (root / "commits").iterdir():
            names = fan.iterdir() if fan.is_dir() and len(fan.name) == 2 else ()
            digests = (fan.name + file.name for file in names)
            yield from (Digest(name) for name in digests if len(name) == 64 and not set(name) - set("0123456789abcdef"))


def _repair(store: FolderStore, root: Path, found: Health) -> Health:
    """Take away what is damaged, mend the journal, and take back what it says of models that are not whole any more."""
    if found.journal_damaged:
        store.journal.rewrite(list(store.journal.salvage()))
    new_feed = bool(found.damaged_commits) and store.secret_read("feed") is not None
    if new_feed:
        # One that is taken away may be the last of the own feed: its number must not be used a second time.
        store.secret_write("feed", FeedKey.new().seed)
    store.remove(found.damaged_objects)
    for digest in found.damaged_commits:
        try:
            (root / "commits" / digest[:2] / digest[2:]).unlink(missing_ok=True)
        except OSError as error:
            raise Unreachable(
                "folder-read-only", f"A damaged commit cannot be removed: {error.strerror}.", "Make it writable."
            ) from error
    models = Models(store, Checks(), largest_bytes=Limits().model_bytes)
    for digest in found.incomplete:
        models.forget(digest)
    return replace(found, repaired=True, new_feed=new_feed)


def _build_index(store: FolderStore, root: Path, found: Health) -> str:
    """Build the index from the store alone; return "built", or why it was not."""
    if found.problems:
        return "it is built once nothing is damaged or missing"
    for name in (INDEX, f"{INDEX}-wal", f"{INDEX}-shm"):
        with suppress(OSError):
            (root / name).unlink(missing_ok=True)
    try:
        bench = Bench(store, founding_charter(store), clock=SystemClock(), read_only=True)
    except ImagiqError as error:
        return error.what
    return "built" if rebuild(root, bench) else "the disk does not take it"
