"""How a simulated federation begins: keys from the seed, a charter that says that it is simulated, a first model."""

from __future__ import annotations

import hashlib

from imagiq.keys import FeedKey, SiteKey
from imagiq.objects import Charter, Member
from imagiq.simulation.scenario import Scenario
from imagiq.site.sources import SiteCases

__all__ = ["SiteCases", "charter_of", "feed_key", "key_seed", "site_key"]


def key_seed(seed: int, purpose: str) -> bytes:
    """Return the 32 bytes that a simulated key is made from."""
    return hashlib.sha256(f"imagiq simulated key\n{seed}\n{purpose}".encode()).digest()


def site_key(scenario: Scenario, name: str) -> SiteKey:
    """Return a simulated site's key."""
    return SiteKey(key_seed(scenario.seed, f"site {name}"))


def feed_key(scenario: Scenario, name: str, number: int) -> FeedKey:
    """Return the key of a simulated site's feed, by the number of its certificate."""
    return FeedKey(key_seed(scenario.seed, f"feed {name} {number}"))


def charter_of(scenario: Scenario) -> Charter:
    """Return the founding charter: every site is a member and votes."""
    names = sorted(site.name for site in scenario.sites)
    keys = {name: site_key(scenario, name) for name in names}
    return Charter(
        title=scenario.title,
        members=tuple(Member(name, keys[name].public, keys[name].exchange_public) for name in names),
        voters=tuple(names),
        rules={**scenario.rules, "simulated": True},
    )
