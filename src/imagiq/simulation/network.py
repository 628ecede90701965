"""The simulated network: lines between sites that lose, cut, repeat and reorder, and count the bytes that pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from imagiq.errors import Unreachable
from imagiq.exchange import Ask, Peer
from imagiq.objects import Digest
from imagiq.simulation.draws import Draws
from imagiq.simulation.scenario import Partition, Scenario

__all__ = ["FaultyPeer", "Lines", "Mishap", "Traffic"]

LONGEST_CUT = 20
"""A line that is cut carries fewer objects than this."""


@dataclass(frozen=True, slots=True)
class Mishap:
    """What goes wrong in one visit to a peer.

    Attributes:
        lost: Nothing gets through.
        cut_after: After so many objects nothing more gets through; None: all do.
        shuffle: Seed of the order in which commits come, each of them twice; None: once and in order.
    """

    lost: bool = False
    cut_after: int | None = None
    shuffle: int | None = None


NONE = Mishap()


class Lines:
    """Who tells whom, and what goes wrong on the way.

    Args:
        scenario: Says how the network is.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._network = scenario.network
        self._partitions = [fault for fault in scenario.faults if isinstance(fault, Partition)]
        self._mishaps = Draws(scenario.seed, "mishaps")
        self._neighbours = self._draw_neighbours(scenario)

    def _draw_neighbours(self, scenario: Scenario) -> dict[str, tuple[str, ...]]:
        names = sorted(site.name for site in scenario.sites)
        wanted = self._network.neighbours
        if wanted is None or wanted >= len(names) - 1:
            return {name: tuple(other for other in names if other != name) for name in names}
        # The ring lets news reach everybody, whoever else is drawn.
        ring = {name: names[(place + 1) % len(names)] for place, name in enumerate(names)}
        draws = Draws(scenario.seed, "neighbours")
        drawn = {name: draws.some([n for n in names if n not in {name, ring[name]}], wanted - 1) for name in names}
        return {name: tuple(sorted({ring[name], *others})) for name, others in drawn.items()}

    def neighbours(self, name: str) -> tuple[str, ...]:
        """Return the sites that a site tells its news."""
        return self._neighbours[name]

    def linked(self, name: str) -> list[str]:
        """Return the sites that a site tells its news, or hears news from."""
        return [other for other in sorted(self._neighbours) if self._are_linked(name, other)]

    def _are_linked(self, one: str, other: str) -> bool:
        return other in self._neighbours[one] or one in self._neighbours[other]

    def delay_s(self) -> float:
        """Return how long a visit takes to come about this time."""
        jitter_s = self._network.jitter_s
        return self._network.delay_s + (jitter_s * self._mishaps.part() if jitter_s else 0.0)

    def looks_after_s(self, name: str, news_s: float) -> float:
        """Return how long after a moment a site looks for news: 0, unless it does so only now and then.

        Args:
            name: The site; sites look one after the other, evenly spread.
            news_s: The moment.
        """
        poll_s = self._network.poll_s
        if poll_s == 0.0:
            return 0.0
        names = sorted(self._neighbours)
        return (poll_s * names.index(name) / len(names) - news_s) % poll_s

    def mishap(self) -> Mishap:
        """Return what goes wrong this time."""
        network, draws = self._network, self._mishaps
        if not (network.loss or network.cut or network.repeat):
            return NONE
        return Mishap(
            lost=draws.part() < network.loss,
            cut_after=1 + draws.below(LONGEST_CUT - 1) if draws.part() < network.cut else None,
            shuffle=draws.below(2**32) if draws.part() < network.repeat else None,
        )

    def are_apart(self, one: str, other: str, now_s: float) -> bool:
        """Tell whether a partition lies between two sites."""
        return any(
            fault.at_s <= now_s < fault.at_s + fault.for_s and (one in fault.sites) != (other in fault.sites)
            for fault in self._partitions
        )


@dataclass(slots=True)
class Traffic:
    """Bytes that passed, by study.

    An object is counted for the study for whose action it was fetched, however many others name it too: what a way of
    working together needs from others is what it costs.

    Attributes:
        studies: To which study commits belong, by their bytes; others are not counted.
        bytes_of: How many bytes passed, by study.
    """

    studies: dict[bytes, Digest] = field(default_factory=dict)
    bytes_of: Counter[Digest] = field(default_factory=Counter)

    def count_commit(self, raw: bytes) -> None:
        """Note that a commit passed."""
        study = self.studies.get(raw)
        if study is not None:
            self.bytes_of[study] += len(raw)

    def count_objects(self, study: Digest | None, nbytes: int) -> None:
        """Note that objects passed for an action of a study."""
        if study is not None:
            self.bytes_of[study] += nbytes


class FaultyPeer:
    """A peer behind a bad line.

    Args:
        peer: Who is at the other end.
        mishap: What goes wrong this time.
        traffic: Where passing bytes are counted.
    """

    def __init__(self, peer: Peer, mishap: Mishap, traffic: Traffic) -> None:
        self._peer = peer
        self._mishap = mishap
        self._traffic = traffic
        self._left = mishap.cut_after

    @property
    def name(self) -> str:
        """What the peer is called."""
        return self._peer.name

    def _pass(self) -> None:
        if self._mishap.lost or self._left == 0:
            raise Unreachable("peer-cut", f"The line to {self.name} was cut.", "Nothing; it is tried again.")
        if self._left is not None:
            self._left -= 1

    def heads(self) -> Mapping[str, tuple[Digest, ...]]:
        """Return the peer's heads, if the line holds."""
        self._pass()
        return self._peer.heads()

    def commits(self, ask: Ask) -> Iterator[bytes]:
        """Yield the peer's commits while the line holds."""
        for raw in self._in_disorder(self._peer.commits(ask)):
            self._pass()
            self._traffic.count_commit(raw)
            yield raw

    def _in_disorder(self, raws: Iterable[bytes]) -> Iterable[bytes]:
        if self._mishap.shuffle is None:
            return raws
        return Draws(self._mishap.shuffle, "disorder").shuffled([raw for raw in raws for _ in range(2)])

    def fetch(self, digest: Digest, limit: int) -> bytes | None:
        """Return an object of the peer, if the line holds."""
        self._pass()
        return self._peer.fetch(digest, limit)
