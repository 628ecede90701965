"""A merge's memory grows neither with the number of models nor with their size, and stays under 64 MiB."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]


def grown(dtype: str, inputs: int, megabytes: int) -> int:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_MMAP_THRESHOLD_": "131072",
    }
    command = [sys.executable, "-m", "tests.merging.memory_of_a_merge", dtype, str(inputs), str(megabytes)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "uint8", "uint32"])
def test_memory_is_bounded(dtype: str) -> None:
    few, many, larger = grown(dtype, 2, 9), grown(dtype, 16, 9), grown(dtype, 3, 21)
    assert max(few, many, larger) < 60 * 2**20
    assert abs(many - few) < 8 * 2**20
    assert abs(larger - few) < 10 * 2**20
