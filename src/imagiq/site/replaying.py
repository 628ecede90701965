"""Replaying: this site's own training, done again from what was recorded, and compared to the bit.

A merge needs no replay: whoever holds its parents recomputes it, see :mod:`imagiq.bench.verify`. A training needs the site's
cases, so only the site itself can do it again: from the base and the recipe that its commit names, with what its training
before left here, and with what its journal says of how far the study would be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from imagiq.federation import Step, Study, Train
from imagiq.learning import Learner, close
from imagiq.merging import blobs_of
from imagiq.objects import JSON, Digest, Tree, digest_of, parse_decimal
from imagiq.site.attempts import Attempts
from imagiq.site.session import Session
from imagiq.site.work import STATE, begin_training

__all__ = ["SAME", "Replayed", "replay"]

SAME: Final = "same"
Finding = Literal["same", "differs", "forgotten", "not recorded"]


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What came of a training that was done again.

    Attributes:
        commit: The training commit.
        step: Which of this site's it is, from 1.
        finding: ``same``: the same model, to the bit; ``differs``: another one; ``forgotten``: what it began with is not
            here any more; ``not recorded``: another one, but an older imagiq trained it and did not write all down.
    """

    commit: Digest
    step: int
    finding: Finding


def replay(session: Session, study: Study) -> Iterator[Replayed]:
    """Do all trainings of this site in a study again, the first one first; nothing is written.

    Raises:
        ContractBroken: the learner failed, or the cases are not those that the task is about.
        Unsupported: what trains is not installed.
    """
    bench = session.bench
    attempts = Attempts(bench.store, bench.store.journal.read())
    learner = session.learner_of(study.task)
    try:
        before: Step | None = None
        for number, step in enumerate(bench.studies[study.digest].trainings(session.name), start=1):
            until = attempts.until(step.commit.action)
            finding = _again(session, study, learner, step, before, until)
            yield Replayed(
                commit=step.digest,
                step=number,
                finding="not recorded" if finding == "differs" and until is None else finding,
            )
            before = step
    finally:
        close(learner)


def _again(
    session: Session, study: Study, learner: Learner, step: Step, before: Step | None, until: float | None
) -> Finding:
    bench, recipe = session.bench, step.commit.recipe
    is_here = step.base in bench.models.complete and (before is None or before.digest not in bench.models.forgotten)
    if step.base is None or not is_here:
        return "forgotten"
    work = Train(base=step.base, step=_number(recipe.parameters), progress=_progress(recipe.parameters), until=until)
    state = b"" if before is None else bench.store.sidecar_read(before.digest, STATE) or b""
    pending = begin_training(
        work,
        study=study,
        recipe=recipe,
        bench=bench,
        learner=learner,
        training=session.read_cases().training,
        state=state,
    )
    schema = bench.models.schema(bench.models.tree(step.commit.tree or Digest("")).schema)
    blobs = tuple(map(digest_of, blobs_of(schema, pending.result().weights)))
    return SAME if Tree(schema.digest, blobs).digest == step.commit.tree else "differs"


def _number(parameters: Mapping[str, JSON]) -> int:
    step = parameters.get("step")
    return step if isinstance(step, int) else 0


def _progress(parameters: Mapping[str, JSON]) -> float:
    return parse_decimal(str(parameters.get("progress")), "A training's progress")
