"""Studies at a site: the first model that a study is opened with."""

from __future__ import annotations

import re

from imagiq.errors import Refused
from imagiq.learning import Initial
from imagiq.merging import schema_of
from imagiq.objects import Schema
from imagiq.site.sources import SiteCases

__all__ = ["schema_for"]

UNNAMED = re.compile(r"feature-\d+")
"""What a learner calls a channel when it does not know what it will be given."""


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
