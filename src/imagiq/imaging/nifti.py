"""NIfTI files: read with bounds and turned to RAS, written so that a mask lies exactly over the image it was drawn on.

Whatever a header says is checked before anything is allocated by it. A file that cannot be read right is refused with what
is wrong; a message names the file, and so is for people at the site.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray

from imagiq.errors import BudgetSpent, ContractBroken, Corrupt, Misuse, NotFound, Unreachable, Unsupported

__all__ = [
    "LIMIT_BYTES",
    "Frame",
    "Volume",
    "read_mask",
    "read_volume",
    "read_volumes",
    "same_place",
    "write_mask",
    "write_volume",
]

LIMIT_BYTES: Final = 2**31
"""More than this is not unpacked: 2 GiB, a stack of 512 slices of 1024 by 1024 pixels in float32."""

_HEADERS: Final = {348: 352, 540: 544}
"""Size of a header of NIfTI-1 and NIfTI-2, by which it begins -> least place of the first voxel."""

_EXTENSIONS: Final = 2**20
_CHUNK: Final = 2**20
_ROUNDING: Final = 1e-4
_KEPT: Final = (
    *("pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)
"""Fields of a header that say where voxels are. All others may tell of the patient, and are not passed on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """How a file's voxels lie, to write others that lie the same way.

    Attributes:
        shape: Voxels along each axis of the file.
        axes: Axis of the file that each of right, anterior, superior is; by nibabel's orientation, [3, 2].
        fields: Those fields of the header that say where voxels are.
        version: 1 or 2: NIfTI-1 or NIfTI-2.
    """

    shape: tuple[int, int, int]
    axes: NDArray[np.float64]
    fields: Mapping[str, NDArray[Any]]
    version: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """A volume, turned so that its axes run as nearly as they can to the right, anterior and superior (RAS).

    Attributes:
        array: [right, anterior, superior]; float32, or uint8 for a mask.
        affine: From voxels to millimetres right, anterior and superior of the scanner's origin, float64 [4, 4].
        frame: How the voxels lay in the file; None: not from a file.
    """

    array: NDArray[Any]
    affine: NDArray[np.float64]
    frame: Frame | None = field(default=None)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of neighbouring voxels along each axis."""
        found = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return float(found[0]), float(found[1]), float(found[2])


def _nibabel() -> Any:  # noqa: ANN401 - most of it has no types
    """Return nibabel, which is loaded only where a file is read or written.

    Raises:
        Unsupported: it is not installed.
    """
    try:
        return import_module("nibabel")
    except ImportError as error:
        raise Unsupported(
            "imaging-not-installed",
            "NIfTI files are read with nibabel, which is not installed.",
            "Install it: pip install 'imagiq[imaging]'",
        ) from error


def read_volume(path: Path, *, limit_bytes: int = LIMIT_BYTES) -> Volume:
    """Read an image of three dimensions.

    Args:
        path: ``.nii`` or ``.nii.gz``.
        limit_bytes: What unpacks to more is refused.

    Raises:
        NotFound: there is no such file.
        Unreachable: it cannot be read.
        Corrupt: it is cut off or damaged, or its header contradicts itself.
        Unsupported: it holds something else than numbers in space.
        BudgetSpent: it is larger than the limit.
        ContractBroken: it does not say where its voxels are, or a voxel is NaN or infinite.
    """
    found = read_volumes(path, limit_bytes=limit_bytes)
    if len(found) != 1:
        raise Unsupported(
            "nifti-dimensions",
            f"{path.name} holds {len(found)} volumes, where one is wanted.",
            "Split it into one file for each, or name the one to use.",
        )
    return found[0]


def read_volumes(path: Path, *, limit_bytes: int = LIMIT_BYTES) -> tuple[Volume, ...]:
    """Read an image of three dimensions, or of four as one volume for each place along the fourth.

    Args and errors are those of :func:`read_volume`.
    """
    array, affine, frame = _turned(path, limit_bytes)
    with np.errstate(over="ignore"):
        values = array.astype(np.float32)
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise ContractBroken(
            "nifti-not-finite",
            f"{bad} of {values.size} voxels of {path.name} are NaN, infinite, or too large for float32.",
            "Find out what they stand for and fill them, often with 0; or leave the file out.",
        )
    return tuple(Volume(array=values[..., number], affine=affine, frame=frame) for number in range(values.shape[3]))


def read_mask(path: Path, labels: Mapping[str, int], *, limit_bytes: int = LIMIT_BYTES) -> Volume:
    """Read a mask: a volume of whole numbers, each in the map or 0.

    Numbers that miss a whole one by rounding only, such as 1.0000001 where a slope was stored, are taken for it.

    Args:
        path: ``.nii`` or ``.nii.gz``.
        labels: Name of a label -> its number, 0 to 255.
        limit_bytes: What unpacks to more is refused.

    Returns:
        The mask, uint8; it may be empty.

    Raises:
        ContractBroken: a voxel is no whole number, or a label is not in the map.
        Unsupported: there is more than one volume.
    """
    array, affine, frame = _turned(path, limit_bytes)
    if array.shape[3] != 1:
        raise Unsupported(
            "nifti-dimensions", f"{path.name} holds {array.shape[3]} volumes.", "Give a mask with one volume."
        )
    known = {0, *labels.values()}
    stray = [value for value in np.unique(array).tolist() if _whole(value) not in known]
    if stray:
        raise ContractBroken(
            "nifti-label",
            f"The mask {path.name} holds the value {stray[0]:.9g}, which is not in the label map "
            f"({', '.join(f'{number} {name}' for name, number in labels.items()) or 'which is empty'}).",
            "Add it to the map, or correct the mask.",
        )
    return Volume(array=np.rint(array[..., 0]).astype(np.uint8), affine=affine, frame=frame)


def _whole(value: float) -> float:
    """Return the whole number that a value misses by rounding only, or the value."""
    return round(value) if math.isfinite(value) and abs(value - round(value)) < _ROUNDING else value


def same_place(one: Volume, other: Volume) -> bool:
    """Tell whether the voxels of two volumes lie in the same places: nowhere farther apart than a tenth of a voxel."""
    if one.array.shape != other.array.shape:
        return False
    ends = [(0, size - 1) for size in one.array.shape]
    corners = np.array([(*corner, 1.0) for corner in np.stack(np.meshgrid(*ends), -1).reshape(-1, 3)])
    apart = (corners @ (one.affine - other.affine).T)[:, :3]
    return bool(np.sqrt((apart**2).sum(axis=1)).max() <= 0.1 * min(one.spacing_mm))


def write_mask(path: Path, mask: NDArray[Any], like: Volume) -> None:
    """Write a mask that lies exactly over the image that ``like`` was read from: same axes, same affine, same version.

    Nothing else of that image's header is passed on.

    Args:
        path: ``.nii`` or ``.nii.gz``; what is there is replaced.
        mask: Whole numbers from 0 to 255, [right, anterior, superior] as in ``like.array``.
        like: The image; one that was not read from a file is taken to lie as it is.

    Raises:
        Misuse: the mask has another shape, or holds something else.
        Unreachable: the file cannot be written.
    """
    if mask.shape != like.array.shape:
        raise Misuse(
            "nifti-mask-shape",
            f"The mask has shape {mask.shape}, the image {like.array.shape}.",
            "Give one label for each voxel of the image.",
        )
    whole = mask.astype(np.uint8)
    if not np.array_equal(whole, mask):
        raise Misuse("nifti-mask-values", "The mask holds other values than 0 to 255.", "Give labels.")
    _write(path, whole, like)


def write_volume(path: Path, volume: Volume) -> None:
    """Write an image in float32; the errors are those of :func:`write_mask`."""
    _write(path, volume.array.astype(np.float32), volume)


def _write(path: Path, array: NDArray[Any], like: Volume) -> None:
    nib = _nibabel()

    frame = like.frame
    if frame is None:
        image = nib.nifti1.Nifti1Image(array, like.affine)
        image.header.set_xyzt_units("mm")
    else:
        ras = np.array([[0, 1], [1, 1], [2, 1]])
        back = nib.orientations.ornt_transform(ras, frame.axes)
        stored = np.ascontiguousarray(nib.orientations.apply_orientation(array, back))
        kind = nib.nifti1.Nifti1Image if frame.version == 1 else nib.nifti2.Nifti2Image
        image = kind(stored, None)
        image.header.set_data_dtype(array.dtype)
        for name, value in frame.fields.items():
            image.header[name] = value
    content = image.to_bytes()
    if path.name.endswith(".gz"):
        content = gzip.compress(content, compresslevel=6, mtime=0)
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        raise Unreachable(
            "nifti-unwritable", f"{path} cannot be written: {error.strerror}.", "Check its folder and rights."
        ) from error


def _turned(path: Path, limit_bytes: int) -> tuple[NDArray[Any], NDArray[np.float64], Frame]:
    """Return the voxels in RAS, [right, anterior, superior, volumes], their affine, and how they lay."""
    nib = _nibabel()

    content, version = _content(path, limit_bytes)
    kind = nib.nifti1.Nifti1Image if version == 1 else nib.nifti2.Nifti2Image
    try:
        image = kind.from_bytes(content)
        header = image.header
        _check_place(path, header)
        stored = np.asanyarray(image.dataobj)
    except (nib.spatialimages.HeaderDataError, nib.filebasedimages.ImageFileError, ValueError, OSError) as error:
        raise Corrupt(
            "nifti-form", f"{path.name} is no whole NIfTI file: {error}.", "Get it again, or convert it anew."
        ) from error
    stored = stored.reshape((*stored.shape[:3], -1))
    affine = np.asarray(image.affine, dtype=np.float64)
    axes = nib.orientations.io_orientation(affine)
    if np.isnan(axes).any():
        raise _nowhere(path, "its affine is flat")
    array = nib.orientations.apply_orientation(stored, axes)
    shape = stored.shape[:3]
    fields = {name: np.array(header[name]) for name in _KEPT}
    frame = Frame(shape=cast("tuple[int, int, int]", shape), axes=axes, fields=fields, version=version)
    return array, affine @ nib.orientations.inv_ornt_aff(axes, shape), frame


def _content(path: Path, limit_bytes: int) -> tuple[bytes, int]:
    """Return a file's bytes, unpacked, and its version, after the header was found to announce no more than the limit."""
    if not path.name.endswith((".nii", ".nii.gz")):
        raise Unsupported("nifti-name", f"{path.name} is neither .nii nor .nii.gz.", "Convert it to NIfTI first.")
    try:
        with path.open("rb") as file:
            stream = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if path.name.endswith(".gz") else file
            head = _exactly(stream, 544)
            version, announced = _announced(path, head, limit_bytes)
            rest = _exactly(stream, announced - len(head))
            content = head + rest
            if len(content) < announced:
                raise Corrupt(
                    "nifti-short",
                    f"{path.name} ends after {len(content)} of {announced} bytes.",
                    "Get it again: it was cut off on its way.",
                )
            if stream.read(1):
                raise Corrupt(
                    "nifti-long",
                    f"{path.name} goes on after its {announced} bytes.",
                    "Get it again, or convert it anew.",
                )
    except FileNotFoundError as error:
        raise NotFound("nifti-missing", f"There is no file {path}.", "Check its name and folder.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Corrupt(
            "nifti-gzip", f"{path.name} is not whole: it cannot be unpacked to its end.", "Get it again."
        ) from error
    except OSError as error:
        raise Unreachable(
            "nifti-unreadable", f"{path} cannot be read: {error.strerror}.", "Check its kind and rights."
        ) from error
    return content, version


