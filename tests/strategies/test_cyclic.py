"""Cyclic and incremental: one model that travels from site to site."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.federation import Finished, Train, Wait
from imagiq.testing.execution import Execution

seeds = st.integers(0, 2**32 - 1)


def turns(study: Execution) -> str:
    return "".join(name for name, _ in study.works)


@given(seed=seeds)
def test_cyclic_hands_over_after_each_step(seed: int) -> None:
    study = Execution("cyclic", sites=3, steps=3, seed=seed)
    study.run(most=50)
    assert turns(study) == "ABCABCABC"


@given(seed=seeds)
def test_incremental_hands_over_once(seed: int) -> None:
    study = Execution("incremental", sites=3, steps=3, seed=seed)
    study.run(most=50)
    assert turns(study) == "AAABBBCCC"


@pytest.mark.parametrize("strategy", ["cyclic", "incremental"])
def test_each_step_stands_on_the_one_before(strategy: str) -> None:
    study = Execution(strategy, sites=3, steps=2)
    actions = study.run(most=50)
    assert [commit.base for commit in study.commits[1:]] == [commit.digest for commit in study.commits[:-1]]
    assert set(actions.values()) == {Finished(model=study.commits[-1].digest)}


def test_the_order_is_a_parameter_and_sites_that_it_leaves_out_come_last() -> None:
    study = Execution("cyclic", sites=3, steps=2, parameters={"order": ["C", "C", "A", "nobody"]})
    study.run(most=50)
    assert turns(study) == "CABCAB"


def test_who_is_not_at_turn_waits_and_says_for_whom() -> None:
    study = Execution("cyclic", sites=2, steps=2)
    assert study.act("B") == Wait(why="A, whose turn it is")


def test_a_removed_site_is_passed_over() -> None:
    study = Execution("cyclic", sites=3, steps=2)
    study.act("A")
    study.members.discard("B")
    study.run(most=50)
    assert turns(study) == "ACAC"


def test_incremental_goes_on_when_a_site_is_removed_in_its_turn() -> None:
    study = Execution("incremental", sites=3, steps=3)
    for name in "AAAB":
        study.tell_all()
        study.act(name)
    study.members.discard("B")
    study.run(most=50)
    assert turns(study) == "AAABCCC"


def test_a_silent_site_is_waited_for_when_no_patience_is_set() -> None:
    study = Execution("cyclic", sites=3, steps=2, silent="B")
    study.run(most=50)
    assert turns(study) == "A"


def test_a_silent_site_is_passed_over_when_patience_ends_and_does_not_keep_the_study_from_its_end() -> None:
    study = Execution("cyclic", sites=3, steps=2, silent="B", parameters={"patience_s": 100})
    study.tell_all()
    study.act("A")
    study.tell_all()
    assert study.act("C") == Wait(why="B, whose turn it is", until_s=study.now_s + 100)
    actions = study.run(most=50)
    assert turns(study) == "ACAC"
    assert all(isinstance(action, Finished) for action in actions.values())


def test_two_silent_sites_take_two_patiences() -> None:
    study = Execution("cyclic", sites=4, steps=1, parameters={"patience_s": 100})
    study.act("A")
    study.tell_all()
    assert study.act("D") == Wait(why="B, whose turn it is", until_s=study.now_s + 200)


def test_a_site_that_comes_back_has_its_turn_again() -> None:
    study = Execution("cyclic", sites=3, steps=2, silent="B", parameters={"patience_s": 100})
    study.run(most=20)
    study.silent.clear()
    study.finish()
    assert turns(study)[4:] == "BB"


def test_what_two_sites_train_from_one_end_is_work_for_one() -> None:
    study = Execution("cyclic", sites=3, steps=2, parameters={"patience_s": 10})
    study.act("A")
    study.tell_all()
    study.act("B")
    study.now_s = 50
    study.act("C")
    study.tell_all()
    actions = study.finish()
    assert len({action.model for action in actions.values() if isinstance(action, Finished)}) == 1


@given(seed=seeds, silent=st.sampled_from(["", "A", "B", "AC"]))
def test_with_patience_it_ends_whoever_is_silent(seed: int, silent: str) -> None:
    study = Execution("cyclic", sites=4, steps=3, seed=seed, silent=silent, parameters={"patience_s": 5})
    assert all(isinstance(action, Finished) for action in study.run(most=60).values())


def test_progress_is_that_of_the_whole_chain() -> None:
    study = Execution("cyclic", sites=2, steps=2)
    study.run(most=50)
    assert [work.progress for _, work in study.works if isinstance(work, Train)] == [0.0, 0.25, 0.5, 0.75]
