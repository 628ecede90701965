"""What a notebook shows: real content, harmless whatever somebody else wrote; and the example notebook runs."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import imagiq
from imagiq.bench.as_html import fields_table, table
from imagiq.face import Repository
from imagiq.report import tables_of
from imagiq.simulation import Outcome, report_of, simulate
from tests.report.reports import HOSTILE, by_hand
from tests.simulation.drawings import TASK, Threshold, wards_that_draw
from tests.simulation.wards import cases_of, scenario

ROOT = Path(__file__).parents[1]


class Reader(HTMLParser):
    """Reads tables; every element that begins ends."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = []
        self.text = ""
        self.tags: set[str] = set()
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "td" in self._open or "th" in self._open:
            self.rows[-1][-1] += data


def shown(value: Any) -> Reader:
    return Reader(value._repr_html_())


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    folder = tmp_path_factory.mktemp("left") / "sites"
    return folder, simulate(scenario("local", "fedavg"), cases=cases_of(), folder=folder)


@pytest.fixture
def repository(left: tuple[Path, Outcome]) -> Iterator[Repository]:
    with imagiq.open(left[0] / "east") as opened:
        yield opened


def test_an_outcome_shows_each_way_at_each_site_with_intervals_and_the_answer(left: tuple[Path, Outcome]) -> None:
    found = shown(left[1])
    assert found.rows[0][:5] == ["way", "mean", "east", "north", "west"]
    assert [row[0] for row in found.rows[1:]] == ["local", "fedavg", "pooled"]
    for way, row in zip(left[1].lines, found.rows[1:], strict=True):
        for result, cell in zip(way.sites, row[2:5], strict=True):
            score = result.score["auc"]
            assert score is not None
            assert cell.startswith(f"{score.point:.3f}")
            assert f"({score.low:.2f}" in cell
    assert "each site going alone" in found.text


def test_a_log_shows_the_commits_that_it_holds(repository: Repository) -> None:
    log = repository.log(limit=7)
    found = shown(log)
    assert [row[0] for row in found.rows[1:]] == [entry.digest[:12] for entry in log.entries]
    assert "There are older ones" in found.text


def test_a_commit_shows_where_it_comes_from_and_its_tensors(repository: Repository) -> None:
    commit = repository.show("fedavg")
    text = shown(commit).text
    for said in (commit.commit.digest[:12], "merge", "made from", commit.parents[0].digest[:12], "float32"):
        assert said in text


def test_differences_checks_reports_and_tables_are_shown(repository: Repository, left: tuple[Path, Outcome]) -> None:
    assert shown(repository.diff("local@east", "fedavg")).rows[1][0] == "weight"
    assert "nothing is wrong" in shown(repository.verify()).text
    assert "fedavg" in shown(repository.report()).text
    for one in tables_of(report_of(left[1])):
        assert shown(one).rows[0] == list(one.columns)


def test_what_is_evaluated_and_drawn_is_shown(tmp_path: Path) -> None:
    import numpy as np

    from imagiq.imaging.nifti import Volume, write_volume

    simulate(scenario("fedavg", task=TASK), cases=wards_that_draw(), learners={"threshold": Threshold}, folder=tmp_path)
    write_volume(tmp_path / "image.nii.gz", Volume(array=np.full((4, 4, 4), 9.0), affine=np.eye(4)))
    with imagiq.open(tmp_path / "east") as opened:
        found = shown(opened.evaluate("fedavg", wards_that_draw(), learner=Threshold()))
        assert found.rows[0][:3] == ["site", "patients", "Dice"]
        assert [row[0] for row in found.rows[1:]] == ["east", "north", "west", "beyond"]
        drawn = opened.predict("fedavg", tmp_path / "image.nii.gz", learner=Threshold())
        assert ["2", "core", "64", "0.06"] in shown(drawn).rows


def test_a_report_is_written_as_a_page(repository: Repository, tmp_path: Path) -> None:
    repository.report(tmp_path / "page.html")
    assert "<title>" in (tmp_path / "page.html").read_text()


def test_names_of_others_are_text(left: tuple[Path, Outcome], repository: Repository) -> None:
    outcome = replace(left[1], title=HOSTILE, findings=(HOSTILE,), warnings=(HOSTILE,))
    entry = replace(repository.log(limit=1).entries[0], site=HOSTILE, study_title=HOSTILE, metrics={HOSTILE: HOSTILE})
    values = [
        outcome,
        replace(repository.log(), entries=(entry,)),
        replace(repository.show("fedavg"), site=HOSTILE, study_title=HOSTILE, why=HOSTILE),
        by_hand(title=HOSTILE, findings=(HOSTILE,)),
    ]
    for value in values:
        found = shown(value)
        assert not found.tags & {"script", "title"}
        assert HOSTILE in found.text
    assert "<script" not in table(HOSTILE, [HOSTILE], [[HOSTILE]], notes=[HOSTILE], more=HOSTILE)
    assert "<script" not in fields_table(HOSTILE, [(HOSTILE, HOSTILE)])


def test_long_tables_are_cut_and_say_so() -> None:
    from imagiq.report import Table

    found = shown(Table(name="many", columns=("n",), rows=tuple((n,) for n in range(1000))))
    assert len(found.rows) == 101
    assert "900 more rows" in found.text


# -------------------------------------------------------------------------------------------- the example notebook


@pytest.mark.slow
def test_the_example_notebook_runs_and_each_of_its_results_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = json.loads((ROOT / "examples/notebook.ipynb").read_text("utf-8"))
    assert (notebook["nbformat"], set(notebook)) == (4, {"cells", "metadata", "nbformat", "nbformat_minor"})
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    results = []
    for number, cell in enumerate(one for one in notebook["cells"] if one["cell_type"] == "code"):
        assert cell["outputs"] == []
        parsed = ast.parse("".join(cell["source"]))
        last = parsed.body.pop() if isinstance(parsed.body[-1], ast.Expr) else None
        exec(compile(parsed, f"cell {number}", "exec"), names)
        if isinstance(last, ast.Expr):
            results.append(eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names))  # noqa: S307 - our own
    assert len(results) >= 6
    assert sum(len(shown(value).rows) > 1 for value in results if hasattr(value, "_repr_html_")) >= 5
