"""The training loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from imagiq.errors import ContractBroken
from imagiq.learning import Advance
from imagiq.learning.deep.losses import loss_of
from imagiq.learning.deep.optimising import LearningRates
from imagiq.learning.settings import Settings

__all__ = ["Loop", "check_output"]

LAST: Final = 10
"""The loss that is reported is the mean over so many updates at the end."""


@dataclass(frozen=True, kw_only=True)
class Loop:
    """One training, made ready.

    Attributes:
        settings: How.
        network: What is trained, in place.
        optimiser: Of its parameters.
        rates: The learning rate at each update.
        batches: What it is trained on.
        device: Where.
    """

    settings: Settings
    network: nn.Module
    optimiser: torch.optim.Optimizer
    rates: LearningRates
    batches: Iterator[tuple[Tensor, Tensor]]
    device: torch.device

    def run(self, budget: int, tell: Callable[[Advance], None]) -> float:
        """Train.

        Returns:
            The mean loss of the last ten updates; NaN if there were none.

        Raises:
            ContractBroken: the loss is not a finite number any more, or the network's output has a wrong shape.
        """
        settings, parameters = self.settings.optimiser, self._parameters()
        loss_of_batch = loss_of(self.settings.loss)
        anchors = [parameter.detach().clone() for parameter in parameters] if settings.proximal_mu else []
        scaler = torch.amp.GradScaler(self.device.type, enabled=self._mixed() is torch.float16)
        losses: list[float] = []
        self.network.train()
        for update in range(budget):
            images, truth = (tensor.to(self.device, non_blocking=True) for tensor in next(self.batches))
            for group in self.optimiser.param_groups:
                group["lr"] = self.rates[update]
            self.optimiser.zero_grad(set_to_none=True)
            with self._precision():
                scores = self.network(images)
            if update == 0:
                check_output(self.settings, scores, truth)
            loss = loss_of_batch(scores.float(), truth)
            told = loss.item()
            if not math.isfinite(told):
                raise _diverged(update)
            if anchors:
                loss = loss + _distance(parameters, anchors) * (settings.proximal_mu / 2.0)
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            if settings.clip_norm:
                scaler.unscale_(self.optimiser)
                nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
            scaler.step(self.optimiser)
            scaler.update()
            losses.append(told)
            tell(Advance(done=update + 1, budget=budget, loss=told))
        last = losses[-LAST:]
        return math.fsum(last) / len(last) if last else math.nan

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.optimiser.param_groups for parameter in group["params"]]

    def _mixed(self) -> torch.dtype | None:
        if self.settings.optimiser.precision == "full" or self.device.type != "cuda":
            return None
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16

    def _precision(self) -> AbstractContextManager[object]:
        dtype = self._mixed()
        return nullcontext() if dtype is None else torch.autocast(self.device.type, dtype)


def _distance(parameters: Sequence[Tensor], anchors: Sequence[Tensor]) -> Tensor:
    squares = [((now - then) ** 2).sum() for now, then in zip(parameters, anchors, strict=True)]
    return torch.stack(squares).sum()


def check_output(settings: Settings, scores: object, truth: Tensor) -> None:
    """Check what a network gives for a batch.

    Raises:
        ContractBroken: it is not one score for each class, pixel by pixel where there are masks.
    """
    wanted = [len(truth), len(settings.classes), *truth.shape[1:]]
    found = list(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
    if found != wanted:
        raise ContractBroken(
            "network-output",
            f"The network '{settings.network.name}' gives {found} for a batch of truth {list(truth.shape)}; "
            f"it should be {wanted}.",
            "Set its parameters so that it gives one score for each class, at the size of the image.",
        )


def _diverged(update: int) -> ContractBroken:
    return ContractBroken(
        "training-diverged",
        f"Training diverged: at update {update + 1} the loss is not a finite number any more.",
        "Lower the learning rate, or limit the gradient by clip_norm.",
    )
