"""Committing a large model to a repository on disk, beside hashing and writing the same bytes with one fsync."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.budgets.federation import found
from benchmarks.merge import TENSORS, schema_for
from benchmarks.table import Row
from benchmarks.timing import seconds
from imagiq.bench import Bench
from imagiq.clock import SystemClock
from imagiq.merging import blobs_of
from imagiq.objects import Recipe, Schema, digest_of
from imagiq.store import FolderStore

WHOLE = 1.5
Weights = Mapping[str, np.ndarray[Any, np.dtype[np.float32]]]


def measure(*, quick: bool) -> Sequence[Row]:
    """Commit models in which every number is new, then ones in which one tensor is."""
    schema = schema_for(20 if quick else 200)
    rng = np.random.default_rng(0)
    weights = {tensor.name: rng.standard_normal(tensor.shape, np.float32) for tensor in schema.tensors}
    one = {schema.tensors[0].name: weights[schema.tensors[0].name]}
    with tempfile.TemporaryDirectory() as folder, FolderStore.create(Path(folder) / "repository") as store:
        federation = found(1)
        author = federation.authors["site-000"]
        bench = Bench(store, federation.charter, clock=SystemClock(), author=author)
        bench.admit([vote.raw for vote in federation.votes], "founding")
        commit = _committing(bench, schema, weights)
        file = Path(folder) / "line"
        repeats = 3 if quick else 5
        whole, whole_line = _in_turns(commit, lambda: _write_once(weights, file), weights, repeats)
        before = _held_bytes(store)
        part, part_line = _in_turns(
            _committing(bench, schema, weights, one), lambda: _write_once(one, file), one, repeats
        )
        added = (_held_bytes(store) - before) / repeats
    title, one_bytes = f"commit {schema.nbytes / 1e6:.0f} MB, {TENSORS} tensors", sum(a.nbytes for a in one.values())
    line = "hash, write, one fsync"
    return [
        Row(what=title, measured=whole, unit="s", line=line, limit=whole_line, budget=f"{WHOLE} x line",
            most=WHOLE * whole_line),
        Row(what=f"{title}: one tensor changed, bytes written", measured=added / 1e3, unit="kB", line="that tensor",
            limit=one_bytes / 1e3, budget="line + 32 kB", most=one_bytes / 1e3 + 32),
        Row(what=f"{title}: one tensor changed", measured=part, unit="s", line=f"{line} of that tensor",
            limit=part_line, budget=f"{WHOLE} x line", most=WHOLE * part_line,
            note="The rest is the same for any model: blob, tree and commit are synced one after the other."),
    ]  # fmt: skip


def _committing(bench: Bench, schema: Schema, weights: Weights, changed: Weights | None = None) -> Callable[[], object]:
    """Return what commits a model; where told what has changed since the last commit, only that."""
    last = [bench.models.keep(schema, blobs_of(schema, weights))]
    bench.commit(Recipe("import", 1), tree=last[0])

    def commit() -> object:
        models = bench.models
        if changed is None:
            last[0] = models.keep(schema, blobs_of(schema, weights))
        else:
            last[0] = models.keep_changed(last[0], changed)
        return bench.commit(Recipe("import", 1), tree=last[0])

    return commit


def _in_turns(
    commit: Callable[[], object], line: Callable[[], object], changing: Weights, repeats: int
) -> tuple[float, float]:
    """Return the fastest seconds of a commit and of its limit line, each time with other numbers in some tensors."""
    found_s: list[tuple[float, float]] = []
    for _ in range(repeats):
        for values in changing.values():
            np.add(values, 1.0, out=values)
        found_s.append((seconds(commit), seconds(line)))
    return min(whole for whole, _ in found_s), min(alone for _, alone in found_s)


def _write_once(weights: Weights, file: Path) -> None:
    with file.open("wb") as out:
        for values in weights.values():
            raw = values.data.cast("B")
            digest_of(raw)
            out.write(raw)
        out.flush()
        os.fsync(out.fileno())


def _held_bytes(store: FolderStore) -> int:
    return sum(store.size(digest) for digest in store.objects()) + sum(len(raw) for raw in store.commits())
