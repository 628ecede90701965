"""An index of commits in SQLite, for fast lists of long histories. It can be rebuilt; nothing rests only here."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Final, Self

from imagiq.errors import Conflict, Corrupt, ImagiqError, NotFound, Unreachable
from imagiq.objects import Digest

__all__ = ["Index", "Row"]

VERSION: Final = 1
"""Raised whenever the columns change; an index of another version is emptied and built again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One commit, as lists show it.

    Attributes:
        digest: The commit's name.
        height: Its causal height.
        feed: Its feed.
        number: Its place in the feed.
        site: The name of the member whose feed it is; empty if none.
        study: The study it belongs to, or empty.
        recipe: The recipe's name.
        state: Empty, "void", "contested" or "tainted".
        tree: The model that it holds, or empty.
        cases: How many cases were used, if any.
        created: Date and time, for people.
        parents: Each as "role:digest".
    """

    digest: Digest
    height: int
    feed: str
    number: int
    site: str
    study: str
    recipe: str
    state: str
    tree: str
    cases: int | None
    created: str
    parents: tuple[str, ...]


_COLUMNS: Final = ", ".join(field.name for field in fields(Row))
_TABLES: Final = """
DROP TABLE IF EXISTS commits;
DROP TABLE IF EXISTS marker;
CREATE TABLE commits (
    digest TEXT PRIMARY KEY, height INTEGER NOT NULL, feed TEXT NOT NULL, number INTEGER NOT NULL, site TEXT NOT NULL,
    study TEXT NOT NULL, recipe TEXT NOT NULL, state TEXT NOT NULL, tree TEXT NOT NULL, cases INTEGER,
    created TEXT NOT NULL, parents TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_height ON commits (height DESC, digest);
CREATE INDEX by_study ON commits (study, height DESC, digest);
CREATE TABLE marker (text TEXT NOT NULL);
"""
_UPSERT: Final = f"INSERT OR REPLACE INTO commits ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_SELECT: Final = f"SELECT {_COLUMNS} FROM commits"  # noqa: S608
_ORDER: Final = " ORDER BY height DESC, digest LIMIT ?"


class Index:
    """The rows of all commits; made by :meth:`open`. Any thread may call it.

    Contract: a method that changes something does so as a whole, or raises. The last changes may be lost with the
    power: the owner sets a marker after its changes, and builds the index again when the marker is not the expected one.
    """

    def __init__(self, path: str, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._lock = RLock()

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, read_only: bool = False) -> Index:
        """Open an index; for writing, make it or empty it if it is missing or of another version.

        Raises:
            NotFound: it is missing, or of another version, and ``read_only``.
            Corrupt: the file is damaged.
            Unreachable: the disk is full, read-only or failing.
        """
        text = os.fspath(path)
        if read_only and not Path(text).exists():
            raise _missing(text)
        with _explained(text):
            connection = _connect(text, read_only=read_only)
        index = cls(text, connection)
        try:
            index._prepare(read_only=read_only)
        except ImagiqError:
            connection.close()
            raise
        return index

    def _prepare(self, *, read_only: bool) -> None:
        with _explained(self._path):
            if not read_only:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = NORMAL")
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version != VERSION and not read_only:
                self._connection.executescript(f"BEGIN;{_TABLES}PRAGMA user_version = {VERSION};COMMIT;")
            elif version != VERSION:
                raise _missing(self._path)

    def upsert(self, rows: Iterable[Row]) -> None:
        """Add rows, in place of those of the same commits."""
        values = ((*astuple(row)[:-1], " ".join(row.parents)) for row in rows)
        with self._lock, _explained(self._path), self._connection:
            self._connection.executemany(_UPSERT, values)

    def get(self, digest: Digest) -> Row | None:
        """Return one commit's row, if it is there."""
        return next(iter(self._rows(f"{_SELECT} WHERE digest = ?", (digest,))), None)

    def newest(self, limit: int, *, study: str | None = None, after: tuple[int, str] | None = None) -> list[Row]:
        """Return the first rows in the order of height, highest first, then digest.

        Args:
            limit: How many.
            study: Only those of this study ('' for those of none).
            after: Only those behind this height and digest: the last row of the page before.
        """
        conditions: list[str] = []
        values: list[str | int] = []
        if study is not None:
            conditions.append("study = ?")
            values.append(study)
        if after is not None:
            conditions.append("height <= ? AND (height < ? OR digest > ?)")
            values.extend((after[0], *after))
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return self._rows(_SELECT + where + _ORDER, (*values, limit))

    def find(self, prefix: str, limit: int) -> list[Digest]:
        """Return the names of commits that begin with ``prefix``, sorted."""
        query = "SELECT digest FROM commits WHERE digest >= ? AND digest < ? ORDER BY digest LIMIT ?"
        with self._lock, _explained(self._path):
            return [Digest(name) for (name,) in self._connection.execute(query, (prefix, prefix + "g", limit))]

    def count(self) -> int:
        """Return how many commits there are."""
        with self._lock, _explained(self._path):
            return int(self._connection.execute("SELECT count(*) FROM commits").fetchone()[0])

    def marker(self) -> str:
        """Return the text that was set last; empty if none was."""
        with self._lock, _explained(self._path):
            row = self._connection.execute("SELECT text FROM marker").fetchone()
        return "" if row is None else str(row[0])

    def set_marker(self, text: str) -> None:
        """Keep a text by which the owner recognises that the index is current."""
        with self._lock, _explained(self._path), self._connection:
            self._connection.execute("DELETE FROM marker")
            self._connection.execute("INSERT INTO marker VALUES (?)", (text,))

    def clear(self) -> None:
        """Remove all rows and the marker."""
        with self._lock, _explained(self._path), self._connection:
            self._connection.execute("DELETE FROM marker")
            self._connection.execute("DELETE FROM commits")

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        with self._lock, _explained(self._path):
            self._connection.close()

    def __enter__(self) -> Self:
        """Return the index itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _rows(self, query: str, values: tuple[str | int, ...]) -> list[Row]:
        with self._lock, _explained(self._path):
            found = self._connection.execute(query, values).fetchall()
        names = [field.name for field in fields(Row)]
        return [Row(**dict(zip(names, (*row[:-1], tuple(row[-1].split())), strict=True))) for row in found]


def _connect(path: str, *, read_only: bool) -> sqlite3.Connection:
    if not read_only:
        return sqlite3.connect(path, check_same_thread=False)
    address = f"{Path(path).absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True, check_same_thread=False)
    try:
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:  # in a folder that cannot be written, SQLite must be told that nobody else writes
        connection.close()
        return sqlite3.connect(f"{address}&immutable=1", uri=True, check_same_thread=False)
    return connection


def _missing(path: str) -> NotFound:
    return NotFound("index-missing", f"There is no current index at {path}.", "Run `imagiq fsck`, which builds it.")


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _explain(error, path) from error


def _explain(error: sqlite3.Error, path: str) -> ImagiqError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return Conflict("index-busy", f"Another process is changing the index {path}.", "Try again.")
    if code == sqlite3.SQLITE_FULL:
        return Unreachable("disk-full", f"The disk of {path} is full.", "Free some space, then try again.")
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return Unreachable(
            "folder-read-only", f"The index {path} cannot be written.", "Make its folder writable for this user."
        )
    if code == sqlite3.SQLITE_IOERR:
        return Unreachable("disk-error", f"The disk of {path} does not do what was asked.", "Check the disk.")
    return Corrupt(
        "index-damaged",
        f"The index {path} is damaged ({error}); no commit is lost with it.",
        "Run `imagiq fsck`, which builds it again.",
    )
