"""FedAvg: rounds, a server role, a quorum, a deadline, and contributions that come late."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from imagiq.federation import Finished, Merge, Train, Wait
from imagiq.objects import Commit, Parent, Recipe, digest_of
from imagiq.strategies.rounds import Round, chosen_round, late_steps
from imagiq.testing.execution import Execution, commit_of
from tests.strategies.waiting import said

seeds = st.integers(0, 2**32 - 1)


def chosen(study: Execution, name: str, least: int = 1) -> Round:
    return chosen_round(study.workers[name].view(study.members, study.now_s), least)


def everybody(study: Execution, *names: str) -> None:
    """Let sites act once, each, then tell everybody everything."""
    for name in names:
        study.act(name)
    study.tell_all()


def give(study: Execution, commit: Commit) -> Commit:
    """Let somebody's commit come that no strategy made."""
    study.commits.append(commit)
    study.tell_all()
    return commit


def merge_by(study: Execution, site: str, base: Commit | None, inputs: list[Commit], weights: list[int]) -> Commit:
    parents = [Parent("input", commit.digest) for commit in inputs]
    parents.append(Parent("base", study.start.digest if base is None else base.digest))
    recipe = Recipe("merge", 1, {"rule": "mean", "weights": weights})
    return commit_of(site, 1, None, recipe, parents, study=study.study.digest)


@given(seed=seeds, k=st.integers(1, 5), deadline=st.booleans())
def test_the_chosen_rounds_are_equal_at_all_sites(seed: int, k: int, *, deadline: bool) -> None:
    parameters = {"quorum": max(1, k - 1), "deadline_s": 3} if deadline else {}
    study = Execution("fedavg", sites=k, steps=4, seed=seed, parameters=parameters)
    actions = study.run(most=150)
    assert all(isinstance(action, Finished) for action in actions.values())
    assert len({action.model for action in actions.values() if isinstance(action, Finished)}) == 1
    assert {chosen(study, name).number for name in study.names} == {4}


@given(seed=seeds, k=st.integers(2, 5))
def test_each_contribution_is_counted_at_most_once_and_late_ones_in_the_end(seed: int, k: int) -> None:
    study = Execution("fedavg", sites=k, steps=4, seed=seed, parameters={"quorum": 1, "deadline_s": 1})
    study.run(most=150)
    counted = Counter(digest for _, merge in study.merges() for digest, _ in merge.inputs)
    assert set(counted.values()) <= {1}
    trained = {commit.digest for commit in study.commits if commit.recipe.name == "train"}
    view = study.workers["A"].view(study.members, study.now_s)
    still_late = {step.digest for step in late_steps(view, chosen(study, "A"))}
    assert trained - set(counted) == still_late, "what no merge has counted would be an input of the next"


def test_the_server_waits_for_all_when_no_quorum_is_set() -> None:
    study = Execution("fedavg", sites=3, steps=2)
    everybody(study, "A", "B")
    assert said(study.act("A")) == Wait(why="1 more sites")
    everybody(study, "C")
    merge = study.act("A")
    assert isinstance(merge, Merge)
    assert merge.base == study.start.digest


def test_only_the_server_role_merges() -> None:
    study = Execution("fedavg", sites=2, steps=2, parameters={"server": "B"})
    everybody(study, "A", "B")
    assert isinstance(study.act("A"), Wait)
    assert isinstance(study.act("B"), Merge)


def test_a_deadline_ends_waiting_for_more_than_the_quorum_and_never_for_the_quorum() -> None:
    study = Execution("fedavg", sites=4, steps=2, parameters={"quorum": 3, "deadline_s": 60})
    everybody(study, "A", "B")
    study.now_s = 1_000
    assert said(study.act("A")) == Wait(why="1 more sites")
    everybody(study, "C")
    assert said(study.act("A")) == Wait(why="the deadline of the round", until_s=1_060)
    study.now_s = 1_060
    assert isinstance(study.act("A"), Merge)


def test_a_quorum_without_a_deadline_waits_for_the_quorum_alone() -> None:
    study = Execution("fedavg", sites=3, steps=2, parameters={"quorum": 2})
    everybody(study, "A")
    assert isinstance(study.act("A"), Wait)
    everybody(study, "B")
    assert isinstance(study.act("A"), Merge)


