"""What goes into a bundle: of all models those that somebody's next step may need."""

from __future__ import annotations

from imagiq.bench import Bench
from imagiq.objects import Digest

__all__ = ["newest_models"]


def newest_models(bench: Bench) -> frozenset[Digest]:
    """Return the commits of the first model of each study, and of each site's newest of each kind in it."""
    newest: dict[tuple[object, ...], Digest] = {}
    chosen = set(bench.studies)
    for entry in sorted(bench.history, key=lambda entry: entry.order):
        if entry.commit.tree is not None:
            newest[entry.commit.study, entry.site, entry.commit.recipe.name] = entry.digest
    return frozenset(chosen | set(newest.values()))
