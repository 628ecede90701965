"""A bundle: what a folder remote would hold, in one file, for a site that no line leads to.

It is a plain tar, so that whoever carries it can look what is in it, and is written and read here in the one form that
``spec/exchange.md`` says; nothing is ever unpacked. To the rest of imagiq a bundle is a remote.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from secrets import token_hex
from threading import Lock
from types import TracebackType
from typing import Final, Self

from imagiq.errors import Conflict, Corrupt, Misuse, NotFound, Unreachable, Unsupported
from imagiq.exchange.remote import OBJECT_LIMIT, Listed, check_folder, check_name

__all__ = ["BundleReader", "BundleWriter"]

FIRST: Final = "imagiq-bundle"
VERSION: Final = b"imagiq bundle 1\n"
BLOCK: Final = 512
ENTRIES_LIMIT: Final = 4_000_000
_OCTAL = re.compile(rb"[0-7]{11}\0")


def _header(name: str, size: int) -> bytes:
    """Return the one header that a member has: POSIX ustar, and nothing in it but its name and size."""
    folder, _, last = name.rpartition("/")
    fields = b"".join(
        [
            last.encode("ascii").ljust(100, b"\0"),
            b"0000644\0" + b"0000000\0" * 2,
            f"{size:011o}\0".encode("ascii"),
            b"00000000000\0",
            b" " * 8,
            b"0".ljust(101, b"\0"),
            b"ustar\00000".ljust(72, b"\0"),
            b"0000000\0" * 2,
            folder.encode("ascii").ljust(155, b"\0"),
        ]
    ).ljust(BLOCK, b"\0")
    return fields[:148] + f"{sum(fields):06o}\0 ".encode("ascii") + fields[156:]


def _padding(size: int) -> bytes:
    return bytes(-size % BLOCK)


class BundleWriter:
    """A bundle that is being written: a remote that is empty at first. It is there when :meth:`finish` has returned.

    Args:
        path: The file; there is none yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{token_hex(4)}")
        self._lock = Lock()
        self._places: dict[str, tuple[int, int]] = {}
        self._replaced: dict[str, bytes] = {}
        if path.exists():
            raise Conflict("bundle-exists", f"{path} is there already.", "Name another file, or remove it.")
        try:
            self._file = self._temporary.open("x+b")
            self._append(FIRST, VERSION)
        except OSError as error:
            raise self._explain(error) from error

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self._path)

    def put_if_absent(self, name: str, content: bytes) -> bool:
        """Add something, unless it is there."""
        check_name(name)
        with self._lock:
            if name in self._places or name in self._replaced:
                return False
            try:
                self._append(name, content)
            except OSError as error:
                raise self._explain(error) from error
            return True

    def _append(self, name: str, content: bytes) -> None:
        self._file.seek(0, os.SEEK_END)
        self._file.write(_header(name, len(content)))
        self._places[name] = (self._file.tell(), len(content))
        self._file.write(content)
        self._file.write(_padding(len(content)))

    def replace(self, name: str, content: bytes) -> None:
        """Keep something for the end, where it stands once."""
        with self._lock:
            if check_name(name) in self._places:
                raise Misuse("bundle-replace", "Something in a bundle cannot be replaced.", "Write another bundle.")
            self._replaced[name] = content

    def get(self, name: str, *, start: int = 0, length: int = OBJECT_LIMIT + 1) -> bytes | None:
        """Return what was added."""
        check_name(name)
        with self._lock:
            if name in self._replaced:
                return self._replaced[name][start : start + length]
            if name not in self._places:
                return None
            at, size = self._places[name]
            self._file.seek(at + start)
            return self._file.read(max(0, min(length, size - start)))

    def list(self, folder: str, *, after: str = "") -> Iterator[Listed]:
        """Yield what was added to a folder."""
        with self._lock:
            sizes = {name: size for name, (_, size) in self._places.items()}
            sizes |= {name: len(content) for name, content in self._replaced.items()}
        prefix = f"{check_folder(folder)}/"
        names = {name.removeprefix(prefix): size for name, size in sizes.items() if name.startswith(prefix)}
        return iter(sorted(Listed(name, size) for name, size in names.items() if name > after))

    def news(self, sites: Sequence[str], since: str = "", wait_s: float = 0.0) -> str:
        """Tell that nobody else writes here."""
        del sites, since, wait_s
        return "being written"

    def finish(self) -> int:
        """Make the file whole, durable and visible; return its size."""
        try:
            with self._lock:
                for name, content in sorted(self._replaced.items()):
                    self._append(name, content)
                self._replaced.clear()
                self._file.write(bytes(2 * BLOCK))
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
            self._temporary.replace(self._path)
            return self._path.stat().st_size
        except OSError as error:
            raise self._explain(error) from error

    def close(self) -> None:
        """Let go; what was not finished is removed."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """Return the bundle itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish it, unless something went wrong."""
        if kind is None:
            self.finish()
        self.close()

    def _explain(self, error: OSError) -> Unreachable:
        return Unreachable(
            "bundle-write", f"{self._path} cannot be written: {error.strerror or error}.", "Check its folder and room."
        )


class BundleReader:
    """A bundle that somebody brought, as a remote that only gives.

    Args:
        path: The file.

    Raises:
        NotFound: there is none.
        Corrupt: it is no bundle, or not a whole one; nothing of it is used.
        Unsupported: it is of another version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        try:
            self._file = path.open("rb")
        except FileNotFoundError as error:
            raise NotFound("bundle-missing", f"There is no file {path}.", "Check its name.") from error
        except OSError as error:
            raise self._explain(error) from error
        try:
            self._folders = _index(self._file, path)
        except OSError as error:
            self._file.close()
            raise self._explain(error) from error
        except BaseException:
            self._file.close()
            raise

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self._path)

    def put_if_absent(self, name: str, content: bytes) -> bool:
        """Refuse: nothing is added to a bundle."""
        del content
        raise Unreachable(
            "remote-read-only", f"Nothing can be written to the bundle {check_name(name)[:8]}.", "Write another."
        )

    def replace(self, name: str, content: bytes) -> None:
        """Refuse: nothing is changed in a bundle."""
        self.put_if_absent(name, content)

    def get(self, name: str, *, start: int = 0, length: int = OBJECT_LIMIT + 1) -> bytes | None:
        """Return a part of what the bundle holds."""
        folder, _, last = check_name(name).rpartition("/")
        found = self._folders.get(folder, {}).get(last)
        if found is None:
            return None
        at, size = found
        with self._lock:
            try:
                self._file.seek(at + start)
                return self._file.read(max(0, min(length, size - start)))
            except OSError as error:
                raise self._explain(error) from error

    def list(self, folder: str, *, after: str = "") -> Iterator[Listed]:
        """Yield what the bundle holds in a folder."""
        there = self._folders.get(check_folder(folder), {})
        return iter(sorted(Listed(name, size) for name, (_, size) in there.items() if name > after))

    def news(self, sites: Sequence[str], since: str = "", wait_s: float = 0.0) -> str:
        """Tell that a bundle never changes."""
        del sites, since, wait_s
        return "a bundle"

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _explain(self, error: OSError) -> Unreachable:
        return Unreachable("bundle-read", f"{self._path} cannot be read: {error.strerror or error}.", "Check the disk.")


