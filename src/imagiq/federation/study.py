"""Studies: one piece of joint work each, opened by a commit that states its terms and holds its first model."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from imagiq.errors import Corrupt, Misuse, Refused
from imagiq.history import Entry
from imagiq.objects import JSON, Charter, Commit, Digest, Recipe
from imagiq.objects.canonical import Fields

__all__ = ["Named", "Step", "Study", "StudyHistory", "check_permitted", "parse_study", "study_recipe"]

SITE_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Named:
    """A strategy or a task: its name, version and parameters."""

    name: str
    version: int = 1
    parameters: Mapping[str, JSON] = field(default_factory=lambda: MappingProxyType({}))

    def to_json(self) -> dict[str, JSON]:
        """Return it as it stands in a recipe."""
        return {"name": self.name, "version": self.version, "parameters": self.parameters}


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The terms of a study.

    Attributes:
        digest: The commit that opened it; its tree is the study's first model.
        title: For people.
        strategy: How the sites work together.
        task: What is learnt: a learner's name and parameters.
        steps: The budget: how many training commits each site may make.
        updates: How many optimiser updates one training commit takes.
        seed: All public randomness of the study follows from it.
        sites: Names of the sites that take part, sorted.
    """

    digest: Digest
    title: str
    strategy: Named
    task: Named
    steps: int
    updates: int
    seed: int
    sites: tuple[str, ...]


def study_recipe(
    *, title: str, strategy: Named, task: Named, steps: int, updates: int, sites: Sequence[str], seed: int
) -> Recipe:
    """Return the recipe of the commit that opens a study; see :class:`Study`.

    Raises:
        Misuse: no sites, or a budget that is not positive.
    """
    if not sites or steps < 1 or updates < 1:
        raise Misuse(
            "study-terms", "A study needs sites, and a budget of at least one step and update.", "Correct its terms."
        )
    parameters: dict[str, JSON] = {
        "title": title,
        "strategy": strategy.to_json(),
        "task": task.to_json(),
        "budget": {"steps": steps, "updates": updates},
        "sites": sorted(sites),
    }
    return Recipe("study", 1, parameters, seed)


def parse_study(commit: Commit) -> Study | None:
    """Return the study that a commit opens; None if it opens none that this version understands."""
    if (commit.recipe.name, commit.recipe.version) != ("study", 1) or commit.tree is None or commit.recipe.seed is None:
        return None
    terms = Fields(commit.recipe.parameters, "a study")
    try:
        budget = terms.object("budget")
        sites = terms.texts("sites", limit=SITE_LIMIT)
        return Study(
            digest=commit.digest,
            title=terms.text("title", limit=256),
            strategy=_named(terms.object("strategy")),
            task=_named(terms.object("task")),
            steps=budget.integer("steps", least=1),
            updates=budget.integer("updates", least=1),
            seed=commit.recipe.seed,
            sites=tuple(sorted(set(sites))),
        )
    except Corrupt:
        return None


def _named(fields: Fields) -> Named:
    return Named(fields.text("name", limit=64), fields.integer("version", least=1), fields.mapping("parameters"))


def check_permitted(study: Study, charter: Charter) -> None:
    """Check that a charter permits a study.

    Raises:
        Refused: its strategy or task is not among those allowed.
    """
    for what, name in (("strategies", study.strategy.name), ("tasks", study.task.name)):
        allowed = charter.rules.get(what)
        if isinstance(allowed, Sequence) and name not in allowed:
            raise Refused(
                "study-not-permitted",
                f"The charter does not permit '{name}'; its {what} are {', '.join(map(str, allowed))}.",
                "Choose one of these, or propose another charter.",
            )


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
    """

    commit: Commit
    height: int
    site: str
    kind: str
    progress: tuple[int, ...]

    @property
    def digest(self) -> Digest:
        """The commit's name."""
        return self.commit.digest

    @property
    def order(self) -> tuple[int, Digest]:
        """Its place in causal order: height, ties by digest."""
        return (self.height, self.commit.digest)

    @property
    def base(self) -> Digest | None:
        """What it started from."""
        return self.commit.base

    @property
    def inputs(self) -> tuple[Digest, ...]:
        """What it merged."""
        return self.commit.parents_in("input")


