"""The cases that come with imagiq."""

from __future__ import annotations

import csv
import hashlib
import json
import runpy
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from imagiq.learning import heart
from imagiq.learning.logistic import Logistic

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "heart"
HOSPITALS = heart.hospitals()


def test_the_four_hospitals_have_flambys_numbers_of_cases() -> None:
    assert {site.name: (len(site.train), len(site.test)) for site in HOSPITALS} == {
        "cleveland": (199, 104),
        "hungarian": (172, 89),
        "switzerland": (30, 16),
        "va": (85, 45),
    }
    assert tuple(heart.PLACES) == tuple(site.name for site in HOSPITALS)


def test_every_row_is_a_case_or_counted_as_dropped() -> None:
    text = (files(heart) / "heart_disease.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    counts = [len(site.train) + len(site.test) + site.dropped for site in HOSPITALS]
    assert sum(counts) == len(rows) == 920


def test_there_are_13_features_standardised_by_the_training_cases() -> None:
    for site in HOSPITALS:
        assert len(site.columns) == 13
        deviation = site.train.x.std(axis=0, ddof=1)
        assert site.train.x.mean(axis=0) == pytest.approx(0.0, abs=1e-12)
        assert np.all((np.abs(deviation - 1.0) < 1e-12) | (deviation == 0.0))


def test_the_constant_cholesterol_of_switzerland_is_0() -> None:
    site = next(site for site in HOSPITALS if site.name == "switzerland")
    column = site.columns.index("chol")
    assert not site.train.x[:, column].any()
    assert not site.test.x[:, column].any()


def test_switzerland_trains_on_one_class_and_says_so() -> None:
    assert {site.name: site.warnings for site in HOSPITALS if site.warnings} == {
        "switzerland": ("All training cases are of one class.",)
    }


def test_the_shipped_table_has_the_bytes_it_was_published_with() -> None:
    content = (files(heart) / "heart_disease.csv").read_bytes()
    assert hashlib.sha256(content).hexdigest() == "00599e28381ab1f32f665d68dc2a7ba916a455892529321f803759f6eda0aa74"


def test_the_shipped_split_is_the_one_that_scikit_learn_makes() -> None:
    pytest.importorskip("sklearn")
    made = runpy.run_path(str(BENCHMARKS / "make_split.py"))["make_split"]()
    assert json.loads((files(heart) / "split.json").read_text(encoding="utf-8")) == made


def test_the_reference_reads_the_same_cases() -> None:
    reference = runpy.run_path(str(BENCHMARKS / "reference.py"))
    read = reference["hospitals"]()
    for site in HOSPITALS:
        scale = reference["scaler"](read[site.name].train_x)
        assert np.allclose(scale(read[site.name].test_x)[:, :-1], site.test.x, rtol=0, atol=1e-12)
        assert np.array_equal(read[site.name].train_y, site.train.y)


def test_every_hospital_can_train() -> None:
    learner = Logistic(features=13, learning_rate="0.01")
    for site in HOSPITALS:
        start = learner.initial(0).weights
        losses = [learner.train(start, site.train, budget=n, seed=0, progress=0.0).metrics["loss"] for n in (0, 200)]
        assert losses[1] < losses[0]
