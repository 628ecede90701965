"""A site's home on disk: one folder with all that a site is, and a seat in it for each federation that it is in.

::

    site.toml                     name, title, contact, where the cases are, what learners may use
    policy.toml                   which studies the site takes part in
    keys/site                     the site's key, readable by its owner only
    keys/recovery-*               recovery keys that are made here, to be carried away
    lock                          held by the one process that writes
    scratch/                      what that process hands to workers; emptied whenever one begins
    marks/<federation>            high-water marks: outside all repositories, and out of the home if `marks` says so
    federations/<name>/.imagiq    the repository; its secrets hold the keyring and the keys in use there
    federations/<name>/remotes.toml
    federations/<name>/decisions/ what the owner has decided
    federations/<name>/invitations.json   the invitations that are open, readable by the owner only
    federations/<name>/joined.json        of a newcomer: what its invitation said, readable by the owner only
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from shutil import rmtree
from threading import Event
from typing import Final

from imagiq.bench.place import (
    FEDERATIONS,
    SETTINGS,
    holds_repository,
    in_no_federation,
    in_several_federations,
)
from imagiq.errors import Conflict, Corrupt, NotFound
from imagiq.federation.policy import Policy
from imagiq.keys import SiteKey
from imagiq.objects import Digest
from imagiq.site.decisions import Decisions
from imagiq.site.keyfile import read_secret, site_key, write_file, write_key
from imagiq.site.mark import FileMark
from imagiq.site.settings import (
    FIRST_POLICY,
    RemoteSettings,
    Settings,
    check_site_name,
    first_settings,
    read_policy,
    read_remotes,
    read_settings,
    remotes_text,
)
from imagiq.site.toml import suggestion
from imagiq.store.files import Lock, RealFiles
from imagiq.store.owned import reading, writing

__all__ = ["Home", "Seat", "find_home", "make_home"]

POLICY: Final = "policy.toml"
LOOKED_AT_S: Final = 0.1


@dataclass(frozen=True)
class Seat:
    """Where a site keeps what belongs to one federation.

    Attributes:
        path: Its folder; ``.imagiq`` is in it.
        marks: Where the high-water marks are.
    """

    path: Path
    marks: Path

    @property
    def name(self) -> str:
        """What the federation is called at this site."""
        return self.path.name

    @property
    def decisions(self) -> Decisions:
        """What the owner has decided."""
        return Decisions(self.path / "decisions")

    def mark(self, federation: Digest) -> FileMark:
        """Return where the high-water mark is kept.

        Raises:
            Unreachable: its folder cannot be made.
        """
        _make_folder(self.marks)
        return FileMark(self.marks / federation)

    def remotes(self) -> tuple[RemoteSettings, ...]:
        """Return the remotes; see :func:`read_remotes`. A path is relative to the seat's folder."""
        return read_remotes(self.path / "remotes.toml")

    def write_remotes(self, remotes: tuple[RemoteSettings, ...]) -> None:
        """Replace the remotes."""
        write_file(self.path / "remotes.toml", remotes_text(remotes).encode("utf-8"))

    def note(self, name: str, content: object) -> None:
        """Keep something that others at this machine shall not read."""
        write_file(self.path / f"{name}.json", json.dumps(content, indent=1).encode("utf-8"))

    def noted(self, name: str) -> object:
        """Return what :meth:`note` kept; None: nothing.

        Raises:
            Refused: others can read it.
            Corrupt: it is damaged.
        """
        path = self.path / f"{name}.json"
        try:
            return json.loads(read_secret(path))
        except NotFound:
            return None
        except (ValueError, RecursionError) as error:
            raise Corrupt("home-damaged", f"{path} is damaged.", "Restore it from a backup, or remove it.") from error


