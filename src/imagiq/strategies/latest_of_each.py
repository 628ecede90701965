"""Latest-of-each: asynchronous averaging without a server, in which nobody ever waits.

I merge the newest training commit of each site, mine beside them, as soon as another site has a newer one than I merged
last; then I train from the merge; where there is nothing new, I train on. Among what may be merged, the weight of a
training commit c is

    w(c) = cases(c)    if lacks(c) <= 32 * S + the least that any of them lacks,
    w(c) = 0           otherwise (it is left out),

with S the number of the study's sites, and lacks(c) the number of training commits in the study that c neither is nor
stands on, counted per site along its longest line. Weights do not fall with age: then no site counts more by being fast,
and the fixed point is that of federated averaging; but a site that left stops being an anchor. What the freshest lacks
is allowed to all, or two halves of a federation that were parted for long would leave out each other and themselves. A
merge is never an input of a merge. When my budget is spent, I have finished as soon as all others who are not in trouble
have spent theirs.

Parameters: ``peers``: merge only with this many other sites, drawn anew for each step from the study's seed, my name
and the step (absent: with all).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from imagiq.federation import Action, Finished, Merge, Step, Train, View, Wait
from imagiq.strategies.draws import drawn
from imagiq.strategies.parameters import WHOLE, Parameter

__all__ = ["PARAMETERS", "STALE_AFTER", "decide", "newest_model", "not_stale", "train_on"]

PARAMETERS: Mapping[str, Parameter] = {"peers": WHOLE}

STALE_AFTER = 32


def decide(view: View, me: str) -> Action:
    """Merge what is new, else train, until the budget is spent; then still merge what is new."""
    mine, merged = view.newest_training(me), view.newest_merge(me)
    spent = view.has_spent(me)
    model = newest_model(view, me)
    if spent or model is not merged:
        inputs = _new_inputs(view, me, mine, merged)
        if inputs:
            return Merge(inputs=tuple(sorted((step.digest, step.weight) for step in inputs)))
    if not spent:
        return train_on(view, me, model)
    troubled = view.troubled
    awaited = [site for site in view.sites if site not in troubled and not view.has_spent(site)]
    if awaited:
        return Wait(why="other sites to spend their budget")
    return Finished(model=model.digest)


def newest_model(view: View, me: str) -> Step:
    """Return what I trained or merged last; the study's start, if nothing yet."""
    made = (view.newest_training(me), view.newest_merge(me))
    return max((step for step in made if step is not None), key=lambda step: step.order, default=view.start)


def train_on(view: View, me: str, model: Step) -> Train:
    """Return my next step from a model, while the others train theirs."""
    total = view.study.steps * len(view.study.sites)
    done = sum(model.progress)
    return Train(
        base=model.digest,
        step=view.made(me) + 1,
        progress=min(1.0, done / total),
        until=min(1.0, (done + len(view.study.sites)) / total),  # the others train meanwhile
    )


def _new_inputs(view: View, me: str, mine: Step | None, merged: Step | None) -> list[Step]:
    """Return what to merge: nothing, if no other site has a newer training commit than I merged last."""
    newest = [step for site in _partners(view, me) if (step := view.newest_training(site)) is not None]
    candidates = newest if mine is None else [mine, *newest]
    inputs = not_stale(view, candidates)
    if all(step is mine or (merged is not None and step.digest in merged.inputs) for step in inputs):
        return []
    digests = tuple(sorted(step.digest for step in inputs))
    again = any(merge.site == me and merge.inputs == digests for merge in view.steps.merged_into(digests[0]))
    return [] if again else inputs


def not_stale(view: View, candidates: list[Step]) -> list[Step]:
    """Return the training commits that do not lack too much of what the study holds; see above."""
    margin = STALE_AFTER * len(view.study.sites)
    if sum(view.steps.progress) <= margin:
        return candidates  # nothing lacks more than the study holds
    lacking = {step.digest: _lacks(view, step) for step in candidates}
    allowed = min(lacking.values(), default=0) + margin
    return [step for step in candidates if lacking[step.digest] <= allowed]


def _partners(view: View, me: str) -> Sequence[str]:
    others = tuple(site for site in view.sites if site != me)
    peers = view.study.strategy.positive("peers")
    if peers is None or peers >= len(others):
        return others
    return drawn(others, view.study.seed, me, view.made(me))[:peers]


def _lacks(view: View, step: Step) -> int:
    """Return how many training commits the study holds that a step neither is nor stands on."""
    return sum(max(0, there - here) for there, here in zip(view.steps.progress, step.progress, strict=True))