def _exactly(stream: BinaryIO, count: int) -> bytes:
    """Read so many bytes, or up to the end; memory grows only with what is there."""
    pieces = []
    while count > 0:
        piece = stream.read(min(count, _CHUNK))
        if not piece:
            break
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def _announced(path: Path, head: bytes, limit_bytes: int) -> tuple[int, int]:
    """Return the version of a header, and how many bytes it says that the file has."""
    nib = _nibabel()

    size = next((s for s in _HEADERS if head[:4] in {s.to_bytes(4, "little"), s.to_bytes(4, "big")}), 0)
    magic = head[344:348] if size == 348 else head[4:8]
    if size == 0 or len(head) < size or magic[:3] not in {b"n+1", b"n+2"}:
        raise Corrupt(
            "nifti-form",
            f"{path.name} does not begin as a NIfTI file in one piece does.",
            "Convert it to .nii or .nii.gz, such as by dcm2niix.",
        )
    kind = nib.nifti1.Nifti1Header if size == 348 else nib.nifti2.Nifti2Header
    header = kind(head[:size], check=False)
    dims = [int(count) for count in header["dim"]]
    used = dims[1 : 1 + dims[0]] if 1 <= dims[0] <= 7 else []
    if not used or any(count < 1 for count in used):
        raise Corrupt("nifti-form", f"{path.name} has impossible dimensions.", "Get it again, or convert it anew.")
    while len(used) > 3 and used[-1] == 1:
        used.pop()
    if len(used) not in {3, 4}:
        raise Unsupported(
            "nifti-dimensions", f"{path.name} has {len(used)} dimensions.", "Give an image of three, or of four."
        )
    first, voxel = float(header["vox_offset"]), _voxel_bytes(path, header)
    if not math.isfinite(first) or not _HEADERS[size] <= first <= _HEADERS[size] + _EXTENSIONS or first != int(first):
        raise Corrupt("nifti-form", f"{path.name} says that its voxels begin nowhere.", "Get it again.")
    announced = int(first) + voxel * math.prod(used)
    if announced > limit_bytes:
        raise BudgetSpent(
            "nifti-size",
            f"{path.name} would unpack to {announced / 2**20:.0f} MiB, more than {limit_bytes / 2**20:.0f}.",
            "Crop or resample it, or raise the limit.",
        )
    return (1 if size == 348 else 2), announced


