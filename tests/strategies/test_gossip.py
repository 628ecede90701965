"""Gossip: merge with a few drawn neighbours after each step, never wait; in the end all hold one model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.federation import Finished, Merge, Train, Wait
from imagiq.objects import digest_of
from imagiq.testing.execution import Execution

seeds = st.integers(0, 2**32 - 1)


def order_of(study: Execution, me: str, made: int) -> list[str]:
    others = set(study.names) - {me}
    return sorted(others, key=lambda name: digest_of(f"{study.study.seed}\n{me}\n{made}\n{name}".encode()))


def authors(action: object) -> set[str]:
    assert isinstance(action, Merge)
    return {"ABCDEFGH"[weight // 10 - 1] for _, weight in action.inputs}


def trained(sites: int, **parameters: int) -> Execution:
    """Return a study in which all have trained once, and everybody knows."""
    study = Execution("gossip", sites=sites, steps=6, parameters=parameters)
    for name in study.names:
        study.act(name)
    study.tell_all()
    return study


@pytest.mark.parametrize("peers", [None, 1, 2, 3, 9])
def test_so_many_peers_are_merged_as_the_study_says_the_first_drawn_ones(peers: int | None) -> None:
    study = trained(5, **({} if peers is None else {"peers": peers}))
    for name in study.names:
        assert authors(study.action(name)) == {name, *order_of(study, name, 1)[: peers or 1]}


def test_each_step_draws_anew() -> None:
    study = Execution("gossip", sites=5, steps=20)
    study.run(most=600)
    drawn = {order_of(study, "A", made)[0] for made in range(1, 20)}
    assert len(drawn) > 2


def test_who_has_nothing_new_is_passed_over() -> None:
    study = trained(3)
    first, second = order_of(study, "A", 1)
    assert authors(study.act("A")) == {"A", first}
    assert isinstance(study.act("A"), Train)
    (again,) = authors(study.act("A")) - {"A"}
    assert again == second, "of the first nothing has come since"
    assert isinstance(study.act("A"), Train)
    assert isinstance(study.act("A"), Train), "of nobody has anything come"


def test_what_another_has_merged_is_yet_new_to_me() -> None:
    study = trained(3)
    first = order_of(study, "A", 1)[0]
    study.act(first)
    study.tell_all()
    assert study.view("A").steps.merged_into(study.trainings(first)[0].digest)
    assert authors(study.action("A")) == {"A", first}


def test_who_has_nothing_complete_is_passed_over_and_wanted_first() -> None:
    study = trained(3)
    first, second = order_of(study, "A", 1)
    study.withheld = {study.trainings(first)[0].digest}
    assert authors(study.action("A")) == {"A", second}
    assert authors(study.decide(study.view("A").supposing_all_complete(), "A")) == {"A", first}
    study.withheld = {commit.digest for commit in study.commits}
    assert isinstance(study.action("A"), Train), "nobody waits"


def test_a_late_joiner_begins_with_what_a_neighbour_made() -> None:
    study = Execution("gossip", sites=3, steps=6)
    study.act("B")
    study.tell("A")
    assert authors(study.act("A")) == {"B"}
    assert isinstance(study.act("A"), Train)


@given(seed=seeds, k=st.integers(2, 6))
def test_as_long_as_budget_is_left_nobody_ever_waits(seed: int, k: int) -> None:
    study = Execution("gossip", sites=k, steps=4, seed=seed)
    for _ in range(100):
        name = study.random.choice(study.names)
        if study.random.random() < 0.5:
            study.tell(name)
        action = study.act(name)
        assert len(study.trainings(name)) >= 4 or isinstance(action, Train | Merge)


@given(seed=seeds, k=st.integers(1, 6))
def test_in_the_end_all_hold_the_same_merge_of_everybodys_last_model(seed: int, k: int) -> None:
    study = Execution("gossip", sites=k, steps=3, seed=seed)
    assert all(isinstance(action, Finished) for action in study.run(most=100).values())
    lasts = {study.trainings(name)[-1].digest for name in study.names}
    for name in study.names if k > 1 else ():
        merge = [work for site, work in study.works if site == name][-1]
        assert isinstance(merge, Merge)
        assert {digest for digest, _ in merge.inputs} == lasts


@given(seed=seeds, k=st.integers(2, 5))
def test_a_step_moves_as_many_models_as_there_are_peers_and_a_neighbours_model_is_merged_once(
    seed: int, k: int
) -> None:
    study = Execution("gossip", sites=k, steps=4, seed=seed)
    study.run(most=120)
    for name in study.names:
        mine = [work for site, work in study.works if site == name]
        on_the_way = [work for work in mine[:-1] if isinstance(work, Merge)]
        assert all(len(work.inputs) <= 2 for work in on_the_way)
        foreign = [digest for work in on_the_way for digest, weight in work.inputs if authors(work) - {name}]
        own = {commit.digest for commit in study.trainings(name)}
        others = [digest for digest in foreign if digest not in own]
        assert len(set(others)) == len(others)


def test_news_of_all_reaches_all_through_neighbours_models() -> None:
    study = Execution("gossip", sites=8, steps=8)
    for _ in range(30):
        study.tell_all()
        for name in study.names:
            if len(study.trainings(name)) < 8 and not isinstance(study.action(name), Wait):
                study.act(name)
    last = [study.workers[name].steps.trainings(name)[-1] for name in study.names]
    assert all(count > 0 for step in last for count in step.progress)


def spent(silent: str) -> Execution:
    """Return a study in which A and B have spent their budgets, and C is silent after one step."""
    study = Execution("gossip", sites=3, steps=2, silent=silent, parameters={"patience_s": 100})
    study.silent = set()
    study.act("C")
    study.silent = set(silent)
    study.tell_all()
    for _ in range(8):
        for name in "AB":
            if len(study.trainings(name)) < 2:
                study.act(name)
        study.tell_all()
    return study


def test_who_is_silent_for_longer_than_the_patience_is_not_waited_for_and_brings_a_new_merge_when_it_comes_back() -> (
    None
):
    study = spent("C")
    assert study.action("A") == Wait(why="C to spend its budget", until_s=100.0)
    study.now_s = 100
    assert authors(study.act("A")) == {"A", "B", "C"}
    study.tell_all()
    assert study.action("A") == Wait(why="other sites to spend their budget")
    study.silent = set()
    assert all(isinstance(action, Finished) for action in study.run(most=60).values())
    last = [[work for site, work in study.works if site == name][-1] for name in study.names]
    assert last[0] == last[1] == last[2]


def test_a_last_model_that_is_withheld_is_waited_for_no_longer_than_the_patience() -> None:
    study = Execution("gossip", sites=2, steps=1, parameters={"patience_s": 100})
    study.act("B")
    study.act("A")
    study.tell_all()
    study.withheld = {study.trainings("B")[0].digest}
    assert study.action("A") == Wait(why="B to spend its budget", until_s=100.0)
    study.now_s = 100
    assert isinstance(study.action("A"), Finished | Wait)


def test_a_removed_site_is_neither_merged_nor_waited_for() -> None:
    study = trained(3)
    study.members.discard("C")
    assert all(isinstance(action, Finished) for action in study.run(most=60).values())
    assert all("C" not in authors(merge) for _, merge in study.merges())
