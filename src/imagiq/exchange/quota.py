"""Quotas: who writes more than its share waits; nobody is refused for good."""

from __future__ import annotations

from dataclasses import dataclass

from imagiq.clock import Clock

__all__ = ["Allowance", "Quota"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How much a member may write.

    Attributes:
        burst_bytes: So much at once.
        bytes_s: So much a second in the long run.
        burst_objects: So many objects at once.
        objects_s: So many a second in the long run.
    """

    burst_bytes: float = 8 * 2**30
    bytes_s: float = 32 * 2**20
    burst_objects: float = 200_000
    objects_s: float = 100


class Quota:
    """What one member has left of its allowance."""

    def __init__(self, allowance: Allowance, clock: Clock) -> None:
        self._allowance = allowance
        self._clock = clock
        self._at_s = clock.now_s()
        self._bytes = allowance.burst_bytes
        self._objects = allowance.burst_objects

    def wait_s(self, size: int) -> float:
        """Take an object of ``size`` bytes, and return 0; or take nothing, and return how long to wait before."""
        allowance, now_s = self._allowance, self._clock.now_s()
        passed_s, self._at_s = now_s - self._at_s, now_s
        self._bytes = min(allowance.burst_bytes, self._bytes + passed_s * allowance.bytes_s)
        self._objects = min(allowance.burst_objects, self._objects + passed_s * allowance.objects_s)
        lacking_bytes = min(size, allowance.burst_bytes) - self._bytes
        lacking_objects = min(1.0, allowance.burst_objects) - self._objects
        wait_s = max(0.0, lacking_bytes / allowance.bytes_s, lacking_objects / allowance.objects_s)
        if wait_s <= 0:
            self._bytes -= size
            self._objects -= 1
        return wait_s
