"""A relay that lies while four sites train over it alone: it delays; it harms nobody, and nobody waits for it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.faults.course import NAMES
from tests.faults.relays import Place, relayed
from tests.site.processes import until


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with relayed(tmp_path_factory.mktemp("lies")) as place:
        yield place
        place.course.check_sound()


LIES = {
    "away": {"away": 100},
    "garbage-under-right-names": {"garbage": 100},
    "truncated": {"truncated": 100},
    "re-labelled": {"swapped": 100},
    "replayed": {"stale": 100},
    "withheld": {"missing": 100},
    "accepts-and-forgets": {"forgets": 100},
    "full": {"full": 100},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_relay_that_only_lies_holds_nobody_up_and_is_of_use_again_once_it_is_honest(place: Place, lie: str) -> None:
    course, town = place.course, place.course.town
    with course.fault(*NAMES):
        place.relay.lie(**LIES[lie])
        time.sleep(1.0)
        before = course.others_known("alba")
    assert course.others_known("alba") - before == frozenset(), "nothing came through: the lie was told"
    place.relay.lie()
    for name in NAMES:
        course.wait_until_caught_up(name)
    assert len(course.others_known("alba")) > len(before)
    assert all(not town.bench_of(name).models.set_aside for name in NAMES), "nobody is blamed for what a relay did"


@pytest.mark.parametrize("lie", [{"missing": 50}, {"stale": 50, "lost_answers": 20}, {"away": 30, "garbage": 30}])
def test_a_relay_that_lies_now_and_then_gives_all_in_any_order_and_all_know_the_same(
    place: Place, lie: dict[str, int]
) -> None:
    course = place.course
    with course.fault(*NAMES):
        place.relay.lie(**lie)
        time.sleep(1.0)
        before = course.others_known("alba")
        until("something comes through all the same", lambda: course.others_known("alba") > before)
    place.relay.lie()
    for name in NAMES:
        course.wait_until_caught_up(name)
    course.check_logs(*NAMES)
