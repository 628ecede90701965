"""Archives of slices; the real ones are tried where they are."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagiq.errors import BudgetSpent, ContractBroken, ImagiqError, Misuse, NotFound, Unreachable
from imagiq.imaging import packed
from imagiq.imaging.packed import slices

REAL = Path(__file__).parents[3] / "shared" / "data" / "lgg_sites"


def archive(folder: Path, name: str = "A", **other: Any) -> None:
    image = np.arange(4 * 2 * 8 * 8, dtype=np.uint8).reshape(4, 2, 8, 8)
    mask = np.zeros((4, 8, 8), np.uint8)
    mask[:, :3, :2] = 1
    arrays = {"image": image, "mask": np.packbits(mask, axis=-1), "patient": np.array([0, 0, 1, 2])}
    np.savez(folder / f"site_{name}.npz", **(arrays | {"fold": np.array([0, 0, 1, 2])} | other))


def test_grey_values_are_the_exact_mean_and_the_mask_is_where_half_is_labelled(tmp_path: Path) -> None:
    archive(tmp_path)
    (site,) = slices(path=tmp_path, coarser=2, fold=2, label="tumour", channels=["a", "b"], pixel_mm=0.5)
    assert site.train.images.shape == (3, 2, 4, 4)
    assert site.train.images[0, 0, 0].tolist() == [4.5, 6.5, 8.5, 10.5]
    assert site.train.truth[0].tolist() == [[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert site.train.labels == {"tumour": 1}
    assert site.train.spacing_mm == (1.0, 1.0)
    assert site.columns == ("a", "b")


def test_folds_are_by_patient_and_validation_touches_no_test_patient(tmp_path: Path) -> None:
    archive(tmp_path)
    (site,) = slices(path=tmp_path, fold=2)
    assert (set(site.train.patients), set(site.test.patients)) == ({"0", "1"}, {"2"})
    (site,) = slices(path=tmp_path, fold=2, judge="validation")
    assert (set(site.train.patients), set(site.test.patients)) == ({"0"}, {"1"})


def test_sites_are_all_that_are_there_or_those_that_are_named(tmp_path: Path) -> None:
    archive(tmp_path, "B")
    archive(tmp_path, "A", mask=np.zeros((4, 8, 8), bool))
    assert [site.name for site in slices(path=tmp_path)] == ["A", "B"]
    assert [site.name for site in slices(path=tmp_path, sites=["B"])] == ["B"]
    assert slices(path=tmp_path, sites=["A"])[0].columns == ("channel 1", "channel 2")


@pytest.mark.parametrize(
    ("other", "parameters", "kind", "code"),
    [
        ({"mask": np.full((4, 8, 8), 2)}, {}, ContractBroken, "images-label"),
        ({"mask": np.zeros((3, 8, 8))}, {}, ContractBroken, "slices-shape"),
        ({"patient": np.zeros(3)}, {}, ContractBroken, "slices-shape"),
        ({"fold": np.zeros(3)}, {"fold": 0}, ContractBroken, "slices-shape"),
        ({"fold": np.array([0, 1, 1, 2])}, {"fold": 0}, ContractBroken, "split-patient-twice"),
        ({"image": np.full((4, 2, 8, 8), np.nan)}, {}, ContractBroken, "images-not-finite"),
        ({"image": np.array([object()])}, {}, ContractBroken, "slices-form"),
        ({}, {"coarser": 3}, Misuse, "slices-coarser"),
        ({}, {"coarser": 0}, Misuse, "slices-coarser"),
        ({}, {"channels": ["a"]}, Misuse, "slices-channels"),
        ({}, {"sites": ["C"]}, NotFound, "slices-missing"),
    ],
)
def test_an_archive_that_is_not_right_is_refused(
    other: dict[str, Any], parameters: dict[str, Any], kind: type[ImagiqError], code: str, tmp_path: Path
) -> None:
    archive(tmp_path, **other)
    with pytest.raises(kind) as caught:
        slices(path=tmp_path, **parameters)
    assert caught.value.code == code


def test_a_file_that_is_no_archive_or_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound):
        slices(path=tmp_path)
    (tmp_path / "site_A.npz").write_bytes(b"PK\3\4 not really")
    with pytest.raises(ContractBroken, match="no whole archive"):
        slices(path=tmp_path)
    with zipfile.ZipFile(tmp_path / "site_A.npz", "w") as empty:
        empty.writestr("x.npy", b"")
    with pytest.raises(ContractBroken, match="no array called image or mask"):
        slices(path=tmp_path)
    archive(tmp_path)
    monkeypatch.setattr(packed, "_LIMIT", 100)
    with pytest.raises(BudgetSpent):
        slices(path=tmp_path)
    (tmp_path / "site_A.npz").unlink()
    (tmp_path / "site_A.npz").mkdir()
    with pytest.raises(Unreachable):
        slices(path=tmp_path)


@pytest.mark.skipif(not REAL.exists(), reason="the slices of five institutions are not here")
def test_slices_of_real_institutions_are_read_by_fold() -> None:
    (site,) = slices(path=REAL, sites=["FG"], coarser=2, fold=4, label="tumour")
    assert (len(site.train), len(site.test)) == (12, 2)
    assert site.train.images.shape == (140, 3, 64, 64)
    assert 0.01 < site.train.truth.mean() < 0.03
