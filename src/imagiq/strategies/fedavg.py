"""FedAvg: rounds with a server role (McMahan et al. 2017).

Each site trains from the newest round; the site with the server role merges when all have, or, past the deadline, when
the quorum has. A server is only a role in the study's terms: it is a site like others, and everybody can recompute what
it merges. When it is removed or in trouble, the first of the other sites has the role; while it is silent, the study
stands still: where that must not be, see :mod:`imagiq.strategies.swarm`.

A site in trouble is not drawn and not waited for; where the others are fewer than the quorum, all of them are enough. It
tries again in each round for which it would be drawn.

What is a valid merge and which is chosen: :mod:`imagiq.strategies.rounds`. A training commit that its round's merge left
out is late: it is an extra input of the next merge, once, and not counted for the quorum. The weight of an input is its
number of cases.

Parameters: ``server`` (a site's name; absent: the first), ``sample`` (how many sites are drawn to train in a round, as a
number or a share; absent: all), ``quorum`` (number of sites; absent: all who were drawn, or more than half of them if
there is a deadline), ``deadline_s`` (an integer: how long after the quorum was there the server still waits for more;
absent: not at all).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from imagiq.federation import Action, Finished, Step, Train, View, Wait
from imagiq.strategies.draws import drawn
from imagiq.strategies.parameters import SHARE_OR_WHOLE, SITE, WHOLE, Parameter, share_of
from imagiq.strategies.rounds import chosen_round, contributions, inputs_of, merge_of, passed_over, present_of

__all__ = ["PARAMETERS", "decide"]

PARAMETERS: Mapping[str, Parameter] = {
    "server": SITE,
    "sample": SHARE_OR_WHOLE,
    "quorum": WHOLE,
    "deadline_s": WHOLE,
}


def decide(view: View, me: str) -> Action:
    """Train from the newest round, or merge it when it is my role."""
    least = _least_sites(view)
    current = chosen_round(view, least)
    able = tuple(site for site in view.sites if view.may_train(site, current.model))
    given = contributions(view, current)
    passed = passed_over(view, me, current, given)
    awaited = tuple(site for site in able if site not in passed)
    if current.number == view.study.steps or len(able) < min(least, len(view.sites)) or not awaited:
        return Finished(model=current.model.digest)
    trains = drawn(awaited, view.study.seed, "sample", current.number + 1)[: max(least, _sample(view, len(able)))]
    if me in trains and all(step.site != me for step in view.steps.trained_from(current.model.digest)):
        return Train(
            base=current.model.digest,
            step=current.number + 1,
            progress=current.number / view.study.steps,
            until=(current.number + 1) / view.study.steps,
        )
    if me != _server(view):
        return Wait(why=f"round {current.number + 1}")
    present = present_of(view, given)
    waiting = _wait(view, present, trains, awaited if passed else ())
    if waiting is None:
        return merge_of(view, me, current, present)
    return replace(waiting, meanwhile=tuple(step.digest for step in inputs_of(view, current, present)))


def _wait(view: View, present: Sequence[Step], trains: Sequence[str], enough: Collection[str]) -> Wait | None:
    """Return what the server still waits for: the quorum, or all who are enough where others are in trouble; then more."""
    quorum, given = _quorum(view, len(trains)), {step.site for step in present}
    missing = set(trains) - given
    lacking = quorum - len(present)
    if enough:
        lacking = min(lacking, len(set(enough) - given))
    if lacking > 0:
        return Wait(why=f"{lacking} more sites")
    if missing:
        deadline_s = view.study.strategy.positive("deadline_s") or 0
        over_s = sorted(view.seen_s(step) for step in present)[quorum - 1] + deadline_s
        if view.now_s < over_s:
            return Wait(why="the deadline of the round", until_s=over_s)
    return None


def _server(view: View) -> str:
    named, troubled = view.study.strategy.parameters.get("server"), view.troubled
    able = [site for site in view.sites if site not in troubled] or view.sites
    return named if isinstance(named, str) and named in able else able[0]


def _sample(view: View, sites: int) -> int:
    """Return how many of so many sites train in a round."""
    return share_of(view.study.strategy.parameters.get("sample"), sites) or sites


def _quorum(view: View, trains: int) -> int:
    """Return how many sites a merge by the server role waits for, whatever the deadline."""
    asked = view.study.strategy.positive("quorum")
    if asked is not None:
        return min(asked, _sample(view, len(view.study.sites)))
    return trains if view.study.strategy.positive("deadline_s") is None else _least_sites(view)


def _least_sites(view: View) -> int:
    """Return how many sites a merge must stand on.

    That is the quorum, if the study has one. If it has none, a round that was valid among few members must not become
    invalid when others join: more than half of the sites that are drawn of the study's are enough, or all that are
    drawn of the members where those are fewer.
    """
    asked, most = view.study.strategy.positive("quorum"), _sample(view, len(view.study.sites))
    return min(most // 2 + 1, _sample(view, len(view.sites))) if asked is None else min(asked, most)
