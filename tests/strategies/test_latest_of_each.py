"""Latest-of-each: merge what is new, train, repeat; never wait."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imagiq.federation import Finished, Merge, Train, Wait
from imagiq.objects import digest_of
from imagiq.strategies.latest_of_each import STALE_AFTER
from imagiq.testing.execution import Execution

seeds = st.integers(0, 2**32 - 1)


def spend(study: Execution, name: str, actions: int) -> list[object]:
    return [study.act(name) for _ in range(actions)]


def test_where_nothing_is_new_a_site_trains_on() -> None:
    study = Execution("latest-of-each", sites=2, steps=6)
    study.act("B")
    study.tell("A")
    kinds = [type(action) for action in spend(study, "A", 6)]
    assert kinds == [Merge, Train, Train, Train, Train, Train], "what came from B is merged once"


def test_a_site_merges_its_newest_beside_what_is_new() -> None:
    study = Execution("latest-of-each", sites=3, steps=6)
    for name in ("A", "B", "C"):
        study.act(name)
    study.tell_all()
    merge = study.act("A")
    assert isinstance(merge, Merge)
    assert sorted(weight for _, weight in merge.inputs) == [10, 20, 30]
    trained = study.act("A")
    assert isinstance(trained, Train)
    assert study.kind_of(trained.base) == "merge"


def test_only_the_newest_of_each_site_is_merged() -> None:
    study = Execution("latest-of-each", sites=2, steps=6)
    spend(study, "B", 3)
    study.act("A")
    while study.tell("A"):
        pass
    merge = study.act("A")
    assert isinstance(merge, Merge)
    assert {digest for digest, _ in merge.inputs} == {study.commits[2].digest, study.commits[3].digest}


def test_a_merge_waits_until_the_merge_before_it_was_trained_from() -> None:
    study = Execution("latest-of-each", sites=2, steps=6)
    study.act("A")
    study.act("B")
    study.tell_all()
    assert isinstance(study.act("A"), Merge)
    study.act("B")
    study.act("B")
    while study.tell("A"):
        pass
    assert [type(action) for action in spend(study, "A", 2)] == [Train, Merge]


def test_a_late_joiner_begins_with_what_others_made() -> None:
    study = Execution("latest-of-each", sites=2, steps=6)
    spend(study, "B", 3)
    while study.tell("A"):
        pass
    assert [type(action) for action in spend(study, "A", 2)] == [Merge, Train]


def test_who_has_spent_its_budget_still_merges_what_is_new() -> None:
    study = Execution("latest-of-each", sites=2, steps=2)
    assert [type(action) for action in spend(study, "A", 3)] == [Train, Train, Wait]
    spend(study, "B", 2)
    while study.tell("A"):
        pass
    assert [type(action) for action in spend(study, "A", 2)] == [Merge, Finished]


def left_behind(missing: int) -> Execution:
    """Return a study in which A trained once, then B trained ``missing`` times, never hearing of A; C knows all."""
    study = Execution("latest-of-each", sites=3, steps=1_000)
    study.act("A")
    for _ in range(missing + 1):
        study.act("B")
    for commit in study.commits:
        study.tell("C", commit)
    return study


def weights_of(action: object) -> list[int]:
    assert isinstance(action, Merge)
    return sorted(weight for _, weight in action.inputs)


def test_who_left_is_no_anchor() -> None:
    limit = STALE_AFTER * 3
    assert weights_of(left_behind(limit).act("C")) == [10, 20], "lacks 32 for each of 3 sites more than the freshest"
    assert weights_of(left_behind(limit + 1).act("C")) == [20]


def test_halves_that_were_parted_for_long_come_together() -> None:
    study = Execution("latest-of-each", sites=2, steps=1_000)
    for name in ("A", "B"):
        spend(study, name, 5 * STALE_AFTER)
    while study.tell("A"):
        pass
    assert weights_of(study.act("A")) == [10, 20]


def test_who_comes_back_after_long_begins_with_what_others_made() -> None:
    study = left_behind(200)
    while study.tell("A"):
        pass
    assert weights_of(study.act("A")) == [20]
    assert isinstance(study.act("A"), Train)


def test_peers_are_drawn_by_seed_name_and_step() -> None:
    study = Execution("latest-of-each", sites=6, steps=8, seed=3, parameters={"peers": 2})
    study.run(most=300)
    for name in study.names:
        made = 0
        for site, work in study.works:
            if site != name:
                continue
            made += isinstance(work, Train)
            if isinstance(work, Merge):
                others = {"ABCDEFGH"[weight // 10 - 1] for _, weight in work.inputs} - {name}
                drawn = sorted(
                    set(study.names) - {name}, key=lambda other: digest_of(f"3\n{name}\n{made}\n{other}".encode())
                )
                assert others <= set(drawn[:2])


@given(seed=seeds)
def test_with_few_peers_all_finish(seed: int) -> None:
    study = Execution("latest-of-each", sites=5, steps=3, seed=seed, parameters={"peers": 1})
    assert all(isinstance(action, Finished) for action in study.run(most=100).values())


def test_a_removed_site_is_neither_merged_nor_waited_for() -> None:
    study = Execution("latest-of-each", sites=3, steps=2)
    study.act("C")
    study.members.discard("C")
    assert all(isinstance(action, Finished) for action in study.run(most=50).values())
    assert all(weight != 30 for _, merge in study.merges() for _, weight in merge.inputs)


def test_a_silent_site_stops_nobody() -> None:
    study = Execution("latest-of-each", sites=3, steps=4, silent="C")
    actions = study.run(most=50)
    assert [len(study.trainings(name)) for name in "AB"] == [4, 4]
    assert all(isinstance(action, Wait) for action in actions.values())
