"""A site's own policy: which studies it takes part in, decided by its owner's rules and word. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from imagiq.federation.study import Study

__all__ = ["Answer", "Policy", "Rule", "answer_to"]


class Answer(Enum):
    """What a site says to a study."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    ASK = "ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """An answer for the studies that it fits. What is left empty fits all.

    Attributes:
        answer: What the site says.
        strategies: Names of strategies.
        tasks: Names of tasks' learners.
        openers: Names of the sites that open studies.
        code: Versions of what would run here, such as ``imagiq 0.3.0``.
    """

    answer: Answer
    strategies: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    openers: tuple[str, ...] = ()
    code: tuple[str, ...] = ()

    def fits(self, study: Study, opener: str, code: Collection[str]) -> bool:
        """Tell whether the rule is about a study."""
        given = (
            (self.strategies, {study.strategy.name}),
            (self.tasks, {study.task.name}),
            (self.openers, {opener}),
            (self.code, set(code)),
        )
        return all(not wanted or found <= set(wanted) for wanted, found in given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Rules, of which the first that fits counts.

    Attributes:
        rules: In order.
        otherwise: The answer where none fits.
    """

    rules: tuple[Rule, ...] = ()
    otherwise: Answer = Answer.ASK


def answer_to(
    study: Study,
    policy: Policy,
    *,
    opener: str,
    code: Collection[str],
    approved_code: Collection[str],
    said: Answer | None = None,
) -> Answer:
    """Return what a site says to a study.

    The owner's word about the very study comes first. Else the policy's rules speak; but a version of code that never ran
    here waits for the owner, whatever the rules accept.

    Args:
        study: The study.
        policy: The rules.
        opener: The site that opened it.
        code: The versions of all code that the study would run here.
        approved_code: The versions that the owner has let run.
        said: What the owner has said about this study; None: nothing.
    """
    if said is Answer.REFUSE:
        return said
    fitting = (rule.answer for rule in policy.rules if rule.fits(study, opener, code))
    by_rule = next(fitting, policy.otherwise)
    answer = said if said is Answer.ACCEPT else by_rule
    if answer is Answer.ACCEPT and not set(code) <= set(approved_code):
        return Answer.ASK
    return answer
