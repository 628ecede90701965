"""A segmentation in a simulation: Dice everywhere, models tried elsewhere, and what happened meanwhile."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from itertools import product

import numpy as np
import pytest
from rich.console import Console

from imagiq.cli.outcome import show_outcome
from imagiq.learning import Overlaps, Weights
from imagiq.scoring import Interval
from imagiq.simulation import Outcome, Way, World, report_of, simulate
from imagiq.site import parse_scores
from tests.simulation.drawings import TASK, Keeps, Threshold, drawings, drawn_outcome, wards_that_draw
from tests.simulation.wards import NAMES, cases_of, into, scenario

WAYS = ("local", "fedavg", "latest-of-each")


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return drawn_outcome()


def value(interval: Interval | None) -> float:
    assert interval is not None
    assert interval.low <= interval.point <= interval.high
    return interval.point


def dice_by_hand(weights: Weights, name: str) -> float:
    """The mean over patients of the mean over the regions that are there."""
    cases = wards_that_draw()[name].held_back
    drawn, found = Threshold().draw(weights, cases.images), []
    for patient in dict.fromkeys(cases.patients.tolist()):
        mine, parts = cases.patients == patient, []
        for region in (0, 1):
            one, two = cases.truth[mine] > region, drawn[mine] > region
            if one.any() or two.any():
                parts.append(2 * (one & two).sum() / (one.sum() + two.sum()))
        found += [np.mean(parts)] if parts else []
    return float(np.mean(found))


def test_the_headline_of_a_segmentation_is_dice(outcome: Outcome) -> None:
    assert [measure.name for measure in outcome.measures] == ["dice", "dice whole", "dice core"]
    assert outcome.headline == "dice"
    assert [way.share_of_pooled.keys() for way in outcome.lines] == [{"dice", "dice whole", "dice core"}] * 4
    json.dumps(outcome.to_json(), allow_nan=False)


def test_the_mean_over_patients_is_the_headline_wherever_a_model_was_tried(outcome: Outcome) -> None:
    for result in outcome.way("fedavg").sites:
        assert result.patients.keys() == {*NAMES, "beyond"}
        for place, each in result.patients.items():
            there = result.unseen if place == "beyond" else result.elsewhere
            assert np.nanmean(each) == pytest.approx(value(there[place]["dice"]))


def test_dice_is_that_of_the_models_that_sites_end_with() -> None:
    seen: list[World] = []
    outcome = simulate(
        scenario(*WAYS, task=TASK),
        cases=wards_that_draw(),
        learners={"threshold": Threshold},
        progress=into(seen),
    )
    from imagiq.simulation.judging import weights_at

    for result in (result for way in outcome.ways for result in way.sites):
        assert result.model is not None
        weights = weights_at(seen[0].bench(result.site), result.model)
        assert weights is not None
        assert value(result.score["dice"]) == pytest.approx(dice_by_hand(weights, result.site))
        for place in NAMES:
            assert value(result.elsewhere[place]["dice"]) == pytest.approx(dice_by_hand(weights, place))
        assert value(result.unseen["beyond"]["dice"]) == pytest.approx(dice_by_hand(weights, "beyond"))
        assert result.score == result.elsewhere[result.site]


def test_across_sites_is_the_mean_over_all_pairs(outcome: Outcome) -> None:
    alone = outcome.way("local")
    for way in outcome.lines:
        results = {result.site: result for result in way.sites}
        pairs = [value(results[site].elsewhere[place]["dice"]) for site, place in product(NAMES, NAMES)]
        assert way.across is not None
        assert value(way.across.mean["dice"]) == pytest.approx(np.mean(pairs))
        assert way.unseen is not None
        beyond = [value(result.unseen["beyond"]["dice"]) for result in way.sites]
        assert value(way.unseen.mean["dice"]) == pytest.approx(np.mean(beyond))
        for mine, theirs in ((way.across, alone.across), (way.unseen, alone.unseen)):
            assert mine.gain is not None
            assert theirs is not None
            gained = value(mine.mean["dice"]) - value(theirs.mean["dice"])
            assert value(mine.gain["dice"]) == pytest.approx(gained)


def test_an_unseen_site_takes_no_part(outcome: Outcome) -> None:
    assert [hospital.name for hospital in outcome.hospitals] == list(NAMES)
    assert [(hospital.name, hospital.training, hospital.held_back) for hospital in outcome.unseen] == [("beyond", 0, 7)]
    assert set(outcome.histories) == set(NAMES)
    assert all({result.site for result in way.sites} == set(NAMES) for way in outcome.lines)


def test_working_together_helps_where_scanners_differ(outcome: Outcome) -> None:
    fedavg: Way = outcome.way("fedavg")
    assert fedavg.across is not None
    assert fedavg.across.gain is not None
    assert value(fedavg.across.gain["dice"]) != 0.0
    assert any("By Dice (mean of all)" in sentence for sentence in outcome.findings)


def test_each_patients_counts_stay_in_the_sidecar() -> None:
    seen: list[World] = []
    simulate(
        scenario("local", task=TASK),
        cases=wards_that_draw(),
        learners={"threshold": Threshold},
        progress=into(seen),
    )
    bench = seen[0].bench("east")
    (mine,) = [
        entry
        for entry in bench.history
        if entry.commit.recipe.name == "evaluate" and bench.standing.name_of(entry) == "east"
    ]
    assert set(mine.commit.metrics) == {"dice", "dice whole", "dice core"}
    assert mine.commit.cases == 5
    raw = bench.store.sidecar_read(mine.digest, "scores")
    assert raw is not None
    said = parse_scores(raw)
    assert isinstance(said, Overlaps)
    assert said.regions == ("whole", "core")
    assert said.true.shape == (5, 2)
    assert b"secret" not in raw


def test_the_course_holds_work_commits_and_checkpoints(outcome: Outcome) -> None:
    course = outcome.course
    assert len(course.made) == sum(way.commits for way in outcome.ways)
    for way in outcome.ways:
        for result in way.sites:
            worked = [w for w in course.worked if w.study == way.study and w.site == result.site]
            assert sum(w.to_s - w.from_s for w in worked) == pytest.approx(result.busy_s)
        points = [point for point in course.checkpoints if point.way == way.title]
        assert [point.at_s for point in points] == pytest.approx([way.ended_s * part / 6 for part in range(7)])
        assert points[-1].value == pytest.approx(value(way.mean["dice"]))
        assert sorted(point.nbytes for point in points) == [point.nbytes for point in points]
        assert points[-1].nbytes <= way.bytes_moved


def test_the_tables_show_dice_and_what_models_are_worth_elsewhere(outcome: Outcome) -> None:
    console = Console(width=100, record=True, file=StringIO(), highlight=False)
    show_outcome(console, outcome)
    printed = console.export_text()
    assert "Dice elsewhere" in printed
    assert "unseen: beyond" in printed
    assert "takes no part" in printed
    assert "of them positive" not in printed
    assert max(map(len, printed.splitlines())) <= 100


def test_without_an_unseen_site_models_are_shown_elsewhere_only_when_asked_for() -> None:
    outcome = simulate(scenario("local", "fedavg"), cases=cases_of())
    for across in (False, True):
        console = Console(width=100, record=True, file=StringIO(), highlight=False)
        show_outcome(console, outcome, across=across)
        assert ("AUC elsewhere" in console.export_text()) is across


def test_of_few_patients_nothing_is_claimed() -> None:
    cases = wards_that_draw()
    few = replace(cases["west"], held_back=drawings(3, 22))
    outcome = simulate(
        scenario("local", "fedavg", task=TASK),
        cases={**cases, "west": few},
        learners={"threshold": Threshold},
    )
    assert any("west holds back fewer than 5 patients" in sentence for sentence in outcome.findings)
    own = report_of(outcome).scores_of("own", "dice")
    assert own["fedavg", "west", "west"].low is None
    assert own["fedavg", "west", "west"].gain_low is None
    assert own["fedavg", "east", "east"].gain_low is not None


def test_models_a_part_of_which_stays_at_each_site_are_judged_with_it_and_not_drawn_without_it() -> None:
    outcome = simulate(scenario("local", "fedavg", task=TASK), cases=wards_that_draw(), learners={"threshold": Keeps})
    for way in outcome.ways:
        for result in way.sites:
            assert result.score["dice"] is not None
            assert result.score["dice"].point > 0.2, (way.title, result.site)
            beyond = result.unseen["beyond"]["dice"]
            assert beyond is not None
            assert beyond.point == 0.0  # nobody keeps anything there
    assert not outcome.pictures
    assert "stays at its site" in outcome.no_pictures
