"""Applying a network: masks of images, or probabilities of classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imagiq.errors import ContractBroken
from imagiq.learning.deep.training import check_output
from imagiq.learning.settings import Settings

__all__ = ["drawn_places", "scores_of"]


def drawn_places(
    settings: Settings, network: nn.Module, images: Tensor, device: torch.device, tell: Callable[[int, int], None]
) -> NDArray[np.uint8]:
    """Return the masks that a network draws, as places in :attr:`Settings.classes`: [images, *space].

    Args:
        settings: How large batches are, and whether windows slide.
        network: In evaluation mode, on the device.
        images: Prepared images.
        device: Where to compute.
        tell: Called with how many images are done, of how many.
    """
    drawn = np.empty((images.shape[0], *images.shape[2:]), np.uint8)
    with torch.inference_mode():
        for start in range(0, len(images), settings.batch):
            batch = images[start : start + settings.batch].to(device)
            scores = _windows(settings, network, batch) if settings.patch.size else network(batch)
            if start == 0:
                check_output(settings, scores, torch.empty((len(batch), *batch.shape[2:]), device="meta"))
            if not bool(torch.isfinite(scores).all()):
                raise _not_finite()
            drawn[start : start + len(batch)] = scores.argmax(dim=1).to(torch.uint8).cpu().numpy()
            tell(start + len(batch), len(images))
    return drawn


def _windows(settings: Settings, network: nn.Module, batch: Tensor) -> Tensor:
    """Slide a window of the patches' size over images; where windows overlap, their middles count most."""
    from monai.inferers.utils import sliding_window_inference  # noqa: PLC0415 - slow to load, and only volumes need it

    scores = sliding_window_inference(
        batch, settings.patch.size, settings.batch, network, overlap=settings.patch.overlap, mode="gaussian"
    )
    return cast("Tensor", scores)


def scores_of(
    settings: Settings, network: nn.Module, images: Tensor, device: torch.device, tell: Callable[[int, int], None]
) -> NDArray[np.float64]:
    """Return the probability of each class for each image: [images, classes]."""
    found = np.empty((len(images), len(settings.classes)), np.float64)
    with torch.inference_mode():
        for start in range(0, len(images), settings.batch):
            batch = images[start : start + settings.batch].to(device)
            scores = network(batch)
            if start == 0:
                check_output(settings, scores, torch.empty(len(batch), device="meta"))
            if not bool(torch.isfinite(scores).all()):
                raise _not_finite()
            found[start : start + len(batch)] = scores.double().softmax(dim=1).cpu().numpy()
            tell(start + len(batch), len(images))
    return found


def _not_finite() -> ContractBroken:
    return ContractBroken(
        "predictions-not-finite",
        "The network gives scores that are NaN or infinite.",
        "Look at the model; its training may have diverged.",
    )
