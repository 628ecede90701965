from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from imagiq.errors import ContractBroken, Misuse, Unreachable
from imagiq.federation import Action, Finished, Named, Wait
from imagiq.learning import Initial, Predictions, Trained, Weights
from imagiq.learning.logistic import Logistic
from imagiq.learning.tables import Table
from imagiq.objects import JSON
from imagiq.simulation import Crash, Happening, Network, Partition, SimulatedStudy, SiteCases, World
from imagiq.strategies import BUILT_IN
from tests.simulation.wards import NAMES, cases_of, histories, learner_of, scenario, world_of

WAYS = ("local", "fedavg", "cyclic", "incremental", "latest-of-each")
BAD_LINES = Network(delay_s=0.1, jitter_s=0.5, loss=0.3, cut=0.3, repeat=0.4, retry_s=0.5)
FAULTS = (
    Crash(site="east", at_s=0.7, for_s=2.0),
    Partition(sites=frozenset({"west"}), at_s=0.5, for_s=3.0),
)


def finished(world: World) -> set[str]:
    return {
        f"{title} at {name}"
        for title, study in world.studies.items()
        for name in world.names
        if isinstance(world.site(name).actions()[study.digest], Finished)
    }


def all_of(*titles: str) -> set[str]:
    return {f"{title} at {name}" for title in titles for name in NAMES}


def test_every_way_comes_to_its_end_and_all_sites_know_the_same() -> None:
    world = world_of(scenario(*WAYS))
    world.run()
    assert finished(world) == all_of(*WAYS)
    assert len({tuple(known) for known in histories(world).values()}) == 1
    assert world.stopped == ""


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_ones() -> None:
    def run(seed: int) -> dict[str, list[str]]:
        world = world_of(scenario("fedavg", "latest-of-each", seed=seed, network=BAD_LINES, faults=FAULTS))
        world.run()
        return histories(world)

    assert run(1) == run(1) != run(2)


@pytest.mark.parametrize(
    "changes",
    [
        {"network": Network(delay_s=0.1, loss=0.4, retry_s=0.5)},
        {"network": Network(delay_s=0.1, cut=0.6, retry_s=0.5)},
        {"network": Network(delay_s=0.1, repeat=0.9)},
        {"network": Network(delay_s=0.0, jitter_s=2.0)},
        {"network": Network(delay_s=0.1, poll_s=3.0)},
        {"network": Network(neighbours=1)},
        {"faults": FAULTS[:1]},
        {"faults": FAULTS[1:]},
        {"faults": FAULTS, "network": BAD_LINES},
        {"faults": (Crash(site="east", at_s=0.3, for_s=1.0), Crash(site="east", at_s=0.8, for_s=4.0))},
    ],
    ids=["loss", "cut", "repeat", "delay", "poll", "ring", "crash", "partition", "everything", "crash again"],
)
def test_whatever_goes_wrong_is_caught_up_and_replays_to_the_same_bytes(changes: dict[str, Any]) -> None:
    of = scenario("fedavg", "cyclic", "latest-of-each", **changes)
    world = world_of(of)
    world.run()
    assert finished(world) == all_of("fedavg", "cyclic", "latest-of-each")
    assert len({tuple(known) for known in histories(world).values()}) == 1
    again = world_of(of)
    again.replay(world.journal)
    assert histories(again) == histories(world)
    assert again.journal == world.journal


def test_news_is_heard_only_when_a_site_looks_for_it() -> None:
    world = world_of(scenario("latest-of-each", network=Network(delay_s=0.1, poll_s=3.0)))
    world.run()
    heard = {(event.site, round(event.at_s % 3.0, 6)) for event in world.journal if event.what == "visit"}
    assert heard == {("east", 0.0), ("north", 1.0), ("west", 2.0)}


def test_a_crash_interrupts_work_and_is_told() -> None:
    told: list[Happening] = []
    world = world_of(scenario("local", faults=(Crash(site="west", at_s=1.4, for_s=9.0),)))
    world.watch = told.append
    world.run()
    at_west = [(round(h.at_s, 3), h.what) for h in told if h.site == "west"]
    assert at_west[:4] == [(1.0, "began"), (1.25, "commit"), (1.25, "began"), (1.4, "crash")]
    assert (10.4, "start") in at_west
    assert finished(world) == all_of("local")


