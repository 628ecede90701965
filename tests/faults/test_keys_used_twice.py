"""A key that two machines use, and stores from last week's backup: who is not concerned trains on, nothing is forked unseen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, rmtree

import pytest

from tests.faults.course import Course, course_of
from tests.site.processes import until

OTHERS = ("alba", "caro")


@pytest.fixture
def course(tmp_path: Path) -> Iterator[Course]:
    with course_of(tmp_path, "alba", "bert", "caro") as found:
        found.up()
        found.open_study("alba")
        found.wait_until_all_train()
        yield found


def feeds(course: Course, site: str) -> set[str]:
    """Return the feeds that a site has written, as alba knows."""
    bench = course.town.bench_of("alba")
    return {entry.commit.feed for entry in bench.history if bench.standing.name_of(entry) == site}


def forks(course: Course) -> list[str]:
    said = course.town.homes.call("-C", str(course.town.homes["alba"]), "verify", "--json")
    return [str(fork["site"]) for fork in said.json["forks"]]


def by_bert(course: Course, home: str) -> int:
    """Return how many commits of bert's lie in a home."""
    bench = course.town.bench_of(home)
    return sum(bench.standing.name_of(entry) == "bert" for entry in bench.history)


def test_a_key_that_two_machines_use_shows_and_who_stays_goes_on_in_a_new_feed(course: Course) -> None:
    town = course.town
    town.kill("bert")
    copytree(town.homes["bert"], town.homes["clone"])
    written = by_bert(course, "bert")
    with course.fault(*OTHERS):
        town.homes.share.rename(
            town.homes.folder / "away"
        )  # else the one that starts later hears of the other, and forks nothing
        course.up("bert", "clone")
        until(
            "both have trained", lambda: min(by_bert(course, home) for home in ("bert", "clone")) > written, within_s=40
        )
        (town.homes.folder / "away").rename(town.homes.share)
        until("alba sees that bert's key was used twice", lambda: "bert" in forks(course), within_s=40, every_s=0.5)
    said = town.homes.call("-C", str(town.homes["bert"]), "doctor", "--json").json["findings"]
    assert any("used twice" in finding["what"] for finding in said if not finding["ok"]), "its owner is told"
    town.kill("clone")
    until("bert goes on in a new feed", lambda: len(feeds(course, "bert")) >= 2, within_s=30)
    course.wait_until_caught_up("bert", *OTHERS)
    before = course.known("alba")

    def counts() -> bool:
        bench = town.bench_of("alba")
        merged = {p.commit for e in bench.history if e.commit.recipe.name == "merge" for p in e.commit.parents}
        return any(bench.standing.name_of(bench.history[digest]) == "bert" for digest in merged - before)

    until("what bert does now is merged by others", counts, within_s=30)
    course.check_logs(*town.names)


@pytest.mark.parametrize("what", ["store", "home"])
def test_a_site_restored_from_last_weeks_backup_opens_a_new_feed_and_forks_nothing(course: Course, what: str) -> None:
    town = course.town
    seat = town.seat("bert")
    restored = seat if what == "store" else town.homes["bert"]
    town.kill("bert")
    copytree(restored, town.homes.folder / "backup")
    course.up("bert")
    course.wait_for_more("bert")
    town.kill("bert")
    later = course.known("alba")
    rmtree(restored)
    copytree(town.homes.folder / "backup", restored)
    with course.fault(*OTHERS):
        course.up("bert")
        until("bert goes on in a new feed", lambda: len(feeds(course, "bert")) == 2, within_s=30)
    course.wait_until_caught_up("bert", *OTHERS)
    course.wait_for_more("bert")
    assert later <= course.known("bert"), "what the backup had lost came back from others"
    assert forks(course) == []
    course.check_sound("alba", "bert", "caro")
