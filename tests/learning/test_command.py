"""Somebody's own program as a learner: what it gives is checked, and whatever it does wrong is said in words."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from imagiq.errors import BudgetSpent, ContractBroken, NotFound
from imagiq.learning import Overlaps, Predictions, Resources, Training, find
from imagiq.learning.command import Command
from tests.learning.pictures import TASK, discs, shades

pytestmark = pytest.mark.process

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_training" / "plain_pytorch.py"
TERMS = {key: TASK[key] for key in ("channels", "labels", "regions")}

GOOD = """
import json, os, sys, time
from pathlib import Path
import numpy as np
from safetensors.numpy import load_file, save_file

folder = Path(sys.argv[1])
job = json.loads((folder / "job.json").read_text())
result = folder / "result"
weights = {"w": np.zeros(3, np.float32)} if job["do"] == "initial" else load_file(folder / "weights.safetensors")
said = {"metrics": {"loss": 0.5}, "architecture": {"name": "thresholds"}}
if job["do"] == "train":
    state = folder / "state"
    count = int(state.read_text()) if state.exists() else 0
    (result / "state").write_text(str(count + 1))
    weights = {"w": weights["w"] + job["budget"] + 100 * count}
if job["do"] == "predict":
    images = load_file(folder / "cases.safetensors")["images"]
    found = {"masks": (4 * (images[:, -1] > 1.75)).astype(np.uint8)}
    if job["parameters"].get("classes"):
        found = {"scores": np.stack([0 * images.mean((1, 2, 3)) + 0.25, 0 * images.mean((1, 2, 3)) + 0.75], 1)}
    save_file(found, result / "predictions.safetensors")
