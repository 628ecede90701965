"""Cyclic and incremental: one model that travels from site to site.

Cyclic weight transfer (Chang et al. 2018; "cyclic institutional incremental learning", CIIL, in Sheller et al. 2020)
goes round: each site trains one step and hands over. Incremental (IIL) goes round once: each site spends its whole
budget, then hands over.

The chain ends at the newest training commit. A site that was removed or is in trouble is passed over; so is one that is
silent for ``patience_s`` seconds since the chain's end came here (absent: it is waited for). Who is in trouble tries again
whenever its turn comes. What two sites train from one end is work for one: the chain goes on from the newer, and the
budget of each site is counted along the chain.

Parameters: ``order`` (site names; absent: sorted), ``patience_s`` (an integer).
"""

from __future__ import annotations

from collections.abc import Mapping

from imagiq.federation import Action, Finished, Step, Train, View, Wait
from imagiq.strategies.parameters import SITES, WHOLE, Parameter

__all__ = ["PARAMETERS", "decide_cyclic", "decide_incremental"]

PARAMETERS: Mapping[str, Parameter] = {"order": SITES, "patience_s": WHOLE}


def decide_cyclic(view: View, me: str) -> Action:
    """Train when the newest commit of the chain is by my predecessor; one step a turn."""
    return _decide(view, me, steps_a_turn=1)


def decide_incremental(view: View, me: str) -> Action:
    """Train when the newest commit of the chain is by my predecessor; the whole budget in one turn."""
    return _decide(view, me, steps_a_turn=view.study.steps)


def _decide(view: View, me: str, *, steps_a_turn: int) -> Action:
    end = _end_of_chain(view)
    turns = _turns(view, me, end, steps_a_turn)
    if not turns:
        return Finished(model=end.digest)
    before_me = turns.index(me) if me in turns else len(turns)
    if before_me > 0:
        patience_s = view.study.strategy.positive("patience_s")
        if patience_s is None:
            return Wait(why=f"{turns[0]}, whose turn it is")
        my_turn_s = view.seen_s(end) + patience_s * before_me
        if view.now_s < my_turn_s:
            return Wait(why=f"{turns[0]}, whose turn it is", until_s=my_turn_s)
    if me not in turns:
        return Finished(model=end.digest)
    if any(step.site == me for step in view.steps.trained_from(end.digest)):
        return Wait(why="what came of my turn: it cannot be used here")
    total = view.study.steps * len(view.study.sites)
    done = sum(end.progress)
    return Train(
        base=end.digest,
        step=_done(view, end, me) + 1,
        progress=min(1.0, done / total),
        until=min(1.0, (done + 1) / total),
    )


def _end_of_chain(view: View) -> Step:
    newest = (view.newest_training(site) for site in view.study.sites)
    return max((step for step in newest if step is not None), key=lambda step: step.order, default=view.start)


def _turns(view: View, me: str, end: Step, steps_a_turn: int) -> list[str]:
    """Return the sites with budget left, the one whose turn it is first; others that are in trouble have none."""
    named = view.study.strategy.parameters.get("order")
    listed = [str(site) for site in named if site in view.study.sites] if isinstance(named, list | tuple) else []
    order = list(dict.fromkeys([*listed, *view.study.sites]))
    first = 0
    if end.site:
        turn_over = _done(view, end, end.site) % steps_a_turn == 0
        first = order.index(end.site) + turn_over
    there = [site for site in order[first:] + order[:first] if site in view.sites]
    troubled = view.troubled
    in_turn = [site for site in there if site == me or site not in troubled]
    return [site for site in in_turn if _done(view, end, site) < view.study.steps]


def _done(view: View, end: Step, site: str) -> int:
    return end.progress[view.study.sites.index(site)]
