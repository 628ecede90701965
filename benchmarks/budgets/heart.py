"""FLamby's Heart-Disease protocol, in the table of the budgets; :mod:`benchmarks.heart` does the measuring."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.heart.through_imagiq import FLAMBY, SEEDS, SEEDS_QUICK, summaries
from benchmarks.table import Row


def measure(*, quick: bool) -> Sequence[Row]:
    """Run every way over all seeds; nothing here is a budget, and more is better."""
    seeds = SEEDS_QUICK if quick else SEEDS
    ways, plain = summaries(seeds)
    return [
        Row(
            what=f"heart, {title} {way}, {seeds} seeds",
            measured=found.mean,
            unit="accuracy",
            line="FLamby" if way in FLAMBY else "",
            limit=FLAMBY.get(way),
            note=f"95 % interval {found.interval}, standard deviation {found.deviation:.3f}.",
        )
        for title, kind in (("imagiq", ways), ("plain numpy", plain))
        for way, found in kind.items()
    ]
