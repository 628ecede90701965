"""Show: all that is known of one commit."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from imagiq.bench.as_html import SHORT, fields_table, table
from imagiq.bench.bench import Bench
from imagiq.bench.reading import HeldModel, checked_read, held_model
from imagiq.errors import BudgetSpent, Corrupt, NotFound, Unsupported
from imagiq.history import Entry
from imagiq.merging.arithmetic import squares, tree_sum
from imagiq.merging.arrays import BLOCK, blocks
from imagiq.merging.floats import widen
from imagiq.merging.layout import Read
from imagiq.objects import Commit, Digest

__all__ = ["Relative", "Shown", "TensorSummary", "attestations", "show"]


MOST_TENSORS = 20
"""A notebook shows so many tensors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """A parent or a child of a commit.

    Attributes:
        digest: Its name.
        role: "base", "input" or "state".
        site: Its author's name.
        recipe: By what it was made.
        weight: How much it counts in a merge, if the recipe says so.
    """

    digest: Digest
    role: str
    site: str
    recipe: str
    weight: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSummary:
    """A tensor of a model. ``norm``: the Euclidean norm of its numbers, of bools the root of how many are true."""

    name: str
    group: str
    dtype: str
    shape: tuple[int, ...]
    norm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """All that is known of a commit.

    Attributes:
        commit: Its fields.
        height: Its causal height.
        site: Its author's name.
        study_title: The title of the study that it opened or belongs to; "" if it is in none.
        state: "sound", "void", "contested" or "tainted".
        model: "none"; "complete": here, whole, past the gate; "set aside"; "held": here, not past the gate yet;
            "forgotten": let go as the charter's retention says; "not held".
        why: Why the model is set aside or cannot be read; "" otherwise.
        verdict: What this site found when it recomputed the merge: "verified" or "FALSE"; "" if it has not.
        attested: For each site that has recomputed the merge, what it says it found.
        parents: What it was made from.
        children: What was made from it.
        seen_by: The sites whose commits prove that they have it, its author not counted.
        tensors: The model's tensors; empty if it is not here, or was not asked for.
    """

    commit: Commit
    height: int
    site: str
    study_title: str
    state: str
    model: str
    why: str
    verdict: str
    attested: Mapping[str, str]
    parents: tuple[Relative, ...]
    children: tuple[Relative, ...]
    seen_by: tuple[str, ...]
    tensors: tuple[TensorSummary, ...]

    def _repr_html_(self) -> str:
        """Return the commit as a notebook shows it."""
        commit = self.commit
        fields = (
            ("site", f"{self.site}, number {commit.number} of feed {commit.feed[:SHORT]}"),
            ("study", self.study_title),
            ("by", f"{commit.recipe.name}, version {commit.recipe.version}"),
            ("measured", ", ".join(f"{name} {value}" for name, value in commit.metrics.items())),
            ("cases", commit.cases),
            ("created", commit.created),
            ("state", self.state),
            ("model", f"{self.model} {self.why}".strip()),
            ("recomputed", self.verdict),
            ("attested", ", ".join(f"{said} by {site}" for site, said in self.attested.items())),
            ("seen by", ", ".join(self.seen_by)),
            ("made from", ", ".join(f"{p.role} {p.digest[:SHORT]} ({p.recipe} by {p.site})" for p in self.parents)),
            ("made from it", len(self.children) or None),
        )
        drawn = fields_table(f"Commit {commit.digest[:SHORT]}", fields)
        if not self.tensors:
            return drawn
        rows = [(t.name, t.dtype, " x ".join(map(str, t.shape)), f"{t.norm:.4g}") for t in self.tensors[:MOST_TENSORS]]
        more = len(self.tensors) - len(rows)
        title = f"{len(self.tensors)} tensors"
        left_out = f"and {more} more" if more else ""
        return drawn + table(title, ("name", "kind", "shape", "norm"), rows, more=left_out)


def show(bench: Bench, entry: Entry, *, tensors: bool = True) -> Shown:
    """Return all that a bench knows of a commit. ``tensors``: whether to read its model, which may take a while."""
    commit = entry.commit
    model, why = _completeness(bench, commit)
    summaries: tuple[TensorSummary, ...] = ()
    if tensors and model in {"complete", "held", "set aside"}:
        try:
            summaries = _summaries(held_model(bench, entry), checked_read(bench.store))
        except (BudgetSpent, Corrupt, NotFound, Unsupported) as error:
            why = why or f"{error.code}: {error.what}"
    verdict = bench.verdicts.get(commit.digest)
    study = bench.studies.get(commit.study or commit.digest)
    return Shown(
        commit=commit,
        height=entry.height,
        site=bench.standing.name_of(entry),
        study_title="" if study is None else study.study.title,
        state=bench.standing.state(commit.digest).value,
        model=model,
        why=why,
        verdict="" if verdict is None else verdict.value,
        attested=attestations(bench).get(commit.digest, {}),
        parents=_parents(bench, commit),
        children=_children(bench, commit.digest),
        seen_by=_seen_by(bench, entry),
        tensors=summaries,
    )


