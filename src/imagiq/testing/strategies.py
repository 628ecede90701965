"""The suite that every strategy passes.

Subclass it, and give it a strategy, and its parameters if it needs any::

    class TestMyStrategy(StrategyContract):
        @pytest.fixture
        def strategy(self):
            return my_package.decide
"""

# ruff: noqa: S101 - asserts are what this module is for
from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random  # noqa: TID251 - draws from given seeds
from threading import get_ident

import pytest

from imagiq.federation import Action, Evaluate, Finished, Merge, Strategy, StudyHistory, Train, View, Wait
from imagiq.history import History
from imagiq.objects import JSON, Commit, Digest
from imagiq.testing.execution import Execution, take

__all__ = ["StrategyContract", "check_action", "check_all_finished", "reaching_out"]

WEIGHT_LIMIT = 2**31
INPUT_LIMIT = 1000

OUTSIDE = ("open", "os.", "socket.", "subprocess.", "shutil.", "sqlite3.", "urllib.", "http.", "ctypes.")
"""What Python's audit events about files, the network and other processes begin with."""

seeds = pytest.mark.parametrize("seed", range(12))


def check_action(view: View, action: Action) -> None:
    """Check that a site could do what a strategy answers, and that others could use it.

    Args:
        view: What the strategy looked at.
        action: What it answered.
    """
    if isinstance(action, Wait):
        assert action.why, "it waits, and does not say for what"
        assert action.until_s is None or action.until_s > view.now_s, "it waits for a moment that has passed"
        return
    if isinstance(action, Finished | Evaluate):
        assert view.steps.get(action.model) is not None, "a model is named that is not of this study"
        return
    for parent in action.parents:
        step = view.steps.get(parent.commit)
        assert step is not None, "something is made from what is not of this study"
        assert view.steps.is_input(step), "something is made from a void or contested model, or one beyond its budget"
        assert view.usable(step), "something is made from a model that is not here"
    if isinstance(action, Train):
        assert 1 <= action.step <= view.study.steps, "a step lies outside the budget"
        assert 0 <= action.progress <= 1, "progress lies outside 0 to 1"
        assert action.until is None or action.progress <= action.until <= 1, "progress falls"
    if isinstance(action, Merge):
        digests = [digest for digest, _ in action.inputs]
        authors = [step.site for digest in digests if (step := view.steps.get(digest)) is not None]
        assert 1 <= len(digests) <= INPUT_LIMIT, "a merge has no inputs, or too many"
        assert len(set(digests)) == len(digests), "a model is merged twice"
        assert all(type(weight) is int and 0 < weight < WEIGHT_LIMIT for _, weight in action.inputs), "odd weights"
        assert set(authors) <= set(view.sites), "what a removed site made is merged"


def check_all_finished(actions: Mapping[str, Action]) -> None:
    """Check that nobody waits, when there is nothing left to do; ``actions`` has each site's last one."""
    waiting = {name: action.why for name, action in actions.items() if isinstance(action, Wait)}
    assert not waiting, f"somebody waits for what cannot come: {waiting}"


@contextmanager
def reaching_out() -> Iterator[set[str]]:
    """Give the audit events about files, the network and other processes that this thread causes meanwhile."""
    events: set[str] = set()
    me = get_ident()
    listening = True

    def hear(event: str, _: object) -> None:
        if listening and get_ident() == me and event.startswith(OUTSIDE):
            events.add(event)

    sys.addaudithook(hear)  # hooks stay for ever: this one falls silent
    try:
        yield events
    finally:
        listening = False


@dataclass(frozen=True, kw_only=True)
class _Decided:
    """A decision, and all that it was made from."""

    me: str
    known: Sequence[Commit]
    void: frozenset[Digest]
    seen_s: Mapping[Digest, float]
    now_s: float
    action: Action

    def again(self, study: Execution, draw: Random) -> Action:
        """Decide anew, from the same commits in another order."""
        history, waiting, arrived = History(), list(self.known), []
        steps = StudyHistory(study.study, history.add(study.start))
        while waiting:
            ready = [commit for commit in waiting if not history.missing(commit)]
            commit = draw.choice(ready)
            waiting.remove(commit)
            arrived.append(commit.digest)
            entry = history.add(commit)
            take(steps, entry, is_input=commit.digest not in self.void)
        members = frozenset(study.members)
        seen_s = {digest: self.seen_s[digest] for digest in arrived if digest in self.seen_s}
        view = View(study=study.study, steps=steps, members=members, now_s=self.now_s, first_seen_s=seen_s)
        return study.decide(view, self.me)


