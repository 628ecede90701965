"""How long the machines run."""

from __future__ import annotations

from hypothesis import Phase, settings

__all__ = ["effort"]

_WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)


def effort(*, examples: float = 1, steps: float = 1) -> settings:
    """Return the profile's settings with more or fewer examples and steps.

    These machines draw seeds, which shrink to nothing simpler in minutes of trying; only the long run tries.
    """
    usual = settings()
    return settings(
        max_examples=round(usual.max_examples * examples),
        stateful_step_count=round(usual.stateful_step_count * steps),
        phases=_WITHOUT_SHRINKING if usual.derandomize else tuple(Phase),
    )
