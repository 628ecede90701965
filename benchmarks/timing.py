"""Taking times on a machine where others work too: the fastest of a few, or the one in the middle."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

__all__ = ["alternately", "resident_bytes", "seconds"]


def seconds(call: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = perf_counter()
    call()
    return perf_counter() - start


def alternately(*calls: Callable[[], object], repeats: int) -> Sequence[float]:
    """Return the median seconds of each call; they take turns, so that what disturbs one disturbs all."""
    found = [[seconds(call) for call in calls] for _ in range(repeats)]
    return [statistics.median(column) for column in zip(*found, strict=True)]


def resident_bytes() -> int:
    """Return how much memory this process holds now."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGESIZE")
