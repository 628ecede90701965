"""The parameters of strategies: what each is, and a check before a study is opened.

A strategy itself takes no offence: of a signed study that somebody else opened, a parameter that cannot be read counts as
absent, at all sites alike. So what is misspelt must be told to whoever opens it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction

from imagiq.errors import Misuse
from imagiq.federation import Named
from imagiq.objects import JSON

__all__ = ["SHARE_OR_WHOLE", "SITE", "SITES", "WHOLE", "Parameter", "check", "share_of"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a parameter may be: in words, and as a test of its value, given the names of the study's sites."""

    what: str
    fits: Callable[[JSON, Collection[str]], bool]


def _is_whole(value: JSON, _: Collection[str] = ()) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _are_sites(value: JSON, sites: Collection[str]) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) and name in sites for name in value)


def share_of(value: JSON, whole: int) -> int | None:
    """Return how many of some sites a parameter asks for: a number, or a share as a decimal; None: neither.

    At least one, at most all; a share is rounded up.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return min(value, whole)
    if not isinstance(value, str) or not 0 < len(value) <= 20 or not set(value) <= set("0123456789."):
        return None
    try:
        share = Fraction(value)
    except ValueError:
        return None
    return max(1, -(-share.numerator * whole // share.denominator)) if 0 < share <= 1 else None


WHOLE = Parameter("a whole number from 1", _is_whole)
SITE = Parameter("the name of one of the study's sites", lambda value, sites: isinstance(value, str) and value in sites)
SITES = Parameter("a list of names of the study's sites", _are_sites)
SHARE_OR_WHOLE = Parameter(
    "a whole number from 1, or a share above 0.0 and up to 1.0", lambda value, _: share_of(value, 1) is not None
)


def check(strategy: Named, known: Mapping[str, Parameter], sites: Collection[str]) -> None:
    """Check the parameters of a study before it is opened.

    Args:
        strategy: The strategy, with the parameters that somebody gave.
        known: The parameters that it has.
        sites: Names of the study's sites.

    Raises:
        Misuse: the strategy has no such parameter, or its value cannot be one.
    """
    for name, value in strategy.parameters.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            there = f"Its parameters are {', '.join(sorted(known))}." if known else "It has no parameters."
            raise Misuse(
                "strategy-parameter",
                f"The strategy '{strategy.name}' has no parameter '{name}'.",
                f"Did you mean '{close[0]}'? {there}" if close else there,
            )
        if not known[name].fits(value, sites):
            raise Misuse(
                "strategy-parameter",
                f"The parameter '{name}' of the strategy '{strategy.name}' is {value!r}.",
                f"Give {known[name].what}.",
            )
