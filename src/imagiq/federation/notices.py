"""Notices: commits that say something to all members and hold no model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from imagiq.errors import Misuse
from imagiq.federation.requests import REQUEST
from imagiq.federation.standing import Standing, State
from imagiq.history import Entry
from imagiq.objects import Recipe

__all__ = ["ASK_CHECK", "NOTICES", "STOP", "TAG", "ask_check_recipe", "is_stopped", "stop_recipe", "tag_recipe"]

STOP: Final = "stop"
TAG: Final = "tag"
ASK_CHECK: Final = "ask-check"
NOTICES: Final = frozenset({REQUEST, STOP, TAG, ASK_CHECK})
NAME_LIMIT: Final = 64


def stop_recipe() -> Recipe:
    """Return the recipe of the commit by which a site says that a study shall end; the commit belongs to the study."""
    return Recipe(STOP, 1)


def is_stopped(opening: Entry, stops: Iterable[Entry], standing: Standing) -> bool:
    """Tell whether a study has ended: its opener says so, or more than half of the voters do.

    Args:
        opening: The commit that opened the study.
        stops: The stop commits that are known.
        standing: What they are worth.
    """
    names = {
        standing.name_of(entry)
        for entry in stops
        if entry.commit.study == opening.digest
        and entry.commit.recipe.version == 1
        and standing.state(entry.digest) is not State.VOID
    }
    voters = set() if standing.ruling is None else set(standing.ruling.voters)
    return standing.name_of(opening) in names or 2 * len(names & voters) > len(voters) > 0


def tag_recipe(name: str, *, release: bool) -> Recipe:
    """Return the recipe of the commit that gives the commit which is its input a name.

    Raises:
        Misuse: nothing can be called so.
    """
    if not 0 < len(name) <= NAME_LIMIT or not name.isprintable() or set("@ /\\") & set(name):
        raise Misuse("tag-name", f"A commit cannot be called '{name}'.", "Use letters, digits, '-', '_' and '.'.")
    return Recipe(TAG, 1, {"name": name, "release": release})


def ask_check_recipe() -> Recipe:
    """Return the recipe of the commit that asks all members to recompute the merges which are its inputs."""
    return Recipe(ASK_CHECK, 1)
