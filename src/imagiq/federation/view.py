"""View and Action: what a strategy looks at, and what it answers. Equal view, equal action."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias, TypeVar

from imagiq.federation.steps import Step, StudyHistory
from imagiq.federation.study import Study
from imagiq.objects import Digest, Parent, Recipe, decimal, digest_of, encode

__all__ = ["Action", "Evaluate", "Finished", "Merge", "Strategy", "Train", "View", "Wait", "Work", "identity"]

Computed = TypeVar("Computed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """Train from a model.

    Attributes:
        base: The model to start from.
        step: How many training commits this one's site will then have made, from 1.
        progress: How far the study is, from 0 to 1; learning rates follow it, never a site's own clock.
        until: How far it will be when this training ends, as far as can be foreseen; None: it cannot. It follows from
            the rest and the study's terms, and so is not recorded.
    """

    base: Digest
    step: int
    progress: float
    until: float | None = field(default=None, compare=False)

    @property
    def parents(self) -> tuple[Parent, ...]:
        """The parents of the commit to come."""
        return (Parent("base", self.base),)

    def recipe(self, study: Study, me: str) -> Recipe:
        """Return the recipe of the commit to come. Its seed follows from the study's seed, the site's name, the step."""
        text = f"imagiq train seed\n{study.seed}\n{me}\n{self.step}"
        seed = int(digest_of(text.encode())[:12], 16)
        return Recipe(
            "train", 1, {"step": self.step, "updates": study.updates, "progress": decimal(self.progress)}, seed
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """Merge models by their weighted mean.

    Attributes:
        inputs: The models and their weights, positive integers.
        base: What the merge starts from, where the strategy has such a thing: the round before.
    """

    inputs: tuple[tuple[Digest, int], ...]
    base: Digest | None = None

    @property
    def parents(self) -> tuple[Parent, ...]:
        """The parents of the commit to come, sorted."""
        base = () if self.base is None else (Parent("base", self.base),)
        return tuple(sorted((*base, *(Parent("input", digest) for digest, _ in self.inputs))))

    def recipe(self, study: Study, me: str) -> Recipe:  # noqa: ARG002 - every work's recipe is asked for alike
        """Return the recipe of the commit to come; the weights stand in the order of the sorted inputs."""
        return Recipe("merge", 1, {"rule": "mean", "weights": [weight for _, weight in sorted(self.inputs)]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate:
    """Measure a model on the site's own held-back cases."""

    model: Digest

    @property
    def parents(self) -> tuple[Parent, ...]:
        """The parents of the commit to come."""
        return (Parent("input", self.model),)

    def recipe(self, study: Study, me: str) -> Recipe:  # noqa: ARG002 - every work's recipe is asked for alike
        """Return the recipe of the commit to come."""
        return Recipe("evaluate", 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Do nothing until the view changes, or until ``until_s`` on the site's clock.

    ``meanwhile``: commits whose models will be needed then, as far as they are known; they are fetched at once.
    """

    why: str
    until_s: float | None = None
    meanwhile: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Nothing is left to do in the study unless others bring news. ``model``: what came of it for this site."""

    model: Digest


Work: TypeAlias = Train | Merge | Evaluate
Action: TypeAlias = Work | Wait | Finished


class Strategy(Protocol):
    """How a site decides what to do next in a study.

    Contract: pure. It reads nothing but ``view`` and ``me``, does no I/O, tells no time, draws no randomness and keeps
    nothing between calls; equal views give equal actions. ``me`` is one of ``view.sites``. It is called whenever the
    view changes or the moment comes that a :class:`Wait` named, and must come to an end: an action that it answers is
    never answered again once it has succeeded (the success is in the view).
    """

    def __call__(self, view: View, me: str) -> Action:
        """Return what the site called ``me`` should do."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What a site can see of a study: the shared history, and local facts.

    Attributes:
        study: The study's terms.
        steps: Its models.
        members: Names of the sites in the ruling charter.
        now_s: The site's clock.
        first_seen_s: When each commit came here, on the same clock.
        complete: The commits whose blobs are here, verified and past the gate; None: suppose that all are.
        set_aside: Commits that the gate or a recomputation refused.
        failed: Own actions that failed, by identity, and until when they are not tried again.
    """

    study: Study
    steps: StudyHistory
    members: frozenset[str]
    now_s: float = 0.0
    first_seen_s: Mapping[Digest, float] = field(default_factory=dict)
    complete: Container[Digest] | None = None
    set_aside: Container[Digest] = frozenset()
    failed: Mapping[Digest, float] = field(default_factory=dict)
    memory: dict[Hashable, object] = field(default_factory=dict, compare=False, repr=False)

    def supposing_all_complete(self) -> View:
        """Return the view that there would be if all blobs were here; what it leads to is worth fetching."""
        return replace(self, complete=None)

    def usable(self, step: Step) -> bool:
        """Tell whether a model is here and nothing speaks against it."""
        return (self.complete is None or step.digest in self.complete) and step.digest not in self.set_aside

    @property
    def start(self) -> Step:
        """The study's first model."""
        return self.steps.start

    @property
    def sites(self) -> tuple[str, ...]:
        """The study's sites that are members now, sorted."""
        return tuple(site for site in self.study.sites if site in self.members)

    @property
    def troubled(self) -> Mapping[str, float]:
        """The members in trouble, and when that became known here: they have told of work that fails, and not trained since.

        Nobody waits for them: they are passed over as long as it lasts.
        """
        told = ((site, self.steps.trouble(site)) for site in self.sites)
        return {
            site: self.first_seen_s.get(commit, 0.0)
            for site, commit in told
            if commit is not None and self.steps.made_before_trouble(site) == self.made(site)
        }

    def newest_training(self, site: str) -> Step | None:
        """Return a site's last usable training step in causal order."""
        return next(filter(self.usable, reversed(self.steps.trainings(site))), None)

    def newest_merge(self, site: str) -> Step | None:
        """Return a site's own last usable merge in causal order."""
        return next(filter(self.usable, reversed(self.steps.merges_by(site))), None)

    def made(self, site: str) -> int:
        """Return how many training commits a site has made of its budget, usable here or not."""
        return len(self.steps.trainings(site))

    def may_train(self, site: str, base: Step) -> bool:
        """Tell whether a site has budget left from a model on: a training commit beyond it would be no input."""
        return base.progress[self.study.sites.index(site)] < self.study.steps

    def has_spent(self, site: str) -> bool:
        """Tell whether a site has spent its budget, usable here or not.

        What of its commits became void may live on in what others made of them, and what it then merges counts it.
        """
        last = (*self.steps.trainings(site)[-1:], *self.steps.merges_by(site)[-1:])
        return self.made(site) >= self.study.steps or not all(self.may_train(site, step) for step in last)

    def trainings_from(self, base: Step) -> Iterator[Step]:
        """Yield the usable training steps that started from a model."""
        return filter(self.usable, self.steps.trained_from(base.digest))

    def merges(self) -> Sequence[Step]:
        """Return all usable merges, in causal order."""
        return list(filter(self.usable, self.steps.merges()))

    def seen_s(self, step: Step) -> float:
        """Return when a commit came here; one that was always here came at the beginning."""
        return self.first_seen_s.get(step.digest, 0.0)

    def remember(self, key: Hashable, compute: Callable[[], Computed]) -> Computed:
        """Return what ``compute`` gives, computed once per state of the study's history.

        Only for pure functions of the known steps, never of local facts.
        """
        if self.memory.get("steps") is not self.steps or self.memory.get("version") != self.steps.version:
            self.memory.clear()
            self.memory.update({"steps": self.steps, "version": self.steps.version})
        if key not in self.memory:
            self.memory[key] = compute()
        return self.memory[key]  # type: ignore[return-value]


def identity(study: Study, work: Work, me: str, data: str) -> Digest:
    """Return the identity of an action: the same work on the same data by the same site is one action.

    Args:
        study: The study.
        work: What is to be done.
        me: The site's name.
        data: What tells the site's cases apart from others, without telling what they are; "" where none are used.
    """
    recipe = work.recipe(study, me)
    return digest_of(
        encode(
            {
                "study": study.digest,
                "site": me,
                "parents": [{"role": parent.role, "commit": parent.commit} for parent in work.parents],
                "recipe": {"name": recipe.name, "version": recipe.version, "parameters": recipe.parameters},
                "seed": recipe.seed,
                "data": data,
            }
        )
    )
