"""The machine below a worker: which GPU it takes, what its failures mean, and what it does where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch

from imagiq.errors import Misuse
from imagiq.learning.deep import machine
from imagiq.learning.deep.machine import explained, precise
from imagiq.learning.deep.networks import build
from imagiq.learning.own import OwnNetwork
from imagiq.learning.pool import SPENT_WORKERS
from imagiq.learning.settings import read_settings
from tests.learning.pictures import TASK, TINY, discs

LOST = "CUDA call failed lazily at initialization with error: CUDA unknown error - this may be due to a changed device"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("No CUDA GPUs are available"), "worker-device"),
        (RuntimeError("Found no NVIDIA driver on your system. Please check that you have one"), "worker-device"),
        (RuntimeError("CUDA unknown error - this may be due to an incorrectly set up environment"), "worker-device"),
        (RuntimeError("Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions"), "worker-device"),
        (RuntimeError("CUDA error: GPU is lost"), "worker-device"),
        (RuntimeError("Unable to determine the device handle: GPU is lost. Reboot the system"), "worker-device"),
        (RuntimeError("cuda error: unspecified launch failure"), "worker-device"),
        (RuntimeError("CUDA-capable device(s) is/are busy or unavailable"), "worker-device"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "worker-device"),
        (torch.cuda.DeferredCudaCallError(LOST), "worker-device"),
        (RuntimeError("CUDA error: device-side assert triggered"), "worker-assert"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "worker-memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"), "worker-memory"),
        (OSError(12, "Cannot allocate memory"), "worker-memory"),
        (MemoryError(), "worker-memory"),
        (KeyError("no gpu is lost here: a word of the program's own"), None),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), None),
    ],
)
def test_what_an_error_means_is_told_by_what_it_says(error: Exception, code: str | None) -> None:
    found = explained(error)
    assert (found.code if found else None) == code
    assert found is None or found.code in SPENT_WORKERS


def test_an_operation_that_gives_other_bits_at_each_run_is_refused_by_its_name() -> None:
    with pytest.raises(RuntimeError) as error, precise(deterministic=True):
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
    found = explained(error.value)
    assert found is not None
    assert found.code == "training-not-deterministic"
    assert "uses put_, which" in found.what
    with precise(deterministic=False):
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))


def test_tensors_are_not_filled_before_they_are_written_while_training_and_are_after_it_as_they_were() -> None:
    settings = cast("Any", torch.utils.deterministic)
    before = settings.fill_uninitialized_memory
    with precise(deterministic=True):
        assert settings.fill_uninitialized_memory is False
    assert settings.fill_uninitialized_memory is before


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let PyTorch find GPUs with so many free bytes; None: it fails when it is asked."""

    def found(*free: int | None) -> None:
        def asked(number: int) -> tuple[int, int]:
            if (bytes_free := free[number]) is None:
                raise RuntimeError("CUDA error: GPU is lost")
            return bytes_free, 2**34

        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(free))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
        monkeypatch.setattr(torch.cuda, "mem_get_info", asked)

    return found


@pytest.mark.parametrize(
    ("free", "chosen"),
    [
        ((), "cpu"),
        ((5,), "cuda:0"),
        ((2, 9, 4), "cuda:1"),
        ((None, 3), "cuda:1"),
        ((None,), "cpu"),
        ((7, 7), "cuda:0"),
    ],
)
def test_by_itself_a_worker_takes_the_gpu_with_the_most_free_memory_that_answers(
    gpus: Callable[..., None], free: tuple[int | None, ...], chosen: str
) -> None:
    gpus(*free)
    assert str(machine._device("auto")) == chosen


def test_a_gpu_that_is_named_is_taken_or_missing(gpus: Callable[..., None]) -> None:
    gpus(1, 9)
    assert str(machine._device("cuda:0")) == "cuda:0"
    for wanted in ("cuda:2", "gpu"):
        with pytest.raises(Misuse) as error:
            machine._device(wanted)
        assert error.value.code == "device-missing"
        assert f"'{wanted}'" in error.value.what


def test_mixed_precision_on_a_cpu_is_full_precision_to_the_bit() -> None:
    trained = []
    for precision in ("full", "mixed"):
        settings = read_settings("segmentation", {**TASK, "network": TINY, "optimiser": {"precision": precision}})
        given: Any = {**TASK, "network": TINY, "optimiser": {"precision": precision}}
        learner = OwnNetwork(lambda settings=settings: build(settings), **given)  # type: ignore[misc]
        weights = learner.initial(1).weights
        trained.append(learner.train(weights, discs(), budget=3, seed=5, progress=0.0).weights)
    assert all(np.array_equal(trained[0][name], trained[1][name]) for name in trained[0])
