"""``imagiq diff``: what differs between two commits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from imagiq.bench.diff import Difference, Side, diff
from imagiq.bench.names import resolve
from imagiq.bench.place import find
from imagiq.bench.repository import open_repository
from imagiq.cli.printing import as_document, as_json, columns, escaped, metrics_as_json, number, painted, rounded, say

__all__ = ["command"]

SHORT = 12
SHOWN = 40
LONGEST = 60


@click.command()
@click.argument("first")
@click.argument("second")
@click.option("--all", "wants_all", is_flag=True, help="Show all tensors that differ, not the first 40.")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(folder: Path, first: str, second: str, *, wants_all: bool, wants_json: bool) -> None:
    """Show what differs between the commits FIRST and SECOND.

    Which tensors, and by how much: the largest difference of a number, the Euclidean norm of all differences, and that
    norm relative to the tensor's in FIRST. Then recipes, metrics and cases side by side.
    """
    bench = open_repository(find(folder))
    found = diff(bench, resolve(bench, first), resolve(bench, second))
    if wants_json:
        say(as_document({"command": "diff", **_json(found)}))
        return
    for line in (*_sides(found), *_models(found, None if wants_all else SHOWN)):
        say(line)


def _json(found: Difference) -> dict[str, object]:
    fields = as_json(found)
    sides = {"first": _side_json(found.first), "second": _side_json(found.second)}
    return (fields if isinstance(fields, dict) else {}) | sides


def _side_json(side: Side) -> dict[str, object]:
    fields = as_json(side)
    return (fields if isinstance(fields, dict) else {}) | {"metrics": metrics_as_json(side.metrics)}


def _sides(found: Difference) -> Iterator[str]:
    """Yield what both commits say, side by side; a star where they differ."""
    first, second = _told(found.first), _told(found.second)
    rows = [("", "commit", found.first.digest[:SHORT], found.second.digest[:SHORT])]
    for name in dict.fromkeys((*first, *second)):
        one, other = first.get(name, "-"), second.get(name, "-")
        rows.append(("*" if one != other else "", name, _cut(one), _cut(other)))
    yield from columns(rows)


def _told(side: Side) -> Mapping[str, str]:
    told = {"site": escaped(side.site), "study": escaped(side.study_title) or "-"}
    told["recipe"] = f"{escaped(side.recipe.name)} {side.recipe.version}"
    told |= {escaped(name): json.dumps(as_json(value)) for name, value in side.recipe.parameters.items()}
    told["seed"] = "-" if side.recipe.seed is None else str(side.recipe.seed)
    told["cases"] = "-" if side.cases is None else str(side.cases)
    return told | {escaped(name[:40]): rounded(number(value)) for name, value in side.metrics.items()}


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 2] + ".."


def _models(found: Difference, limit: int | None) -> Iterator[str]:
    yield ""
    if found.models == "equal":
        yield "Both hold the same model."
    elif found.models == "not compared":
        yield f"The models are not compared. {escaped(found.why)}"
    elif found.models == "schemas differ":
        yield "The models have different schemas, so their numbers are not compared."
        yield from (f"  {escaped(sentence)}" for sentence in found.schemas[:limit])
        if limit is not None and len(found.schemas) > limit:
            yield f"  and {len(found.schemas) - limit} more: say --all"
    else:
        yield from _tensors(found, limit)


def _tensors(found: Difference, limit: int | None) -> Iterator[str]:
    changed = [tensor for tensor in found.tensors if tensor.changed]
    yield painted(f"{len(changed)} of {len(found.tensors)} tensors differ", bold=True)
    rows = [("tensor", "dtype", "shape", "largest", "distance", "relative")]
    rows += [
        (
            escaped(tensor.name),
            tensor.dtype,
            "x".join(map(str, tensor.shape)) or "-",
            rounded(tensor.largest),
            rounded(tensor.distance),
            f"{tensor.relative:.2%}",
        )
        for tensor in changed[:limit]
    ]
    yield from columns(rows, indent="  ") if changed else ()
    if limit is not None and len(changed) > limit:
        yield f"  and {len(changed) - limit} more: say --all"
