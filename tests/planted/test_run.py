"""The runner of the planted bugs tells apart what was found, what survived and what no longer applies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.planted.run import ROOT, Outcome, check, check_control, main, planted, read_bugs

BUGS = {
    "01-by-machine": {"before": "first + second", "after": "first - second"},
    "02-by-plain-test": {"before": "first * second", "after": "first // second"},
    "03-survivor": {"before": "first % second", "after": "second % first"},
    "04-gone": {"before": "first ** second", "after": "first"},
    "05-twice": {"before": "return", "after": "yield"},
    "06-no-import": {"before": "def total", "after": "dfe total"},
}
CODE = """\
def total(first, second):
    return first + second


def product(first, second):
    return first * second


def untested(first, second):
    return first % second
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "src/toy.py": CODE,
        "pytest.ini": "[pytest]\nmarkers = torture: long\n",
        "tests/conftest.py": (ROOT / "tests/conftest.py").read_text("utf-8"),
        "tests/machines/test_total.py": "import toy\n\ndef test_total(): assert toy.total(2, 2) == 4\n",
        "tests/test_product.py": "import toy\n\ndef test_product(): assert toy.product(2, 3) == 6\n",
    }
    for name, bug in BUGS.items():
        fields: Mapping[str, str] = {"file": "src/toy.py", "why": "haste", "promise": "none", **bug}
        files[f"tests/planted/{name}.toml"] = "".join(f'{key} = "{value}"\n' for key, value in fields.items())
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_found_survived_and_not_applying_are_told_apart(project: Path) -> None:
    reports = {bug.name: check(bug, project) for bug in read_bugs(project / "tests/planted")}
    assert {name: report.outcome for name, report in reports.items()} == {
        "01-by-machine": Outcome.FOUND,
        "02-by-plain-test": Outcome.FOUND,
        "03-survivor": Outcome.SURVIVED,
        "04-gone": Outcome.NOT_APPLYING,
        "05-twice": Outcome.NOT_APPLYING,
        "06-no-import": Outcome.NO_VERDICT,
    }
    assert reports["01-by-machine"].by == "tests/machines/test_total.py::test_total"
    assert reports["02-by-plain-test"].by == "tests/test_product.py::test_product"
    assert [name for name, report in reports.items() if report.by_machine] == ["01-by-machine"]
    assert (project / "src/toy.py").read_text() == CODE, "the tree itself stays as it was"


def test_a_suite_that_cannot_run_gives_no_verdict(project: Path) -> None:
    (project / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    assert check_control(project).outcome is Outcome.NO_VERDICT


def test_a_suite_that_fails_without_a_bug_makes_the_run_fail(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--root", str(project), "--only", "01-by-machine"]
    assert main(arguments) == 0
    (project / "tests/test_red.py").write_text("def test_red(): assert False\n")
    assert main(arguments) == 1
    assert "Without any bug the suite must pass" in capsys.readouterr().out


def test_too_few_bugs_make_the_run_fail(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in BUGS:
        if name != "01-by-machine":
            (project / f"tests/planted/{name}.toml").unlink()
    assert main(["--root", str(project)]) == 1
    printed = capsys.readouterr().out
    assert "1 bugs are planted, fewer than 25." in printed
    assert "1 bugs are found by state machines, fewer than 15." in printed


def test_every_planted_bug_applies_to_the_code_as_it_is() -> None:
    assert [bug.name for bug in read_bugs(ROOT / "tests/planted") if planted(bug, ROOT) is None] == []
