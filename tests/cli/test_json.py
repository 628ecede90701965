"""``--json`` prints one document, and docs/json.md describes every field of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from imagiq.cli import main
from imagiq.cli.printing import as_document
from tests.bench.repositories import Repositories

DOCS = Path(__file__).parents[2] / "docs" / "json.md"


def described(command: str) -> set[str]:
    """Return the words in backticks in a command's section, with what comes before the last dot left out."""
    section = DOCS.read_text("utf-8").split(f"\n## {command}\n")[1].split("\n## ")[0]
    return {name.rpartition(".")[2] for name in re.findall(r"`([^`]+)`", section)}


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    main(arguments)
    printed = capsys.readouterr().out
    parsed = json.loads(printed, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert isinstance(parsed, dict)
    assert printed.isascii()
    return parsed


FREE = {"metrics", "parameters", "attested", "states", "forged", "damaged_commits", "unreadable"}
"""Fields that hold values by names of their own."""


def fields_of(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(fields_of, value))
    if isinstance(value, dict):
        inner = [fields_of(item) for key, item in value.items() if key not in FREE]
        return set(value).union(*inner)
    return set()


def arguments_of(command: str, sites: Repositories, tmp_path: Path) -> list[str]:
    rest: dict[str, list[str]] = {
        "show": [sites.merge],
        "diff": list(sites.trained),
        "checkout": [sites.merge, "-o", str(tmp_path / "model.safetensors")],
        "import": [str(tmp_path / "given.safetensors")],
    }
    if command == "import":
        main(["-C", str(sites["a"]), "checkout", sites.merge, "-o", str(tmp_path / "given.safetensors")])
    return ["-C", str(sites["a"]), command, *rest.get(command, []), "--json"]


@pytest.mark.parametrize("command", ["log", "show", "diff", "verify", "fsck", "checkout", "import"])
def test_every_field_is_described_and_every_field_described_is_there(
    command: str, sites: Repositories, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = arguments_of(command, sites, tmp_path)
    capsys.readouterr()
    printed = document(capsys, *arguments)
    assert (printed.pop("version"), printed.pop("command")) == (1, command)
    assert fields_of(printed) <= described(command)
    section = DOCS.read_text("utf-8").split(f"\n## {command}\n")[1].split("\n## ")[0].split("\n\nThe description")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    promised = {name.rpartition(".")[2] for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert promised <= fields_of(printed)


def test_the_description_beside_a_model_is_described(sites: Repositories, tmp_path: Path) -> None:
    main(["-C", str(sites["a"]), "checkout", sites.merge, "-o", str(tmp_path)])
    written = json.loads((tmp_path / f"{sites.merge[:12]}.json").read_text())
    assert written.keys() <= described("checkout")


def test_forks_missing_objects_and_damage_are_described_too(
    sites: Repositories, capsys: pytest.CaptureFixture[str]
) -> None:
    sites.commit("b", sites.study).unlink()
    printed = document(capsys, "-C", str(sites["b"]), "fsck", "--json")
    assert printed["missing"]
    assert printed["ok"] is False
    assert fields_of(printed) - {"version", "command"} <= described("fsck")


def test_an_error_is_a_document_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = document(capsys, "-C", str(tmp_path), "log", "--json")
    assert printed["version"] == 1
    assert printed["error"]["code"] == "repository-missing"
    assert printed["error"].keys() == {"code", "what", "advice"}
    assert document(capsys, "show", "--json")["error"]["code"] == "usage"


def test_what_is_not_finite_is_a_text() -> None:
    numbers = json.loads(as_document({"numbers": [float("nan"), float("inf"), -float("inf"), 1.5]}))["numbers"]
    assert numbers == ["nan", "inf", "-inf", 1.5]


def test_metrics_are_numbers(sites: Repositories, capsys: pytest.CaptureFixture[str]) -> None:
    bench = sites.writable("a")
    bench.commit(next(iter(bench.history)).commit.recipe.__class__("note", 1), metrics={"loss": "0.1", "n": 3})
    bench.store.close()
    commits = document(capsys, "-C", str(sites["a"]), "log", "--json")["commits"]
    assert {"loss": 0.1, "n": 3} in [commit["metrics"] for commit in commits]
