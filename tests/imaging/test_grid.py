"""The grid of a model: what is cut out of a volume and drawn on lies, put back, where it was."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from imagiq.errors import ContractBroken, ImagiqError, Misuse
from imagiq.imaging.grid import Grid, channel_files, grid_of, read_channels
from imagiq.imaging.nifti import Volume, read_mask, write_mask, write_volume

PLANES = ("axial", "coronal", "sagittal", "volume")
LABELS = {"ball": 1, "core": 2}


def ball(
    shape: tuple[int, int, int], centre: tuple[float, ...], radius: float, size: tuple[float, ...]
) -> NDArray[np.uint8]:
    """A ball with a core in a volume; centre and radius in mm from the first voxel's middle."""
    places = np.stack(np.meshgrid(*(np.arange(n) * mm for n, mm in zip(shape, size, strict=True)), indexing="ij"))
    far = np.sqrt(((places - np.array(centre)[:, None, None, None]) ** 2).sum(axis=0))
    return np.asarray((far <= radius).astype(np.uint8) + (far <= radius / 2), np.uint8)


@given(
    st.sampled_from(PLANES),
    st.tuples(*[st.integers(3, 12)] * 3),
    st.integers(0, 2**31),
)
def test_on_its_own_grid_a_mask_comes_back_as_it_was(plane: str, shape: tuple[int, int, int], seed: int) -> None:
    mask = np.random.default_rng(seed).integers(0, 3, shape).astype(np.uint8)
    grid, spacing = Grid(plane=plane), (1.0, 2.0, 3.0)
    images = grid.cut(mask[None].astype(np.float32), spacing)
    assert images.ndim == (5 if plane == "volume" else 4)
    again = grid.put_back(images[:, 0].astype(np.uint8), shape, spacing)
    assert np.array_equal(again, mask)


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("spacing_mm", [1.5, 3.0])
def test_on_another_grid_what_is_drawn_lies_where_it_is_to_within_a_pixel(plane: str, spacing_mm: float) -> None:
    shape, size = (40, 36, 24), (1.0, 1.2, 2.0)
    truth = ball(shape, (22.0, 18.0, 26.0), 11.0, size)
    grid = Grid(plane=plane, spacing_mm=spacing_mm, shape=(32,) * (3 if plane == "volume" else 2))
    image = grid.cut((truth * 10.0).astype(np.float32)[None], size)
    drawn = ((image[:, 0] > 5.0).astype(np.uint8) + (image[:, 0] > 15.0)).astype(np.uint8)
    again = grid.put_back(drawn, shape, size)
    for label in (1, 2):
        one, two = truth >= label, again >= label
        assert 2 * (one & two).sum() / (one.sum() + two.sum()) > (0.85 if label == 1 else 0.7)
        middle = [np.argwhere(which).mean(axis=0) * size for which in (one, two)]
        assert np.abs(middle[0] - middle[1]).max() < 0.35 * spacing_mm


def test_what_lay_outside_the_cut_is_not_drawn() -> None:
    grid = Grid(plane="axial", shape=(4, 4))
    mask = grid.put_back(np.ones((5, 4, 4), np.uint8), (10, 12, 5), (1.0, 1.0, 1.0))
    assert mask.sum() == 5 * 16
    assert mask[3:7, 4:8].all()


def test_a_grid_that_cannot_be_is_refused() -> None:
    for wrong in (
        {"plane": "oblique"},
        {"plane": "volume", "shape": (3, 3)},
        {"plane": "axial", "shape": (3, 3, 3)},
        {"spacing_mm": -1.0},
        {"spacing_mm": float("nan")},
    ):
        with pytest.raises(Misuse):
            Grid(**wrong)


