"""The pooled line: one model, trained on the cases of all sites together. Only a simulation can draw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from imagiq.imaging.cases import ImageCases
from imagiq.learning import Cases, Learner, Weights
from imagiq.objects import digest_of

__all__ = ["pooled_model", "together"]


def together(parts: Sequence[Cases]) -> Cases | None:
    """Return the cases of all sites as one set; None if these cannot be put together.

    Lists and tuples, arrays, images, and dataclasses of arrays whose first axis are the cases can.
    """
    first = parts[0]
    if isinstance(first, ImageCases):
        return _images([part for part in parts if isinstance(part, ImageCases)])
    if any(type(part) is not type(first) for part in parts):
        return None
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    if isinstance(first, list | tuple) and type(first) in {list, tuple}:
        return type(first)(case for part in parts for case in part)
    return _columns(parts) if is_dataclass(first) and not isinstance(first, type) else None


def _columns(parts: Sequence[Any]) -> Cases | None:
    columns: dict[str, Any] = {each.name: [getattr(part, each.name) for part in parts] for each in fields(parts[0])}
    if not all(
        isinstance(values, np.ndarray) and values.ndim > 0 and len(values) == len(part)
        for column in columns.values()
        for part, values in zip(parts, column, strict=True)
    ):
        return None
    return replace(parts[0], **{name: np.concatenate(column) for name, column in columns.items()})


def _images(parts: Sequence[ImageCases]) -> ImageCases | None:
    """Return images as one set, patients of equal name at two sites as two; None if they are of different kinds."""
    first = parts[0]
    kinds = {(part.channels, tuple(part.labels.items()), part.images.shape[1:], part.truth.ndim) for part in parts}
    if len(kinds) > 1:
        return None
    names = [f"{place}/{patient}" for place, part in enumerate(parts) for patient in part.patients.tolist()]
    return replace(
        first,
        images=np.concatenate([part.images for part in parts]),
        truth=np.concatenate([part.truth for part in parts]),
        patients=np.array(names, dtype=np.str_),
    )


def pooled_model(learner: Learner, cases: Cases, *, seed: int, steps: int, updates: int) -> Weights:
    """Train on the cases of all sites.

    Args:
        learner: The task's learner.
        cases: The training cases of all sites.
        seed: The scenario's seed: training starts from the model that the studies start from.
        steps: How many training commits all sites together may make.
        updates: How many optimiser updates one takes.
    """
    weights = learner.initial(seed).weights
    for step in range(steps):
        drawn = int(digest_of(f"imagiq pooled seed\n{seed}\n{step}".encode())[:12], 16)
        weights = learner.train(weights, cases, budget=updates, seed=drawn, progress=step / steps).weights
    return weights
