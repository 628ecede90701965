"""What a worker and its parent say to each other: frames over a pipe.

A frame is the length of a header, 4 bytes, little-endian; the header, a JSON object whose ``parts`` are the lengths of
the parts; then the parts, raw bytes such as a safetensors file. Both sides are this very version of imagiq, and still
nothing is believed before it is checked: a length beyond its limit ends the line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from imagiq.errors import Corrupt

__all__ = ["Frame", "packed", "read_frame"]

HEADER_LIMIT: Final = 4 * 2**20
PARTS_LIMIT: Final = 2**38
LENGTH_BYTES: Final = 4


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One message.

    Attributes:
        header: What it says; JSON.
        parts: Bytes that come with it.
    """

    header: Mapping[str, Any]
    parts: tuple[bytes, ...] = field(default=())


def packed(header: Mapping[str, Any], parts: Sequence[bytes] = ()) -> list[bytes]:
    """Return the bytes of a frame, in pieces."""
    raw = json.dumps({**header, "parts": [len(part) for part in parts]}).encode()
    return [len(raw).to_bytes(LENGTH_BYTES, "little") + raw, *parts]


def read_frame(read: Callable[[int], bytes]) -> Frame:
    """Read a frame.

    Args:
        read: Gives exactly so many bytes, or raises.

    Raises:
        Corrupt: these are not the bytes of a frame.
    """
    length = int.from_bytes(read(LENGTH_BYTES), "little")
    if length > HEADER_LIMIT:
        raise _malformed()
    try:
        header = json.loads(read(length))
    except ValueError as error:
        raise _malformed() from error
    lengths = header.pop("parts", None) if isinstance(header, dict) else None
    if not isinstance(lengths, list) or not all(type(size) is int and size >= 0 for size in lengths):
        raise _malformed()
    if sum(lengths) > PARTS_LIMIT:
        raise _malformed()
    return Frame(header=header, parts=tuple(read(size) for size in lengths))


def _malformed() -> Corrupt:
    return Corrupt("worker-frame", "A worker and its parent do not understand each other.", "Report it.")
