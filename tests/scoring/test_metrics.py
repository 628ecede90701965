"""Metrics equal scikit-learn's, and a resample's equal those of the cases written out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, brier_score_loss, roc_auc_score  # type: ignore[import-untyped]

from imagiq.errors import Misuse
from imagiq.scoring import ACCURACY, AUC, BRIER, Metric, accuracy, auc, brier

REFERENCES = [
    (ACCURACY, lambda truth, score: accuracy_score(truth, score >= 0.5)),
    (AUC, roc_auc_score),
    (BRIER, brier_score_loss),
]

CASES = st.lists(st.tuples(st.booleans(), st.integers(0, 8).map(lambda n: n / 8)), min_size=2, max_size=60)


@pytest.mark.parametrize(("metric", "reference"), REFERENCES, ids=lambda value: getattr(value, "name", ""))
@given(cases=CASES)
@settings(max_examples=60, deadline=None)
def test_metrics_with_many_ties_equal_scikit_learn(
    metric: Metric, reference: Any, cases: list[tuple[bool, float]]
) -> None:
    truth, score = (np.array(column) for column in zip(*cases, strict=True))
    if truth.all() or not truth.any():
        assert math.isnan(metric(truth, score)) == (metric is AUC)
    else:
        assert metric(truth, score) == pytest.approx(reference(truth, score), abs=1e-12)


@pytest.mark.parametrize("metric", [ACCURACY, AUC, BRIER], ids=lambda metric: metric.name)
def test_a_resample_by_counts_is_that_of_its_cases_written_out(metric: Metric) -> None:
    rng = np.random.default_rng(2)
    truth, score = rng.random(40) < 0.4, np.round(rng.random(40), 1)
    counts = rng.integers(0, 4, (25, 40))
    found = metric.of_resamples(truth, score, counts)
    for row, value in zip(counts, found, strict=True):
        assert value == pytest.approx(metric(np.repeat(truth, row), np.repeat(score, row)), abs=1e-12)


def test_metrics_by_name() -> None:
    truth, score = [0, 0, 1, 1], [0.1, 0.5, 0.5, 0.9]
    assert accuracy(truth, score) == 0.75
    assert auc(truth, score) == 0.875
    assert brier(truth, score) == pytest.approx(0.13)


@pytest.mark.parametrize(
    ("truth", "score", "code"),
    [
        ([0, 1], [0.5], "score-shape"),
        ([[0, 1]], [[0.5, 0.5]], "score-shape"),
        ([], [], "score-empty"),
        ([0, 2], [0.5, 0.5], "score-truth"),
        ([0.0, math.nan], [0.5, 0.5], "score-truth"),
        ([0, 1], [0.5, math.nan], "score-finite"),
        ([0, 1], [0.5, math.inf], "score-finite"),
    ],
)
def test_cases_that_cannot_be_scored(truth: Any, score: Any, code: str) -> None:
    with pytest.raises(Misuse) as caught:
        auc(truth, score)
    assert caught.value.code == code