def test_a_site_that_is_down_in_the_end_says_so() -> None:
    world = world_of(scenario("fedavg", faults=(Crash(site="west", at_s=0.3, for_s=1e12),)))
    world.run()
    assert not world.is_up("west")
    with pytest.raises(Unreachable, match="'west' has crashed"):
        world.bench("west")
    waiting = world.site("east").actions()[world.studies["fedavg"].digest]
    assert isinstance(waiting, Wait)
    assert "stopped after" in world.stopped


def test_a_simulation_ends_when_its_time_is_over() -> None:
    world = world_of(scenario("local", until_s=0.6))
    world.run()
    assert world.clock.now_s() <= 0.6
    assert "stopped after 0.6 s" in world.stopped


class Failing:
    """Logistic regression that cannot train on ward west's cases."""

    def __init__(self, cases: Table) -> None:
        self._inner = Logistic(features=4, learning_rate="0.05")
        self._cases = cases

    def initial(self, seed: int) -> Initial:
        return self._inner.initial(seed)

    def train(self, weights: Weights, cases: Table, *, budget: int, seed: int, progress: float) -> Trained:
        if cases is self._cases:
            raise ContractBroken("cases-broken", "These cannot be trained on.", "Mend them.")
        return self._inner.train(weights, cases, budget=budget, seed=seed, progress=progress)

    def predict(self, weights: Weights, cases: Table) -> Predictions:
        return self._inner.predict(weights, cases)


def test_a_learner_that_always_fails_is_told_to_all_and_does_not_keep_the_simulation_going_for_ever() -> None:
    cases = cases_of()
    learner = Failing(cases["west"].training)
    world = World(scenario("local"), cases, learner_of=lambda _: learner, strategies=BUILT_IN)
    world.run()
    assert "Nobody committed anything for 86400 s" in world.stopped
    assert finished(world) == {"local at east", "local at north"}
    trouble = [e.commit for e in world.bench("east").history if e.commit.recipe.name == "trouble"]
    assert [commit.recipe.parameters["code"] for commit in trouble] == ["cases-broken"]


def test_a_strategy_that_a_site_lacks_is_waited_for() -> None:
    world = world_of(scenario("mine"))
    world.run()
    action = world.site("east").actions()[world.studies["mine"].digest]
    assert isinstance(action, Wait)
    assert "'mine'" in action.why


def test_a_study_may_be_for_some_sites() -> None:
    study = SimulatedStudy(title="two", strategy=Named("fedavg"), steps=2, updates=1, sites=("east", "west"))
    world = world_of(scenario(studies=(study,)))
    world.run()
    digest = world.studies["two"].digest
    assert {name for name in NAMES if world.commits[name, digest]} == {"east", "west"}
    assert digest not in world.site("north").actions()


def test_a_charter_that_does_not_permit_a_study_is_noticed() -> None:
    with pytest.raises(Misuse, match="do not permit the study 'cyclic'"):
        world_of(scenario("cyclic", rules={"strategies": ["fedavg"]}))


def test_what_the_neighbours_do_not_hold_is_fetched_from_its_author() -> None:
    names = tuple(f"ward-{number:02}" for number in range(12))
    study = SimulatedStudy(title="few", strategy=Named("latest-of-each", 1, {"peers": 3}), steps=4, updates=2)
    world = world_of(scenario(studies=(study,), names=names, network=Network(delay_s=0.1, neighbours=2)))
    world.run()
    digest = world.studies["few"].digest
    assert all(isinstance(world.site(name).actions()[digest], Finished) for name in names)
    merges = [e.commit for e in world.bench(names[0]).history if e.commit.recipe.name == "merge"]
    assert max(len(merge.parents) for merge in merges) == 4


