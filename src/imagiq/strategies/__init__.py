"""Strategies: pure functions that look at a study and say what a site should do next."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from imagiq.federation import Named, Strategy
from imagiq.strategies import cyclic, fedavg, gossip, latest_of_each, local, one_shot, parameters, swarm
from imagiq.strategies.parameters import Parameter

__all__ = ["BUILT_IN", "PARAMETERS", "check_parameters"]

BUILT_IN: Mapping[tuple[str, int], Strategy] = MappingProxyType(
    {
        ("local", 1): local.decide,
        ("one-shot", 1): one_shot.decide,
        ("fedavg", 1): fedavg.decide,
        ("swarm", 1): swarm.decide,
        ("cyclic", 1): cyclic.decide_cyclic,
        ("incremental", 1): cyclic.decide_incremental,
        ("latest-of-each", 1): latest_of_each.decide,
        ("gossip", 1): gossip.decide,
    }
)
"""Every strategy that imagiq brings, by name and version."""

PARAMETERS: Mapping[tuple[str, int], Mapping[str, Parameter]] = MappingProxyType(
    {
        ("local", 1): {},
        ("one-shot", 1): one_shot.PARAMETERS,
        ("fedavg", 1): fedavg.PARAMETERS,
        ("swarm", 1): swarm.PARAMETERS,
        ("cyclic", 1): cyclic.PARAMETERS,
        ("incremental", 1): cyclic.PARAMETERS,
        ("latest-of-each", 1): latest_of_each.PARAMETERS,
        ("gossip", 1): gossip.PARAMETERS,
    }
)
"""The parameters of each."""


def check_parameters(strategy: Named, sites: Collection[str]) -> None:
    """Check the parameters of a study before it is opened; those of a strategy that is not built in are its author's.

    Args:
        strategy: The strategy, with its parameters.
        sites: Names of the study's sites.

    Raises:
        Misuse: the strategy has no such parameter, or its value cannot be one.
    """
    known = PARAMETERS.get((strategy.name, strategy.version))
    if known is not None:
        parameters.check(strategy, known, sites)
