"""Latest-of-each: asynchronous averaging without a server, in which nobody ever waits.

I merge the newest training commit of each site, mine beside them, as soon as another site has a newer one than I merged
last; then I train from the merge; where there is nothing new, I train on. The weight of a training commit c is

    w(c) = cases(c)    if the study holds at most 32 * S training commits that c neither is nor stands on,
    w(c) = 0           otherwise (it is left out),

with S the number of the study's sites; training commits are counted per site along its longest line. Weights do not
fall with age: then no site counts more by being fast, and the fixed point is that of federated averaging. A merge is
never an input of a merge.

Parameters: ``peers``: merge only with this many other sites, drawn anew for each step from the study's seed, my name
and the step (absent: with all).
"""

from __future__ import annotations

from collections.abc import Sequence

from imagiq.federation import Action, Finished, Merge, Step, Train, View, Wait
from imagiq.objects import digest_of

__all__ = ["STALE_AFTER", "decide"]

STALE_AFTER = 32


def decide(view: View, me: str) -> Action:
    """Merge what is new, else train, until the budget is spent; then still merge what is new."""
    place = view.study.sites.index(me)
    mine, merged = view.newest_training(me), view.newest_merge(me)
    done = 0 if mine is None else mine.progress[place]
    spent = done == view.study.steps
    model = max((step for step in (mine, merged) if step is not None), key=lambda step: step.order, default=view.start)
    if spent or mine is None or model is mine:
        others = [step for site in _partners(view, me, done) if (step := view.newest_training(site)) is not None]
        fresh = [step for step in others if not _is_stale(view, step)]
        inputs = fresh if mine is None else [mine, *fresh]
        if fresh and (merged is None or not {step.digest for step in inputs} <= set(merged.inputs)):
            return Merge(inputs=tuple(sorted((step.digest, step.commit.cases or 1) for step in inputs)))
    if not spent:
        total = view.study.steps * len(view.study.sites)
        return Train(base=model.digest, step=done + 1, progress=min(1.0, sum(model.progress) / total))
    if all(_has_spent(view, site) for site in view.sites):
        return Finished(model=model.digest)
    return Wait(why="other sites to spend their budget")


def _partners(view: View, me: str, step: int) -> Sequence[str]:
    others = [site for site in view.sites if site != me]
    peers = view.study.strategy.parameters.get("peers")
    if not isinstance(peers, int) or peers >= len(others):
        return others
    lots = {site: digest_of(f"{view.study.seed}\n{me}\n{step}\n{site}".encode()) for site in others}
    return sorted(others, key=lots.__getitem__)[:peers]


def _is_stale(view: View, step: Step) -> bool:
    newest = view.remember("progress", lambda: _progress(view))
    missing = sum(max(0, there - here) for there, here in zip(newest, step.progress, strict=True))
    return missing > STALE_AFTER * len(view.study.sites)


def _progress(view: View) -> list[int]:
    ends = (view.steps.trainings(site)[-1:] for site in view.study.sites)
    return [end[0].progress[place] if end else 0 for place, end in enumerate(ends)]


def _has_spent(view: View, site: str) -> bool:
    newest = view.newest_training(site)
    return newest is not None and newest.progress[view.study.sites.index(site)] >= view.study.steps
