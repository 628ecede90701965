from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.errors import ContractBroken, Misuse
from imagiq.imaging.cases import ImageCases
from imagiq.imaging.sites import Split, site_of, split_by_folds, split_by_share

NAMES = st.sets(st.text("abcdef", min_size=1, max_size=4), max_size=30)
SHARES = st.floats(0.0, 0.9)


@given(NAMES, SHARES, SHARES, st.integers(0, 2**32))
def test_a_drawn_split_parts_the_patients_and_leaves_one_to_train_on(
    names: set[str], held_back: float, validation: float, seed: int
) -> None:
    split = split_by_share(names, held_back=held_back, validation=validation, seed=seed)
    assert sorted((*split.train, *split.validation, *split.test)) == sorted(names)
    assert split.train or not names
    again = split_by_share(sorted(names, reverse=True), held_back=held_back, validation=validation, seed=seed)
    assert split == again


def test_what_is_held_back_is_at_least_one_patient_where_there_are_two() -> None:
    split = split_by_share({"a", "b"}, held_back=0.01, validation=0.0, seed=0)
    assert len(split.test) == len(split.train) == 1


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_cannot_be_is_refused(share: float) -> None:
    with pytest.raises(Misuse, match="cannot be held back"):
        split_by_share({"a"}, held_back=share, validation=0.0, seed=0)


def test_one_patient_in_training_and_test_is_refused_without_a_name() -> None:
    with pytest.raises(ContractBroken, match="1 patient is in more than one") as caught:
        Split(train=("secret", "b"), validation=(), test=("secret",))
    assert caught.value.code == "split-patient-twice"
    assert "secret" not in str(caught.value)


def test_a_fold_is_the_test_and_the_one_before_it_for_validation() -> None:
    folds = {"a": 0, "b": 1, "c": 2, "d": 2}
    assert split_by_folds(folds, 2) == Split(train=("a",), validation=("b",), test=("c", "d"))
    assert split_by_folds(folds, 0) == Split(train=("b",), validation=("c", "d"), test=("a",))
    with pytest.raises(ContractBroken, match="1 of 2 patients have no fold"):
        split_by_folds({"a": 0, "b": -1}, 0)


def pictures(names: list[str], filled: set[str]) -> ImageCases:
    truth = np.zeros((len(names), 2, 2), dtype=np.uint8)
    for index, name in enumerate(names):
        truth[index] = name in filled
    return ImageCases(
        images=np.zeros((len(names), 1, 2, 2), dtype=np.float32),
        truth=truth,
        patients=np.array(names, dtype=np.str_),
        channels=("T1",),
        labels={"tumour": 1},
    )


SPLIT = Split(train=("a", "b"), validation=("c",), test=("d", "e"))


def test_models_are_judged_on_the_test_or_on_validation_and_then_no_test_patient_is_touched() -> None:
    cases = pictures(list("aabcde"), set("abcde"))
    reported = site_of("x", cases, SPLIT, judge="test")
    assert set(reported.train.patients) == set("abc")
    assert set(reported.test.patients) == set("de")
    tuned = site_of("x", cases, SPLIT, judge="validation")
    assert set(tuned.train.patients) == set("ab")
    assert set(tuned.test.patients) == {"c"}
    with pytest.raises(Misuse, match="cannot be judged"):
        site_of("x", cases, SPLIT, judge="train")


def test_empty_masks_and_single_patients_are_told_and_counted() -> None:
    site = site_of("x", pictures(list("aabcde"), {"a", "d"}), SPLIT, judge="test")
    assert site.warnings == (
        "2 of 3 training patients have no labelled voxel in any image.",
        "1 of 2 held-back patients have no labelled voxel in any image.",
    )
    assert site_of("x", pictures(["a"], {"a"}), SPLIT, judge="test").warnings == (
        "There is one training patient.",
        "There are no held-back patients.",
    )
