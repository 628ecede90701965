"""docs/faults.md lists every fault with the test that shows it: what it names exists, and what exists is named."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "faults.md").read_text("utf-8")
FOLDER = ROOT / "tests" / "faults"


def defined() -> set[str]:
    nodes = (node for path in FOLDER.glob("test_*.py") for node in ast.parse(path.read_text("utf-8")).body)
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_each_test_that_the_table_names_exists_and_each_test_of_a_fault_is_in_the_table() -> None:
    assert set(re.findall(r"\btest_\w+", TEXT)) == defined()


def test_each_file_of_tests_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`((?:tests|src)/[\w./]+)`", TEXT))
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
