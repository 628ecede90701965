"""Evaluating and predicting with the models of a repository."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imagiq
from imagiq.errors import ContractBroken, Misuse, NotFound, Refused, Unsupported
from imagiq.face import Repository
from imagiq.imaging.grid import Grid
from imagiq.imaging.nifti import Volume, read_mask, read_volume, write_volume
from imagiq.learning import JSON, Initial
from imagiq.simulation import SiteCases, simulate
from imagiq.site.evaluating import Evaluation
from imagiq.site.predicting import Drawn
from tests.simulation.drawings import LABELS, TASK, Keeps, Threshold, drawings, wards_that_draw
from tests.simulation.wards import cases_of, scenario, write_file


class OnItsGrid(Threshold):
    """A learner whose task says on what grid images lie."""

    def initial(self, seed: int) -> Initial:
        grid: JSON = {"plane": "axial", "spacing_mm": "2.0", "shape": [24, 24]}
        return replace(super().initial(seed), preprocessing={"images": grid})


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a simulation left in which sites learned to draw, with and without a grid in the task."""
    folder = tmp_path_factory.mktemp("drawn")
    for name, learner in (("plain", Threshold), ("gridded", OnItsGrid), ("kept", Keeps)):
        simulate(
            scenario("local", "fedavg", task=TASK),
            cases=wards_that_draw(),
            learners={"threshold": learner},
            folder=folder / name,
        )
    return folder


@pytest.fixture
def plain(drawn: Path) -> Iterator[Repository]:
    with imagiq.open(drawn / "plain/east") as repository:
        yield repository


