"""One of four sites is killed in every phase of its work: nothing is lost, the others never wait, and it comes back by itself."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest

from imagiq.site.home import Home
from tests.faults.conftest import PLUGIN
from tests.faults.course import ENVIRONMENT, NAMES, Course, course_of
from tests.faults.stopped_in import PLACES
from tests.site.processes import until

DRIVER = str(Path(__file__).with_name("stopped_in.py"))
OTHERS = ("alba", "bert", "caro")


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    with course_of(tmp_path_factory.mktemp("killed")) as found:
        found.up()
        found.open_study("alba")
        found.wait_until_all_train()
        yield found
        found.check_sound()


@pytest.mark.parametrize("phase", PLACES)
def test_a_site_that_is_killed_in_any_phase_holds_nobody_up_and_comes_back_by_itself(
    course: Course, tmp_path: Path, phase: str
) -> None:
    town, reached = course.town, tmp_path / "reached"
    town.kill("dora")
    more = {**ENVIRONMENT, "IMAGIQ_PHASE": phase, "IMAGIQ_REACHED": str(reached)}
    town.up("dora", program=(DRIVER,), environment=more)
    until(f"dora is {phase}", reached.exists)
    with course.fault(*OTHERS):
        town.kill("dora")
    told = town.acknowledged("dora")
    course.up("dora")
    town.wait_until_back("dora")
    course.wait_until_caught_up("dora", *OTHERS)
    assert told <= {str(digest)[:12] for digest in course.known("alba")}
    course.wait_for_more("dora")
    steps = [entry.commit.recipe for entry in town.own("dora") if entry.commit.recipe.name == "train"]
    assert len({recipe.parameters["step"] for recipe in steps}) == len(steps), "no step was counted twice"
    course.check_logs(*NAMES)


def test_a_site_that_is_upgraded_in_the_middle_of_a_study_waits_for_its_owner_and_then_goes_on(
    course: Course, tmp_path: Path
) -> None:
    town, newer = course.town, tmp_path / "plugin"
    copytree(PLUGIN, newer)
    (newer / "steady-1.dist-info").rename(newer / "steady-2.dist-info")
    metadata = newer / "steady-2.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text("utf-8").replace("Version: 1", "Version: 2"), "utf-8")
    town.homes.at("dora", "down")
    town.running.pop("dora").wait(30)
    town.up("dora", environment={"PYTHONPATH": ENVIRONMENT["PYTHONPATH"].replace(str(PLUGIN), str(newer))})
    town.wait_until_up("dora")

    def waits_for() -> str:
        studies = [study for one in town.status("dora")["federations"] for study in one["studies"]]
        return " ".join(str(study["why"]) for study in studies)

    until("dora waits for its owner", lambda: "steady 2, which never ran here" in waits_for(), within_s=30)
    trained = len(town.made("dora", "train")["dora"])
    with course.fault(*OTHERS):
        pass
    assert len(town.made("dora", "train")["dora"]) == trained
    Home(town.homes["dora"]).seat().decisions.let_run("steady 2")
    course.wait_for_more("dora")
    course.wait_until_caught_up("dora", *OTHERS)
    course.check_logs(*NAMES)
    town.homes.at("dora", "down")
    town.running.pop("dora").wait(30)
    course.up("dora")


def test_two_of_four_that_are_killed_at_once_hold_up_neither_of_the_others(course: Course) -> None:
    town = course.town
    with course.fault("alba", "bert"):
        town.kill("caro")
        town.kill("dora")
    course.up("caro", "dora")
    for name in ("caro", "dora"):
        course.wait_until_caught_up(name, "alba", "bert")
        course.wait_for_more(name)
    course.check_logs(*NAMES)


def test_a_site_whose_machine_sleeps_holds_nobody_up_and_goes_on_when_it_wakes(course: Course) -> None:
    since_s = time.monotonic()
    with course.fault(*OTHERS):
        course.town.kill("dora", signal.SIGSTOP)
    with pytest.raises(AssertionError, match="dora made no commit"):  # what is asked of the others can be missed
        course.check_nobody_waited("dora", since_s=since_s)
    course.town.kill("dora", signal.SIGCONT)
    course.wait_until_caught_up("dora", *OTHERS)
    course.wait_for_more("dora")
