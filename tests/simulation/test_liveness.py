"""Rounds without a server among real sites, under a virtual clock, while sites crash and the federation is cut in two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from imagiq.federation import Finished, Merge, Named, Step, StudyHistory
from imagiq.objects import JSON, Digest
from imagiq.simulation import Crash, Happening, Network, Partition, Scenario, SimulatedStudy, World
from imagiq.strategies.rounds import Round, chosen_round
from tests.simulation.wards import cases_of, histories, scenario, world_of

NAMES = ("east", "mid", "north", "south", "west")
BAD_LINES = Network(delay_s=0.2, jitter_s=1.0, loss=0.3, cut=0.2, repeat=0.3, retry_s=1.0)
Fault = Crash | Partition


def of(strategy: str, parameters: dict[str, JSON] | None = None, *, names: Sequence[str] = NAMES) -> Scenario:
    study = SimulatedStudy(title="one", strategy=Named(strategy, 1, parameters or {}), steps=4, updates=5)
    return scenario(studies=(study,), names=tuple(names))


def swarm(*faults: Fault, names: Sequence[str] = NAMES, seed: int = 1, told: list[Happening] | None = None) -> World:
    """Run a swarm whose sites lose patience after 20 seconds; a training takes at most half of one."""
    terms = of("swarm", {"patience_s": 20, "deadline_s": 5}, names=names)
    world = world_of(replace(terms, faults=faults, seed=seed), cases_of(tuple(names)))
    world.watch = (lambda _: None) if told is None else told.append
    world.run()
    return world


def study_of(world: World, at: str) -> StudyHistory:
    return world.bench(at).studies[world.studies["one"].digest]


def ends(world: World, *names: str) -> list[Digest]:
    """Return with which trees sites have finished; a site that has not fails the test."""
    actions = [world.site(name).actions()[world.studies["one"].digest] for name in names or world.names]
    assert all(isinstance(action, Finished) for action in actions)
    history = world.bench(world.names[0] if not names else names[0]).history
    return [Digest(str(history[one.model].commit.tree)) for one in actions if isinstance(one, Finished)]


def chosen(world: World, at: str) -> list[Round]:
    """Return the rounds that a site has chosen, the first one first."""
    found, view = [], world.site(at).view(study_of(world, at))
    last: Round | None = chosen_round(view, len(view.study.sites) // 2 + 1)
    while last is not None and last.before is not None:
        found.append(last)
        last = last.before
    return found[::-1]


def turn_of(steps: StudyHistory, step: Step) -> tuple[str, str]:
    """Return a training's author, and the round from which it began before it trained on by itself."""
    base = steps.get(Digest(str(step.base)))
    while base is not None and base.kind == "train" and base.site == step.site:
        step, base = base, steps.get(Digest(str(base.base)))
    return step.site, str(step.base)


def check_chain(world: World, at: str) -> Counter[tuple[str, str]]:
    """Check that every round stands on a majority, and return how often each turn was merged."""
    steps, merged = study_of(world, at), Counter[tuple[str, str]]()
    for one in chosen(world, at):
        assert one.before is not None
        inputs = [steps.get(digest) for digest in one.model.inputs]
        turns = [turn_of(steps, step) for step in inputs if step is not None]
        on_time = {site for site, began in turns if began == one.before.model.digest}
        assert len(on_time) > len(steps.study.sites) / 2, "a round stands on less than a majority"
        merged.update(turns)
    assert set(merged.values()) <= {1}, "a contribution counts twice"
    return merged


def made_s(step: Step) -> float:
    """Return when a step was made, in seconds since the simulation began."""
    hours, minutes, seconds = step.commit.created[11:].rstrip("Z").split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def test_a_leader_that_is_down_is_replaced_and_catches_up() -> None:
    untroubled = chosen(swarm(), "east")
    leader = untroubled[1].model.site
    at_s = made_s(untroubled[0].model) + 0.1
    world = swarm(Crash(site=leader, at_s=at_s, for_s=300.0))
    assert len(set(ends(world))) == 1
    second = chosen(world, "east")[1].model
    assert second.site != leader
    assert made_s(second) < at_s + 2 * 20 + 10
    check_chain(world, leader)


def test_a_leader_that_never_comes_back_is_not_missed() -> None:
    leader = chosen(swarm(), "east")[0].model.site
    world = swarm(Crash(site=leader, at_s=0.1, for_s=1e12))
    others = [name for name in NAMES if name != leader]
    assert len(set(ends(world, *others))) == 1
    assert [one.number for one in chosen(world, others[0])] == [1, 2, 3, 4]


