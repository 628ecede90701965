"""Files with secrets: readable by their owner only, made new, whole and durable, and never shown."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from imagiq.errors import Conflict, Corrupt, NotFound, Refused
from imagiq.keys import SiteKey
from imagiq.store.files import RealFiles
from imagiq.store.owned import reading, writing

__all__ = ["read_key", "read_secret", "site_key", "write_file", "write_key", "write_secret"]

SEED_BYTES = 32
SECRET_LIMIT = 64 * 2**10
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def write_file(path: Path, content: bytes) -> None:
    """Replace a file as a whole, durably; only its owner can read it.

    Raises:
        Unreachable: the disk does not take it.
    """
    files, new = RealFiles(), path.with_name(f".{path.name}.{token_hex(4)}")
    with writing(path):
        try:
            files.write(str(new), content)
            files.rename(str(new), str(path))
        finally:
            with suppress(OSError):
                new.unlink(missing_ok=True)
        files.sync_folder(str(path.parent))


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file with a secret.

    Raises:
        Conflict: there is one.
        Unreachable: the disk does not take it.
    """
    files = RealFiles()
    with writing(path):
        try:
            files.write(str(path), content)
        except FileExistsError as error:
            raise Conflict("key-exists", f"There is a file {path} already.", "Name another one.") from error
        files.sync_folder(str(path.parent))


def read_secret(path: Path) -> bytes:
    """Read a secret that only its owner can read.

    Raises:
        NotFound: there is none.
        Refused: others can read it.
        Unreachable: it cannot be read.
    """
    missing = NotFound("key-missing", f"There is no key {path}.", "Restore it from a backup.")
    with reading(path, missing):
        handle = os.open(path, os.O_RDONLY)
        with os.fdopen(handle, "rb") as file:
            mode = os.fstat(handle).st_mode
            if os.name != "nt" and mode & OTHERS:
                raise Refused(
                    "key-permissions",
                    f"Others than its owner may read {path}: its rights are {stat.S_IMODE(mode):03o}.",
                    f"If nobody did, run `chmod 600 {path}`; else make a new key with `imagiq rotate-key`.",
                )
            return file.read(SECRET_LIMIT)


def write_key(path: Path, seed: bytes) -> None:
    """Write a new file with the seed of a key, in hexadecimal.

    Raises:
        Conflict: there is one.
        Unreachable: the disk does not take it.
    """
    write_secret(path, seed.hex().encode("ascii") + b"\n")


def read_key(path: Path) -> bytes:
    """Read the seed of a key.

    Raises:
        NotFound: there is none.
        Refused: others can read it.
        Corrupt: it is damaged.
        Unreachable: it cannot be read.
    """
    text = read_secret(path).decode("ascii", "replace").strip()
    if len(text) != 2 * SEED_BYTES or set(text) - set("0123456789abcdef"):
        raise Corrupt("key-damaged", f"The key {path} is damaged.", "Restore it from a backup.")
    return bytes.fromhex(text)


def site_key(path: Path) -> SiteKey:
    """Return the key of a site; raises as :func:`read_key` does."""
    return SiteKey(read_key(path))