class StudyHistory:
    """The models of one study, indexed for decisions: its start, and the sound or tainted steps known since.

    Of two successes of one action by one site, the first in causal order counts. A commit whose parents lie outside the
    study, or that belongs to no site of it, is carried by the history and is no step. A void or contested one is a step
    only so that others can stand on it: nothing new is made from it.

    Args:
        study: The study.
        start: The entry of the commit that opened it.
    """

    def __init__(self, study: Study, start: Entry) -> None:
        self.study = study
        self._places = {site: place for place, site in enumerate(study.sites)}
        self.start = Step(start.commit, start.height, "", "start", (0,) * len(study.sites))
        self._steps: dict[Digest, Step] = {study.digest: self.start}
        self._by_action: dict[tuple[str, Digest], Step] = {}
        self._trainings: dict[str, list[Step]] = {site: [] for site in study.sites}
        self._merges: list[Step] = []
        self._trained_from: dict[Digest, list[Step]] = {}
        self._merged_into: dict[Digest, list[Step]] = {}
        self.version = 0
        """Counts the changes, so that what was computed from it can be remembered."""

    def add(self, entry: Entry, site: str, *, is_input: bool) -> None:
        """Take in an entry of this study, its author's name, and whether its state lets it be an input."""
        commit = entry.commit
        kind = commit.recipe.name
        if (kind not in {"train", "merge"} or commit.tree is None) or site not in self._places:
            return
        parents = [self._steps.get(parent.commit) for parent in commit.parents]
        if not parents or any(parent is None for parent in parents) or entry.digest in self._steps:
            return
        counts = [max(column) for column in zip(*(p.progress for p in parents if p is not None), strict=True)]
        counts[self._places[site]] += kind == "train"
        step = Step(commit, entry.height, site, kind, tuple(counts))
        self._steps[step.digest] = step
        self.version += 1
        if not is_input:
            return
        if commit.action is not None:
            first = self._by_action.get((site, commit.action))
            if first is not None and first.order < step.order:
                return
            if first is not None:
                self._drop(first)
            self._by_action[site, commit.action] = step
        self._index(step)

    def _index(self, step: Step) -> None:
        if step.kind == "train":
            insort(self._trainings[step.site], step, key=lambda s: s.order)
            if step.base is not None:
                insort(self._trained_from.setdefault(step.base, []), step, key=lambda s: s.order)
        else:
            insort(self._merges, step, key=lambda s: s.order)
            for digest in step.inputs:
                self._merged_into.setdefault(digest, []).append(step)

    def _drop(self, step: Step) -> None:
        if step.kind == "train":
            self._trainings[step.site].remove(step)
            if step.base is not None:
                self._trained_from[step.base].remove(step)
        else:
            self._merges.remove(step)
            for digest in step.inputs:
                self._merged_into[digest].remove(step)

    def get(self, digest: Digest) -> Step | None:
        """Return the step of a commit; None if it is none."""
        return self._steps.get(digest)

    def trainings(self, site: str) -> Sequence[Step]:
        """Return a site's training steps, in causal order."""
        return self._trainings.get(site, ())

    def merges(self) -> Sequence[Step]:
        """Return all merges, in causal order."""
        return self._merges

    def trained_from(self, base: Digest) -> Sequence[Step]:
        """Return the training steps that started from one model, in causal order."""
        return self._trained_from.get(base, ())

    def merged_into(self, step: Digest) -> Sequence[Step]:
        """Return the merges that have a step among their inputs, in any order."""
        return self._merged_into.get(step, ())

    def __iter__(self) -> Iterator[Step]:
        """Yield all steps, each after those that it stands on."""
        return iter(self._steps.values())

    def done(self, site: str, action: Digest) -> Step | None:
        """Return the step that is a site's success of an action, if there is one."""
        return self._by_action.get((site, action))
