"""The logistic learner, and how learners are found."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagiq.errors import Conflict, ContractBroken, Misuse, Unsupported
from imagiq.learning import Learner, Weights, find
from imagiq.learning.logistic import Logistic
from imagiq.learning.tables import Table

FEATURES = 3


def cases(count: int, *, features: int = FEATURES, seed: int = 0) -> Table:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(count, features))
    return Table(x=x, y=(x[:, 0] + 0.3 * draw.normal(size=count) > 0).astype(np.int8))


def learner(**changes: Any) -> Logistic:
    return Logistic(**{"features": FEATURES, "learning_rate": 0.1, "batch": 4, **changes})


def start(seed: int = 0) -> Weights:
    return learner().initial(seed).weights


def plain_training(
    weights: Weights, table: Table, *, rate: float, batch: int, decay: float, budget: int, seed: int
) -> list[float]:
    """Return weights and bias after logistic regression written with Python's numbers only."""
    w, bias = [float(value) for value in weights["weight"]], float(weights["bias"][0])
    source = np.random.PCG64(seed)
    queue: list[list[int]] = []
    for _ in range(budget):
        if not queue:
            raw = [int(number) for number in source.random_raw(len(table))]
            order = sorted(range(len(table)), key=raw.__getitem__)
            queue = [order[first : first + batch] for first in range(0, len(order), batch)]
        chosen = queue.pop(0)
        slope, slope_of_bias = [0.0] * len(w), 0.0
        for index in chosen:
            logit = bias + sum(a * b for a, b in zip(w, table.x[index].tolist(), strict=True))
            error = 1.0 / (1.0 + math.exp(-logit)) - int(table.y[index])
            slope = [total + error * value for total, value in zip(slope, table.x[index].tolist(), strict=True)]
            slope_of_bias += error
        w = [value - rate * (total / len(chosen) + decay * value) for value, total in zip(w, slope, strict=True)]
        bias -= rate * slope_of_bias / len(chosen)
    return [*w, bias]


@pytest.mark.parametrize(("count", "batch"), [(10, 4), (8, 4), (3, 8), (1, 1)])
def test_training_agrees_with_a_plain_loop(count: int, batch: int) -> None:
    table = cases(count)
    trained = learner(batch=batch, weight_decay="0.05").train(start(), table, budget=25, seed=7, progress=0.0)
    expected = plain_training(start(), table, rate=0.1, batch=batch, decay=0.05, budget=25, seed=7)
    found = [*trained.weights["weight"], *trained.weights["bias"]]
    assert found == pytest.approx(expected, rel=1e-6)
    assert trained.cases == count


def test_scores_agree_with_the_mathematical_library() -> None:
    x = np.linspace(-30.0, 30.0, 601)[:, None]
    weights = {"weight": np.ones(1, np.float32), "bias": np.zeros(1, np.float32)}
    found = learner(features=1).predict(weights, Table(x=x, y=np.zeros(601, np.int8)))
    assert found.score == pytest.approx([1.0 / (1.0 + math.exp(-value)) for value in x[:, 0]], rel=1e-11)


def test_scores_of_extreme_cases_stay_probabilities() -> None:
    weights = {"weight": np.ones(1, np.float32), "bias": np.zeros(1, np.float32)}
    table = Table(x=np.array([[-1e300], [1e300]]), y=np.array([0, 1], np.int8))
    assert learner(features=1).predict(weights, table).score == pytest.approx([0.0, 1.0], abs=1e-19)


def test_training_learns() -> None:
    table = cases(60)
    trained = learner().train(start(), table, budget=200, seed=0, progress=0.0)
    assert trained.metrics["accuracy"] > 0.9
    assert trained.metrics["loss"] < 0.3


def test_equal_arguments_give_equal_bits_and_other_seeds_other_bits() -> None:
    bits = [
        learner().train(start(), cases(20), budget=9, seed=seed, progress=0.2).weights["weight"].tobytes()
        for seed in (5, 5, 6)
    ]
    assert bits[0] == bits[1] != bits[2]