class StrategyContract(ABC):
    """What :class:`imagiq.federation.Strategy` promises."""

    @pytest.fixture
    @abstractmethod
    def strategy(self) -> Strategy:
        """Give the strategy."""

    @pytest.fixture
    def parameters(self) -> dict[str, JSON]:
        """Give the parameters of the studies that it is tried in."""
        return {}

    @seeds
    def test_what_is_decided_can_be_done(self, strategy: Strategy, parameters: dict[str, JSON], seed: int) -> None:
        """Whatever is known, withheld or void: parents are usable, weights and progress lie in their ranges."""
        draw = Random(seed)  # noqa: S311 - a given seed
        study = Execution(strategy, sites=draw.randint(1, 5), steps=3, seed=seed, parameters=parameters)
        for _ in range(120):
            self._happen(study, draw)
            name = draw.choice(study.active)
            check_action(study.view(name), study.action(name))
            supposed = study.view(name).supposing_all_complete()
            check_action(supposed, strategy(supposed, name))
            study.act(name)

    def _happen(self, study: Execution, draw: Random) -> None:
        study.now_s += draw.choice((0.0, 1.0, 1.0, 5_000.0))
        study.tell(draw.choice(study.names))
        if draw.random() < 0.05:
            study.failing ^= {draw.choice(study.names)}
        if study.commits and draw.random() < 0.1:
            study.withheld ^= {draw.choice(study.commits).digest}
        if study.commits and draw.random() < 0.03:
            study.set_aside.add(draw.choice(study.commits).digest)
        if study.commits and draw.random() < 0.05:
            study.void(draw.choice(study.commits).digest)
        if len(study.members) > 1 and draw.random() < 0.02:
            study.members.discard(draw.choice(sorted(study.members)))

    @seeds
    def test_the_same_is_decided_whatever_came_first_and_whatever_was_asked_before(
        self, strategy: Strategy, parameters: dict[str, JSON], seed: int
    ) -> None:
        """Equal view, equal action: nothing is kept between calls, and no order of arrival shows."""
        draw = Random(seed)  # noqa: S311 - a given seed
        study = Execution(strategy, sites=draw.randint(2, 5), steps=3, seed=seed, parameters=parameters)
        decided: list[_Decided] = []
        for _ in range(60):
            study.now_s += draw.choice((0.0, 1.0, 5_000.0))
            name = draw.choice(study.names)
            study.tell(name)
            if draw.random() < 0.1:
                study.failing ^= {draw.choice(study.names)}
            if study.commits and draw.random() < 0.03:
                study.void(draw.choice(study.commits).digest)
            worker = study.workers[name]
            decided.append(
                _Decided(
                    me=name,
                    known=[commit for commit in study.commits if commit.digest in worker.history],
                    void=frozenset(study.voided),
                    seen_s=dict(worker.seen_s),
                    now_s=study.now_s,
                    action=study.action(name),
                )
            )
            study.act(name)
        for one in draw.sample(decided, len(decided)):
            assert one.again(study, draw) == one.action, "a decision depends on the order of arrival, or of questions"

    def test_it_reads_and_writes_nothing(self, strategy: Strategy, parameters: dict[str, JSON]) -> None:
        """No files, no network, no other processes, once what it imports is there."""
        Execution(strategy, sites=3, steps=3, parameters=parameters).run(most=60)
        with reaching_out() as events:
            Execution(strategy, sites=3, steps=3, parameters=parameters).run(most=60)
        assert not events, f"it reaches out: {sorted(events)}"

    @seeds
    def test_when_all_take_part_all_finish(self, strategy: Strategy, parameters: dict[str, JSON], seed: int) -> None:
        """At any pace, and without an action that has succeeded being answered again."""
        study = Execution(strategy, sites=1 + seed % 5, steps=1 + seed % 4, seed=seed, parameters=parameters)
        check_all_finished(study.run(most=100))

    @seeds
    def test_nobody_waits_for_a_site_that_was_removed(
        self, strategy: Strategy, parameters: dict[str, JSON], seed: int
    ) -> None:
        """Whenever that happens, and whoever it is."""
        study = Execution(strategy, sites=2 + seed % 4, steps=3, seed=seed, parameters=parameters)
        study.go_on(5 * seed)
        study.members.discard(study.random.choice(study.names))
        check_all_finished(study.run(most=60))

    @seeds
    def test_with_a_silent_site_the_others_come_to_rest(
        self, strategy: Strategy, parameters: dict[str, JSON], seed: int
    ) -> None:
        """They may wait for it, or finish; they do not go on for ever. When it comes back, all finish."""
        study = Execution(strategy, sites=2 + seed % 4, steps=3, seed=seed, parameters=parameters)
        study.go_on(3 * seed)
        study.silent = {study.random.choice(study.names)}
        study.run(most=60)
        study.silent = set()
        check_all_finished(study.run(most=60))

    @seeds
    def test_nobody_waits_for_a_site_whose_work_fails_and_when_it_works_again_all_finish(
        self, strategy: Strategy, parameters: dict[str, JSON], seed: int
    ) -> None:
        """Once it has told of it, whenever that is, and whoever it is."""
        study = Execution(strategy, sites=2 + seed % 4, steps=3, seed=seed, parameters=parameters)
        study.go_on(3 * seed)
        study.failing = {study.random.choice(study.names)}
        actions = study.run(most=60)
        check_all_finished({name: action for name, action in actions.items() if name not in study.failing})
        study.failing = set()
        check_all_finished(study.run(most=60))

    @seeds
    def test_halves_that_were_parted_finish_when_they_meet_again(
        self, strategy: Strategy, parameters: dict[str, JSON], seed: int
    ) -> None:
        """Whatever each half did by itself."""
        study = Execution(strategy, sites=2 + seed % 4, steps=3, seed=seed, parameters=parameters)
        study.go_on(3 * seed)
        cut = study.random.randrange(1, len(study.names))
        study.groups = [set(study.names[:cut]), set(study.names[cut:])]
        study.run(most=60)
        study.groups = [set(study.names)]
        check_all_finished(study.run(most=60))