"""
END = """
save_file(weights, result / "weights.safetensors")
(result / "result.json").write_text(json.dumps(said))
"""


def program(
    folder: Path, before_the_end: str = "", end: str = END, memory_mib: int | None = None, **more: Any
) -> Command:
    path = folder / "program.py"
    path.write_text(GOOD + before_the_end + end)
    resources = Resources(programs={"mine": [sys.executable, str(path)]}, memory_mib=memory_mib)
    return find("command", {"program": "mine", **TERMS, **more}, resources)  # type: ignore[return-value]


def test_a_program_starts_trains_and_draws(tmp_path: Path) -> None:
    learner, cases = program(tmp_path), discs()
    begun = learner.initial(1)
    assert begun.architecture == {"program": "mine", "name": "thresholds"}
    trained = learner.train(begun.weights, cases, budget=7, seed=1, progress=0.0)
    assert trained.weights["w"].tolist() == [7.0] * 3
    assert (trained.metrics, trained.cases) == ({"loss": 0.5}, 4)
    found = learner.predict(trained.weights, cases)
    assert isinstance(found, Overlaps)
    assert (2 * found.common / (found.true + found.drawn))[:, 1].min() > 0.8
    masks = learner.draw(trained.weights, cases.images)
    assert masks.tolist() == (4 * (cases.images[:, 1] > 1.75)).tolist()
    learner.close()


def test_a_program_is_given_numbers_without_any_dimension_as_it_wrote_them(tmp_path: Path) -> None:
    count = "weights['updates'] = np.asarray(weights.get('updates', 0) + job.get('budget', 0))\n"
    given = "assert weights['updates'].shape == (), weights\n"
    learner = program(tmp_path, count + given)
    trained = learner.train(learner.initial(1).weights, discs(), budget=7, seed=1, progress=0.0)
    assert trained.weights["updates"].shape == ()
    assert trained.weights["updates"] == 7
    learner.close()


def test_what_a_program_keeps_stays_at_the_site(tmp_path: Path) -> None:
    learner = program(tmp_path)
    given = Training(weights={"w": np.zeros(3, np.float32)}, cases=discs(), budget=1, seed=1, progress=0.0)
    first = learner.begin(given).result()
    second = learner.begin(
        Training(weights=given.weights, cases=given.cases, budget=1, seed=1, progress=0.0, state=first.state)
    ).result()
    assert (first.state, second.weights["w"][0]) == (b"1", 101.0)
    learner.close()


def test_a_program_says_classes(tmp_path: Path) -> None:
    cases = shades(patients=4)
    more: dict[str, Any] = {"task": "classification", "parameters": {"classes": True}, "regions": None}
    learner = program(tmp_path, **more, channels=cases.channels, labels=cases.labels)
    found = learner.predict({"w": np.zeros(3, np.float32)}, cases)
    assert isinstance(found, Predictions)
    assert found.score.tolist() == [0.75] * 4
    learner.close()


TOUCHED = ("cases-touched", "was changed") if os.getuid() == 0 else ("program-failed", "ended with 1")
IF_TRAINED = '\nif job["do"] == "train":\n    '


@pytest.mark.parametrize(
    ("misdeed", "code", "words"),
    [
        ("raise ValueError('a secret of patient 7')", "program-failed", "ended with 1 (ValueError)"),
        ("os.abort()", "program-failed", "ended with -6"),
        ("sys.exit(0)", "program-nothing", "result/weights.safetensors"),
        ("weights = {'w': np.zeros(4, np.float32)}", "program-weights", "float32 [4]; it was float32 [3]"),
        ("weights = {'w': np.zeros(3)}", "program-weights", "float64 [3]"),
        ("weights['more'] = weights['w']", "program-weights", "'more'"),
        ("weights = {'w': weights['w'] * np.nan}", "program-not-finite", "'w'"),
        ("said = {'metrics': {'loss': 'low'}}", "program-result", "'loss'"),
        ("said = {'metrics': {'loss': 10**400}}", "program-result", "'loss'"),
        ("said = {'metrics': {'\\ud800': 1}}", "program-result", "no name"),
        ("said = {'metrics': {'x' * 1000: 1}}", "program-result", "no name"),
        ("import shutil; shutil.rmtree(folder); sys.exit(0)", "program-nothing", "result/weights.safetensors"),
        ("(folder / 'cases.safetensors').open('r+b').write(b'x') if os.getuid() == 0 else exit(1)", *TOUCHED),
        ("time.sleep(3600)", "program-hung", "neither computed nor wrote"),
        ("os.fork() or time.sleep(3600); time.sleep(3600)", "program-hung", "neither computed nor wrote"),
    ],
)
def test_whatever_a_program_does_wrong_is_said_in_words(tmp_path: Path, misdeed: str, code: str, words: str) -> None:
    learner = program(tmp_path, IF_TRAINED + misdeed)
    learner._program.patience_s = 0.6
    with pytest.raises(ContractBroken) as error:
        learner.train({"w": np.zeros(3, np.float32)}, discs(), budget=1, seed=1, progress=0.0)
    learner.close()
    assert error.value.code == code
    assert words in error.value.what
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "misdeed",
    [
        "np.empty(2**28)",
        "import subprocess; subprocess.run([sys.executable, '-c', 'bytearray(2**31)'], check=True)",
        "os.write(2, b'terminate called after throwing an instance of std::bad_alloc'); os.abort()",
    ],
)
def test_a_program_that_takes_more_memory_than_it_may_is_told_so(tmp_path: Path, misdeed: str) -> None:
    learner = program(tmp_path, IF_TRAINED + misdeed, memory_mib=1000)
    with pytest.raises(BudgetSpent) as error:
        learner.train({"w": np.zeros(3, np.float32)}, discs(), budget=1, seed=1, progress=0.0)
    learner.close()
    assert error.value.code == "program-memory"
    assert "the 1000 MiB that it may use" in error.value.what


def test_a_program_that_computes_and_writes_nothing_is_ended_at_last(tmp_path: Path) -> None:
    learner = program(tmp_path, IF_TRAINED + "while True: pass")
    learner._program.silence_s = 0.6
    with pytest.raises(ContractBroken) as error:
        learner.train({"w": np.zeros(3, np.float32)}, discs(), budget=1, seed=1, progress=0.0)
    learner.close()
    assert error.value.code == "program-hung"
    assert "wrote nothing for" in error.value.what


@pytest.mark.slow
def test_a_program_that_prints_a_line_now_and_then_may_compute_on(tmp_path: Path) -> None:
    busy = "began = time.monotonic()\n    while time.monotonic() - began < 5: print(sum(range(10**5)), flush=True)"
    learner = program(tmp_path, IF_TRAINED + busy)
    learner._program.silence_s = 4.0
    learner.train({"w": np.zeros(3, np.float32)}, discs(), budget=1, seed=1, progress=0.0)
    learner.close()


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("(result / 'weights.safetensors').write_bytes(b'torn')", "program-file"),
        ("(result / 'weights.safetensors').symlink_to('/etc/hostname')", "program-nothing"),
        (END + "\n(result / 'result.json').write_text('[]')", "program-result"),
        (END + "\n(result / 'result.json').write_text('{')", "program-result"),
        (END + "\n(result / 'result.json').write_text('[' * 10**5)", "program-result"),
    ],
)
def test_files_that_are_not_right_are_refused(tmp_path: Path, end: str, code: str) -> None:
    learner = program(tmp_path, end=end)
    with pytest.raises(ContractBroken) as error:
        learner.train({"w": np.zeros(3, np.float32)}, discs(), budget=1, seed=1, progress=0.0)
    learner.close()
    assert error.value.code == code


@pytest.mark.parametrize("said", ["{'n': 2**60}", "{'n': '\\ud800'}", "eval(\"{'a': \" * 20 + '1' + '}' * 20)"])
def test_an_architecture_that_cannot_be_signed_is_refused(tmp_path: Path, said: str) -> None:
    learner = program(tmp_path, f"\nsaid = {{'architecture': {said}}}\n")
    with pytest.raises(ContractBroken, match="'architecture' is no table"):
        learner.initial(1)
    learner.close()


def test_cases_that_a_program_has_changed_are_not_handed_to_the_next(tmp_path: Path) -> None:
    learner, cases = program(tmp_path), discs()
    first = learner._handover.cases(cases)
    first.path.chmod(0o600)
    first.path.write_bytes(b"other")
    again = learner._handover.cases(cases)
    assert again.path != first.path
    assert np.array_equal(load_file(again.path)["images"], cases.images)
    assert learner._handover.cases(cases) == again
    learner.close()


@pytest.mark.parametrize(
    "masks", ["np.zeros((1, 2), np.uint8)", "np.full((12, 24, 24), 3, np.uint8)", "np.zeros((12, 24, 24))"]
)
def test_masks_that_are_not_those_of_the_task_are_refused(tmp_path: Path, masks: str) -> None:
    wrong = f'\nif job["do"] == "predict":\n    save_file({{"masks": {masks}}}, result / "predictions.safetensors")\n'
    learner = program(tmp_path, wrong)
    with pytest.raises(ContractBroken) as error:
        learner.predict({"w": np.zeros(3, np.float32)}, discs())
    learner.close()
    assert error.value.code == "program-predictions"


def test_a_training_that_is_given_up_ends_the_program(tmp_path: Path) -> None:
    learner = program(tmp_path, IF_TRAINED + "time.sleep(3600)")
    given = Training(weights={"w": np.zeros(3, np.float32)}, cases=discs(), budget=1, seed=1, progress=0.0)
    pending = learner.begin(given)
    pending.cancel()
    with pytest.raises(ContractBroken) as error:
        pending.result()
    learner.close()
    assert error.value.code == "worker-cancelled"
    assert threading.active_count() < 20


def test_a_study_brings_no_command_and_a_program_that_is_not_there_is_said() -> None:
    with pytest.raises(NotFound) as unknown:
        find("command", {"program": "mine", **TERMS})
    assert unknown.value.code == "program-unknown"
    learner = find("command", {"program": "mine", **TERMS}, Resources(programs={"mine": ["no-such-command"]}))
    with pytest.raises(ContractBroken) as absent:
        learner.initial(0)
    learner.close()  # type: ignore[attr-defined]
    assert absent.value.code == "program-start"


def test_the_example_that_knows_nothing_of_imagiq_learns() -> None:
    resources = Resources(programs={"plain-pytorch": [sys.executable, str(EXAMPLE)]})
    learner = find("command", {"program": "plain-pytorch", **TERMS}, resources)
    cases = discs()
    weights = learner.initial(1).weights
    trained = learner.train(weights, cases, budget=60, seed=1, progress=0.0)
    found = learner.predict(trained.weights, cases)
    learner.close()  # type: ignore[attr-defined]
    assert isinstance(found, Overlaps)
    assert (2 * found.common / (found.true + found.drawn))[:, 0].mean() > 0.6
