"""Folders of NIfTI pairs as they come, and as they should not."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagiq.errors import BudgetSpent, ContractBroken, ImagiqError, Misuse, NotFound, Unreachable
from imagiq.imaging import cache
from imagiq.imaging.cache import kept, key_of
from imagiq.imaging.dataset import read_dataset, read_places
from imagiq.imaging.folder import images
from imagiq.imaging.nifti import Volume, write_mask, write_volume

AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
SHAPE = (6, 5, 4)


def write(folder: Path, inner: str, name: str, values: Any, affine: Any = AFFINE) -> None:
    (folder / inner).mkdir(parents=True, exist_ok=True)
    volume = Volume(array=np.asarray(values), affine=affine)
    (write_mask if inner == "labelsTr" else lambda path, _, like: write_volume(path, like))(
        folder / inner / f"{name}.nii.gz", volume.array, volume
    )


def describe(folder: Path, **told: Any) -> None:
    default = {
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": {"background": 0, "lesion": 1},
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(default | told))


@pytest.fixture
def nnunet(tmp_path: Path) -> Path:
    """A folder with four cases of two channels, as nnU-Net keeps them."""
    folder = tmp_path / "data"
    for number, name in enumerate(["amy", "bob", "cleo", "dan"]):
        for channel in range(2):
            write(folder, "imagesTr", f"{name}_{channel:04d}", np.full(SHAPE, 10.0 * number + channel))
        mask = np.zeros(SHAPE, np.uint8)
        mask[2:4, 2:4, number:] = 1
        write(folder, "labelsTr", name, mask)
    describe(folder)
    return folder


def test_a_folder_of_nnunet_is_one_site(nnunet: Path) -> None:
    (site,) = images(path=nnunet)
    assert site.name == "data"
    assert site.columns == ("T1", "T2")
    assert (len(site.train), len(site.test)) == (3, 1)
    assert site.train.images.shape == (12, 2, 5, 6)
    assert site.train.spacing_mm == (2.0, 2.0)
    assert site.train.labels == {"lesion": 1}
    assert not set(site.train.patients) & set(site.test.patients)
    assert not site.is_shareable


def test_a_table_says_which_patient_is_where_and_in_which_fold(nnunet: Path, tmp_path: Path) -> None:
    (tmp_path / "sites.csv").write_text("patient,site,fold\namy,north,0\nbob,north,1\ncleo,south,0\ndan,south,1\n")
    sites = images(path=nnunet, sites=tmp_path / "sites.csv", fold=1)
    assert [(site.name, set(site.train.patients), set(site.test.patients)) for site in sites] == [
        ("north", {"amy"}, {"bob"}),
        ("south", {"cleo"}, {"dan"}),
    ]


def test_two_cases_of_one_patient_stay_together(nnunet: Path, tmp_path: Path) -> None:
    (tmp_path / "sites.csv").write_text("case,patient,site\namy,1,x\nbob,1,x\ncleo,2,x\ndan,2,x\n")
    (site,) = images(path=nnunet, sites=tmp_path / "sites.csv", held_back=0.5)
    assert (len(site.train), len(site.test)) == (1, 1)
    assert len(site.train.images) == len(site.test.images) == 8


def test_without_a_table_it_is_told_that_each_case_counts_as_a_patient(nnunet: Path, tmp_path: Path) -> None:
    (site,) = images(path=nnunet)
    (told,) = [said for said in site.warnings if "each case counts as a patient" in said]
    assert not any(name in told for name in ("amy", "bob", "cleo", "dan"))
    (undivided,) = images(path=nnunet, held_back=0.0, validation=0.0)
    (tmp_path / "sites.csv").write_text("patient,site\namy,x\nbob,x\ncleo,x\ndan,x\n")
    (by_table,) = images(path=nnunet, sites=tmp_path / "sites.csv")
    assert not any("each case" in said for said in (*undivided.warnings, *by_table.warnings))


def test_each_folder_in_a_folder_is_a_site(nnunet: Path) -> None:
    shutil.copytree(nnunet, nnunet.parent / "all" / "east")
    shutil.copytree(nnunet, nnunet.parent / "all" / "west")
    assert [site.name for site in images(path=nnunet.parent / "all")] == ["east", "west"]


def test_sites_of_different_channels_or_sizes_are_refused(nnunet: Path) -> None:
    other = nnunet.parent / "all" / "west"
    shutil.copytree(nnunet, nnunet.parent / "all" / "east")
    shutil.copytree(nnunet, other)
    describe(other, channel_names={"0": "T1", "1": "FLAIR"})
    with pytest.raises(ContractBroken, match="'west' has other channels"):
        images(path=other.parent)


def test_the_decathlon_lists_pairs_of_four_dimensional_images(tmp_path: Path) -> None:
    (tmp_path / "imagesTr").mkdir()
    from imagiq.imaging.nifti import _nibabel

    for name in ("a", "b"):
        nib = _nibabel()
        nib.save(nib.Nifti1Image(np.ones((*SHAPE, 2), np.float32), AFFINE), tmp_path / "imagesTr" / f"{name}.nii.gz")
        write(tmp_path, "labelsTr", name, np.ones(SHAPE, np.uint8))
    describe(
        tmp_path,
        channel_names=None,
        modality={"0": "FLAIR", "1": "T1w"},
        labels={"0": "background", "1": "edema"},
        training=[{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in ("a", "b")],
    )
    told = json.loads((tmp_path / "dataset.json").read_text())
    del told["channel_names"]
    (tmp_path / "dataset.json").write_text(json.dumps(told))
    (site,) = images(path=tmp_path, plane="volume")
    assert site.columns == ("FLAIR", "T1w")
    assert site.train.images.shape == (1, 2, *SHAPE)
    assert site.train.spacing_mm == (2.0, 2.0, 3.0)
    assert site.train.labels == {"edema": 1}


def test_slices_are_chosen_and_brought_to_one_size(nnunet: Path) -> None:
    (site,) = images(path=nnunet, held_back=0.0, validation=0.0, least=1, shape=[8, 4])
    assert site.dropped == 0 + 1 + 2 + 3
    assert site.train.images.shape == (10, 2, 8, 4)
    (site,) = images(path=nnunet, every=4, spacing_mm=1.0)
    assert site.train.images.shape == (3, 2, 10, 12)
    assert site.train.spacing_mm == (1.0, 1.0)
    (site,) = images(path=nnunet, plane="volume", spacing_mm=2.0, shape=[4, 4, 4])
    assert site.train.images.shape == (3, 2, 4, 4, 4)


def test_leaving_out_all_slices_of_a_site_is_refused(nnunet: Path) -> None:
    with pytest.raises(Misuse) as caught:
        images(path=nnunet, least=5)
    assert caught.value.code == "slices-none"
    assert "the site 'data' has 5 labelled pixels: all 16" in caught.value.what


def test_regions_of_nnunet_are_taken_apart_into_labels(nnunet: Path) -> None:
    describe(nnunet, labels={"background": 0, "whole": [1, 2], "core": [2]}, regions_class_order=[1, 2])
    assert read_dataset(nnunet).labels == {"label 1": 1, "label 2": 2}


def test_an_empty_mask_is_allowed_and_told(nnunet: Path) -> None:
    write(nnunet, "labelsTr", "amy", np.zeros(SHAPE, np.uint8))
    (site,) = images(path=nnunet, held_back=0.0)
    assert "1 of 4 training patients have no labelled voxel in any image." in site.warnings


def _moved(folder: Path) -> None:
    affine = AFFINE.copy()
    affine[0, 3] = 1.0
    write(folder, "labelsTr", "bob", np.zeros(SHAPE, np.uint8), affine)


def _remove(*names: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return remove


BROKEN: list[tuple[str, Callable[[Path], Any], str, str]] = [
    ("images without masks", _remove("labelsTr/amy.nii.gz", "labelsTr/bob.nii.gz"), "dataset-masks", "2 of 4 images"),
    (
        "masks without images",
        _remove("imagesTr/amy_0000.nii.gz", "imagesTr/amy_0001.nii.gz"),
        "dataset-images",
        "1 masks",
    ),
    ("a channel is missing", _remove("imagesTr/amy_0001.nii.gz"), "dataset-channels", "1 of 4 cases"),
    (
        "other shape",
        lambda f: write(f, "labelsTr", "bob", np.zeros((6, 5, 3), np.uint8)),
        "images-shape-differs",
        "voxels",
    ),
    ("other affine", _moved, "images-affine-differs", "different places"),
    ("other label", lambda f: write(f, "labelsTr", "bob", np.full(SHAPE, 5, np.uint8)), "nifti-label", "the value 5"),
    ("NaN", lambda f: write(f, "imagesTr", "bob_0000", np.full(SHAPE, np.nan)), "nifti-not-finite", "120 of 120"),
    ("a strange name", lambda f: write(f, "imagesTr", "bob", np.zeros(SHAPE)), "dataset-name", "not called CASE_0000"),
    ("a third channel", lambda f: write(f, "imagesTr", "bob_0002", np.zeros(SHAPE)), "dataset-name", "2 channels"),
    ("no table", _remove("dataset.json"), "dataset-missing", "dataset.json"),
    ("no JSON", lambda f: (f / "dataset.json").write_text("{"), "dataset-form", "not JSON"),
    ("a list", lambda f: (f / "dataset.json").write_text("[]"), "dataset-form", "no table"),
    ("no channels", lambda f: describe(f, channel_names={}), "dataset-form", "channel_names"),
    ("channels from 1", lambda f: describe(f, channel_names={"1": "T1"}), "dataset-form", "numbered from 0"),
    ("no labels", lambda f: describe(f, labels={"background": 0}), "dataset-form", "labels"),
    ("labels twice", lambda f: describe(f, labels={"a": 1, "b": 1}), "dataset-form", "each once"),
    ("a label of text", lambda f: describe(f, labels={"a": "x"}), "dataset-form", "neither"),
    (
        "a pair outside",
        lambda f: describe(f, training=[{"image": "../x.nii.gz", "label": "../y.nii.gz"}]),
        "dataset-form",
        "outside",
    ),
    ("a label numbered by no digit", lambda f: describe(f, labels={"²": "lesion"}), "dataset-form", "neither"),
    (
        "two numbers of one label",
        lambda f: describe(f, labels={"1": "lesion", "2": "lesion"}),
        "dataset-form",
        "one label",
    ),
    (
        "a channel without a name",
        lambda f: describe(f, channel_names={"0": None, "1": "T2"}),
        "dataset-form",
        "no name",
    ),
    (
        "a file with NUL",
        lambda f: describe(f, training=[{"image": "\0", "label": "y"}]),
        "dataset-form",
        "cannot be a file",
    ),
    (
        "a surrogate",
        lambda f: describe(f, training=[{"image": "\ud800", "label": "y"}]),
        "dataset-form",
        "cannot be a file",
    ),
    (
        "a name too long",
        lambda f: describe(f, training=[{"image": "a" * 999, "label": "y"}]),
        "dataset-form",
        "cannot be a file",
    ),
    ("a channel of no digit", lambda f: write(f, "imagesTr", "bob_²", np.zeros(SHAPE)), "dataset-name", "CASE_0000"),
    ("a fifo", lambda f: os.mkfifo(f / "imagesTr" / "eve_0000.nii.gz"), "dataset-name", "no file"),
    ("twice", lambda f: (f / "labelsTr" / "bob.nii").write_bytes(b""), "dataset-twice", "1 images"),
    ("half a pair", lambda f: describe(f, training=[{"image": "x.nii.gz"}]), "dataset-form", "no label"),
]


@pytest.mark.parametrize(("breaking", "code", "words"), [each[1:] for each in BROKEN], ids=[each[0] for each in BROKEN])
def test_a_folder_that_is_not_right_is_refused_with_words(
    breaking: Callable[[Path], Any], code: str, words: str, nnunet: Path
) -> None:
    breaking(nnunet)
    with pytest.raises(ImagiqError) as caught:
        images(path=nnunet)
    assert caught.value.code == code
    assert words in str(caught.value)
    if not code.startswith(("images-", "nifti-")):
        assert not any(name in str(caught.value) for name in ("amy", "bob", "cleo", "dan"))


TABLES = [
    ("patient,site\namy,x\nbob,x\ncleo,x\n", "sites-incomplete"),
    ("patient,site\namy,x\namy,x\n", "sites-twice"),
    ("case,patient,site\namy,1,x\nbob,1,y\n", "split-patient-twice"),
    ("case,patient,site,fold\namy,1,x,0\nbob,1,x,1\n", "split-patient-twice"),
    ("patient,hospital\namy,x\n", "sites-columns"),
    ("patient,site\namy,\n", "sites-cell"),
    ("patient,site,fold\namy,x,y\n", "sites-cell"),
    ("patient,site\n", "sites-empty"),
    ("patient,site\n\xff", "sites-format"),
    ("patient;site\namy;x\n", "sites-columns"),
    ("patient,site,site\namy,x,x\n", "sites-columns"),
    ("patient,site,fold\namy,x,--1\n", "sites-cell"),
    ("patient,site,fold\namy,x,\xb2\n", "sites-format"),
    (f"patient,site,fold\namy,x,{'9' * 5000}\n", "sites-cell"),
]


@pytest.mark.parametrize(("text", "code"), TABLES)
def test_a_table_of_sites_that_is_not_right_is_refused_without_a_name(text: str, code: str, nnunet: Path) -> None:
    (nnunet / "sites.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(ContractBroken) as caught:
        images(path=nnunet, sites=nnunet / "sites.csv")
    assert caught.value.code == code
    assert "amy" not in str(caught.value)


def test_lines_of_nothing_but_commas_in_a_table_are_passed_over(nnunet: Path) -> None:
    table = "patient,site\n,\n" + "".join(f"{name},x\n" for name in ("amy", "bob", "cleo", "dan")) + ",\n  \n"
    (nnunet / "sites.csv").write_text(table)
    assert len(read_places(nnunet / "sites.csv")) == 4


def test_pairs_listed_as_nnunet_1_lists_them_are_found_by_channel(nnunet: Path) -> None:
    pairs = [
        {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
        for name in ("amy", "bob", "cleo", "dan")
    ]
    describe(nnunet, training=pairs)
    (site,) = images(path=nnunet)
    assert site.train.images.shape[1] == 2


def test_what_nnunet_ignores_is_no_label(nnunet: Path) -> None:
    describe(nnunet, labels={"background": 0, "lesion": 1, "ignore": 2})
    assert dict(read_dataset(nnunet).labels) == {"lesion": 1}
    write(nnunet, "labelsTr", "bob", np.full(SHAPE, 2, np.uint8))
    with pytest.raises(ContractBroken, match="the value 2"):
        images(path=nnunet)


def test_an_image_that_would_grow_beyond_all_measure_is_refused(nnunet: Path) -> None:
    with pytest.raises(BudgetSpent, match=r"would grow to .* GiB"):
        images(path=nnunet, plane="volume", spacing_mm=0.01)
    for spacing_mm in (1e-9, 1e9, float("nan")):
        with pytest.raises(Misuse, match="cannot be"):
            images(path=nnunet, spacing_mm=spacing_mm)


def test_a_split_cannot_be_drawn_from_a_negative_seed(nnunet: Path) -> None:
    with pytest.raises(Misuse, match="from the seed -1"):
        images(path=nnunet, seed=-1)


def test_what_is_not_there_or_cannot_be_read_is_told(nnunet: Path) -> None:
    with pytest.raises(NotFound):
        images(path=nnunet / "elsewhere")
    with pytest.raises(NotFound):
        read_places(nnunet / "sites.csv")
    with pytest.raises(Unreachable):
        read_places(nnunet / "imagesTr")
    for inner in ("imagesTr", "labelsTr"):
        shutil.rmtree(nnunet / inner)
        (nnunet / inner).mkdir()
    with pytest.raises(ContractBroken, match="holds no images"):
        images(path=nnunet)


def test_images_of_different_sizes_need_to_be_told_one(nnunet: Path) -> None:
    for channel in range(2):
        write(nnunet, "imagesTr", f"amy_{channel:04d}", np.zeros((7, 5, 4)))
    write(nnunet, "labelsTr", "amy", np.zeros((7, 5, 4), np.uint8))
    with pytest.raises(ContractBroken, match="'spacing_mm' and 'shape'"):
        images(path=nnunet)
    assert images(path=nnunet, shape=[6, 6])[0].train.images.shape[2:] == (6, 6)


def test_volumes_have_no_slices_to_choose(nnunet: Path) -> None:
    for wrong in ({"every": 2}, {"least": 1}, {"shape": [4, 4]}, {"spacing_mm": -1.0}):
        with pytest.raises(Misuse):
            images(path=nnunet, plane="volume", **wrong)


def test_what_was_prepared_is_found_again_until_files_or_preparation_change(nnunet: Path, tmp_path: Path) -> None:
    place = tmp_path / "cache"
    (first,) = images(path=nnunet, cache=place)
    assert len(list(place.iterdir())) == 4
    (again,) = images(path=nnunet, cache=place)
    assert np.array_equal(first.train.images, again.train.images)
    images(path=nnunet, cache=place, every=2)
    assert len(list(place.iterdir())) == 8
    write(nnunet, "imagesTr", "amy_0000", np.full(SHAPE, 99.0))
    (changed,) = images(path=nnunet, cache=place, held_back=0.0)
    assert changed.train.images.max() == 99.0
    for kept_file in place.iterdir():
        kept_file.write_bytes(kept_file.read_bytes()[:-30])
    assert np.array_equal(images(path=nnunet, cache=place, held_back=0.0)[0].train.images, changed.train.images)


def test_a_change_of_any_module_that_prepares_or_of_a_library_makes_other_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Path(cache.__file__).parent
    copies = [tmp_path / name for name in ("same", "changed", "newer")]
    for copy in copies:
        shutil.copytree(room, copy)
    (copies[1] / "slicing.py").write_text((room / "slicing.py").read_text() + "\n# changed\n")
    same, changed = (cache.code_of(copy) for copy in copies[:2])
    assert same == cache.code_of(room)
    monkeypatch.setattr(cache, "version", lambda library: "99" if library == "scipy" else "1")
    assert len({same, changed, cache.code_of(copies[2])}) == 3
    before = key_of([], "")
    monkeypatch.setattr(cache, "code_of", lambda _: changed)
    assert key_of([], "") != before


SHARING = """
import sys
from pathlib import Path
import numpy as np
from imagiq.imaging.cache import kept
arrays = {"images": np.ones(200_000)}
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    Path(sys.argv[1], f"{number}.npz").unlink(missing_ok=True)
    assert kept(Path(sys.argv[1]), f"{number}", lambda: arrays)["images"].sum() == 200_000
"""


def test_threads_share_a_cache(tmp_path: Path) -> None:
    arrays, together = {"images": np.ones(100_000)}, threading.Barrier(6)

    def ask(_: int) -> float:
        together.wait()
        return float(sum(kept(tmp_path / "cache", f"{key}", lambda: arrays)["images"].sum() for key in range(5)))

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(ask, range(6))) == [500_000.0] * 6
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [f"{key}.npz" for key in range(5)]


@pytest.mark.process
@pytest.mark.slow
def test_processes_share_a_cache(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        others = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", SHARING, str(tmp_path)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(3)
        ]
        for other in others:
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
        said = [other.communicate("go\n", timeout=60)[1] for other in others]
    assert said == [""] * 3


def test_a_cache_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unreachable):
        kept(tmp_path / "file", "key", dict)
    with pytest.raises(Unreachable):
        key_of([tmp_path / "missing"], "")