@pytest.fixture
def gridded(drawn: Path) -> Iterator[Repository]:
    with imagiq.open(drawn / "gridded/east") as repository:
        yield repository


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A bright box with a brighter core, stored from left to right with rows that run backwards."""
    array = np.zeros((48, 40, 6))
    array[10:30, 12:28, 1:5] = 1.6
    array[14:20, 16:22, 2:4] = 3.2
    affine = np.diag([-1.0, 1.0, 3.0, 1.0])
    affine[:3, 3] = (20.0, -30.0, 7.0)
    write_volume(tmp_path / "image.nii.gz", Volume(array=array, affine=affine))
    return tmp_path / "image.nii.gz"


# --------------------------------------------------------------------------------------------------- evaluate


def test_what_is_evaluated_again_is_what_the_simulation_measured(tmp_path: Path) -> None:
    cases = cases_of()
    outcome = simulate(scenario("local", "fedavg"), cases=cases, folder=tmp_path / "left")
    with imagiq.open(tmp_path / "left/east") as repository:
        for way in outcome.ways:
            for result in way.sites:
                if result.site == "east":
                    assert result.model is not None
                    found = repository.evaluate(result.model, cases)
                    mine = {one.site: one for one in found.sites}["east"]
                    assert mine.of["auc"] is not None
                    assert result.score["auc"] is not None
                    assert mine.of["auc"].point == pytest.approx(result.score["auc"].point, abs=1e-12)
                    assert mine.patients == len(cases["east"].held_back)


def test_masks_are_scored_by_region_and_site(plain: Repository) -> None:
    found = plain.evaluate("fedavg", wards_that_draw(), learner=Threshold())
    assert [one.site for one in found.sites] == ["east", "north", "west", "beyond"]
    assert [measure.name for measure in found.sites[0].measures] == ["dice", "dice whole", "dice core"]
    assert all(one.of["dice"] is not None and one.of["dice"].point > 0.3 for one in found.sites)


def test_each_part_of_the_cases_can_be_asked_for(plain: Repository) -> None:
    cases = wards_that_draw()

    def patients(part: str) -> list[int]:
        return [one.patients for one in plain.evaluate("fedavg", cases, part=part, learner=Threshold()).sites]

    held, trained, both = patients("held-back"), patients("training"), patients("all")
    assert held == [5, 5, 5, 7]
    assert trained == [6, 6, 6, 1]
    assert both == [a + b for a, b in zip(held, trained, strict=True)]
    with pytest.raises(Misuse, match="no part 'some'"):
        plain.evaluate("fedavg", cases, part="some", learner=Threshold())


def test_without_cases_that_is_said(plain: Repository) -> None:
    with pytest.raises(NotFound) as caught:
        plain.evaluate("fedavg", {"a": SiteCases(training=drawings(1, 1), held_back=drawings(0, 1))})
    assert caught.value.code == "evaluate-no-cases"


def test_a_patient_who_is_trained_on_and_held_back_is_refused_without_a_name() -> None:
    with pytest.raises(ContractBroken) as caught:
        SiteCases(training=drawings(3, 1), held_back=drawings(2, 1))
    assert caught.value.code == "split-patient-twice"
    assert caught.value.what == "2 patients are both trained on and held back."


def test_nothing_is_recorded(drawn: Path, plain: Repository) -> None:
    files = {path: path.stat().st_mtime_ns for path in (drawn / "plain/east").rglob("*") if path.is_file()}
    plain.evaluate("fedavg", wards_that_draw(), learner=Threshold())
    assert files == {path: path.stat().st_mtime_ns for path in (drawn / "plain/east").rglob("*") if path.is_file()}


def test_other_columns_are_refused_with_the_one_that_differs(tmp_path: Path) -> None:
    file = write_file(tmp_path)
    simulate(file, folder=tmp_path / "left")
    swapped = tmp_path / "swapped.toml"
    swapped.write_text(file.read_text().replace('["age", "pulse"]', '["pulse", "age"]'))
    with imagiq.open(tmp_path / "left/east") as repository:
        assert isinstance(repository.evaluate("fedavg", file), Evaluation)
        with pytest.raises(Refused, match="'pulse' stands where it takes 'age'"):
            repository.evaluate("fedavg", swapped)


def test_a_model_of_no_study_is_applied_by_a_study_whose_models_are_like_it_or_by_none(tmp_path: Path) -> None:
    file = write_file(tmp_path)
    simulate(file, folder=tmp_path / "left")
    with imagiq.open(tmp_path / "left/east", read_only=False) as repository:
        repository.checkout("fedavg", tmp_path / "model.safetensors")
        brought = repository.import_model(tmp_path / "model.safetensors")
        one, other = repository.evaluate("fedavg", file), repository.evaluate(brought, file)
        assert one.sites == other.sites
        from safetensors.numpy import save_file

        save_file({"thing": np.zeros(3, np.float32)}, tmp_path / "strange.safetensors")
        with pytest.raises(NotFound) as caught:
            repository.evaluate(repository.import_model(tmp_path / "strange.safetensors"), file)
        assert caught.value.code == "model-no-task"


def test_a_task_whose_learner_is_not_installed_is_told(plain: Repository) -> None:
    with pytest.raises(Unsupported) as caught:
        plain.evaluate("fedavg", wards_that_draw())
    assert caught.value.code == "learner-unknown"


# ---------------------------------------------------------------------------------------------------- predict


def test_a_mask_lies_exactly_over_the_image_it_was_drawn_on(plain: Repository, image: Path, tmp_path: Path) -> None:
    done = plain.predict("fedavg", image, tmp_path / "mask.nii.gz", learner=Threshold())
    assert isinstance(done, Drawn)
    volume, mask = read_volume(image), read_mask(tmp_path / "mask.nii.gz", LABELS)
    assert np.array_equal(mask.affine, volume.affine)
    low, high = plain.weights("fedavg")["thresholds"]
    assert np.array_equal(mask.array, (volume.array >= low).astype(np.uint8) + (volume.array >= high))
    assert mask.array.any()
    nibabel: Any = import_module("nibabel")
    stored = [nibabel.load(path) for path in (image, tmp_path / "mask.nii.gz")]
    assert stored[0].shape == stored[1].shape
    assert np.array_equal(stored[0].affine, stored[1].affine)


def test_a_model_draws_with_what_stays_of_it_at_its_site(drawn: Path, plain: Repository, image: Path) -> None:
    with imagiq.open(drawn / "kept/east") as repository:
        done = repository.predict("fedavg", image, learner=Keeps())
    assert isinstance(done, Drawn)
    assert not any("BatchNorm" in warning for warning in done.warnings)
    same = plain.predict("fedavg", image, learner=Threshold())
    assert isinstance(same, Drawn)
    assert done.mask.array.any()
    assert np.array_equal(done.mask.array, same.mask.array)


def test_labels_are_counted_in_voxels_and_millilitres(plain: Repository, image: Path) -> None:
    done = plain.predict("fedavg", image, learner=Threshold())
    assert isinstance(done, Drawn)
    assert {label.name: label.number for label in done.labels} == LABELS
    for label in done.labels:
        assert label.voxels == int((done.mask.array == label.number).sum())
        assert label.ml == pytest.approx(label.voxels * 3.0 / 1000)


def test_where_the_study_names_no_grid_that_is_said(plain: Repository, gridded: Repository, image: Path) -> None:
    assert "names no grid" in plain.predict("fedavg", image, learner=Threshold()).warnings[0]
    asked = plain.predict("fedavg", image, grid=Grid(plane="coronal", spacing_mm=1.0), learner=Threshold())
    assert asked.warnings == ()
    assert gridded.predict("fedavg", image, learner=OnItsGrid()).warnings == ()


def test_the_image_is_brought_to_the_grid_of_the_schema_and_the_mask_back(gridded: Repository, image: Path) -> None:
    done = gridded.predict("fedavg", image, learner=OnItsGrid())
    assert isinstance(done, Drawn)
    assert done.grid == Grid(plane="axial", spacing_mm=2.0, shape=(24, 24))
    volume = read_volume(image)
    assert done.mask.array.shape == volume.array.shape
    truth = volume.array >= gridded.weights("fedavg")["thresholds"][0]
    found = done.mask.array > 0
    assert 2 * (truth & found).sum() / (truth.sum() + found.sum()) > 0.85


def test_another_grid_than_the_models_is_refused_with_both(gridded: Repository, image: Path) -> None:
    with pytest.raises(Misuse) as caught:
        gridded.predict("fedavg", image, grid=Grid(plane="axial", spacing_mm=1.0), learner=OnItsGrid())
    assert caught.value.what == (
        "The model takes axial slices of 24 x 24 pixels of 2 mm; axial slices of 1 mm was asked for."
    )


def test_volumes_are_not_drawn_on_by_a_model_of_slices(plain: Repository, image: Path) -> None:
    with pytest.raises(Misuse, match="takes slices; volumes was asked for"):
        plain.predict("fedavg", image, grid=Grid(plane="volume"), learner=Threshold())


def test_channels_are_named(plain: Repository, image: Path) -> None:
    by_name = plain.predict("fedavg", {"FLAIR": image}, learner=Threshold())
    assert isinstance(by_name, Drawn)
    with pytest.raises(Misuse, match="The model takes 1 channels: FLAIR; 'T9' is none of these"):
        plain.predict("fedavg", {"T9": image}, learner=Threshold())


def test_nan_voxels_are_refused(plain: Repository, tmp_path: Path) -> None:
    array = np.zeros((4, 4, 4))
    array[0, 0, 0] = np.nan
    write_volume(tmp_path / "bad.nii.gz", Volume(array=array, affine=np.eye(4)))
    with pytest.raises(ContractBroken, match="NaN, infinite"):
        plain.predict("fedavg", tmp_path / "bad.nii.gz", learner=Threshold())


def test_a_model_that_knows_no_images_is_refused(tmp_path: Path, image: Path) -> None:
    simulate(scenario("local"), cases=cases_of(), folder=tmp_path / "left")
    with imagiq.open(tmp_path / "left/east") as repository:
        with pytest.raises(Misuse, match="takes 4 channels"):
            repository.predict("local@east", [image, image])
        with pytest.raises(Unsupported, match="neither draws masks nor tells classes"):
            repository.predict("local@east", [image] * 4)