def _voxel_bytes(path: Path, header: Any) -> int:  # noqa: ANN401 - see _nibabel
    nib = _nibabel()

    try:
        dtype = header.get_data_dtype()
    except (nib.spatialimages.HeaderDataError, KeyError) as error:
        raise Corrupt(
            "nifti-form", f"{path.name} says of no known kind what its voxels are.", "Get it again."
        ) from error
    if dtype.kind not in "iuf":
        raise Unsupported(
            "nifti-voxels", f"The voxels of {path.name} are no plain numbers but {dtype}.", "Convert it to grey values."
        )
    return int(dtype.itemsize)


def _check_place(path: Path, header: Any) -> None:  # noqa: ANN401 - see _nibabel
    """Check that a header says where its voxels are."""
    if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        raise _nowhere(path, "its header has neither an sform nor a qform")
    affine = header.get_best_affine()
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    if not np.isfinite(affine).all() or not (spacing > 1e-3).all() or not (spacing < 1e3).all():
        raise _nowhere(path, "voxels of its affine have no size, or an impossible one")
    if abs(np.linalg.det(affine[:3, :3])) < 1e-3 * math.prod(spacing):
        raise _nowhere(path, "its affine is flat")
    if int(header["xyzt_units"]) & 7 not in {0, 2}:
        raise Unsupported(
            "nifti-units", f"{path.name} measures in metres or micrometres.", "Convert it to millimetres."
        )


def _nowhere(path: Path, why: str) -> ContractBroken:
    return ContractBroken(
        "nifti-orientation",
        f"{path.name} does not say where its voxels are: {why}.",
        "Convert the original images anew: left and right cannot be told apart by guessing.",
    )
