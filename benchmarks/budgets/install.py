"""What installing the core brings: direct dependencies, and megabytes in a fresh environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from benchmarks.table import Row

ROOT = Path(__file__).parents[2]
DEPENDENCIES, MEGABYTES = 12, 150


def measure(*, quick: bool) -> Sequence[Row]:
    """Count the dependencies; unless quick, install the core and add up its files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    rows = [
        Row(
            what="direct dependencies of the core",
            measured=len(project["dependencies"]),
            unit="",
            budget=f"{DEPENDENCIES}",
            most=DEPENDENCIES,
        )
    ]
    return rows if quick else [*rows, _size()]


def _size() -> Row:
    with tempfile.TemporaryDirectory() as folder:
        venv, source = Path(folder) / "venv", Path(folder) / "source"
        shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        _run(sys.executable, "-m", "venv", "--without-pip", str(venv))
        python = str(venv / ("Scripts" if sys.platform == "win32" else "bin") / "python")
        constraints = str(ROOT / "constraints.txt")
        try:
            _run(sys.executable, "-m", "pip", "--python", python, "install", "-qq", str(source), "-c", constraints)
        except subprocess.CalledProcessError:
            size, note = None, "pip could not install it: is a package index within reach?"
        else:
            size, note = sum(file.stat().st_size for file in venv.rglob("*") if _counts(file)) / 1e6, ""
    return Row(
        what="core installed, without pip",
        measured=size,
        unit="MB",
        budget=f"{MEGABYTES} MB",
        most=MEGABYTES,
        note=note,
    )


def _counts(file: Path) -> bool:
    return "site-packages" in file.parts and file.is_file() and not file.is_symlink()


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
