"""The simulated network: a peer that loses, cuts, repeats and reorders, and counts the bytes that pass."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from imagiq.errors import Unreachable
from imagiq.exchange import Ask, Peer
from imagiq.objects import Digest

__all__ = ["FaultyPeer", "Mishap", "Traffic"]


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


@dataclass(slots=True)
class Traffic:
    """Bytes that passed, by study.

    Attributes:
        studies: To which study commits (by their bytes) and objects (by their names) belong; others are not counted.
        bytes_of: How many bytes passed, by study.
    """

    studies: dict[bytes | Digest, Digest] = field(default_factory=dict)
    bytes_of: Counter[Digest] = field(default_factory=Counter)

    def count(self, name: bytes | Digest, nbytes: int) -> None:
        """Note that an object passed."""
        study = self.studies.get(name)
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
            self._traffic.count(raw, len(raw))
            yield raw

    def _in_disorder(self, raws: Iterable[bytes]) -> Iterable[bytes]:
        if self._mishap.shuffle is None:
            return raws
        twice = [raw for raw in raws for _ in range(2)]
        random.Random(self._mishap.shuffle).shuffle(twice)
        return twice

    def fetch(self, digest: Digest, limit: int) -> bytes | None:
        """Return an object of the peer, if the line holds."""
        self._pass()
        raw = self._peer.fetch(digest, limit)
        if raw is not None:
            self._traffic.count(digest, len(raw))
        return raw
