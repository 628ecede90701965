"""What a charter permits; what cannot be read permits nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imagiq.errors import Misuse, Refused
from imagiq.federation import Named, Study, check_permitted, study_recipe
from imagiq.objects import digest_of
from tests.bench.town import founding_charter

STUDY = Study(
    digest=digest_of(b"study"),
    title="study",
    strategy=Named("local"),
    task=Named("plain"),
    steps=1,
    updates=1,
    seed=1,
    sites=("a", "b"),
)


def permitted(rules: dict[str, object]) -> None:
    charter = founding_charter(("a", "b"))
    check_permitted(STUDY, replace(charter, rules=rules, raw=b""))  # type: ignore[arg-type]


@pytest.mark.parametrize("rules", [{}, {"strategies": ["local", "fedavg"]}, {"tasks": ["plain"]}])
def test_what_is_named_or_not_limited_is_permitted(rules: dict[str, object]) -> None:
    permitted(rules)


@pytest.mark.parametrize("what", ["strategies", "tasks"])
@pytest.mark.parametrize("allowed", [[], ["fedavg"]])
def test_what_is_not_named_is_refused(what: str, allowed: list[str]) -> None:
    with pytest.raises(Refused) as caught:
        permitted({what: allowed})
    assert caught.value.code == "study-not-permitted"


@pytest.mark.parametrize("what", ["strategies", "tasks"])
@pytest.mark.parametrize(
    "allowed", [5, "localized plainly", {"local": 1, "plain": 1}, ["local", "plain", 5], None, True]
)
def test_a_rule_that_is_no_list_of_names_permits_nothing(what: str, allowed: object) -> None:
    with pytest.raises(Refused) as caught:
        permitted({what: allowed})
    assert caught.value.code == "charter-rules"


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"updates": 0}, {"sites": ()}, {"sites": tuple(map(str, range(1001)))}]
)
def test_a_study_without_sites_or_budget_is_misuse(wrong: dict[str, object]) -> None:
    terms = {"steps": 1, "updates": 1, "sites": ("a",)} | wrong
    with pytest.raises(Misuse):
        study_recipe(title="t", strategy=Named("local"), task=Named("plain"), seed=1, **terms)  # type: ignore[arg-type]
