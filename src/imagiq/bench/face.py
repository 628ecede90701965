"""What ``imagiq.open`` gives: a repository with the verbs of the command line as methods."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from imagiq.bench.bench import Bench
from imagiq.bench.checkout import CheckedOut, checkout
from imagiq.bench.diff import Difference, diff
from imagiq.bench.fsck import Health, fsck
from imagiq.bench.import_model import import_model
from imagiq.bench.log import DEFAULT_LIMIT, Log, log
from imagiq.bench.names import resolve
from imagiq.bench.reading import checked_read, held_model
from imagiq.bench.repository import open_repository
from imagiq.bench.show import Shown, show
from imagiq.bench.verify import Verification, verify
from imagiq.merging import weights_of

if TYPE_CHECKING:
    from imagiq.merging.arrays import Array

__all__ = ["Repository", "open_path"]


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository. Wherever a commit is named, see :func:`imagiq.bench.names.resolve` for how.

    Attributes:
        path: The folder that holds ``.imagiq``.
        bench: What it knows: the history, the charters, the studies, the models.
    """

    path: Path
    bench: Bench

    def log(self, *, limit: int = DEFAULT_LIMIT, study: str | None = None, site: str | None = None) -> Log:
        """Return the newest commits."""
        return log(self.bench, limit=limit, study=study, site=site)

    def show(self, commit: str, *, tensors: bool = True) -> Shown:
        """Return all that is known of a commit."""
        return show(self.bench, resolve(self.bench, commit), tensors=tensors)

    def diff(self, first: str, second: str) -> Difference:
        """Return what differs between two commits."""
        return diff(self.bench, resolve(self.bench, first), resolve(self.bench, second))

    def verify(self, commit: str | None = None) -> Verification:
        """Verify all signatures, forks and merges, or those of a commit and of what it was made from."""
        return verify(self.bench, None if commit is None else resolve(self.bench, commit))

    def fsck(self) -> Health:
        """Hash everything at rest; repairs are made by ``imagiq fsck --repair``, while nobody has it open."""
        return fsck(self.path)

    def checkout(self, commit: str, output: str | os.PathLike[str], *, force: bool = False) -> CheckedOut:
        """Write a commit's model as a safetensors file, with a JSON file beside it."""
        return checkout(self.bench, resolve(self.bench, commit), Path(output), force=force)

    def weights(self, commit: str) -> Mapping[str, Array]:
        """Return a commit's model as numpy arrays by name; bfloat16 stands as uint16, float8 as uint8."""
        found = held_model(self.bench, resolve(self.bench, commit))
        return weights_of(found.schema, found.tree, checked_read(self.bench.store))

    def import_model(self, file: str | os.PathLike[str]) -> str:
        """Write a commit that holds the model of a safetensors file; return the commit's name."""
        return import_model(self.bench, Path(file)).digest

    def close(self) -> None:
        """Let go of the repository; a second call does nothing."""
        self.bench.store.close()

    def __enter__(self) -> Self:
        """Return the repository itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


def open_path(path: str | os.PathLike[str], *, read_only: bool = True) -> Repository:
    """Open the repository in a folder.

    Args:
        path: The folder that holds ``.imagiq``.
        read_only: Nothing is written. For writing, one process at a time can open it.

    Raises:
        NotFound: there is none.
        Corrupt: it is damaged; ``imagiq fsck`` says where.
        Conflict: another process has it open for writing.
    """
    folder = Path(path)
    return Repository(folder, open_repository(folder, read_only=read_only))