def test_a_deadline_without_a_quorum_needs_more_than_half() -> None:
    study = Execution("fedavg", sites=4, steps=2, parameters={"deadline_s": 60})
    everybody(study, "A", "B")
    study.now_s = 1_000
    assert said(study.act("A")) == Wait(why="1 more sites")
    everybody(study, "C")
    assert said(study.act("A")) == Wait(why="the deadline of the round", until_s=1_060)
    study.now_s = 1_060
    assert isinstance(study.act("A"), Merge)


def late_by_one() -> Execution:
    """Return a study in which C's contribution to round 1 came after its merge."""
    study = Execution("fedavg", sites=3, steps=5, parameters={"quorum": 2, "deadline_s": 10})
    study.act("C")
    study.act("A")
    study.act("B")
    study.tell("A", study.commits[2])
    study.now_s = 100
    assert isinstance(study.act("A"), Merge)
    study.tell_all()
    return study


def test_a_late_contribution_is_an_extra_input_of_the_next_merge_once() -> None:
    study = late_by_one()
    late = study.commits[0]
    for number in (2, 3, 4):
        everybody(study, "A", "B", "C")
        merge = study.act("A")
        assert isinstance(merge, Merge)
        assert (late.digest in dict(merge.inputs)) == (number == 2)
        study.tell_all()
    assert chosen(study, "B").number == 4


def test_while_the_server_waits_the_models_that_it_will_merge_are_fetched_with_those_that_came_late() -> None:
    study = late_by_one()
    late = study.commits[0]
    everybody(study, "A", "B")
    waiting = study.action("A")
    assert isinstance(waiting, Wait)
    assert set(waiting.meanwhile) == {late.digest, *(commit.digest for commit in study.commits[-2:])}
    everybody(study, "C")
    merge = study.action("A")
    assert isinstance(merge, Merge)
    assert set(waiting.meanwhile) < set(dict(merge.inputs))
    assert study.action("B").meanwhile == (), "who does not merge needs none of them"  # type: ignore[union-attr]


def test_of_two_late_contributions_from_one_base_one_counts() -> None:
    study = late_by_one()
    worker = study.workers["C"]
    study.commits.append(worker.do(Train(base=study.start.digest, step=1, progress=0.5), 0.0))
    study.tell_all()
    everybody(study, "A", "B", "C")
    merge = study.act("A")
    assert isinstance(merge, Merge)
    assert len(merge.inputs) == 4
    assert study.commits[0].digest in dict(merge.inputs), "the first"
    study.tell_all()
    assert chosen(study, "B").number == 2


def test_a_late_contribution_does_not_count_for_the_quorum() -> None:
    study = late_by_one()
    everybody(study, "A")
    study.now_s = 1_000
    assert said(study.act("A")) == Wait(why="1 more sites")


def test_a_late_contribution_is_counted_even_if_a_later_one_came_first() -> None:
    study = late_by_one()
    late = study.commits[0]
    everybody(study, "A", "B", "C")
    worker = study.workers["A"]
    complete = {commit.digest for commit in study.commits} - {late.digest}
    view = worker.view(study.members, study.now_s)
    missing_its_blobs = type(view)(**{**vars(view), "complete": complete})
    merge = study.decide(missing_its_blobs, "A")
    assert isinstance(merge, Merge)
    assert late.digest not in dict(merge.inputs)
    study.commits.append(worker.do(merge, study.now_s))
    study.tell_all()
    everybody(study, "A", "B", "C")
    after = study.act("A")
    assert isinstance(after, Merge)
    assert late.digest in dict(after.inputs)


def test_a_site_that_trains_twice_from_one_base_counts_once() -> None:
    study = Execution("fedavg", sites=2, steps=3)
    everybody(study, "A", "B")
    worker = study.workers["B"]
    again = worker.do(Train(base=study.start.digest, step=1, progress=0.5), 0.0)
    study.commits.append(again)
    study.tell_all()
    for _ in range(2):
        merge = study.act("A")
        assert isinstance(merge, Merge)
        assert len(merge.inputs) == 2
        study.tell_all()
        everybody(study, "A", "B")