def test_only_the_side_with_a_majority_goes_on_with_rounds_and_what_the_other_made_is_merged_once() -> None:
    world = swarm(Partition(sites=frozenset({"east", "mid"}), at_s=1.2, for_s=60.0))
    assert len(set(ends(world))) == 1
    assert len({tuple(known) for known in histories(world).values()}) == 1
    steps = study_of(world, "east")
    parted = [step for step in steps.merges() if 1.5 < made_s(step) < 61]
    assert parted
    assert {step.site for step in parted} <= {"north", "south", "west"}
    alone = {
        turn_of(steps, step) for site in ("east", "mid") for step in steps.trainings(site) if 21 < made_s(step) < 61
    }
    assert {site for site, _ in alone} == {"east", "mid"}, "below the quorum a site goes on by itself"
    merged = check_chain(world, "west")
    assert any(merged[turn] for turn in alone), "what was made alone is lost"


def test_where_no_side_has_a_majority_all_go_on_alone_and_meet_in_one_chain() -> None:
    names = NAMES[:4]
    world = swarm(Partition(sites=frozenset(names[:2]), at_s=1.05, for_s=120.0), names=names)
    steps = study_of(world, "east")
    assert not [step for step in steps.merges() if made_s(step) < 121]
    for name in names:
        assert len([step for step in steps.trainings(name) if made_s(step) < 121]) > 1
    assert len(set(ends(world))) == 1
    assert chosen(world, "east")
    check_chain(world, "north")


@pytest.mark.parametrize("seed", range(4))
def test_two_leaders_heal_to_one_chain_in_which_nothing_counts_twice(seed: int) -> None:
    """A leader is cut off while it merges: it goes on from its merge, and the others from that of the next leader."""
    told: list[Happening] = []
    swarm(seed=seed, told=told)
    begun = next(one for one in told if one.what == "began" and isinstance(one.work, Merge))
    world = swarm(Partition(sites=frozenset({begun.site}), at_s=begun.at_s + 0.01, for_s=45.0), seed=seed)
    assert len(set(ends(world))) == 1
    steps, start = study_of(world, "east"), world.studies["one"].digest
    firsts = [step for step in steps.merges() if step.base == start]
    assert len({step.site for step in firsts}) == 2
    assert all(list(steps.trained_from(step.digest)) for step in firsts), "only one of them was believed in"
    merged = check_chain(world, "east")
    beaten = next(step.digest for step in firsts if step is not chosen(world, "east")[0].model)
    late = {turn_of(steps, step) for step in steps.trained_from(beaten)}
    assert {merged[turn] for turn in late} == {1}, "what was trained from the merge that was not chosen is lost"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("strategy", ["swarm", "one-shot", "gossip"])
def test_whatever_goes_wrong_all_end_with_one_model_and_replay_to_the_same_bytes(strategy: str, seed: int) -> None:
    sites = [NAMES[(seed + place) % 5] for place in range(3)]
    faults = (
        Crash(site=sites[0], at_s=0.5 + seed, for_s=30.0),
        Partition(sites=frozenset(sites[1:]), at_s=1.5 * seed, for_s=40.0),
        Partition(sites=frozenset(sites[:2]), at_s=50.0, for_s=25.0),
        Crash(site=sites[2], at_s=60.0, for_s=10.0),
    )
    bad = replace(of(strategy, {"patience_s": 10}), faults=faults, seed=seed, network=BAD_LINES)
    world = world_of(bad, cases_of(NAMES))
    world.run()
    assert len(set(ends(world))) == 1
    assert len({tuple(known) for known in histories(world).values()}) == 1
    again = world_of(bad, cases_of(NAMES))
    again.replay(world.journal)
    assert histories(again) == histories(world)


@pytest.mark.parametrize("strategy", ["fedavg", "swarm", "cyclic", "incremental", "one-shot"])
def test_lock_step_gives_the_same_trees_whatever_the_order_of_arrival(strategy: str) -> None:
    """The same study over other lines: commits come late, cut, twice and in other orders; the models stay, to the bit."""
    found = []
    for network in (Network(), Network(delay_s=0.0, jitter_s=3.0), Network(neighbours=1), BAD_LINES):
        world = world_of(replace(of(strategy), network=network), cases_of(NAMES))
        world.run()
        (end,) = set(ends(world))
        steps = study_of(world, "west")
        turns = [
            (one.site, one.commit.recipe.parameters["step"], one.commit.tree)
            for name in NAMES
            for one in steps.trainings(name)
        ]
        found.append((end, sorted(turns, key=str)))
    assert all(one == found[0] for one in found[1:])
