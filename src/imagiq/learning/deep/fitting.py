"""What would fit into memory where a network with its batch did not: found by trying."""

from __future__ import annotations

import gc
from collections.abc import Callable

import torch

from imagiq.errors import BudgetSpent
from imagiq.learning.deep.machine import lacks_memory

__all__ = ["too_large"]


def too_large(name: str, parameters: int, batch: int, update: Callable[[int], object]) -> BudgetSpent:
    """Return the error that a network and its batch do not fit into memory, with the batch that would.

    Args:
        name: The network.
        parameters: How many numbers are trained.
        batch: The batch that did not fit.
        update: Makes two updates with a batch of some size: the second finds the moments that the first left.
    """
    fits = _largest(batch // 2, update)
    what = f"The network '{name}', {parameters:,} parameters, does not fit into the memory that a worker may use"
    if fits:
        advice = f"batch = {fits} would fit. So may a smaller patch, fewer workers, or more memory for each."
        return BudgetSpent("worker-memory", f"{what} with a batch of {batch}.", advice)
    advice = "A smaller patch or a smaller network helps, or fewer workers, or more memory for each."
    one = "not even with a batch of 1" if batch > 1 else "with a batch of 1"
    return BudgetSpent("worker-memory", f"{what}, {one}.", advice)


def _largest(batch: int, update: Callable[[int], object]) -> int:
    """Return the largest of a batch, its half, its quarter, ... that fits; 0: none does."""
    while batch >= 1:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            update(batch)
        except (MemoryError, RuntimeError) as error:
            if not lacks_memory(error):
                return 0
            batch //= 2
        else:
            return batch
    return 0
