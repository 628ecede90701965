"""How a simulated federation begins: keys from the seed, a charter that says that it is simulated, a first model."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from imagiq.errors import Refused
from imagiq.keys import FeedKey, SiteKey
from imagiq.learning import Cases, Initial
from imagiq.merging import schema_of
from imagiq.objects import Charter, Member, Schema
from imagiq.simulation.scenario import Scenario

__all__ = ["SiteCases", "charter_of", "feed_key", "key_seed", "schema_for", "site_key"]

UNNAMED = re.compile(r"feature-\d+")
"""What a learner calls a channel when it does not know what it will be given."""


@dataclass(frozen=True, kw_only=True)
class SiteCases:
    """The cases of a simulated site.

    Attributes:
        training: To train on.
        held_back: Never trained on.
        columns: What each feature of a case is, in order; empty: not told.
        dropped: How many cases were left out because of a gap.
        warnings: What may make results at this site worthless, one sentence each.
        is_unseen: Whether the site takes no part: every model is tried on its held-back cases, and nothing else.
        is_shareable: Whether its images may be shown to anybody, such as those of phantoms.
    """

    training: Cases
    held_back: Cases
    columns: tuple[str, ...] = ()
    dropped: int = 0
    warnings: tuple[str, ...] = ()
    is_unseen: bool = False
    is_shareable: bool = False


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


def schema_for(initial: Initial, site: str, cases: SiteCases) -> Schema:
    """Return the schema that a site's cases ask for: where the learner does not name its channels, the columns do.

    Raises:
        Refused: the site has another number of columns than the model.
    """
    channels = initial.channels
    if cases.columns and all(map(UNNAMED.fullmatch, channels)):
        if len(channels) != len(cases.columns):
            raise Refused(
                "cases-columns",
                f"The cases of '{site}' have {len(cases.columns)} columns, the model takes {len(channels)}.",
                f"Tell the learner that there are {len(cases.columns)}, or choose other columns.",
            )
        channels = cases.columns
    return Schema(
        groups=schema_of(initial.weights).groups,
        architecture=initial.architecture,
        channels=channels,
        labels=initial.labels,
        preprocessing=initial.preprocessing,
    )
