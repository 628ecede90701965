"""kill -9 of real processes that commit, merge and are synced with: nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from imagiq.bench import Bench, Checks
from imagiq.clock import SystemClock
from imagiq.federation import Named, study_recipe
from imagiq.merging import blobs_of, schema_of
from imagiq.objects import digest_of
from imagiq.store import FolderStore
from tests.bench.town import SHAPE
from tests.torture import hospital

ROOT = Path(__file__).parents[2]


class Hospital:
    """A site's process, started again each time it is killed, and what it has acknowledged."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self.name = name
        self.acknowledged: list[str] = []
        self.before = 0
        self.complaints: list[str] = []
        self.start()

    def start(self, *options: str) -> None:
        self.before = len(self.acknowledged)
        command = [sys.executable, "-m", "tests.torture.hospital", str(self._folder), self.name, *options]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.acknowledged)),
            threading.Thread(target=self._read, args=(self.process.stderr, self.complaints)),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe: object, lines: list[str]) -> None:
        for line in pipe:  # type: ignore[attr-defined]
            if line.endswith("\n"):
                lines.append(line.strip())  # noqa: PERF401 - seen by another thread, line by line

    def kill(self) -> None:
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        status = self.process.wait(timeout=300)
        for reader in self._readers:
            reader.join()
        if self.process.stdout is not None and self.process.stderr is not None:
            self.process.stdout.close()
            self.process.stderr.close()
        return status


def found(folder: Path) -> None:
    """Let all sites vote, and open a study that never ends."""
    checks = Checks()
    sites = [hospital.open_site(folder, name, checks) for name in hospital.NAMES]
    votes = [site.vote(hospital.FOUNDING) for site in sites]
    for site in sites:
        site.bench.admit([vote.commit.raw for vote in votes if vote is not None], "founding")
    schema = schema_of(SHAPE)
    first = sites[0].bench.models.keep(schema, blobs_of(schema, SHAPE))
    recipe = study_recipe(
        title="for ever",
        strategy=Named("latest-of-each"),
        task=Named("plain"),
        steps=hospital.STEPS,
        updates=1,
        sites=hospital.NAMES,
        seed=1,
    )
    sites[0].open_study(recipe, first)
    for site in sites:
        site.bench.store.close()


def opened(folder: Path, name: str) -> Bench:
    store = FolderStore.open(hospital.store_of(folder, name), read_only=True)
    return Bench(store, hospital.FOUNDING, clock=SystemClock(), read_only=True)


def check_whole(bench: Bench) -> None:
    """Everything visible is whole, and every model that is called complete can be read."""
    for digest in bench.store.objects():
        assert digest_of(bench.store.read(digest)) == digest
    for raw in bench.store.commits():
        assert digest_of(raw) in bench.history
    for digest in bench.models.complete:
        tree = bench.history[digest].commit.tree
        assert tree is not None
        assert bench.models.holds(tree)


def wait_for_commits(one: Hospital, number: int) -> None:
    """Wait until a process has acknowledged so many commits since it was started, however slow the machine is."""
    deadline_s = time.monotonic() + 120
    while len(one.acknowledged) < one.before + number:
        assert one.process.poll() is None, one.complaints
        assert time.monotonic() < deadline_s, one.complaints
        time.sleep(0.01)


@pytest.mark.torture
@pytest.mark.timeout(0)
def test_killing_hospitals_loses_no_acknowledged_commit(tmp_path: Path, *, torture: bool) -> None:
    kills = 500 if torture else 6
    draws = random.Random(kills)
    found(tmp_path)
    hospitals = [Hospital(tmp_path, name) for name in hospital.NAMES]
    for number in range(kills):
        victim = hospitals[number % len(hospitals)]
        wait_for_commits(victim, draws.randrange(1, 5))
        time.sleep(draws.uniform(0.0, 0.05))
        victim.kill()
        victim.start()
    for one in hospitals:
        wait_for_commits(one, 1)
    for one in hospitals:
        one.kill()
    for _ in range(2):
        for one in hospitals:
            one.start("--until-quiet")
            assert one.wait() == 0, one.complaints
    benches = {one.name: opened(tmp_path, one.name) for one in hospitals}
    for one in hospitals:
        bench = benches[one.name]
        acknowledged = {line for line in one.acknowledged if line}
        assert acknowledged <= {entry.digest for entry in bench.history}
        check_whole(bench)
        assert not bench.history.forks
        print(f"{one.name}: {len(acknowledged)} acknowledged commits, 0 lost; complaints: {set(one.complaints)}")
    histories = {frozenset(entry.digest for entry in bench.history) for bench in benches.values()}
    assert len(histories) == 1
    merges = [entry for entry in benches["a"].history if entry.commit.recipe.name == "merge"]
    assert merges
