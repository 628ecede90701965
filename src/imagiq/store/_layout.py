"""What lies where in a repository folder, and how an empty one is made."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

from imagiq.errors import Conflict, NotFound, Unsupported
from imagiq.objects import Digest, parse_digest
from imagiq.store._checks import check_name
from imagiq.store._explain import reading
from imagiq.store.files import Files, Lock

__all__ = ["FOLDERS", "FORMAT_TEXT", "Layout", "check_format", "lay_out", "take_lock"]

FORMAT_TEXT: Final = b"imagiq repository 1\n"
DRAFT_TEXT: Final = b"imagiq repository 0\n"
FOLDERS: Final = ("objects", "commits", "sidecar", "secrets", "tmp")


class Layout:
    """The paths in a repository.

    Args:
        path: Its folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        text = os.fspath(path)
        self.root: Final = (text.replace("\\", "/") if os.name == "nt" else text).rstrip("/")
        self.temporary: Final = f"{self.root}/{FOLDERS[-1]}"
        self.journal: Final = f"{self.root}/journal"
        self.format: Final = f"{self.root}/format"
        self.lock: Final = f"{self.root}/lock"

    @property
    def above(self) -> str:
        """The folder that the repository's folder lies in."""
        return self.root.rpartition("/")[0] or ("/" if self.root.startswith("/") else ".")

    def shelf(self, kind: str) -> str:
        """Return the folder of one of :data:`FOLDERS`."""
        return f"{self.root}/{kind}"

    def object(self, kind: str, digest: Digest) -> str:
        """Return where an object rests. ``kind``: "objects" or "commits"."""
        name = parse_digest(digest, "An object's name")
        return f"{self.root}/{kind}/{name[:2]}/{name[2:]}"

    def sidecar(self, commit: Digest, name: str) -> str:
        """Return where something rests that belongs to a commit."""
        return f"{self.sidecars(commit)}/{check_name(name)}"

    def sidecars(self, commit: Digest) -> str:
        """Return the folder of all that belongs to a commit."""
        return f"{self.root}/sidecar/{parse_digest(commit, 'A commit')}"

    def secret(self, name: str) -> str:
        """Return where a key rests."""
        return f"{self.root}/secrets/{check_name(name)}"


def take_lock(files: Files, layout: Layout) -> Lock:
    """Take the lock of whoever writes.

    Raises:
        Conflict: another process has it, or another store of this process.
    """
    try:
        return files.lock(layout.lock, f"pid {os.getpid()}")
    except BlockingIOError as error:
        note = files.read(layout.lock).decode("ascii", "replace").strip() or "pid unknown"
        raise Conflict(
            "store-locked",
            f"Another imagiq ({note}) has the repository {layout.root} open.",
            "Wait until it has finished, or stop it.",
        ) from error


def lay_out(files: Files, layout: Layout) -> None:
    """Make an empty repository's files; the format comes last, so that a crash leaves none or a whole one."""
    for name in FOLDERS:
        with suppress(FileExistsError):
            files.make_folder(layout.shelf(name))
    temporary = f"{layout.temporary}/format"
    for leftover in (layout.journal, temporary):
        with suppress(FileNotFoundError):
            files.unlink(leftover)
    files.write(layout.journal, b"")
    files.write(temporary, FORMAT_TEXT)
    files.sync_folder(layout.root)
    files.rename(temporary, layout.format)
    files.sync_folder(layout.root)
    files.sync_folder(layout.above)


def check_format(files: Files, layout: Layout) -> None:
    """Check that there is a repository which this version reads.

    Raises:
        NotFound: there is none.
        Unsupported: it is of another format.
    """
    with reading(layout.root):
        try:
            text = files.read(layout.format)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(
                "store-missing",
                f"{layout.root} is no imagiq repository.",
                "Name its folder, or make one with `imagiq demo`.",
            ) from error
    if text != FORMAT_TEXT:
        shown = text[:40].decode("utf-8", "replace").strip()
        raise Unsupported(
            "store-format",
            f"The repository {layout.root} says '{shown}', which this imagiq does not read.",
            "It is a draft's, from before the format was frozen: make it anew."
            if text == DRAFT_TEXT
            else "Upgrade imagiq.",
        )
