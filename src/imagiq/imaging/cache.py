"""Arrays that were read and prepared once, kept in a folder and found again by what they were made from."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from imagiq.errors import Unreachable

__all__ = ["kept", "key_of"]

_CODE: Final = b"imagiq imaging cache 1"
"""Goes into each key: raised whenever reading or preparing gives other arrays than before."""

_CHUNK: Final = 2**20


def key_of(files: Iterable[Path], prepared: str) -> str:
    """Return a key of what files hold, of how that is prepared, and of the code that does it.

    Raises:
        Unreachable: a file cannot be read.
    """
    digest = hashlib.sha256(_CODE + b"\n" + prepared.encode())
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

    What cannot be read back whole is made anew. Arrays of images are as secret as the images: the folder is the site's own.

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
    beside = path.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(buffer.getvalue())
        beside.replace(path)
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
