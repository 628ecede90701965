"""Every number as JSON and as CSV: the same ones; and what is read again is what was written."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagiq.errors import Corrupt, NotFound, Unsupported
from imagiq.report import Report, csv_of, parse_report, report_as_json, tables_of
from imagiq.report.folder import read_report
from imagiq.report.png import outline, png
from imagiq.simulation import report_of, simulate
from tests.report.reports import by_hand, said
from tests.simulation.drawings import drawn_outcome
from tests.simulation.wards import cases_of, scenario


@pytest.fixture(scope="module")
def drawn() -> Report:
    return report_of(drawn_outcome())


def numbers(value: Any) -> list[float]:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return []
    if isinstance(value, int | float):
        return [float(value)]
    items = value.values() if isinstance(value, dict) else value
    return [number for item in items for number in numbers(item)]


def test_csv_holds_every_number_of_the_json(drawn: Report) -> None:
    document = report_as_json(drawn, pictures=False)
    tables = {table.name: list(csv.DictReader(io.StringIO(csv_of(table)))) for table in tables_of(drawn)}
    for name in ("sites", "ways", "scores", "points", "work", "commits"):
        for row, written in zip(tables[name], document[name], strict=True):
            in_csv = sorted(float(cell) for cell in row.values() if _is_number(cell))
            assert in_csv == sorted(numbers(written)), name
    scores = [float(row["score"]) for row in tables["pictures"]]
    assert scores == [score for picture in document["pictures"] for score in picture["scores"].values()]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return len(cell) < 30


def test_what_a_spreadsheet_would_run_is_text() -> None:
    report = by_hand()
    report = replace(report, sites=(replace(report.sites[0], title='=HYPERLINK("x")'),))
    assert "'=HYPERLINK" in csv_of(tables_of(report)[0])


def test_a_report_is_read_as_it_was_written(drawn: Report) -> None:
    text = json.dumps(report_as_json(drawn), allow_nan=False)
    again = parse_report(text.encode())
    assert json.dumps(report_as_json(again)) == text
    for one, two in zip(drawn.pictures, again.pictures, strict=True):
        assert np.array_equal(one.image, two.image)
        assert all(np.array_equal(one.drawn[way], two.drawn[way]) for way in one.drawn)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda it: it.pop("title"),
        lambda it: it.pop("report"),
        lambda it: it["scores"].append({"way": 1}),
        lambda it: it["scores"][0].update(value="high"),
        lambda it: it["scores"][0].update(value=float("nan")),
        lambda it: it.update(ways={}),
        lambda it: it["pictures"][0]["image"].update(shape=[1 << 20, 1 << 20]),
        lambda it: it["pictures"][0]["image"].update(zlib="AAAA"),
        lambda it: it["pictures"][0]["image"].update(shape=[3]),
    ],
)
def test_a_damaged_report_is_said_to_be(spoil: Any, drawn: Report) -> None:
    document = json.loads(json.dumps(report_as_json(drawn)))
    spoil(document)
    with pytest.raises(Corrupt) as caught:
        parse_report(json.dumps(document).encode())
    assert caught.value.code == "report-damaged"


def test_a_report_of_a_newer_imagiq_is_not_guessed_at(drawn: Report) -> None:
    with pytest.raises(Unsupported):
        parse_report(json.dumps(report_as_json(drawn) | {"report": 2}).encode())
    with pytest.raises(Corrupt):
        parse_report(b"\xff")


def test_recipes_can_be_copied(drawn: Report) -> None:
    for way in drawn.ways:
        if way.role != "pooled":
            found = tomllib.loads(way.recipe)
            assert found["study"][0]["strategy"] == way.strategy
            assert found["task"]["learner"] == "threshold"
            assert found["seed"] == way.seed


def test_the_split_of_a_simulation_stands_in_its_report_to_copy() -> None:
    outcome = simulate(scenario("local", names=("east",)), cases=cases_of(("east",)))
    assert report_of(outcome).split == ""
    assert "The split" not in said(report_of(outcome))
    rule: dict[str, Any] = {"held_back": 0.25, "judge": "test", "seed": 7}
    report = report_of(replace(outcome, hospitals=(replace(outcome.hospitals[0], split=rule),)))
    assert tomllib.loads(report.split) == {"data": rule}
    assert "The split [data] held_back = 0.25" in said(report)


def test_a_simulation_leaves_what_a_report_is_made_of(tmp_path: Path) -> None:
    outcome = simulate(scenario("local", "fedavg"), cases=cases_of(), folder=tmp_path / "left")
    report = read_report(tmp_path / "left")
    assert report_as_json(report) == json.loads(json.dumps(report_as_json(report_of(outcome))))
    (tmp_path / "left/outcome.json").unlink()
    with pytest.raises(NotFound) as caught:
        read_report(tmp_path / "left")
    assert caught.value.code == "report-unfinished"


def test_a_repository_tells_what_its_site_measured_with_intervals_and_others_without(tmp_path: Path) -> None:
    outcome = simulate(scenario("local", "fedavg"), cases=cases_of(), folder=tmp_path / "left")
    report = read_report(tmp_path / "left/east")
    own = report.scores_of("own", "auc")
    for way in outcome.ways:
        for result in way.sites:
            found = own[way.title, result.site, result.site]
            assert result.score["auc"] is not None
            assert found.value == pytest.approx(result.score["auc"].point)
            assert found.reported == (result.site != "east")
            assert (found.low is None) == found.reported
    assert own["fedavg", "east", "east"].gain is not None
    assert len(report.commits) == sum(way.commits for way in outcome.ways)
    assert "what they said of themselves" in said(report)
    assert str(tmp_path) not in said(report)


def test_where_there_is_nothing_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_report(tmp_path)
    with pytest.raises(NotFound):
        read_report(tmp_path / "nowhere")


def test_a_picture_is_a_png_and_an_outline_goes_around() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert png(image).startswith(b"\x89PNG")
    assert outline(np.array([[True]])) == "M0 0H1M0 1H1M0 0V1M1 0V1"
    assert outline(np.zeros((2, 2), bool)) == ""
