"""What one can do, and is told, without PyTorch: a core install."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagiq.cli.demo import INSTALL, can_learn
from tests.core_install import core_install, run_core

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return core_install(tmp_path_factory.mktemp("core") / "site")


def test_here_both_demos_can_run() -> None:
    assert can_learn()


def test_without_pytorch_the_demo_is_the_heart_and_says_how_to_get_the_other(installed: Path, tmp_path: Path) -> None:
    done = run_core(installed, "demo", "--quiet", at=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Cleveland" in done.stdout
    assert (tmp_path / "heart-demo/report.html").exists()
    assert done.stdout.splitlines()[-1].endswith(INSTALL)


def test_the_brain_is_refused_at_once_with_the_line_that_installs_what_it_needs(
    installed: Path, tmp_path: Path
) -> None:
    done = run_core(installed, "demo", "brain", at=tmp_path)
    assert done.returncode == 1
    assert "error[learning-not-installed]" in done.stderr
    assert INSTALL in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("example", ["phantom_brain", "own_training"])
def test_a_file_that_needs_more_is_refused_with_the_line_that_installs_it(
    installed: Path, tmp_path: Path, example: str
) -> None:
    done = run_core(installed, "simulate", str(ROOT / f"examples/{example}/federation.toml"), at=tmp_path)
    assert done.returncode == 1
    assert INSTALL in done.stderr
    assert "Traceback" not in done.stderr
