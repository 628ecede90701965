"""The machine below: threads, memory and GPU of a worker, and what their failures mean."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import torch

from imagiq.errors import BudgetSpent, ContractBroken, ImagiqError, Misuse, Unsupported

__all__ = ["explained", "lacks_memory", "precise", "prepare_machine", "seeded"]

NO_MEMORY: Final = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "cublas_status_alloc_failed",
)
NOT_DETERMINISTIC: Final = "does not have a deterministic implementation"
ASSERTED: Final = "device-side assert"
"""Said when the program asks for what is not there, such as a class beyond the last: the device works."""
DEVICE_FAILED: Final = (
    "cuda error",
    "cuda unknown error",
    "cuda driver",
    "cuda initialization",
    "cuda-capable device",
    "unexpected error from cuda",
    "no cuda gpus are available",
    "found no nvidia driver",
    "gpu is lost",
    "fallen off the bus",
    "cublas_status",
    "cudnn_status",
    "nccl error",
    "nvml",
)
"""What PyTorch and its drivers say, in small letters, when a GPU failed or is gone."""


def prepare_machine(hello: Mapping[str, Any]) -> torch.device:
    """Limit threads and memory as the parent says, and choose where to compute.

    Raises:
        Misuse: there is no such device.
    """
    os.putenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may give other bits at each run
    torch.set_num_threads(hello["threads"])
    torch.set_num_interop_threads(1)
    # PyTorch would else fill all new memory, which takes time and changes nothing that is computed.
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010 - mypy does not know it
    device = _device(hello["device"])
    memory_bytes = hello["memory_bytes"]
    if memory_bytes is not None and device.type == "cpu":
        # What is counted is what the process allocates for itself; beside a GPU, drivers reserve far more than they use.
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    return device


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        if not torch.cuda.is_available():
            return torch.device("cpu")
        free = {number: _free_bytes(number) for number in range(torch.cuda.device_count())}
        number = max(free, key=lambda one: free[one], default=0)
        return torch.device("cuda", number) if free.get(number) else torch.device("cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise _no_device(wanted) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise _no_device(wanted)
    return device


def _free_bytes(number: int) -> int:
    """Return the free memory of a GPU; 0 of one that failed, so that it is not chosen."""
    try:
        return torch.cuda.mem_get_info(number)[0]
    except (RuntimeError, torch.cuda.DeferredCudaCallError):
        return 0


def _no_device(wanted: str) -> Misuse:
    return Misuse("device-missing", f"There is no device '{wanted}' here.", "Choose 'auto', 'cpu' or 'cuda:0'.")


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Let what draws from PyTorch's own generators, such as initial weights and dropout, draw from a seed; then undo it."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.default_generators[device.index or 0].manual_seed(seed)
        yield


@contextlib.contextmanager
def precise(*, deterministic: bool) -> Iterator[None]:
    """Refuse operations that may give other bits at each run, and do not try out which kernel is fastest.

    PyTorch would also fill each tensor that it makes, so that who reads what nobody wrote reads the same; that takes a
    sixth of a training's time, and is left out: networks that do that are wrong.
    """
    before, settings = torch.are_deterministic_algorithms_enabled(), cast("Any", torch.utils.deterministic)
    filled = settings.fill_uninitialized_memory
    torch.use_deterministic_algorithms(deterministic)
    settings.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = not deterministic
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        settings.fill_uninitialized_memory = filled


def lacks_memory(error: Exception) -> bool:
    """Tell whether an error says that there is not enough memory."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or _says(error, NO_MEMORY)


def _says(error: Exception, parts: tuple[str, ...]) -> bool:
    text = str(error).lower()
    return any(part in text for part in parts)


def explained(error: Exception) -> ImagiqError | None:
    """Return what an error of PyTorch means, if it is one of the machine's."""
    text = str(error)
    if lacks_memory(error):
        return BudgetSpent(
            "worker-memory",
            "The network, its batch and what the optimiser needs do not fit into the memory that a worker may use.",
            "A smaller batch, a smaller patch or a smaller network helps, or fewer workers, or more memory for each.",
        )
    if _says(error, (ASSERTED,)):
        return ContractBroken(
            "worker-assert",
            "The network asked the GPU for something that is not there, such as a class beyond its last.",
            "Run it on the CPU, which says where.",
        )
    if isinstance(error, RuntimeError | torch.cuda.DeferredCudaCallError) and _says(error, DEVICE_FAILED):
        return ContractBroken(
            "worker-device", "The GPU failed in the middle of the work.", "Look at the GPU, or compute on the CPU."
        )
    if NOT_DETERMINISTIC in text:
        name = text.split(" ", 1)[0]
        return Unsupported(
            "training-not-deterministic",
            f"The network uses {name}, which gives other bits at each run on this device.",
            "Take another network, or say deterministic = false.",
        )
    return None