@dataclass(frozen=True)
class Home:
    """A site's home.

    Attributes:
        path: Its folder.
    """

    path: Path

    @cached_property
    def settings(self) -> Settings:
        """What the owner has set; raises as :func:`read_settings` does."""
        return read_settings(self.path / SETTINGS)

    @property
    def policy(self) -> Policy:
        """Which studies the owner's rules accept; raises as :func:`read_policy` does."""
        return read_policy(self.path / POLICY)

    @property
    def key_file(self) -> Path:
        """Where the site's key is."""
        return self.path / "keys" / "site"

    @property
    def scratch(self) -> Path:
        """Where the one process that holds the home hands cases to workers."""
        return self.path / "scratch"

    def key(self) -> SiteKey:
        """Return the site's key; raises as :func:`imagiq.site.keyfile.read_key` does."""
        return site_key(self.key_file)

    @property
    def marks(self) -> Path:
        """Where high-water marks are kept."""
        return self.settings.marks or self.path / "marks"

    def seats(self) -> tuple[Seat, ...]:
        """Return the federations that the site is in, or asks to be in, sorted by name.

        Raises:
            Unreachable: the home cannot be read.
        """
        folder = self.path / FEDERATIONS
        with reading(folder):
            try:
                found = sorted(folder.iterdir())
            except FileNotFoundError:
                return ()
            return tuple(Seat(path, self.marks) for path in found if holds_repository(path))

    def seat(self, name: str | None = None) -> Seat:
        """Return a federation by its name at this site, or the only one.

        Raises:
            NotFound: there is none, or none of that name.
            Misuse: there are several, and no name.
        """
        seats = {seat.name: seat for seat in self.seats()}
        if name is not None and name in seats:
            return seats[name]
        if not seats:
            raise in_no_federation(self.path)
        if name is not None:
            raise NotFound(
                "federation-unknown", f"No federation here is called '{name}'.", suggestion(name, list(seats))
            )
        if len(seats) > 1:
            raise in_several_federations(seats)
        return next(iter(seats.values()))

    def new_seat(self, title: str, federation: Digest) -> Seat:
        """Make the folder for a federation; one that was begun and cut off is taken up again.

        Raises:
            Conflict: the site is in it.
            Unreachable: the folder cannot be made.
        """
        name = f"{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')[:40] or 'federation'}-{federation[:8]}"
        seat = Seat(self.path / FEDERATIONS / name, self.marks)
        if holds_repository(seat.path):
            raise Conflict(
                "federation-exists",
                f"This site has a place in that federation already: '{name}'.",
                "See `imagiq members`; to found another one, give it another title.",
            )
        _make_folder(seat.path)
        return seat

    def holder(self) -> int | None:
        """Return the process that holds the home; None: none does, or it cannot be told."""
        files, path = RealFiles(), str(self.path / "lock")
        try:
            if not Path(path).exists():
                return None
            files.lock(path, "").release(clean=True)
        except BlockingIOError:
            note = files.read(path).decode("ascii", "replace").split()
            return int(note[1]) if len(note) == 2 and note[1].isdecimal() else None
        except OSError:
            return None
        return None

    @contextmanager
    def lock(self, *, patience_s: float = LOOKED_AT_S) -> Iterator[None]:
        """Hold the home: one process at a time writes.

        Args:
            patience_s: For so long another process is waited for; the default lets pass who only looks.

        Raises:
            Conflict: another process does.
        """
        files = RealFiles()
        path = str(self.path / "lock")
        with writing(self.path / "lock"):
            try:
                lock = _lock_soon(files, path, patience_s)
            except BlockingIOError as error:
                raise Conflict(
                    "home-locked",
                    f"Another imagiq process (pid {self.holder() or 'unknown'}) works in {self.path}.",
                    "Wait until it has ended, or stop it: `imagiq down` stops a running site.",
                ) from error
        try:
            self._empty_scratch()
            yield
        finally:
            lock.release(clean=True)

    def _empty_scratch(self) -> None:
        """Remove what a process has left there that was killed: it may be images."""
        rmtree(self.scratch, ignore_errors=True)
        _make_folder(self.scratch)


def _lock_soon(files: RealFiles, path: str, patience_s: float) -> Lock:
    """Take the lock, soon."""
    for _ in range(round(patience_s / LOOKED_AT_S)):
        with suppress(BlockingIOError):
            return files.lock(path, f"pid {os.getpid()}")
        Event().wait(LOOKED_AT_S)
    return files.lock(path, f"pid {os.getpid()}")


def make_home(path: Path, *, name: str, title: str = "", contact: str = "") -> Home:
    """Make a home, with a new key.

    Raises:
        Misuse: a site cannot be called so.
        Conflict: there is a home.
        Unreachable: the folder cannot be written.
    """
    text = first_settings(check_site_name(name), title, contact)
    home = Home(path.absolute())
    if (path / SETTINGS).exists():
        raise Conflict("home-exists", f"{path} is the home of a site already.", "Name another folder.")
    for folder in (path, path / "keys", path / FEDERATIONS):
        _make_folder(folder, parents=folder == path)
    (path / "keys").chmod(0o700)
    if not home.key_file.exists():  # else it was cut off here before
        write_key(home.key_file, SiteKey.new().seed)
    write_file(path / POLICY, FIRST_POLICY.encode("utf-8"))
    write_file(path / SETTINGS, text.encode("utf-8"))  # last: with it, the home is one
    return home


def find_home(start: Path) -> tuple[Home, str | None]:
    """Return the home that a folder is or lies in, and the federation whose folder it is or lies in, if any.

    Raises:
        NotFound: it lies in none.
    """
    folder = start.absolute()
    for candidate in (folder, *folder.parents):
        if (candidate / SETTINGS).is_file():
            inside = folder.relative_to(candidate).parts
            seat = inside[1] if len(inside) > 1 and inside[0] == FEDERATIONS else None
            return Home(candidate), seat
    raise NotFound(
        "home-missing",
        f"{folder} is no site's home, and lies in none.",
        "Go into one, name one with `imagiq -C FOLDER`, or make one with `imagiq init`.",
    )


def _make_folder(path: Path, *, parents: bool = False) -> None:
    with writing(path):
        path.mkdir(mode=0o700, exist_ok=True, parents=parents)