def test_a_schema_names_a_grid_or_none() -> None:
    assert grid_of({"normalise": "zscore"}) is None
    said = {"images": {"plane": "coronal", "spacing_mm": "2.5", "shape": [8, 9]}}
    assert grid_of(said) == Grid(plane="coronal", spacing_mm=2.5, shape=(8, 9))
    for wrong in ({"plane": "up"}, {"spacing_mm": "wide"}, {"shape": [0, 1]}):
        with pytest.raises(ImagiqError):
            grid_of({"images": {**said["images"], **wrong}})


def test_channels_are_named_or_stand_in_their_order(tmp_path: Path) -> None:
    channels = ("T1", "FLAIR")
    assert channel_files(["a.nii", "b.nii"], channels) == (Path("a.nii"), Path("b.nii"))
    assert channel_files(["FLAIR=b.nii", "T1=x=a.nii"], channels) == (Path("x=a.nii"), Path("b.nii"))
    assert channel_files(["all.nii"], channels) == (Path("all.nii"),)
    strange = tmp_path / "T1=odd.nii"
    strange.touch()
    assert channel_files([str(strange)], channels) == (strange,)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["a", "b", "c"], "3 files were given"),
        (["T1=a", "T2=b"], "'T2' is none of these"),
        (["T1=a", "T1=b"], "'T1' is named twice"),
        (["T1=a", "b"], "'b' is not named"),
        (["T1=a"], "FLAIR is missing"),
    ],
)
def test_other_channels_are_refused_with_those_that_the_model_takes(given: list[str], said: str) -> None:
    with pytest.raises(Misuse, match="The model takes 2 channels: T1, FLAIR") as caught:
        channel_files(given, ("T1", "FLAIR"))
    assert said in caught.value.what


def test_channels_lie_over_each_other_or_are_refused(tmp_path: Path) -> None:
    first = Volume(array=np.zeros((4, 5, 6)), affine=np.eye(4))
    moved, smaller = np.eye(4), np.zeros((4, 5, 5))
    moved[0, 3] = 2.0
    write_volume(tmp_path / "a.nii.gz", first)
    write_volume(tmp_path / "b.nii.gz", Volume(array=first.array, affine=moved))
    write_volume(tmp_path / "c.nii.gz", Volume(array=smaller, affine=np.eye(4)))
    for other, code in (("b", "images-affine-differs"), ("c", "images-shape-differs")):
        with pytest.raises(ContractBroken) as caught:
            read_channels([tmp_path / "a.nii.gz", tmp_path / f"{other}.nii.gz"], ("T1", "T2"))
        assert caught.value.code == code
        assert f"{other}.nii.gz" in caught.value.what
    with pytest.raises(ContractBroken, match="one channel, where 2 are wanted"):
        read_channels([tmp_path / "a.nii.gz"], ("T1", "T2"))


@pytest.mark.parametrize("flips", list(product((1, -1), repeat=3)))
def test_a_mask_lies_over_an_image_however_that_is_stored(tmp_path: Path, flips: tuple[int, int, int]) -> None:
    shape = (12, 14, 10)
    affine = np.diag([*(flip * mm for flip, mm in zip(flips, (1.0, 1.5, 2.0), strict=True)), 1.0])
    affine[:3, 3] = (5.0, -7.0, 3.0)
    truth = ball(shape, (5.0, 9.0, 8.0), 4.0, (1.0, 1.5, 2.0))
    write_volume(tmp_path / "image.nii.gz", Volume(array=truth * 10.0, affine=affine))
    (volume,) = read_channels([tmp_path / "image.nii.gz"], ("T1",))
    grid = Grid(plane="coronal")
    images = grid.cut(volume.array[None], volume.spacing_mm)
    drawn = np.asarray(images[:, 0] / 10.0, np.uint8)
    write_mask(tmp_path / "mask.nii.gz", grid.put_back(drawn, volume.array.shape, volume.spacing_mm), volume)
    again = read_mask(tmp_path / "mask.nii.gz", LABELS)
    assert np.array_equal(again.array, (volume.array / 10.0).astype(np.uint8))
    assert np.allclose(again.affine, volume.affine)
