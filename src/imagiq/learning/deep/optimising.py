"""Optimisers, their moments from one training to the next, and learning rates that follow the study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from imagiq.learning.settings import OptimiserSettings

__all__ = ["LearningRates", "moments_of", "optimiser_of", "with_moments"]

POLY_EXPONENT: Final = 0.9


def optimiser_of(settings: OptimiserSettings, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """Return an optimiser that has no moments yet."""
    if settings.name == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            fused=True,
        )
    return torch.optim.AdamW(
        parameters,
        lr=settings.learning_rate,
        betas=(settings.momentum, settings.second_momentum),
        weight_decay=settings.weight_decay,
        fused=True,
    )


def moments_of(optimiser: torch.optim.Optimizer, names: Mapping[nn.Parameter, str]) -> dict[str, Tensor]:
    """Return the moments as tensors: name of the parameter, a slash, what the optimiser calls it."""
    return {
        f"{name}/{key}": value.detach().cpu().contiguous()
        for parameter, name in names.items()
        for key, value in sorted(optimiser.state.get(parameter, {}).items())
        if isinstance(value, Tensor)
    }


def with_moments(
    optimiser: torch.optim.Optimizer, names: Mapping[nn.Parameter, str], moments: Mapping[str, Tensor]
) -> bool:
    """Give an optimiser the moments that it had at the end of an earlier training.

    Returns:
        False if they are not those of this optimiser and these parameters; then it has none.
    """
    wanted = {"step", "exp_avg", "exp_avg_sq"} if isinstance(optimiser, torch.optim.AdamW) else {"momentum_buffer"}
    if set(moments) != {f"{name}/{key}" for name in names.values() for key in wanted}:
        return False
    for parameter, name in names.items():
        for key in wanted - {"step"}:
            if moments[f"{name}/{key}"].shape != parameter.shape:
                return False
    for parameter, name in names.items():
        # A fused optimiser goes through the bytes, so moments must lie in memory as their parameter does.
        state = {key: torch.empty_like(parameter).copy_(moments[f"{name}/{key}"]) for key in sorted(wanted - {"step"})}
        if "step" in wanted:
            state["step"] = moments[f"{name}/step"].to(device=parameter.device, copy=True)
        optimiser.state[parameter] = state
    return True


class LearningRates:
    """The learning rate at each update of a training.

    Along a study it follows the study's progress: at update i of n it is that of progress + (until - progress) i / n.
    Where nobody knows how far the study will be, it stays that of the beginning.

    Args:
        settings: The schedule.
        budget: Updates of this training.
        progress: The study's progress at its beginning.
        until: The study's progress at its end, if known.
    """

    def __init__(self, settings: OptimiserSettings, budget: int, progress: float, until: float | None) -> None:
        self._settings = settings
        self._budget = budget
        if settings.over == "step":
            progress, until = 0.0, 1.0
        self._from = progress
        self._to = progress if until is None else max(progress, until)

    def __getitem__(self, update: int) -> float:
        """Return the learning rate of an update, counted from 0."""
        place = min(1.0, self._from + (self._to - self._from) * update / self._budget)
        part = 1.0
        if self._settings.schedule == "cosine":
            part = 0.5 + 0.5 * math.cos(math.pi * place)
        elif self._settings.schedule == "poly":
            part = math.pow(1.0 - place, POLY_EXPONENT)
        return self._settings.learning_rate * part
