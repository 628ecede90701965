"""Workers: what happens to them costs one training at most, and is said in words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from imagiq.errors import BudgetSpent, ContractBroken, ImagiqError, Misuse, Unsupported
from imagiq.learning import Advance, Resources, Trained, Training, find
from imagiq.learning.pool import Pool
from imagiq.learning.segmentation import Segmentation
from tests.learning.pictures import LABELS, TASK, TINY, discs, installed

pytestmark = [pytest.mark.process, pytest.mark.slow]

CASES = discs()
Make = Callable[..., Segmentation]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """Return one worker for all tests of this module; it soon loses its patience."""
    with installed(tmp_path_factory.mktemp("kit")):
        pool = Pool(Resources(workers=1, threads=1, memory_mib=3000), patience_s=1.0)
        yield pool
        pool.close()


@pytest.fixture
def make(pool: Pool) -> Make:
    def made(network: object = "Good", **more: object) -> Segmentation:
        learner = Segmentation(**{**TASK, "network": network, **more})  # type: ignore[arg-type]
        learner.proxy._pool = pool
        return learner

    return made


def train(learner: Segmentation, budget: int = 3, seed: int = 5) -> Trained:
    weights = learner.initial(1).weights
    return learner.train(weights, CASES, budget=budget, seed=seed, progress=0.0)


def same(one: Trained, other: Trained) -> bool:
    return all(np.array_equal(one.weights[name], other.weights[name]) for name in {*one.weights, *other.weights})


def test_a_worker_that_is_killed_costs_one_training_and_changes_nothing(make: Make, tmp_path: Path) -> None:
    undisturbed = train(make())
    killed = train(make({"name": "KilledOnce", "parameters": {"note": str(tmp_path / "once")}}))
    assert (tmp_path / "once").exists()
    assert same(killed, undisturbed)


def test_a_worker_killed_from_outside_in_the_middle_of_a_training_is_replaced(make: Make, pool: Pool) -> None:
    learner, killed = make(TINY), threading.Event()

    def kill(advance: Advance) -> None:
        if not killed.is_set():
            killed.set()
            os.kill(pool.pids[0], signal.SIGKILL)

    given = Training(weights=learner.initial(1).weights, cases=CASES, budget=40, seed=5, progress=0.0)
    undisturbed = learner.begin(given).result()
    learner.watch(kill)
    assert same(learner.begin(given).result(), undisturbed)
    assert killed.is_set()


@pytest.mark.parametrize(
    ("network", "kind", "code", "words"),
    [
        ("Killed", ContractBroken, "worker-died", "SIGKILL"),
        ("Sleeping", ContractBroken, "worker-hung", "neither computed"),
        ("GpuLost", ContractBroken, "worker-device", "GPU"),
        ("Failing", ContractBroken, "learner-failed", "KeyError in kit_of_networks.py, line"),
        ("Greedy", BudgetSpent, "worker-memory", "memory"),
        ("Halving", ContractBroken, "network-output", "[4, 3, 24, 12]"),
    ],
)
def test_whatever_a_network_does_is_said_in_words_and_the_next_training_works(
    make: Make, network: str, kind: type[ImagiqError], code: str, words: str
) -> None:
    with pytest.raises(kind) as error:
        train(make(network))
    assert error.value.code == code
    assert words in error.value.what
    assert "secret" not in str(error.value)
    assert train(make()).cases == len(CASES)


def test_a_batch_that_does_not_fit_into_memory_is_told_with_the_one_that_would(make: Make) -> None:
    with pytest.raises(BudgetSpent) as error:
        train(make("Hungry", batch=8))
    assert error.value.code == "worker-memory"
    assert "'Hungry'" in error.value.what
    assert "a batch of 8" in error.value.what
    fits = int(error.value.advice.split("batch = ")[1].split(" ")[0])
    assert fits in {2, 4}
    assert train(make("Hungry", batch=fits)).cases == len(CASES)
    with pytest.raises(BudgetSpent, match="not even with a batch of 1"):
        train(make("Greedy", batch=8))


def test_a_gpu_that_fails_once_costs_a_worker_and_changes_nothing(make: Make, tmp_path: Path) -> None:
    lost = train(make({"name": "GpuLostOnce", "parameters": {"note": str(tmp_path / "once")}}))
    assert same(lost, train(make()))


def test_a_network_that_fails_its_gpu_is_not_tried_again_and_its_worker_is_not_kept(
    make: Make, pool: Pool, tmp_path: Path
) -> None:
    learner = make({"name": "AssertingOnce", "parameters": {"note": str(tmp_path / "once")}})
    learner.initial(1)
    (before,) = pool.pids
    with pytest.raises(ContractBroken) as error:
        train(learner)
    assert error.value.code == "worker-assert"
    assert train(make()).cases == len(CASES)
    assert pool.pids != [before]


def test_what_a_network_prints_does_not_disturb_the_line(make: Make) -> None:
    assert same(train(make("Printing")), train(make()))


def test_a_training_that_is_given_up_frees_its_worker(make: Make) -> None:
    learner, begun = make(TINY), threading.Event()
    given = Training(
        weights=learner.initial(1).weights,
        cases=CASES,
        budget=10**7,
        seed=1,
        progress=0.0,
        tell=lambda _: begun.set(),
    )
    pending = learner.begin(given)
    assert begun.wait(60)
    pending.cancel()
    with pytest.raises(ContractBroken) as error:
        pending.result()
    assert error.value.code == "worker-cancelled"
    assert train(learner).cases == len(CASES)


@pytest.mark.parametrize(
    ("network", "kind", "code"),
    [
        ("Goood", Unsupported, "network-unknown"),
        ("Torn", Unsupported, "network-not-loadable"),
        ({"name": "Good", "parameters": {"nte": "x"}}, Misuse, "network-parameters"),
        ({"name": "PlainUNet", "parameters": {"channels": "wide"}}, Misuse, "network-parameters"),
        ("Normed", Misuse, "network-batch-norm"),
    ],
)
def test_a_network_that_is_not_there_or_does_not_fit_is_refused(
    make: Make, network: object, kind: type[ImagiqError], code: str
) -> None:
    with pytest.raises(kind) as error:
        make(network).initial(0)
    assert error.value.code == code


def test_batch_norm_is_shared_or_stays_at_the_site(make: Make) -> None:
    shared, local = make("Normed", batch_norm="shared"), make("Normed", batch_norm="local")
    norms = {"norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}
    assert set(shared.initial(0).weights) - set(local.initial(0).weights) == norms
    assert local.initial(0).architecture["batch_norm"] == "local"
    trained = train(local, budget=30)
    with_state = local.predict_with(trained.weights, CASES, state=trained.state)
    without = local.predict(trained.weights, CASES)
    assert not np.array_equal(with_state.drawn, without.drawn)  # type: ignore[union-attr]
    masks = local.draw(trained.weights, CASES.images, state=trained.state)
    assert np.count_nonzero(masks) == with_state.drawn[:, 0].sum()  # type: ignore[union-attr]
    damaged = local.predict_with(trained.weights, CASES, state=trained.state[:50])
    assert np.array_equal(damaged.drawn, without.drawn)  # type: ignore[union-attr]


def test_tensors_keep_their_shapes_even_those_without_any(make: Make) -> None:
    shared = make("Normed", batch_norm="shared")
    first, trained = shared.initial(1).weights, train(shared)
    assert first["norm.num_batches_tracked"].shape == ()
    assert {name: array.shape for name, array in trained.weights.items()} == {n: a.shape for n, a in first.items()}
    assert trained.weights["norm.num_batches_tracked"] == 3


def test_workers_side_by_side_give_what_one_gives(make: Make) -> None:
    alone = make(TINY)
    weights = alone.initial(1).weights
    given = [Training(weights=weights, cases=CASES, budget=5, seed=seed, progress=0.0) for seed in range(4)]
    one_by_one = [alone.begin(one).result() for one in given]
    beside = Segmentation(**TASK, network=TINY, resources=Resources(workers=2, threads=1))  # type: ignore[arg-type]
    pending = [beside.begin(one) for one in given]
    assert all(same(one.result(), other) for one, other in zip(pending, one_by_one, strict=True))
    assert len(beside.proxy.pool.pids) == 2
    beside.close()


def test_a_device_that_is_not_there_is_refused() -> None:
    learner = Segmentation(**TASK, network=TINY, resources=Resources(device="cuda:7"))  # type: ignore[arg-type]
    with pytest.raises(Misuse) as error:
        learner.initial(0)
    learner.close()
    assert error.value.code == "device-missing"


def test_a_learner_that_was_closed_says_so_and_starts_no_new_worker() -> None:
    learner = Segmentation(**TASK, network=TINY, resources=Resources(threads=1))  # type: ignore[arg-type]
    weights = learner.initial(1).weights
    pool = learner.proxy.pool
    learner.close()
    training = Training(weights=weights, cases=CASES, budget=1, seed=1, progress=0.0)
    for ask in (lambda: learner.begin(training), lambda: learner.initial(1), lambda: learner.predict(weights, CASES)):
        with pytest.raises(ContractBroken) as error:
            ask()
        assert error.value.code == "worker-closed"
    assert pool.pids == []


PARENT = """
import sys
from imagiq.learning import find
from tests.learning.pictures import TASK, TINY
learner = find("segmentation", {**TASK, "network": TINY})
assert learner.initial(1).weights
assert not {"torch", "monai"}.intersection(sys.modules), "the parent holds a framework"
print(learner.proxy.pool.pids[0], flush=True)
sys.stdin.read()
"""


def test_a_worker_dies_with_its_parent_which_loads_no_framework() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        gone = os.pidfd_open(worker)
        parent.kill()
        parent.wait()
        poll = __import__("select").poll()
        poll.register(gone, 1)
        assert poll.poll(30_000), "the worker lives on"
        os.close(gone)


def test_without_torch_the_line_to_install_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = __import__("importlib.util").util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: None if name == "torch" else real(name, *more))
    with pytest.raises(Unsupported) as error:
        find("segmentation", {"channels": ["a"], "labels": LABELS})
    assert "pip install 'imagiq[learning]'" in error.value.advice
