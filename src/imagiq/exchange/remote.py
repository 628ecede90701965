"""The seam to places that objects travel through: what a remote is, and what things in it are called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from imagiq.errors import Misuse
from imagiq.exchange.sealing import sealed_size
from imagiq.objects import TREE_LIMIT

__all__ = [
    "BLOBS",
    "FEEDS",
    "HEAD",
    "KEYS",
    "OBJECT_LIMIT",
    "SLOWEST_BYTES_S",
    "Listed",
    "Remote",
    "check_folder",
    "check_name",
    "entry_name",
    "parse_entry",
]

FEEDS: Final = "feeds"
BLOBS: Final = "blobs"
KEYS: Final = "keys"
HEAD: Final = "head"

OBJECT_LIMIT: Final = sealed_size(TREE_LIMIT)
"""Nothing on a remote is larger."""
SLOWEST_BYTES_S: Final = 4096
"""A line that is slower than this on the whole counts as cut."""

_HEX64 = "[0-9a-f]{64}"
_NAME = re.compile(rf"{_HEX64}/(?:feeds/head|feeds/[0-9]{{12}}-{_HEX64}|blobs/{_HEX64}|keys/{_HEX64})")
_FOLDER = re.compile(rf"{_HEX64}/(?:feeds|blobs|keys)")
_ENTRY = re.compile(rf"([0-9]{{12}})-({_HEX64})")


def check_name(name: str) -> str:
    """Return ``name`` if something on a remote can be called so.

    Raises:
        Misuse: it cannot.
    """
    if _NAME.fullmatch(name):
        return name
    raise Misuse("remote-name", f"'{name[:80]}' cannot name anything on a remote.", "Correct the name.")


def check_folder(folder: str) -> str:
    """Return ``folder`` if it can be one of a remote.

    Raises:
        Misuse: it cannot.
    """
    if _FOLDER.fullmatch(folder):
        return folder
    raise Misuse("remote-name", f"'{folder[:80]}' cannot name anything on a remote.", "Correct the name.")


def entry_name(number: int, sealed: str) -> str:
    """Return what the ``number``-th commit that a site puts on a remote is called in its ``feeds``."""
    return f"{number:012d}-{sealed}"


def parse_entry(name: str) -> tuple[int, str] | None:
    """Return the number and the sealed name of an entry of ``feeds``; None if it is none."""
    found = _ENTRY.fullmatch(name)
    return None if found is None else (int(found[1]), found[2])


@dataclass(frozen=True, slots=True, order=True)
class Listed:
    """Something that a remote says it has: its name in its folder, and its size in bytes."""

    name: str
    size: int


class Remote(Protocol):
    """A place that objects travel to and from: a folder, a bucket, a listener.

    Contract:
        Names are those of :func:`check_name`: ``<pseudonym>/feeds/..``, ``/blobs/..``, ``/keys/..``. A site writes only
        below its own pseudonym; who keeps the remote may enforce that. What is put is at most :data:`OBJECT_LIMIT`.

        What was put is given back byte for byte, or is missing: never a part of it under its name, as far as the
        remote is honest. Listings and what is missing may be old: eventual consistency is allowed. A put whose answer
        is lost may have happened; putting it again costs nothing but the time. Nothing here is trusted: the one who
        asks checks everything.

        Every method raises :class:`~imagiq.errors.Unreachable` when the remote does not do what was asked (away,
        full, read-only, slow, refusing), and never blocks for ever. Any thread may call it; calls run side by side.
    """

    @property
    def name(self) -> str:
        """What the remote is called, without any secret in it."""

    def put_if_absent(self, name: str, content: bytes) -> bool:
        """Put bytes where nothing is; tell whether nothing was. It is durable, as far as the remote can promise."""

    def replace(self, name: str, content: bytes) -> None:
        """Put bytes in place of what is there, as a whole; for ``feeds/head``, ``keys/..``, and for what was damaged."""

    def get(self, name: str, *, start: int = 0, length: int = OBJECT_LIMIT + 1) -> bytes | None:
        """Return at most ``length`` bytes from ``start`` on, fewer where the content ends; None if there is none."""

    def list(self, folder: str, *, after: str = "") -> Iterator[Listed]:
        """Yield what is in a folder such as ``<pseudonym>/feeds``, sorted by name, from behind ``after`` on."""

    def news(self, sites: Sequence[str], since: str = "", wait_s: float = 0.0) -> str:
        """Return a word that is another one when a ``feeds/head`` of these pseudonyms has changed.

        Args:
            sites: The pseudonyms; a remote may look at more.
            since: The word of an earlier call.
            wait_s: Return as soon as the word is another than ``since``, or after about this time.
        """

    def close(self) -> None:
        """Let go of connections and threads; a second call does nothing."""
