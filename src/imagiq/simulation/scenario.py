"""A scenario: everything that a simulation depends on, as values. The same scenario gives the same history."""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from imagiq.errors import Misuse
from imagiq.federation import Named
from imagiq.objects import JSON
from imagiq.strategies import check_parameters

__all__ = ["Crash", "Network", "Partition", "Scenario", "SimulatedSite", "SimulatedStudy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedSite:
    """A site of a simulation.

    Attributes:
        name: Its name in the charter.
        title: What people call it; empty: its name.
        cases: What the source of the cases calls it; empty: its name.
        speed: How fast it computes; 2 is twice as fast as 1.
    """

    name: str
    title: str = ""
    cases: str = ""
    speed: float = 1.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        _check(self, positive=["speed"])
        if not self.name or not set(self.name).isdisjoint('/\\:"<>|?*\n\r\t') or self.name.startswith("."):
            raise Misuse(
                "scenario-names",
                f"A site cannot be called '{self.name}'.",
                "Its name is also that of a folder: use letters, digits, '-' and '_'.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedStudy:
    """A study that the first site opens at the beginning.

    Attributes:
        title: For people; unique.
        strategy: How the sites work together.
        steps: How many training commits each site may make.
        updates: How many optimiser updates one takes.
        sites: Who takes part; empty: all.
    """

    title: str
    strategy: Named
    steps: int
    updates: int
    sites: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the numbers."""
        _check(self, positive=["steps", "updates"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How news travels: a site that has some tells its neighbours, who then fetch what they lack.

    What a neighbour does not hold is fetched from its author: neighbours limit who tells whom, not who reaches whom.

    Attributes:
        delay_s: Until a neighbour comes.
        jitter_s: Added to it, drawn evenly from 0 to this.
        poll_s: Each neighbour comes only at its own multiples of this, as where a bucket is asked for news; 0: at once.
        loss: Probability that it comes for nothing, and comes again after ``retry_s``.
        cut: Probability that it is cut off in the middle, and comes again after ``retry_s``.
        repeat: Probability that what it gets comes twice, and out of order.
        retry_s: See above.
        neighbours: How many drawn neighbours a site tells; None: all others.
    """

    delay_s: float = 1.0
    jitter_s: float = 0.0
    poll_s: float = 0.0
    loss: float = 0.0
    cut: float = 0.0
    repeat: float = 0.0
    retry_s: float = 5.0
    neighbours: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        _check(
            self,
            positive=["retry_s", *([] if self.neighbours is None else ["neighbours"])],
            from_zero=["delay_s", "jitter_s", "poll_s"],
            parts=["loss", "cut", "repeat"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """A site stops at once, and starts again from its store."""

    site: str
    at_s: float
    for_s: float

    def __post_init__(self) -> None:
        """Check the numbers."""
        _check(self, positive=["for_s"], from_zero=["at_s"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Some sites and all others cannot reach each other."""

    sites: frozenset[str]
    at_s: float
    for_s: float

    def __post_init__(self) -> None:
        """Check the numbers."""
        _check(self, positive=["for_s"], from_zero=["at_s"])


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A simulation.

    Attributes:
        title: The federation's name.
        seed: All randomness and all keys follow from it.
        sites: At least one.
        studies: At least one.
        task: What is learnt.
        update_s: Virtual seconds that one optimiser update takes at speed 1.
        merge_s: Virtual seconds that a merge or an evaluation takes at speed 1.
        network: How news travels.
        faults: What goes wrong, and when.
        rules: What the charter permits.
        until_s: When to stop although sites are not finished.
        idle_s: How long nobody may commit anything, once all faults are over, before the simulation stops.
    """

    title: str
    seed: int
    sites: tuple[SimulatedSite, ...]
    studies: tuple[SimulatedStudy, ...]
    task: Named
    update_s: float = 0.1
    merge_s: float = 0.1
    network: Network = field(default_factory=Network)
    faults: tuple[Crash | Partition, ...] = ()
    rules: Mapping[str, JSON] = field(default_factory=lambda: MappingProxyType({"audit_per_mille": 100}))
    until_s: float = 1e9
    idle_s: float = 86_400.0

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        _check(self, positive=["update_s", "merge_s", "until_s", "idle_s"], from_zero=["seed"])
        names = [site.name for site in self.sites]
        titles = [study.title for study in self.studies]
        for what, given in (("site", names), ("study", titles)):
            if not given:
                raise Misuse("scenario-empty", f"The simulation has no {what}.", f"Add at least one {what}.")
            if len(set(given)) != len(given):
                twice = next(name for name in given if given.count(name) > 1)
                raise Misuse("scenario-names", f"Two times a {what} is called '{twice}'.", "Rename one of them.")
        for fault in self.faults:
            check_sites(names, [fault.site] if isinstance(fault, Crash) else fault.sites)
        for study in self.studies:
            check_sites(names, study.sites)
            check_parameters(study.strategy, study.sites or names)


def check_sites(names: Iterable[str], named: Iterable[str]) -> None:
    """Check that sites exist.

    Args:
        names: Those that exist.
        named: Those that somebody named.

    Raises:
        Misuse: one does not.
    """
    known = sorted(names)
    for name in sorted(set(named) - set(known)):
        close = difflib.get_close_matches(name, known, n=1)
        advice = f"Did you mean '{close[0]}'?" if close else f"The sites are {', '.join(known[:20])}."
        raise Misuse("scenario-site", f"No site is called '{name}'.", advice)


def _check(
    values: Any,  # noqa: ANN401 - any of the dataclasses here
    *,
    positive: Iterable[str] = (),
    from_zero: Iterable[str] = (),
    parts: Iterable[str] = (),
) -> None:
    """Check the ranges of numbers: above 0, at least 0, or from 0 to below 1; NaN and infinity are in none."""
    fits: dict[str, tuple[str, float, float]] = dict.fromkeys(positive, ("above 0", sys.float_info.min, math.inf))
    fits |= dict.fromkeys(from_zero, ("0 or more", 0.0, math.inf))
    fits |= dict.fromkeys(parts, ("a probability from 0 to below 1", 0.0, 1.0))
    for name, (what, least, end) in fits.items():
        number = getattr(values, name)
        if not least <= number < end:
            raise Misuse("scenario-number", f"'{name}' is {number}.", f"It must be {what}.")
