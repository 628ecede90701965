"""Measures merges of 4 and of 16 models beside what cannot be avoided; all lines in one run, on one machine.

    python benchmarks/merge.py [--mb 200] [--models 4 16] [--folder PATH]

The limit lines are ``acc += x * w`` in float32 over arrays in memory, for the arithmetic; and for the whole, that plus
reading the inputs once plus hashing, writing and fsyncing the result. A ratio is measured over its limit line.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from imagiq.merging import Input, schema_of, weighted_mean
from imagiq.objects import Digest, Schema, Tree, digest_of

REPEATS = 3
TENSORS = 300
Floats = np.ndarray[Any, np.dtype[np.float32]]


def fastest(call: Callable[[], object]) -> float:
    """Return the seconds of the fastest of a few calls."""
    seconds = []
    for _ in range(REPEATS):
        start = perf_counter()
        call()
        seconds.append(perf_counter() - start)
    return min(seconds)


def schema_for(megabytes: int) -> Schema:
    """Return a network's shape: large and small tensors by turns, 300 in all."""
    large = (megabytes * 10**6 // 4 - TENSORS // 2 * 256) // (TENSORS // 2)
    return schema_of({f"t{n:03}": np.empty(256 if n % 2 else large, np.float32) for n in range(TENSORS)})


class Models:
    """Models of random numbers, as files of one blob each."""

    def __init__(self, folder: Path, schema: Schema, count: int) -> None:
        self._folder = folder
        self.inputs = [Input(self._write(schema, seed), 100 + seed) for seed in range(count)]

    def _write(self, schema: Schema, seed: int) -> Tree:
        rng, names = np.random.default_rng(seed), []
        for size in schema.blob_sizes:
            raw = rng.standard_normal(size // 4, np.float32).tobytes()
            names.append(digest_of(raw))
            (self._folder / names[-1]).write_bytes(raw)
        return Tree(schema.digest, tuple(names))

    def read(self, digest: Digest) -> bytes:
        """Return one blob from its file."""
        return (self._folder / digest).read_bytes()

    def read_all(self) -> None:
        """Read every input once."""
        for one in self.inputs:
            for digest in one.tree.blobs:
                self.read(digest)


def multiply_and_add(arrays: list[Floats], weights: list[np.float32]) -> Floats:
    """Do what cannot be avoided: the plain float32 line."""
    acc = np.zeros_like(arrays[0])
    for x, w in zip(arrays, weights, strict=True):
        acc += x * w
    return acc


def write_out(blobs: Iterable[memoryview], folder: Path) -> None:
    """Hash and write blobs to one file, with one fsync."""
    with (folder / "result").open("wb") as out:
        for blob in blobs:
            digest_of(blob)
            out.write(blob)
        out.flush()
        os.fsync(out.fileno())


def peak() -> int:
    """Return the most bytes that this process ever held."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@dataclass(frozen=True)
class FromFiles:
    """What was measured on models in files.

    Attributes:
        reading: Seconds of reading the inputs once.
        total: Seconds of reading, merging, hashing, writing and fsyncing.
        extra: Bytes by which the process had grown at its peak.
    """

    reading: float
    total: float
    extra: int


def measure_files(schema: Schema, models: Models, folder: Path, baseline: int) -> FromFiles:
    """Merge models that lie in files; the process holds nothing else."""
    reading = fastest(models.read_all)
    total = fastest(lambda: write_out(weighted_mean(schema, models.inputs, models.read), folder))
    return FromFiles(reading, total, peak() - baseline)


def measure_arrays(schema: Schema, models: Models, folder: Path, files: FromFiles) -> None:
    """Merge the same models in memory, beside the plain line, and print all."""
    held = {digest: models.read(digest) for one in models.inputs for digest in one.tree.blobs}
    arrays = [np.frombuffer(b"".join(held[digest] for digest in one.tree.blobs), np.float32) for one in models.inputs]
    weights = [np.float32(one.weight) for one in models.inputs]
    line = fastest(lambda: multiply_and_add(arrays, weights))
    arithmetic = fastest(lambda: sum(blob.nbytes for blob in weighted_mean(schema, models.inputs, held.__getitem__)))
    result = list(weighted_mean(schema, models.inputs, held.__getitem__))
    writing = fastest(lambda: write_out(result, folder))
    limit = 1.2 * line + files.reading + writing
    title = f"{len(arrays):3} models of {schema.nbytes / 1e6:.0f} MB, {TENSORS} tensors"
    print(f"{title:47}limit line                  ratio (budget)")
    print(f"    arithmetic   {arithmetic:7.3f} s   acc += x * w    {line:7.3f} s   {arithmetic / line:.2f} (1.20)")
    print(f"    in all       {files.total:7.3f} s   line+read+write {limit:7.3f} s   {files.total / limit:.2f} (1.00)")
    print(f"    extra memory {files.extra / 2**20:7.1f} MiB                 64.0 MiB {files.extra / 2**26:.2f} (1.00)")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description="Measure merges beside their limit lines.")
    parser.add_argument("--mb", type=int, default=200, help="size of one model in MB")
    parser.add_argument("--models", type=int, nargs="+", default=[4, 16], help="how many models to merge")
    parser.add_argument("--folder", type=Path, help="where the files lie; default: a temporary folder")
    given = parser.parse_args()
    schema = schema_for(given.mb)
    with ExitStack() as folders:
        places = [Path(folders.enter_context(tempfile.TemporaryDirectory(dir=given.folder))) for _ in given.models]
        models = [Models(place, schema, count) for place, count in zip(places, given.models, strict=True)]
        baseline = peak()
        files = [measure_files(schema, *where, baseline) for where in zip(models, places, strict=True)]
        for model, place, found in zip(models, places, files, strict=True):
            measure_arrays(schema, model, place, found)


if __name__ == "__main__":
    main()
