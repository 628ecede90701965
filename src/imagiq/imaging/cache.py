"""Arrays that were read and prepared once, kept in a folder and found again by what they were made from."""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from imagiq.errors import Unreachable

__all__ = ["code_of", "kept", "key_of"]

_CHUNK: Final = 2**20
_LIBRARIES: Final = ("nibabel", "numpy", "scipy")
"""They read and resample: another version may give other arrays."""


@cache
def code_of(folder: Path) -> str:
    """Return a digest of the source of all modules in a folder, and of the versions of the libraries that they work with."""
    digest = hashlib.sha256()
    for module in sorted(folder.glob("*.py")):
        digest.update(f"{module.name} {hashlib.sha256(module.read_bytes()).hexdigest()}\n".encode())
    for library in _LIBRARIES:
        with suppress(PackageNotFoundError):
            digest.update(f"{library} {version(library)}\n".encode())
    return digest.hexdigest()


def key_of(files: Iterable[Path], prepared: str) -> str:
    """Return a key of what files hold, of how that is prepared, and of the code that does it: of all modules of this room.

    Raises:
        Unreachable: a file cannot be read.
    """
    digest = hashlib.sha256(f"{code_of(Path(__file__).parent)}\n{prepared}".encode())
    for path in files:
        inner = hashlib.sha256(path.name.endswith(".gz").to_bytes(1, "big"))
        try:
            with path.open("rb") as stream:
                while piece := stream.read(_CHUNK):
                    inner.update(piece)
        except OSError as error:
            raise Unreachable(
                "cache-source", f"{path} cannot be read: {error.strerror}.", "Check its kind and rights."
            ) from error
        digest.update(inner.digest())
    return digest.hexdigest()


def kept(folder: Path | None, key: str, make: Callable[[], dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Return arrays from the folder, or make them and leave them there.

    What cannot be read back whole is made anew. Threads and processes may share a folder: each writes beside, under a name
    of its own, and whoever is last puts the same in place. Arrays of images are as secret as the images: the folder is the
    site's own.

    Args:
        folder: Where; None: nothing is kept.
        key: By :func:`key_of`.
        make: Makes them.

    Raises:
        Unreachable: the folder cannot be written to.
    """
    if folder is None:
        return make()
    path = folder / f"{key}.npz"
    found = _read(path)
    if found is not None:
        return found
    arrays = make()
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="part-", dir=folder) as beside:
            part = Path(beside, path.name)
            part.write_bytes(buffer.getvalue())
            part.replace(path)
    except OSError as error:
        raise Unreachable(
            "cache-unwritable",
            f"The cache {folder} cannot be written: {error.strerror}.",
            "Make room, or name another.",
        ) from error
    return arrays


def _read(path: Path) -> dict[str, NDArray[Any]] | None:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None
