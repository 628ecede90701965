"""The steps of a study: its models, indexed for decisions."""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar, cast

from imagiq.federation.study import Study
from imagiq.history import Entry
from imagiq.objects import Commit, Digest

__all__ = ["WEIGHT_LIMIT", "Step", "StudyHistory"]

WEIGHT_LIMIT: Final = 2**31
"""Below this lies the number of cases of a training commit that can be an input: merges weigh with it."""

Folded = TypeVar("Folded")


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A commit of a study that holds a model.

    Attributes:
        commit: The commit.
        height: Its causal height.
        site: Its author's name.
        kind: "start", "train" or "merge".
        progress: For each site of the study, in order, on how many of its training commits this model stands, itself
            included; counted along the longest line.
        base: What it started from.
        inputs: What it merged, sorted.
    """

    commit: Commit
    height: int
    site: str
    kind: str
    progress: tuple[int, ...]
    base: Digest | None = None
    inputs: tuple[Digest, ...] = ()

    @property
    def digest(self) -> Digest:
        """The commit's name."""
        return self.commit.digest

    @property
    def order(self) -> tuple[int, Digest]:
        """Its place in causal order: height, ties by digest."""
        return (self.height, self.commit.digest)

    @property
    def weight(self) -> int:
        """What it weighs in a merge: its number of cases; 1 if it does not say."""
        return 1 if self.commit.cases is None else self.commit.cases


def _order(step: Step) -> tuple[int, Digest]:
    return step.order


