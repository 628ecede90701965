"""A model of a study has the study's schema, whole: equal tensors are not enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from imagiq.objects import Parent, Recipe
from tests.bench.town import Town


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"labels": {"healthy": 1, "ill": 0}}, "the labels 'healthy': "),
        ({"architecture": {"name": "plain", "depth": 3}}, "the architecture 'depth': none and 3"),
        ({"channels": ("CT",)}, "and CT"),
        ({"preprocessing": {"window": [0, 100]}}, "the preprocessing 'window': none and [0, 100]"),
    ],
    ids=["labels", "architecture", "channels", "preprocessing"],
)
def test_a_model_with_equal_tensors_and_another_meaning_is_set_aside(changed: dict[str, Any], words: str) -> None:
    town = Town()
    study = town.study("b")
    other = replace(town.schema, **changed, raw=b"")
    assert other.groups == town.schema.groups
    step = town.benches["b"].commit(
        Recipe("train", 1, {"step": 1, "updates": 1, "progress": "0"}, 7),
        parents=[Parent("base", study.digest)],
        study=study.digest,
        tree=town.model("b", 1.0, other),
        cases=1,
    )
    town.give("b", "a", study)
    town.benches["a"].admit([step.commit.raw], "b")
    assert not town.fetch("b", "a", step)
    reason = town.benches["a"].models.set_aside[step.digest]
    assert reason.startswith("gate-schema")
    assert words in reason
