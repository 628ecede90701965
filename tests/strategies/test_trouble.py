"""A site whose work fails again and again tells of it: nobody waits for it any more, until it trains again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagiq.federation import Action, Finished, Merge, Train, Wait
from imagiq.objects import JSON, Commit, Parent, Recipe
from imagiq.strategies import BUILT_IN
from imagiq.strategies.rounds import chosen_round
from imagiq.testing.execution import Execution, commit_of
from tests.strategies.waiting import said

ROUNDS: dict[str, dict[str, JSON]] = {"fedavg": {}, "swarm": {"patience_s": 100_000, "deadline_s": 100_000}}
names = pytest.mark.parametrize("strategy", [name for name, _ in BUILT_IN])
rounds = pytest.mark.parametrize("strategy", ROUNDS)
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=settings().max_examples // 4)  # each runs whole studies


def finish_without(study: Execution, *failing: str, most: int = 40) -> Mapping[str, Action]:
    """Let sites fail from now on; return what the others are told in the end, all of whom have finished."""
    study.failing = set(failing)
    actions = {name: action for name, action in study.run(most=most).items() if name not in failing}
    assert all(isinstance(action, Finished) for action in actions.values()), actions
    return actions


def everybody(study: Execution, *names: str) -> None:
    for name in names:
        study.act(name)
    study.tell_all()


def merge_by(study: Execution, site: str, base: Commit | None, inputs: list[Commit]) -> Commit:
    """Let somebody merge what no strategy told it to."""
    inputs = sorted(inputs, key=lambda commit: commit.digest)
    parents = [Parent("input", commit.digest) for commit in inputs]
    parents.append(Parent("base", study.start.digest if base is None else base.digest))
    recipe = Recipe("merge", 1, {"rule": "mean", "weights": [commit.cases for commit in inputs]})
    worker = study.workers[site]
    number, last = (1, None) if worker.last is None else (worker.last.number + 1, worker.last)
    made = worker.last = commit_of(site, number, last, recipe, parents, study=study.study.digest)
    worker.learn(made, study.now_s)
    study.commits.append(made)
    study.tell_all()
    return made


# -------------------------------------------------------------------------------------- every built-in strategy


@names
@few
@given(seed=seeds, k=st.integers(2, 5), done=st.integers(0, 30))
def test_the_others_finish_whoever_fails_and_whenever(strategy: str, seed: int, k: int, done: int) -> None:
    study = Execution(strategy, sites=k, steps=3, seed=seed)
    study.go_on(done)
    failing = study.random.choice(study.names)
    before = len(study.trainings(failing))
    actions = finish_without(study, failing)
    assert len(study.trainings(failing)) == before
    models = {action.model for action in actions.values() if isinstance(action, Finished)}
    assert study.start.digest not in models


@names
@few
@given(seed=seeds, k=st.integers(2, 4))
def test_one_that_works_is_enough(strategy: str, seed: int, k: int) -> None:
    study = Execution(strategy, sites=k, steps=2, seed=seed)
    works = study.random.choice(study.names)
    finish_without(study, *(name for name in study.names if name != works))
    assert len(study.trainings(works)) == 2


@names
@few
@given(seed=seeds, k=st.integers(1, 3))
def test_where_all_fail_nothing_is_made(strategy: str, seed: int, k: int) -> None:
    study = Execution(strategy, sites=k, steps=2, seed=seed)
    study.failing = set(study.names)
    study.run(most=30)
    assert {commit.recipe.name for commit in study.commits} == {"trouble"}


@names
@few
@given(seed=seeds, k=st.integers(2, 5))
def test_who_works_again_takes_part_again(strategy: str, seed: int, k: int) -> None:
    study = Execution(strategy, sites=k, steps=4, seed=seed)
    study.failing = {study.random.choice(study.names)}
    study.go_on(10 * k)
    (back,), study.failing = study.failing, set()
    actions = study.run(most=60)
    assert all(isinstance(action, Finished) for action in actions.values()), actions
    trained = {commit.digest for commit in study.trainings(back)}
    assert trained or strategy in {"one-shot", *ROUNDS}, "it never trained again"  # these may have ended without it
    if strategy in {"latest-of-each", "gossip"}:
        merged = {digest for name, merge in study.merges() if name != back for digest, _ in merge.inputs}
        assert merged & trained, "nobody takes what it made"


@pytest.mark.parametrize("strategy", ["fedavg", "swarm", "one-shot"])
@few
@given(seed=seeds, k=st.integers(2, 5))
def test_a_quorum_of_all_means_all_who_are_not_in_trouble(strategy: str, seed: int, k: int) -> None:
    study = Execution(strategy, sites=k, steps=2, seed=seed, parameters={"quorum": k})
    failing = study.random.choice(study.names)
    actions = finish_without(study, failing)
    (model,) = {action.model for action in actions.values() if isinstance(action, Finished)}
    last = next(commit for commit in study.commits if commit.digest == model)
    merged = {name for name in study.names for one in study.trainings(name) if one.digest in last.parents_in("input")}
    assert merged == set(study.names) - {failing}


# ------------------------------------------------------------------------------------------------------ waiting


@names
def test_nobody_waits_longer_than_until_trouble_is_told(strategy: str) -> None:
    """However long the study lets others be silent."""
    study = Execution(strategy, sites=3, steps=3, parameters={"patience_s": 10**6, "deadline_s": 10**6})
    finish_without(study, "A")
    assert study.now_s < 1000


def test_fedavg_counts_only_those_for_whom_it_waits() -> None:
    study = Execution("fedavg", sites=4, steps=2)
    study.act("A")
    assert said(study.action("A")) == Wait(why="3 more sites")
    study.failing = {"B"}
    everybody(study, "B", "C")
    assert said(study.action("A")) == Wait(why="1 more sites")
    everybody(study, "D")
    assert isinstance(study.action("A"), Merge)


def test_cyclic_waits_for_whose_turn_it_is_then() -> None:
    study = Execution("cyclic", sites=3, steps=2)
    assert study.action("C") == Wait(why="A, whose turn it is")
    study.failing = {"A"}
    everybody(study, "A")
    assert study.action("C") == Wait(why="B, whose turn it is")
    assert isinstance(study.action("B"), Train)
    assert isinstance(study.action("A"), Train), "it tries again when its turn comes"
    everybody(study, "B")
    assert study.action("A") == Wait(why="C, whose turn it is")


def test_one_shot_says_of_how_many_it_waits_for() -> None:
    study = Execution("one-shot", sites=3, steps=1)
    study.failing = {"C"}
    everybody(study, "A", "C")
    assert said(study.action("A")) == Wait(why="more sites: 1 of 2 are done")


def test_swarm_says_of_how_many_it_waits_for() -> None:
    study = Execution("swarm", sites=3, steps=1, parameters={"patience_s": 60})
    study.failing = {"B", "C"}
    everybody(study, "A", "B")
    assert said(study.action("A")) == Wait(why="more sites: 1 of 2 are here", until_s=60.0)
    everybody(study, "C")
    assert isinstance(study.action("A"), Merge)


def test_gossip_and_latest_of_each_wait_for_the_budgets_of_the_others() -> None:
    for strategy, why in (("gossip", "C to spend its budget"), ("latest-of-each", "other sites to spend their budget")):
        study = Execution(strategy, sites=3, steps=1)
        study.failing = {"B"}
        everybody(study, "A", "B")
        waiting = study.action("A")
        assert isinstance(waiting, Wait)
        assert waiting.why == why
        everybody(study, "C", "C")  # it merges what A made, and trains
        assert isinstance(study.action("A"), Merge)


def test_no_round_waits_for_a_leader_that_is_in_trouble() -> None:
    study = Execution("swarm", sites=3, steps=4, parameters=ROUNDS["swarm"])
    finish_without(study, "B")
    assert {name for name, _ in study.merges()} <= {"A", "C"}
    assert study.now_s < ROUNDS["swarm"]["patience_s"]  # type: ignore[operator]


# ------------------------------------------------------------------------------------- rounds, and who comes back


def test_a_server_in_trouble_hands_its_role_on_and_has_it_again_when_it_is_back() -> None:
    study = Execution("fedavg", sites=3, steps=2)
    study.failing = {"A"}
    everybody(study, "A", "B", "C")
    assert isinstance(study.action("B"), Merge)
    assert study.action("C") == Wait(why="round 1")
    study.failing = set()
    everybody(study, "A")
    assert study.action("B") == Wait(why="round 1")
    assert isinstance(study.action("A"), Merge)


@rounds
def test_a_round_without_a_site_stays_valid_when_that_comes_back_and_its_late_model_counts_once(strategy: str) -> None:
    study = Execution(strategy, sites=2, steps=3, parameters=ROUNDS[strategy])
    study.failing = {"B"}
    everybody(study, "A", "B")
    study.groups = [{"A"}, {"B"}]
    everybody(study, "A")  # merges what it has alone
    study.failing = set()
    everybody(study, "B")  # trains from the start, knowing nothing of that
    study.groups = [{"A", "B"}]
    study.tell_all()
    (first,) = (commit for commit in study.commits if commit.recipe.name == "merge")
    assert {chosen_round(study.view(name), 2).model.digest for name in "AB"} == {first.digest}
    late = study.trainings("B")[0].digest
    actions = study.run(most=40)
    assert all(isinstance(action, Finished) for action in actions.values())
    counted = Counter(digest for _, merge in study.merges() for digest, _ in merge.inputs)
    assert counted[late] == 1
    assert set(counted.values()) == {1}


@rounds
@few
@given(seed=seeds)
def test_sites_that_see_trouble_at_different_moments_end_in_one_chain(strategy: str, seed: int) -> None:
    study = Execution(strategy, sites=4, steps=3, seed=seed, parameters={"patience_s": 3, "deadline_s": 2})
    for _ in range(60):
        if study.random.random() < 0.15:
            study.failing ^= {study.random.choice(study.names)}
        if study.random.random() < 0.1:
            cut = study.random.randrange(1, 4)
            study.groups = [set(study.names[:cut]), set(study.names[cut:])]
        name = study.random.choice(study.names)
        study.tell(name)
        study.act(name)
        study.now_s += study.random.random()
    study.groups, study.failing = [set(study.names)], set()
    actions = study.run(most=60)
    assert len({action.model for action in actions.values() if isinstance(action, Finished)}) == 1, actions
    view = study.view("A")
    at, counted = chosen_round(view, 1), Counter[str]()
    while at.before is not None:
        counted.update(at.model.inputs)
        at = at.before
    assert set(counted.values()) == {1}, "a contribution counts twice"


# ------------------------------------------------------------------------------------------------------ cheating


@rounds
def test_who_only_says_that_it_is_in_trouble_makes_nobody_but_itself_dispensable(strategy: str) -> None:
    study = Execution(strategy, sites=2, steps=3)
    study.failing = {"B"}
    everybody(study, "B")
    study.failing = set()
    everybody(study, "B")
    merge_by(study, "B", None, study.trainings("B"))
    assert {chosen_round(study.view(name), 2).number for name in "AB"} == {0}, "it goes on with rounds alone"
    everybody(study, "A")
    merge_by(study, "A", None, study.trainings("A"))
    assert {chosen_round(study.view(name), 2).number for name in "AB"} == {1}


@rounds
def test_trouble_that_is_over_lets_nobody_do_without_a_site(strategy: str) -> None:
    study = Execution(strategy, sites=2, steps=3)
    study.failing = {"A"}
    everybody(study, "A")
    study.failing = set()
    everybody(study, "A", "B")
    first = merge_by(study, "B", None, [*study.trainings("A"), *study.trainings("B")])
    everybody(study, "B")
    merge_by(study, "B", first, study.trainings("B")[1:])
    assert {chosen_round(study.view(name), 2).model.digest for name in "AB"} == {first.digest}


def test_more_than_half_is_still_asked_for_while_so_many_are_not_in_trouble() -> None:
    study = Execution("swarm", sites=5, steps=2, parameters=ROUNDS["swarm"])
    study.failing = {"E"}
    everybody(study, "E", "A", "B")
    merge_by(study, "A", None, [*study.trainings("A"), *study.trainings("B")])
    assert chosen_round(study.view("A"), 3).number == 0