def test_training_changes_neither_its_start_nor_the_cases() -> None:
    weights, table = start(), cases(10)
    before = [weights["weight"].copy(), weights["bias"].copy(), table.x.copy(), table.y.copy()]
    for array in (*weights.values(), table.x, table.y):
        array.flags.writeable = False
    learner().train(weights, table, budget=10, seed=0, progress=0.0)
    after = [weights["weight"], weights["bias"], table.x, table.y]
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))


def test_a_budget_of_nothing_changes_nothing() -> None:
    trained = learner().train(start(), cases(10), budget=0, seed=0, progress=0.0)
    assert np.array_equal(trained.weights["weight"], start()["weight"])


def digest_of_a_training() -> str:
    """Return the SHA-256 of weights trained and scores given on exact cases."""
    grid = np.arange(60.0).reshape(20, FEATURES)
    table = Table(x=(grid * 37 % 64 - 32) / 16, y=(np.arange(20) % 3 == 0).astype(np.int8))
    model = learner(schedule="cosine", weight_decay="0.01").train(start(3), table, budget=50, seed=4, progress=0.3)
    score = learner().predict(model.weights, table).score
    return hashlib.sha256(
        model.weights["weight"].tobytes() + model.weights["bias"].tobytes() + score.tobytes()
    ).hexdigest()


def test_the_bits_are_the_same_on_every_processor() -> None:
    assert digest_of_a_training() == "a7e5143b3b5f8d6ab8f6340180752eb67d8d9d33721d9efc223231666df048aa"


def test_the_bits_are_the_same_without_vector_instructions() -> None:
    code = f"import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]}\n"
    code += "import test_logistic; print(test_logistic.digest_of_a_training())"
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"}
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == digest_of_a_training()


def test_the_cosine_schedule_falls_from_the_full_rate_to_nothing() -> None:
    table = cases(10)
    full = learner().train(start(), table, budget=5, seed=0, progress=0.0).weights["weight"]
    first, half, last = (
        learner(schedule="cosine").train(start(), table, budget=5, seed=0, progress=done).weights["weight"]
        for done in (0.0, 0.5, 1.0)
    )
    halved = learner(learning_rate=0.05).train(start(), table, budget=5, seed=0, progress=0.5).weights["weight"]
    assert np.array_equal(first, full)
    assert np.array_equal(half, halved)
    assert np.array_equal(last, start()["weight"])


def test_decay_pulls_weights_but_not_the_bias() -> None:
    table = Table(x=np.zeros((4, FEATURES)), y=np.array([0, 1, 0, 1], np.int8))
    weights = {"weight": np.ones(FEATURES, np.float32), "bias": np.zeros(1, np.float32)}
    trained = learner(weight_decay=0.5).train(weights, table, budget=1, seed=0, progress=0.0)
    assert trained.weights["weight"] == pytest.approx([0.95] * FEATURES)
    assert trained.weights["bias"][0] == 0.0


def test_the_start_lies_within_one_over_the_root_of_the_features() -> None:
    begun = learner(features=100).initial(1)
    assert {name: (values.shape, values.dtype.name) for name, values in begun.weights.items()} == {
        "weight": ((100,), "float32"),
        "bias": ((1,), "float32"),
    }
    assert 0.08 < float(np.abs(begun.weights["weight"]).max()) <= 0.1
    assert not np.array_equal(begun.weights["weight"], learner(features=100).initial(2).weights["weight"])
    assert len(begun.channels) == 100


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("count", [1, 7])
def test_one_class_or_one_case_trains_and_leans_towards_it(count: int, label: int) -> None:
    table = Table(x=cases(count).x, y=np.full(count, label, np.int8))
    trained = learner().train(start(), table, budget=100, seed=0, progress=0.0)
    assert trained.metrics["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("table", "code"),
    [
        (cases(0), "cases-none"),
        (cases(5, features=2), "cases-features"),
        (Table(x=np.array([[0.0, math.nan, 1.0]]), y=np.zeros(1, np.int8)), "cases-not-finite"),
        (Table(x=np.array([[0.0, 0.0, math.inf]]), y=np.zeros(1, np.int8)), "cases-not-finite"),
    ],
)
def test_cases_that_do_not_fit_are_refused(table: Table, code: str) -> None:
    with pytest.raises(ContractBroken) as training:
        learner().train(start(), table, budget=1, seed=0, progress=0.0)
    with pytest.raises(ContractBroken) as prediction:
        learner().predict(start(), table)
    assert training.value.code == prediction.value.code == code