def test_a_removed_server_is_followed_by_the_first_site() -> None:
    study = Execution("fedavg", sites=3, steps=3, parameters={"server": "C"})
    everybody(study, "A", "B", "C")
    everybody(study, "C")
    study.members.discard("C")
    actions = study.run(most=50)
    assert all(isinstance(action, Finished) for action in actions.values())
    assert [name for name, _ in study.merges()] == ["C", "A", "A"]


def test_what_a_removed_site_gave_is_not_merged_in_time_or_late() -> None:
    study = late_by_one()
    everybody(study, "A", "B", "C")
    study.members.discard("C")
    merge = study.act("A")
    assert isinstance(merge, Merge)
    assert sorted(weight for _, weight in merge.inputs) == [10, 20]


def test_what_only_a_merge_beside_the_chosen_chain_has_taken_in_is_late() -> None:
    study = Execution("fedavg", sites=3, steps=3, parameters={"quorum": 2})
    everybody(study, "A", "B", "C")
    a, b, c = study.commits
    for site, pair in (("B", (a, b)), ("C", (a, c))):
        inputs = sorted(pair, key=lambda commit: commit.digest)
        give(study, merge_by(study, site, None, inputs, [commit.cases or 0 for commit in inputs]))
    beside = {b.digest, c.digest} - set(chosen(study, "A").model.inputs)
    everybody(study, "A", "B", "C")
    merge = study.act("A")
    assert isinstance(merge, Merge)
    assert beside < set(dict(merge.inputs))


def test_a_round_stays_valid_when_members_join_or_come_back() -> None:
    study = Execution("fedavg", sites=3, steps=2)
    study.members.discard("C")
    everybody(study, "A", "B")
    everybody(study, "A")
    study.members.add("C")
    assert isinstance(study.act("B"), Train)
    assert study.action("B") != study.action("C")
    trained = study.action("C")
    assert isinstance(trained, Train)
    assert trained.base == study.commits[2].digest


class TestValidMerges:
    def two(self) -> tuple[Execution, list[Commit]]:
        study = Execution("fedavg", sites=3, steps=3, parameters={"quorum": 2})
        everybody(study, "A", "B", "C")
        return study, sorted(study.commits, key=lambda commit: commit.digest)

    def cases(self, commits: list[Commit]) -> list[int]:
        return [commit.cases or 0 for commit in commits]

    def test_among_equals_more_sites_are_chosen_then_the_lower_digest(self) -> None:
        study, trained = self.two()
        few = give(study, merge_by(study, "B", None, trained[:2], self.cases(trained[:2])))
        assert chosen(study, "A").model.digest == few.digest
        all_of_them = give(study, merge_by(study, "C", None, trained, self.cases(trained)))
        assert chosen(study, "A").model.digest == all_of_them.digest

    def test_a_merge_below_the_quorum_is_never_chosen(self) -> None:
        study, trained = self.two()
        give(study, merge_by(study, "B", None, trained[:1], self.cases(trained[:1])))
        assert chosen(study, "A", least=2).number == 0
        assert isinstance(study.act("A"), Merge)

    def test_late_contributions_do_not_count_for_the_sites_of_a_round(self) -> None:
        study, trained = self.two()
        round_1 = give(study, merge_by(study, "B", None, trained[:2], self.cases(trained[:2])))
        everybody(study, "A")
        inputs = sorted([study.commits[-1], trained[2]], key=lambda commit: commit.digest)
        give(study, merge_by(study, "C", round_1, inputs, self.cases(inputs)))
        assert chosen(study, "A", least=1).number == 2
        assert chosen(study, "A", least=2).number == 1

    def test_other_weights_than_the_cases_are_not_valid(self) -> None:
        study, trained = self.two()
        give(study, merge_by(study, "B", None, trained, [1_000, 1, 1]))
        assert chosen(study, "A").number == 0

    def test_a_contribution_that_the_chain_has_taken_in_makes_a_merge_invalid(self) -> None:
        study, trained = self.two()
        everybody(study, "A")
        round_1 = study.commits[-1]
        everybody(study, "A", "B", "C")
        twice = sorted([*study.commits[-3:], trained[0]], key=lambda commit: commit.digest)
        give(study, merge_by(study, "B", round_1, twice, self.cases(twice)))
        assert chosen(study, "A").number == 1

    def test_a_void_merge_is_not_chosen_but_what_others_built_on_it_is(self) -> None:
        study, _ = self.two()
        everybody(study, "A")
        everybody(study, "A", "B", "C")
        void = study.commits[3]
        everybody(study, "A")
        for worker in study.workers.values():
            worker.steps.judge(void.digest, is_input=False)
        assert chosen(study, "B").number == 2
        for worker in study.workers.values():
            worker.steps.judge(study.commits[-1].digest, is_input=False)
        assert chosen(study, "B").number == 0

    def test_the_second_merge_of_one_action_does_not_throw_away_what_was_built_on_it(self) -> None:
        study, trained = self.two()
        action = trained[0].digest
        recipe = Recipe("merge", 1, {"rule": "mean", "weights": self.cases(trained)})
        parents = [Parent("base", study.start.digest), *(Parent("input", commit.digest) for commit in trained)]
        pair = [
            commit_of(
                "A", 2, study.workers["A"].last, recipe, parents, study=study.study.digest, action=action, cases=n
            )
            for n in range(2)
        ]
        first, second = sorted(pair, key=lambda commit: commit.digest)
        give(study, second)
        trained_on = [study.action(name) for name in study.names]
        everybody(study, "A", "B", "C")
        everybody(study, "A")
        give(study, first)
        assert {action.base for action in trained_on if isinstance(action, Train)} == {second.digest}
        assert chosen(study, "B").number == 2


