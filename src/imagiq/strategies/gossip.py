"""Gossip: averaging with a few drawn neighbours (Boyd et al. 2006), after each step of training; nobody ever waits.

After a training commit of mine I merge it with the newest of ``peers`` other sites, then train from the merge. For each
of my steps the sites have an order, drawn from the study's seed, my name and the step; asked are the first of those that
have something complete which I have not merged yet. Where nobody has, I train on. What others made of still others comes
along in what they trained from a merge, so news reaches everybody in about log(sites) steps, while each step moves the
same number of models, however many sites there are.

When my budget is spent I wait until every other member has spent its own, is in trouble or has been silent for
``patience_s``, and merge the newest training commit of each. As all merge the same, all end with the same model.

Plain gossip averages are one-sided: within a merge each site weighs by its number of cases, but a site that is drawn more
often counts more on the way. The last merge does not depend on the draws: in it each site counts by its cases. Push-sum
(Kempe et al. 2003), which keeps the average on the way too, takes live pairs and is not done here. Merges are never
inputs, and what lacks too much is left out, as in :mod:`imagiq.strategies.latest_of_each`.

Parameters: ``peers`` (number of sites; absent: one), ``patience_s`` (an integer; absent: an hour).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from imagiq.federation import Action, Finished, Merge, Step, View, Wait
from imagiq.strategies.draws import drawn
from imagiq.strategies.latest_of_each import newest_model, not_stale, train_on
from imagiq.strategies.leading import PATIENCE_S
from imagiq.strategies.parameters import WHOLE, Parameter

__all__ = ["PARAMETERS", "decide"]

PARAMETERS: Mapping[str, Parameter] = {"peers": WHOLE, "patience_s": WHOLE}


def decide(view: View, me: str) -> Action:
    """Merge my newest training commit with those of drawn peers, train, repeat; in the end merge those of all."""
    mine, merged, made = view.newest_training(me), view.newest_merge(me), view.made(me)
    model = newest_model(view, me)
    if view.has_spent(me):
        return _end(view, me, model)
    if model is not merged and (inputs := _inputs(view, me, mine, made)):
        return _merge(inputs)
    return train_on(view, me, model)


def _inputs(view: View, me: str, mine: Step | None, made: int) -> list[Step]:
    """Return the newest training commits of the first drawn sites that have one which I have not merged, and mine."""
    others = drawn(tuple(site for site in view.sites if site != me), view.study.seed, me, made)
    newest = [step for site in others if (step := view.newest_training(site)) is not None]
    fresh = not_stale(view, newest if mine is None else [mine, *newest])
    new = (step for step in fresh if step is not mine and not _is_merged(view, me, step))
    peers = list(islice(new, view.study.strategy.positive("peers") or 1))
    return [mine, *peers] if peers and mine is not None and mine in fresh else peers


def _is_merged(view: View, me: str, step: Step) -> bool:
    return any(merge.site == me for merge in view.steps.merged_into(step.digest))


def _merge(inputs: Sequence[Step]) -> Merge:
    return Merge(inputs=tuple(sorted((step.digest, step.weight) for step in inputs)))


def _end(view: View, me: str, model: Step) -> Action:
    others = [site for site in view.sites if site != me]
    patience_s, troubled = view.study.strategy.positive("patience_s") or PATIENCE_S, view.troubled
    done = {site for site in others if site in troubled or view.has_spent(site)}
    moments = {site: _awaited_s(view, site, patience_s, is_done=site in done) for site in others}
    awaited = {site: until_s for site, until_s in moments.items() if view.now_s < until_s}
    if awaited:
        return Wait(why=f"{min(awaited)} to spend its budget", until_s=max(awaited.values()))
    newest = not_stale(view, [step for site in view.sites if (step := view.newest_training(site)) is not None])
    if any(step.site != me for step in newest) and not _has_succeeded(view, me, _merge(newest)):
        return _merge(newest)
    if not done.issuperset(others):
        return Wait(why="other sites to spend their budget")
    return Finished(model=model.digest)


def _awaited_s(view: View, site: str, patience_s: int, *, is_done: bool) -> float:
    """Return until when a site is waited for: it may train on, or its last model is on its way here."""
    known = view.steps.trainings(site)
    last = known[-1] if known else view.start
    return 0.0 if is_done and view.usable(last) else view.seen_s(last) + patience_s


def _has_succeeded(view: View, me: str, merge: Merge) -> bool:
    alike = view.steps.merged_into(merge.inputs[0][0])
    return any(known.site == me and known.commit.parents == merge.parents for known in alike)
