"""What it costs to commit a model of 200 MB, beside the limit line: hashing, writing and one fsync of the same bytes.

``python benchmarks/commit.py``; needs 500 MB of free space in ``--folder``. The medians of several turns are compared,
the two kinds of turn alternating, so that both meet the same disk.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import tempfile
import time
from pathlib import Path

from imagiq.objects import digest_of
from imagiq.store import FolderStore

TENSORS = 300
MODEL_BYTES = 200_000_000
LIMIT = 1.5


def limit_line(path: Path, tensors: list[bytes]) -> float:
    """Return the seconds of hashing all tensors, writing them into one file, and one fsync."""
    start = time.perf_counter()
    for tensor in tensors:
        hashlib.sha256(tensor).hexdigest()
    with path.open("wb", buffering=0) as file:
        for tensor in tensors:
            file.write(tensor)
        os.fsync(file.fileno())
    seconds = time.perf_counter() - start
    path.unlink()
    return seconds


def commit(store: FolderStore, tensors: list[bytes]) -> float:
    """Return the seconds of adding all tensors and a tree, then a commit."""
    start = time.perf_counter()
    digests = store.add(tensors)
    (tree,) = store.add([bytes.fromhex("".join(digests))])
    store.add_commits([os.urandom(64) + tree.encode()])
    return time.perf_counter() - start


def hashing(tensors: list[bytes]) -> float:
    """Return the seconds of hashing all tensors, which a commit of few changes cannot avoid."""
    start = time.perf_counter()
    for tensor in tensors:
        digest_of(tensor)
    return time.perf_counter() - start


def main() -> None:
    """Measure, print, and fail if the budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where to write; the system's temporary folder if absent"
    )
    options = parser.parse_args()
    tensors = [os.urandom(MODEL_BYTES // TENSORS) for _ in range(TENSORS)]
    lines: list[float] = []
    wholes: list[float] = []
    changes: list[float] = []
    for turn in range(options.turns):
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            lines.append(limit_line(Path(name) / "line", tensors))
            with FolderStore.create(Path(name) / "repository") as store:
                wholes.append(commit(store, tensors))
                changed = [*tensors]
                changed[turn] = os.urandom(len(tensors[turn]))
                changes.append(commit(store, changed))
            os.sync()
    line, whole, change = map(statistics.median, (lines, wholes, changes))
    ratio = whole / line
    bare = hashing(tensors)
    print(f"limit line (hash, write, fsync {MODEL_BYTES // 10**6} MB)   {line * 1000:8.1f} ms")
    print(f"commit, {TENSORS} tensors                       {whole * 1000:8.1f} ms   ratio {ratio:.2f}, budget {LIMIT}")
    print(f"hashing alone, one thread                 {bare * 1000:8.1f} ms")
    print(f"commit, one tensor changed                {change * 1000:8.1f} ms   ratio {change / line:.2f}")
    assert ratio <= LIMIT, "a commit costs more than its budget"
    assert change <= bare + 0.1 * line, "an unchanged tensor costs more than its hash"


if __name__ == "__main__":
    main()
