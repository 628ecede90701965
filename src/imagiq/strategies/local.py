"""Local: each site trains alone, on its own model. What working together is compared with."""

from __future__ import annotations

from imagiq.federation import Action, Finished, Train, View

__all__ = ["decide"]


def decide(view: View, me: str) -> Action:
    """Train on from my newest model until the study's budget is spent."""
    model = view.newest_training(me) or view.start
    made = view.made(me)
    if made >= view.study.steps:
        return Finished(model=model.digest)
    return Train(
        base=model.digest,
        step=made + 1,
        progress=made / view.study.steps,
        until=(made + 1) / view.study.steps,
    )
