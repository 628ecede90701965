"""Intervals: the same as resampling by hand, near SciPy's, over patients, from a public seed."""

from __future__ import annotations

import math
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from imagiq.errors import Misuse, Refused
from imagiq.scoring import ACCURACY, AUC, BRIER, Interval, Metric, bootstrap, bootstrap_difference

RNG = np.random.default_rng(4)
TRUTH = RNG.random(120) < 0.45
SCORE = np.clip(np.round(0.3 * TRUTH + 0.7 * RNG.random(120), 2), 0, 1)
OTHER = np.clip(np.round(0.15 * TRUTH + 0.85 * RNG.random(120), 2), 0, 1)
PATIENTS = np.array([f"patient {number}" for number in RNG.integers(0, 50, 120)])


def by_hand(seed: int, resamples: int, level: float) -> tuple[float, float]:
    """Draw the same patients from the same seed, write their cases out, and ask scikit-learn."""
    names = np.unique(PATIENTS)
    rng, values = np.random.Generator(np.random.PCG64(seed)), []
    for _ in range(resamples):
        drawn = names[rng.integers(len(names), size=len(names))]
        cases = np.concatenate([np.flatnonzero(np.equal(PATIENTS, name)) for name in drawn])
        values.append(roc_auc_score(TRUTH[cases], SCORE[cases]))
    low, high = np.percentile(values, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def test_the_interval_is_that_of_resampling_patients_by_hand() -> None:
    found = bootstrap(AUC, TRUTH, SCORE, seed=9, patients=PATIENTS, resamples=150, level=0.9)
    assert found.point == pytest.approx(roc_auc_score(TRUTH, SCORE))
    assert (found.low, found.high) == pytest.approx(by_hand(9, 150, 0.9), abs=1e-12)
    assert found.level == 0.9


@pytest.mark.parametrize("metric", [ACCURACY, AUC, BRIER], ids=lambda metric: metric.name)
def test_the_interval_lies_near_the_one_of_scipy(metric: Metric) -> None:
    found = bootstrap(metric, TRUTH, SCORE, seed=1, resamples=4000)
    reference = stats.bootstrap(
        (TRUTH, SCORE), metric, paired=True, vectorized=False, n_resamples=2000, method="percentile", rng=RNG
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=0.01)


def test_the_paired_difference_lies_near_the_one_of_scipy() -> None:
    def difference(truth: Any, first: Any, second: Any) -> float:
        return AUC(truth, first) - AUC(truth, second)

    found = bootstrap_difference(AUC, TRUTH, SCORE, OTHER, seed=1, resamples=4000)
    reference = stats.bootstrap(
        (TRUTH, SCORE, OTHER), difference, paired=True, vectorized=False, n_resamples=2000, method="percentile", rng=RNG
    ).confidence_interval
    assert found.point == difference(TRUTH, SCORE, OTHER)
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=0.015)


def test_the_difference_of_a_model_from_itself_is_nothing() -> None:
    assert bootstrap_difference(AUC, TRUTH, SCORE, SCORE, seed=1) == Interval(0.0, 0.0, 0.0, 0.95)


def test_a_difference_is_measured_on_the_same_draws() -> None:
    worse = np.where(TRUTH, SCORE - 0.001, SCORE)
    apart = bootstrap_difference(BRIER, TRUTH, SCORE, worse, seed=1)
    alone = bootstrap(BRIER, TRUTH, SCORE, seed=1)
    assert apart.high - apart.low < (alone.high - alone.low) / 50


def test_the_seed_decides_and_the_size_of_a_step_does_not() -> None:
    found = bootstrap(AUC, TRUTH, SCORE, seed=5, resamples=300)
    assert found == bootstrap(AUC, TRUTH.astype(int).tolist(), SCORE.tolist(), seed=5, resamples=300)
    assert found != bootstrap(AUC, TRUTH, SCORE, seed=6, resamples=300)
    with patch("imagiq.scoring.bootstrap.CHUNK", 1000):
        assert found == bootstrap(AUC, TRUTH, SCORE, seed=5, resamples=300)


def test_cases_of_one_patient_widen_the_interval() -> None:
    truth, score, patients = np.repeat(TRUTH, 9), np.repeat(SCORE, 9), np.repeat(np.arange(120), 9)
    cases = bootstrap(AUC, truth, score, seed=1, resamples=500)
    grouped = bootstrap(AUC, truth, score, seed=1, resamples=500, patients=patients)
    assert grouped.high - grouped.low > 2 * (cases.high - cases.low)


def test_resamples_of_one_class_are_left_out() -> None:
    found = bootstrap(AUC, [0, 0, 0, 1], [0.1, 0.2, 0.6, 0.5], seed=3, resamples=500)
    assert 0.0 <= found.low <= found.point <= found.high <= 1.0
    assert not math.isnan(found.low)


def test_a_metric_that_is_not_defined_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        bootstrap(AUC, [1, 1], [0.5, 0.6], seed=1)
    assert caught.value.code == "score-undefined"
    with pytest.raises(Refused) as caught:
        bootstrap_difference(AUC, [1, 1], [0.5, 0.6], [0.1, 0.2], seed=1)
    assert caught.value.code == "score-undefined"


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"resamples": 0}, {"level": 0.0}, {"level": 1.0}, {"level": 95.0}])
def test_numbers_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(Misuse):
        bootstrap(AUC, TRUTH, SCORE, **({"seed": 1} | wrong))


def test_one_patient_is_named_for_each_case() -> None:
    with pytest.raises(Misuse) as caught:
        bootstrap(AUC, TRUTH, SCORE, seed=1, patients=["only one"])
    assert caught.value.code == "score-patients"
