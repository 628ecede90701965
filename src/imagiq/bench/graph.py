r"""A history drawn in lanes, as ``git log --graph`` draws it: pure, a few characters per commit.

::

    *    a merge of two models
    |\
    | *  one of them
    * |  the other
    |/
    *    what both were trained from

A lane leads from a commit down to one of its parents; there is never more than one to each. Where lanes lead to a
commit's parents already, they are marked in its row: of ``+-|-*`` a parent is where the first lane leads to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["GraphRow", "Node", "draw"]

CUT = "~"
"""Stands at the right edge when there are more lanes than fit."""


@dataclass(frozen=True, slots=True)
class Node:
    """A commit to be drawn. ``parents``: the commits that lanes lead to, each at most once; ``owner``: its colour."""

    name: str
    parents: tuple[str, ...]
    owner: str


@dataclass(frozen=True, slots=True)
class GraphRow:
    """One row of the drawing.

    Attributes:
        cells: Characters, each with the owner of the commit that its lane comes from ("" for spaces).
        node: The commit that stands in this row; "" for a row between commits.
    """

    cells: tuple[tuple[str, str], ...]
    node: str = ""

    @property
    def text(self) -> str:
        """The row without colours."""
        return "".join(character for character, _ in self.cells)


@dataclass(slots=True)
class _Lane:
    to: str
    owner: str


def draw(nodes: Iterable[Node], *, width: int = 80) -> Iterator[GraphRow]:
    """Yield the rows of a drawing.

    Args:
        nodes: The commits, each before its parents; each once.
        width: The most characters of a row, at least 2.
    """
    lanes: list[_Lane] = []
    ended = -1
    for node in nodes:
        place = next((place for place, lane in enumerate(lanes) if lane.to == node.name), len(lanes))
        if place == len(lanes):
            if place == ended:  # or this one would seem to be a parent of the one above
                yield _cut(_straight(lanes), width)
            lanes.append(_Lane(node.name, node.owner))
        parents = list(dict.fromkeys(node.parents))
        met = [at for at, lane in enumerate(lanes) if lane.to in parents]
        fresh = [parent for parent in parents if all(lane.to != parent for lane in lanes)]
        if len(met) == 1 and not fresh and abs(met[0] - place) == 1:
            yield _commit_row(lanes, place, [], node, width)
            rows = _join(lanes, place, met[0], node.owner)
        else:
            yield _commit_row(lanes, place, met, node, width)
            rows = _lead_on(lanes, place, fresh, node.owner)
        below = [_cut(row, width) for row in rows]
        yield from below
        ended = place if place == len(lanes) and not below else -1


def _lead_on(lanes: list[_Lane], place: int, fresh: Sequence[str], owner: str) -> Iterator[list[tuple[str, str]]]:
    """Lead a commit's lane on to the parents that no lane leads to yet; end it if there are none."""
    if not fresh:
        if place < len(lanes) - 1:
            row = _shift_row(lanes, place, by="/")
            row[2 * place] = (" ", "")
            yield row
        del lanes[place]
        return
    lanes[place] = _Lane(fresh[0], owner)
    for parent in reversed(fresh[1:]):
        lanes.insert(place + 1, _Lane(parent, owner))
        yield _shift_row(lanes, place, by="\\")


def _join(lanes: list[_Lane], place: int, other: int, owner: str) -> Iterator[list[tuple[str, str]]]:
    """Lead a commit's lane into its neighbour, which leads to its only parent; the left of the two goes on."""
    lanes[place] = _Lane(lanes[other].to, owner)
    yield _shift_row(lanes, min(place, other), by="/")
    del lanes[max(place, other)]


def _straight(lanes: Sequence[_Lane]) -> list[tuple[str, str]]:
    return [cell for lane in lanes for cell in (("|", lane.owner), (" ", ""))]


def _shift_row(lanes: Sequence[_Lane], place: int, *, by: str) -> list[tuple[str, str]]:
    r"""Lanes right of ``place`` come from the right ("/", the first of them joins it) or go there ("\\", it opens the first)."""
    row = _straight(lanes[: place + 1])
    for lane in lanes[place + 1 :]:
        row[-1] = (by, lane.owner)
        row += [(" ", ""), (" ", "")]
    return row


def _commit_row(lanes: Sequence[_Lane], place: int, met: Sequence[int], node: Node, width: int) -> GraphRow:
    """The row of a commit; ``met``: the lanes that it has a part in beside its own."""
    row = _straight(lanes)
    for at in range(2 * min([place, *met]), 2 * max([place, *met])):
        if row[at][0] == " ":
            row[at] = ("-", node.owner)
    for at in met:
        row[2 * at] = ("+", lanes[at].owner)
    row[2 * place] = ("*", node.owner)
    cut = _cut(row, width)
    if 2 * place < len(cut.cells) and cut.cells[2 * place][0] == "*":
        return GraphRow(cut.cells, node.name)
    return GraphRow((*cut.cells[:-1], ("*", node.owner)), node.name)


def _cut(row: Sequence[tuple[str, str]], width: int) -> GraphRow:
    cells = list(row)
    while cells and cells[-1][0] == " ":
        cells.pop()
    if len(cells) > width:
        cells = [*cells[: max(width - 1, 0)], (CUT, "")]
    return GraphRow(tuple(cells))
