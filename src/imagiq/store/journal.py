"""The local journal as a file: framed records, appended; a torn end is cut, damage before it is reported.

A frame is: 4 bytes ``1E 49 51 30``; the payload's length, 4 bytes; *settled*, 8 bytes; CRC-32 of length, settled and
payload, 4 bytes; the payload, canonical JSON. Numbers are little-endian. *Settled* is how many bytes from the file's
beginning were durable when the frame was written. It tells a torn end, where only what was never durable may be
missing, from damage: some whole frame says that the place which cannot be read was durable.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from threading import RLock
from typing import Final

from imagiq.errors import Corrupt, Misuse
from imagiq.store._checks import RECORD_LIMIT, encode_record
from imagiq.store._explain import reading, writing
from imagiq.store._layout import Layout
from imagiq.store._staging import write_temporary
from imagiq.store.contract import Record
from imagiq.store.files import Files

__all__ = ["FolderJournal", "Scan", "frame", "scan"]

MAGIC: Final = b"\x1eIQ0"
"""Never part of a payload: JSON text holds no byte below 20 hexadecimal."""

UNSETTLED_LIMIT: Final = 2**20
"""What is appended without being durable is synced when it has grown beyond this many bytes."""

_NUMBERS: Final = struct.Struct("<IQ")
_CRC: Final = struct.Struct("<I")
_HEAD: Final = len(MAGIC) + _NUMBERS.size + _CRC.size


@dataclass(frozen=True, slots=True)
class Scan:
    """What a journal file holds.

    Attributes:
        payloads: The whole frames' payloads from the file's beginning to the first place that is not a whole frame.
        end: That place.
        beyond: Payloads of whole frames after it.
        damaged: Whether something at or after that place was durable once.
    """

    payloads: tuple[bytes, ...]
    end: int
    beyond: tuple[bytes, ...]
    damaged: bool


def frame(payload: bytes, settled: int) -> bytes:
    """Return a payload's frame."""
    numbers = _NUMBERS.pack(len(payload), settled)
    return MAGIC + numbers + _CRC.pack(zlib.crc32(payload, zlib.crc32(numbers))) + payload


def scan(content: bytes) -> Scan:
    """Read a journal file's content, whatever has become of it."""
    payloads, end, settled = _run_of_frames(content, 0)
    beyond: list[bytes] = []
    at = content.find(MAGIC, end)
    while at != -1:
        run, run_end, run_settled = _run_of_frames(content, at)
        beyond.extend(run)
        settled = max(settled, run_settled)
        at = content.find(MAGIC, max(run_end, at + 1))
    return Scan(tuple(payloads), end, tuple(beyond), damaged=settled > end)


def _run_of_frames(content: bytes, start: int) -> tuple[list[bytes], int, int]:
    """Return payloads, end and highest settled of the whole frames that follow each other from ``start``."""
    payloads: list[bytes] = []
    at = start
    highest = 0
    while content.startswith(MAGIC, at) and at + _HEAD <= len(content):
        length, settled = _NUMBERS.unpack_from(content, at + len(MAGIC))
        end = at + _HEAD + length
        if length > RECORD_LIMIT or end > len(content):
            break
        numbers = content[at + len(MAGIC) : at + len(MAGIC) + _NUMBERS.size]
        payload = content[at + _HEAD : end]
        if _CRC.unpack_from(content, at + _HEAD - _CRC.size)[0] != zlib.crc32(payload, zlib.crc32(numbers)):
            break
        payloads.append(payload)
        highest = max(highest, settled)
        at = end
    return payloads, at, highest


