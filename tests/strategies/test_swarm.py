"""Swarm: rounds whose leader is drawn and replaced when silent; two leaders heal to one; below the quorum sites go on alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.federation import Finished, Merge, Train, Wait
from imagiq.objects import digest_of
from imagiq.strategies.leading import PATIENCE_S
from imagiq.strategies.rounds import Round, chosen_round
from imagiq.testing.execution import Execution
from tests.strategies.waiting import said

seeds = st.integers(0, 2**32 - 1)


def chosen(study: Execution, name: str, least: int = 1) -> Round:
    return chosen_round(study.view(name), least)


def everybody(study: Execution, *names: str) -> None:
    for name in names:
        study.act(name)
    study.tell_all()


def leaders(study: Execution, number: int) -> list[str]:
    return sorted(study.members, key=lambda n: digest_of(f"{study.study.seed}\nleader\n{number}\n{n}".encode()))


def trained(sites: int = 4, *names: str, **parameters: int) -> Execution:
    """Return a study in which some sites, or all, have trained from its start, and everybody knows."""
    study = Execution("swarm", sites=sites, steps=6, parameters={"patience_s": 60, "deadline_s": 10, **parameters})
    everybody(study, *(names or study.names))
    return study


def base_of(action: object) -> str:
    assert isinstance(action, Train)
    return action.base


def chain(study: Execution, least: int = 1) -> Iterator[Round]:
    """Yield the chosen rounds, the last one first."""
    at: Round | None = chosen(study, "A", least)
    while at is not None and at.before is not None:
        yield at
        at = at.before


def turns(study: Execution) -> set[tuple[str, str]]:
    return {turn_of(study, commit.digest) for name in study.names for commit in study.trainings(name)}


def turn_of(study: Execution, digest: str) -> tuple[str, str]:
    """Return a training's author, and the round from which it began."""
    known = {commit.digest: commit for commit in study.commits}
    commit = known[digest]  # type: ignore[index]
    while commit.base in known and known[commit.base].feed == commit.feed and study.kind_of(commit.base) == "train":
        commit = known[commit.base]
    return commit.feed, str(commit.base)


# ------------------------------------------------------------------------------------------------------ leaders


def test_the_leader_of_each_round_is_drawn_from_the_seed_and_merges_at_once_when_all_are_there() -> None:
    study = Execution("swarm", sites=4, steps=6)
    study.run(most=200)
    assert [name for name, _ in study.merges()] == [leaders(study, number)[0] for number in range(1, 7)]
    assert len({name for name, _ in study.merges()}) > 1
    assert study.now_s < PATIENCE_S


def test_a_silent_leader_is_replaced_by_the_next_one_drawn_after_the_patience() -> None:
    study = trained()
    first, second, third, _ = leaders(study, 1)
    assert isinstance(study.action(first), Merge)
    waiting = study.action(second)
    assert said(waiting) == Wait(why=f"round 1, which {first} should merge", until_s=60.0)
    assert isinstance(study.action(third), Wait)
    study.now_s = 60
    assert isinstance(study.action(second), Merge)
    assert isinstance(study.action(third), Wait)
    study.now_s = 120
    assert isinstance(study.action(third), Merge)


@pytest.mark.parametrize("given", [2, 3])
def test_who_is_to_lead_first_fetches_models_as_they_come_and_others_do_not(given: int) -> None:
    names = leaders(trained(), 1)
    study = trained(4, *names[:given])
    waiting = {name: study.action(name) for name in names[:given]}
    wanted = {name: set(action.meanwhile) for name, action in waiting.items() if isinstance(action, Wait)}
    assert wanted == {names[0]: {commit.digest for commit in study.commits}} | {name: set() for name in names[1:given]}


