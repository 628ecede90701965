"""One-shot: each site trains alone until its budget is spent, then all models are merged, once (Zinkevich et al. 2010).

It is one round of :mod:`imagiq.strategies.swarm` in which each turn takes the whole budget. Models are sent once, which
is why it is chosen, and lie far apart, which is its price. A site in trouble is not waited for.

Parameters: ``quorum`` (number of sites; absent: all members, or more than half of the study's if there is a deadline),
``deadline_s`` (an integer: how long after the quorum was there more is waited for; absent: not at all if there is a
quorum), ``patience_s`` (an integer: how long a leader may be silent; absent: an hour).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile

from imagiq.federation import Action, Finished, Step, Train, View, Wait
from imagiq.strategies.leading import PATIENCE_S, Terms, is_on_its_way, lead, majority, to_lead
from imagiq.strategies.parameters import WHOLE, Parameter
from imagiq.strategies.rounds import Round, chosen_round, passed_over, turn_of

__all__ = ["PARAMETERS", "decide"]

PARAMETERS: Mapping[str, Parameter] = {"quorum": WHOLE, "deadline_s": WHOLE, "patience_s": WHOLE}


def decide(view: View, me: str) -> Action:
    """Train on until my budget is spent; then merge what all have made of theirs, when it is my turn to lead."""
    quorum = _quorum(view)
    least = min(majority(view), quorum)
    patience_s = view.study.strategy.positive("patience_s") or PATIENCE_S
    current = chosen_round(view, least)
    if on_its_way := is_on_its_way(view, current, least, patience_s):
        return on_its_way
    if current.number > 0:
        return Finished(model=current.model.digest)
    mine = next(filter(view.usable, turn_of(view, current, me)), view.start)
    if view.may_train(me, mine):
        return _train(view, me, mine)
    done = {site: steps for site in view.sites if (steps := _done(view, current, site))}
    passed = passed_over(view, me, current, done)
    terms = Terms(
        quorum=quorum,
        awaited=frozenset(view.sites) - passed.keys(),
        passed_over=passed,
        deadline_s=view.study.strategy.positive("deadline_s") or 0,
        patience_s=patience_s,
    )
    return lead(view, me, current, done, terms) or Wait(
        why=f"more sites: {len(done)} of {terms.needed} are done", meanwhile=to_lead(view, me, current, done)
    )


def _done(view: View, current: Round, site: str) -> Sequence[Step]:
    """Return with what a site has spent its budget."""
    return list(takewhile(lambda step: not view.may_train(site, step), turn_of(view, current, site)))


def _quorum(view: View) -> int:
    asked, deadline_s = view.study.strategy.positive("quorum"), view.study.strategy.positive("deadline_s")
    usual = len(view.sites) if deadline_s is None else majority(view)
    return usual if asked is None else min(asked, len(view.sites))


def _train(view: View, me: str, mine: Step) -> Train | Wait:
    if any(step.site == me for step in view.steps.trained_from(mine.digest)):
        return Wait(why="what came of my training: it cannot be used here")
    made, steps = mine.progress[view.study.sites.index(me)], view.study.steps
    return Train(base=mine.digest, step=made + 1, progress=made / steps, until=(made + 1) / steps)
