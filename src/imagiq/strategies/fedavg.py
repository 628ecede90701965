"""FedAvg: rounds with a server role (McMahan et al. 2017).

Each site trains from the newest round; the site with the server role merges when all have, or, past the deadline, when
the quorum has. A server is only a role in the study's terms: it is a site like others, and everybody can recompute what
it merges.

A merge of round r is valid if its base is the study's start (r = 1) or a valid merge of round r - 1, and if sites of at
least the quorum gave one training commit each that was trained from that base. Chosen is the valid merge of the highest
round; among equals more sites, then the lower digest. A training commit that its round's merge left out is late: it is an
extra input of the next merge, once, and not counted for the quorum. The weight of an input is its number of cases.

Parameters: ``server`` (a site's name; absent: the first), ``quorum`` (number of sites; absent: all), ``deadline_s`` (an
integer: how long after the quorum was there the server still waits for more; absent: for all).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imagiq.federation import Action, Finished, Merge, Step, Train, View, Wait

__all__ = ["Round", "decide"]


@dataclass(frozen=True, slots=True)
class Round:
    """A valid merge, or the study's start, which is round 0.

    Attributes:
        number: The round.
        model: The merge.
        sites: How many sites gave what it merges.
    """

    number: int
    model: Step
    sites: int

    @property
    def rank(self) -> tuple[int, int, int]:
        """The higher, the sooner it is chosen."""
        return (self.number, self.sites, -int(self.model.digest, 16))


def decide(view: View, me: str) -> Action:
    """Train from the newest round, or merge it when it is my role."""
    current = _chosen(view)
    if current.number == view.study.steps:
        return Finished(model=current.model.digest)
    trained = {step.site: step for step in reversed(list(view.trainings_from(current.model)))}
    if me not in trained:
        return Train(
            base=current.model.digest,
            step=current.number + 1,
            progress=current.number / view.study.steps,
        )
    if me != _server(view):
        return Wait(why=f"round {current.number + 1}")
    return _merge(view, current, [trained[site] for site in sorted(trained)])


def _merge(view: View, current: Round, trained: Sequence[Step]) -> Action:
    present = [step for step in trained if step.site in view.sites]
    quorum = _quorum(view)
    if len(present) < quorum:
        return Wait(why=f"{quorum - len(present)} more sites")
    if len(present) < len(view.sites):
        deadline_s = view.study.strategy.parameters.get("deadline_s")
        if not isinstance(deadline_s, int):
            return Wait(why=f"{len(view.sites) - len(present)} more sites")
        over_s = sorted(view.seen_s(step) for step in present)[quorum - 1] + deadline_s
        if view.now_s < over_s:
            return Wait(why="the deadline of the round", until_s=over_s)
    inputs = [*present, *_late(view, current)]
    return Merge(
        base=current.model.digest,
        inputs=tuple(sorted((step.digest, step.commit.cases or 1) for step in inputs)),
    )


def _server(view: View) -> str:
    named = view.study.strategy.parameters.get("server")
    return named if isinstance(named, str) and named in view.sites else view.sites[0]


def _quorum(view: View) -> int:
    asked = view.study.strategy.parameters.get("quorum")
    return min(asked, len(view.study.sites)) if isinstance(asked, int) and asked > 0 else len(view.sites)


def _chosen(view: View) -> Round:
    rounds = view.remember(("rounds", _quorum(view)), lambda: _valid_rounds(view))
    usable = (found for found in rounds if view.usable(found.model))
    return max(usable, key=lambda found: found.rank, default=Round(0, view.start, 0))


def _valid_rounds(view: View) -> list[Round]:
    """Return all valid merges known, whether their blobs are here or not; bases come before what stands on them."""
    valid = {view.start.digest: Round(0, view.start, 0)}
    for merge in view.steps.merges():
        base = valid.get(merge.base) if merge.base is not None else None
        if base is None:
            continue
        inputs = [view.steps.get(digest) for digest in merge.inputs]
        on_time = [step for step in inputs if step is not None and step.kind == "train" and step.base == merge.base]
        sites = {step.site for step in on_time}
        if len(sites) == len(on_time) and len(sites) >= _quorum(view):
            valid[merge.digest] = Round(base.number + 1, merge, len(sites))
    return [found for found in valid.values() if found.number > 0]


def _late(view: View, current: Round) -> list[Step]:
    """Return the training steps that their round left out and that no later round has taken in yet."""
    chain = view.remember(("chain", current.model.digest), lambda: _chain(view, current.model))
    late = []
    for site in view.sites:
        for step in reversed(view.steps.trainings(site)):
            if step.base == current.model.digest:
                continue
            if any(merge.digest in chain for merge in view.steps.merged_into(step.digest)):
                break
            if view.usable(step):
                late.append(step)
    return late


def _chain(view: View, model: Step) -> frozenset[str]:
    chain, at = [], model
    while at.base is not None and (base := view.steps.get(at.base)) is not None:
        chain.append(at.digest)
        at = base
    return frozenset(chain)
