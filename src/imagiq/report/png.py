"""Grey pictures as PNG, and outlines of masks as SVG paths: all that a slice needs."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["data_uri", "outline", "png"]


def png(image: NDArray[np.uint8]) -> bytes:
    """Return a grey picture [height, width] as PNG."""
    height, width = image.shape
    rows = np.zeros((height, width + 1), np.uint8)
    # Each row tells its difference from the one above: slices are smooth, so that it packs well.
    rows[:, 0] = 2
    rows[0, 1:] = image[0]
    rows[1:, 1:] = image[1:] - image[:-1]
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def data_uri(image: NDArray[np.uint8]) -> str:
    """Return a grey picture such that it can stand in a page."""
    return "data:image/png;base64," + base64.b64encode(png(image)).decode("ascii")


def outline(mask: NDArray[np.bool_]) -> str:
    """Return the outline of a mask [height, width] along the edges of its pixels, as the path of an SVG element."""
    inside = np.pad(np.asarray(mask, np.bool_), 1)
    parts = [*_runs(inside[1:, 1:-1] != inside[:-1, 1:-1], across=False)]
    parts += _runs((inside[1:-1, 1:] != inside[1:-1, :-1]).T, across=True)
    return "".join(parts)


def _runs(edges: NDArray[np.bool_], *, across: bool) -> list[str]:
    """Return each run of edges in a row as a line; ``across``: rows are columns of the picture."""
    found = []
    for row, marks in enumerate(edges):
        steps = np.diff(np.concatenate([[0], marks.astype(np.int8), [0]]))
        for start, end in zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True):
            found.append(f"M{row} {start}V{end}" if across else f"M{start} {row}H{end}")
    return found
