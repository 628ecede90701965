"""What ``imagiq.open`` gives: a repository with the verbs of the command line as methods.

What they return are values; a notebook shows them as tables.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
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
    from imagiq.imaging.grid import Grid
    from imagiq.learning import Learner, Resources
    from imagiq.merging.arrays import Array
    from imagiq.report import Report
    from imagiq.site.evaluating import Evaluation
    from imagiq.site.predicting import Drawn, Said
    from imagiq.site.sources import CasesOfSites

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

    def evaluate(
        self,
        commit: str,
        cases: str | os.PathLike[str] | CasesOfSites,
        *,
        part: str | None = None,
        learner: Learner | None = None,
        resources: Resources | None = None,
    ) -> Evaluation:
        """Return what a commit's model reaches on cases; nothing is recorded.

        Args:
            commit: Which model.
            cases: A TOML file with ``[data]``, a folder of NIfTI pairs, or the cases themselves by site.
            part: ``held-back``, ``training`` or ``all``; None: held back, but of a folder all.
            learner: Applies the model; None: the one that its study's task names.
            resources: What that may use of this machine.

        Raises:
            ImagiqError: there is no model, or the cases are not those that it is for; the message says what differs.
        """
        from imagiq.site.evaluating import PARTS, evaluate, grid_for  # noqa: PLC0415 - loaded when it is used
        from imagiq.site.sources import cases_at, cases_of  # noqa: PLC0415 - the same

        entry = resolve(self.bench, commit)
        is_folder = False
        if isinstance(cases, str | os.PathLike):
            is_folder = Path(cases).is_dir()
            found = cases_at(Path(cases), grid_for(self.bench, entry))
        else:
            found = cases_of(cases)
        part = part or ("all" if is_folder else PARTS[0])
        return evaluate(self.bench, entry, found, part=part, learner=learner, resources=resources)

    def predict(
        self,
        commit: str,
        images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Mapping[str, str | os.PathLike[str]],
        output: str | os.PathLike[str] | None = None,
        *,
        grid: Grid | None = None,
        learner: Learner | None = None,
        resources: Resources | None = None,
    ) -> Drawn | Said:
        """Return what a commit's model draws into an image, or says of it.

        Args:
            commit: Which model.
            images: A NIfTI file that holds all channels; or one for each, in the model's order or by channel's name.
            output: Where to write the mask as NIfTI, exactly over the image; None: nowhere. What is there is replaced.
            grid: As in :func:`imagiq.site.predicting.apply`, as are the next two.
            learner: Applies the model.
            resources: What that may use of this machine.

        Raises:
            ImagiqError: there is no model, or the image is not one that it is for; the message says what differs.
        """
        from imagiq.site.predicting import Drawn, apply  # noqa: PLC0415 - loaded when it is used

        if isinstance(images, Mapping):
            files = [f"{name}={os.fspath(file)}" for name, file in images.items()]
        else:
            files = [os.fspath(one) for one in ([images] if isinstance(images, str | os.PathLike) else images)]
        entry = resolve(self.bench, commit)
        done = apply(self.bench, entry, files, grid=grid, learner=learner, resources=resources)
        if output is not None and isinstance(done, Drawn):
            done.write(Path(output))
        return done

    def report(self, output: str | os.PathLike[str] | None = None) -> Report:
        """Return the report of this repository.

        Args:
            output: Where to write its page, one HTML file; None: nowhere. What is there is replaced.
        """
        from imagiq.report.page import page  # noqa: PLC0415 - loaded when it is used
        from imagiq.report.repository import report_of_bench  # noqa: PLC0415 - the same

        report = report_of_bench(self.bench)
        if output is not None:
            Path(output).write_text(page(report), encoding="utf-8", newline="")
        return report

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