class StudyHistory:
    """The models of one study, indexed for decisions: its start, and the steps known since.

    A commit whose parents lie outside the study, that belongs to no site of it, or that has not the form of its recipe
    is carried by the history and is no step. A void or contested one is a step only so that others can stand on it:
    nothing new is made from it. So is a training commit beyond its site's budget, or whose number of cases cannot be a
    weight. Of two successes of one action by one site, the first in causal order counts; the other is kept like a void
    one.

    Args:
        study: The study.
        start: The entry of the commit that opened it.
        made: The steps that were made before, by their commits. A step follows from its commit alone, so the sites of a
            simulation share them; None: nobody does.
    """

    def __init__(self, study: Study, start: Entry, made: dict[Digest, Step] | None = None) -> None:
        self.study = study
        self._made = made
        self._places = {site: place for place, site in enumerate(study.sites)}
        self.start = Step(start.commit, start.height, "", "start", (0,) * len(study.sites))
        self._steps: dict[Digest, Step] = {study.digest: self.start}
        self._inputs: set[Digest] = set()
        self._by_action: dict[tuple[str, Digest], list[Step]] = {}
        self._trainings: dict[str, list[Step]] = {site: [] for site in study.sites}
        self._merges: list[Step] = []
        self._merges_by: dict[str, list[Step]] = {site: [] for site in study.sites}
        self._trained_from: dict[Digest, list[Step]] = {}
        self._merged_into: dict[Digest, list[Step]] = {}
        self._trouble: dict[str, Entry] = {}
        self._progress = [0] * len(study.sites)
        self._folded: dict[Hashable, tuple[int, object]] = {}
        self.version = 0
        """Counts the changes, so that what was computed from it can be remembered."""

    def add(self, entry: Entry, site: str, *, is_input: bool) -> None:
        """Take in an entry of this study, its author's name, and whether its state lets it be an input.

        Entries come after those that they name, as they stand in a history.
        """
        commit = entry.commit
        if commit.tree is None or site not in self._places or entry.digest in self._steps or not _has_form(commit):
            return
        parents = [self._steps.get(parent.commit) for parent in commit.parents]
        if any(parent is None for parent in parents):
            return
        made = None if self._made is None else self._made.get(entry.digest)
        step = made or self._make(entry, site, [p.progress for p in parents if p is not None])
        self._steps[step.digest] = step
        self.version += 1
        if is_input:
            self._let_in(step)

    def _make(self, entry: Entry, site: str, before: Sequence[tuple[int, ...]]) -> Step:
        commit, kind = entry.commit, entry.commit.recipe.name
        counts = [max(column) for column in zip(*before, strict=True)]
        counts[self._places[site]] += kind == "train"
        step = Step(commit, entry.height, site, kind, tuple(counts), commit.base, commit.parents_in("input"))
        if self._made is not None:
            self._made[step.digest] = step
        return step

    def add_trouble(self, entry: Entry, site: str) -> None:
        """Take in that a site tells of work in this study which fails again and again; who is no site of it is not heard.

        It counts also where its feed is contested: who contests its own feed must not undo what others made without it.
        """
        before = self._trouble.get(site)
        if site in self._places and (before is None or before.order < entry.order):
            self._trouble[site] = entry
            self.version += 1

    def judge(self, digest: Digest, *, is_input: bool) -> None:
        """Take into account that the state of a commit has changed; one that is no step is ignored."""
        step = self._steps.get(digest)
        if step is None or step is self.start:
            return
        if is_input:
            self._let_in(step)
        else:
            self._take_out(step)

    def _let_in(self, step: Step) -> None:
        within_budget = step.progress[self._places[step.site]] <= self.study.steps
        if step.kind == "train" and not (within_budget and 0 < step.weight < WEIGHT_LIMIT):
            return
        successes = self._successes(step)
        if step in successes:
            return
        before = successes[0] if successes else None
        insort(successes, step, key=_order)
        self._count_first(before, successes[0])

    def _take_out(self, step: Step) -> None:
        successes = self._successes(step)
        if step not in successes:
            return
        before = successes[0]
        successes.remove(step)
        self._count_first(before, successes[0] if successes else None)

    def _successes(self, step: Step) -> list[Step]:
        """Return the successes of a step's action that can be inputs, the first one first; without an action: itself."""
        if step.commit.action is None:
            return [step] if step.digest in self._inputs else []
        return self._by_action.setdefault((step.site, step.commit.action), [])

    def _count_first(self, before: Step | None, now: Step | None) -> None:
        if before is now:
            return
        self.version += 1
        if before is not None:
            self._inputs.discard(before.digest)
            for steps in self._indexes_of(before):
                steps.remove(before)
            place = self._places[before.site]
            self._progress[place] = max((step.progress[place] for step in self._trainings[before.site]), default=0)
        if now is not None:
            self._inputs.add(now.digest)
            for steps in self._indexes_of(now):
                insort(steps, now, key=_order)
            if now.kind == "train":
                place = self._places[now.site]
                self._progress[place] = max(self._progress[place], now.progress[place])

    def _indexes_of(self, step: Step) -> Iterator[list[Step]]:
        if step.kind == "train":
            yield self._trainings[step.site]
            if step.base is not None:
                yield self._trained_from.setdefault(step.base, [])
        else:
            yield self._merges
            yield self._merges_by[step.site]
            for digest in step.inputs:
                yield self._merged_into.setdefault(digest, [])

    def get(self, digest: Digest) -> Step | None:
        """Return the step of a commit; None if it is none."""
        return self._steps.get(digest)

    def is_input(self, step: Step) -> bool:
        """Tell whether something new may be made from a step: it is sound or tainted, and the first of its action."""
        return step.digest in self._inputs or step is self.start

    @property
    def progress(self) -> Sequence[int]:
        """How many training commits the study holds of each of its sites, in order, along the longest line."""
        return self._progress

    def trainings(self, site: str) -> Sequence[Step]:
        """Return a site's training steps, in causal order."""
        return self._trainings.get(site, ())

    def merges(self) -> Sequence[Step]:
        """Return all merges, in causal order."""
        return self._merges

    def merges_by(self, site: str) -> Sequence[Step]:
        """Return a site's merges, in causal order."""
        return self._merges_by.get(site, ())

    def trained_from(self, base: Digest) -> Sequence[Step]:
        """Return the training steps that started from one model, in causal order."""
        return self._trained_from.get(base, ())

    def trouble(self, site: str) -> Digest | None:
        """Return the commit in which a site last told of work that fails; None: it never has."""
        told = self._trouble.get(site)
        return None if told is None else told.digest

    def made_before_trouble(self, site: str) -> int | None:
        """Return after how many of its training steps a site last told of work that fails; None: it never has.

        It can only grow as more becomes known, unless a training step turns out to be no input.
        """
        told = self._trouble.get(site)
        return None if told is None else bisect(self._trainings[site], told.order, key=_order)

    def merged_into(self, step: Digest) -> Sequence[Step]:
        """Return the merges that have a step among their inputs, in causal order."""
        return self._merged_into.get(step, ())

    def __iter__(self) -> Iterator[Step]:
        """Yield all steps, each after those that it stands on; also those that are no inputs."""
        return iter(self._steps.values())

    def done(self, site: str, action: Digest) -> Step | None:
        """Return the step that is a site's success of an action, if there is one."""
        return next(iter(self._by_action.get((site, action), ())), None)

    def fold(self, key: Hashable, begin: Callable[[], Folded], take: Callable[[Folded, Step], None]) -> Folded:
        """Return what came of showing each step to ``take``, once, after those that it stands on.

        It goes on where it stopped before, so that a decision does not look at the whole study again. What ``take``
        makes of a step must follow from the step and from those that it stands on: not from the order of others, nor
        from whether something may be an input, which changes. Steps of all states are shown.

        Args:
            key: Names the fold; the same key goes with the same functions.
            begin: Makes the value to begin with.
            take: Changes the value by one step.
        """
        shown, value = self._folded.get(key) or (0, begin())
        folded = cast("Folded", value)
        unseen = list(islice(reversed(self._steps.values()), len(self._steps) - shown))
        for step in reversed(unseen):
            take(folded, step)
        self._folded[key] = (len(self._steps), folded)
        return folded


def _has_form(commit: Commit) -> bool:
    """Tell whether a commit has the form of a recipe that this version knows: training from one model, or a merge."""
    roles = [parent.role for parent in commit.parents]
    if (commit.recipe.name, commit.recipe.version) == ("train", 1):
        return roles.count("base") == 1 and "input" not in roles
    return (commit.recipe.name, commit.recipe.version) == ("merge", 1) and "input" in roles and roles.count("base") <= 1
