"""The same bits with numpy's SIMD switched off, another BLAS kernel, and other numbers of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.merging.on_this_machine import DISPATCHED, results

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
ELEMENTS = 70_001


@cache
def usual() -> dict[str, str]:
    return results(ELEMENTS)


def elsewhere(**settings: str) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", **settings}
    command = [sys.executable, "-m", "tests.merging.on_this_machine", str(ELEMENTS)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_without_simd() -> None:
    report = elsewhere(NPY_DISABLE_CPU_FEATURES=" ".join(DISPATCHED))
    assert report["dispatched"] == DISPATCHED
    assert report["on"] == []
    assert report["results"] == usual()


@pytest.mark.parametrize(
    "settings",
    [
        {"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "3", "OMP_NUM_THREADS": "3"},
    ],
    ids=lambda settings: settings["OPENBLAS_CORETYPE"],
)
def test_with_another_blas_and_other_thread_counts(settings: dict[str, str]) -> None:
    assert elsewhere(**settings)["results"] == usual()


def test_in_several_threads_at_once() -> None:
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(results, [ELEMENTS] * 2)) == [usual()] * 2
