"""Repositories on disk: a folder with ``.imagiq`` in it, where one site keeps one federation."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from imagiq.bench.author import Author
from imagiq.bench.bench import Bench
from imagiq.bench.catalogue import Catalogue
from imagiq.bench.charters import charter_gone
from imagiq.bench.checks import Checks
from imagiq.bench.place import find, holds_repository, store_folder
from imagiq.clock import Clock, SystemClock
from imagiq.errors import Corrupt, ImagiqError, NotFound, Unreachable, Untrusted
from imagiq.keys import FeedKey, SiteKey
from imagiq.objects import Charter, Digest, digest_of, parse_charter, parse_commit, parse_digest
from imagiq.store import FolderStore, Store

__all__ = ["create", "find", "founding_charter", "open_repository", "store_folder"]

SEED_BYTES: Final = 32


def create(path: Path, founding: Charter, *, site_key: SiteKey, feed_key: FeedKey, clock: Clock) -> Bench:
    """Make a repository and open it for writing.

    Args:
        path: Its folder; made if it is missing.
        founding: Version 1 of the charter: the federation.
        site_key: The site's secret keys.
        feed_key: The secret key of this store's feed; a key that no other store has or had.
        clock: Where the time comes from.

    Raises:
        Conflict: there is a repository already.
        Unreachable: the folder cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unreachable(
            "folder-read-only", f"The folder {path} cannot be made: {error.strerror}.", "Name another one."
        ) from error
    store = FolderStore.create(store_folder(path))
    with _closed_if_it_fails(store):
        store.secret_write("site", site_key.seed)
        store.secret_write("feed", feed_key.seed)
        return _open_for_writing(store, founding, clock, Author(site_key, feed_key))


def open_repository(
    path: Path, *, read_only: bool = True, clock: Clock | None = None, checks: Checks | None = None
) -> Bench:
    """Open a repository; for writing, one process at a time can.

    Args:
        path: The folder that holds ``.imagiq``.
        read_only: Nothing is written, not even verdicts.
        clock: Where the time comes from; the machine's own unless told otherwise.
        checks: What was checked already, for who opens it again and again to read.

    Raises:
        NotFound: there is none.
        Corrupt: a commit, the journal or the founding charter is damaged.
        Conflict: another process has it open for writing.
        Unsupported: it is of another format.
        Unreachable: the disk is full, read-only or failing.
    """
    if not holds_repository(store_folder(path).parent):
        raise NotFound(
            "repository-missing",
            f"{path} holds no imagiq repository.",
            "Name the folder that has `.imagiq` in it, or make one with `imagiq demo`.",
        )
    store = FolderStore.open(store_folder(path), read_only=read_only)
    clock = clock or SystemClock()
    with _closed_if_it_fails(store), _explained(path):
        founding = founding_charter(store)
        if read_only:
            return Bench(store, founding, clock=clock, checks=checks, read_only=True)
        return _open_for_writing(store, founding, clock, _author(store))


def _open_for_writing(store: FolderStore, founding: Charter, clock: Clock, author: Author | None) -> Bench:
    catalogue = Catalogue(Path(store.root))
    bench = Bench(store, founding, clock=clock, author=author, on_entries=catalogue.note)
    catalogue.follow(bench)
    weakref.finalize(bench, catalogue.close)
    return bench


def _author(store: Store) -> Author | None:
    """Return the keys of a repository; None if it has none, as a copy that was given away."""
    seeds = {name: store.secret_read(name) for name in ("site", "feed")}
    site, feed = seeds["site"], seeds["feed"]
    if site is None or feed is None:
        return None
    if len(site) != SEED_BYTES or len(feed) != SEED_BYTES:
        raise Corrupt("key-damaged", "A key of this repository is damaged.", "Restore `secrets` from a backup.")
    return Author(SiteKey(site), FeedKey(feed))


def founding_charter(store: Store) -> Charter:
    """Return version 1 of the charter of the federation that a store belongs to.

    Raises:
        Corrupt: the store does not say which it is, or the charter is damaged or gone.
    """
    federation = _federation(store)
    if federation is None:
        raise Corrupt(
            "repository-empty",
            "This repository belongs to no federation: its making was cut off.",
            "Remove its `.imagiq` folder and make it again.",
        )
    raw = store.read(federation) if store.has(federation) else b""
    if digest_of(raw) != federation:
        raise charter_gone("founding-missing", "The founding charter", federation)
    return parse_charter(raw)


def _federation(store: Store) -> Digest | None:
    for record in store.journal.read():
        if record.get("kind") == "federation":
            return parse_digest(record.get("digest"), "A journal's federation")
    first = next(iter(store.commits()), None)
    return None if first is None else parse_commit(first).claim.federation


@contextmanager
def _closed_if_it_fails(store: Store) -> Iterator[None]:
    try:
        yield
    except BaseException:
        store.close()
        raise


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say which repository is damaged, and how one finds out what is."""
    try:
        yield
    except (Corrupt, Untrusted) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: ImagiqError) -> ImagiqError:
    if error.code in {"charter-missing", "founding-missing", "journal-damaged", "key-damaged", "repository-empty"}:
        return error
    return Corrupt(
        "repository-damaged",
        f"The repository {path} cannot be read whole. {error.what}",
        "Run `imagiq fsck` to see what is damaged, `imagiq fsck --repair` to remove it, then sync.",
    )
