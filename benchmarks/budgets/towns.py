"""Sites as real processes to measure with: ``imagiq up`` in four homes, and when each commit came to be known where.

When: a commit is a file of the store's, which gets its name when the site takes it in; the file system writes the moment
down (``st_ctime``, as fine as the kernel's tick, 4 ms here). So nobody has to look while it is measured.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.still import offered
from imagiq.bench.repository import store_folder
from imagiq.objects import Digest
from imagiq.site.home import Home
from tests.site.processes import ROOT, Town, town_of, until

__all__ = [
    "NAMES",
    "blobs_at",
    "commits_at",
    "complete",
    "copies",
    "known_at_s",
    "open_study",
    "still_town",
    "until",
    "up",
]

NAMES = ("alba", "bert", "caro", "dora")
STUDY = """\
title = "{title}"
seed = {seed}

[strategy]
name = "{strategy}"

[task]
learner = "still"
tensors = {tensors}
values = {values}

[budget]
steps = {steps}
updates = 1
"""


@contextmanager
def still_town(folder: Path, names: Sequence[str] = NAMES) -> Iterator[Town]:
    """Make homes of one federation with a share between them, whose owners let the learner ``still`` run."""
    folder.mkdir()
    plugin = offered(folder / "plugin")
    sys.path.insert(0, plugin)  # a command may act in this process
    try:
        with town_of(folder, *names) as town:
            for name in names:
                (seat,) = Home(town.homes[name]).seats()
                seat.decisions.let_run("still 1")
            yield town
    finally:
        sys.path.remove(plugin)


def up(town: Town, *names: str) -> None:
    """Start sites, and wait until each has heard from a remote."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT), str(town.homes.folder / "plugin")])
    town.up(*names, environment={"PYTHONPATH": path})
    for name in names or town.names:
        town.wait_until_back(name)


def open_study(town: Town, title: str, *, strategy: str, steps: int, tensors: int, values: int) -> None:
    """Let the first site open a study of models of so many float32 tensors; no two studies begin with one model."""
    file = town.homes.folder / f"{title}.toml"
    seed = len(list(town.homes.folder.glob("*.toml")))
    text = STUDY.format(title=title, seed=seed, strategy=strategy, steps=steps, tensors=tensors, values=values)
    file.write_text(text, "utf-8")
    town.homes.at(town.names[0], "study", "open", str(file))


def known_at_s(town: Town, name: str, commit: Digest) -> float:
    """Return when a site took a commit in, in seconds of the system's clock."""
    return (store_folder(town.seat(name)) / "commits" / commit[:2] / commit[2:]).stat().st_ctime_ns / 1e9


def commits_at(town: Town, name: str) -> set[Digest]:
    """Return the commits that a site has, by the names of their files: nothing is read."""
    folder = store_folder(town.seat(name)) / "commits"
    return {Digest(file.parent.name + file.name) for file in folder.glob("??/*")}


def blobs_at(town: Town, name: str, size: int) -> list[os.stat_result]:
    """Return the files of the objects of one size that a site has; nothing is read."""
    found = [file.stat() for file in (store_folder(town.seat(name)) / "objects").glob("??/*")]
    return [status for status in found if status.st_size == size]


def copies(town: Town) -> int:
    """Return the bytes of all objects but commits, at all homes and on the share."""
    homes = [store_folder(town.seat(name)) / "objects" for name in town.names]
    shares = [path for path in town.homes.folder.glob("*/*/blobs") if path.is_dir()]
    return sum(file.stat().st_size for folder in (*homes, *shares) for file in folder.rglob("*") if file.is_file())


def complete(town: Town, name: str) -> set[Digest]:
    """Return the commits whose models a site holds whole."""
    bench = town.bench(name)
    return set() if bench is None else bench.models.complete
