"""Strategies: pure functions that look at a study and say what a site should do next."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from imagiq.federation import Strategy
from imagiq.strategies import cyclic, fedavg, latest_of_each, local

__all__ = ["BUILT_IN"]

BUILT_IN: Mapping[tuple[str, int], Strategy] = MappingProxyType(
    {
        ("local", 1): local.decide,
        ("fedavg", 1): fedavg.decide,
        ("cyclic", 1): cyclic.decide_cyclic,
        ("incremental", 1): cyclic.decide_incremental,
        ("latest-of-each", 1): latest_of_each.decide,
    }
)
"""Every strategy that imagiq brings, by name and version."""