def _index(file: BufferedReader, path: Path) -> dict[str, dict[str, tuple[int, int]]]:
    """Return where each member of each folder lies; whatever is not exactly as it would be written is refused."""
    end = path.stat().st_size
    folders: dict[str, dict[str, tuple[int, int]]] = {}
    at, count, is_first = 0, 0, True
    while (header := file.read(BLOCK)) != bytes(BLOCK):
        at += BLOCK
        name, size = _member(header, path, is_first=is_first)
        folder, _, last = name.rpartition("/")
        if last in folders.get(folder, ()) or count >= ENTRIES_LIMIT or at + size > end:
            raise _no_bundle(path, "a member stands twice, or is cut off")
        if is_first:
            if file.read(size) != VERSION:
                raise Unsupported("bundle-version", f"{path} is a bundle of another version.", "Upgrade imagiq.")
            is_first = False
        else:
            folders.setdefault(folder, {})[last] = (at, size)
            count += 1
        at += size + len(_padding(size))
        file.seek(at)
    if file.read() != bytes(BLOCK) or is_first:
        raise _no_bundle(path, "it does not end where a bundle ends")
    return folders


def _member(header: bytes, path: Path, *, is_first: bool) -> tuple[str, int]:
    octal = header[124:136]
    if len(header) != BLOCK or not _OCTAL.fullmatch(octal):
        raise _no_bundle(path, "it ends too early, or holds what no bundle holds")
    size = int(octal[:11], 8)
    folder, last = (header[a:b].rstrip(b"\0").decode("ascii", "replace") for a, b in ((345, 500), (0, 100)))
    name = f"{folder}/{last}" if folder else last
    try:
        known = name == FIRST if is_first else bool(check_name(name))
    except Misuse:
        known = False
    if not known or size > OBJECT_LIMIT or header != _header(name, size):
        raise _no_bundle(path, "it holds what no bundle holds")
    return name, size


def _no_bundle(path: Path, why: str) -> Corrupt:
    return Corrupt("bundle-form", f"{path} is no whole bundle: {why}.", "Copy it again from who made it.")
