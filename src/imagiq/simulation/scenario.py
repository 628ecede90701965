"""A scenario: everything that a simulation depends on, as values. The same scenario gives the same history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from imagiq.errors import Misuse
from imagiq.federation import Named
from imagiq.objects import JSON

__all__ = ["Crash", "Network", "Partition", "Scenario", "SimulatedSite", "SimulatedStudy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedSite:
    """A site of a simulation. ``speed``: how fast it computes; 2 is twice as fast as 1."""

    name: str
    speed: float = 1.0


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How news travels: a site that has some tells its neighbours, who then fetch what they lack.

    Attributes:
        delay_s: Until a neighbour comes.
        jitter_s: Added to it, drawn evenly from 0 to this.
        loss: Probability that it comes for nothing, and comes again after ``retry_s``.
        cut: Probability that it is cut off in the middle, and comes again after ``retry_s``.
        repeat: Probability that what it gets comes twice, and out of order.
        retry_s: See above.
        neighbours: How many drawn neighbours a site tells; None: all others.
    """

    delay_s: float = 1.0
    jitter_s: float = 0.0
    loss: float = 0.0
    cut: float = 0.0
    repeat: float = 0.0
    retry_s: float = 5.0
    neighbours: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """A site stops at once, and starts again from its store."""

    site: str
    at_s: float
    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Some sites and all others cannot reach each other."""

    sites: frozenset[str]
    at_s: float
    for_s: float


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

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        names = [site.name for site in self.sites]
        titles = [study.title for study in self.studies]
        named = {f.site for f in self.faults if isinstance(f, Crash)}
        named |= {name for f in self.faults if isinstance(f, Partition) for name in f.sites}
        named |= {name for study in self.studies for name in study.sites}
        if not names or not titles or len(set(names)) != len(names) or len(set(titles)) != len(titles):
            raise Misuse(
                "scenario-names", "A simulation needs sites and studies, each with a name of its own.", "Name them."
            )
        if unknown := sorted(named - set(names)):
            raise Misuse(
                "scenario-site", f"No site is called '{unknown[0]}'.", f"The sites are {', '.join(sorted(names))}."
            )
