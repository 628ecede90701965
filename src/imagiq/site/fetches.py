"""How far the fetching of a model is, in a few words."""

from __future__ import annotations

from typing import Final

from imagiq.bench import Bench
from imagiq.exchange import Fetched
from imagiq.history import Entry
from imagiq.site.status import FetchStatus

__all__ = ["fetch_in_words", "fetch_status"]

WHAT: Final = {"train": "training", "study": "first model"}


def fetch_status(bench: Bench, entry: Entry, fetched: Fetched) -> FetchStatus:
    """Return what is being fetched, and how far that is."""
    recipe = entry.commit.recipe
    step = recipe.parameters.get("step") if recipe.name == "train" else None
    what = WHAT.get(recipe.name, recipe.name) + (f" {step}" if isinstance(step, int) else "")
    return FetchStatus(
        commit=entry.digest, site=bench.standing.name_of(entry), what=what, done=fetched.done, lacked=fetched.lacked
    )


def fetch_in_words(one: FetchStatus) -> str:
    """Return it as people read it: ``fetches 37 of 100 MB of caro's training 12``."""
    digits = 0 if one.lacked >= 10_000_000 else 1
    done, lacked = (f"{nbytes / 1e6:.{digits}f}" for nbytes in (one.done, one.lacked))
    return f"fetches {done} of {lacked} MB of {one.site}'s {one.what}"
