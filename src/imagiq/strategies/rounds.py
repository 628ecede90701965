"""Rounds: which merges are valid, which is chosen, and what came late. A function of the known steps.

A site's turn is what it trains from one round: a training commit whose base is that round, and those in which it trained
on from this one by itself. A merge of round r is valid if its base is the study's start (r = 1) or a valid merge of round
r - 1; if it has, of enough sites, one training commit each of their turn from that base; if whatever else it has is late:
one training commit of a turn that no merge on its chain of bases has taken in; and if it weighs each by its number of
cases. Chosen is the valid merge of the highest round; among equals more sites, then the lower digest; its bases are the
chosen chain. Of a turn the furthest commit is merged, among equals the first.

Enough sites are as many as the study's strategy asks for. Where sites are in trouble, that is, have told of work that
fails again and again, all others are enough, however few. Here "in trouble" follows from the history alone: a site is,
for a round, if it told of trouble after all of its training that the round's base stands on; whether it has trained
since shows in the bases of later rounds. So a round that was valid stays so when a site comes back. Who tells of trouble
without having any makes itself dispensable, and nobody else: the others are still all needed.

A void or contested merge is never chosen, but stays a link: one that others built on it in good faith is valid, or who
contests its own feed could throw away everybody's work.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from imagiq.federation import Merge, Step, View, Wait
from imagiq.objects import Digest

__all__ = [
    "Round",
    "chosen_round",
    "contributions",
    "inputs_of",
    "late_steps",
    "merge_of",
    "passed_over",
    "present_of",
    "turn_of",
]

INPUT_LIMIT = 1000
"""So many models fit into one merge; what is left over is an input of the next."""

_Turn: TypeAlias = tuple[str, Digest]
"""A site, and the model that its turn began from: of one turn, only one training commit counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """A valid merge, or the study's start, which is round 0.

    Attributes:
        number: The round.
        model: The merge.
        given: The sites that gave what was trained from its base.
        fewest: The least number of sites in any round of its chain.
        before: The round that it stands on.
    """

    number: int
    model: Step
    given: frozenset[str]
    fewest: int
    before: Round | None

    @property
    def sites(self) -> int:
        """How many sites it stands on."""
        return len(self.given)


@dataclass(slots=True)
class _Rounds:
    """What is known of a study's rounds; grows step by step."""

    by_digest: dict[Digest, Round] = field(default_factory=dict)
    by_number: list[list[Round]] = field(default_factory=list)
    takers: dict[_Turn, list[Round]] = field(default_factory=dict)
    trained: dict[Digest, tuple[Step, _Turn]] = field(default_factory=dict)
    turns: dict[_Turn, list[Step]] = field(default_factory=dict)
    untaken: dict[_Turn, None] = field(default_factory=dict)

    def take(self, step: Step) -> None:
        """Take in a step after those that it stands on."""
        if step.kind == "train":
            turn = self._turn_of(step)
            self.trained[step.digest] = (step, turn)
            if turn not in self.turns:
                self.turns[turn] = []
                self.untaken[turn] = None
            insort(self.turns[turn], step, key=_furthest_first)
        elif step.kind == "start":
            self._add(Round(0, step, frozenset(), 2**31, None))
        elif (found := self._round_of(step)) is not None:
            self._add(found)
            for turn in self.turns_in(found):
                self.untaken.pop(turn, None)
                self.takers.setdefault(turn, []).append(found)

    def turns_in(self, merged: Round) -> list[_Turn]:
        """Return the turns of what a round has merged."""
        return [self.trained[digest][1] for digest in merged.model.inputs]

    def _turn_of(self, step: Step) -> _Turn:
        base = step.base or step.digest
        before = self.trained.get(base)
        return before[1] if before is not None and before[0].site == step.site else (step.site, base)

    def _add(self, found: Round) -> None:
        self.by_digest[found.model.digest] = found
        if found.number == len(self.by_number):
            self.by_number.append([])
        self.by_number[found.number].append(found)

    def _round_of(self, merge: Step) -> Round | None:
        start = merge.base
        base = self.by_digest.get(start) if start is not None else None
        found = [self.trained.get(digest) for digest in merge.inputs]
        trained = [one for one in found if one is not None]
        if base is None or len(trained) != len(found):
            return None
        turns = {turn for _, turn in trained}
        weights = merge.commit.recipe.parameters.get("weights")
        if len(turns) != len(trained) or weights != [step.weight for step, _ in trained]:
            return None
        late = [turn for turn in turns if turn[1] != start]
        if any(self.is_taken(turn, base) for turn in late):
            return None
        given = frozenset(site for site, began in turns if began == start)
        return Round(base.number + 1, merge, given, min(len(given), base.fewest), base)

    def is_taken(self, turn: _Turn, head: Round) -> bool:
        """Tell whether a chain has taken in a turn; so it is treated where the turn did not begin from a round."""
        if turn[1] not in self.by_digest:
            return True
        takers = self.takers.get(turn)
        if not takers:
            return False
        lowest = min(taker.number for taker in takers)
        at: Round | None = head
        while at is not None and at.number >= lowest:
            if at in takers:
                return True
            at = at.before
        return False


