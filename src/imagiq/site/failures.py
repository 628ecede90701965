"""Reports of failed actions, for people who help: what failed with what, and nothing of any patient.

A report holds codes, versions, shapes and memory. It never holds a path, a name of a site or file, a value of a case or
weight, nor an error's own words, which may quote one.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from imagiq.bench import Bench
from imagiq.errors import ImagiqError
from imagiq.federation import Study
from imagiq.objects import Digest, Schema
from imagiq.site.keyfile import write_file

__all__ = ["newest_report", "report_of", "schema_of_study", "write_report"]

FOLDER: Final = "failures"
KEPT: Final = 20
PACKAGES: Final = ("imagiq", "numpy", "torch", "monai", "nibabel", "pydicom", "aiohttp", "obstore", "cryptography")
TENSORS_SHOWN: Final = 1000
MEMORY_LINES: Final = frozenset({"MemTotal", "MemAvailable", "SwapTotal", "SwapFree"})


def report_of(
    error: ImagiqError, *, kind: str, study: Study, schema: Schema | None, device: str, when: str
) -> dict[str, object]:
    """Return what may be told of a failure.

    Args:
        error: What went wrong; its code and classes are told, its words are not.
        kind: Of the action: ``train``, ``merge`` ...
        study: The names of its strategy and task are told, its title and parameters are not.
        schema: Of the study's models, if it is known: dtypes and shapes are told, names are not.
        device: What the owner lets learners use.
        when: The time, for people.
    """
    tensors = schema.tensors if schema is not None else ()
    return {
        "version": 1,
        "when": when,
        "code": error.code,
        "class": type(error).__name__,
        "caused_by": None if error.__cause__ is None else type(error.__cause__).__name__,
        "action": kind,
        "strategy": study.strategy.name,
        "task": study.task.name,
        "device": device,
        "tensors": [{"dtype": one.dtype, "shape": list(one.shape)} for one in tensors[:TENSORS_SHOWN]],
        "tensors_in_all": len(tensors),
        "model_bytes": 0 if schema is None else schema.nbytes,
        "memory_kib": _memory(),
        "peak_kib": _peak_kib(),
        "versions": _versions(),
        "system": {"name": platform.system(), "machine": platform.machine(), "python": platform.python_version()},
    }


def schema_of_study(bench: Bench, study: Digest) -> Schema | None:
    """Return the schema of a study's models; None if its first model is not held."""
    tree = bench.history[study].commit.tree
    try:
        return None if tree is None else bench.models.schema(bench.models.tree(tree).schema)
    except ImagiqError:
        return None


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _memory() -> Mapping[str, int]:
    """Return what the machine has and what of it is free, in KiB; empty where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name: int(rest.split()[0]) for name, _, rest in pairs if name in MEMORY_LINES}


def _peak_kib() -> int:
    """Return the most memory that this process and its children had at a time, in KiB; 0 where it is not known."""
    if sys.platform == "win32":
        return 0
    import resource  # noqa: PLC0415 - not everywhere

    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds)


def write_report(seat: Path, action: str, report: Mapping[str, object]) -> Path:
    """Keep a report beside a federation's repository, and remove the oldest beyond 20.

    Args:
        seat: The federation's folder.
        action: The identity of the action that failed; its first characters name the file.
        report: See :func:`report_of`.

    Raises:
        Unreachable: the disk does not take it.
    """
    folder = seat / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{str(report['when']).replace(':', '')}-{action[:8]}.json"
    write_file(path, json.dumps(report, indent=1).encode("ascii"))
    for old in sorted(folder.glob("*.json"))[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def newest_report(seat: Path) -> Path | None:
    """Return the newest report of a federation; None: there is none."""
    return max((seat / FOLDER).glob("*.json"), default=None)
