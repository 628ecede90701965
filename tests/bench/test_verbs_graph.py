"""The drawing of a history in lanes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.bench.graph import Node, draw


def drawn(history: str, width: int = 80) -> list[str]:
    """Draw commits given as lines of a name and its parents; each row with the commit's name behind it."""
    lines = [line.split() for line in history.strip().splitlines()]
    rows = draw([Node(name, tuple(parents), name) for name, *parents in lines], width=width)
    return [f"{row.text} {row.node}".strip() for row in rows]


def test_a_line_is_one_lane() -> None:
    assert drawn("c b\nb a\na") == ["* c", "* b", "* a"]


def test_a_merge_opens_a_lane_for_each_parent_and_the_fork_point_closes_them() -> None:
    assert drawn("m a b\nb s\na s\ns") == ["* m", "|\\", "| * b", "* | a", "|/", "* s"]


def test_a_second_merge_of_the_same_models_opens_no_lanes() -> None:
    assert drawn("m2 a b c\nm1 a b c\nc\nb\na") == [
        *("* m2", "|\\", "|\\ \\"),
        *("+-+-+-* m1", "| | * c", "| * b", "* a"),
    ]


def test_a_lane_to_a_parent_that_is_no_neighbour_is_marked_in_the_commits_row() -> None:
    assert drawn("a p\nb q\nc p\np\nq") == ["* a", "| * b", "+-|-* c", "* | p", "/", "* q"]


def test_lanes_beyond_one_that_closes_move_up() -> None:
    assert drawn("a p\nb p\nc q\np\nq") == ["* a", "| * b", "|/", "| * c", "* | p", "/", "* q"]


def test_a_commit_does_not_stand_right_below_one_that_it_is_no_parent_of() -> None:
    assert drawn("a\nb") == ["* a", "", "* b"]
    assert drawn("a p\nb p\nc p\np") == ["* a", "| * b", "|/", "| * c", "|/", "* p"]
    assert drawn("a p q\nb p\nc\np\nq") == ["* a", "|\\", "+-|-* b", "| |", "| | * c", "* | p", "/", "* q"]


def test_what_does_not_fit_is_cut_and_the_commit_still_shown() -> None:
    rows = drawn("a p\nb q\nc r\nd s\np\nq\nr\ns", width=4)
    assert all(len(row.split()[0]) <= 4 for row in rows)
    assert "| |* d" in rows


def test_a_parent_that_stands_twice_is_one_lane() -> None:
    assert drawn("m a a\na") == ["* m", "* a"]


@st.composite
def histories(draw: st.DrawFn) -> list[Node]:
    """Draw commits, newest first, each with parents among the older ones or outside."""
    count = draw(st.integers(1, 25))
    return [
        Node(str(place), tuple(map(str, draw(st.lists(st.integers(place + 1, count + 2), max_size=5)))), "site")
        for place in range(count)
    ]


@given(histories(), st.integers(2, 30))
def test_every_commit_has_its_row_in_order_within_the_width(nodes: list[Node], width: int) -> None:
    rows = list(draw(nodes, width=width))
    assert [row.node for row in rows if row.node] == [node.name for node in nodes]
    assert all(len(row.cells) <= width for row in rows)
    assert all(("*" in row.text) == bool(row.node) for row in rows)
    assert set("".join(row.text for row in rows)) <= set(" *|/\\_+-~")


@given(histories())
def test_lanes_lead_from_each_commit_to_each_of_its_parents(nodes: list[Node]) -> None:
    """Follow the lanes row by row: in the row of a commit, its column holds a lane of each of its children's."""
    leading: dict[int, set[str]] = {}
    for row in draw(nodes, width=10_000):
        text = row.text
        if row.node:
            node = next(node for node in nodes if node.name == row.node)
            column = text.index("*")
            children = {child.name for child in nodes if row.node in child.parents}
            assert leading.pop(column, set()) == children
            marked = [at for at, character in enumerate(text) if character == "+"]
            for at in marked:
                leading[at] = leading[at] | {node.name}
            assert all(at in leading for at, character in enumerate(text) if character == "|")
            if len(set(node.parents)) > len(marked):
                leading[column] = {node.name}
            continue
        leading = _after(text, leading)


def _after(text: str, before: dict[int, set[str]]) -> dict[int, set[str]]:
    """Return which commits' lanes lead down from each column of a row between commits."""
    after: dict[int, set[str]] = {}
    for at, character in enumerate(text):
        goes_to, comes_from = {"|": (at, at), "/": (at - 1, at + 1), "\\": (at + 1, at - 1)}.get(character, (0, -1))
        after.setdefault(goes_to, set()).update(before.get(comes_from, set()))
    return after


@pytest.mark.parametrize("width", [2, 3, 8])
def test_a_narrow_drawing_ends_with_a_sign_that_it_is_cut(width: int) -> None:
    rows = list(draw([Node(str(n), (str(n + 100),), "x") for n in range(10)], width=width))
    assert rows[-1].text[-1] == "*"
    assert any("~" in row.text for row in draw([Node(str(n), (str(n + 5),), "x") for n in range(9)], width=3))
