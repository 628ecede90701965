"""Merges beside what cannot be avoided; :mod:`benchmarks.merge` does the measuring."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.merge import (
    TENSORS,
    FromFiles,
    Models,
    fastest,
    measure_files,
    multiply_and_add,
    peak,
    schema_for,
    write_out,
)
from benchmarks.table import Row
from imagiq.merging import weighted_mean
from imagiq.objects import Schema

ARITHMETIC, EXTRA_MIB = 1.2, 64


def measure(*, quick: bool) -> Sequence[Row]:
    """Measure merges of 4 and 16 models: those in files first, while the process holds nothing else."""
    schema = schema_for(20 if quick else 200)
    with ExitStack() as folders:
        places = [Path(folders.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        models = [Models(place, schema, count) for place, count in zip(places, (4, 16), strict=True)]
        baseline = peak()
        files = [measure_files(schema, *where, baseline) for where in zip(models, places, strict=True)]
        return [row for case in zip(models, places, files, strict=True) for row in _rows(schema, *case)]


def _rows(schema: Schema, models: Models, folder: Path, files: FromFiles) -> Iterator[Row]:
    held = {digest: models.read(digest) for one in models.inputs for digest in one.tree.blobs}
    arrays = [np.frombuffer(b"".join(held[digest] for digest in one.tree.blobs), np.float32) for one in models.inputs]
    weights = [np.float32(one.weight) for one in models.inputs]
    line = fastest(lambda: multiply_and_add(arrays, weights))
    arithmetic = fastest(lambda: sum(blob.nbytes for blob in weighted_mean(schema, models.inputs, held.__getitem__)))
    result = list(weighted_mean(schema, models.inputs, held.__getitem__))
    limit = ARITHMETIC * line + files.reading + fastest(lambda: write_out(result, folder))
    title = f"merge {len(arrays)} models of {schema.nbytes / 1e6:.0f} MB, {TENSORS} tensors"
    yield Row(
        what=f"{title}: arithmetic",
        measured=arithmetic,
        unit="s",
        line="acc += x * w, float32",
        limit=line,
        budget=f"{ARITHMETIC} x line",
        most=ARITHMETIC * line,
    )
    yield Row(
        what=f"{title}: in all",
        measured=files.total,
        unit="s",
        line="that budget + read, hash, write, fsync",
        limit=limit,
        budget="1.0 x line",
        most=limit,
    )
    yield Row(
        what=f"{title}: extra memory",
        measured=files.extra / 2**20,
        unit="MiB",
        budget=f"{EXTRA_MIB} MiB",
        most=EXTRA_MIB,
    )
