"""The README shows what the demo really prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_readme_shows_the_real_output_of_the_demo(tmp_path: Path) -> None:
    shown = README.read_text(encoding="utf-8").split("```text\n")[1].split("\n```")[0]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}
    ran = subprocess.run(
        [sys.executable, "-m", "imagiq", "demo", "heart", "--quiet"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        timeout=240,
    )
    assert [line.rstrip() for line in ran.stdout.rstrip().splitlines()] == shown.splitlines()
