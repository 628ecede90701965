"""The only room that tells time. Everybody else is handed a :class:`Clock`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "SystemClock", "VirtualClock"]


class Clock(Protocol):
    """Where the time comes from.

    Contract: :meth:`now_s` never runs backwards within a process and is good for durations and waiting only;
    :meth:`utc` is for people only. Nothing in a history is ordered or valid by either.
    """

    def now_s(self) -> float:
        """Return seconds since some fixed moment."""

    def utc(self) -> str:
        """Return the date and time of day in UTC, such as ``2026-11-21T08:53:03Z``."""


def _utc(seconds_since_epoch: float) -> str:
    return datetime.fromtimestamp(seconds_since_epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class SystemClock:
    """The machine's own clocks."""

    def now_s(self) -> float:
        """Return the machine's monotonic clock."""
        return time.monotonic()

    def utc(self) -> str:
        """Return the machine's time of day."""
        return _utc(time.time())


class VirtualClock:
    """A clock that a simulation sets; it starts at 2000-01-01T00:00:00Z and goes only forwards."""

    START_EPOCH_S = 946_684_800.0

    def __init__(self) -> None:
        self._now_s = 0.0

    def now_s(self) -> float:
        """Return the virtual seconds since the simulation began."""
        return self._now_s

    def utc(self) -> str:
        """Return the virtual time of day."""
        return _utc(self.START_EPOCH_S + self._now_s)

    def advance_to(self, now_s: float) -> None:
        """Set the clock forward to ``now_s``; an earlier moment leaves it as it is."""
        self._now_s = max(self._now_s, now_s)
