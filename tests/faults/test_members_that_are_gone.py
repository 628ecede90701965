"""Members that are gone for ever: the founder, half of all, the quorum. The others train on, and the federation goes on."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree

from tests.faults.course import NAMES, Course, course_of
from tests.site.processes import until


def lose(course: Course, *names: str) -> None:
    """Lose sites with all that they had."""
    for name in names:
        course.town.kill(name)
        rmtree(course.town.homes[name])


def welcome(course: Course, newcomer: str, sponsor: str, *voters: str) -> None:
    """Let a site join a federation whose members run."""
    homes = course.town.homes
    homes.init(newcomer)
    homes.at(newcomer, "join", homes.invite(sponsor), "--yes")
    (homes[newcomer] / "policy.toml").write_text('otherwise = "accept"\n', "utf-8")
    course.let_run(newcomer)
    until(
        "all voters have heard of it", lambda: all(newcomer in homes.at(v, "requests").out for v in voters), within_s=40
    )
    for voter in voters:
        homes.call("-C", str(homes[voter]), "approve", newcomer)  # others may have been more than half already
    course.up(newcomer)
    until(f"{newcomer} is a member", lambda: newcomer in homes.members(sponsor), within_s=40)


def see_through_another_study(course: Course, opener: str, *sites: str) -> None:
    """Open a study, and wait until all that are left have done their part of it."""
    town = course.town
    course.open_study(opener, title="Later", steps=2, step_s=0.2)
    until(
        "all know what all have trained in the later study",
        lambda: all(len(town.made_in("Later", name, "train")) == 2 * len(sites) for name in sites),
        within_s=60,
        every_s=0.5,
    )


def test_the_founder_is_gone_for_ever_and_nobody_misses_it(tmp_path: Path) -> None:
    others = ("bert", "caro", "dora")
    with course_of(tmp_path) as course:
        course.up()
        course.open_study("alba")
        course.wait_until_all_train()
        with course.fault(*others):
            lose(course, "alba")
        welcome(course, "erik", "bert", *others)
        course.wait_until_caught_up("erik", *others)
        see_through_another_study(course, "bert", *others, "erik")
        course.check_logs(*others, "erik")


def test_half_of_all_are_gone_nobody_waits_and_recovery_keys_bring_the_lost_quorum_back(tmp_path: Path) -> None:
    others = ("alba", "bert")
    homes_keys = [tmp_path / f"recovery-{number}" for number in range(3)]
    with course_of(tmp_path, charter=recovery(*homes_keys)) as course:
        town, homes = course.town, course.town.homes
        course.up()
        course.open_study("alba")
        course.wait_until_all_train()
        with course.fault(*others):
            lose(course, "caro", "dora")
        for name in others:
            homes.at(name, "remove", "caro", "--yes")
        with course.fault(*others):
            pass
        assert homes.members("alba") == list(NAMES), "two of four votes settle nothing"
        proposal, signatures = tmp_path / "proposal", []
        homes.at("alba", "recover", "propose", str(proposal), "--remove", "caro", "--remove", "dora")
        for key in homes_keys[:2]:
            signatures.append(f"{key}.signature")
            said = homes.call("recover", "sign", str(proposal), "--key", str(key), "-o", signatures[-1], "--yes")
            assert said.code == 0, said
        homes.at("alba", "down")
        town.running["alba"].wait(30)
        homes.at("alba", "recover", "apply", str(proposal), *signatures)
        course.up("alba")
        until("bert has heard of it", lambda: homes.members("bert") == list(others), within_s=30)
        for name in others:
            course.wait_for_more(name)
        welcome(course, "erik", "alba", *others)
        course.wait_until_caught_up("erik", *others)
        see_through_another_study(course, "alba", *others, "erik")
        course.check_logs(*others, "erik")


def recovery(*files: Path) -> str:
    """Make recovery keys; return what the charter says of them."""
    from tests.site.homes import Homes

    keys = [Homes(files[0].parent).call("recover", "key", str(file)).out.strip() for file in files]
    return f"recovery = [{', '.join(map(repr, keys))}]\n".replace("'", '"')
