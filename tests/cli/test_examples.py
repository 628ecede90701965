"""The examples run as they stand in the repository; of those that take long, a copy that trains next to nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
LGG = ROOT.parent / "shared" / "data" / "lgg_sites"


def run(*arguments: str, at: Path) -> subprocess.CompletedProcess[str]:
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "imagiq", *arguments],
        cwd=at,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PATH": beside},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


def shortened(example: str, folder: Path) -> Path:
    """Return a copy of an example in which each site trains once, by one update."""
    text = (ROOT / "examples" / example / "federation.toml").read_text("utf-8")
    for name in ("steps", "updates"):
        text, times = re.subn(rf"(?m)^{name} = \d+", f"{name} = 1", text)
        assert times == 1, name
    text = text.replace('path = "../../../shared/data/lgg_sites"', f'path = "{LGG}"')
    (folder / "federation.toml").write_text(text, "utf-8")
    return folder / "federation.toml"


def check_ended(printed: str, folder: Path, *ways: str) -> None:
    outcome = json.loads(printed)
    assert tuple(way["title"] for way in outcome["ways"]) == ways
    assert all(site["finished"] for way in outcome["ways"] for site in way["sites"].values())
    assert all(way["mean"]["dice"]["value"] is not None for way in outcome["ways"])
    assert "patients" in (folder / "report.html").read_text("utf-8")


@pytest.mark.skipif(not LGG.is_dir(), reason="the data set is not part of imagiq")
def test_the_example_of_real_sites_runs(tmp_path: Path) -> None:
    file = shortened("lgg_sites", tmp_path)
    done = run("simulate", str(file), "--out", "left", "--json", "--quiet", at=tmp_path)
    check_ended(done.stdout, tmp_path / "left", "alone", "fedavg", "latest-of-each", "cyclic")
    assert "data:image" not in (tmp_path / "left" / "report.html").read_text("utf-8")


def test_the_example_of_phantoms_runs(tmp_path: Path) -> None:
    file = shortened("phantom_brain", tmp_path)
    done = run("simulate", str(file), "--out", "left", "--json", "--quiet", at=tmp_path)
    check_ended(done.stdout, tmp_path / "left", "alone", "fedavg", "latest-of-each")
    assert "data:image/png" in (tmp_path / "left" / "report.html").read_text("utf-8")


def test_the_example_of_a_program_of_ones_own_runs(tmp_path: Path) -> None:
    example = str(ROOT / "examples" / "own_training" / "federation.toml")
    done = run("simulate", example, "--out", "left", "--json", "--quiet", at=tmp_path)
    check_ended(done.stdout, tmp_path / "left", "fedavg")


def test_the_demo_of_the_heart_runs_in_every_way(tmp_path: Path) -> None:
    done = run("demo", "heart", "--all", "--json", "--quiet", at=tmp_path)
    outcome = json.loads(done.stdout)
    assert {way["strategy"] for way in outcome["ways"]} >= {
        *("local", "fedavg", "cyclic", "incremental", "latest-of-each", "one-shot", "gossip", "swarm")
    }
    assert all(site["finished"] for way in outcome["ways"] for site in way["sites"].values())
    run("report", "heart-demo", "-o", "page.html", at=tmp_path)
