"""A learner with a network: the same in a worker, and in the process of somebody who brings a network of their own."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from imagiq.errors import ContractBroken, Misuse
from imagiq.imaging.cases import ImageCases
from imagiq.learning import JSON, Initial, Overlaps, Predictions, Trained, Training, Weights
from imagiq.learning.counting import classified, overlaps
from imagiq.learning.deep.applying import drawn_places, scores_of
from imagiq.learning.deep.fitting import too_large
from imagiq.learning.deep.machine import lacks_memory, precise, seeded
from imagiq.learning.deep.networks import batch_norms, local_names
from imagiq.learning.deep.optimising import LearningRates, moments_of, optimiser_of, with_moments
from imagiq.learning.deep.preparing import Prepared, prepared, prepared_images
from imagiq.learning.deep.sampling import Transforms, batches
from imagiq.learning.deep.training import Loop
from imagiq.learning.handover import of_patients
from imagiq.learning.proxy import check_terms
from imagiq.learning.settings import SEGMENTATION, Settings
from imagiq.objects import decimal

__all__ = ["NetworkLearner"]

_LOCAL, _MOMENT = "local/", "moment/"


class NetworkLearner:
    """Trains and applies one kind of network.

    Args:
        settings: How.
        make: Makes the untrained network, with weights drawn from PyTorch's own generator.
        device: Where to compute.
        transforms: A chain of somebody else that varies what is trained on.

    Raises:
        Misuse: the network has BatchNorm, and the settings refuse it.
    """

    def __init__(
        self,
        settings: Settings,
        make: Callable[[], nn.Module],
        device: torch.device,
        *,
        transforms: Transforms | None = None,
    ) -> None:
        self.settings = settings
        self._make = make
        self._device = device
        self._transforms = transforms
        with seeded(0, torch.device("cpu")):
            self._network = make().to(device)
        _check_tensors(self._network)
        found = batch_norms(self._network)
        if found and settings.batch_norm == "refused":
            raise Misuse(
                "network-batch-norm",
                f"The network '{settings.network.name}' has BatchNorm ('{found[0]}', {len(found)} in all), whose "
                "statistics are of one site's images.",
                "Choose GroupNorm or InstanceNorm, or say batch_norm = 'local' or 'shared'.",
            )
        self._local = local_names(self._network) if settings.batch_norm == "local" else frozenset()
        self._prepared: weakref.WeakKeyDictionary[ImageCases, Prepared] = weakref.WeakKeyDictionary()

    def initial(self, seed: int) -> Initial:
        """Return the untrained network that this seed gives."""
        with seeded(seed, torch.device("cpu")):
            network = self._make()
        settings = self.settings
        architecture: dict[str, JSON] = {
            "network": settings.network.name,
            "dims": settings.dims,
            "parameters": _json(settings.network.parameters),
            "batch_norm": settings.batch_norm,
        }
        if settings.patch.size:
            architecture["patch"] = list(settings.patch.size)
        preprocessing = {key: _json(value) for key, value in asdict(settings.preparation).items()}
        if settings.images is not None:
            preprocessing["images"] = _json(asdict(settings.images))
        return Initial(
            weights={name: _array(tensor) for name, tensor in self._shared(network).items()},
            architecture=architecture,
            channels=settings.channels,
            labels=dict(settings.labels),
            preprocessing=preprocessing,
        )

    def train(self, training: Training) -> Trained:
        """Train.

        Raises:
            ContractBroken: weights or cases do not fit, or the loss diverges.
            BudgetSpent: the network and its batch do not fit into memory; the message says which batch would.
        """
        try:
            return self._trained(training, self.settings)
        except (MemoryError, RuntimeError) as error:
            if not lacks_memory(error):
                raise
        # Tried outside of the handler, which would keep alive what the first try held.
        settings, one = self.settings, replace(training, budget=min(2, training.budget), tell=None)
        parameters = sum(parameter.numel() for parameter in self._network.parameters())
        raise too_large(
            settings.network.name,
            parameters,
            settings.batch,
            lambda batch: self._trained(one, replace(settings, batch=batch)),
        )

    def _trained(self, training: Training, settings: Settings) -> Trained:
        check_terms(training.budget, training.progress)
        cases = self._cases(training.cases)
        moments = self._take_up(training.weights, training.state)
        names = {parameter: name for name, parameter in self._network.named_parameters() if parameter.requires_grad}
        optimiser = optimiser_of(settings.optimiser, list(names))
        if settings.optimiser.moments == "carried":
            with_moments(optimiser, names, moments)
        loop = Loop(
            settings=settings,
            network=self._network,
            optimiser=optimiser,
            rates=LearningRates(settings.optimiser, max(1, training.budget), training.progress, training.until),
            batches=batches(settings, cases, seed=training.seed, transforms=self._transforms),
            device=self._device,
        )
        with seeded(training.seed, self._device), precise(deterministic=settings.deterministic):
            loss = loop.run(training.budget, training.tell or (lambda _: None))
        weights = self._shared(self._network)
        if not all(bool(torch.isfinite(tensor).all()) for tensor in weights.values() if tensor.is_floating_point()):
            raise ContractBroken(
                "training-diverged",
                f"Training diverged: after {training.budget} updates a weight is no longer a finite number.",
                "Lower the learning rate, or limit the gradient by clip_norm.",
            )
        return Trained(
            weights={name: _array(tensor) for name, tensor in weights.items()},
            metrics={} if math.isnan(loss) else {"loss": round(loss, 6)},
            cases=len(training.cases),
            state=self._state(optimiser, names),
        )

    def predict(
        self, weights: Weights, cases: ImageCases, state: bytes, tell: Callable[[int, int], None]
    ) -> Overlaps | Predictions:
        """Return what overlaps, or what is said of classes, patient by patient."""
        ready = self._cases(cases)
        found, truth = self._apply(weights, ready.images, state, tell), ready.truth.numpy()
        if self.settings.kind == SEGMENTATION:
            return overlaps(self.settings, truth, ready.patients, found)
        return classified(truth, ready.patients, found)

    def draw(
        self, weights: Weights, images: NDArray[np.float32], state: bytes, tell: Callable[[int, int], None]
    ) -> NDArray[Any]:
        """Return masks by the labels' numbers, or float64 probabilities [images, classes]."""
        found = self._apply(weights, prepared_images(self.settings, images), state, tell)
        if self.settings.kind != SEGMENTATION:
            return found
        numbers: NDArray[Any] = np.array(self.settings.classes, np.uint8)[found]
        return numbers

    def _apply(self, weights: Weights, images: Tensor, state: bytes, tell: Callable[[int, int], None]) -> NDArray[Any]:
        self._take_up(weights, state)
        self._network.eval()
        apply = drawn_places if self.settings.kind == SEGMENTATION else scores_of
        with precise(deterministic=self.settings.deterministic):
            return apply(self.settings, self._network, images, self._device, tell)

    def _cases(self, cases: ImageCases) -> Prepared:
        """Return cases as the network takes them; prepared once."""
        found = self._prepared.get(cases)
        if found is None:
            found = prepared(self.settings, cases, of_patients(cases))
            self._prepared[cases] = found
        return found

    def _shared(self, network: nn.Module) -> dict[str, Tensor]:
        """Return the tensors that leave the site."""
        return {name: tensor for name, tensor in network.state_dict().items() if name not in self._local}

    def _take_up(self, weights: Weights, state: bytes) -> dict[str, Tensor]:
        """Give the network its weights, and what stays at the site; return the moments."""
        kept = _unpacked(state)
        shared = self._shared(self._network)
        found = {name: np.shape(values) for name, values in weights.items()}
        wanted = {name: tuple(tensor.shape) for name, tensor in shared.items()}
        if found != wanted:
            differing = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
            name = differing[0]
            raise ContractBroken(
                "weights-shape",
                f"Tensor '{name}' is {found.get(name, 'missing')}, and {wanted.get(name, 'none')} in the network "
                f"'{self.settings.network.name}' ({len(differing)} differ).",
                "Start from a model of this very network.",
            )
        local = {name: kept[_LOCAL + name] for name in self._local if _LOCAL + name in kept}
        own = self._network.state_dict()
        if set(local) != self._local or any(own[name].shape != tensor.shape for name, tensor in local.items()):
            with seeded(0, torch.device("cpu")):  # lost, or there never was any: as in a new network
                fresh = self._make().state_dict()
            local = {name: fresh[name] for name in self._local}
        with torch.no_grad():
            for name, values in weights.items():
                own[name].copy_(torch.from_numpy(np.array(values)))
            for name, tensor in local.items():
                own[name].copy_(tensor)
        return {name.removeprefix(_MOMENT): tensor for name, tensor in kept.items() if name.startswith(_MOMENT)}

    def _state(self, optimiser: torch.optim.Optimizer, names: Mapping[nn.Parameter, str]) -> bytes:
        """Return what the site's next training begins with."""
        own = self._network.state_dict()
        kept = {_LOCAL + name: own[name].detach().cpu().contiguous() for name in sorted(self._local)}
        if self.settings.optimiser.moments == "carried":
            kept |= {_MOMENT + name: tensor for name, tensor in moments_of(optimiser, names).items()}
        return save(kept) if kept else b""


def _unpacked(state: bytes) -> dict[str, Tensor]:
    """Return the tensors of a state; none, if it is damaged: then a training begins as the first one did."""
    try:
        return load(state) if state else {}
    except SafetensorError:
        return {}


def _array(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().cpu().contiguous().numpy().copy()
    return array


def _check_tensors(network: nn.Module) -> None:
    for name, tensor in network.state_dict().items():
        if tensor.dtype in {torch.bfloat16, torch.complex64, torch.complex128} or tensor.is_quantized:
            raise Misuse(
                "network-dtype",
                f"The network's tensor '{name}' is of the kind {tensor.dtype}, which is not trained here.",
                "Make the network in float32; precision = 'mixed' computes in half where a GPU is.",
            )


def _json(value: Any) -> JSON:  # noqa: ANN401 - whatever a network takes
    """Return a parameter as it stands in a schema."""
    if isinstance(value, float):
        return decimal(value)
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value if isinstance(value, bool | int | str) or value is None else str(value)
