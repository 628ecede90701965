"""Losses, as sums and products that give the same bits at each run on every device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from imagiq.learning.settings import LossSettings

__all__ = ["loss_of"]

SMOOTH: Final = 1e-5
"""Added to numerator and denominator of Dice, so that it is defined where neither truth nor model draws anything."""


def loss_of(settings: LossSettings) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss: of scores [images, classes, *space] and true classes [images, *space], a single number."""

    def loss(scores: Tensor, truth: Tensor) -> Tensor:
        log_parts = functional.log_softmax(scores, dim=1)
        true = functional.one_hot(truth.long(), scores.shape[1]).movedim(-1, 1).to(scores.dtype)
        parts = []
        if "dice" in settings.name:
            parts.append(_dice(log_parts.exp(), true, settings))
        if "ce" in settings.name.split("+"):
            parts.append(-(true * log_parts).sum(dim=1).mean())
        if "focal" in settings.name:
            log_right = (true * log_parts).sum(dim=1)
            parts.append(-((1.0 - log_right.exp()) ** settings.focus * log_right).mean())
        return torch.stack(parts).sum()

    return loss


def _dice(drawn: Tensor, true: Tensor, settings: LossSettings) -> Tensor:
    """Return 1 minus the soft Dice coefficient, the mean over labels, and over images unless a batch is one.

    As MONAI's DiceLoss: numerator and denominator are smoothed by 1e-5.
    """
    if not settings.background:
        drawn, true = drawn[:, 1:], true[:, 1:]
    axes = [0] if settings.whole_batch else []
    axes += list(range(2, drawn.ndim))
    common = (drawn * true).sum(dim=axes)
    both = drawn.sum(dim=axes) + true.sum(dim=axes)
    return (1.0 - (2.0 * common + SMOOTH) / (both + SMOOTH)).mean()