class TestSample:
    def test_so_many_are_drawn_for_each_round_and_the_others_wait(self) -> None:
        study = Execution("fedavg", sites=4, steps=8, parameters={"sample": 2})
        study.run(most=300)
        trained = Counter(name for name, work in study.works if isinstance(work, Train))
        assert sum(trained.values()) == 2 * 8
        assert len(trained) == 4, "each round draws anew"
        for _, merge in study.merges():
            assert len(merge.inputs) == 2

    def test_a_share_is_rounded_up(self) -> None:
        for share, drawn in (("0.5", 2), ("0.1", 1), ("0.7", 3), ("1", 3), ("nonsense", 3), ("2.5", 3), (True, 3)):
            study = Execution("fedavg", sites=3, steps=2, parameters={"sample": share})
            actions = [study.action(name) for name in study.names]
            assert sum(isinstance(action, Train) for action in actions) == drawn, share

    def test_the_draw_follows_from_seed_and_round(self) -> None:
        study = Execution("fedavg", sites=5, steps=3, seed=9, parameters={"sample": 2})
        study.run(most=200)
        for number in (1, 2, 3):
            order = sorted(study.names, key=lambda name: digest_of(f"9\nsample\n{number}\n{name}".encode()))
            drawn = [n for n, work in study.works if isinstance(work, Train) and work.step == number]
            assert set(drawn) == set(order[:2])

    def test_a_silent_drawn_site_is_left_to_quorum_and_deadline(self) -> None:
        study = Execution("fedavg", sites=4, steps=2, parameters={"sample": 2, "quorum": 1, "deadline_s": 30})
        drawn = [name for name in study.names if isinstance(study.action(name), Train)]
        everybody(study, drawn[0])
        assert said(study.action("A")) == Wait(why="the deadline of the round", until_s=30.0)
        study.now_s = 30
        assert isinstance(study.action("A"), Merge)

    def test_a_removed_site_is_not_drawn(self) -> None:
        study = Execution("fedavg", sites=4, steps=3, parameters={"sample": 2})
        study.members.discard("C")
        assert all(isinstance(action, Finished) for action in study.run(most=100).values())
        assert not study.trainings("C")


def test_a_site_whose_budget_was_spent_in_voided_rounds_is_not_waited_for() -> None:
    study = Execution("fedavg", sites=3, steps=2)
    for _ in range(2):
        everybody(study, "A", "B", "C")
        everybody(study, "A")
    assert isinstance(study.action("B"), Finished)
    study.void(next(c.digest for c in study.commits if c.recipe.name == "merge"))
    assert all(isinstance(action, Finished) for action in study.run(most=60).values())
