"""Import: a safetensors file as a root commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from imagiq.bench.bench import Bench
from imagiq.bench.tensor_file import FileTensor, Header, pieces, read_header
from imagiq.errors import BudgetSpent, Corrupt, Misuse, NotFound, Unsupported
from imagiq.history import Entry
from imagiq.merging.arrays import cut
from imagiq.objects import Digest, Group, Recipe, Schema, Tensor, digest_of, parse_digest, parse_schema
from imagiq.store.owned import reading

__all__ = ["import_model"]


def import_model(bench: Bench, path: Path) -> Entry:
    """Write a commit without parents that holds the model of a safetensors file.

    A file that :func:`imagiq.bench.checkout.checkout` wrote gets the schema that it had, if that is held here; any other
    one gets a schema of its tensors alone, in the file's order.

    Args:
        bench: Open for writing, with its site's keys.
        path: The file; nothing of its name is recorded.

    Raises:
        NotFound: there is no such file.
        Misuse: the bench is read only, has no keys, or no charter is in force yet.
        Corrupt: the file is no whole safetensors file, or a bool in it is neither 0 nor 1.
        Refused: it holds a number that is NaN or infinite.
        Unsupported: it holds numbers of a kind that a model cannot hold.
        Unreachable: a disk failed.
    """
    if bench.author is None:
        raise Misuse(
            "bench-read-only", "This repository is not open with its site's keys.", "Open it for writing, as its site."
        )
    with _opened(path) as (file, size):
        header = read_header(file, size)
        if not header.tensors:
            raise Corrupt("safetensors-empty", "The file holds no tensors.", "Name a file that holds a model.")
        schema = _known_schema(bench, header) or _schema(header)
        by_name = {tensor.name: tensor for tensor in header.tensors}
        ordered = [by_name[tensor.name] for tensor in schema.tensors]
        tree = bench.models.keep(schema, cut(schema.blob_sizes, pieces(file, ordered)))
    bench.checks.gate(schema, tree, bench.store.read)
    return bench.commit(Recipe("import", 1, {"format": "safetensors"}), tree=tree)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    with reading(path):
        if path.exists() and not path.is_file():
            raise Misuse("import-no-file", f"{path} is no file.", "Name a file that ends with .safetensors.")
        with path.open("rb") as file:
            yield file, path.stat().st_size


def _schema(header: Header) -> Schema:
    """Return a schema for a file that says nothing more than its tensors."""
    try:
        return Schema(groups=(Group("weights", tuple(map(_tensor, header.tensors))),))
    except Misuse as error:
        raise Corrupt("safetensors-schema", error.what, "Rename or convert the tensor, then write it again.") from error


def _tensor(tensor: FileTensor) -> Tensor:
    rule = "mean" if "float" in tensor.dtype else "equal" if tensor.dtype == "bool" else "max"
    return Tensor(tensor.name, tensor.dtype, tensor.shape, rule)


def _known_schema(bench: Bench, header: Header) -> Schema | None:
    """Return the schema that the file names, if it is held here and says the same of the tensors as the file."""
    try:
        name: Digest = parse_digest(header.metadata.get("imagiq.schema"), "A file's schema")
        raw = bench.store.read(name)
        if digest_of(raw) != name:
            return None
        schema = parse_schema(raw)
    except (BudgetSpent, Corrupt, NotFound, Unsupported):
        return None
    said = {(tensor.name, tensor.dtype, tensor.shape) for tensor in schema.tensors}
    return schema if said == {(tensor.name, tensor.dtype, tensor.shape) for tensor in header.tensors} else None