def _completeness(bench: Bench, commit: Commit) -> tuple[str, str]:
    if commit.tree is None:
        return "none", ""
    if commit.digest in bench.models.set_aside:
        return "set aside", bench.models.set_aside[commit.digest]
    if commit.digest in bench.models.complete:
        return "complete", ""
    if commit.digest in bench.models.forgotten:
        return (
            "forgotten",
            "as the charter's retention says; `imagiq tag` and a sync fetch it from whoever still holds it",
        )
    try:
        return ("held" if bench.models.holds(commit.tree) else "not held"), ""
    except Corrupt as error:
        return "not held", f"{error.code}: {error.what}"


def _relative(bench: Bench, entry: Entry, role: str, weight: int | None = None) -> Relative:
    site, recipe = bench.standing.name_of(entry), entry.commit.recipe.name
    return Relative(digest=entry.digest, role=role, site=site, recipe=recipe, weight=weight)


def _parents(bench: Bench, commit: Commit) -> tuple[Relative, ...]:
    inputs = commit.parents_in("input")
    given = commit.recipe.parameters.get("weights")
    weights: dict[Digest, int] = {}
    if isinstance(given, list | tuple) and len(given) == len(inputs):
        weights = {digest: n for digest, n in zip(inputs, given, strict=True) if isinstance(n, int)}
    return tuple(
        _relative(bench, bench.history[p.commit], p.role, weights.get(p.commit) if p.role == "input" else None)
        for p in commit.parents
    )


def _children(bench: Bench, digest: Digest) -> tuple[Relative, ...]:
    found = [(e, parent.role) for e in bench.history for parent in e.commit.parents if parent.commit == digest]
    return tuple(_relative(bench, entry, role) for entry, role in sorted(found, key=lambda item: item[0].order))


def attestations(bench: Bench) -> dict[Digest, dict[str, str]]:
    """Return for each merge what each site but its author says it found when it recomputed it.

    A site is counted once, whatever it says how often; its FALSE outweighs its verified. Both are claims, not proofs.
    """
    said: dict[Digest, dict[str, str]] = {}
    for entry in bench.history:
        recipe = entry.commit.recipe
        verdict = recipe.parameters.get("verdict")
        if recipe.name != "attest" or verdict not in {"verified", "FALSE"}:
            continue
        name = bench.standing.name_of(entry)
        for merge in entry.commit.parents_in("input"):
            by_site = said.setdefault(merge, {})
            if bench.history[merge].site != entry.site and bench.standing.state(entry.digest).is_input:
                by_site[name] = "FALSE" if by_site.get(name) == "FALSE" else str(verdict)
    return {merge: dict(sorted(by_site.items())) for merge, by_site in said.items()}


def _seen_by(bench: Bench, entry: Entry) -> tuple[str, ...]:
    """Return the sites that wrote a commit which stands on this one, or names one that does as seen."""
    named_by: dict[Digest, list[Entry]] = {}
    for later in bench.history:
        commit = later.commit
        names = {parent.commit for parent in commit.parents} | {seen.commit for seen in commit.seen}
        if commit.previous is not None:
            names.add(commit.previous)
        for name in names:
            named_by.setdefault(name, []).append(later)
    reached, waiting = {entry.digest}, deque([entry.digest])
    sites: set[str] = set()
    while waiting:
        for later in named_by.get(waiting.popleft(), ()):
            if later.digest not in reached:
                reached.add(later.digest)
                waiting.append(later.digest)
                sites.add(bench.standing.name_of(later))
    return tuple(sorted(sites - {bench.standing.name_of(entry)}))


def _summaries(model: HeldModel, read: Read) -> tuple[TensorSummary, ...]:
    """Return the model's tensors with their norms, holding one blob at a time."""
    sums: dict[int, list[float]] = {}
    tensors = model.schema.tensors
    scratch = np.empty(BLOCK)
    with np.errstate(all="ignore"):
        for block in blocks(model.schema, model.tree, read):
            numbers = widen(tensors[block.number].dtype, block.values, scratch[: block.values.size])
            sums.setdefault(block.number, []).append(squares(numbers))
        norms = [math.sqrt(tree_sum(np.array(sums.get(number, [])))) for number in range(len(tensors))]
    groups = (group.name for group in model.schema.groups for _ in group.tensors)
    return tuple(
        TensorSummary(name=tensor.name, group=group, dtype=tensor.dtype, shape=tensor.shape, norm=norm)
        for tensor, group, norm in zip(tensors, groups, norms, strict=True)
    )
