from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from imagiq.errors import Misuse
from imagiq.imaging.slicing import AXES, Slicing, fitted, resampled, resampled_mask

ONE = (1.0, 1.0, 1.0)


def volume(*shape: int) -> NDArray[np.float32]:
    """Return a volume [1, right, anterior, superior] whose values name their place: 100 right, 10 anterior, 1 superior."""
    right, anterior, superior = np.indices(shape)
    found: NDArray[np.float32] = (100.0 * right + 10.0 * anterior + superior)[None].astype(np.float32)
    return found


def test_slices_are_seen_as_radiologists_see_them() -> None:
    given = volume(2, 3, 4)
    axial = Slicing().cut(given, ONE)
    assert axial.shape == (4, 1, 3, 2)
    assert axial[0, 0].tolist() == [[120.0, 20.0], [110.0, 10.0], [100.0, 0.0]]  # right on the left, anterior above
    coronal = Slicing(plane="coronal").cut(given, ONE)
    assert coronal.shape == (3, 1, 4, 2)
    assert coronal[0, 0, 0].tolist() == [103.0, 3.0]  # right on the left, superior above
    sagittal = Slicing(plane="sagittal").cut(given, ONE)
    assert sagittal.shape == (2, 1, 4, 3)
    assert sagittal[0, 0, 0].tolist() == [23.0, 13.0, 3.0]  # anterior on the left, superior above


@given(
    st.sampled_from(sorted(AXES)),
    st.tuples(*[st.integers(1, 6)] * 3),
    st.randoms(use_true_random=False),
)
def test_masks_of_all_slices_are_put_back_where_they_were(plane: str, shape: tuple[int, int, int], draw: Any) -> None:
    mask = np.array([draw.randrange(4) for _ in range(int(np.prod(shape)))], np.uint8).reshape(shape)
    how = Slicing(plane=plane)
    assert np.array_equal(how.put_back(how.cut_mask(mask, ONE), shape, ONE), mask)
    larger = Slicing(plane=plane, shape=(9, 8))
    assert np.array_equal(larger.put_back(larger.cut_mask(mask, ONE), shape, ONE), mask)


@pytest.mark.parametrize("plane", AXES)
def test_masks_of_resampled_slices_come_back_to_within_a_voxel(plane: str) -> None:
    shape, spacing = (40, 50, 30), (1.0, 0.8, 2.0)
    places = [(index + 0.5) * size for index, size in zip(np.indices(shape), spacing, strict=True)]
    middle = [0.5 * count * size for count, size in zip(shape, spacing, strict=True)]
    ball = sum((p - m) ** 2 for p, m in zip(places, middle, strict=True)) < 12.0**2
    how = Slicing(plane=plane, spacing_mm=1.5, shape=(40, 40))
    back = how.put_back(how.cut_mask(ball.astype(np.uint8), spacing), shape, spacing)
    assert 2.0 * np.count_nonzero(back & ball) / (np.count_nonzero(back) + np.count_nonzero(ball)) > 0.95


def test_every_third_slice_begins_in_the_middle_of_the_first_three() -> None:
    assert list(Slicing(every=3).numbers(8)) == [1, 4, 7]
    assert list(Slicing(every=9).numbers(2)) == [1]
    mask = np.zeros((1, 1, 8), np.uint8)
    mask[0, 0, 4] = 1
    how = Slicing(every=3)
    assert how.put_back(how.cut_mask(mask, ONE), (1, 1, 8), ONE)[0, 0].tolist() == [0, 0, 0, 1, 1, 1, 0, 0]
    with pytest.raises(Misuse, match="2 masks for 3 slices"):
        how.put_back(np.zeros((2, 1, 1), np.uint8), (1, 1, 8), ONE)


def test_pixels_are_told_rows_before_columns() -> None:
    assert Slicing(plane="sagittal").pixel_mm((1.0, 2.0, 3.0)) == (3.0, 2.0)
    assert Slicing(plane="axial").pixel_mm((1.0, 2.0, 3.0)) == (2.0, 1.0)
    assert Slicing(spacing_mm=1.5).pixel_mm((1.0, 2.0, 3.0)) == (1.5, 1.5)


def test_resampling_keeps_the_mean_of_a_slope_and_the_place_of_its_middle() -> None:
    slope = np.arange(16, dtype=np.float32)
    half = resampled(slope, (0.5,))
    assert half[1:-1].tolist() == pytest.approx([2.5, 4.5, 6.5, 8.5, 10.5, 12.5], abs=1e-3)
    assert resampled(slope, (2.0,))[4:8].tolist() == pytest.approx([1.75, 2.25, 2.75, 3.25])
    assert resampled(slope, (1.0,)).tolist() == slope.tolist()


def test_a_label_is_resampled_to_where_most_of_a_voxel_has_it() -> None:
    mask = np.array([0, 0, 0, 0, 3, 3, 3, 3], np.uint8)
    assert resampled_mask(mask, (0.5,)).tolist() == [0, 0, 3, 3]
    assert resampled_mask(mask, (2.0,)).tolist() == [0] * 8 + [3] * 8


def test_slices_are_cropped_and_filled_up_about_their_middle() -> None:
    assert fitted(np.array([1, 2, 3, 4]), (2,)).tolist() == [2, 3]
    assert fitted(np.array([1, 2]), (5,)).tolist() == [0, 1, 2, 0, 0]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"plane": "oblique"}, "slices-plane"),
        ({"every": 0}, "slices-every"),
        ({"spacing_mm": -1.0}, "slices-spacing"),
        ({"spacing_mm": float("nan")}, "slices-spacing"),
        ({"shape": (4,)}, "slices-grid"),
        ({"shape": (4, 0)}, "slices-grid"),
        ({"shape": (4, 9999)}, "slices-grid"),
    ],
)
def test_slices_that_cannot_be_cut_are_refused(parameters: dict[str, Any], code: str) -> None:
    with pytest.raises(Misuse) as caught:
        Slicing(**parameters)
    assert caught.value.code == code