def _furthest_first(step: Step) -> tuple[int, int, Digest]:
    """Sort what is of one turn; the others of whom a model of it stands on are the same for all."""
    return (-sum(step.progress), *step.order)


def _rounds(view: View) -> _Rounds:
    return view.steps.fold("rounds", _Rounds, _Rounds.take)


def chosen_round(view: View, least_sites: int) -> Round:
    """Return the valid merge of the highest round that is usable here and stands on enough sites in each round."""
    for rounds in reversed(_rounds(view).by_number[1:]):
        usable = [
            r for r in rounds if view.usable(r.model) and view.steps.is_input(r.model) and _stands(view, r, least_sites)
        ]
        if usable:
            return min(usable, key=lambda found: (-found.sites, found.model.digest))
    return _rounds(view).by_digest[view.start.digest]


def _stands(view: View, found: Round, least_sites: int) -> bool:
    """Tell whether each round of a chain stands on enough sites."""
    at = found
    while at.fewest < least_sites and at.before is not None:
        if at.sites < least_sites and not _has_all_others(view, at.before, at.given):
            return False
        at = at.before
    return True


def _has_all_others(view: View, base: Round, given: Collection[str]) -> bool:
    """Tell whether all have given who could and were not in trouble, and somebody was."""
    able = [site for site in view.sites if view.may_train(site, base.model)]
    others = [site for site in able if not _told_since(view, site, base)]
    return bool(given) and len(others) < len(able) and set(others) <= set(given)


def _told_since(view: View, site: str, base: Round) -> bool:
    """Tell whether a site told of trouble after all of its training that a round stands on."""
    made = view.steps.made_before_trouble(site)
    return made is not None and made >= base.model.progress[view.study.sites.index(site)]


def passed_over(view: View, me: str, current: Round, given: Collection[str]) -> Mapping[str, float]:
    """Return who is not waited for in a round, and since when: it is in trouble and has not given. I am not, and try again."""
    return {
        site: since_s
        for site, since_s in view.troubled.items()
        if site != me and site not in given and _told_since(view, site, current)
    }


def late_steps(view: View, current: Round) -> list[Step]:
    """Return what is usable of the turns that earlier rounds left out and that no later one has taken in, in causal order.

    Of a site's turn, only one training commit counts.
    """
    rounds = _rounds(view)
    late = [
        next((step for step in rounds.turns[turn] if view.usable(step) and view.steps.is_input(step)), None)
        for turn in dict.fromkeys(_left_out(rounds, current))
        if turn[1] != current.model.digest and turn[0] in view.sites and not rounds.is_taken(turn, current)
    ]
    return sorted((step for step in late if step is not None), key=lambda step: step.order)


def turn_of(view: View, current: Round, site: str) -> Iterator[Step]:
    """Yield what a site has made of a round, as far as it is known and nothing speaks against it, the furthest first."""
    for step in _rounds(view).turns.get((site, current.model.digest), ()):
        if view.steps.is_input(step) and step.digest not in view.set_aside:
            yield step


def contributions(view: View, current: Round) -> Mapping[str, Sequence[Step]]:
    """Return what each member has made of a round; see :func:`turn_of`. The first of each that is here counts."""
    found = {site: list(turn_of(view, current, site)) for site in view.sites}
    return {site: steps for site, steps in found.items() if steps}


def present_of(view: View, given: Mapping[str, Sequence[Step]]) -> list[Step]:
    """Return one usable step of each site that has given one: the first; see :func:`contributions`."""
    usable = (next(filter(view.usable, given[site]), None) for site in sorted(given))
    return [step for step in usable if step is not None]


def inputs_of(view: View, current: Round, present: Sequence[Step]) -> Sequence[Step]:
    """Return what the merge of a round takes in, as far as it is known: what is present of it, and what came late."""
    return [*present, *late_steps(view, current)][: max(INPUT_LIMIT, len(present))]


def merge_of(view: View, me: str, current: Round, present: Sequence[Step]) -> Merge | Wait:
    """Return the merge of a round, with what came late; or that I have made it and it cannot be used here.

    Args:
        view: What I see.
        me: My name.
        current: The round before.
        present: What is merged of it, one usable step of each site.
    """
    inputs = inputs_of(view, current, present)
    merge = Merge(base=current.model.digest, inputs=tuple(sorted((step.digest, step.weight) for step in inputs)))
    alike = view.steps.merged_into(merge.inputs[0][0])
    if any(known.site == me and known.commit.parents == merge.parents for known in alike):
        return Wait(why="the merge of this round: it cannot be used here")
    return merge


def _left_out(rounds: _Rounds, current: Round) -> Iterator[_Turn]:
    """Yield the turns that no merge has taken in, and those that only merges beside the chosen chain have."""
    yield from rounds.untaken
    chain: set[Digest] = set()
    at: Round | None = current
    while at is not None:
        chain.add(at.model.digest)
        at = at.before
    for digest, found in rounds.by_digest.items():
        if digest not in chain:
            yield from rounds.turns_in(found)
