"""Of a wait, the part that most tests are about."""

from __future__ import annotations

from dataclasses import replace

from imagiq.federation import Action, Wait

__all__ = ["said"]


def said(action: Action) -> Action:
    """Return a wait as it would be if nothing were fetched meanwhile; any other action as it is."""
    return replace(action, meanwhile=()) if isinstance(action, Wait) else action
