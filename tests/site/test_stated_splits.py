"""A study may state how patients are parted: then cases that were parted otherwise are trained on by nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from imagiq.errors import ContractBroken
from imagiq.federation import Named
from imagiq.learning import find
from imagiq.learning.logistic import Logistic
from imagiq.report.recipes import recipe_of
from imagiq.simulation import SiteCases, simulate
from imagiq.simulation.world import World
from imagiq.site.sources import parted_as_stated
from imagiq.strategies import BUILT_IN
from tests.simulation.wards import TASK, cases_of, scenario

RULE: dict[str, Any] = {"held_back": 0.25, "judge": "test", "seed": 7}


def task(**split: Any) -> Named:
    return Named("logistic", 1, {**TASK.parameters, "split": split})


def parted(**changes: Any) -> dict[str, SiteCases]:
    return {name: replace(cases, split={**RULE, **changes}) for name, cases in cases_of().items()}


@pytest.mark.parametrize("stated", [{}, {"held_back": "0.25"}, {"held_back": "0.250", "seed": 7}, {"judge": "test"}])
def test_cases_that_were_parted_as_a_study_states_are_taken(stated: dict[str, Any]) -> None:
    cases = parted()["east"]
    assert parted_as_stated(cases, task(**stated)) is cases
    assert parted_as_stated(cases, TASK) is cases


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"held_back": "0.3"}, "held_back = 0.3; here it is 0.25"),
        ({"held_back": "much"}, "held_back = much"),
        ({"judge": "validation"}, "here it is test"),
        ({"fold": 4}, "fold = 4; the cases here do not tell theirs"),
    ],
)
def test_cases_that_were_parted_otherwise_are_refused(stated: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractBroken, match=said) as error:
        parted_as_stated(parted()["east"], task(**stated))
    assert error.value.code == "split-differs"


def test_a_learner_is_not_told_of_the_split() -> None:
    assert isinstance(find("logistic", {**TASK.parameters, "split": RULE}), Logistic)


def test_a_simulation_of_other_splits_is_refused_and_one_of_the_same_states_it_in_its_recipe() -> None:
    other = scenario("local", task=task(seed=8))
    with pytest.raises(ContractBroken, match=r"Site 'east'.*seed = 8; here it is 7"):
        simulate(other, cases=parted())
    outcome = simulate(scenario("local", task=task(held_back="0.25")), cases=parted())
    (way,) = outcome.ways
    assert way.terms is not None
    assert "split = { held_back = 0.25 }" in recipe_of(way.terms)
    assert all(site.finished for site in way.sites)


def test_a_site_that_parts_its_cases_otherwise_trains_nothing_and_the_others_go_on() -> None:
    cases = parted()
    cases["west"] = replace(cases["west"], split={**RULE, "seed": 1})
    world = World(
        scenario("local", task=task(seed=7), until_s=60.0),
        cases,
        learner_of=lambda of: find(of.name, of.parameters),
        strategies=BUILT_IN,
    )
    world.run()
    bench = world.bench("east")
    trained = {bench.standing.name_of(one) for one in bench.history if one.commit.recipe.name == "train"}
    told = {one.commit.recipe.parameters["code"] for one in bench.history if one.commit.recipe.name == "trouble"}
    assert trained == {"east", "north"}
    assert told == {"split-differs"}
