"""What may be forgotten, and what never is, whatever happened and in whatever order it became known."""

from __future__ import annotations

from random import Random
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagiq.errors import Refused
from imagiq.federation import Retention, State, StudyHistory, forgettable, retention_in
from imagiq.objects import Digest
from tests.federation.histories import in_random_order, play
from tests.federation.world import Reader, World, charter, read

seeds = st.integers(0, 2**32 - 1)


def going(reader: Reader, steps: StudyHistory, models: int, pinned: frozenset[Digest] = frozenset()) -> list[Digest]:
    kept = Retention(models=models)
    return [step.digest for step in forgettable(steps, kept, reader.standing.state, pinned)]


def a_play(seed: int, sites: int, length: int) -> tuple[Reader, StudyHistory]:
    reader = read(play(seed, sites, length))
    (steps,) = reader.studies.values()
    return reader, steps


@given(seed=seeds, models=st.integers(1, 3))
def test_what_is_needed_stays_and_all_else_goes(seed: int, models: int) -> None:
    reader, steps = a_play(seed, 2 + seed % 3, 24)
    draw, retention = Random(seed), Retention(models=models)
    known = [step.digest for step in steps]
    pinned = frozenset(draw.sample(known, draw.randrange(len(known) + 1)))
    gone = set(going(reader, steps, models, pinned))
    past = {step.digest for step in retention.past(steps)}
    assert past == {step.digest for step in steps if retention.is_past(steps, step)}
    assert past >= {step.digest for step in Retention(models=models + 1).past(steps)}, "who keeps more forgets more"
    assert gone <= past - pinned - {steps.start.digest}
    contested = {digest for digest in past if reader.standing.state(digest) is State.CONTESTED}
    merges = [s for s in steps if s.kind == "merge" and (s.digest not in past or s.digest in pinned | contested)]
    assert past - gone == past & (pinned | contested | {digest for merge in merges for digest in merge.inputs})
    for site in steps.study.sites:
        for of_kind in (steps.trainings(site), steps.merges_by(site)):
            assert not past & {step.digest for step in of_kind[-models:]}
            assert past >= {step.digest for step in of_kind[:-models]}


@settings(max_examples=15)
@given(seed=seeds, models=st.integers(1, 3))
def test_the_order_of_arrival_does_not_matter(seed: int, models: int) -> None:
    world = play(seed, 3, 16)
    first, second = read(world), in_random_order(world, seed)
    for study, steps in first.studies.items():
        assert set(going(first, steps, models)) == set(going(second, second.studies[study], models))


def test_the_inputs_of_the_newest_merge_stay_though_they_are_old() -> None:
    world = World(charter(["A", "B"])).found()
    study = world.feeds["A"].study("latest-of-each", ["A", "B"], steps=9)
    first = [world.feeds[name].train(study, study) for name in "AB"]
    merge = world.feeds["A"].merge(study, first)
    for _ in range(3):
        base = world.feeds["A"].train(study, merge)
        world.feeds["B"].train(study, base)
    reader = read(world)
    gone = going(reader, reader.studies[study.digest], 1)
    assert not {first[0].digest, first[1].digest, merge.digest} & set(gone)
    assert len(gone) == 4


@pytest.mark.parametrize(
    "rule", [None, 5, "5", {}, {"models": 0}, {"models": True}, {"models": "5"}, {"models": 5, "days": 3}, ["models"]]
)
def test_a_rule_that_cannot_be_read_lets_nothing_be_forgotten(rule: Any) -> None:
    with pytest.raises(Refused) as caught:
        retention_in({"retention": rule})
    assert caught.value.code == "charter-retention"


def test_a_charter_without_the_rule_keeps_all() -> None:
    assert retention_in({}) is None
    assert retention_in({"retention": {"models": 5}}) == Retention(models=5)


def test_a_hundred_thousand_steps_take_less_than_a_second() -> None:
    world = World(charter(["A", "B"])).found()
    study = world.feeds["A"].study("latest-of-each", ["A", "B"], steps=9)
    reader = read(world)
    steps = reader.studies[study.digest]
    one = world.feeds["A"].train(study, study)
    (template,) = [step for step in read(world).studies[study.digest] if step.digest == one.digest]
    many = [_Copy(template, number) for number in range(100_000)]
    steps._steps |= {step.digest: step for step in many}  # type: ignore[misc]
    steps._trainings["A"] += many  # type: ignore[arg-type]
    began_s = process_time()
    kept = Retention(models=50)
    assert len(forgettable(steps, kept, lambda _: State.SOUND, frozenset())) == 100_000 - 50
    assert process_time() - began_s < 1


class _Copy:
    """A step like another one, higher by so many."""

    def __init__(self, like: Any, number: int) -> None:
        self.site, self.kind, self.inputs = like.site, like.kind, like.inputs
        self.digest = Digest(f"{number:064x}")
        self.order = (like.height + number, self.digest)