def test_a_leader_waits_for_more_than_the_quorum_until_the_deadline() -> None:
    study = trained(4, "A", "B", "C")
    (first,) = [name for name in leaders(study, 1) if name != "D"][:1]
    place = leaders(study, 1).index(first)
    assert said(study.action(first)) == Wait(
        why=f"round 1, which {leaders(study, 1)[0]} should merge", until_s=10.0 + 60 * place
    )
    study.now_s = 10.0 + 60 * place
    assert isinstance(study.action(first), Merge)


def test_the_quorum_is_more_than_half_whatever_the_study_says() -> None:
    study = trained(4, "A", "B", quorum=1)
    study.now_s = 59
    assert all(isinstance(study.action(name), Wait) for name in "AB")
    study.now_s = 1_000
    assert not any(isinstance(study.action(name), Merge) for name in "AB")


def test_a_higher_quorum_is_kept() -> None:
    study = trained(5, "A", "B", "C", quorum=4)
    study.now_s = 1_000
    assert not any(isinstance(study.action(name), Merge) for name in study.names)
    everybody(study, "D")
    study.now_s = 2_000
    assert all(isinstance(study.action(name), Merge) for name in "ABCD")


def test_a_removed_site_neither_leads_nor_counts() -> None:
    study = trained()
    gone = leaders(study, 1)[0]
    study.members.discard(gone)
    leader = leaders(study, 1)[0]
    merge = study.action(leader)
    assert isinstance(merge, Merge)
    assert {weight for _, weight in merge.inputs} == {10 * ("ABCD".index(name) + 1) for name in study.members}


def test_a_leader_waits_for_models_that_it_lacks_then_merges_what_is_here() -> None:
    study = trained()
    leader = leaders(study, 1)[0]
    other = next(name for name in study.names if name != leader)
    study.withheld = {study.trainings(other)[0].digest}
    assert said(study.action(leader)) == Wait(why="the models of round 1", until_s=30.0)
    study.now_s = 30
    merge = study.action(leader)
    assert isinstance(merge, Merge)
    assert len(merge.inputs) == 3


def test_where_models_are_withheld_from_all_leaders_sites_go_on_alone() -> None:
    study = trained(3, "A", "B", "C")
    study.withheld = {commit.digest for commit in study.commits}
    study.now_s = 60 * 3 - 1
    assert all(isinstance(study.action(name), Wait) for name in study.names)
    study.now_s = 60 * 3
    assert [base_of(study.action(name)) for name in study.names] == [commit.digest for commit in study.commits]


def test_after_three_turns_in_vain_sites_go_on_alone_and_yet_lead_when_their_turn_comes() -> None:
    study = Execution("swarm", sites=8, steps=2, parameters={"patience_s": 60, "deadline_s": 10})
    everybody(study, *study.names)
    sixth = leaders(study, 1)[5]
    study.withheld = {commit.digest for commit in study.commits}
    study.now_s = 60 * 3 - 1
    assert said(study.action(sixth)) == Wait(why=f"round 1, which {leaders(study, 1)[0]} should merge", until_s=180.0)
    study.now_s = 60 * 3
    assert isinstance(study.act(sixth), Train)
    assert said(study.action(sixth)) == Wait(why=f"round 1, which {leaders(study, 1)[0]} should merge", until_s=240.0)
    study.now_s = 60 * 5 - 1
    assert said(study.action(sixth)) == Wait(why=f"round 1, which {leaders(study, 1)[0]} should merge", until_s=300.0)
    study.now_s = 60 * 5
    study.withheld = set()
    assert isinstance(study.act(sixth), Merge)


def test_a_round_whose_model_does_not_come_is_waited_for_no_longer_than_the_patience() -> None:
    study = trained()
    everybody(study, leaders(study, 1)[0])
    merge = study.commits[-1]
    study.withheld = {merge.digest}
    other = leaders(study, 1)[1]
    assert study.action(other) == Wait(why="the model of round 1", until_s=60.0)
    study.now_s = 60
    assert isinstance(study.act(other), Merge), "the next one leads"
    study.tell_all()
    study.withheld = set()
    assert {chosen(study, name).number for name in study.names} == {1}


