"""Studies: one piece of joint work each, opened by a commit that states its terms and holds its first model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from imagiq.errors import Corrupt, Misuse, Refused
from imagiq.objects import JSON, Charter, Commit, Digest, Recipe
from imagiq.objects.canonical import Fields

__all__ = ["Named", "Study", "check_permitted", "parse_study", "study_recipe"]

SITE_LIMIT = 1000
"""So many models fit into one merge, beside its base."""


@dataclass(frozen=True, slots=True)
class Named:
    """A strategy or a task: its name, version and parameters."""

    name: str
    version: int = 1
    parameters: Mapping[str, JSON] = field(default_factory=lambda: MappingProxyType({}))

    def to_json(self) -> dict[str, JSON]:
        """Return it as it stands in a recipe."""
        return {"name": self.name, "version": self.version, "parameters": self.parameters}

    def positive(self, parameter: str) -> int | None:
        """Return a parameter that is an integer from 1; None if it is absent or anything else."""
        value = self.parameters.get(parameter)
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


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
    if not 0 < len(sites) <= SITE_LIMIT or steps < 1 or updates < 1:
        raise Misuse(
            "study-terms",
            f"A study needs from 1 to {SITE_LIMIT} sites, and a budget of at least one step and update.",
            "Correct its terms.",
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
        Refused: its strategy or task is not among those allowed, or what is allowed cannot be read: then nothing is.
    """
    for what, name in (("strategies", study.strategy.name), ("tasks", study.task.name)):
        allowed = charter.rules.get(what, [name])
        if not isinstance(allowed, list | tuple) or not all(isinstance(item, str) for item in allowed):
            raise Refused(
                "charter-rules",
                f"The charter's '{what}' are no list of names.",
                "Propose a charter that says what it means.",
            )
        if name not in allowed:
            raise Refused(
                "study-not-permitted",
                f"The charter does not permit '{name}'; its {what} are {', '.join(map(str, allowed)) or 'none'}.",
                "Choose one of these, or propose another charter.",
            )
