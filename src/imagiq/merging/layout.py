"""Where each tensor's bytes lie in a tree's blobs, and reading them in order with one blob in memory.

Tensors follow each other without padding, so in a run of small tensors an element may begin in one blob and end in
the next. Two ways of reading deal with that:

- :func:`windows` goes blob by blob and carries the bytes of a cut element over: many trees can be read side by side.
- :class:`TreeReader` gives any range of bytes, in rising order: one tree is read tensor by tensor.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

from imagiq.errors import Corrupt
from imagiq.objects import DTYPE_SIZES, Digest, Schema, Tensor, Tree, check_tree

__all__ = ["Read", "Run", "TreeReader", "Window", "offsets", "read_blob", "tensor_at", "windows"]

Read: TypeAlias = Callable[[Digest], bytes]
"""Gives the bytes of a blob that is held here; raises NotFound when it is not."""


@dataclass(frozen=True, slots=True)
class Run:
    """Elements of one kind that follow each other in a window, of one tensor or of several.

    Attributes:
        dtype: Their kind of number.
        rule: How a merge treats them.
        start: Where they start, in bytes from the window's start.
        elements: How many they are.
    """

    dtype: str
    rule: str
    start: int
    elements: int

    @property
    def stop(self) -> int:
        """Where they end, in bytes from the window's start."""
        return self.start + self.elements * DTYPE_SIZES[self.dtype]


@dataclass(frozen=True, slots=True)
class Window:
    """The whole elements that end in one blob.

    Attributes:
        blob: Number of the blob.
        start: Where its first element starts, in bytes from the model's start: in this blob or an earlier one.
        runs: The elements.
        rest: How many bytes at the blob's end belong to an element that ends in a later one.
    """

    blob: int
    start: int
    runs: tuple[Run, ...]
    rest: int

    @property
    def nbytes(self) -> int:
        """How many bytes its whole elements take."""
        return self.runs[-1].stop if self.runs else 0


def windows(schema: Schema) -> Iterator[Window]:
    """Yield one window for each blob, in order."""
    tensors = iter([tensor for tensor in schema.tensors if tensor.elements])
    tensor = next(tensors, None)
    left = tensor.elements if tensor else 0
    position = stop = 0
    for blob, size in enumerate(schema.blob_sizes):
        start, stop = position, stop + size
        runs: list[Run] = []
        while tensor and (whole := min(left, (stop - position) // DTYPE_SIZES[tensor.dtype])):
            _append(runs, tensor, position - start, whole)
            position += whole * DTYPE_SIZES[tensor.dtype]
            left -= whole
            if not left:
                tensor = next(tensors, None)
                left = tensor.elements if tensor else 0
        yield Window(blob, start, tuple(runs), stop - position)


def _append(runs: list[Run], tensor: Tensor, start: int, elements: int) -> None:
    """Add elements to the last run when they are of its kind, else as a run of their own."""
    if runs and (runs[-1].dtype, runs[-1].rule) == (tensor.dtype, tensor.rule):
        start, elements = runs[-1].start, runs[-1].elements + elements
        runs.pop()
    runs.append(Run(tensor.dtype, tensor.rule, start, elements))


def offsets(sizes: Sequence[int]) -> tuple[int, ...]:
    """Return where each of things of these sizes starts, and where the last one ends."""
    return tuple(accumulate(sizes, initial=0))


def tensor_at(schema: Schema, byte: int) -> Tensor:
    """Return the tensor that holds the byte with this number, from the model's start."""
    starts = offsets([tensor.nbytes for tensor in schema.tensors])
    return schema.tensors[bisect_right(starts, byte) - 1]


def read_blob(schema: Schema, tree: Tree, number: int, read: Read) -> memoryview:
    """Return one blob of a tree.

    Raises:
        Corrupt: what was read is not as long as the schema says.
    """
    content = memoryview(read(tree.blobs[number])).cast("B")
    if content.nbytes != schema.blob_sizes[number]:
        raise Corrupt(
            "blob-size",
            f"Blob {tree.blobs[number][:12]} has {content.nbytes} bytes; "
            f"its place in the model takes {schema.blob_sizes[number]}.",
            "Get it again from another holder.",
        )
    return content


class TreeReader:
    """Reads the bytes of one tree in rising order and holds one blob at a time."""

    def __init__(self, schema: Schema, tree: Tree, read: Read) -> None:
        check_tree(tree, schema)
        self._schema = schema
        self._tree = tree
        self._read = read
        self._starts = offsets(schema.blob_sizes)
        self._held = -1
        self._content = memoryview(b"")

    def pieces(self, start: int, stop: int) -> Iterator[memoryview]:
        """Yield the bytes from ``start`` to ``stop``, cut where blobs end."""
        while start < stop:
            number = bisect_right(self._starts, start) - 1
            if number != self._held:
                self._content = memoryview(b"")
                self._content = read_blob(self._schema, self._tree, number, self._read)
                self._held = number
            until = min(stop, self._starts[number + 1])
            yield self._content[start - self._starts[number] : until - self._starts[number]]
            start = until

    def bytes(self, start: int, stop: int) -> memoryview:
        """Return the bytes from ``start`` to ``stop``: a view, or a copy when they lie in several blobs."""
        pieces = list(self.pieces(start, stop))
        return pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))
