"""Kill a process that commits, again and again, and look for what it had acknowledged.

``python -m tests.torture.kill_store --kills 500`` runs the long form; ``tests/store/test_kill.py`` runs a short one.

A *victim* is a program that is given a folder and its turn's number, works in the folder, and prints a line ``ack
<text>`` for each promise that it has made: what the line speaks of must be there whatever happens afterwards. A
*judge* opens the folder when the victim is dead and raises AssertionError if a promise is broken. :func:`torture`
knows nothing else, so a victim that merges and syncs needs no more than its own program and judge.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from imagiq.objects import Digest, digest_of
from imagiq.store import FolderStore

Judge = Callable[[Path, Sequence[str]], None]
"""Given the folder and every acknowledgement so far, in order, raises AssertionError if one was not kept."""

STORE_VICTIM = """
import sys
from imagiq.errors import NotFound
from imagiq.store import FolderStore
folder, turn = sys.argv[1:]
try:
    store = FolderStore.open(folder)
except NotFound:
    store = FolderStore.create(folder)
print("open", flush=True)
for number in range(10**9):
    text = f"{turn}.{number}"
    store.journal.append([{"started": text}], durable=number % 2 == 0)
    blobs = store.add(f"{text} blob {n} ".encode() * (1 + 97 * n * n) for n in range(8))
    (commit,) = store.add_commits([" ".join([text, *blobs]).encode()])
    store.sidecar_write(commit, "state", text.encode())
    store.journal.append([{"done": commit}], durable=True)
    print("ack", commit, flush=True)
    if number % 16 == 15:
        store.journal.rewrite(list(store.journal.read()))
"""
"""Commits that name their blobs, as fast as it can, with a sidecar and journal records for each."""


def judge_store(folder: Path, acknowledged: Sequence[str]) -> None:
    """Check that every acknowledged commit is there with its blobs, sidecar and record, and nothing is torn."""
    if not acknowledged and not (folder / "format").exists():
        return
    promised = set(acknowledged)
    with FolderStore.open(folder, read_only=True) as store:
        raws = {digest_of(raw): raw for raw in store.commits()}
        assert promised <= set(raws), f"{len(promised - set(raws))} acknowledged commits are gone"
        assert promised <= {record.get("done") for record in store.journal.read()}, "durable records are gone"
        for digest, raw in raws.items():
            text, *blobs = raw.decode().split()
            assert len(blobs) == 8, f"commit {digest} is torn"
            assert all(digest_of(store.read(blob)) == blob for blob in map(Digest, blobs)), "a blob is torn"
            assert digest not in promised or store.sidecar_read(digest, "state") == text.encode(), "a sidecar is gone"


def torture(
    victim: Sequence[str], judge: Judge, folder: Path, *, kills: int, seed: int, most_s: float = 0.4
) -> list[str]:
    """Run a victim, kill it at a drawn moment, judge; so ``kills`` times in one folder.

    Args:
        victim: The command; the folder and the turn's number are added.
        judge: Looks at the folder after each kill.
        folder: Where the victim works.
        kills: How many times.
        seed: From which the moments are drawn.
        most_s: The longest that a victim lives after it is ready, in seconds.

    Returns:
        The promises that were made, and kept.
    """
    draw = random.Random(seed)
    acknowledged: list[str] = []
    for turn in range(kills):
        with subprocess.Popen([*victim, str(folder), str(turn)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            if turn % 5:  # every fifth is killed while it starts and recovers
                process.stdout.readline()
            try:
                process.wait(timeout=draw.uniform(0, most_s))
            except subprocess.TimeoutExpired:
                process.kill()
            lines = process.stdout.read().splitlines(keepends=True)
        assert process.returncode < 0, "the victim ended by itself"
        acknowledged += [line.split()[1] for line in lines if line.startswith("ack ") and line.endswith("\n")]
        judge(folder, acknowledged)
    return acknowledged


def main() -> None:
    """Run the long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    kept = 0
    for first in range(0, options.kills, 50):  # a fresh folder now and then: judging reads everything each time
        kills = min(50, options.kills - first)
        command = [sys.executable, "-c", STORE_VICTIM]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "repository"
            kept += len(torture(command, judge_store, folder, kills=kills, seed=options.seed + first, most_s=0.1))
        print(f"{first + kills} kills, {kept} acknowledged commits, 0 lost", flush=True)


if __name__ == "__main__":
    main()