def test_busy_time_commits_and_bytes_are_counted() -> None:
    world = world_of(scenario("local"))
    world.run()
    digest = world.studies["local"].digest
    # Three steps of five updates of 0.1 s, and one measurement of 0.1 s; east is the slowest and opened the study.
    assert {name: world.busy_s[name, digest] for name in NAMES} == pytest.approx(
        {"east": 1.6, "north": 1.6 / 1.5, "west": 0.8}
    )
    assert {name: world.commits[name, digest] for name in NAMES} == {"east": 5, "north": 4, "west": 4}
    commits = [e.commit for e in world.bench("east").history if digest in {e.commit.study, e.digest}]
    carried_to_two = 2 * sum(len(commit.raw) for commit in commits)
    assert carried_to_two <= world.traffic.bytes_of[digest] < carried_to_two + 10_000


class Heavy(Logistic):
    """Logistic regression with a ballast that every training changes by its seed."""

    BYTES = 400_000

    def initial(self, seed: int) -> Initial:
        initial = super().initial(seed)
        return replace(initial, weights={**initial.weights, "ballast": np.zeros(self.BYTES // 8)})

    def train(self, weights: Weights, cases: Table, *, budget: int, seed: int, progress: float) -> Trained:
        light = {name: values for name, values in weights.items() if name != "ballast"}
        trained = super().train(light, cases, budget=budget, seed=seed, progress=progress)
        return replace(trained, weights={**trained.weights, "ballast": weights["ballast"] + seed % 1000})

    def predict(self, weights: Weights, cases: Table) -> Predictions:
        return super().predict({name: values for name, values in weights.items() if name != "ballast"}, cases)


def test_models_that_two_studies_share_are_charged_to_the_one_that_needs_them() -> None:
    """The first steps of all studies are the same bytes; whoever works alone needs none of another site."""
    of = scenario("local", "fedavg")
    world = World(of, cases_of(), learner_of=lambda task: Heavy(**task.parameters), strategies=BUILT_IN)  # type: ignore[arg-type]
    world.run()
    trees = {
        title: {e.commit.tree for e in world.bench("east").history if e.commit.study == study.digest}
        for title, study in world.studies.items()
    }
    assert len((trees["local"] & trees["fedavg"]) - {None}) == len(NAMES)
    moved = {title: world.traffic.bytes_of[study.digest] for title, study in world.studies.items()}
    first_model_to_two = 2 * Heavy.BYTES
    assert moved["local"] < first_model_to_two + 100_000
    assert moved["fedavg"] > 3 * (2 + 2) * Heavy.BYTES


def test_sites_with_one_class_or_one_case_take_part() -> None:
    cases = cases_of()
    one = Table(x=np.ones((1, 4)), y=np.ones(1, dtype=np.int8))
    empty = Table(x=np.ones((0, 4)), y=np.ones(0, dtype=np.int8))
    cases["north"] = SiteCases(training=one, held_back=empty)
    world = world_of(scenario("latest-of-each"), cases)
    world.run()
    assert finished(world) == all_of("latest-of-each")


def test_a_wait_until_a_moment_is_looked_at_again() -> None:
    def patient(view: Any, me: str) -> Action:
        if view.now_s < 50:
            return Wait(why="the moment", until_s=50.0)
        return Finished(model=view.start.digest)

    of = scenario("patient")
    world = World(of, cases_of(), learner_of=learner_of, strategies={("patient", 1): patient})
    world.run()
    assert finished(world) == all_of("patient")
    assert world.clock.now_s() == pytest.approx(50.1, abs=2)


@pytest.mark.parametrize("server", ["east", "north"])
def test_a_round_goes_on_at_its_deadline_without_a_site_that_is_down(server: str) -> None:
    terms: dict[str, JSON] = {"quorum": 2, "deadline_s": 20, "server": server}
    study = SimulatedStudy(title="rounds", strategy=Named("fedavg", 1, terms), steps=3, updates=5)
    world = world_of(scenario(studies=(study,), faults=(Crash(site="west", at_s=1.1, for_s=300.0),)))
    world.run()
    assert finished(world) == all_of("rounds")
    merged_s = [e.commit.created for e in world.bench("west").history if e.commit.recipe.name == "merge"]
    assert merged_s[0] < "2000-01-01T00:00:30Z"
    assert merged_s[-1] < "2000-01-01T00:02:00Z"
