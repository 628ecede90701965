"""A model that a repository holds, with what applies it: both follow from its commit.

The task of its study names the learner. Networks run in a worker; nothing here loads PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from imagiq.bench import Bench
from imagiq.bench.reading import HeldModel, checked_read, held_model
from imagiq.errors import NotFound
from imagiq.federation import Study
from imagiq.history import Entry
from imagiq.learning import Learner, Resources, Weights, close, find
from imagiq.merging import weights_of
from imagiq.objects import Schema
from imagiq.site.work import STATE

__all__ = ["Ready", "ready"]

LOCAL = "local"


@dataclass(frozen=True, eq=False)
class Ready:
    """A model, ready to be applied.

    Attributes:
        entry: Its commit.
        schema: What it takes and gives.
        weights: Its tensors.
        learner: Applies it.
        state: What this site keeps for it; empty: nothing.
        warnings: What is to be known of what it says here.
    """

    entry: Entry
    schema: Schema
    weights: Weights
    learner: Learner
    state: bytes
    warnings: tuple[str, ...]


@contextmanager
def ready(bench: Bench, entry: Entry, learner: Learner | None, resources: Resources | None) -> Iterator[Ready]:
    """Give a commit's model with what applies it; end the workers that were started for that.

    Args:
        bench: Where the model is.
        entry: Its commit.
        learner: Applies it; None: the one that its study's task names.
        resources: What that may use of this machine.

    Raises:
        NotFound: there is no model, or no study that says what applies it.
        Unsupported: what applies it is not installed.
    """
    held = held_model(bench, entry)
    study = _study(bench, entry, held)
    made = None
    if learner is None:
        if study is None:
            raise NotFound(
                "model-no-task",
                f"Commit {entry.digest[:12]} belongs to no study here, and no study has models like it: nothing says "
                "what applies it.",
                "Sync to get its study; or, from Python, hand in the learner.",
            )
        learner = made = find(study.task.name, study.task.parameters, resources or Resources())
    state, warnings = _state(bench, study, held.schema)
    weights = weights_of(held.schema, held.tree, checked_read(bench.store))
    try:
        yield Ready(entry, held.schema, weights, learner, state, warnings)
    finally:
        if made is not None:
            close(made)


def _study(bench: Bench, entry: Entry, held: HeldModel) -> Study | None:
    """Return the study whose task a model is of: its own, or else one whose models have the same schema."""
    for digest in (entry.commit.study, entry.digest):
        if digest is not None and digest in bench.studies:
            return bench.studies[digest].study
    for digest in sorted(bench.studies):
        tree = bench.history[digest].commit.tree
        if tree is not None and bench.store.has(tree) and bench.models.tree(tree).schema == held.schema.digest:
            return bench.studies[digest].study
    return None


def _state(bench: Bench, study: Study | None, schema: Schema) -> tuple[bytes, tuple[str, ...]]:
    """Return what this site keeps for a study's models, and what is to be said if they need it and it is not here."""
    if schema.architecture.get("batch_norm") != LOCAL:
        return b"", ()
    steps = None if study is None else bench.studies[study.digest]
    for site in () if steps is None else steps.study.sites:
        trained = steps.trainings(site) if steps is not None else ()
        if trained and (kept := bench.store.sidecar_read(trained[-1].digest, STATE)):
            return kept, ()
    return b"", (
        "This network's BatchNorm stays at each site, and none is here: what it says may be far from what it says there.",
    )
