"""The ways of working that need others to be alive, on real sites: rounds with a server, swarm, gossip, while some are gone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagiq.federation import Step, StudyHistory
from imagiq.objects import Digest
from imagiq.strategies.draws import drawn
from tests.exchange.wire import Wire
from tests.faults.course import ENVIRONMENT, NAMES, Course, course_of
from tests.faults.relays import Relay
from tests.site.processes import until

OTHERS = ("alba", "bert", "caro")


def study_at(course: Course, name: str) -> StudyHistory:
    """Return what a site knows of the one study there is."""
    (steps,) = course.town.bench_of(name).studies.values()
    return steps


def rounds(course: Course, name: str) -> dict[int, set[str]]:
    """Return who merged each round, by what a site knows: of two that did, one merge is chosen."""
    steps, found, number_of = study_at(course, name), dict[int, set[str]](), dict[Digest | None, int]()
    for merge in steps.merges():
        number_of[merge.digest] = number_of.get(merge.base, 0) + 1
        found.setdefault(number_of[merge.digest], set()).add(merge.site)
    return found


def trainings(course: Course, name: str) -> int:
    """Return how many trainings a site has made, by its own disk."""
    return len(study_at(course, name).trainings(name))


def inputs(course: Course, name: str, merge: Step) -> set[str]:
    """Return whose models a merge has merged; of one that came late, it may be two."""
    bench = course.town.bench_of(name)
    return {bench.standing.name_of(bench.history[parent]) for parent in merge.commit.parents_in("input")}


def wait_for_round(course: Course, number: int, *names: str, within_s: float = 60.0) -> None:
    until(
        f"{names} know round {number}",
        lambda: all(number in rounds(course, name) for name in names),
        within_s=within_s,
        every_s=0.5,
    )


def wait_for_one_end(course: Course, *names: str) -> None:
    """Wait until all are done and know the same; check that nothing is wrong."""
    until("all end alike", lambda: course.town.settled(*names), within_s=120, every_s=1.0)
    course.check_sound(*names)


def test_rounds_with_a_quorum_go_on_without_a_site_that_was_drawn_and_take_it_in_when_it_is_back(
    tmp_path: Path,
) -> None:
    with course_of(tmp_path) as course:
        course.up()
        terms = 'server = "alba"\nsample = 3\nquorum = 2\ndeadline_s = 2'
        course.open_study("alba", strategy="fedavg", steps=14, step_s=0.4, parameters=terms)
        course.wait_until_all_train()
        wait_for_round(course, 2, *NAMES)
        course.town.kill("dora")
        before = max(rounds(course, "alba"))
        wait_for_round(course, before + 4, *OTHERS)  # of any four rounds, dora is drawn for some
        while_away = study_at(course, "alba").merges()[-3:]
        assert all("dora" not in inputs(course, "alba", merge) for merge in while_away)
        course.up("dora")
        until(
            "dora's models are merged again",
            lambda: any("dora" in inputs(course, "alba", merge) for merge in study_at(course, "alba").merges()[-2:]),
            within_s=60,
            every_s=0.5,
        )
        wait_for_one_end(course, *NAMES)
        assert set.union(*rounds(course, "bert").values()) == {"alba"}
        assert all(len(inputs(course, "bert", m)) >= 2 for m in study_at(course, "bert").merges())


def test_a_site_whose_training_always_fails_is_passed_over_once_it_says_so_and_comes_back_when_it_works(
    tmp_path: Path,
) -> None:
    with course_of(tmp_path) as course:
        course.up(*OTHERS)
        course.town.up("dora", environment={**ENVIRONMENT, "IMAGIQ_FAILS": "1"})
        course.town.wait_until_up("dora")
        course.open_study("alba", strategy="fedavg", steps=4, step_s=0.2)
        until("the others are done", lambda: course.town.is_done(*OTHERS), within_s=120, every_s=1.0)
        assert trainings(course, "dora") == 0
        assert all("dora" not in inputs(course, "alba", merge) for merge in study_at(course, "alba").merges())
        assert "patient" not in course.town.log("dora")
        course.town.kill("dora")
        course.open_study("alba", title="Later", strategy="fedavg", steps=2, step_s=0.2)
        course.up("dora")
        until("all do the next study", lambda: course.town.is_done(title="Later"), within_s=120, every_s=1.0)
        assert len(course.town.made_in("Later", "alba", "train")) == 2 * len(NAMES)
        course.check_sound()


def test_a_swarms_leader_that_is_killed_or_sleeps_is_replaced_and_all_end_alike(tmp_path: Path) -> None:
    with course_of(tmp_path) as course:
        course.up()
        course.open_study("alba", strategy="swarm", steps=10, step_s=0.5, parameters="patience_s = 4\ndeadline_s = 2")
        course.wait_until_all_train()
        wait_for_round(course, 2, *NAMES)
        number = max(rounds(course, "alba")) + 2
        leader = drawn(NAMES, study_at(course, "alba").study.seed, "leader", number)[0]
        others = tuple(name for name in NAMES if name != leader)
        course.town.kill(leader, signal.SIGSTOP)
        wait_for_round(course, number, *others)
        assert leader not in rounds(course, others[0])[number]
        course.town.kill(leader, signal.SIGCONT)
        wait_for_round(course, number, leader)
        course.town.kill(leader)
        wait_for_round(course, max(rounds(course, others[0])) + 2, *others)
        course.up(leader)
        wait_for_one_end(course, *NAMES)
        assert len(set.union(*rounds(course, leader).values())) > 1, "the leader changes"


@contextmanager
def with_wires(folder: Path, *names: str) -> Iterator[tuple[Course, list[Wire]]]:
    """Four sites over a relay; of these each reaches it by a wire of its own."""
    with course_of(folder) as course:
        relay = Relay(course.town)
        relay.start()
        wires = [Wire(relay.port) for _ in names]
        for wire in wires:
            wire.__enter__()
        try:
            for name in NAMES:
                port = wires[names.index(name)].port if name in names else relay.port
                relay.add_to(name, port=port)
                course.town.homes.at(name, "remote", "remove", "share")
            course.up()
            yield course, wires
        finally:
            for wire in wires:
                wire.__exit__(None, None, None)


def test_a_swarm_below_the_quorum_trains_on_by_itself_and_is_one_again_when_the_lines_are_mended(
    tmp_path: Path,
) -> None:
    with with_wires(tmp_path, "caro", "dora") as (course, wires):
        course.open_study("alba", strategy="swarm", steps=14, step_s=0.5, parameters="patience_s = 3\ndeadline_s = 2")
        course.wait_until_all_train()
        wait_for_round(course, 2, *NAMES)
        for wire in wires:
            wire.cut()
        before = {name: trainings(course, name) for name in NAMES}
        last = {name: max(rounds(course, name)) for name in NAMES}
        until(
            "all train on by themselves",
            lambda: all(trainings(course, name) >= before[name] + 3 for name in NAMES),
            within_s=60,
            every_s=0.5,
        )
        assert all(max(rounds(course, name)) <= last[name] + 1 for name in NAMES), "no half goes on with rounds"
        for wire in wires:
            wire.mend()
        wait_for_round(course, max(last.values()) + 2, *NAMES)
        wait_for_one_end(course, *NAMES)
        steps = study_at(course, "dora")
        trained = {step.digest: step for name in NAMES for step in steps.trainings(name)}
        alone = {digest for digest, step in trained.items() if step.base in trained}
        assert alone, "somebody trained on from a model of its own"
        merged = {parent for merge in steps.merges() for parent in merge.commit.parents_in("input")}
        assert alone & merged, "and that was merged"


def test_gossip_with_two_peers_goes_on_while_one_is_gone_and_all_end_with_one_model(tmp_path: Path) -> None:
    with course_of(tmp_path) as course:
        course.up()
        course.open_study("alba", strategy="gossip", steps=12, step_s=0.5, parameters="peers = 2\npatience_s = 60")
        course.wait_until_all_train()
        course.town.kill("dora")
        before = {name: trainings(course, name) for name in OTHERS}
        until(
            "the others train and merge on",
            lambda: all(trainings(course, name) >= before[name] + 4 for name in OTHERS),
            within_s=60,
            every_s=0.5,
        )
        course.up("dora")
        wait_for_one_end(course, *NAMES)
        merges = study_at(course, "alba").merges()
        on_the_way = [merge for merge in merges if len(inputs(course, "alba", merge)) < len(NAMES)]
        assert on_the_way
        assert all(merge.site in inputs(course, "alba", merge) for merge in on_the_way)
        last = {name: [m for m in merges if m.site == name][-1].commit.tree for name in NAMES}
        assert len(set(last.values())) == 1, "the last merge is the same at all"
