"""The children of a site that trains a network on images: killed, or left alone by their site."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.site.processes import Town, town_of, until

IMAGES = """
[data]
kind = "phantom-brain"
hospitals = ["{name}"]
patients = [6]
seed = 100
slices = 2
held_back = 0.4
"""
SEGMENTATION = """\
title = "Tumours"
seed = 1

[strategy]
name = "latest-of-each"

[task]
learner = "segmentation"
channels = ["T1", "T1ce", "T2", "FLAIR"]
batch = 2

[task.labels]
"necrotic or non-enhancing core" = 1
oedema = 2
"enhancing rim" = 3

[task.optimiser]
name = "adamw"
learning_rate = "0.005"

[budget]
steps = 3
updates = {updates}
"""


def children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(path.read_text("utf-8", errors="replace").rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found


def trains(town: Town, name: str) -> bool:
    """Tell whether a worker of a site trains: it has told how far it is."""
    studies = [study for one in town.status(name)["federations"] for study in one["studies"]]
    return any(study["state"] == "trains" and study["share"] for study in studies)


def test_a_worker_that_is_killed_costs_its_training_only_and_a_site_that_is_killed_takes_its_worker_along(
    tmp_path: Path,
) -> None:
    with town_of(tmp_path, "north", "east") as town:
        for name in town.names:
            file = town.homes[name] / "site.toml"
            file.write_text(file.read_text("utf-8").partition("\n[data]")[0] + IMAGES.format(name=name), "utf-8")
        study = tmp_path / "study.toml"
        study.write_text(SEGMENTATION.format(updates=40), "utf-8")
        town.up()
        town.wait_until_up(*town.names)
        town.homes.at("north", "study", "open", str(study))
        until("east trains in a worker", lambda: trains(town, "east"))
        (worker,) = children(town.running["east"].pid)
        os.kill(worker, signal.SIGKILL)
        until("another worker has taken its place", lambda: children(town.running["east"].pid) not in ([], [worker]))
        assert town.running["east"].poll() is None, "the site itself goes on"
        until("east has made a step", lambda: town.made("east", "train").get("east"))
        until("north trains in a worker", lambda: trains(town, "north"))
        workers = children(town.running["north"].pid)
        assert workers
        town.kill("north")
        until("no worker is left alone", lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), within_s=20)
        town.up("north")
        until("all are done and know the same", lambda: town.is_done(title="Tumours"))
        until("all know the same", lambda: town.commits("north") == town.commits("east"))
        assert {site: len(made) for site, made in town.made("east", "train").items()} == {"north": 3, "east": 3}
        assert "worker-died" not in town.log("east")
