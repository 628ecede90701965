"""A member that withholds its models, and one that floods: the others train on, over a relay that all share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imagiq.objects import Recipe
from imagiq.site.home import Home
from imagiq.site.session import open_seat
from tests.faults.course import NAMES, Course
from tests.faults.relays import Place, relayed
from tests.site.processes import until

OTHERS = ("alba", "bert", "caro")
FLOOD = 400


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with relayed(tmp_path_factory.mktemp("members")) as place:
        yield place
        place.course.check_sound()


def pseudonym(course: Course, name: str) -> str:
    listed = course.town.homes.at(course.town.names[0], "members", "--for-relay").out
    key = next(
        m["site_key"] for m in course.town.homes.at("alba", "members", "--json").json["members"] if m["name"] == name
    )
    return next(line.split()[1] for line in listed.splitlines() if line.startswith(key))


def test_a_commit_whose_model_never_comes_is_carried_and_never_an_input_and_others_go_on(place: Place) -> None:
    course, town = place.course, place.course.town
    place.relay.lie(withholds=pseudonym(course, "dora"))
    until("what was on its way is here", lambda: course.known("dora") <= course.known("alba"), within_s=20)
    before = {entry.digest for entry in town.own("dora")}
    with course.fault(*NAMES, at_least_s=10.0):
        pass
    withheld = {e.digest for e in town.own("dora") if e.commit.recipe.name == "train"} - before
    bench = town.bench_of("alba")
    assert len(withheld & {entry.digest for entry in bench.history}) >= 3, "they are known"
    assert not withheld & bench.models.complete
    merges = [e for name in OTHERS for e in town.own(name) if e.commit.recipe.name == "merge"]
    assert all(withheld.isdisjoint(merge.commit.parents_in("input")) for merge in merges)
    place.relay.lie()
    course.wait_for_more("dora")
    course.wait_until_models_are_here("alba", "dora")


def test_a_member_that_floods_is_delayed_by_its_quota_and_told_so_and_others_are_not(place: Place) -> None:
    course, town, homes = place.course, place.course.town, place.course.town.homes
    town.kill("dora")
    home = Home(homes["dora"])
    with home.lock(), open_seat(home, home.seat()) as session:
        session.start()
        flood = {session.bench.commit(Recipe("note", parameters={"number": n})).digest for n in range(FLOOD)}
    place.relay.kill()
    place.relay.quota = f"{FLOOD - 100} 0.5"
    place.relay.start()
    with course.fault(*OTHERS, at_least_s=12.0):
        course.up("dora")
        until("dora is told", lambda: "its quota is used up" in str(town.status("dora")["federations"][0]["remotes"]))
        told = course.known("alba")
        assert flood - told, "it is delayed"
    place.relay.kill()
    place.relay.quota = ""
    place.relay.start()
    until("and then all is taken: nothing is refused for good", lambda: flood <= course.known("alba"), within_s=90)
    course.wait_until_caught_up("dora", *OTHERS, within_s=60)
