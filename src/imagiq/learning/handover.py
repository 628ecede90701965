"""Cases on their way to a worker: written once into a private folder, read there without copying.

The file is named by the digest of its bytes. It says which images are of one patient, and not who that is.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from imagiq.errors import ContractBroken, Unreachable
from imagiq.imaging.cases import ImageCases
from imagiq.learning import Cases

__all__ = ["Handed", "Handover", "check_kind", "of_patients"]


@dataclass(frozen=True, kw_only=True)
class Handed:
    """A file of cases. ``name``: the digest of its bytes, in hexadecimal. ``written_ns``: when it was last written to."""

    path: Path
    name: str
    written_ns: int

    def to_json(self) -> dict[str, Any]:
        """Return it as a worker is told."""
        return {"path": str(self.path), "name": self.name}


def check_kind(cases: Cases) -> ImageCases:
    """Return cases that are images.

    Raises:
        ContractBroken: they are none, or there are none.
    """
    if not isinstance(cases, ImageCases):
        raise ContractBroken(
            "cases-kind",
            f"The cases are of the kind {type(cases).__name__}, not images.",
            "Choose a source of images, or a learner for such cases.",
        )
    if len(cases.images) == 0:
        raise ContractBroken("cases-none", "There are no cases.", "Give at least one case.")
    return cases


def of_patients(cases: ImageCases) -> NDArray[np.int64]:
    """Return the number of each image's patient, counted from 0 in the order of their first images."""
    _, firsts, inverse = np.unique(cases.patients, return_index=True, return_inverse=True)
    places = np.empty(len(firsts), np.int64)
    places[np.argsort(firsts, kind="stable")] = np.arange(len(firsts))
    return places[inverse.reshape(-1)]


class Handover:
    """The private folder. It goes away with this object, or with the process unless that is killed.

    Args:
        inside: Where to make it; None: among the system's temporary files.
    """

    def __init__(self, inside: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="imagiq-", dir=inside))
        """Only its owner can look into it."""
        self._remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._handed: weakref.WeakKeyDictionary[ImageCases, Handed] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._written = 0

    def cases(self, cases: Cases) -> Handed:
        """Write cases, unless these very ones were written before and nobody has touched the file since.

        Raises:
            ContractBroken: they are no images, or there are none.
            Unreachable: the disk does not take them.
        """
        found = check_kind(cases)
        with self._lock:
            if found not in self._handed or not _is_untouched(self._handed[found]):
                arrays = {"images": found.images, "truth": found.truth, "patients": of_patients(found)}
                texts = {"channels": json.dumps(found.channels), "labels": json.dumps(dict(found.labels))}
                self._handed[found] = self._write(arrays, texts)
            return self._handed[found]

    def images(self, images: NDArray[np.float32]) -> Handed:
        """Write images alone; :meth:`drop` them when they are not needed any more."""
        with self._lock:
            return self._write({"images": images}, {})

    def check_untouched(self, handed: Handed) -> None:
        """Check that nobody has written into a file that was handed over.

        Raises:
            ContractBroken: somebody has.
        """
        if not _is_untouched(handed):
            raise ContractBroken(
                "cases-touched",
                "The file of cases was changed while a program had it.",
                "Let it write into the folder `result` only: what it changes would change the cases of other trainings.",
            )

    def drop(self, handed: Handed) -> None:
        """Remove a file."""
        handed.path.unlink(missing_ok=True)

    def _write(self, arrays: Mapping[str, NDArray[Any]], texts: Mapping[str, str]) -> Handed:
        self._written += 1
        path = self.folder / f"{self._written}.safetensors"
        try:
            save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, path, dict(texts))
            path.chmod(0o400)
            with path.open("rb") as file:
                name = file_digest(file, "sha256").hexdigest()
            return Handed(path=path, name=name, written_ns=path.stat().st_mtime_ns)
        except OSError as error:
            raise Unreachable(
                "worker-folder",
                f"The cases cannot be handed to the worker: {error.strerror}.",
                "Make room in the folder for temporary files.",
            ) from error

    def close(self) -> None:
        """Remove everything."""
        self._remove()


def _is_untouched(handed: Handed) -> bool:
    try:
        return handed.path.stat().st_mtime_ns == handed.written_ns
    except OSError:
        return False
