"""The state machines run first, in whatever order the rest is drawn, and grow in the long run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parent / "conftest.py"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    tests = tmp_path / "tests"
    (tests / "machines").mkdir(parents=True)
    shutil.copy(CONFTEST, tests)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = torture: long\n")
    for name in ("test_a", "machines/test_m", "test_z"):
        body = "def test_one(torture): assert not torture\ndef test_two(): pass\n"
        (tests / f"{name}.py").write_text(body)
    return tmp_path


def pytest_in(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("seed", range(3))
def test_machines_run_first_under_every_seed(project: Path, seed: int) -> None:
    listed = pytest_in(project, "--collect-only", f"--randomly-seed={seed}")
    tests = [line for line in listed.splitlines() if "::" in line]
    assert [("machines" in test) for test in tests] == [True, True, False, False, False, False]


def test_machines_alone_are_marked_torture(project: Path) -> None:
    assert "2 passed, 4 deselected" in pytest_in(project, "-m", "torture")


def test_the_long_run_is_known_to_tests(project: Path) -> None:
    assert "3 failed, 3 passed" in pytest_in(project, "--hypothesis-profile=torture")
