from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.errors import Misuse
from imagiq.federation import Named
from imagiq.simulation import Crash, Network, Partition, SimulatedSite, SimulatedStudy
from imagiq.simulation.draws import Draws
from imagiq.simulation.network import Lines
from tests.simulation.wards import scenario


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SimulatedSite(name="a", speed=-1), "'speed' is -1. It must be above 0."),
        (lambda: SimulatedSite(name="a", speed=float("nan")), "'speed' is nan"),
        (lambda: SimulatedSite(name="a/b"), "cannot be called 'a/b'"),
        (lambda: SimulatedSite(name=".."), "cannot be called '..'"),
        (lambda: SimulatedStudy(title="t", strategy=Named("local"), steps=0, updates=1), "'steps' is 0"),
        (lambda: Network(loss=1.0), "'loss' is 1.0. It must be a probability from 0 to below 1."),
        (lambda: Network(delay_s=-1), "'delay_s' is -1. It must be 0 or more."),
        (lambda: Network(poll_s=-1), "'poll_s' is -1. It must be 0 or more."),
        (lambda: Network(neighbours=0), "'neighbours' is 0"),
        (lambda: Crash(site="a", at_s=-1, for_s=1), "'at_s' is -1"),
        (lambda: Partition(sites=frozenset("a"), at_s=1, for_s=0), "'for_s' is 0"),
        (lambda: scenario("local", seed=-1), "'seed' is -1"),
        (lambda: scenario("local", sites=()), "has no site"),
        (lambda: scenario(studies=()), "has no study"),
        (lambda: scenario("local", "local"), "Two times a study is called 'local'"),
        (lambda: scenario(faults=(Crash(site="eats", at_s=1, for_s=1),)), "Did you mean 'east'?"),
        (
            lambda: scenario(faults=(Partition(sites=frozenset({"zzz"}), at_s=1, for_s=1),)),
            "sites are east, north, west",
        ),
    ],
)
def test_what_cannot_be_is_refused(make: Any, said: str) -> None:
    with pytest.raises(Misuse) as refused:
        make()
    assert said in str(refused.value)


def test_draws_follow_from_seed_and_purpose_alone() -> None:
    assert [Draws(1, "a").below(100) for _ in range(3)] == [38, 38, 38]
    one, other = Draws(1, "a"), Draws(1, "b")
    assert [one.below(10**9) for _ in range(5)] != [other.below(10**9) for _ in range(5)]
    assert Draws(1, "a").some(range(5), 9) == Draws(1, "a").shuffled(range(5))
    assert sorted(one.shuffled(range(20))) == list(range(20))
    assert len(set(one.some(range(20), 6))) == 6


def test_draws_are_even() -> None:
    draws = Draws(7, "dice")
    counts = Counter(draws.below(6) for _ in range(6000))
    assert all(850 < counts[face] < 1150 for face in range(6))
    assert 0.48 < sum(draws.part() for _ in range(4000)) / 4000 < 0.52


def test_news_reaches_everybody_however_few_are_told() -> None:
    names = tuple(f"ward-{number}" for number in range(30))
    lines = Lines(scenario(names=names, network=Network(neighbours=2)))
    reached, new = {names[0]}, {names[0]}
    while new:
        new = {told for name in new for told in lines.neighbours(name)} - reached
        reached |= new
    assert reached == set(names)
    assert all(len(lines.neighbours(name)) == 2 and name not in lines.neighbours(name) for name in names)


@given(st.floats(0.0, 1e6), st.sampled_from(["east", "north", "west"]))
def test_who_looks_for_news_only_now_and_then_looks_at_its_own_moments(news_s: float, name: str) -> None:
    lines = Lines(scenario("local", network=Network(poll_s=5.0)))
    waits_s = lines.looks_after_s(name, news_s)
    assert 0.0 <= waits_s <= 5.0
    moments = {"east": 0.0, "north": 5 / 3, "west": 10 / 3}
    turns = (news_s + waits_s - moments[name]) / 5.0
    assert turns == pytest.approx(round(turns), abs=1e-6)


def test_who_is_told_at_once_waits_for_nothing() -> None:
    assert Lines(scenario("local")).looks_after_s("east", 1.3) == 0.0
