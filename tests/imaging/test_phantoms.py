from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagiq.errors import Misuse, Unreachable
from imagiq.imaging.folder import images
from imagiq.imaging.nifti import read_mask, read_volume, same_place
from imagiq.imaging.phantoms.acquisition import Grid
from imagiq.imaging.phantoms.patients import (
    HOSPITALS,
    UNSEEN_HOSPITAL,
    draw_patient,
    slices_of,
    volume_of,
)
from imagiq.imaging.phantoms.scanners import SCANNERS, UNSEEN
from imagiq.imaging.phantoms.shapes import capsule, cover, ellipsoid
from imagiq.imaging.phantoms.source import phantom_brain, phantom_brain_unseen
from imagiq.imaging.phantoms.tissues import Tissue
from imagiq.imaging.phantoms.tumour import LABELS, REGIONS, TumourMix, labels_of
from imagiq.imaging.phantoms.writing import write_phantoms

HIGH = TumourMix(radius_mm=18.0, spread_mm=1.0, high_grade=1.0)
SCANNER = SCANNERS["philips-3t"]


def test_the_same_seed_gives_the_same_images_to_the_bit_and_another_one_gives_others() -> None:
    first, second, other = (
        phantom_brain(seed=seed, hospitals=["north"], patients=[2], size=32, slices=2)[0] for seed in (3, 3, 4)
    )
    for one, two in ((first.train, second.train), (first.test, second.test)):
        assert one.images.tobytes() == two.images.tobytes()
        assert one.truth.tobytes() == two.truth.tobytes()
    assert first.train.images.tobytes() != other.train.images.tobytes()


def test_a_patient_stays_the_same_when_the_hospital_gets_more_of_them() -> None:
    few, many = (
        phantom_brain(seed=0, hospitals=["east"], patients=[count], size=32, slices=1, held_back=0.0)[0].train
        for count in (1, 2)
    )
    assert np.array_equal(few.images[0], many.images[0])
    assert few.patients[0] == many.patients[0]


@settings(max_examples=6)
@given(st.integers(0, 2**31), st.booleans())
def test_regions_are_nested_and_the_rim_lies_in_what_is_bright_on_t1ce(seed: int, is_high: bool) -> None:
    patient = draw_patient(seed, "any", 0, replace(HIGH, high_grade=float(is_high)))
    planes, _ = slices_of(patient, SCANNER, size=48, slices=3)
    assert set(np.unique(planes.truth)) <= {0, *LABELS.values()}
    regions = [np.isin(planes.truth, numbers) for numbers in REGIONS.values()]
    assert all((inner <= outer).all() for outer, inner in pairwise(regions))
    assert np.isfinite(planes.images).all()
    assert planes.images.dtype == np.float32
    assert planes.truth.any()
    assert bool(np.isin(planes.truth, 3).any()) <= is_high


def test_a_tumour_looks_as_it_should_in_each_image() -> None:
    patient = draw_patient(1, "any", 2, HIGH)
    planes, _ = slices_of(patient, replace(SCANNER, noise=0.0, bias=0.0), size=96, slices=3)
    t1, t1ce, t2, flair = planes.images[1]
    core, oedema, rim = (planes.truth[1] == number for number in (1, 2, 3))
    healthy = np.percentile(flair[flair > 0.3 * np.median(flair[oedema])], 30)
    assert np.median(flair[oedema]) > 1.3 * healthy
    assert np.median(t1ce[rim]) > 1.2 * np.median(t1[rim])
    assert np.median(t1ce[rim]) > np.median(t1ce[core])
    assert np.median(t1[core]) < np.median(t1[oedema])
    assert np.median(t2[core]) > np.median(t2[oedema])


def test_parts_of_a_voxel_are_never_negative_and_never_more_than_all_of_it() -> None:
    patient = draw_patient(5, "any", 0, HIGH)
    points = Grid(size=40, finer=1).points(20.0, thickness_mm=3.0)
    uneven = patient.head.uneven(points)
    depth = patient.head.depth(points, uneven)
    pushed = patient.tumour.pushed(points, depth)
    parts = patient.head.tissues(points, depth, pushed, patient.head.depth(pushed, uneven), 2.0)
    patient.tumour.grow(parts, points, depth, 2.0)
    total = np.add.reduce(list(parts.values()))
    assert min(float(part.min()) for part in parts.values()) >= -1e-5
    assert total.max() <= 1.0 + 1e-4
    assert total[depth > 4.0].min() >= 1.0 - 1e-4


def test_a_tumour_pushes_the_brain_aside_but_not_the_skull() -> None:
    patient = draw_patient(5, "any", 0, HIGH)
    points = Grid(size=40, finer=1).points(patient.tumour.centre[2], thickness_mm=0.0)
    depth = patient.head.depth(points, patient.head.uneven(points))
    pushed = patient.tumour.pushed(points, depth)
    moved = np.sqrt(sum((p - q) ** 2 for p, q in zip(points, pushed, strict=True)))
    assert moved[depth < 0.0].max() < 1e-3
    assert moved.max() > 2.0


