"""``imagiq show``: all that is known of a commit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from imagiq.bench.names import resolve
from imagiq.bench.place import find
from imagiq.bench.repository import open_repository
from imagiq.bench.show import Relative, Shown, show
from imagiq.cli.printing import (
    as_document,
    as_json,
    columns,
    escaped,
    listed,
    measured,
    metrics_as_json,
    painted,
    rounded,
    say,
)
from imagiq.objects import Commit

__all__ = ["command"]

SHORT = 12
SHOWN = 20


@click.command()
@click.argument("commit")
@click.option("--all", "wants_all", is_flag=True, help="Show all tensors and relatives, not the first 20.")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(folder: Path, commit: str, *, wants_all: bool, wants_json: bool) -> None:
    """Show all that is known of COMMIT.

    Its fields, whether its model is here and past the gate, what came of recomputing it, what it was made from and what
    was made from it, which sites have it, and its tensors with their norms.
    """
    bench = open_repository(find(folder))
    shown = show(bench, resolve(bench, commit))
    if wants_json:
        say(as_document({"command": "show", "commit": _json(shown)}))
        return
    for line in _lines(shown, limit=None if wants_all else SHOWN):
        say(line)


def _json(shown: Shown) -> dict[str, object]:
    commit = shown.commit
    fields = as_json(shown)
    known = {key: value for key, value in (fields if isinstance(fields, dict) else {}).items() if key != "commit"}
    return {
        "digest": commit.digest,
        "federation": commit.federation,
        "charter": commit.charter,
        "study": commit.study,
        "feed": commit.feed,
        "number": commit.number,
        "previous": commit.previous,
        "recipe": commit.recipe,
        "tree": commit.tree,
        "action": commit.action,
        "metrics": metrics_as_json(commit.metrics),
        "cases": commit.cases,
        "seen": commit.seen,
        "created": commit.created,
        "certificate": None if commit.certificate is None else commit.certificate.number,
        **known,
    }


def _lines(shown: Shown, *, limit: int | None) -> Iterator[str]:
    commit = shown.commit
    yield painted(f"commit {commit.digest}", "yellow")
    fields = [(name, text) for name, text in _fields(shown, commit) if text]
    yield from columns([(painted(name, dim=True), text) for name, text in fields])
    yield from _relatives("made from", shown.parents, limit)
    yield from _relatives("made from it", shown.children, limit)
    yield from _tensors(shown, limit)


def _fields(shown: Shown, commit: Commit) -> Iterator[tuple[str, str]]:
    yield "site", f"{escaped(shown.site)}, feed {commit.feed[:SHORT]}, number {commit.number}, height {shown.height}"
    yield "study", f"{escaped(shown.study_title)} {'' if commit.study is None else commit.study[:SHORT]}".strip()
    seed = "" if commit.recipe.seed is None else f", seed {commit.recipe.seed}"
    yield "recipe", f"{escaped(commit.recipe.name)}, version {commit.recipe.version}{seed}"
    if commit.recipe.parameters:
        yield "parameters", json.dumps(as_json(commit.recipe.parameters))
    yield "metrics", measured(commit.metrics, limit=None)
    yield "cases", "" if commit.cases is None else str(commit.cases)
    yield "created", escaped(commit.created)
    yield "state", shown.state
    model = shown.model if commit.tree is None else f"{shown.model}, tree {commit.tree[:SHORT]}"
    yield "model", model + (f": {escaped(shown.why)}" if shown.why else "")
    yield "recomputed", shown.verdict and f"{shown.verdict} by this site"
    yield "attested", ", ".join(f"{verdict} by {escaped(site)}" for site, verdict in shown.attested.items())
    yield "seen by", listed(shown.seen_by) or "nobody else, as far as is known here"
    yield "witnesses", f"{len(commit.seen)} heads of other feeds" if commit.seen else ""
    yield "previous", "" if commit.previous is None else commit.previous[:SHORT]
    yield "charter", commit.charter[:SHORT]
    yield "federation", commit.federation[:SHORT]


def _relatives(title: str, relatives: Sequence[Relative], limit: int | None) -> Iterator[str]:
    if not relatives:
        return
    yield painted(title, dim=True)
    rows = [
        (r.digest[:SHORT], r.role, escaped(r.recipe), escaped(r.site), "" if r.weight is None else f"weight {r.weight}")
        for r in relatives[:limit]
    ]
    yield from columns(rows, indent="  ")
    yield from _more(len(relatives), limit)


def _tensors(shown: Shown, limit: int | None) -> Iterator[str]:
    if not shown.tensors:
        return
    yield painted(f"{len(shown.tensors)} tensors", dim=True)
    rows = [
        (escaped(t.name), t.dtype, "x".join(map(str, t.shape)) or "one number", f"norm {rounded(t.norm)}")
        for t in shown.tensors[:limit]
    ]
    yield from columns(rows, indent="  ")
    yield from _more(len(shown.tensors), limit)


def _more(count: int, limit: int | None) -> Iterator[str]:
    if limit is not None and count > limit:
        yield f"  and {count - limit} more: say --all"
