"""The learners of a simulation: each task's is made once, and its workers end with the simulation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from imagiq.federation import Named
from imagiq.learning import Learner, Resources, close, find, own_parameters

__all__ = ["Learners", "MadeLearners"]

Learners = Mapping[str, "Learner | Callable[..., Learner]"]
"""Own learners by name: one that is ready, or a callable that takes the task's parameters as keywords."""


class MadeLearners:
    """Makes the learner that a task names, once.

    Args:
        own: Learners beside those that are installed. One that is ready stays its owner's to close.
        resources: What learners may use of this machine.
    """

    def __init__(self, own: Learners, resources: Resources) -> None:
        self._own = own
        self._resources = resources
        self._ready: dict[str, Learner] = {}
        self._made: list[Learner] = []

    def __call__(self, task: Named) -> Learner:
        """Return the learner of a task."""
        if task.name not in self._ready:
            given = self._own.get(task.name)
            if given is None:
                self._made.append(find(task.name, task.parameters, self._resources))
                self._ready[task.name] = self._made[-1]
            elif callable(given):
                local = {"resources": self._resources} if "resources" in inspect.signature(given).parameters else {}
                self._made.append(given(**own_parameters(task.parameters), **local))
                self._ready[task.name] = self._made[-1]
            else:
                self._ready[task.name] = given
        return self._ready[task.name]

    def close(self) -> None:
        """End the workers of the learners that were made here."""
        for learner in self._made:
            close(learner)
