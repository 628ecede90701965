"""The pooled line: one model, trained on the cases of all sites together. Only a simulation can draw it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from imagiq.errors import ImagiqError
from imagiq.imaging.cases import ImageCases
from imagiq.learning import Begins, Cases, Learner, Training, Weights, begin
from imagiq.objects import digest_of
from imagiq.simulation.scenario import Scenario
from imagiq.site.sources import SiteCases

__all__ = ["PooledLine", "pooled_line", "pooled_model", "together"]


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


END_S = 10.0
"""So long a training that nobody waits for any more may take to end, once its workers are closed."""


class PooledLine:
    """The pooled model of a simulation; trained beside it, if the learner can train so.

    Args:
        learner: The task's learner.
        cases: The training cases of all sites.
        seed: The scenario's seed.
        steps: How many training commits all sites together may make.
        updates: How many optimiser updates one takes.
    """

    def __init__(self, learner: Learner, cases: Cases, *, seed: int, steps: int, updates: int) -> None:
        self.updates = steps * updates
        self.trouble = ""
        """Why there is no model; empty: there is, or nobody asked for it yet."""
        self.state = b""
        """What its trainings left, such as BatchNorm that is kept apart from the weights."""
        self._train: Callable[[], tuple[Weights, bytes]] = lambda: pooled_model(
            learner, cases, seed=seed, steps=steps, updates=updates
        )
        self._weights: Weights | None = None
        self._thread: threading.Thread | None = None
        if isinstance(learner, Begins):
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            self._weights, self.state = self._train()
        except ImagiqError as error:
            self.trouble = str(error)

    def end(self) -> None:
        """Wait until nothing trains any more; the learner is closed. A thread left behind would abort the process."""
        if self._thread is not None:
            self._thread.join(END_S)

    def weights(self) -> Weights | None:
        """Wait for the model and return it; None: its training failed."""
        if self._thread is not None:
            self._thread.join()
        elif self._weights is None and not self.trouble:
            self._run()
        return self._weights


def pooled_line(scenario: Scenario, cases: Mapping[str, SiteCases], learner: Learner) -> PooledLine | None:
    """Return the pooled line of a scenario; None if the cases of its sites cannot be put together.

    It takes as many steps as all sites together make in the longest study.
    """
    joined = together([cases[site.name].training for site in scenario.sites])
    if joined is None:
        return None
    largest = max(scenario.studies, key=lambda study: study.steps * study.updates)
    steps = largest.steps * len(scenario.sites)
    return PooledLine(learner, joined, seed=scenario.seed, steps=steps, updates=largest.updates)


def pooled_model(
    learner: Learner,
    cases: Cases,
    *,
    seed: int,
    steps: int,
    updates: int,
    watch: Callable[[int, Weights], None] = lambda _, __: None,
) -> tuple[Weights, bytes]:
    """Train on the cases of all sites; return the model, and what its training left beside it.

    Args:
        learner: The task's learner.
        cases: The training cases of all sites.
        seed: The scenario's seed: training starts from the model that the studies start from.
        steps: How many training commits all sites together may make.
        updates: How many optimiser updates one takes.
        watch: Called after each step with its number, from 1, and the model.
    """
    weights, state = learner.initial(seed).weights, b""
    for step in range(steps):
        drawn = int(digest_of(f"imagiq pooled seed\n{seed}\n{step}".encode())[:12], 16)
        training = Training(
            weights=weights,
            cases=cases,
            budget=updates,
            seed=drawn,
            progress=step / steps,
            until=(step + 1) / steps,
            state=state,
        )
        trained = begin(learner, training).result()
        weights, state = trained.weights, trained.state
        watch(step + 1, weights)
    return weights, state
