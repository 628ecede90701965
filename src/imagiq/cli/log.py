"""``imagiq log``: the commits of a repository, newest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from imagiq.bench.graph import Node, draw
from imagiq.bench.log import DEFAULT_LIMIT, Log, LogEntry, log_at
from imagiq.bench.place import find
from imagiq.cli.printing import (
    as_document,
    as_json,
    escaped,
    is_terminal,
    measured,
    metrics_as_json,
    painted,
    say,
    width,
)

__all__ = ["command"]

SHORT = 10
LONGEST = 16
COLOURS = ("cyan", "yellow", "magenta", "green", "blue", "red", "bright_cyan", "bright_yellow")
STATE_COLOURS = {"void": "red", "contested": "red", "tainted": "yellow"}


@click.command()
@click.option("-n", "--limit", type=int, default=DEFAULT_LIMIT, show_default=True, help="How many commits at most.")
@click.option("--study", metavar="STUDY", help="Only those of this study: its title, or the beginning of its digest.")
@click.option("--site", metavar="SITE", help="Only those of this site.")
@click.option("--graph", is_flag=True, help="Draw what was made from what.")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(folder: Path, limit: int, study: str | None, site: str | None, *, graph: bool, wants_json: bool) -> None:
    """List commits, the newest first.

    Each line shows the beginning of the commit's digest, its site, by what it was made, its study, and what was
    measured. With --graph, lanes lead from each commit down to those that it was made from.
    """
    if graph and wants_json:
        raise click.UsageError("--graph draws text: leave it out with --json, which names each commit's parents.")
    found = log_at(find(folder), limit=limit, study=study, site=site)
    if wants_json:
        say(as_document({"command": "log", "commits": [_json(entry) for entry in found.entries], "more": found.more}))
        return
    for line in _lines(found, with_graph=graph):
        say(line)
    if found.more and is_terminal():
        say(painted(f"... and older ones: imagiq log -n {2 * limit}", dim=True))


def _json(entry: LogEntry) -> dict[str, object]:
    fields = as_json(entry)
    parents = [{"role": role, "commit": digest} for role, digest in entry.parents]
    return {
        **(fields if isinstance(fields, dict) else {}),
        "metrics": metrics_as_json(entry.metrics),
        "parents": parents,
    }


def _lines(found: Log, *, with_graph: bool) -> Iterator[str]:
    entries: dict[str, LogEntry] = {entry.digest: entry for entry in found.entries}
    colours = _colours(found.entries)
    shape = [max([0, *(len(cell) for cell in column)]) for column in zip(*map(_cells, found.entries), strict=True)]
    if not with_graph:
        yield from (_line(entry, shape, colours, width()) for entry in found.entries)
        return
    room = max(8, width() // 3)
    rows = list(draw(_nodes(found), width=room))
    left = min(room, max([0, *(len(row.cells) for row in rows if row.node)])) + 2
    for row in rows:
        drawing = "".join(painted(character, colours.get(owner)) for character, owner in row.cells)
        if row.node:
            drawing += " " * (left - len(row.cells)) + _line(entries[row.node], shape, colours, width() - left)
        yield drawing


def _nodes(found: Log) -> list[Node]:
    """Return the commits as they are drawn; a lane to what was left out on purpose would lead nowhere."""
    shown = {entry.digest for entry in found.entries}
    return [
        Node(entry.digest, tuple(p for _, p in entry.parents if p in shown or not found.filtered), entry.site)
        for entry in found.entries
    ]


def _colours(entries: Sequence[LogEntry]) -> dict[str, str]:
    sites = sorted({entry.site for entry in entries})
    return {site: COLOURS[place % len(COLOURS)] for place, site in enumerate(sites)}


def _cells(entry: LogEntry) -> tuple[str, str, str]:
    return (_cut(entry.site, LONGEST), _cut(entry.recipe, LONGEST), _cut(entry.study_title, LONGEST))


def _cut(text: str, length: int) -> str:
    text = escaped(text)
    return text if len(text) <= length else text[: length - 2] + ".."


def _line(entry: LogEntry, shape: Sequence[int], colours: Mapping[str, str], room: int) -> str:
    """Return a commit in one line that fits, on a terminal, into ``room`` characters."""
    site, recipe, study = (cell.ljust(length) for cell, length in zip(_cells(entry), shape, strict=True))
    state = "" if entry.state == "sound" else f"[{entry.state}] "
    detail = _detail(entry)
    if is_terminal():
        used = SHORT + sum(shape) + 4 + len(state)
        detail = _cut(detail, max(room - used, 2)) if detail else ""
    parts = (
        painted(entry.digest[:SHORT], "yellow", dim=True),
        painted(site, colours.get(entry.site)),
        painted(recipe, bold=entry.has_model),
        study,
    )
    return f"{' '.join(parts)} {painted(state, STATE_COLOURS.get(entry.state))}{detail}".rstrip()


def _detail(entry: LogEntry) -> str:
    """Return what else is worth a few words."""
    inputs = sum(role == "input" for role, _ in entry.parents)
    merged = f"{inputs} models" if entry.recipe == "merge" else ""
    cases = "" if entry.cases is None else f"{entry.cases} cases"
    return ", ".join(part for part in (merged, cases, measured(entry.metrics)) if part)