# ------------------------------------------------------------------------------------------------- two leaders


def two_leaders(seed: int) -> tuple[Execution, list[str]]:
    """Return a study in which the second leader did not hear of the first one's merge in time, and both merges.

    Everybody has trained from the one that it knows.
    """
    study = Execution("swarm", sites=4, steps=6, seed=seed, parameters={"patience_s": 60, "deadline_s": 10})
    everybody(study, *study.names)
    first, second = leaders(study, 1)[:2]
    study.groups = [{first}, set(study.names) - {first}]
    study.act(first)
    study.now_s = 60
    study.act(second)
    merges = [commit.digest for commit in study.commits[-2:]]
    study.tell_all()
    for name in study.names:
        assert base_of(study.act(name)) == merges[name != first]
    return study, [str(digest) for digest in merges]


@pytest.mark.parametrize("seed", range(6))
def test_of_two_leaders_merges_all_choose_one_and_what_was_trained_from_the_other_is_late_and_counts_once(
    seed: int,
) -> None:
    study, merges = two_leaders(seed)
    study.groups = [set(study.names)]
    study.tell_all()
    assert {chosen(study, name).model.digest for name in study.names} == {min(merges)}
    actions = study.run(most=100)
    assert all(isinstance(action, Finished) for action in actions.values())
    assert len({action.model for action in actions.values() if isinstance(action, Finished)}) == 1
    counted = Counter(turn_of(study, digest) for at in chain(study) for digest in at.model.inputs)
    late = {turn for turn in turns(study) if turn[1] == max(merges)}
    assert late
    assert {counted[turn] for turn in late} == {1}


