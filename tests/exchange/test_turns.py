"""A newcomer learns a long history of many feeds in one visit, and little of it has to wait on the way."""

from __future__ import annotations

from itertools import islice

import pytest

from benchmarks.budgets.federation import found
from benchmarks.budgets.long_history import Feeds, commits_of
from imagiq.bench import Bench, Limits
from imagiq.clock import VirtualClock
from imagiq.exchange import BenchPeer, pull
from imagiq.store import MemoryStore


@pytest.mark.parametrize("strategy", ["latest-of-each", "fedavg", "incremental"])
def test_a_long_history_needs_no_more_waiting_room_than_there_are_feeds(strategy: str) -> None:
    federation = found(6)
    written = Bench(MemoryStore(), federation.charter, clock=VirtualClock())
    written.admit([vote.raw for vote in federation.votes], "founding")
    written.admit((commit.raw for commit in islice(commits_of(strategy, Feeds(federation)), 400)), "all")
    assert len(written.history) == 406
    newcomer = Bench(
        MemoryStore(),
        federation.charter,
        clock=VirtualClock(),
        limits=Limits(waiting_commits=2 * 6),
        checks=written.checks,
    )
    assert pull(newcomer, BenchPeer("all", written)) == 406
    assert len(newcomer.waiting) == 0
