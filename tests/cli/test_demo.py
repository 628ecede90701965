from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WAYS = ["alone", "fedavg", "cyclic", "incremental", "latest-of-each"]


def imagiq(*arguments: str, at: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import sys; from imagiq.cli import main; sys.exit(main())", *arguments],
        cwd=at,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Runs the demo once, in a folder of its own."""
    folder = tmp_path_factory.mktemp("demo")
    done = imagiq("demo", at=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_demo_shows_every_way_and_hospital(demo: tuple[Path, str]) -> None:
    _, printed = demo
    lines = [line.split()[0] for line in printed.splitlines() if line.split()]
    for way in [*WAYS[:5], "pooled"]:
        assert lines.count(way) >= 2, way
    for name in ("Cleveland", "Budapest", "Zürich/Basel", "Long Beach", "AUC", "Accuracy", "What it took"):
        assert name in printed
    assert "How latest-of-each began" in printed


def test_the_demo_fits_100_columns_and_has_no_colours_in_a_pipe(demo: tuple[Path, str]) -> None:
    _, printed = demo
    assert [line for line in printed.splitlines() if len(line.rstrip()) > 100] == []
    assert "\x1b" not in printed


def test_the_commands_that_the_demo_names_work(demo: tuple[Path, str]) -> None:
    folder, printed = demo
    commands = [line.split("  ")[1] for line in printed.splitlines() if line.startswith("  imagiq ")]
    assert len(commands) >= 5
    for command in commands:
        done = imagiq(*command.split()[1:], at=folder)
        assert done.returncode == 0, (command, done.stderr)


def test_a_second_demo_does_not_overwrite_the_first_unless_told(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    done = imagiq("demo", "--quiet", at=folder)
    assert done.returncode != 0
    assert "--fresh" in done.stderr
    assert imagiq("demo", "--quiet", "--fresh", at=folder).returncode == 0


def test_the_demo_as_json_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    done = imagiq("demo", "--json", "--seed", "5", at=tmp_path)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert [way["title"] for way in outcome["ways"]] == WAYS
    assert outcome["seed"] == 5
    assert all(site["finished"] for way in outcome["ways"] for site in way["sites"].values())
    replayed = imagiq(
        *("simulate", "heart-demo/federation.toml", "--replay", "heart-demo/journal.jsonl", "--json"), at=tmp_path
    )
    assert json.loads(replayed.stdout) == outcome


def test_simulate_compares_strategies_and_leaves_repositories(tmp_path: Path) -> None:
    example = str(ROOT / "examples/heart/federation.toml")
    done = imagiq("simulate", example, "--strategy", "alone,cyclic", "--out", "left", at=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "By AUC" in done.stdout
    assert "fedavg" not in done.stdout
    assert {path.name for path in (tmp_path / "left").iterdir()} == {
        *("journal.jsonl", "cleveland", "budapest", "zurich", "long-beach")
    }
    wrong = imagiq("simulate", example, "--strategy", "fedagv", at=tmp_path)
    assert wrong.returncode != 0
    assert "Did you mean 'fedavg'?" in wrong.stderr
    assert "Traceback" not in wrong.stderr
