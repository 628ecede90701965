"""The page cache of a simulated machine: what a running system sees, and what a power cut leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Choose", "File", "Folder"]

Choose = Callable[[int], int]
"""Given n, returns a number from 0 to n - 1: where the world's choices come from."""

SECTOR: Final = 512


@dataclass(slots=True)
class File:
    """``content`` is what a running system sees; ``changes`` lead from ``durable`` to it, unless a sync failed."""

    content: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    changes: list[tuple[int, bytes | None]] = field(default_factory=list)

    def put(self, at: int, data: bytes) -> None:
        self.content[at : at + len(data)] = data
        self.changes.append((at, data))

    def cut(self, length: int) -> None:
        del self.content[length:]
        self.changes.append((length, None))

    def sync(self) -> None:
        content = bytearray(self.durable)
        for at, data in self.changes:
            _apply(content, at, data)
        self.durable = bytes(content)
        self.changes.clear()

    def settle(self, choose: Choose) -> None:
        """Keep any part of what is not durable."""
        content = bytearray(self.durable)
        for at, data in self.changes:
            for piece_at, piece in _pieces(at, data, choose):
                _apply(content, piece_at, piece)
        self.content, self.durable = content, bytes(content)
        self.changes.clear()


def _apply(content: bytearray, at: int, data: bytes | None) -> None:
    if data is None:
        del content[at:]
    else:
        content.extend(bytes(max(0, at - len(content))))
        content[at : at + len(data)] = data


def _pieces(at: int, data: bytes | None, choose: Choose) -> Iterator[tuple[int, bytes | None]]:
    """Return what a power cut keeps of one change: of a write, each sector whole, not at all, torn, or as zeros."""
    if data is None:
        if choose(2) == 0:
            yield at, None
        return
    start = 0
    while start < len(data):
        end = min(len(data), start + SECTOR - (at + start) % SECTOR)
        fate = choose(4)
        if fate == 0:
            yield at + start, data[start:end]
        elif fate == 1:
            yield at + start, data[start : start + choose(end - start)]
        elif fate == 2:
            yield at + start, bytes(end - start)
        start = end


@dataclass(slots=True)
class Folder:
    """``entries`` is what a running system sees; ``changes`` lead from ``durable`` to it."""

    entries: dict[str, File | Folder] = field(default_factory=dict)
    durable: dict[str, File | Folder] = field(default_factory=dict)
    changes: list[tuple[str, File | Folder | None]] = field(default_factory=list)

    def put(self, name: str, entry: File | Folder | None) -> None:
        if entry is None:
            del self.entries[name]
        else:
            self.entries[name] = entry
        self.changes.append((name, entry))

    def sync(self) -> None:
        self.durable = dict(self.entries)
        self.changes.clear()

    def settle(self, choose: Choose) -> None:
        """Keep any of the names that are not durable, each for itself."""
        entries = dict(self.durable)
        for name, entry in self.changes:
            if choose(2):
                continue
            if entry is None:
                entries.pop(name, None)
            else:
                entries[name] = entry
        self.entries, self.durable = entries, dict(entries)
        self.changes.clear()
        for entry in entries.values():
            entry.settle(choose)
