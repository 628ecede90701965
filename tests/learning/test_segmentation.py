"""The learners by their names, in workers: what comes back is what a network of one's own gives in one's own process."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from monai.transforms.compose import Compose
from monai.transforms.spatial.dictionary import RandFlipd

import imagiq
from imagiq.errors import ContractBroken, Misuse
from imagiq.federation import Named
from imagiq.learning import Begins, Checks, Draws, Overlaps, Predictions, Remembers, Resources, Training, find
from imagiq.learning.classification import Classification
from imagiq.learning.deep.networks import build
from imagiq.learning.own import OwnNetwork
from imagiq.learning.segmentation import Segmentation
from imagiq.learning.settings import read_settings
from imagiq.simulation import Scenario, SimulatedSite, SimulatedStudy, SiteCases
from tests.learning.pictures import LABELS, TASK, TINY, discs, of_others, shades

pytestmark = pytest.mark.process

GIVEN = {**TASK, "network": TINY, "augmentation": {"flip": True, "noise": "0.1"}}
CLASSES = {"channels": ["grey"], "labels": {"class 0": 0, "class 1": 1, "class 2": 2}}


@pytest.fixture(scope="module")
def learner() -> Iterator[Segmentation]:
    made = find("segmentation", GIVEN, Resources(threads=1))
    assert isinstance(made, Segmentation)
    yield made
    made.close()


@pytest.fixture(scope="module")
def classifier(learner: Segmentation) -> Classification:
    made = Classification(**CLASSES)  # type: ignore[arg-type]
    made.proxy._pool = learner.proxy.pool
    return made


@pytest.fixture
def own() -> Iterator[OwnNetwork]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    settings = read_settings("segmentation", GIVEN)
    yield OwnNetwork(lambda: build(settings), **{**GIVEN, "network": TINY})  # type: ignore[arg-type]
    torch.set_num_threads(before)


def test_it_offers_all_that_a_learner_may(learner: Segmentation) -> None:
    for kind in (Begins, Draws, Checks, Remembers):
        assert isinstance(learner, kind)


def test_a_worker_gives_to_the_bit_what_a_network_of_ones_own_gives(learner: Segmentation, own: OwnNetwork) -> None:
    cases = discs()
    first, mine = learner.initial(3), own.initial(3)
    assert list(first.weights) == list(mine.weights)
    assert (first.architecture, first.preprocessing) == (mine.architecture, mine.preprocessing)
    state, weights = b"", first.weights
    for number in range(2):
        given = Training(
            weights=weights,
            cases=cases,
            budget=4,
            seed=number,
            progress=number / 2,
            until=(number + 1) / 2,
            state=state,
        )
        one, other = learner.begin(given).result(), own.begin(given).result()
        assert all(np.array_equal(one.weights[name], values) for name, values in other.weights.items())
        assert (one.metrics, one.cases, one.state) == (other.metrics, other.cases, other.state)
        state, weights = one.state, one.weights
    said, mine_said = learner.predict(weights, cases), own.predict(weights, cases)
    assert isinstance(said, Overlaps)
    assert isinstance(mine_said, Overlaps)
    for name in ("true", "drawn", "common"):
        assert np.array_equal(getattr(said, name), getattr(mine_said, name))
    assert np.array_equal(learner.draw(weights, cases.images), own.draw(weights, cases.images))


def test_how_far_a_training_is_is_told_while_it_runs(learner: Segmentation) -> None:
    told: list[int] = []
    given = Training(
        weights=learner.initial(3).weights,
        cases=discs(),
        budget=5,
        seed=1,
        progress=0.0,
        tell=lambda advance: told.append(advance.done),
    )
    learner.begin(given).result()
    assert told[-1] == 5
    assert told == sorted(set(told))


def test_neither_weights_nor_cases_are_changed(learner: Segmentation) -> None:
    cases, weights = discs(), learner.initial(3).weights
    before = [values.copy() for values in (*weights.values(), cases.images, cases.truth)]
    learner.train(weights, cases, budget=2, seed=1, progress=0.0)
    after = (*weights.values(), cases.images, cases.truth)
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_budget_of_nothing_changes_nothing(learner: Segmentation) -> None:
    weights = learner.initial(3).weights
    trained = learner.train(weights, discs(), budget=0, seed=1, progress=0.0)
    assert all(np.array_equal(trained.weights[name], values) for name, values in weights.items())
    assert trained.metrics == {}


@pytest.mark.parametrize(("budget", "progress"), [(-1, 0.0), (1, 1.5), (1, -0.1)])
def test_terms_out_of_range_are_refused(learner: Segmentation, budget: int, progress: float) -> None:
    with pytest.raises(Misuse):
        learner.train(learner.initial(3).weights, discs(), budget=budget, seed=1, progress=progress)


def test_empty_masks_are_trained_on(learner: Segmentation) -> None:
    cases = discs()
    cases.truth[:] = 0
    trained = learner.train(learner.initial(3).weights, cases, budget=20, seed=1, progress=0.0)
    found = learner.predict(trained.weights, cases)
    assert isinstance(found, Overlaps)
    assert not found.true.any()


def test_classes_are_learnt_in_a_worker(classifier: Classification) -> None:
    cases = shades(classes=3)
    classifier.check(cases)
    weights = classifier.initial(1).weights
    trained = classifier.train(weights, cases, budget=3, seed=1, progress=0.0)
    found = classifier.predict(trained.weights, cases)
    assert isinstance(found, Predictions)
    assert found.score.shape == (len(cases), 3)
    assert classifier.classify(trained.weights, cases.images) == pytest.approx(found.score)


def test_cases_of_another_task_are_refused_before_a_simulation_begins(learner: Segmentation) -> None:
    wrong = {"east": discs(), "west": shades()}
    scenario = Scenario(
        title="discs",
        seed=1,
        sites=tuple(SimulatedSite(name=name) for name in wrong),
        studies=(SimulatedStudy(title="fedavg", strategy=Named("fedavg"), steps=1, updates=1),),
        task=Named("discs", 1, {}),
    )
    cases = {name: SiteCases(training=one, held_back=of_others(one)) for name, one in wrong.items()}
    with pytest.raises(ContractBroken) as error:
        imagiq.simulate(scenario, learners={"discs": learner}, cases=cases)
    assert error.value.code == "cases-channels"
    assert "Site 'west'" in error.value.what


def test_the_labels_of_a_task_are_those_of_its_model(learner: Segmentation) -> None:
    begun = learner.initial(1)
    assert (dict(begun.labels), begun.channels) == (LABELS, ("bright", "core"))


def test_a_network_and_transforms_of_ones_own_give_the_same_from_many_threads_at_once(own: OwnNetwork) -> None:
    chain = Compose([RandFlipd(keys=["image", "label"], prob=0.5, spatial_axis=1)])
    flipped = OwnNetwork(lambda: build(read_settings("segmentation", GIVEN)), transforms=chain, **TASK, network=TINY)  # type: ignore[arg-type]
    cases, weights = discs(), own.initial(3).weights

    def trained(seed: int) -> list[bytes]:
        done = flipped.train(weights, cases, budget=8, seed=seed, progress=0.0)
        return [values.tobytes() for values in done.weights.values()]

    one_by_one = [trained(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(trained, range(4))) == one_by_one
