"""What an owner, a clean-up program or an editor does to the files of a site that runs: it says so, and goes on once that is mended."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.course import Course, course_of
from tests.site.processes import until


@pytest.fixture
def course(tmp_path: Path) -> Iterator[Course]:
    """Two sites that train."""
    with course_of(tmp_path, "alba", "bert") as found:
        found.up()
        found.open_study("alba", step_s=0.5)
        found.wait_until_all_train()
        yield found


def trouble(course: Course) -> str:
    (federation,) = course.town.status("bert")["federations"]
    return "" if federation["trouble"] is None else str(federation["trouble"]["code"])


def until_bert_goes_on(course: Course) -> None:
    made = len(course.town.own("bert"))
    until("bert goes on", lambda: len(course.town.own("bert")) >= made + 4, within_s=30, every_s=0.3)
    until("bert is well", lambda: not trouble(course), within_s=30)


@pytest.mark.parametrize("name", ["site.toml", "policy.toml"])
def test_settings_that_are_nonsense_for_a_while_are_told_once_and_read_again_at_once(course: Course, name: str) -> None:
    file = course.town.homes["bert"] / name
    text = file.read_text("utf-8")
    file.write_text("[[nonsense", "utf-8")
    until("bert says so", lambda: "file-toml" in course.town.log("bert"), within_s=20)
    time.sleep(6.0)
    assert course.town.log("bert").count("file-toml") == 1
    assert course.town.running["bert"].poll() is None
    file.write_text(text, "utf-8")
    until_bert_goes_on(course)


def remove_folders(course: Course) -> Callable[[], None]:
    repository = course.town.seat("bert") / ".imagiq"
    shutil.rmtree(repository / "tmp")
    shutil.rmtree(repository / "sidecar")
    shutil.rmtree(course.town.homes["bert"] / "marks")
    return lambda: None


def spoil_marks(course: Course) -> Callable[[], None]:
    marks = course.town.homes["bert"] / "marks"
    marks.rename(marks.with_name("kept"))
    marks.touch()

    def mend() -> None:
        marks.unlink()
        marks.with_name("kept").rename(marks)

    return mend


def move_home(course: Course) -> Callable[[], None]:
    home = course.town.homes["bert"]
    home.rename(home.with_name("away"))

    def mend() -> None:
        home.with_name("away").rename(home)

    return mend


@pytest.mark.parametrize("spoil", [remove_folders, spoil_marks, move_home])
def test_folders_of_a_running_site_that_are_removed_or_away_for_a_while_cost_it_nothing_else(
    course: Course, spoil: Callable[[Course], Callable[[], None]]
) -> None:
    told = course.town.acknowledged("bert")
    mend = spoil(course)
    time.sleep(5.0)
    assert course.town.running["bert"].poll() is None
    said = [line for line in course.town.log("bert").splitlines() if "error[" in line]
    assert len(said) <= 2, said
    mend()
    until_bert_goes_on(course)
    assert told <= {str(digest)[:12] for digest in course.known("bert")}
