"""Real sites under a virtual clock, one of which cannot train: the others go on without it, until it can."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from imagiq.errors import ContractBroken
from imagiq.federation import Finished, Named, StudyHistory
from imagiq.learning import Initial, Predictions, Trained, Weights
from imagiq.learning.logistic import Logistic
from imagiq.learning.tables import Table
from imagiq.simulation import Scenario, SimulatedStudy, World, simulate
from imagiq.strategies import BUILT_IN
from tests.simulation.wards import NAMES, cases_of, histories, scenario, world_of

ways = pytest.mark.parametrize("way", [name for name, _ in BUILT_IN])


class Diverging:
    """Logistic regression whose loss diverges on one ward's cases, as often as it is told to."""

    def __init__(self, cases: Table, times: float = float("inf")) -> None:
        self._inner = Logistic(features=4, learning_rate="0.05")
        self._cases, self._left = cases, times

    def initial(self, seed: int) -> Initial:
        return self._inner.initial(seed)

    def train(self, weights: Weights, cases: Table, *, budget: int, seed: int, progress: float) -> Trained:
        if cases is self._cases and self._left > 0:
            self._left -= 1
            raise ContractBroken("training-diverged", "The loss is no number.", "Take a lower learning rate.")
        return self._inner.train(weights, cases, budget=budget, seed=seed, progress=progress)

    def predict(self, weights: Weights, cases: Table) -> Predictions:
        return self._inner.predict(weights, cases)


def of(way: str, *, steps: int = 3, update_s: float = 0.1) -> Scenario:
    study = SimulatedStudy(title=way, strategy=Named(way), steps=steps, updates=5)
    return scenario(studies=(study,), update_s=update_s)


def world_in_which(diverges: str, terms: Scenario, times: float = float("inf")) -> World:
    """Make a world, not yet run, in which training fails at a site."""
    cases = cases_of()
    learner = Diverging(cases[diverges].training, times)
    return World(terms, cases, learner_of=lambda _: learner, strategies=BUILT_IN)


def steps_of(world: World, at: str) -> StudyHistory:
    (study,) = world.studies.values()
    return world.bench(at).studies[study.digest]


def told_s(world: World) -> list[float]:
    return [made.at_s for made in world.made if made.recipe == "trouble"]


def ends(world: World, *names: str) -> list[tuple[int, ...]]:
    """Return on how many trainings of each ward stands what sites have finished with; one that has not fails the test."""
    (study,) = world.studies.values()
    actions = {name: world.site(name).actions()[study.digest] for name in names}
    assert all(isinstance(action, Finished) for action in actions.values()), actions
    found = [
        steps_of(world, name).get(action.model) for name, action in actions.items() if isinstance(action, Finished)
    ]
    return [step.progress for step in found if step is not None]


@ways
@pytest.mark.parametrize("diverges", ["east", "west"])
def test_the_others_finish_as_soon_as_they_can_once_trouble_is_told(way: str, diverges: str) -> None:
    """East opens the study and has the server's role."""
    untroubled = world_of(of(way))
    untroubled.run()
    world = world_in_which(diverges, of(way))
    world.run()
    others = [name for name in NAMES if name != diverges]
    ended = ends(world, *others)
    assert all(sum(progress) for progress in ended)
    assert not any(progress[NAMES.index(diverges)] for progress in ended)
    last_s = max(made.at_s for made in world.made if made.site in others)
    assert told_s(world)[0] < 40, (
        "a third failure comes after waits of 10 and 20 s, sooner where others go on meanwhile"
    )
    assert last_s < told_s(world)[0] + untroubled.ended_s[next(iter(untroubled.studies.values())).digest] + 5
    assert len(told_s(world)) == 1


@ways
def test_a_site_that_works_again_takes_part_again(way: str) -> None:
    world = world_in_which("west", of(way, steps=12, update_s=10.0), times=4)
    world.run()
    assert not world.stopped
    (at_s,) = told_s(world)
    assert at_s < min(made.at_s for made in world.made if made.site == "west" and made.recipe == "train")
    ended = ends(world, *NAMES)
    assert len({tuple(known) for known in histories(world).values()}) == 1
    assert all(progress[2] for progress in ended) or way == "local"


def test_trouble_is_told_and_the_deadline_waited_for_no_more_where_rounds_go_on_without_a_site() -> None:
    terms = Named("fedavg", parameters={"quorum": 2, "deadline_s": 5})
    study = SimulatedStudy(title="fedavg", strategy=terms, steps=8, updates=5)
    world = world_in_which("west", scenario(studies=(study,), update_s=0.1))
    world.run()
    at_s = told_s(world)[0]
    merged_s = [made.at_s for made in world.made if made.recipe == "merge"]
    gaps_s = {later: later - earlier for earlier, later in pairwise(merged_s)}
    assert any(gap > 5 for later, gap in gaps_s.items() if later < at_s)
    assert all(gap < 5 for later, gap in gaps_s.items() if later > at_s + 5)
    assert merged_s[-1] > at_s + 5


@pytest.mark.parametrize("way", ["fedavg", "swarm", "gossip"])
def test_a_journal_with_trouble_plays_back_to_the_same_commits(way: str) -> None:
    world, again = (world_in_which("east", replace(of(way), idle_s=100.0)) for _ in range(2))
    world.run()
    again.replay(world.journal)
    assert told_s(world)
    assert histories(again) == histories(world)


@pytest.mark.parametrize("way", ["fedavg", "swarm", "one-shot"])
def test_all_finish_with_one_model_also_who_could_not_train(way: str) -> None:
    world = world_in_which("north", of(way))
    world.run()
    assert not world.stopped
    (study,) = world.studies.values()
    assert len({str(world.site(name).actions()[study.digest]) for name in NAMES}) == 1


def test_an_outcome_says_whose_work_fails_and_that_nobody_else_waits() -> None:
    cases = cases_of()
    learner = Diverging(cases["west"].training)
    outcome = simulate(of("cyclic"), cases=cases, learners={"logistic": lambda **_: learner})
    assert "cyclic: work failed again and again at west: training-diverged." in outcome.warnings
    waiting = {result.site: result.waits_for for result in outcome.way("cyclic").sites if not result.finished}
    assert waiting == {"west": "its own work to succeed"}
