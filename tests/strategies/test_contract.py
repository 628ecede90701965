"""Every built-in strategy, with and without parameters, and the one in the documentation pass the shipped suite."""

from __future__ import annotations

import pytest

from imagiq.federation import Strategy
from imagiq.objects import JSON
from imagiq.strategies import BUILT_IN
from imagiq.testing.strategies import StrategyContract
from tests.strategies.test_own import documented

CASES: dict[str, tuple[str, dict[str, JSON]]] = {name: (name, {}) for name, _ in BUILT_IN} | {
    "fedavg with a deadline": ("fedavg", {"deadline_s": 60}),
    "fedavg with a sample": ("fedavg", {"sample": "0.5"}),
    "swarm in haste": ("swarm", {"patience_s": 1, "deadline_s": 1}),
    "one-shot with a deadline": ("one-shot", {"deadline_s": 60, "patience_s": 10}),
    "cyclic with patience": ("cyclic", {"patience_s": 10}),
    "latest-of-each with a peer": ("latest-of-each", {"peers": 1}),
    "gossip with two peers": ("gossip", {"peers": 2, "patience_s": 1}),
    "the documented one": ("", {}),
}


@pytest.mark.parametrize("case", CASES)
class TestAllStrategies(StrategyContract):
    @pytest.fixture
    def strategy(self, case: str) -> Strategy:
        name, _ = CASES[case]
        return BUILT_IN[name, 1] if name else documented()

    @pytest.fixture
    def parameters(self, case: str) -> dict[str, JSON]:
        return CASES[case][1]
