"""Diff: what differs between two commits: tensors and by how much, schemas, recipes, metrics, cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imagiq.bench.as_html import SHORT, table
from imagiq.bench.bench import Bench
from imagiq.bench.reading import HeldModel, checked_read, held_model
from imagiq.bench.schemas import schemas_differ
from imagiq.errors import NotFound
from imagiq.history import Entry
from imagiq.merging import TensorDifference, differences
from imagiq.objects import Commit, Digest, Recipe

__all__ = ["Difference", "Side", "diff"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two commits.

    Attributes:
        digest: Its name.
        site: Its author's name.
        study_title: The title of its study; "" if it is in none.
        recipe: By what it was made.
        metrics: What was measured.
        cases: How many cases were used, if any.
        tree: The model that it holds, if any.
    """

    digest: Digest
    site: str
    study_title: str
    recipe: Recipe
    metrics: Mapping[str, str | int]
    cases: int | None
    tree: Digest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What differs between two commits.

    Attributes:
        first: The commit from which differences are measured.
        second: The other one.
        models: "equal": the same model; "compared": see ``tensors``; "schemas differ": see ``schemas``; "not
            compared": see ``why``.
        why: Why the models are not compared; "" otherwise.
        tensors: How each tensor differs, in the schema's order; empty unless "compared".
        schemas: How the schemas differ, a sentence each; empty unless they do.
    """

    first: Side
    second: Side
    models: str
    why: str = ""
    tensors: tuple[TensorDifference, ...] = ()
    schemas: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """Return the difference as a notebook shows it."""
        sides = (self.first, self.second)
        said = " and ".join(f"{side.digest[:SHORT]} ({side.recipe.name} by {side.site})" for side in sides)
        rows = [
            (t.name, "yes" if t.changed else "", f"{t.largest:.4g}", f"{t.distance:.4g}", f"{t.relative:.4g}")
            for t in self.tensors
        ]
        columns = ("tensor", "differs", "largest", "distance", "relative")
        return table(f"{said}: models {self.models}", columns, rows, notes=(*self.schemas, *filter(None, [self.why])))


def diff(bench: Bench, first: Entry, second: Entry) -> Difference:
    """Return what differs between two commits.

    Raises:
        Corrupt: a model that is here is damaged on this disk.
    """
    left, right = _side(bench, first), _side(bench, second)
    if first.commit.tree is not None and first.commit.tree == second.commit.tree:
        return Difference(first=left, second=right, models="equal")
    try:
        one, other = held_model(bench, first), held_model(bench, second)
    except NotFound as error:
        return Difference(first=left, second=right, models="not compared", why=error.what)
    if one.schema.digest != other.schema.digest:
        schemas = tuple(schemas_differ(one.schema, other.schema))
        return Difference(first=left, second=right, models="schemas differ", schemas=schemas)
    return Difference(first=left, second=right, models="compared", tensors=_tensors(bench, one, other))


def _tensors(bench: Bench, one: HeldModel, other: HeldModel) -> tuple[TensorDifference, ...]:
    return tuple(differences(one.schema, one.tree, other.tree, checked_read(bench.store)))


def _side(bench: Bench, entry: Entry) -> Side:
    commit: Commit = entry.commit
    study = bench.studies.get(commit.study or commit.digest)
    return Side(
        digest=commit.digest,
        site=bench.standing.name_of(entry),
        study_title="" if study is None else study.study.title,
        recipe=commit.recipe,
        metrics=commit.metrics,
        cases=commit.cases,
        tree=commit.tree,
    )
