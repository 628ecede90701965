"""What a site does when it acts: train, merge or evaluate, from models in its store to a model in its store.

A learner is a plugin: whatever it raises ends here, as an error without any value of a case in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from imagiq.bench import Bench
from imagiq.errors import ContractBroken, ImagiqError, Refused
from imagiq.federation import Evaluate, Merge, Study, Train, Work
from imagiq.learning import Advance, Cases, Learner, Pending, Training, begin, predict
from imagiq.merging import Input, blobs_of, weighted_mean, weights_of
from imagiq.objects import Digest, Recipe, Schema, Tree, decimal
from imagiq.site.judging import SCORES, marks_of, scores_of
from imagiq.site.sources import SiteCases

__all__ = ["STATE", "Result", "begin_training", "perform"]

STATE = "state"
"""The sidecar of a training commit: what the site's next training in the study begins with."""

Told = TypeVar("Told")
Aside: TypeAlias = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What an action gave; durable, but not yet a commit.

    Attributes:
        tree: The model, if it made one.
        metrics: What was measured.
        cases: How many cases were used, if any.
        sidecar: What stays at the site.
    """

    tree: Tree | None = None
    metrics: Mapping[str, str | int] = field(default_factory=dict)
    cases: int | None = None
    sidecar: Mapping[str, bytes] = field(default_factory=dict)


def begin_training(
    work: Train,
    *,
    study: Study,
    recipe: Recipe,
    bench: Bench,
    learner: Learner,
    training: Cases,
    state: bytes = b"",
    tell: Callable[[Advance], None] | None = None,
) -> Pending:
    """Begin a training; a learner that can trains beside this process.

    Args:
        work: What to do; its base is complete.
        study: The study's terms.
        recipe: The recipe of the commit to come.
        bench: Where the base is.
        learner: Trains.
        training: The site's training cases.
        state: What the site's last training in the study left.
        tell: Called with how far it is.

    Raises:
        ContractBroken: the learner failed.
    """
    schema, tree = _model(bench, work.base)
    given = Training(
        weights=weights_of(schema, tree, bench.store.read),
        cases=training,
        budget=study.updates,
        seed=recipe.seed or 0,
        progress=work.progress,
        until=work.until,
        state=state,
        tell=tell,
    )
    return _guarded(lambda: begin(learner, given))


def perform(
    work: Work,
    *,
    study: Study,
    recipe: Recipe,
    bench: Bench,
    learner: Learner,
    cases: Callable[[], SiteCases],
    state: bytes = b"",
    pending: Pending | None = None,
    aside: Aside = nullcontext,
) -> Result:
    """Do the work.

    Args:
        work: What to do; its parents are complete.
        study: The study's terms.
        recipe: The recipe of the commit to come.
        bench: Where the models are, and where the new one goes.
        learner: Trains and predicts.
        cases: Reads the site's cases.
        state: What the site's last training in the study left.
        pending: The training, if it was begun before.
        aside: Entered while the learner works, or models are merged: nobody else needs to wait for that.

    Raises:
        ContractBroken: the learner failed or gave what is no model of the study.
        Refused: the result is not finite, or the cases are empty.
    """
    if isinstance(work, Train):
        if pending is None:
            pending = begin_training(
                work, study=study, recipe=recipe, bench=bench, learner=learner, training=cases().training, state=state
            )
        return _train(work, bench, pending, aside)
    if isinstance(work, Merge):
        return _merge(work, bench, aside)
    return _evaluate(work, bench, learner, cases().held_back, state, aside)


def _model(bench: Bench, commit: Digest) -> tuple[Schema, Tree]:
    name = bench.history[commit].commit.tree
    if name is None:
        raise Refused("work-no-model", f"Commit {commit[:12]} holds no model.", "Correct the strategy.")
    tree = bench.models.tree(name)
    return bench.models.schema(tree.schema), tree


def _train(work: Train, bench: Bench, pending: Pending, aside: Aside) -> Result:
    schema, _ = _model(bench, work.base)
    with aside():
        trained = _guarded(pending.result)
    kept = bench.models.keep(schema, blobs_of(schema, trained.weights))
    bench.checks.gate(schema, kept, bench.store.read)
    sidecar = {STATE: trained.state} if trained.state else {}
    return Result(tree=kept, metrics=_recorded(trained.metrics), cases=trained.cases, sidecar=sidecar)


def _merge(work: Merge, bench: Bench, aside: Aside) -> Result:
    models = [(_model(bench, commit), weight) for commit, weight in work.inputs]
    schema = models[0][0][0]
    inputs = [Input(tree, weight) for (_, tree), weight in models]
    with aside():
        return Result(tree=bench.models.keep(schema, weighted_mean(schema, inputs, bench.store.read)))


def _evaluate(work: Evaluate, bench: Bench, learner: Learner, cases: Cases, state: bytes, aside: Aside) -> Result:
    schema, tree = _model(bench, work.model)
    weights = weights_of(schema, tree, bench.store.read)
    with aside():
        said = _guarded(lambda: predict(learner, weights, cases, state))
    marks = marks_of(said)
    return Result(metrics=_recorded(marks.points()), cases=marks.patients, sidecar={SCORES: scores_of(said)})


def _recorded(metrics: Mapping[str, float]) -> dict[str, str | int]:
    """Return metrics as they are recorded; what is undefined is left out."""
    finite = {name: float(value) for name, value in metrics.items() if abs(float(value)) < float("inf")}
    return {name: decimal(value) for name, value in sorted(finite.items())}


def _guarded(call: Callable[[], Told]) -> Told:
    try:
        return call()
    except ImagiqError:
        raise
    except Exception as error:  # the edge to plugins: whatever a learner raises must not stop the site
        raise ContractBroken(
            "learner-failed",
            f"The learner stopped with {type(error).__name__}.",
            "Run it by itself on the same cases to see where.",
        ) from error
