"""Learning rates follow the study's progress, never a site's own clock."""

from __future__ import annotations

import pytest

from imagiq.federation import Merge, Train
from imagiq.testing.execution import Execution


def test_who_merges_what_others_made_is_as_far_as_they_are() -> None:
    study = Execution("latest-of-each", sites=2, steps=4)
    for _ in range(3):
        study.act("B")
    while study.tell("A"):
        pass
    assert isinstance(study.act("A"), Merge)
    trained = study.act("A")
    assert isinstance(trained, Train)
    assert (trained.step, trained.progress) == (1, 3 / 8), "the first step of A, and the fourth of eight in the study"


@pytest.mark.parametrize("strategy", ["cyclic", "latest-of-each"])
def test_progress_counts_all_sites_on_which_a_model_stands(strategy: str) -> None:
    study = Execution(strategy, sites=2, steps=2)
    first = study.act("A")
    study.tell_all()
    second = study.act("B")
    if isinstance(second, Merge):
        second = study.act("B")
    assert isinstance(first, Train)
    assert isinstance(second, Train)
    assert (first.progress, second.progress) == (0.0, 0.25)
