"""Retention: which models of a study may be forgotten, by the charter's rule. Pure; commits are never forgotten.

The charter says how many models are kept: of each site, kind (trained, merged) and study, the newest so many that can be
inputs, in causal order. What lies before them is *past*, and any member may forget its model. Evidence is never past,
nor is the study's first model. What a merge was made from that is not past is kept with it, so that it can be recomputed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from imagiq.errors import Refused
from imagiq.federation.standing import State
from imagiq.federation.steps import Step, StudyHistory
from imagiq.objects import JSON, Digest

__all__ = ["RULE", "Retention", "forgettable", "retention_in"]

RULE = "retention"
"""What the rule is called in a charter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How much is kept. ``models``: of each site, kind and study, the newest so many models; at least 1."""

    models: int

    def is_past(self, steps: StudyHistory, step: Step) -> bool:
        """Tell whether a step lies before all that is kept of its site and kind."""
        first = self._first_kept(steps, step.site, step.kind)
        return first is not None and step.order < first

    def _first_kept(self, steps: StudyHistory, site: str, kind: str) -> tuple[int, Digest] | None:
        """Return from where on a site's steps of one kind are kept; None: all are."""
        if kind == "start":
            return None
        found = steps.trainings(site) if kind == "train" else steps.merges_by(site)
        return found[-self.models].order if len(found) >= self.models else None

    def past(self, steps: StudyHistory) -> list[Step]:
        """Return all steps that :meth:`is_past` says are, each after those that it stands on."""
        firsts = {
            (site, kind): self._first_kept(steps, site, kind)
            for site in steps.study.sites
            for kind in ("train", "merge")
        }
        found = []
        for step in steps:
            first = firsts.get((step.site, step.kind))
            if first is not None and step.order < first:
                found.append(step)
        return found


def retention_in(rules: Mapping[str, JSON]) -> Retention | None:
    """Return what a charter's rules say of retention; None: everything is kept.

    Raises:
        Refused: what they say cannot be read: then nothing may be forgotten.
    """
    rule = rules.get(RULE)
    if rule is None and RULE not in rules:
        return None
    models = rule.get("models") if isinstance(rule, Mapping) and set(rule) == {"models"} else None
    if isinstance(models, int) and not isinstance(models, bool) and models > 0:
        return Retention(models=models)
    raise Refused(
        "charter-retention",
        "What the charter says of 'retention' cannot be read, so nothing may be forgotten.",
        "Propose a charter with `retention = { models = 50 }`, or without the rule; or upgrade imagiq.",
    )


def forgettable(
    steps: StudyHistory, retention: Retention, state: Callable[[Digest], State], pinned: AbstractSet[Digest]
) -> list[Step]:
    """Return the steps of a study whose models may be forgotten, each after those that it stands on.

    Args:
        steps: The study's models.
        retention: The charter's rule.
        state: The state of each commit: what is contested is evidence, and a charter may still let it stand.
        pinned: The commits whose models are needed all the same. Of a merge, that goes for its inputs too.
    """
    evidence = State.CONTESTED
    past = [s for s in retention.past(steps) if s.digest not in pinned and state(s.digest) is not evidence]
    going = {step.digest for step in past}
    needed = {digest for step in steps if step.kind == "merge" and step.digest not in going for digest in step.inputs}
    return [step for step in past if step.digest not in needed]
