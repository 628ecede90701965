"""Comparisons by patient: who is a stratum, what is drawn together, and what is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagiq.site.sources import CasesOfSites
from science.kept import Kept, kept_run
from science.paired import Compared, strata
from science.phantom import numbers
from science.written import figure, pairs_table, sites_table, ways_table

Dice = Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]


def kept(dice: Dice, name: str = "one", *, unseen: Sequence[str] = ()) -> Kept:
    return Kept(
        name=name,
        settings="",
        sites=["a", "b"],
        unseen=unseen,
        dice=dice,
        updates=1,
        cpu_s=2.0,
        wall_s=1.0,
        versions={},
    )


DICE: Dice = {
    "alone": {
        "a": {"a": [0.5, 0.7, 0.9], "b": [0.1, 0.3], "far": [0.2]},
        "b": {"a": [0.1, 0.1, 0.1], "b": [0.5, 0.7], "far": [0.4]},
    },
    "pooled": {place: {"a": [0.6, 0.8, 1.0], "b": [0.6, 0.8], "far": [0.9]} for place in ("a", "b")},
}


def test_a_hospital_counts_its_own_model_or_the_mean_of_all() -> None:
    own = Compared(strata([kept(DICE)], where="own"), by="hospital")
    across = Compared(strata([kept(DICE)], where="across"), by="hospital")
    unseen = Compared(strata([kept(DICE, unseen=["far"])], where="unseen"), by="hospital")
    assert own.value("alone").point == pytest.approx((0.7 + 0.6) / 2)
    assert across.value("alone").point == pytest.approx(((0.7 + 0.1) / 2 + (0.2 + 0.6) / 2) / 2)
    assert unseen.value("alone").point == pytest.approx(0.3)
    assert across.share("alone", "pooled").point == pytest.approx(0.4 / 0.75)


def test_a_patient_counts_as_much_as_any_other_where_that_is_asked_for() -> None:
    own = Compared(strata([kept(DICE)], where="own"), by="patient")
    assert own.patients == 5
    assert own.value("alone").point == pytest.approx((0.5 + 0.7 + 0.9 + 0.5 + 0.7) / 5)


def test_ways_that_differ_by_the_same_on_each_patient_differ_by_that_without_doubt() -> None:
    found = Compared(strata([kept(DICE)], where="own"), by="patient").difference("pooled", "alone")
    assert found.low == pytest.approx(found.high) == pytest.approx(found.point) == pytest.approx(0.1)


def test_the_interval_of_a_mean_is_as_wide_as_its_standard_error_says() -> None:
    drawn = np.random.default_rng(3).normal(0.7, 0.1, 400).clip(0, 1).tolist()
    dice = {"way": {name: {"a": drawn, "b": drawn} for name in "ab"}}
    found = Compared(strata([kept(dice)], where="own"), by="patient").value("way")
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * np.std(drawn) / np.sqrt(800), rel=0.05)


def test_folds_are_joined_and_seeds_are_not() -> None:
    folds = [kept(DICE, "fold-0"), kept(DICE, "fold-1")]
    assert [len(part["alone"]) for part in strata(folds, where="own", join=True)] == [6, 4]
    assert [len(part["alone"]) for part in strata(folds, where="own")] == [3, 2, 3, 2]


def test_a_patient_whose_dice_one_way_does_not_define_is_left_out_of_all() -> None:
    dice = {
        "one": {"a": {"a": [0.5, float("nan")], "b": []}, "b": {"a": [], "b": [1.0]}},
        "two": {"a": {"a": [0.7, 0.0], "b": []}, "b": {"a": [], "b": [0.5]}},
    }
    found = Compared(strata([kept(dice)], where="own"), by="patient")
    assert found.patients == 2
    assert found.value("two").point == pytest.approx(0.6)


def test_tables_name_the_better_way_first_and_say_what_cannot_be_told_apart() -> None:
    compared = Compared(strata([kept(DICE)], where="own"), by="patient")
    assert list(pairs_table(compared))[2:] == ["| pooled | alone | +0.100 (+0.100 to +0.100) | yes |"]
    assert list(ways_table(compared, alone="alone", pooled="pooled"))[3].endswith("|  | +0.100 (+0.100 to +0.100) |")


def test_a_hospital_has_a_row_of_its_own_patients() -> None:
    rows = list(sites_table([kept(DICE, "fold-0"), kept(DICE, "fold-1")], join=True))
    assert rows[2:] == ["| a | 6 | 0.700 | 0.800 |", "| b | 4 | 0.600 | 0.700 |"]


def test_a_figure_shows_each_way_and_needs_no_style_sheet(tmp_path: Path) -> None:
    place = tmp_path / "ways.svg"
    figure(place, Compared(strata([kept(DICE)], where="own"), by="patient"), title="Ways", pooled="pooled")
    drawn = place.read_text("utf-8")
    assert drawn.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert drawn.count("<circle") == 2
    assert "<style>" in drawn


FILE = """
title = "Two phantoms"
[task]
learner = "segmentation"
channels = ["T1", "T1ce", "T2", "FLAIR"]
labels = { "necrotic or non-enhancing core" = 1, oedema = 2, "enhancing rim" = 3 }
regions = { "whole tumour" = [1, 2, 3] }
batch = 1
[budget]
steps = 1
updates = 1
[[study]]
title = "alone"
strategy = "local"
"""


@pytest.mark.process
def test_a_run_is_kept_and_not_run_again(tmp_path: Path) -> None:
    from imagiq.imaging.phantoms.source import phantom_brain

    file = tmp_path / "two.toml"
    file.write_text(FILE, encoding="utf-8")
    data = {"hospitals": ["a", "b"], "patients": [3, 3], "slices": 1, "size": 16, "held_back": 0.5, "unseen": 1}
    asked: dict[str, Any] = {"seed": 5, "data": data, "workers": 1}
    first = kept_run(tmp_path / "kept", "seed-5", file, source=phantom_brain, **asked)
    assert {way: list(models) for way, models in first.dice.items()} == {"alone": ["a", "b"], "pooled": ["a", "b"]}
    assert {place: len(each) for place, each in first.dice["alone"]["a"].items()} == {"a": 2, "b": 2, "beyond": 1}
    assert first.cpu_s > 0
    assert first.updates == 1

    def never(**_: object) -> CasesOfSites:
        raise AssertionError

    again = kept_run(tmp_path / "kept", "seed-5", file, source=never, **asked)
    assert json.dumps(asdict(again)) == json.dumps(asdict(first))
    with pytest.raises(AssertionError):
        kept_run(tmp_path / "kept", "seed-5", file, source=never, **{**asked, "seed": 6})


def test_seeds_are_named_by_ranges() -> None:
    assert numbers("100-102,7") == [100, 101, 102, 7]