@given(seed=seeds, k=st.integers(3, 6), cut=st.integers(1, 5))
def test_a_federation_that_was_parted_heals_to_one_chain_that_counts_each_turn_once(
    seed: int, k: int, cut: int
) -> None:
    study = Execution("swarm", sites=k, steps=5, seed=seed, parameters={"patience_s": 3, "deadline_s": 2})
    study.go_on(seed % 40)
    study.groups = [set(study.names[: cut % k]), set(study.names[cut % k :])]
    study.run(most=80)
    study.groups = [set(study.names)]
    actions = study.run(most=80)
    assert all(isinstance(action, Finished) for action in actions.values())
    assert len({action.model for action in actions.values() if isinstance(action, Finished)}) == 1
    counted: Counter[tuple[str, str]] = Counter()
    for at in chain(study, least=k // 2 + 1):
        assert at.before is not None
        assert at.sites > k / 2, "a round below its quorum is chosen"
        merged = [turn_of(study, digest) for digest in at.model.inputs]
        assert [began for _, began in merged].count(at.before.model.digest) == at.sites, "a site is counted twice"
        counted.update(merged)
    assert set(counted.values()) <= {1}, "a contribution is counted twice"


@given(seed=seeds, k=st.integers(3, 6))
def test_while_a_majority_lives_rounds_go_on_to_the_end(seed: int, k: int) -> None:
    dead = set("ABCDEF"[: (k - 1) // 2])
    study = Execution("swarm", sites=k, steps=4, seed=seed, silent=dead, parameters={"patience_s": 5, "deadline_s": 5})
    actions = study.run(most=80)
    assert all(isinstance(action, Finished) for action in actions.values())
    if len(dead) * 2 < k:
        merges = [merge for _, merge in study.merges()]
        assert all(len(merge.inputs) >= k // 2 + 1 for merge in merges)
        assert merges


@given(seed=seeds, k=st.integers(1, 5))
def test_nobody_ever_waits_without_a_moment_at_which_it_goes_on(seed: int, k: int) -> None:
    study = Execution("swarm", sites=k, steps=3, seed=seed, parameters={"patience_s": 7})
    for _ in range(150):
        name = study.random.choice(study.names)
        study.now_s += study.random.choice((0, 1, 20))
        if study.random.random() < 0.4:
            study.tell(name)
        if study.commits and study.random.random() < 0.1:
            study.withheld ^= {study.random.choice(study.commits).digest}
        action = study.act(name)
        assert not isinstance(action, Wait) or action.until_s is not None


# --------------------------------------------------------------------------------------------- below the quorum


def alone(steps: int) -> Execution:
    """Return a study in which A has trained so many steps, all by itself, and the others have not begun."""
    study = Execution("swarm", sites=3, steps=6, parameters={"patience_s": 60, "deadline_s": 10})
    study.groups = [{"A"}, {"B", "C"}]
    study.act("A")
    for _ in range(steps - 1):
        study.now_s += 60
        study.act("A")
    assert len(study.trainings("A")) == steps
    return study


def test_below_the_quorum_a_site_trains_on_from_its_newest_once_in_its_patience() -> None:
    study = alone(1)
    assert said(study.action("A")) == Wait(why="more sites: 1 of 2 are here", until_s=60.0)
    study.now_s = 60
    action = study.act("A")
    assert isinstance(action, Train)
    assert (action.base, action.step) == (study.commits[0].digest, 2)
    assert said(study.action("A")) == Wait(why="more sites: 1 of 2 are here", until_s=120.0)


def test_alone_a_site_spends_no_more_than_its_budget_and_has_finished_until_others_bring_news() -> None:
    study = alone(6)
    study.now_s += 60
    assert study.action("A") == Finished(model=study.commits[-1].digest)
    study.groups = [set("ABC")]
    everybody(study, "B", "C")
    assert not isinstance(study.action("A"), Finished)


def test_what_came_of_going_on_alone_is_merged_in_place_of_the_contribution_if_the_round_is_to_come() -> None:
    study = alone(3)
    study.groups = [set("ABC")]
    everybody(study, "B", "C")
    leader = leaders(study, 1)[0]
    merge = study.action(leader)
    assert isinstance(merge, Merge)
    assert len(merge.inputs) == 3
    assert study.trainings("A")[2].digest in dict(merge.inputs)


def test_what_came_of_going_on_alone_is_late_if_the_round_is_over_and_counts_once() -> None:
    study = alone(3)
    everybody(study, "B", "C")
    study.now_s += 200
    everybody(study, next(name for name in leaders(study, 1) if name != "A"))
    assert chosen(study, "B").number == 1
    study.groups = [set("ABC")]
    study.tell_all()
    study.run(most=100)
    counted = Counter(digest for _, merge in study.merges() for digest, _ in merge.inputs)
    assert [counted[commit.digest] for commit in study.trainings("A")[:3]] == [0, 0, 1]


def test_late_work_that_spent_a_budget_leaves_its_site_out_of_later_rounds() -> None:
    study = alone(6)
    everybody(study, "B", "C")
    study.now_s += 200
    everybody(study, next(name for name in leaders(study, 1) if name != "A"))
    study.groups = [set("ABC")]
    study.tell_all()
    actions = study.run(most=100)
    assert all(isinstance(action, Finished) for action in actions.values())
    assert chosen(study, "A").number == 6
    assert all(commit.digest for commit in study.trainings("B"))


def test_two_halves_below_the_quorum_spend_their_budgets_and_merge_when_they_meet() -> None:
    study = Execution("swarm", sites=4, steps=3, parameters={"patience_s": 5, "deadline_s": 5})
    study.groups = [{"A", "B"}, {"C", "D"}]
    parted = study.run(most=50)
    assert all(isinstance(action, Finished) for action in parted.values())
    assert not study.merges()
    assert [len(study.trainings(name)) for name in study.names] == [3] * 4
    study.groups = [set("ABCD")]
    actions = study.finish()
    assert [len(merge.inputs) for _, merge in study.merges()] == [4]
    assert len({action.model for action in actions.values() if isinstance(action, Finished)}) == 1
