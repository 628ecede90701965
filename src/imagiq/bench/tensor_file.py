"""safetensors files: a header that is checked before anything of it is believed, and bytes that are streamed.

The format: the header's length, 8 bytes, little-endian; the header, a JSON object that gives each tensor's ``dtype``,
``shape`` and ``data_offsets``, and under ``__metadata__`` texts by name; then the tensors' bytes, without holes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import BinaryIO, Final, NoReturn

from imagiq.errors import Corrupt, ImagiqError, Unsupported
from imagiq.objects import DTYPE_SIZES, Tensor

__all__ = ["FileTensor", "Header", "header_of", "in_file_order", "pieces", "read_header"]

LENGTH_BYTES: Final = 8
HEADER_LIMIT: Final = 16 * 2**20
TENSOR_LIMIT: Final = 100_000
AXIS_LIMIT: Final = 16
PIECE_BYTES: Final = 4 * 2**20
METADATA: Final = "__metadata__"

_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bool": "BOOL",
        "uint8": "U8",
        "int8": "I8",
        "uint16": "U16",
        "int16": "I16",
        "uint32": "U32",
        "int32": "I32",
        "uint64": "U64",
        "int64": "I64",
        "float8_e4m3fn": "F8_E4M3",
        "float8_e5m2": "F8_E5M2",
        "float16": "F16",
        "bfloat16": "BF16",
        "float32": "F32",
        "float64": "F64",
    }
)
_DTYPES: Final = MappingProxyType({theirs: ours for ours, theirs in _NAMES.items()})


@dataclass(frozen=True, slots=True)
class FileTensor:
    """A tensor in a file. ``start``: where its bytes begin, from the file's beginning."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says that it holds, and does: the tensors in the order of their bytes, and the texts beside them."""

    tensors: tuple[FileTensor, ...]
    metadata: Mapping[str, str]


class _Refusal(ValueError):
    """Raised inside the JSON reader, turned into Corrupt at its edge."""


def read_header(file: BinaryIO, size: int) -> Header:
    """Read the header of a foreign file and check that it fits the file to the byte.

    Args:
        file: At its beginning.
        size: How many bytes the file has.

    Raises:
        Corrupt: it is no safetensors file, is cut off, or contradicts itself.
        Unsupported: it holds numbers of a kind that a model cannot hold.
    """
    length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if size < LENGTH_BYTES or length > size - LENGTH_BYTES:
        raise _malformed("it is shorter than its header says")
    if length > HEADER_LIMIT:
        raise _malformed(f"its header has {length} bytes, more than {HEADER_LIMIT}")
    raw = file.read(length)
    if len(raw) != length:
        raise _malformed("it is shorter than its header says")
    fields = _parse(raw)
    metadata = fields.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise _malformed(f"its {METADATA} is not texts by name")
    if len(fields) > TENSOR_LIMIT:
        raise _malformed(f"it holds {len(fields)} tensors, more than {TENSOR_LIMIT}")
    tensors = [_tensor(name, entry, LENGTH_BYTES + length) for name, entry in fields.items()]
    tensors.sort(key=lambda tensor: (tensor.start, tensor.start + tensor.nbytes))
    _check_cover(tensors, LENGTH_BYTES + length, size)
    return Header(tuple(tensors), metadata)


def _parse(raw: bytes) -> dict[str, object]:
    try:
        if not raw.startswith(b"{"):
            raise _Refusal("its header is no JSON object")
        fields = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except _Refusal as error:
        raise _malformed(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _malformed("its header is no JSON") from error
    if not isinstance(fields, dict):
        raise _malformed("its header is no JSON object")
    return fields


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _Refusal("a name stands twice in its header")
    return fields


def _refuse_number(text: str) -> NoReturn:
    raise _Refusal(f"its header holds the number {text[:20]}, which is no integer")


def _tensor(name: str, entry: object, data_start: int) -> FileTensor:
    """Return a tensor whose shape takes as many bytes as its offsets leave."""
    what = f"tensor '{name[:80]}'"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _malformed(f"{what} is not described by dtype, shape and data_offsets alone")
    dtype, shape, span = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise Unsupported(
            "safetensors-dtype",
            f"{what.capitalize()} has the dtype '{str(dtype)[:20]}', which a model here cannot hold.",
            f"Convert it to one of {', '.join(_DTYPES)}.",
        )
    if not _are_sizes(shape) or len(shape) > AXIS_LIMIT:
        raise _malformed(f"{what} has a shape that is no list of at most {AXIS_LIMIT} sizes")
    if not _are_sizes(span) or len(span) != 2 or span[0] > span[1]:
        raise _malformed(f"{what} has data_offsets that are no beginning and end")
    ours = _DTYPES[dtype]
    nbytes = span[1] - span[0]
    if math.prod(shape) * DTYPE_SIZES[ours] != nbytes:
        raise _malformed(f"{what} has {nbytes} bytes, which its shape and dtype do not take")
    return FileTensor(name, ours, tuple(shape), data_start + span[0], nbytes)


def _are_sizes(value: object) -> bool:
    return isinstance(value, list) and all(type(size) is int and 0 <= size < 2**63 for size in value)


def _check_cover(tensors: Sequence[FileTensor], start: int, size: int) -> None:
    at = start
    for tensor in tensors:
        if tensor.start != at:
            how = "overlaps another" if tensor.start < at else "begins behind a hole"
            raise _malformed(f"tensor '{tensor.name[:80]}' {how}")
        at += tensor.nbytes
    if at != size:
        raise _malformed(f"it has {size} bytes; its tensors end at {at}")


def _malformed(why: str) -> ImagiqError:
    return Corrupt(
        "safetensors-form",
        f"The file is no whole safetensors file: {why}.",
        "Get it again, or write it again with the safetensors library.",
    )


def pieces(file: BinaryIO, tensors: Sequence[FileTensor]) -> Iterator[memoryview]:
    """Yield the bytes of tensors one after the other, at most 4 MiB at a time, each in memory of its own.

    Raises:
        Corrupt: the file has become shorter.
    """
    for tensor in tensors:
        file.seek(tensor.start)
        left = tensor.nbytes
        while left:
            piece = file.read(min(left, PIECE_BYTES))
            if not piece:
                raise _malformed("it became shorter while it was read")
            left -= len(piece)
            yield memoryview(piece)


def in_file_order(tensors: Sequence[Tensor]) -> list[int]:
    """Return the places of tensors in the order in which a file holds them: the widest numbers first.

    So that each begins at a multiple of its numbers' size, as readers that map the file into memory need.
    """
    return sorted(range(len(tensors)), key=lambda place: -DTYPE_SIZES[tensors[place].dtype])


def header_of(tensors: Sequence[Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return the bytes before the data of a file: the header's length, and the header.

    Args:
        tensors: In the order in which the file holds them.
        metadata: Texts to stand beside them.

    Raises:
        Unsupported: a tensor has a name that the format reserves.
    """
    fields: dict[str, object] = {METADATA: dict(metadata)}
    at = 0
    for tensor in tensors:
        if tensor.name == METADATA:
            raise Unsupported(
                "safetensors-name", f"A tensor is called '{METADATA}', which safetensors reserves.", "Rename it."
            )
        end = at + tensor.nbytes
        fields[tensor.name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [at, end],
        }
        at = end
    raw = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    raw += b" " * (-len(raw) % LENGTH_BYTES)
    return len(raw).to_bytes(LENGTH_BYTES, "little") + raw
