"""Swarm: rounds without a server (after Warnat-Herresthal et al. 2021, "Swarm Learning").

Each site trains from the newest round. Who merges it is drawn anew for each round from the study's seed; a leader that is
silent is replaced by the next one drawn. Which merges are valid and which is chosen: :mod:`imagiq.strategies.rounds`; who
leads when: :mod:`imagiq.strategies.leading`. A round stands on more than half of the study's sites, so that two halves of
a parted federation cannot both go on with rounds.

A site in trouble is not waited for and leads last; see :mod:`imagiq.strategies.leading`.

Below the quorum, or when three leaders had their turns in vain, a site goes on by itself: it trains from its own newest
commit, once in ``patience_s``, within its budget. What came of it is an input of the next round that is merged: in place
of its contribution if that is the same round, else late; once. When its budget is spent and others are silent, it has
finished, unless they bring news.

Parameters: ``quorum`` (number of sites; at least, and if absent, more than half of the study's), ``patience_s`` (an
integer: how long others may be silent; absent: an hour), ``deadline_s`` (an integer: how long after the quorum was there
more is waited for; absent: as ``patience_s``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from imagiq.federation import Action, Finished, Merge, Step, Train, View, Wait
from imagiq.strategies.leading import PATIENCE_S, Terms, is_on_its_way, lead, majority, to_lead, when_due
from imagiq.strategies.parameters import WHOLE, Parameter
from imagiq.strategies.rounds import Round, chosen_round, contributions, passed_over

__all__ = ["PARAMETERS", "decide"]

PARAMETERS: Mapping[str, Parameter] = {"quorum": WHOLE, "patience_s": WHOLE, "deadline_s": WHOLE}

TURNS_IN_VAIN: Final = 3
"""After so many leaders' turns a site goes on by itself. Where fewer than half are silent, that is rarely in vain."""


def decide(view: View, me: str) -> Action:
    """Train from the newest round; merge it when it is my turn to lead; below the quorum train on by myself."""
    current = chosen_round(view, majority(view))
    given = contributions(view, current)
    able = frozenset(site for site in view.sites if view.may_train(site, current.model))
    terms = _terms(view, able, passed_over(view, me, current, given))
    if on_its_way := is_on_its_way(view, current, majority(view), terms.patience_s):
        return on_its_way
    if current.number == view.study.steps or len(able) < terms.quorum or not terms.awaited:
        return Finished(model=current.model.digest)
    if _may_train_from(view, me, current.model):
        return _train(view, me, current, current.model)
    leading = lead(view, me, current, given, terms)
    return leading if isinstance(leading, Merge) else _alone(view, me, current, given, terms, leading)


def _alone(
    view: View, me: str, current: Round, given: Mapping[str, Sequence[Step]], terms: Terms, leading: Wait | None
) -> Action:
    """Train on from my newest commit, when others have been silent since it came and leaders had their turns in vain."""
    mine = next(filter(view.usable, given.get(me, ())), None)
    newest = mine or current.model
    alone_s = view.seen_s(newest) + terms.patience_s
    due_s = when_due(view, given, terms)
    if due_s is not None:
        alone_s = max(alone_s, due_s + TURNS_IN_VAIN * terms.patience_s)
    waiting = leading or Wait(
        why=f"more sites: {len(given)} of {terms.needed} are here",
        until_s=alone_s,
        meanwhile=to_lead(view, me, current, given),
    )
    if view.now_s < alone_s:
        return replace(waiting, until_s=min(alone_s, waiting.until_s or alone_s))
    if mine is not None and _may_train_from(view, me, mine):
        return _train(view, me, current, mine)
    return leading or Finished(model=newest.digest)


def _terms(view: View, able: frozenset[str], passed_over: Mapping[str, float]) -> Terms:
    strategy = view.study.strategy
    patience_s = strategy.positive("patience_s") or PATIENCE_S
    return Terms(
        quorum=min(max(strategy.positive("quorum") or 0, len(view.study.sites) // 2 + 1), len(view.sites)),
        awaited=able - passed_over.keys(),
        passed_over=passed_over,
        deadline_s=strategy.positive("deadline_s") or patience_s,
        patience_s=patience_s,
    )


def _may_train_from(view: View, me: str, model: Step) -> bool:
    return view.may_train(me, model) and all(step.site != me for step in view.steps.trained_from(model.digest))


def _train(view: View, me: str, current: Round, base: Step) -> Train:
    steps, sites = view.study.steps, len(view.study.sites)
    done = sum(base.progress)
    return Train(
        base=base.digest,
        step=base.progress[view.study.sites.index(me)] + 1,
        progress=max(current.number / steps, done / (steps * sites)),
        until=min(1.0, max((current.number + 1) / steps, (done + sites) / (steps * sites))),
    )
