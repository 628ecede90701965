"""A failed action leaves a report that its owner can hand on: nothing of any patient, path or site is in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagiq.errors import ContractBroken, ImagiqError
from imagiq.site import Planned
from imagiq.site.failures import KEPT, newest_report, report_of, schema_of_study, write_report
from tests.bench.town import Town
from tests.site.plain import Plain, site_in

SECRETS = ("MUELLER", "1950", "/data/brain", "0.123456789", "town", "weight", "bias", "local-title")


@pytest.fixture
def failed() -> tuple[Town, Planned, ImagiqError]:
    """Let a training fail with an error that quotes a path, a patient and a value."""
    town = Town()
    town.study("a")
    learner = Plain()
    cause = ValueError("MUELLER^ANNA 1950 in /data/brain/1.nii.gz is 0.123456789")
    error = ContractBroken("cases-shape", f"Wrong: {cause}", "Look at /data/brain.")
    error.__cause__ = cause
    learner.fails_with = error
    site = site_in(town, "a", learner=learner)
    told: list[tuple[Planned, ImagiqError]] = []
    site.failed = lambda planned, error: told.append((planned, error))
    planned = site.plan()
    assert isinstance(planned, Planned)
    site.begin(planned)
    assert site.finish(planned) is None
    ((what, why),) = told
    return town, what, why


def report(town: Town, planned: Planned, error: ImagiqError, when: str = "2026-11-21T08:53:03Z") -> dict[str, object]:
    schema = schema_of_study(town.benches["a"], planned.study.digest)
    return report_of(error, kind="train", study=planned.study, schema=schema, device="cpu", when=when)


def test_a_report_says_what_helps(failed: tuple[Town, Planned, ImagiqError]) -> None:
    found = report(*failed)
    assert (found["code"], found["class"], found["caused_by"]) == ("cases-shape", "ContractBroken", "ValueError")
    assert (found["action"], found["strategy"], found["task"]) == ("train", "local", "plain")
    assert found["tensors"] == [{"dtype": "float32", "shape": [2, 3]}, {"dtype": "float32", "shape": [2]}]
    assert isinstance(found["versions"], dict)
    assert {"imagiq", "numpy"} <= found["versions"].keys()
    assert isinstance(found["peak_kib"], int)
    assert found["peak_kib"] > 1000


def test_a_report_holds_no_value_path_or_name(failed: tuple[Town, Planned, ImagiqError], tmp_path: Path) -> None:
    text = write_report(tmp_path, failed[1].action, report(*failed)).read_text("ascii")
    assert json.loads(text)["code"] == "cases-shape"
    assert [secret for secret in SECRETS if secret in text] == []
    assert str(tmp_path) not in text


def test_a_loop_of_failures_does_not_fill_the_disk(failed: tuple[Town, Planned, ImagiqError], tmp_path: Path) -> None:
    moments = [f"2026-11-21T08:53:{second:02d}Z" for second in range(KEPT + 5)]
    *_, last = [write_report(tmp_path, failed[1].action, report(*failed, when=when)) for when in moments]
    assert len(list((tmp_path / "failures").iterdir())) == KEPT
    assert newest_report(tmp_path) == last
    assert newest_report(tmp_path / "elsewhere") is None
