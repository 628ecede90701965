"""Studies at a site: what a file says of one, and the first model that it is opened with."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache
from importlib.metadata import entry_points
from importlib.metadata import version as version_of
from pathlib import Path
from secrets import randbelow

from imagiq.bench import Bench
from imagiq.errors import Misuse, Refused
from imagiq.federation import Named, Study, study_recipe
from imagiq.learning import Initial, Learner
from imagiq.merging import blobs_of, schema_of
from imagiq.objects import JSON, Charter, Digest, Recipe, Schema, Tree
from imagiq.site.sources import SiteCases
from imagiq.site.toml import Table, read_toml, suggestion
from imagiq.strategies import check_parameters

__all__ = ["code_of", "described", "first_model", "installed", "proposed", "read_study", "schema_for"]

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


def first_model(bench: Bench, learner: Learner, seed: int, site: str, cases: SiteCases | None) -> Tree:
    """Keep the untrained model that a study is opened with.

    Args:
        bench: Where to.
        learner: The task's.
        seed: The study's.
        site: Who opens it.
        cases: Its cases, which may tell what the model's channels are; None: it has none.
    """
    initial = learner.initial(seed)
    schema = schema_for(initial, site, cases or SiteCases(training=(), held_back=()))
    return bench.models.keep(schema, blobs_of(schema, initial.weights))


def read_study(path: Path, *, strategies: Collection[tuple[str, int]], charter: Charter) -> Recipe:
    """Read the terms of a study from a file; ``docs/join.md`` says what it may hold.

    Raises:
        NotFound: there is no such file.
        Misuse: a key is missing, unknown or of the wrong kind; a strategy is not installed, or has no such
            parameter; a site is no member.
    """
    file = read_toml(path)
    task, budget = file.table("task", needed=True), file.table("budget", needed=True)
    named = Named(task.text("learner"), task.needed_whole("version", 1), task.signed_rest())
    strategy = _strategy(file, strategies)
    steps, updates = budget.needed_whole("steps", None), budget.needed_whole("updates", None)
    budget.end()
    members = [member.name for member in charter.members]
    sites = file.texts("sites") or tuple(members)
    unknown = next((site for site in sites if site not in members), None)
    if unknown is not None:
        raise file.wrong("sites", f"names '{unknown}', which is no member", suggestion(unknown, members))
    title, seed = file.text("title", path.stem), file.whole("seed", None)
    file.end()
    with file.explaining():
        check_parameters(strategy, sites)
        return study_recipe(
            title=title,
            strategy=strategy,
            task=named,
            steps=steps,
            updates=updates,
            sites=sites,
            seed=randbelow(2**31) if seed is None else seed,
        )


def _strategy(file: Table, strategies: Collection[tuple[str, int]]) -> Named:
    table = file.table("strategy", needed=True)
    name, number = table.text("name"), table.needed_whole("version", 1)
    if (name, number) not in strategies:
        known = [known for known, _ in strategies]
        raise Misuse("strategy-unknown", f"{table.where}: there is no strategy '{name}' here.", suggestion(name, known))
    return Named(name, number, table.signed_rest())


def proposed(recipe: Recipe) -> Study:
    """Return what a recipe would open, as far as a charter is asked about it."""
    task, strategy = recipe.parameters["task"], recipe.parameters["strategy"]
    if not isinstance(task, Mapping) or not isinstance(strategy, Mapping):
        raise Misuse("study-terms", "The terms of the study are malformed.", "Open it again.")
    return Study(
        digest=Digest("0" * 64),
        title=str(recipe.parameters["title"]),
        strategy=_named(strategy),
        task=_named(task),
        steps=1,
        updates=1,
        seed=recipe.seed or 0,
        sites=(),
    )


def _named(fields: Mapping[str, JSON]) -> Named:
    parameters, version = fields["parameters"], fields["version"]
    return Named(
        str(fields["name"]),
        version if isinstance(version, int) else 1,
        parameters if isinstance(parameters, Mapping) else {},
    )


def described(study: Study) -> Mapping[str, JSON]:
    """Return what a newcomer is told of a study."""
    return {
        "title": study.title,
        "strategy": study.strategy.to_json(),
        "task": study.task.to_json(),
        "steps": study.steps,
        "updates": study.updates,
        "sites": list(study.sites),
    }


@cache
def installed() -> str:
    """Return which imagiq runs: the one that was installed when this was asked first, whatever is installed since."""
    return f"imagiq {version_of('imagiq')}"


def code_of(study: Study) -> tuple[str, ...]:
    """Return the versions of all code that a study would run here, sorted; own strategies are the owner's affair."""
    return tuple(sorted({installed(), *_packages("imagiq.learners", study.task.name)}))


@cache
def _packages(group: str, name: str) -> frozenset[str]:
    """Return which packages offer something; asked often, while all that is installed has to be read for an answer."""
    points = [point for point in entry_points(group=group) if point.name == name and point.dist is not None]
    return frozenset(f"{point.dist.name} {point.dist.version}" for point in points if point.dist is not None)
