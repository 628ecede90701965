"""The example of four hospitals: its study is the demo's, and it comes through its faults."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDER = EXAMPLES / "four_hospitals"


def test_its_study_is_the_imaging_demos() -> None:
    study = tomllib.loads((FOLDER / "study.toml").read_text("utf-8"))
    demo = tomllib.loads((EXAMPLES / "phantom_brain" / "federation.toml").read_text("utf-8"))
    assert study["task"] == demo["task"]
    assert study["budget"] == demo["budget"]
    assert study["strategy"]["name"] in {way["strategy"] for way in demo["study"]}


@pytest.mark.torture
@pytest.mark.parametrize("over", ["https", "bucket"])
def test_nothing_is_lost_and_the_models_are_as_good_as_in_the_simulation(
    over: str, tmp_path: Path, torture: bool
) -> None:
    if not torture:
        pytest.skip("takes minutes: make torture runs it")
    done = subprocess.run(
        [sys.executable, str(FOLDER / "run.py"), str(tmp_path / "out"), "--over", over, "--faults", "6"],
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
