from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from imagiq.errors import ContractBroken
from imagiq.imaging.cases import ImageCases, checked, of_patients, together


def cases(patients: tuple[str, ...] = ("a", "a", "b"), size: int = 4) -> ImageCases:
    count = len(patients)
    return ImageCases(
        images=np.arange(count * 2 * size * size, dtype=np.float32).reshape(count, 2, size, size),
        truth=np.zeros((count, size, size), dtype=np.uint8),
        patients=np.array(patients, dtype=np.str_),
        channels=("T1", "T2"),
        labels={"tumour": 1},
        spacing_mm=(1.0, 1.0),
    )


def test_a_case_is_a_patient_however_many_slices_there_are() -> None:
    assert len(cases(("a", "a", "b"))) == 2
    assert len(cases(())) == 0


def test_what_fits_together_is_given_back_as_it_is() -> None:
    given = cases()
    assert checked(given) is given
    assert checked(replace(given, truth=np.zeros(3, dtype=np.int64))).truth.ndim == 1
    assert len(checked(cases(()))) == 0


def test_arrays_that_do_not_fit_together_are_refused() -> None:
    given = cases()
    for broken in (
        replace(given, truth=given.truth[:2]),
        replace(given, truth=given.truth[:, :3]),
        replace(given, channels=("T1",)),
        replace(given, patients=given.patients[:1]),
        replace(given, spacing_mm=(1.0, 1.0, 1.0)),
    ):
        with pytest.raises(ContractBroken) as caught:
            checked(broken)
        assert caught.value.code == "images-shape"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_voxel_that_is_no_number_is_refused_without_naming_a_patient(value: float) -> None:
    given = cases(("secret", "other"))
    given.images[1, 0, 2, 2] = value
    with pytest.raises(ContractBroken, match="1 of 2 images") as caught:
        checked(given)
    assert caught.value.code == "images-not-finite"
    assert "secret" not in str(caught.value)


def test_a_label_outside_the_map_is_refused() -> None:
    given = cases()
    given.truth[0, 0, 0] = 7
    with pytest.raises(ContractBroken, match="the label 7") as caught:
        checked(given)
    assert caught.value.code == "images-label"


def test_patients_are_chosen_with_all_of_their_slices() -> None:
    chosen = of_patients(cases(("a", "b", "a")), {"a"})
    assert chosen.patients.tolist() == ["a", "a"]
    assert chosen.images[1, 0, 0, 0] == 2 * 2 * 16


def test_patients_of_one_name_at_two_sites_stay_two() -> None:
    joined = together({"north": cases(("1", "2")), "south": cases(("1",))})
    assert len(joined) == 3
    assert len(joined.images) == 3


def test_sites_that_differ_are_not_joined() -> None:
    given = cases()
    for other in (
        replace(given, channels=("T1", "FLAIR")),
        replace(given, labels={"tumour": 2}),
        replace(given, spacing_mm=(1.0, 1.2)),
        cases(size=5),
    ):
        with pytest.raises(ContractBroken, match="'south' differs from 'north'") as caught:
            together({"north": given, "south": other})
        assert caught.value.code == "images-differ"
    with pytest.raises(ContractBroken):
        together({})
