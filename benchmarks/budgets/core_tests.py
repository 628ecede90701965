"""How long the tests of the pure rooms take."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.table import Row
from benchmarks.timing import seconds

ROOT = Path(__file__).parents[2]
CORE_TESTS_S = 10


def measure(*, quick: bool) -> Sequence[Row]:
    """Run ``make test-core``'s tests once, or only collect them if quick."""
    command = ["make", "test-core", f"PYTHON={sys.executable}", *(["ARGS=--collect-only"] if quick else [])]
    codes: list[int] = []
    took_s = seconds(lambda: codes.append(subprocess.run(command, cwd=ROOT, check=False, stdout=sys.stderr).returncode))
    return [
        Row(
            what="make test-core" + (", collected only" if quick else ""),
            measured=took_s if codes == [0] else None,
            unit="s",
            budget=f"{CORE_TESTS_S} s",
            most=CORE_TESTS_S,
            note="" if codes == [0] else "They fail; run make test-core.",
        )
    ]
