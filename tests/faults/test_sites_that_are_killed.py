"""One of four sites is killed in every phase of its work: nothing is lost, the others never wait, and it comes back by itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.course import ENVIRONMENT, NAMES, Course, course_of
from tests.faults.stopped_in import PLACES
from tests.site.processes import Town, town_of, until

DRIVER = str(Path(__file__).with_name("stopped_in.py"))
OTHERS = ("alba", "bert", "caro")


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    with course_of(tmp_path_factory.mktemp("killed")) as found:
        found.up()
        found.open_study("alba")
        found.wait_until_all_train()
        yield found


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
    assert told <= {str(digest)[:12] for digest in town.commits("alba")}
    course.wait_for_more("dora")
    steps = [entry.commit.recipe for entry in town.own("dora") if entry.commit.recipe.name == "train"]
    assert len({recipe.parameters["step"] for recipe in steps}) == len(steps), "no step was counted twice"
    course.check_sound(*NAMES)


def test_two_of_four_that_are_killed_at_once_hold_up_neither_of_the_others(course: Course) -> None:
    town = course.town
    with course.fault("alba", "bert"):
        town.kill("caro")
        town.kill("dora")
    course.up("caro", "dora")
    for name in ("caro", "dora"):
        course.wait_until_caught_up(name, "alba", "bert")
        course.wait_for_more(name)
    course.check_sound(*NAMES)


def test_a_site_whose_machine_sleeps_holds_nobody_up_and_goes_on_when_it_wakes(course: Course) -> None:
    with course.fault(*OTHERS):
        course.town.kill("dora", signal.SIGSTOP)
    course.town.kill("dora", signal.SIGCONT)
    course.wait_until_caught_up("dora", *OTHERS)
    course.wait_for_more("dora")


# ------------------------------------------------------------------------------------------------- its children

IMAGES = """
[data]
kind = "phantom-brain"
hospitals = ["{name}"]
patients = [6]
seed = 100
slices = 2
held_back = 0.4

[learner]
threads = 1
"""
SEGMENTATION = """\
title = "Tumours"
seed = 1

[strategy]
name = "latest-of-each"

[task]
learner = "segmentation"
channels = ["T1", "T1ce", "T2", "FLAIR"]
batch = 2

[task.labels]
core = 1
oedema = 2
rim = 3

[task.optimiser]
name = "adamw"
learning_rate = "0.005"

[budget]
steps = 3
updates = {updates}
"""


def children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(path.read_text("utf-8", errors="replace").rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found


def trains(town: Town, name: str) -> bool:
    """Tell whether a worker of a site trains: it has told how far it is."""
    studies = [study for one in town.status(name)["federations"] for study in one["studies"]]
    return any(study["state"] == "trains" and study["share"] for study in studies)


def test_a_worker_that_is_killed_costs_its_training_only_and_a_site_that_is_killed_takes_its_worker_along(
    tmp_path: Path,
) -> None:
    with town_of(tmp_path, "north", "east") as town:
        for name in town.names:
            file = town.homes[name] / "site.toml"
            file.write_text(file.read_text("utf-8").partition("\n[data]")[0] + IMAGES.format(name=name), "utf-8")
        study = tmp_path / "study.toml"
        study.write_text(SEGMENTATION.format(updates=40), "utf-8")
        town.up()
        town.homes.at("north", "study", "open", str(study))
        until("east trains in a worker", lambda: trains(town, "east"))
        (worker,) = children(town.running["east"].pid)
        os.kill(worker, signal.SIGKILL)
        until("another worker has taken its place", lambda: children(town.running["east"].pid) not in ([], [worker]))
        assert town.running["east"].poll() is None, "the site itself goes on"
        until("east has made a step", lambda: town.made("east", "train").get("east"))
        until("north trains in a worker", lambda: trains(town, "north"))
        workers = children(town.running["north"].pid)
        assert workers
        town.kill("north")
        until("no worker is left alone", lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), within_s=20)
        town.up("north")
        until("all are done and know the same", lambda: town.is_done(title="Tumours"))
        until("all know the same", lambda: town.commits("north") == town.commits("east"))
        assert {site: len(made) for site, made in town.made("east", "train").items()} == {"north": 3, "east": 3}
        assert "worker-died" not in town.log("east")
