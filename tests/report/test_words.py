"""The answer claims what intervals support, and nothing more."""

from __future__ import annotations

import pytest

from imagiq.report import Way
from imagiq.report.words import answer, byte_count, duration, elsewhere, signed, where_it_does_not_pay
from tests.report.reports import by_hand, score

BETTER, WORSE, ALIKE = (0.02, 0.05, 0.08), (-0.09, -0.06, -0.01), (-0.01, 0.02, 0.05)


def test_what_is_beyond_chance_is_said_to_be_better() -> None:
    report = by_hand(
        score("alone", "mean", 0.7), score("fedavg", "mean", 0.75, BETTER), score("gossip", "mean", 0.72, ALIKE)
    )
    assert answer(report) == "By mean Dice, fedavg (+0.050) is better than each site going alone."


def test_what_may_be_chance_is_not() -> None:
    report = by_hand(score("alone", "mean", 0.7), score("fedavg", "mean", 0.72, ALIKE))
    assert "no way of working together is better than each site going alone beyond chance" in answer(report)


def test_an_interval_that_touches_nothing_gained_is_chance() -> None:
    report = by_hand(score("alone", "mean", 0.7), score("fedavg", "mean", 0.72, (0.0, 0.02, 0.04)))
    assert "no way of working together is better" in answer(report)


def test_harm_is_said() -> None:
    both = [score("alone", "mean", 0.7), score("fedavg", "mean", 0.64, WORSE), score("gossip", "mean", 0.75, BETTER)]
    assert "gossip (+0.050) is better than each site going alone; fedavg (\N{MINUS SIGN}0.060) is worse" in answer(
        by_hand(*both)
    )
    assert "working together was worse" in answer(by_hand(*both[:2]))


def test_without_going_alone_nothing_is_said_of_gains() -> None:
    report = by_hand(score("fedavg", "mean", 0.75), ways=(Way(title="fedavg", strategy="fedavg"),))
    assert answer(report).endswith("by fedavg; nothing here shows what a site gains.")


def test_pooling_is_no_way_of_working_together() -> None:
    pooled = Way(title="pooled", strategy="pooled", role="pooled")
    report = by_hand(score("alone", "mean", 0.7), score("pooled", "mean", 0.9, BETTER))
    report = by_hand(*report.scores, ways=(report.ways[0], pooled))
    assert "pooled" not in answer(report)


def test_for_whom_it_does_not_pay() -> None:
    report = by_hand(
        score("fedavg", "own", 0.7, BETTER, site="east", at="east"),
        score("fedavg", "own", 0.7, ALIKE, site="west", at="west"),
    )
    assert where_it_does_not_pay(report) == (
        "On their own patients, some way of working together pays for East; for West no gain or loss can be told from "
        "chance."
    )


def test_what_models_are_worth_elsewhere() -> None:
    report = by_hand(score("alone", "across", 0.6), score("fedavg", "across", 0.72, BETTER))
    assert elsewhere(report) == (
        "Tried on the patients of every site, models trained alone reach 0.600; fedavg (+0.050) is better beyond chance."
    )
    assert elsewhere(by_hand()) == ""


@pytest.mark.parametrize(
    ("number", "said"), [(0.0, "0 s"), (59.0, "59 s"), (344.0, "5.7 min"), (7200.0, "2 h"), (1e6, "12 days")]
)
def test_durations(number: float, said: str) -> None:
    assert duration(number) == said


def test_numbers() -> None:
    assert byte_count(1_370_000) == "1.37 MB"
    assert signed(-0.0001) == "0.000"
    assert signed(-0.012) == "\N{MINUS SIGN}0.012"