class FolderJournal:
    """The journal of a repository folder; see :class:`imagiq.store.Journal`.

    Args:
        files: The file system.
        layout: The paths in the repository.
        writable: Whether this process holds the repository's lock.
    """

    def __init__(self, files: Files, layout: Layout, *, writable: bool) -> None:
        self._files = files
        self._root = layout.root
        self._path = layout.journal
        self._temporary = f"{layout.temporary}/journal"
        self._writable = writable
        self._lock = RLock()
        self._checked = False
        self._settled = 0
        self._unsettled = bytearray()
        self._torn = False
        self._renamed = False

    def append(self, records: Iterable[Record], *, durable: bool) -> None:
        """Add records at the end."""
        self._require_writable()
        payloads = [encode_record(record) for record in records]
        with self._lock, writing(self._root):
            self._check_end()
            self._mend()
            added = b"".join(frame(payload, self._settled) for payload in payloads)
            sync = durable or len(self._unsettled) + len(added) > UNSETTLED_LIMIT
            if added or (sync and (self._unsettled or self._renamed)):
                self._append(added, sync=sync)

    def _append(self, added: bytes, *, sync: bool) -> None:
        if sync and self._renamed:
            self._files.sync_folder(self._root)
            self._renamed = False
        self._torn = True
        self._files.append(self._path, added, sync=sync)
        self._torn = False
        self._unsettled += added
        if sync:
            self._settled += len(self._unsettled)
            self._unsettled.clear()

    def read(self) -> Iterator[Record]:
        """Return all records that there are at the moment of the call."""
        with self._lock, reading(self._root):
            content = self._content()
            if self._checked:
                content = content[: self._settled + len(self._unsettled)]
        found = scan(content)
        if found.damaged:
            raise self._damaged()
        return map(json.loads, found.payloads)

    def salvage(self) -> Iterator[Record]:
        """Return the records that are whole, before and after any damage."""
        with self._lock, reading(self._root), suppress(FileNotFoundError):
            found = scan(self._files.read(self._path))
            return map(json.loads, found.payloads + found.beyond)
        return iter(())

    def rewrite(self, records: Iterable[Record]) -> None:
        """Replace all records by these."""
        self._require_writable()
        payloads = [encode_record(record) for record in records]
        settled = sum(_HEAD + len(payload) for payload in payloads)
        with self._lock, writing(self._root):
            self._replace(b"".join(frame(payload, settled) for payload in payloads))

    def renew(self) -> None:
        """After a kill: write what can be read into a new file.

        Syncing the old one is not enough: if that failed before the kill, the system may show what it will never write.
        """
        with self._lock, suppress(FileNotFoundError):
            content = self._files.read(self._path)
            found = scan(content)
            if not found.damaged:
                self._replace(content[: found.end])

    def _replace(self, content: bytes) -> None:
        with suppress(FileNotFoundError):
            self._files.unlink(self._temporary)
        write_temporary(self._files, self._temporary, content)
        self._files.rename(self._temporary, self._path)
        self._checked, self._torn, self._renamed = True, False, True
        self._settled = len(content)
        self._unsettled.clear()
        self._files.sync_folder(self._root)
        self._renamed = False

    def close(self) -> None:
        """Make everything durable, if that was not done yet."""
        if self._writable and self._checked:
            self.append((), durable=True)
        self._writable = False

    def _require_writable(self) -> None:
        if not self._writable:
            raise Misuse("store-read-only", "The repository is not open for writing.", "Open it for writing.")

    def _check_end(self) -> None:
        """At the first append: cut what a crash left torn, durably, so that it cannot come back behind new records."""
        if self._checked:
            return
        content = self._content()
        found = scan(content)
        if found.damaged:
            raise self._damaged()
        if found.end < len(content):
            self._files.truncate(self._path, found.end)
        self._settled = found.end
        self._checked = True

    def _mend(self) -> None:
        """After an append that failed: write again what may have been lost with it, and nothing of the failed one."""
        if self._torn:
            self._files.truncate(self._path, self._settled)
            self._files.append(self._path, bytes(self._unsettled), sync=True)
            self._settled += len(self._unsettled)
            self._unsettled.clear()
            self._torn = False

    def _content(self) -> bytes:
        try:
            return self._files.read(self._path)
        except FileNotFoundError as error:
            raise self._damaged() from error

    def _damaged(self) -> Corrupt:
        return Corrupt(
            "journal-damaged",
            f"The journal of {self._root} is damaged in the middle.",
            "Check the disk, then run `imagiq fsck`, which keeps all records that are whole.",
        )