def test_half_a_voxel_of_tumour_makes_it_tumour_and_what_prevails_names_it() -> None:
    def label(**parts: float) -> int:
        whole = {Tissue.WHITE: 0.0, Tissue.GREY: 0.0, Tissue.OEDEMA: 0.0}
        given = {Tissue[name]: part for name, part in parts.items()}
        return int(labels_of({tissue: np.array([part], np.float32) for tissue, part in (whole | given).items()})[0])

    assert label(WHITE=1.0) == 0
    assert label(WHITE=0.6, RIM=0.4) == 0
    assert label(WHITE=0.4, OEDEMA=0.6) == LABELS["oedema"]
    assert label(OEDEMA=0.4, RIM=0.35, NECROSIS=0.25) == LABELS["enhancing rim"]
    assert label(OEDEMA=0.4, RIM=0.25, NECROSIS=0.35) == LABELS["necrotic or non-enhancing core"]
    assert label(GREY=0.6, OEDEMA=0.4) == LABELS["oedema"]


def test_hospitals_are_unequal_and_the_smallest_sees_large_tumours() -> None:
    assert [hospital.patients for hospital in HOSPITALS] == [24, 14, 10, 8]
    assert HOSPITALS[-1].mix.radius_mm == max(hospital.mix.radius_mm for hospital in HOSPITALS)
    assert len({hospital.scanner for hospital in (*HOSPITALS, UNSEEN_HOSPITAL)}) == 5
    assert UNSEEN_HOSPITAL.scanner == UNSEEN


def test_a_source_gives_each_hospital_its_scanner_and_splits_by_patient() -> None:
    sites = phantom_brain(hospitals=["north", "far"], patients=[3, 2], size=24, slices=2, unseen=1)
    assert [(site.name, len(site.train), len(site.test)) for site in sites] == [
        ("north", 2, 1),
        ("far", 1, 1),
        ("beyond", 0, 1),
    ]
    assert [site.is_unseen for site in sites] == [False, False, True]
    assert all(site.is_shareable for site in sites)
    assert sites[0].columns == ("T1", "T1ce", "T2", "FLAIR")
    assert sites[0].train.images.shape == (4, 4, 24, 24)
    assert not set(sites[0].train.patients) & set(sites[0].test.patients)
    assert sites[1].train.images.max() > 2.0 * sites[0].train.images.max()
    assert (
        phantom_brain_unseen(patients=1, size=24, slices=2)[0].test.images.tobytes() == sites[2].test.images.tobytes()
    )


def test_parameters_that_cannot_be_are_refused() -> None:
    for parameters, code in (
        ({"patients": [1]}, "phantom-lists"),
        ({"scanners": ["ge-3t"]}, "phantom-lists"),
        ({"hospitals": ["a", "a"]}, "phantom-hospitals"),
        ({"hospitals": ["a"], "patients": [0]}, "phantom-patients"),
        ({"hospitals": ["a"], "scanners": ["x"]}, "phantom-scanner"),
        ({"hospitals": ["a"], "patients": [1], "size": 8}, "phantom-size"),
        ({"hospitals": ["a"], "patients": [1], "slices": 0}, "phantom-slices"),
        ({"hospitals": ["a"], "patients": [1], "seed": -1}, "phantom-seed"),
    ):
        with pytest.raises(Misuse) as caught:
            phantom_brain(**parameters)
        assert caught.value.code == code


def test_distances_are_right_where_they_are_known() -> None:
    def at(x: float, y: float, z: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return np.array([x], np.float32), np.array([y], np.float32), np.array([z], np.float32)

    assert ellipsoid(at(9, 0, 0), (0, 0, 0), (10, 20, 30))[0] == pytest.approx(0.9, abs=0.15)
    assert ellipsoid(at(0, 21, 0), (0, 0, 0), (10, 20, 30))[0] == pytest.approx(-1.05, abs=0.1)
    assert capsule(at(5, 3, 0), (0, 0, 0), (10, 0, 0), (1, 1))[0] == pytest.approx(-2.0, abs=1e-5)
    assert capsule(at(-4, 0, 0), (0, 0, 0), (10, 0, 0), (1, 2))[0] == pytest.approx(-3.0, abs=1e-5)
    assert cover(np.array([-1.0, 0.0, 0.25, 1.0], np.float32), 1.0).tolist() == [0.0, 0.5, 0.75, 1.0]


def test_a_volume_says_where_its_voxels_are() -> None:
    patient = draw_patient(2, "any", 0, HIGH)
    volumes, truth, affine = volume_of(patient, SCANNER, size=32, step_mm=8.0)
    assert volumes.shape[1:] == truth.shape
    tumour = np.argwhere(truth > 0).mean(axis=0)
    assert (affine @ np.append(tumour, 1.0))[:3] == pytest.approx(patient.tumour.centre, abs=14.0)
    assert np.sign((affine @ np.append(tumour, 1.0))[0]) == np.sign(patient.tumour.centre[0])


def test_phantoms_are_written_as_a_folder_that_can_be_read_as_any_other(tmp_path: Path) -> None:
    hospitals = [replace(HOSPITALS[0], patients=2), replace(HOSPITALS[1], patients=1)]
    assert write_phantoms(tmp_path / "phantoms", hospitals=hospitals, size=24, step_mm=12.0) == 3
    folder = tmp_path / "phantoms"
    image = read_volume(folder / "imagesTr" / "north-000_0003.nii.gz")
    mask = read_mask(folder / "labelsTr" / "north-000.nii.gz", LABELS)
    assert same_place(image, mask)
    sites = images(path=folder, sites=folder / "sites.csv")
    assert [(site.name, len(site.train) + len(site.test)) for site in sites] == [("north", 2), ("east", 1)]
    (tmp_path / "file").touch()
    with pytest.raises(Unreachable, match="cannot be written to"):
        write_phantoms(tmp_path / "file", hospitals=hospitals[1:], size=24, step_mm=20.0)
