"""Dice by patient and region, and several classes: the same as plain loops and as scikit-learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score  # type: ignore[import-untyped]

from imagiq.errors import Misuse
from imagiq.scoring import AUC, bootstrap, dice, marks_of_classes, marks_of_overlaps, patients_dice, resampled

REGIONS = ("whole tumour", "core", "rim")
RNG = np.random.default_rng(11)
TRUTH = RNG.integers(0, 4, (9, 40))
DRAWN = np.where(RNG.random((9, 40)) < 0.6, TRUTH, RNG.integers(0, 4, (9, 40)))
TRUTH[2], DRAWN[2] = 0, 0
TRUTH[5] = np.where(TRUTH[5] == 3, 0, TRUTH[5])
DRAWN[5] = np.where(DRAWN[5] == 3, 0, DRAWN[5])
TRUTH[7] = np.where(TRUTH[7] == 3, 1, TRUTH[7])
DRAWN[7, 0] = 3


def counts(truth: Any, drawn: Any) -> tuple[Any, Any, Any]:
    """The regions are nested: everything, from label 2 on, and label 3."""
    nested = [(truth >= least, drawn >= least) for least in (1, 2, 3)]
    return (
        np.array([one.sum(axis=1) for one, _ in nested]).T,
        np.array([two.sum(axis=1) for _, two in nested]).T,
        np.array([(one & two).sum(axis=1) for one, two in nested]).T,
    )


def by_hand(truth: Any, drawn: Any) -> tuple[float | None, list[float | None]]:
    """One patient's Dice and those of the regions, by scikit-learn's F1, which is the same number."""
    found: list[float | None] = []
    for least in (1, 2, 3):
        one, two = truth >= least, drawn >= least
        found.append(float(f1_score(one, two)) if one.any() or two.any() else None)
    there = [each for each in found if each is not None]
    return (sum(there) / len(there) if there else None), found


def test_dice_is_that_of_scikit_learn_and_undefined_where_both_are_empty() -> None:
    found = dice(*counts(TRUTH, DRAWN))
    whole = patients_dice(found)
    for patient in range(len(TRUTH)):
        mean, parts = by_hand(TRUTH[patient], DRAWN[patient])
        assert whole[patient] == (pytest.approx(mean) if mean is not None else pytest.approx(math.nan, nan_ok=True))
        for place, part in enumerate(parts):
            assert math.isnan(found[patient, place]) if part is None else found[patient, place] == pytest.approx(part)
    assert math.isnan(whole[2])
    assert math.isnan(found[5, 2])
    assert found[7, 2] == 0.0, "drawn where there is nothing scores 0"


def test_the_interval_is_that_of_drawing_patients_by_hand() -> None:
    marks = marks_of_overlaps(REGIONS, *counts(TRUTH, DRAWN))
    assert [measure.name for measure in marks.measures] == ["dice", *(f"dice {region}" for region in REGIONS)]
    found = resampled(marks, seed=3)
    rng, drawn_dice, drawn_rim = np.random.Generator(np.random.PCG64(3)), [], []
    hands = [by_hand(TRUTH[patient], DRAWN[patient]) for patient in range(9)]
    for _ in range(2000):
        patients = rng.integers(9, size=9)
        means = [hands[p][0] for p in patients if hands[p][0] is not None]
        rims = [hands[p][1][2] for p in patients if hands[p][1][2] is not None]
        drawn_dice.append(np.mean(means) if means else np.nan)
        drawn_rim.append(np.mean(rims) if rims else np.nan)
    assert found["dice"].values == pytest.approx(np.array(drawn_dice), abs=1e-12, nan_ok=True)
    assert found["dice rim"].values == pytest.approx(np.array(drawn_rim), abs=1e-12, nan_ok=True)
    interval = found["dice"].interval()
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx(tuple(np.percentile(drawn_dice, [2.5, 97.5])))


def test_a_difference_is_paired_by_patient() -> None:
    one = resampled(marks_of_overlaps(REGIONS, *counts(TRUTH, DRAWN)), 4)["dice"]
    worse = DRAWN.copy()
    worse[:, :3] = 0
    other = resampled(marks_of_overlaps(REGIONS, *counts(TRUTH, worse)), 4)["dice"]
    paired, alone = one.minus(other).interval(), one.interval()
    assert paired is not None
    assert alone is not None
    assert paired.high - paired.low < alone.high - alone.low
    nothing = one.minus(one).interval()
    assert nothing is not None
    assert (nothing.low, nothing.point, nothing.high) == (0.0, 0.0, 0.0)


def test_a_model_of_one_region_has_one_measure() -> None:
    marks = marks_of_overlaps(("tumour",), *(each[:, :1] for each in counts(TRUTH, DRAWN)))
    assert [measure.name for measure in marks.measures] == ["dice"] == list(marks.of_resamples)


def test_when_no_patient_has_anything_dice_is_not_defined() -> None:
    nothing = np.zeros((3, 2), int)
    marks = marks_of_overlaps(("a", "b"), nothing, nothing, nothing)
    assert all(math.isnan(point) for point in marks.points().values())
    assert all(each.interval() is None for each in resampled(marks, 1).values())


def test_several_classes_equal_scikit_learn() -> None:
    truth = RNG.integers(0, 3, 80)
    score = RNG.dirichlet((1, 1, 1), 80) + 0.4 * np.eye(3)[truth]
    score /= score.sum(axis=1, keepdims=True)
    marks = marks_of_classes(truth, score)
    assert marks.points()["accuracy"] == pytest.approx(accuracy_score(truth, score.argmax(axis=1)))
    assert marks.points()["auc"] == pytest.approx(roc_auc_score(truth, score, multi_class="ovr", average="macro"))
    assert marks.classes == tuple(np.bincount(truth))
    assert not marks.silent


def test_two_classes_by_column_are_the_same_as_one_score() -> None:
    truth, score = RNG.integers(0, 2, 60), RNG.random(60)
    one, two = marks_of_classes(truth, score), marks_of_classes(truth, np.stack([1 - score, score], axis=1))
    assert one.points() == pytest.approx(two.points())
    interval = resampled(one, 8)["auc"].interval()
    assert interval == bootstrap(AUC, truth, score, seed=8)


def test_what_rests_on_few_cases_is_silent() -> None:
    assert marks_of_classes([0] + [1] * 9, [0.5] * 10).silent == {"auc": "1 negative case"}
    assert marks_of_classes([0, 0, 1, 2], np.full((4, 3), 1 / 3)).silent == {"auc": "1 case of a class"}
    assert marks_of_classes([1, 1], np.full((2, 2), 0.5)).points()["accuracy"] == 0.0
    assert math.isnan(marks_of_classes([1, 1], np.full((2, 2), 0.5)).points()["auc"])


@pytest.mark.parametrize(
    ("true", "drawn", "common", "code"),
    [
        ([[1, 2]], [[1, 2]], [[1]], "score-shape"),
        ([1, 2], [1, 2], [1, 2], "score-shape"),
        ([[3, 2]], [[3, 2]], [[4, 2]], "score-overlaps"),
        ([[3, 2]], [[3, 2]], [[-1, 2]], "score-overlaps"),
        ([[3.0, 2]], [[3, 2]], [[1, 2]], "score-overlaps"),
        ([[3, 2, 1]], [[3, 2, 1]], [[1, 2, 1]], "score-shape"),
        (np.zeros((0, 2), int), np.zeros((0, 2), int), np.zeros((0, 2), int), "score-empty"),
    ],
)
def test_overlaps_that_cannot_be(true: Any, drawn: Any, common: Any, code: str) -> None:
    with pytest.raises(Misuse) as caught:
        marks_of_overlaps(("a", "b"), true, drawn, common)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("truth", "score", "code"),
    [
        ([0, 1], np.zeros((3, 2)), "score-shape"),
        ([0, 1], np.zeros((2, 1)), "score-shape"),
        (np.zeros(0, int), np.zeros((0, 3)), "score-empty"),
        ([0, 3], np.zeros((2, 3)), "score-truth"),
        ([0, 2], np.full((2, 3), np.nan), "score-finite"),
    ],
)
def test_classes_that_cannot_be(truth: Any, score: Any, code: str) -> None:
    with pytest.raises(Misuse) as caught:
        marks_of_classes(truth, score)
    assert caught.value.code == code
