"""One-shot: each trains its whole budget alone, then one merge takes the last model of each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imagiq.federation import Finished, Merge, Train, Wait
from imagiq.testing.execution import Execution
from tests.strategies.waiting import said

seeds = st.integers(0, 2**32 - 1)


def spend(study: Execution, *names: str) -> None:
    for name in names:
        while isinstance(study.act(name), Train):
            pass
    study.tell_all()


@given(seed=seeds, k=st.integers(1, 5))
def test_one_merge_takes_the_last_model_of_each_and_all_end_with_it(seed: int, k: int) -> None:
    study = Execution("one-shot", sites=k, steps=3, seed=seed)
    actions = study.run(most=80)
    ((_, merge),) = study.merges()
    assert {digest for digest, _ in merge.inputs} == {study.trainings(name)[-1].digest for name in study.names}
    assert {action.model for action in actions.values() if isinstance(action, Finished)} == {study.commits[-1].digest}


def test_nobody_looks_at_others_before_its_budget_is_spent() -> None:
    study = Execution("one-shot", sites=3, steps=3)
    spend(study, "B", "C")
    bases = [action.base for action in (study.act("A") for _ in range(3)) if isinstance(action, Train)]
    assert bases == [study.start.digest, *(commit.digest for commit in study.trainings("A")[:2])]


def test_it_waits_for_all_unless_the_study_says_otherwise() -> None:
    study = Execution("one-shot", sites=3, steps=2)
    spend(study, "A", "B")
    study.now_s = 1e9
    assert said(study.action("A")) == Wait(why="more sites: 2 of 3 are done")


def test_with_a_deadline_more_than_half_are_enough() -> None:
    study = Execution("one-shot", sites=4, steps=2, parameters={"deadline_s": 50, "patience_s": 10})
    spend(study, "A", "B")
    study.now_s = 1e6
    assert isinstance(study.action("A"), Wait)
    spend(study, "C")
    study.now_s += 49
    assert not any(isinstance(study.action(name), Merge) for name in "ABC")
    study.now_s += 41
    assert all(isinstance(study.action(name), Merge) for name in "ABC")


def test_who_comes_after_the_merge_takes_its_model() -> None:
    study = Execution("one-shot", sites=3, steps=2, parameters={"quorum": 2})
    spend(study, "A", "B")
    study.now_s = 1e6
    study.act("A")
    study.tell_all()
    assert study.action("C") == Finished(model=study.commits[-1].digest)
