"""A Python that has what a core install has, and nothing else: no PyTorch, MONAI, SciPy or nibabel."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
RUN = "import sys; from imagiq.cli import main; sys.exit(main())"


def needed(name: str, seen: set[str]) -> Iterator[str]:
    """Give a distribution and all that it needs without any extra."""
    if name in seen:
        return
    seen.add(name)
    yield name
    for line in distribution(name).requires or ():
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            yield from needed(wanted.name, seen)


def core_install(folder: Path) -> Path:
    """Lay links to what a core install holds into a folder; return it."""
    folder.mkdir()
    for name in needed("imagiq", set()):
        for file in distribution(name).files or ():
            top = file.parts[0]
            source = Path(str(distribution(name).locate_file(top)))
            if top not in {"..", "__pycache__"} and source.exists() and not (folder / top).exists():
                (folder / top).symlink_to(source)
    return folder


def run_core(installed: Path, *arguments: str, at: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line there."""
    return subprocess.run(
        [sys.executable, "-S", "-c", RUN, *arguments],
        cwd=at,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(installed)]), "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
