"""Lines and remotes that fail: cut for a while, cut for good in the middle of a model, a hundred times slower, full, read-only, gone."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.exchange.wire import Wire
from tests.faults.course import NAMES, Course, course_of
from tests.faults.relays import Relay
from tests.site.processes import until

OTHERS = ("alba", "bert", "caro")
LIKE_A_GUEST = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")


@dataclass(frozen=True)
class Place:
    """Four sites and a relay; dora reaches it by a wire of her own. A model has 2 MiB."""

    course: Course
    relay: Relay
    wire: Wire


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with course_of(tmp_path_factory.mktemp("lines")) as course:
        relay = Relay(course.town)
        relay.start()
        with Wire(relay.port) as wire:
            relay.add_to(*OTHERS)
            relay.add_to("dora", port=wire.port)
            for name in NAMES:
                course.town.homes.at(name, "remote", "remove", "share")
            course.up()
            course.open_study("alba", ballast_mib=2)
            course.wait_until_all_train()
            yield Place(course, relay, wire)
            course.check_sound()


def trouble(place: Place, name: str) -> str:
    (federation,) = place.course.town.status(name)["federations"]
    (remote,) = federation["remotes"]
    return "" if remote["trouble"] is None else str(remote["trouble"]["code"])


def test_a_line_that_is_cut_for_20_s_holds_nobody_up_and_who_was_cut_off_is_caught_up(place: Place) -> None:
    course = place.course
    with course.fault(*NAMES, at_least_s=20.0):
        place.wire.cut()
        time.sleep(1.0)  # what had come before is taken in
        before = course.others_known("dora")
    assert course.others_known("dora") == before, "nothing came through"
    assert trouble(place, "dora") == "remote-away"
    place.wire.mend()
    course.wait_until_caught_up("dora", *OTHERS, within_s=60)
    course.wait_for_more("dora")


def test_a_line_that_is_cut_for_good_in_the_middle_of_a_model_leaves_what_came_and_another_line_brings_the_rest(
    place: Place,
) -> None:
    course, town = place.course, place.course.town
    with course.fault(*NAMES):
        place.wire.cut_after = place.wire.passed + 700_000
        until("the line is cut in a model", lambda: not place.wire.is_up, within_s=30)
    before = course.others_known("dora")
    with Wire(place.relay.port) as other:
        town.homes.at("dora", "remote", "remove", "relay")
        place.relay.add_to("dora", port=other.port)
        course.wait_until_caught_up("dora", *OTHERS, within_s=60)
        course.wait_for_more("dora")
        assert course.others_known("dora") > before
        course.check_logs(*NAMES)
        town.homes.at("dora", "remote", "remove", "relay")
    place.wire.mend()
    place.relay.add_to("dora", port=place.wire.port)
    course.wait_until_caught_up("dora", *OTHERS, within_s=60)


def test_a_line_that_is_slow_by_100_times_holds_up_nobody_else(place: Place) -> None:
    course, wire = place.course, place.wire
    passed, since_s = wire.passed, time.monotonic()
    time.sleep(4.0)
    usual_bytes_s = (wire.passed - passed) / (time.monotonic() - since_s)
    with course.fault(*NAMES):
        wire.slow_bytes_s = int(usual_bytes_s / 100)
        before = wire.passed
        time.sleep(6.0)
        assert wire.passed - before < usual_bytes_s, "in 6 s less than in one before"
    wire.slow_bytes_s = 0
    wire.cut()  # what waits in the slow line is let go
    wire.mend()
    course.wait_until_caught_up("dora", *OTHERS, within_s=60)


def test_a_relay_that_is_slow_by_100_times_holds_nobody_up(place: Place) -> None:
    with place.course.fault(*NAMES):
        place.relay.lie(slow_by=100)
    place.relay.lie()
    for name in NAMES:
        place.course.wait_until_caught_up(name, within_s=60)


def test_a_relay_that_is_killed_holds_nobody_up_and_is_used_again_when_it_is_back(place: Place) -> None:
    with place.course.fault(*NAMES):
        place.relay.kill()
    assert trouble(place, "alba") == "remote-away"
    place.relay.start()
    for name in NAMES:
        place.course.wait_until_caught_up(name, within_s=60)


def test_a_relay_whose_disk_is_full_holds_nobody_up_and_says_so(place: Place) -> None:
    assert place.relay.process is not None
    with place.course.fault(*NAMES):
        resource.prlimit(place.relay.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        until("alba says so", lambda: trouble(place, "alba") == "remote-full", within_s=30)
    resource.prlimit(place.relay.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    for name in NAMES:
        place.course.wait_until_caught_up(name, within_s=60)
    until("alba is well", lambda: not trouble(place, "alba"), within_s=60)


def test_a_relay_that_may_only_be_read_holds_nobody_up(place: Place) -> None:
    """The relay runs as one for whom the rights of files count, also where the tests are run by root."""
    place.relay.kill()
    place.relay.start(before=LIKE_A_GUEST if os.geteuid() == 0 else ())
    for name in NAMES:
        place.course.wait_until_caught_up(name, within_s=60)
    folders = [path for path in (place.relay.folder, *place.relay.folder.rglob("*")) if path.is_dir()]
    with place.course.fault(*NAMES):
        for path in folders:
            path.chmod(0o500)
        until("alba says so", lambda: trouble(place, "alba") == "remote-read-only", within_s=30)
    for path in folders:
        path.chmod(0o700)
    for name in NAMES:
        place.course.wait_until_caught_up(name, within_s=60)
