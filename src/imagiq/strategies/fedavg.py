"""FedAvg: rounds with a server role (McMahan et al. 2017).

Each site trains from the newest round; the site with the server role merges when all have, or, past the deadline, when
the quorum has. A server is only a role in the study's terms: it is a site like others, and everybody can recompute what
it merges. When it is removed, the first of the remaining sites has the role.

What is a valid merge and which is chosen: :mod:`imagiq.strategies.rounds`. A training commit that its round's merge left
out is late: it is an extra input of the next merge, once, and not counted for the quorum. The weight of an input is its
number of cases.

Parameters: ``server`` (a site's name; absent: the first), ``quorum`` (number of sites; absent: all), ``deadline_s`` (an
integer: how long after the quorum was there the server still waits for more; absent: for all).
"""

from __future__ import annotations

from collections.abc import Sequence

from imagiq.federation import Action, Finished, Merge, Step, Train, View, Wait
from imagiq.strategies.rounds import Round, chosen_round, late_steps

__all__ = ["decide"]

INPUT_LIMIT = 1000
"""So many models fit into one merge; what is left over is an input of the next."""


def decide(view: View, me: str) -> Action:
    """Train from the newest round, or merge it when it is my role."""
    current = chosen_round(view, _least_sites(view))
    if current.number == view.study.steps:
        return Finished(model=current.model.digest)
    if all(step.site != me for step in view.steps.trained_from(current.model.digest)):
        return Train(
            base=current.model.digest,
            step=current.number + 1,
            progress=current.number / view.study.steps,
            until=(current.number + 1) / view.study.steps,
        )
    if me != _server(view):
        return Wait(why=f"round {current.number + 1}")
    first = {step.site: step for step in reversed(list(view.trainings_from(current.model))) if step.site in view.sites}
    return _merge(view, me, current, [first[site] for site in sorted(first)])


def _merge(view: View, me: str, current: Round, present: Sequence[Step]) -> Action:
    quorum = _quorum(view)
    if len(present) < quorum:
        return Wait(why=f"{quorum - len(present)} more sites")
    if len(present) < len(view.sites):
        deadline_s = view.study.strategy.positive("deadline_s")
        if deadline_s is None:
            return Wait(why=f"{len(view.sites) - len(present)} more sites")
        over_s = sorted(view.seen_s(step) for step in present)[quorum - 1] + deadline_s
        if view.now_s < over_s:
            return Wait(why="the deadline of the round", until_s=over_s)
    inputs = [*present, *late_steps(view, current)][: max(INPUT_LIMIT, len(present))]
    merge = Merge(base=current.model.digest, inputs=tuple(sorted((step.digest, step.weight) for step in inputs)))
    if _has_succeeded(view, me, merge):
        return Wait(why="the merge of this round: it cannot be used here")
    return merge


def _has_succeeded(view: View, me: str, merge: Merge) -> bool:
    alike = view.steps.merged_into(merge.inputs[0][0])
    return any(known.site == me and known.commit.parents == merge.parents for known in alike)


def _server(view: View) -> str:
    named = view.study.strategy.parameters.get("server")
    return named if isinstance(named, str) and named in view.sites else view.sites[0]


def _quorum(view: View) -> int:
    """Return how many sites a merge by the server role waits for, whatever the deadline."""
    asked = view.study.strategy.positive("quorum")
    return len(view.sites) if asked is None else min(asked, len(view.study.sites))


def _least_sites(view: View) -> int:
    """Return how many sites a merge must stand on.

    That is the quorum, if the study has one. If it has none, a round that was valid among few members must not become
    invalid when others join: more than half of the study's sites are enough, or all members where those are fewer.
    """
    asked = view.study.strategy.positive("quorum")
    most = len(view.study.sites) // 2 + 1
    return min(most, len(view.sites)) if asked is None else min(asked, len(view.study.sites))
