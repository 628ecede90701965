"""Leading: who merges a round that has no server, and when.

The members have an order for each round, drawn from the study's seed. A round can be merged once the quorum's training
commits are known here and either everybody's are or the deadline has passed. Then it is the first one's turn to lead;
``patience_s`` later the next one's, and so on. First-seen times are local facts, so two sites may lead at once, as after a
partition: which of their merges counts is decided by :mod:`imagiq.strategies.rounds`, for everybody alike.

A strategy sees which training commits are known. Their models are fetched by who is to lead first, as they come, and by
others when their turn comes. Who leads and lacks some of them waits for these for half of its turn, then merges what is here
if that is the quorum.

A site in trouble leads after all others and is not waited for; where the others are fewer than the quorum, all of them are
enough.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from imagiq.federation import Merge, Step, View, Wait
from imagiq.objects import Digest
from imagiq.strategies.draws import drawn
from imagiq.strategies.rounds import Round, chosen_round, inputs_of, merge_of, present_of

__all__ = ["PATIENCE_S", "Terms", "is_on_its_way", "lead", "majority", "to_lead", "when_due"]

PATIENCE_S: Final = 3600
"""How long others may be silent, if the study does not say: far more than a transfer takes, far less than a night."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """When a round is merged.

    Attributes:
        quorum: How many sites it needs.
        awaited: The sites that can give something and are not passed over.
        passed_over: The sites that are in trouble, and since when.
        deadline_s: How long after the quorum was there more is waited for.
        patience_s: How long each leader's turn is.
    """

    quorum: int
    awaited: frozenset[str]
    passed_over: Mapping[str, float]
    deadline_s: int
    patience_s: int

    @property
    def needed(self) -> int:
        """How many sites are enough."""
        return min(self.quorum, max(1, len(self.awaited))) if self.passed_over else self.quorum

    def suffice(self, given: Collection[str]) -> bool:
        """Tell whether sites are enough: the quorum, or all who are not passed over, if somebody is."""
        are_all_others = bool(self.passed_over) and bool(given) and self.awaited.issubset(given)
        return len(given) >= self.quorum or are_all_others


def majority(view: View) -> int:
    """Return on how many sites a round must stand if several may lead: more than half of the study's.

    All members, where those are fewer: a study of which half was removed goes on.
    """
    return min(len(view.study.sites) // 2 + 1, len(view.sites))


def is_on_its_way(view: View, current: Round, least_sites: int, patience_s: int) -> Wait | None:
    """Return that a higher round is known, and its model not yet here; None: there is none, or it does not come."""
    ahead = chosen_round(view.supposing_all_complete(), least_sites)
    until_s = view.seen_s(ahead.model) + patience_s
    if ahead.number > current.number and view.now_s < until_s:
        return Wait(why=f"the model of round {ahead.number}", until_s=until_s)
    return None


def when_due(view: View, given: Mapping[str, Sequence[Step]], terms: Terms) -> float | None:
    """Return since when, or from when on, a round can be merged, and so the first leader's turn begins; None: it cannot."""
    if not terms.suffice(given):
        return None
    seen = sorted(min(view.seen_s(step) for step in steps) for steps in given.values())
    due = [seen[terms.quorum - 1] + terms.deadline_s] if len(seen) >= terms.quorum else []
    if terms.awaited.issubset(given):
        due.append(max([seen[-1], *terms.passed_over.values()]))
    return min(due)


def to_lead(view: View, me: str, current: Round, given: Mapping[str, Sequence[Step]]) -> tuple[Digest, ...]:
    """Return what I shall merge of the next round, as far as it is known, if I am the first to lead it; else nothing."""
    if _leaders(view, current)[0] != me:
        return ()
    return tuple(step.digest for step in inputs_of(view, current, present_of(view, given)))


def _leaders(view: View, current: Round) -> Sequence[str]:
    """Return the members in the order in which they lead the next round."""
    order = drawn(view.sites, view.study.seed, "leader", current.number + 1)
    return sorted(order, key=view.troubled.__contains__)


def lead(view: View, me: str, current: Round, given: Mapping[str, Sequence[Step]], terms: Terms) -> Merge | Wait | None:
    """Return the merge of the next round when it is my turn, or what I wait for.

    Args:
        view: What I see.
        me: My name.
        current: The round before.
        given: What each site has given, as far as it is known: what counts most first.
        terms: When a round is merged.

    Returns:
        None below the quorum, and when all have had their turn in vain.
    """
    due_s = when_due(view, given, terms)
    if due_s is None:
        return None
    leaders = _leaders(view, current)
    my_turn_s = due_s + terms.patience_s * leaders.index(me)
    if view.now_s < my_turn_s:
        why = f"round {current.number + 1}, which {leaders[0]} should merge"
        return Wait(why=why, until_s=my_turn_s, meanwhile=to_lead(view, me, current, given))
    present = present_of(view, given)
    is_all_here = all(view.usable(steps[0]) for steps in given.values())
    if not is_all_here and view.now_s < (until_s := my_turn_s + terms.patience_s / 2):
        return Wait(why=f"the models of round {current.number + 1}", until_s=until_s)
    if terms.suffice([step.site for step in present]) and isinstance(
        merge := merge_of(view, me, current, present), Merge
    ):
        return merge
    over_s = due_s + terms.patience_s * len(leaders)
    return Wait(why=f"another leader of round {current.number + 1}", until_s=over_s) if view.now_s < over_s else None
