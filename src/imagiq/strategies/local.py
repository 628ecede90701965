"""Local: each site trains alone, on its own model. What working together is compared with."""

from __future__ import annotations

from imagiq.federation import Action, Finished, Train, View

__all__ = ["decide"]


def decide(view: View, me: str) -> Action:
    """Train on from my newest model until the study's budget is spent."""
    mine = view.newest_training(me)
    newest = mine or view.start
    done = 0 if mine is None else mine.progress[view.study.sites.index(me)]
    if done == view.study.steps:
        return Finished(model=newest.digest)
    return Train(base=newest.digest, step=done + 1, progress=done / view.study.steps)