def test_a_diverging_training_is_refused() -> None:
    table = Table(x=np.array([[1e200, -1e200, 1e200]] * 4), y=np.array([0, 1, 0, 1], np.int8))
    with pytest.raises(ContractBroken, match="diverged") as error:
        learner(learning_rate=1e200).train(start(), table, budget=20, seed=0, progress=0.0)
    assert "learning_rate" in error.value.advice


@pytest.mark.parametrize(
    "weights",
    [
        {"weight": np.zeros(2), "bias": np.zeros(1)},
        {"weight": np.zeros(FEATURES)},
        {"weight": np.zeros(FEATURES), "bias": np.zeros(1), "more": np.zeros(1)},
        {"weight": np.full(FEATURES, math.nan), "bias": np.zeros(1)},
    ],
)
def test_weights_that_do_not_fit_are_refused(weights: Weights) -> None:
    with pytest.raises(ContractBroken):
        learner().train(weights, cases(4), budget=1, seed=0, progress=0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 0},
        {"learning_rate": "fast"},
        {"learning_rate": "nan"},
        {"learning_rate": -1},
        {"batch": 0},
        {"batch": 2.5},
        {"batch": True},
        {"features": None},
        {"features": 2**53},
        {"learning_rate": 10**400},
        {"weight_decay": -0.1},
        {"schedule": "linear"},
    ],
)
def test_parameters_out_of_range_are_refused_by_name(change: dict[str, object]) -> None:
    with pytest.raises(Misuse) as error:
        learner(**change)
    assert next(iter(change)) in error.value.what


@pytest.mark.parametrize(("budget", "progress"), [(1, 1.01), (1, -0.1), (1, math.nan), (-1, 0.0)])
def test_a_progress_beyond_the_study_and_a_negative_budget_are_refused(budget: int, progress: float) -> None:
    with pytest.raises(Misuse):
        learner().train(start(), cases(4), budget=budget, seed=0, progress=progress)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the entry points of a package that is installed for the time of a test."""
    package = tmp_path / "kit-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: kit\nVersion: 1.0\n")
    points = package / "entry_points.txt"
    points.write_text(
        "[imagiq.learners]\nkit-logistic = imagiq.learning.logistic:Logistic\nkit-torn = kit.absent:Torn\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return points


@pytest.mark.usefixtures("installed")
def test_a_learner_is_found_by_the_name_its_package_gives() -> None:
    found: Learner = find("kit-logistic", {"features": 2, "learning_rate": "0.1"})
    assert found.initial(0).weights["weight"].shape == (2,)


@pytest.mark.usefixtures("installed")
def test_an_unknown_learner_is_refused_with_those_installed() -> None:
    with pytest.raises(Unsupported) as error:
        find("kit-forest", {})
    assert error.value.code == "learner-unknown"
    assert "kit-logistic" in error.value.advice


@pytest.mark.usefixtures("installed")
def test_a_learner_whose_package_is_incomplete_is_refused() -> None:
    with pytest.raises(Unsupported) as error:
        find("kit-torn", {})
    assert error.value.code == "learner-not-loadable"


@pytest.mark.usefixtures("installed")
def test_an_unknown_parameter_is_refused_with_the_closest() -> None:
    with pytest.raises(Misuse) as error:
        find("kit-logistic", {"features": 2, "learning_rte": 0.1})
    assert "'learning_rte'" in error.value.what
    assert "'learning_rate'" in error.value.advice


@pytest.mark.usefixtures("installed")
def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(Misuse) as error:
        find("kit-logistic", {"features": 2})
    assert "'learning_rate'" in error.value.what


def test_two_learners_of_one_name_are_refused(installed: Path) -> None:
    installed.write_text("[imagiq.learners]\nkit-twice = a:A\n")
    other = installed.parent.parent / "other-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text("[imagiq.learners]\nkit-twice = b:B\n")
    with pytest.raises(Conflict):
        find("kit-twice", {})


def test_the_contract_loads_neither_numpy_nor_torch() -> None:
    code = f"import sys; sys.path[:0] = {sys.path}\nimport imagiq.learning\n"
    code += "assert not {'numpy', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
