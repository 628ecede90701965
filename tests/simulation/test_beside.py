"""Trainings that run beside the simulation change nothing of it: neither its history, nor what a crash or a failure costs."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from imagiq.errors import ContractBroken
from imagiq.learning import (
    Advance,
    Cases,
    Initial,
    Learner,
    Overlaps,
    Pending,
    Predictions,
    Trained,
    Training,
    Weights,
    begin,
    predict,
    predict_each,
)
from imagiq.learning.logistic import Logistic
from imagiq.simulation import Crash, Happening, Scenario, World
from imagiq.simulation.assembling import histories_of, outcome_of
from imagiq.strategies import BUILT_IN
from tests.simulation.wards import FEATURES, NAMES, cases_of, scenario


class Running:
    """A training in a thread."""

    def __init__(self, future: Future[Trained]) -> None:
        self.future = future
        self.cancelled = False

    def result(self) -> Trained:
        return self.future.result()

    def cancel(self) -> None:
        self.cancelled = True


class Beside:
    """Logistic regression that trains in threads, and keeps at each site how many trainings it has had."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self.plain = Logistic(features=FEATURES, learning_rate="0.05", batch=8)
        self.threads = threads
        self.begun: list[Running] = []
        self.states: list[bytes] = []
        self.diverges_on: Cases = None
        self.diverges_at = -1

    def initial(self, seed: int) -> Initial:
        return self.plain.initial(seed)

    def train(self, weights: Weights, cases: Cases, *, budget: int, seed: int, progress: float) -> Trained:
        return self.plain.train(weights, cases, budget=budget, seed=seed, progress=progress)

    def begin(self, training: Training) -> Pending:
        self.begun.append(Running(self.threads.submit(self._train, training)))
        return self.begun[-1]

    def _train(self, training: Training) -> Trained:
        assert training.until is not None
        assert training.progress <= training.until <= 1.0
        self.states.append(training.state)
        if training.cases is self.diverges_on or len(training.cases) == self.diverges_at:
            raise ContractBroken("training-diverged", "Training diverged.", "Lower the learning rate.")
        if training.tell is not None:
            training.tell(Advance(done=training.budget, budget=training.budget, loss=0.5))
        trained = self.train(
            training.weights,
            training.cases,
            budget=training.budget,
            seed=training.seed,
            progress=training.progress,
        )
        return replace(trained, state=str(int(training.state or b"0") + 1).encode())

    def predict(self, weights: Weights, cases: Cases) -> Predictions | Overlaps:
        return self.plain.predict(weights, cases)

    def predict_with(self, weights: Weights, cases: Cases, *, state: bytes) -> Predictions | Overlaps:
        assert state
        self.states.append(b"predicted with " + state)
        return self.plain.predict(weights, cases)


CASES = cases_of()
STUDIES = ("local", "fedavg", "latest-of-each", "cyclic")


def world_of(learner: Learner, of: Scenario | None = None) -> World:
    return World(of or scenario(*STUDIES), CASES, learner_of=lambda _: learner, strategies=BUILT_IN)


@pytest.fixture
def beside() -> Beside:
    return Beside(ThreadPoolExecutor(3))


CRASHES = tuple(Crash(site=NAMES[1], at_s=at_s, for_s=3.0) for at_s in (1.1, 6.1))


@pytest.mark.parametrize("faults", [(), CRASHES], ids=["undisturbed", "crashes"])
def test_the_history_is_the_same_whether_trainings_run_beside_it_or_not(
    beside: Beside, faults: tuple[Crash, ...]
) -> None:
    of = scenario(*STUDIES, faults=faults)
    plain, other = world_of(beside.plain, of), world_of(beside, of)
    plain.run()
    other.run()
    assert histories_of(other) == histories_of(plain)
    assert any(running.cancelled for running in beside.begun) == bool(faults)


def test_each_training_of_a_site_begins_with_what_its_last_one_in_the_study_left(beside: Beside) -> None:
    world = world_of(beside)
    world.run()
    steps = max(study.steps for study in world.studies.values())
    counts = [state for state in beside.states if not state.startswith(b"predicted")]
    for number in range(steps):
        wanted = str(number).encode() if number else b""
        assert counts.count(wanted) == len(NAMES) * sum(study.steps > number for study in world.studies.values())
    assert any(state.startswith(b"predicted with") for state in beside.states)


def test_a_state_that_is_lost_is_as_none(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of(beside)
    for name in NAMES:
        monkeypatch.setattr(world.bench(name).store, "sidecar_read", lambda *_: None)
    world.run()
    assert set(beside.states) == {b""}
    assert len(set(histories_of(world).values())) == 1


def test_how_far_trainings_are_is_told_with_site_and_study(beside: Beside) -> None:
    world, told = world_of(beside), list[Happening]()
    world.watch = told.append
    world.run()
    found = {(one.site, one.study) for one in told if one.advance is not None}
    assert found == {(name, study.digest) for name in NAMES for study in world.studies.values()}


def test_a_training_that_diverges_publishes_nothing_and_the_others_go_on(beside: Beside) -> None:
    world = world_of(beside, scenario(*STUDIES, until_s=2000.0))
    beside.diverges_on = CASES[NAMES[0]].training
    world.run()
    bench = world.bench(NAMES[1])
    made = [bench.standing.name_of(entry) for entry in bench.history if entry.commit.recipe.name == "train"]
    assert NAMES[0] not in made
    assert {NAMES[1], NAMES[2]} <= set(made)
    trouble = [
        entry.commit.recipe.parameters["code"] for entry in bench.history if entry.commit.recipe.name == "trouble"
    ]
    assert "training-diverged" in trouble


def test_a_pooled_line_that_diverges_is_left_out_and_said(beside: Beside) -> None:
    world = world_of(beside)
    world.run()
    beside.diverges_at = sum(len(one.training) for one in CASES.values())
    outcome = outcome_of(world, CASES, lambda _: beside)
    assert outcome.pooled is None
    assert any("no pooled line" in warning and "diverged" in warning for warning in outcome.warnings)


def test_a_learner_that_cannot_train_beside_trains_when_it_is_asked() -> None:
    learner, cases = Logistic(features=FEATURES, learning_rate="0.05"), CASES[NAMES[0]].training
    weights = learner.initial(1).weights
    given = Training(weights=weights, cases=cases, budget=3, seed=1, progress=0.0)
    pending = begin(learner, given)
    assert pending.result() is pending.result()
    pending.cancel()
    said = predict(learner, weights, cases, b"a state")
    assert isinstance(said, Predictions)
    each = predict_each(learner, [(weights, cases, b"")] * 2)
    assert all((one.score == said.score).all() for one in each if isinstance(one, Predictions))
