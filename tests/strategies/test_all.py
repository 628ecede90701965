"""What every strategy keeps to, whatever the pace of its sites and the order of delivery."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.federation import Finished, StudyHistory, Train, View
from imagiq.history import History
from imagiq.objects import Commit, Digest
from imagiq.strategies import BUILT_IN
from imagiq.testing.execution import Execution

names = pytest.mark.parametrize("strategy", [name for name, _ in BUILT_IN])
seeds = st.integers(0, 2**32 - 1)
sites = st.integers(1, 5)
budgets = st.integers(1, 5)


@names
@given(seed=seeds, k=sites, steps=budgets)
def test_all_sites_finish_and_spend_exactly_their_budget(strategy: str, seed: int, k: int, steps: int) -> None:
    study = Execution(strategy, sites=k, steps=steps, seed=seed)
    actions = study.run(most=100)
    assert all(isinstance(action, Finished) for action in actions.values())
    assert [len(study.trainings(name)) for name in study.names] == [steps] * k


@names
@given(seed=seeds, k=sites)
def test_steps_count_from_1_and_progress_rises_from_0_to_less_than_1(strategy: str, seed: int, k: int) -> None:
    study = Execution(strategy, sites=k, steps=4, seed=seed)
    study.run(most=100)
    for name in study.names:
        trained = [work for site, work in study.works if site == name and isinstance(work, Train)]
        assert [work.step for work in trained] == [1, 2, 3, 4]
        assert all(0 <= work.progress < 1 for work in trained)
        assert [work.progress for work in trained] == sorted(work.progress for work in trained)


@names
@given(seed=seeds, k=sites)
def test_weights_are_the_numbers_of_cases(strategy: str, seed: int, k: int) -> None:
    study = Execution(strategy, sites=k, steps=3, seed=seed)
    study.run(most=100)
    for _, merge in study.merges():
        assert all(weight == study.cases_of(digest) for digest, weight in merge.inputs)


@names
@given(seed=seeds, k=sites)
def test_a_merge_is_never_an_input(strategy: str, seed: int, k: int) -> None:
    study = Execution(strategy, sites=k, steps=3, seed=seed)
    study.run(most=100)
    for _, merge in study.merges():
        assert {study.kind_of(digest) for digest, _ in merge.inputs} == {"train"}


def reordered(study: Execution, commits: list[Commit], random: Random) -> StudyHistory:
    history, waiting = History(), list(commits)
    steps = StudyHistory(study.study, history.add(study.start))
    while waiting:
        ready = [commit for commit in waiting if not history.missing(commit)]
        commit = random.choice(ready)
        waiting.remove(commit)
        entry = history.add(commit)
        steps.add(entry, entry.site.removeprefix("key of "), is_input=True)
    return steps


@names
@given(seed=seeds, k=st.integers(2, 5), events=st.integers(0, 80))
def test_equal_views_built_in_other_orders_give_equal_actions(strategy: str, seed: int, k: int, events: int) -> None:
    study = Execution(strategy, sites=k, steps=3, seed=seed)
    for _ in range(events):
        name = study.random.choice(study.names)
        if study.random.random() < 0.5 or not study.tell(name):
            study.act(name)
    for name in study.names:
        worker = study.workers[name]
        known = [commit for commit in study.commits if commit.digest in worker.history]
        other = View(
            study=study.study,
            steps=reordered(study, known, study.random),
            members=frozenset(study.names),
            first_seen_s=worker.seen_s,
            now_s=study.now_s,
        )
        assert study.decide(other, name) == study.action(name)


@names
def test_alone_a_site_finishes(strategy: str) -> None:
    study = Execution(strategy, sites=1, steps=3)
    assert isinstance(study.run(most=10)["A"], Finished)


@names
@given(seed=seeds, failures=st.integers(0, 4))
def test_own_models_that_cannot_be_used_here_do_not_bring_the_action_again(
    strategy: str, seed: int, failures: int
) -> None:
    """``Worker.do`` fails the test if an action that has succeeded is answered again."""
    study = Execution(strategy, sites=3, steps=4, seed=seed, parameters={"patience_s": 5})
    aside: set[Digest] = set()
    for _ in range(60):
        name = study.random.choice(study.names)
        worker = study.workers[name]
        study.tell(name)
        view = View(study=study.study, steps=worker.steps, members=frozenset(study.names), set_aside=aside)
        action = study.decide(view, name)
        if isinstance(action, Train) or type(action).__name__ == "Merge":
            made = worker.do(action, 0.0)  # type: ignore[arg-type]
            study.commits.append(made)
            if len(aside) < failures and study.random.random() < 0.3:
                aside.add(made.digest)
