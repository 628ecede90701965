"""Reading and writing NIfTI, with nibabel as the reference."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from importlib import import_module
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagiq.errors import BudgetSpent, ContractBroken, Corrupt, ImagiqError, Misuse, NotFound, Unreachable, Unsupported
from imagiq.imaging import nifti
from imagiq.imaging.nifti import (
    Volume,
    read_mask,
    read_volume,
    read_volumes,
    same_place,
    write_mask,
    write_volume,
)

nib: Any = import_module("nibabel")  # most of it has no types

BUNDLE = Path(__file__).parents[3] / "shared" / "data" / "nifti_bundle"
ORIENTATIONS = [
    np.array([[axis, flip] for axis, flip in zip(axes, flips, strict=True)], dtype=float)
    for axes in permutations(range(3))
    for flips in product((-1, 1), repeat=3)
]
AFFINE = np.array([[1.5, 0.1, 0.0, -20.0], [-0.1, 1.5, 0.2, 7.0], [0.0, -0.3, 4.0, 3.0], [0.0, 0.0, 0.0, 1.0]])


def array() -> np.ndarray[Any, Any]:
    return np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)


def saved(path: Path, values: np.ndarray[Any, Any], affine: np.ndarray[Any, Any] = AFFINE, *, version: int = 1) -> Path:
    kind: Any = nib.nifti1.Nifti1Image if version == 1 else nib.nifti2.Nifti2Image
    nib.save(kind(values, affine), path)
    return path


@pytest.mark.parametrize(
    "orientation", ORIENTATIONS, ids=lambda each: "".join(map("".join, nib.orientations.ornt2axcodes(each)))
)
def test_a_mask_lies_over_its_image_whichever_way_the_file_is_turned(orientation: Any, tmp_path: Path) -> None:
    turned = nib.Nifti1Image(array(), AFFINE).as_reoriented(orientation)
    nib.save(turned, tmp_path / "image.nii.gz")
    volume = read_volume(tmp_path / "image.nii.gz")
    reference = nib.as_closest_canonical(turned)
    assert np.array_equal(volume.array, reference.get_fdata())
    assert np.allclose(volume.affine, reference.affine)
    assert nib.aff2axcodes(volume.affine) == ("R", "A", "S")
    mask = (volume.array % 3).astype(np.uint8)
    write_mask(tmp_path / "mask.nii.gz", mask, volume)
    written = nib.load(tmp_path / "mask.nii.gz")
    assert written.shape == turned.shape
    assert np.array_equal(written.affine, nib.load(tmp_path / "image.nii.gz").affine)
    assert np.array_equal(written.get_fdata(), turned.get_fdata() % 3)
    again = read_mask(tmp_path / "mask.nii.gz", {"one": 1, "two": 2})
    assert same_place(again, volume)
    assert np.array_equal(again.array, mask)


def test_there_are_48_orientations() -> None:
    assert len({tuple(map(tuple, each)) for each in ORIENTATIONS}) == 48


def test_spacing_is_told_in_the_order_of_the_axes_that_are_given_back(tmp_path: Path) -> None:
    affine = np.array([[0.0, 0.0, 3.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    volume = read_volume(saved(tmp_path / "image.nii", array(), affine))
    assert volume.spacing_mm == (3.0, 1.0, 2.0)
    assert volume.array.shape == (5, 3, 4)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_both_versions_and_codes_are_kept_and_nothing_that_tells_of_the_patient(
    version: int, suffix: str, tmp_path: Path
) -> None:
    kind: Any = nib.nifti1.Nifti1Image if version == 1 else nib.nifti2.Nifti2Image
    image = kind(array(), AFFINE)
    image.header["descrip"] = b"Jane Doe"
    image.header["aux_file"] = b"born 1960"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Jane Doe"))
    image.set_sform(AFFINE, 4)
    image.set_qform(np.diag([2.0, 2.0, 2.0, 1.0]), 1)
    nib.save(image, tmp_path / f"image{suffix}")
    write_mask(tmp_path / f"mask{suffix}", np.zeros((3, 4, 5), np.uint8), read_volume(tmp_path / f"image{suffix}"))
    written: Any = nib.load(tmp_path / f"mask{suffix}")
    assert type(written) is kind
    assert [int(written.header[name]) for name in ("sform_code", "qform_code")] == [4, 1]
    assert np.array_equal(written.get_qform(), nib.load(tmp_path / f"image{suffix}").get_qform())
    assert written.get_data_dtype() == np.uint8
    content = (tmp_path / f"mask{suffix}").read_bytes()
    content = gzip.decompress(content) if suffix.endswith("gz") else content
    assert b"Jane" not in content
    assert b"1960" not in content


def test_the_same_mask_is_written_as_the_same_bytes(tmp_path: Path) -> None:
    volume = read_volume(saved(tmp_path / "image.nii.gz", array()))
    for name in ("a.nii.gz", "b.nii.gz"):
        write_mask(tmp_path / name, np.ones((3, 4, 5)), volume)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nii.gz", "b.nii.gz", "image.nii.gz"]


def test_slope_and_intercept_byte_order_and_a_single_fourth_place_are_read_right(tmp_path: Path) -> None:
    stored = array().astype(np.int16)
    image = nib.Nifti1Image(stored, AFFINE)
    image.header.set_slope_inter(0.5, -10.0)
    nib.save(image, tmp_path / "slope.nii")
    assert np.array_equal(read_volume(tmp_path / "slope.nii").array, nib.load(tmp_path / "slope.nii").get_fdata())
    big = nib.Nifti1Image(stored, AFFINE, nib.Nifti1Header(endianness=">"))
    big.header.set_data_dtype(">i2")
    nib.save(big, tmp_path / "big.nii.gz")
    assert np.array_equal(read_volume(tmp_path / "big.nii.gz").array, stored)
    write_mask(tmp_path / "mask.nii.gz", np.zeros(stored.shape), read_volume(tmp_path / "big.nii.gz"))
    assert np.array_equal(nib.load(tmp_path / "mask.nii.gz").affine, nib.load(tmp_path / "big.nii.gz").affine)
    assert np.array_equal(read_volume(saved(tmp_path / "four.nii", stored[..., None])).array, stored)


def test_a_file_of_four_dimensions_is_read_as_volumes(tmp_path: Path) -> None:
    path = saved(tmp_path / "four.nii.gz", np.stack([array(), 2 * array()], -1))
    volumes = read_volumes(path)
    assert [float(volume.array.max()) for volume in volumes] == [59.0, 118.0]
    with pytest.raises(Unsupported, match="2 volumes"):
        read_volume(path)
    with pytest.raises(Unsupported, match="2 volumes"):
        read_mask(path, {"x": 1})


def test_a_volume_that_came_from_no_file_is_written_as_it_lies(tmp_path: Path) -> None:
    write_volume(tmp_path / "new.nii.gz", Volume(array=array(), affine=AFFINE))
    found = read_volume(tmp_path / "new.nii.gz")
    assert np.array_equal(found.array, array())
    assert np.allclose(found.affine, AFFINE)


def test_places_are_the_same_up_to_a_tenth_of_a_voxel() -> None:
    one = Volume(array=array(), affine=AFFINE)
    near, far = AFFINE.copy(), AFFINE.copy()
    near[0, 3] += 0.1
    far[0, 3] += 0.3
    assert same_place(one, Volume(array=array(), affine=near))
    assert not same_place(one, Volume(array=array(), affine=far))
    assert not same_place(one, Volume(array=array()[:2], affine=AFFINE))


def test_a_mask_of_whole_numbers_in_the_map_is_read_and_may_be_empty(tmp_path: Path) -> None:
    values = np.zeros((3, 4, 5), np.float32)
    assert not read_mask(saved(tmp_path / "empty.nii", values), {"tumour": 2}).array.any()
    values[0, 0, 0] = 2.0
    assert read_mask(saved(tmp_path / "mask.nii", values), {"tumour": 2}).array.dtype == np.uint8
    for stray in (1.0, 2.5, -1.0, np.nan, 300.0):
        values[1, 1, 1] = stray
        with pytest.raises(ContractBroken, match="not in the label map") as caught:
            read_mask(saved(tmp_path / "stray.nii", values), {"tumour": 2})
        assert caught.value.code == "nifti-label"


def test_numbers_of_a_mask_that_miss_whole_ones_by_rounding_are_taken_for_them(tmp_path: Path) -> None:
    marks = np.zeros((3, 3, 3), np.float32)
    marks[0, 0, :2] = (np.float32(1.0000001), np.float32(1.9999))
    path = saved(tmp_path / "mask.nii.gz", marks)
    with pytest.raises(ContractBroken, match=r"the value 1\.99989"):
        read_mask(path, {"one": 1, "two": 2})
    marks[0, 0, 1] = 1.9999999
    found = read_mask(saved(path, marks), {"one": 1, "two": 2}).array
    assert found[0, 0].tolist() == [1, 2, 0]


def test_numbers_beyond_float32_are_refused_as_such(tmp_path: Path) -> None:
    with pytest.raises(ContractBroken, match=r"1 of 8 voxels of image\.nii are NaN, infinite, or too large"):
        read_volume(saved(tmp_path / "image.nii", np.array([1e300, *[0.0] * 7]).reshape(2, 2, 2)))


def test_voxels_that_are_no_numbers_are_counted_and_refused(tmp_path: Path) -> None:
    values = array()
    values[0, 0, :2] = np.nan, np.inf
    with pytest.raises(ContractBroken, match="2 of 60 voxels") as caught:
        read_volume(saved(tmp_path / "bad.nii.gz", values))
    assert caught.value.code == "nifti-not-finite"


def field(name: str, value: Any) -> Callable[[bytes], bytes]:
    """Return what sets a field of a header, whatever it may be."""

    def change(content: bytes) -> bytes:
        header = nib.Nifti1Header(content[:348], check=False)
        header[name] = value
        return bytes(header.binaryblock) + content[348:]

    return change


HOSTILE: list[tuple[str, Callable[[bytes], bytes], type[ImagiqError], str]] = [
    ("cut off", lambda c: c[:-1], Corrupt, "nifti-short"),
    ("cut off in its header", lambda c: c[:100], Corrupt, "nifti-form"),
    ("empty", lambda c: b"", Corrupt, "nifti-form"),
    ("too long", lambda c: c + b"x", Corrupt, "nifti-long"),
    ("something else", lambda c: b"x" * len(c), Corrupt, "nifti-form"),
    ("a pair of files", field("magic", b"ni1"), Corrupt, "nifti-form"),
    ("no dimensions", field("dim", [0] * 8), Corrupt, "nifti-form"),
    ("more dimensions than there are", field("dim", [99, 3, 4, 5, 1, 1, 1, 1]), Corrupt, "nifti-form"),
    ("negative dimensions", field("dim", [3, -3, 4, 5, 1, 1, 1, 1]), Corrupt, "nifti-form"),
    ("huge", field("dim", [3, 32767, 32767, 32767, 1, 1, 1, 1]), BudgetSpent, "nifti-size"),
    ("two dimensions", field("dim", [2, 3, 20, 1, 1, 1, 1, 1]), Unsupported, "nifti-dimensions"),
    ("five dimensions", field("dim", [5, 3, 2, 2, 1, 5, 1, 1]), Unsupported, "nifti-dimensions"),
    ("voxels before the header's end", field("vox_offset", 100.0), Corrupt, "nifti-form"),
    ("voxels far away", field("vox_offset", 1e9), Corrupt, "nifti-form"),
    ("voxels nowhere", field("vox_offset", np.nan), Corrupt, "nifti-form"),
    ("an unknown kind of voxel", field("datatype", 4242), Corrupt, "nifti-form"),
    ("complex voxels", field("datatype", 32), Unsupported, "nifti-voxels"),
    ("colours", field("datatype", 128), Unsupported, "nifti-voxels"),
    (
        "no orientation",
        lambda c: field("sform_code", 0)(field("qform_code", 0)(c)),
        ContractBroken,
        "nifti-orientation",
    ),
    ("a flat affine", field("srow_x", [0, 0, 0, 0]), ContractBroken, "nifti-orientation"),
    ("an affine that is no number", field("srow_x", [np.nan, 0, 0, 0]), ContractBroken, "nifti-orientation"),
    ("axes that are one", field("srow_y", [1.5, 0.1, 0.0, 0.0]), ContractBroken, "nifti-orientation"),
    ("metres", field("xyzt_units", 1), Unsupported, "nifti-units"),
]


@pytest.mark.parametrize(("change", "kind", "code"), [each[1:] for each in HOSTILE], ids=[each[0] for each in HOSTILE])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_file_that_is_not_right_is_refused_with_words(
    suffix: str, change: Callable[[bytes], bytes], kind: type[ImagiqError], code: str, tmp_path: Path
) -> None:
    content = change(saved(tmp_path / "good.nii", array()).read_bytes())
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    with pytest.raises(kind) as caught:
        read_volume(path)
    assert caught.value.code == code


def test_a_gzip_stream_that_is_damaged_or_goes_on_for_ever_is_refused(tmp_path: Path) -> None:
    content = saved(tmp_path / "good.nii", array()).read_bytes()
    packed = gzip.compress(content)
    for broken in (packed[:-5], packed[:40] + b"\0\0\0\0" + packed[44:], b"not gzip at all", packed[:-4] + b"abcd"):
        (tmp_path / "bad.nii.gz").write_bytes(broken)
        with pytest.raises(Corrupt) as caught:
            read_volume(tmp_path / "bad.nii.gz")
        assert caught.value.code in {"nifti-gzip", "nifti-form"}
    bomb = gzip.compress(content + bytes(50_000_000))
    (tmp_path / "bomb.nii.gz").write_bytes(bomb)
    with pytest.raises(Corrupt, match="goes on after"):
        read_volume(tmp_path / "bomb.nii.gz")


def test_the_limit_is_what_a_file_unpacks_to(tmp_path: Path) -> None:
    path = saved(tmp_path / "image.nii.gz", np.zeros((50, 50, 50), np.float32))
    assert path.stat().st_size < 10_000
    with pytest.raises(BudgetSpent):
        read_volume(path, limit_bytes=100_000)
    assert read_volume(path, limit_bytes=600_000).array.shape == (50, 50, 50)


def test_what_is_no_nifti_file_or_not_there_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="neither"):
        read_volume(tmp_path / "image.dcm")
    with pytest.raises(NotFound):
        read_volume(tmp_path / "image.nii")
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(Unreachable):
        read_volume(tmp_path / "folder.nii")


def test_a_mask_that_does_not_fit_its_image_is_not_written(tmp_path: Path) -> None:
    volume = Volume(array=array(), affine=AFFINE)
    with pytest.raises(Misuse, match="shape"):
        write_mask(tmp_path / "mask.nii", np.zeros((3, 4)), volume)
    for value in (0.5, 256.0, -1.0):
        with pytest.raises(Misuse, match="0 to 255"):
            write_mask(tmp_path / "mask.nii", np.full((3, 4, 5), value), volume)
    with pytest.raises(Unreachable):
        write_mask(tmp_path / "nowhere" / "mask.nii", np.zeros((3, 4, 5)), volume)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not BUNDLE.exists(), reason="the bundle of real files is not here")
@pytest.mark.parametrize(
    "path", sorted(BUNDLE.rglob("*.nii*")), ids=lambda path: path.name.removesuffix(".gz").removesuffix(".nii")
)
def test_a_real_file_is_read_as_nibabel_reads_it_or_refused(path: Path) -> None:
    refused = {
        "nan_values.nii.gz": "nifti-not-finite",
        "no_orientation.nii.gz": "nifti-orientation",
        "truncated.nii.gz": "nifti-gzip",
        "resampled_anat_moved.nii": "nifti-not-finite",
    }
    if path.name in refused:
        with pytest.raises(ImagiqError) as caught:
            read_volumes(path)
        assert caught.value.code == refused[path.name]
        return
    reference: Any = nib.as_closest_canonical(nib.load(path))
    values = reference.get_fdata(dtype=np.float32).reshape((*reference.shape[:3], -1))
    volumes = read_volumes(path)
    assert len(volumes) == values.shape[3]
    assert all(np.array_equal(volume.array, values[..., number]) for number, volume in enumerate(volumes))
    assert np.allclose(volumes[0].affine, reference.affine)


def test_all_that_is_offered_is_there() -> None:
    assert all(hasattr(nifti, name) for name in nifti.__all__)
