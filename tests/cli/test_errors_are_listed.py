"""docs/errors.md lists every code that is raised anywhere, and each code is told apart by its class."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagiq import errors

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
CLASSES = set(errors.__all__)
ROW = re.compile(r"^\| `([a-z0-9-]+)` \| ([\w, -]+) \| (.+) \| (.+) \|$", re.MULTILINE)
ONLY_PRINTED = {"usage", "interrupted", "unexpected"}
"""Codes of the command line itself."""


def raised_in(code: str) -> Iterator[tuple[str, str | None]]:
    """Give each error's class and code; None for a code that is not written where the error is made."""
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name, first = ast.unparse(node.func).rpartition(".")[2], node.args[0]
        written = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
        if name in CLASSES:
            passed_on = isinstance(first, ast.Name | ast.Attribute) and ast.unparse(first).endswith("code")
            if not passed_on:
                yield name, written
        elif name.startswith("_") and written and "-" in written and len(node.args) > 2 and CODE.fullmatch(written):
            yield "", written


def raised() -> dict[str, set[str]]:
    """Return the classes of each code in the package."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "src").rglob("*.py")):
        for name, code in raised_in(path.read_text("utf-8")):
            assert code is not None, f"{path}: a {name} whose code is not written where it is made"
            assert CODE.fullmatch(code), f"{path}: {code}"
            found[code] |= {name} - {""}
    return found


def listed() -> dict[str, set[str]]:
    rows = ROW.findall((ROOT / "docs" / "errors.md").read_text("utf-8"))
    assert len({code for code, *_ in rows}) == len(rows), "a code is listed twice"
    assert [code for code, *_ in rows] == sorted(code for code, *_ in rows)
    return {code: set(classes.split(", ")) for code, classes, *_ in rows}


def test_every_code_that_is_raised_is_listed_with_its_classes() -> None:
    in_docs = listed()
    for code, classes in raised().items():
        assert code in in_docs, f"add `{code}` ({', '.join(classes)}) to docs/errors.md"
        assert classes <= in_docs[code], f"`{code}` is a {classes} in src, and {in_docs[code]} in docs/errors.md"


def test_a_code_that_is_listed_is_of_a_class_that_there_is() -> None:
    for code, classes in listed().items():
        assert classes <= CLASSES | {"-"}, code
    assert listed().keys() >= ONLY_PRINTED


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("raise NotFound('x-y', 'a', 'b')", [("NotFound", "x-y")]),
        ("raise errors.Misuse('x', f'{a}', 'b')", [("Misuse", "x")]),
        ("raise _wrong('x-y', 'a', 'b')", [("", "x-y")]),
        ("raise NotFound(f'{x}-y', 'a', 'b')", [("NotFound", None)]),
        ("raise NotFound(code, 'a', 'b')", []),
        ("Path('x-y')", []),
    ],
)
def test_codes_are_seen(code: str, found: list[tuple[str, str | None]]) -> None:
    assert list(raised_in(code)) == found
