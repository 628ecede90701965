"""Checkout: a commit's model as a safetensors file, with a JSON file that says what it is and how it is used rightly."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from imagiq.bench.bench import Bench
from imagiq.bench.reading import HeldModel, checked_read, held_model
from imagiq.bench.tensor_file import header_of, in_file_order
from imagiq.errors import Conflict, Unreachable
from imagiq.history import Entry
from imagiq.merging.layout import Read, TreeReader, offsets
from imagiq.objects import Commit, Digest

__all__ = ["CheckedOut", "checkout"]

SUFFIX = ".safetensors"
SHORT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedOut:
    """What was written.

    Attributes:
        commit: The commit.
        model: The safetensors file.
        description: The JSON file beside it.
        tensors: How many tensors the model has.
        nbytes: How many bytes the model file has.
        state: "sound", "void", "contested" or "tainted".
        why_aside: Why the model is never an input here; "" if nothing speaks against it.
    """

    commit: Digest
    model: Path
    description: Path
    tensors: int
    nbytes: int
    state: str
    why_aside: str


def checkout(bench: Bench, entry: Entry, output: Path, *, force: bool = False) -> CheckedOut:
    """Write a commit's model to ``output``, whole or not at all.

    Args:
        bench: Where the model is.
        entry: The commit.
        output: A file that ends with ``.safetensors``, or a folder: then the file is called by the commit.
        force: Whether files that are there are replaced.

    Raises:
        NotFound: the commit holds no model, or not all of it is here.
        Corrupt: the model is damaged on this disk.
        Conflict: a file is there already.
        Unreachable: the file cannot be written.
    """
    found = held_model(bench, entry)
    target = output if output.name.endswith(SUFFIX) else output / f"{entry.digest[:SHORT]}{SUFFIX}"
    description = target.with_suffix(".json")
    for path in (target, description):
        if not force and (path.exists() or path.is_symlink()):
            raise Conflict(
                "file-exists", f"{path} is there already.", "Name another file, or say --force to replace it."
            )
    why_aside = bench.models.set_aside.get(entry.digest, "")
    state = bench.standing.state(entry.digest).value
    words = _description(bench, entry, found, state, why_aside)
    read = checked_read(bench.store)
    with _written(target) as first, _written(description) as second:
        for piece in _safetensors(found, _metadata(entry.commit, found), read):
            first.write(piece)
        second.write(json.dumps(words, indent=2, ensure_ascii=True).encode("ascii") + b"\n")
    return CheckedOut(
        commit=entry.digest,
        model=target,
        description=description,
        tensors=len(found.schema.tensors),
        nbytes=target.stat().st_size,
        state=state,
        why_aside=why_aside,
    )


def _safetensors(found: HeldModel, metadata: Mapping[str, str], read: Read) -> Iterator[bytes | memoryview]:
    """Yield the bytes of the file. One blob is held at a time, and read once for each width of its numbers."""
    tensors = found.schema.tensors
    order = in_file_order(tensors)
    starts = offsets([tensor.nbytes for tensor in tensors])
    yield header_of([tensors[place] for place in order], metadata)
    reader = TreeReader(found.schema, found.tree, read)
    for start, stop in _runs(order, starts):
        yield from reader.pieces(start, stop)


def _runs(order: Sequence[int], starts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield beginning and end of the bytes of tensors that follow each other in the model as in the file."""
    for _, run in groupby(enumerate(order), key=lambda pair: pair[1] - pair[0]):
        places = [place for _, place in run]
        yield starts[places[0]], starts[places[-1] + 1]


def _metadata(commit: Commit, found: HeldModel) -> dict[str, str]:
    """Return what stands in the file's header: texts by name, as the format wants them."""
    texts = {
        "imagiq.commit": commit.digest,
        "imagiq.federation": commit.federation,
        "imagiq.schema": found.schema.digest,
        "imagiq.recipe": commit.recipe.name,
        "imagiq.metrics": json.dumps(dict(commit.metrics), sort_keys=True),
    }
    return texts | ({} if commit.study is None else {"imagiq.study": commit.study})


def _description(bench: Bench, entry: Entry, found: HeldModel, state: str, why_aside: str) -> dict[str, object]:
    """Return the JSON file: where the model comes from, and its schema, which says how it is used rightly."""
    commit = entry.commit
    study = bench.studies.get(commit.study or commit.digest)
    return {
        "version": 1,
        "commit": commit.digest,
        "federation": commit.federation,
        "study": commit.study,
        "study_title": None if study is None else study.study.title,
        "site": bench.standing.name_of(entry),
        "state": state,
        "set_aside": why_aside or None,
        "schema_digest": found.schema.digest,
        "signed": json.loads(commit.raw[64:]),
        "schema": json.loads(found.schema.raw),
    }


class _Writer:
    """A file that is not there yet."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def write(self, content: bytes | memoryview) -> None:
        """Write all of it."""
        left = memoryview(content).cast("B")
        while left.nbytes:
            left = left[os.write(self._handle, left) :]


@contextmanager
def _written(target: Path) -> Iterator[_Writer]:
    """Give a file beside ``target`` to write to, which takes its place when the block ends well, and goes otherwise."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        try:
            try:
                yield _Writer(handle)
                os.fsync(handle)
            finally:
                os.close(handle)
            temporary.replace(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise Unreachable(
            "file-unwritable",
            f"{target} cannot be written: {error.strerror or type(error).__name__}.",
            "Name another place, or free some space there.",
        ) from error
