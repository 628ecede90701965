"""The shipped suite catches strategies that break what a strategy promises, each by the test that is about it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from imagiq.federation import Action, Finished, Merge, Step, Strategy, Train, View, Wait
from imagiq.strategies import BUILT_IN
from imagiq.testing.strategies import StrategyContract

local, latest = BUILT_IN["local", 1], BUILT_IN["latest-of-each", 1]


class Suite(StrategyContract):
    """The suite, to be called."""

    __test__ = False

    @pytest.fixture
    def strategy(self) -> Strategy:
        raise NotImplementedError


def what_is_said(strategy: Strategy, test: str) -> str:
    """Return what a test of the suite says against a strategy, after as many seeds as it takes; empty: nothing."""
    ask: Callable[..., None] = getattr(Suite(), test)
    for case in [{"seed": seed} for seed in range(12)] if test != OUTSIDE else [{}]:
        try:
            ask(strategy, {}, **case)
        except AssertionError as wrong:
            return str(wrong)
    return ""


DONE = "test_what_is_decided_can_be_done"
SAME = "test_the_same_is_decided_whatever_came_first_and_whatever_was_asked_before"
ENDS = "test_when_all_take_part_all_finish"
REMOVED = "test_nobody_waits_for_a_site_that_was_removed"
SILENT = "test_with_a_silent_site_the_others_come_to_rest"
FAILING = "test_nobody_waits_for_a_site_whose_work_fails_and_when_it_works_again_all_finish"
PARTED = "test_halves_that_were_parted_finish_when_they_meet_again"
OUTSIDE = "test_it_reads_and_writes_nothing"


def merge_newest(view: View, me: str, newest: list[Step]) -> Action:
    """Merge training steps if I have not, then go on as latest-of-each does."""
    wanted = Merge(inputs=tuple(sorted((step.digest, step.weight) for step in newest)))
    alike = view.steps.merged_into(wanted.inputs[0][0]) if newest else ()
    if newest and not any(one.site == me and one.commit.parents == wanted.parents for one in alike):
        return wanted
    return local(view, me)


class Remembers:
    """Counts its calls."""

    calls = 0

    def __call__(self, view: View, me: str) -> Action:
        self.calls += 1
        return Wait(why="the third question") if self.calls % 3 else local(view, me)


def draws(view: View, me: str) -> Action:
    return Wait(why="luck") if random.random() < 0.1 else local(view, me)


def goes_by_arrival(view: View, me: str) -> Action:
    """Train from what came last."""
    came = [step for digest in view.first_seen_s if (step := view.steps.get(digest)) and step.kind == "train"]
    if view.made(me) < view.study.steps and came and view.may_train(me, came[-1]):
        return Train(base=came[-1].digest, step=view.made(me) + 1, progress=0.0)
    return local(view, me)


def takes_what_is_not_here(view: View, me: str) -> Action:
    return merge_newest(view, me, [steps[-1] for site in view.sites if (steps := view.steps.trainings(site))])


def takes_what_is_void(view: View, me: str) -> Action:
    """Merge what somebody merged, whatever has become of it."""
    last = max(view.merges(), key=lambda step: step.order, default=None)
    inputs = [] if last is None else [step for one in last.inputs if (step := view.steps.get(one))]
    steps = [step for step in inputs if view.usable(step) and step.site in view.sites]
    action = latest(view, me)
    return merge_newest(view, me, steps) if isinstance(action, Finished | Wait) and steps else action


def takes_from_the_removed(view: View, me: str) -> Action:
    newest = [view.newest_training(site) for site in view.study.sites]
    return merge_newest(view, me, [step for step in newest if step is not None])


def weighs_by_halves(view: View, me: str) -> Action:
    action = latest(view, me)
    if isinstance(action, Merge):
        return Merge(inputs=tuple((digest, weight / 2) for digest, weight in action.inputs))  # type: ignore[misc]
    return action


def overspends(view: View, me: str) -> Action:
    action = local(view, me)
    if isinstance(action, Finished):
        return Train(base=action.model, step=view.made(me) + 1, progress=1.0)
    return action


def waits_for_the_past(view: View, me: str) -> Action:
    return Wait(why="yesterday", until_s=view.now_s) if view.now_s > 1 else local(view, me)


def says_it_again(view: View, me: str) -> Action:
    """Merge the newest of all, whether I have or not."""
    action = local(view, me)
    newest = [step for site in view.sites if (step := view.newest_training(site))]
    if isinstance(action, Finished) and newest:
        return Merge(inputs=tuple(sorted((step.digest, step.weight) for step in newest)))
    return action


def needs_everybody_who_ever_was(view: View, me: str) -> Action:
    action = local(view, me)
    if isinstance(action, Finished) and not all(map(view.has_spent, view.study.sites)):
        return Wait(why="all sites of the study")
    return action


def gives_up_on_what_is_unlike(view: View, me: str) -> Action:
    """Wait for ever as soon as two sites have made differently much; it finishes where none is cut off."""
    made = {view.made(site) for site in view.sites}
    return Wait(why="others to be as far as I am") if max(made) - min(made) > 1 else local(view, me)


def never_comes_to_rest(view: View, me: str) -> Action:
    action = local(view, me)
    if isinstance(action, Finished) and not all(map(view.has_spent, view.sites)):
        return Wait(why="the next moment", until_s=view.now_s + 1)
    return action


def reads_a_file(view: View, me: str) -> Action:
    return local(view, me) if Path(__file__).read_bytes() else Wait(why="an empty file")


@pytest.mark.parametrize(
    ("wrong", "test", "said"),
    [
        (Remembers(), SAME, "equal view, equal action"),
        (draws, SAME, "equal view, equal action"),
        (goes_by_arrival, SAME, "a decision depends on the order of arrival"),
        (takes_what_is_not_here, DONE, "a model that is not here"),
        (takes_what_is_void, DONE, "a void or contested model"),
        (takes_from_the_removed, DONE, "what a removed site made is merged"),
        (weighs_by_halves, DONE, "odd weights"),
        (overspends, DONE, "a step lies outside the budget"),
        (waits_for_the_past, DONE, "a moment that has passed"),
        (says_it_again, ENDS, "again"),
        (needs_everybody_who_ever_was, REMOVED, "somebody waits for what cannot come"),
        (needs_everybody_who_ever_was, FAILING, "somebody waits for what cannot come"),
        (never_comes_to_rest, SILENT, "the study never ends"),
        (gives_up_on_what_is_unlike, PARTED, "somebody waits for what cannot come"),
        (reads_a_file, OUTSIDE, "it reaches out: ['open']"),
    ],
)
def test_what_breaks_a_promise_is_caught(wrong: Strategy, test: str, said: str) -> None:
    assert said in what_is_said(wrong, test)


@pytest.mark.parametrize("test", [DONE, SAME, ENDS, REMOVED, SILENT, FAILING, PARTED, OUTSIDE])
def test_what_keeps_them_is_not(test: str) -> None:
    assert what_is_said(latest, test) == ""
