"""Running sites on machines, disks and remotes that fail: whoever is not concerned goes on, and who was comes back by itself."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from imagiq.exchange import Keyring
from imagiq.site.founding import my_key
from imagiq.site.home import Home
from tests.site.processes import ROOT, Town, town_of, until


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with town_of(tmp_path, "alba", "bert", "caro") as found:
        yield found


def pseudonym(town: Town, name: str) -> str:
    bench = town.bench(name)
    assert bench is not None
    key = my_key(Home(town.homes[name]).seat(), bench)
    return Keyring.open(bench.store, key).federation.pseudonym(key.public)


def began(town: Town) -> bool:
    return bool(town.made("alba", "train"))


# ----------------------------------------------------------------------------------------------- the process


@pytest.mark.parametrize("phase", ["train", "merge", "evaluate"])
def test_a_site_that_is_killed_after_each_kind_of_commit_goes_on_and_the_others_do_not_notice(
    town: Town, phase: str
) -> None:
    town.up()
    town.study("alba", steps=3)
    until(f"alba has told of a {phase}", lambda: f"{phase} " in town.log("alba"))
    town.kill("alba")
    told = town.acknowledged("alba")
    town.up("alba")
    until("all are done and know the same", town.settled)
    assert told <= {str(digest)[:12] for digest in town.commits("bert")}
    assert len(town.made("bert", "train")["alba"]) == 3, "no step twice, none left out"


def test_who_was_away_for_the_whole_study_is_caught_up_without_help(town: Town) -> None:
    town.up("alba", "bert")
    town.study("alba", strategy="latest-of-each", steps=2)
    until("the two have spent their budget", lambda: len(town.made("alba", "train").get("bert", [])) == 2)
    town.up("caro")
    until("all are done and know the same", town.settled)
    assert len(town.made("alba", "train")["caro"]) == 2


def test_a_machine_that_sleeps_for_a_while_goes_on_when_it_wakes(town: Town) -> None:
    town.up()
    town.study("alba", strategy="latest-of-each", steps=4, updates=400)
    until("all have begun", lambda: set(town.made("alba", "train")) == set(town.names))
    town.kill("caro", signal.SIGSTOP)
    until("the others spend their budget", lambda: len(town.made("alba", "train")["bert"]) == 4)
    town.kill("caro", signal.SIGCONT)
    until("all are done and know the same", town.settled)


def test_a_clock_that_jumps_by_years_either_way_changes_nothing(town: Town) -> None:
    drive = str(ROOT / "tests" / "faults" / "jumping_clock.py")
    for name, years in (("alba", "30"), ("bert", "-30"), ("caro", "both")):
        town.up(name, program=(drive,), environment={"IMAGIQ_JUMPS": years})
    town.study("alba", steps=3)
    until("all are done and know the same", town.settled)
    assert {site: len(made) for site, made in town.made("bert", "train").items()} == dict.fromkeys(town.names, 3)
    bench = town.bench("bert")
    assert bench is not None
    dates = {entry.commit.created[:4] for entry in bench.history if entry.commit.recipe.name == "train"}
    assert len(dates) > 2, "the dates did jump"


# -------------------------------------------------------------------------------------------------- the disk


def test_a_full_disk_is_told_the_site_stays_readable_and_goes_on_when_there_is_room(town: Town) -> None:
    """No file of bert's can grow, as on a full disk; its process is told so by the system at every write."""
    town.up()
    town.study("alba", strategy="latest-of-each", steps=10, updates=300)
    until("bert has begun", lambda: "bert" in town.made("bert", "train"))
    resource.prlimit(town.running["bert"].pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    time.sleep(3.0)
    known = town.commits("bert")
    assert town.running["bert"].poll() is None
    assert town.status("bert")["federations"][0]["title"] == "Heart", "it stays readable"
    until("alba goes on", lambda: len(town.made("alba", "train")["alba"]) == 10)
    assert town.commits("bert") == known, "nothing was written"
    resource.prlimit(town.running["bert"].pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    until("all are done and know the same", town.settled)


def test_a_full_disk_shows_in_the_status(town: Town) -> None:
    small = town.homes.folder / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("only root can mount a small disk; the test before this one needs none")
    try:
        home = town.homes["bert"]
        home.rename(home.with_name("moved"))
        subprocess.run(["cp", "-a", str(home.with_name("moved")), str(small / "bert")], check=True)
        home.symlink_to(small / "bert")
        town.up("alba", "bert")
        until("bert is up", lambda: town.status("bert")["federations"][0]["remotes"][0]["contact_age_s"] is not None)
        subprocess.run(["dd", "if=/dev/zero", f"of={small / 'filler'}", "bs=4k"], capture_output=True, check=False)
        town.study("alba", strategy="latest-of-each", steps=1)
        until("bert says so", lambda: "disk-full" in str(town.status("bert")["federations"][0]["trouble"]))
        assert "disk-full" in town.log("bert")
        (small / "filler").unlink()
        until("bert goes on", lambda: len(town.made("alba", "train").get("bert", [])) == 1)
        until("bert is well", lambda: town.status("bert")["federations"][0]["trouble"] is None)
    finally:
        town.stop()
        subprocess.run(["umount", str(small)], check=True)


# --------------------------------------------------------------------------------------------------- remotes


def test_a_remote_that_vanishes_holds_up_no_other_and_is_used_again_when_it_is_back(town: Town) -> None:
    second = town.homes.folder / "second"
    second.mkdir()
    for name in town.names:
        town.homes.at(name, "remote", "add", "second", "folder", str(second))
    town.up()
    town.study("alba", strategy="latest-of-each", steps=3, updates=300)
    until("work has begun", lambda: began(town))
    town.homes.share.rename(town.homes.folder / "gone")
    until("all are done and know the same", town.settled)

    def troubles() -> dict[str, str]:
        (federation,) = town.status("alba")["federations"]
        return {remote["name"]: (remote["trouble"] or {"code": ""})["code"] for remote in federation["remotes"]}

    until("alba says which is away", lambda: troubles() == {"share": "remote-away", "second": ""})
    (town.homes.folder / "gone").rename(town.homes.share)
    until("the first answers again", lambda: "share answers again" in town.log("alba"))


def test_a_remote_where_a_site_cannot_write_is_still_read_by_it(town: Town) -> None:
    second = town.homes.folder / "second"
    second.mkdir()
    for name in town.names:
        town.homes.at(name, "remote", "add", "second", "folder", str(second))
    town.homes.at("caro", "remote", "remove", "share")
    town.homes.sync("alba", "caro")
    (own,) = (path for path in second.iterdir() if path.name == pseudonym(town, "caro"))
    if (own / "feeds").exists():
        (own / "feeds").rename(own / "kept")
    (own / "feeds").touch()  # a file where a folder must be: nothing can be put there, whoever asks
    town.up()
    town.study("alba", strategy="latest-of-each", steps=1)
    until("caro has read of the others' work", lambda: set(town.made("caro", "train")) == set(town.names))
    until("caro says what is wrong", lambda: town.status("caro")["federations"][0]["remotes"][0]["trouble"] is not None)
    (own / "feeds").unlink()
    if (own / "kept").exists():
        (own / "kept").rename(own / "feeds")
    until("all are done and know the same", town.settled)


def test_a_remote_that_hangs_delays_neither_training_nor_the_other_remote(town: Town) -> None:
    relay = town.relay()
    for name in town.names:
        town.homes.at(name, "remote", "add", "share", "folder", str(town.homes.share))
    town.up()
    for name in town.names:
        town.wait_until_back(name)
    relay.send_signal(signal.SIGSTOP)
    took_s = time.monotonic()
    town.study("alba", steps=3)
    until("all are done and know the same", town.settled, within_s=60)
    assert time.monotonic() - took_s < 30, "nobody waited for a line that is silent"
    relay.send_signal(signal.SIGCONT)
    town.homes.at("alba", "down")


# --------------------------------------------------------------------------------------------------- children


def test_a_program_that_trains_ends_with_its_site(tmp_path: Path) -> None:
    """kill -9 of the one that waits for a program kills the program, and what that has started."""
    script = tmp_path / "program.sh"
    pids = tmp_path / "pids"
    script.write_text(f"sleep 600 & echo $! $$ > {pids}; wait\n", "utf-8")
    code = (
        "import threading, pathlib, tempfile\n"
        "from imagiq.learning.program import JobFolder, Program\n"
        f"program = Program('own', ('sh', {str(script)!r}), None, patience_s=60.0)\n"
        f"with program.folder(pathlib.Path({str(tmp_path)!r})) as folder:\n"
        "    program.run(folder, threading.Event())\n"
    )
    waiting = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT / "src")})
    until("the program runs", lambda: pids.exists() and len(pids.read_text("utf-8").split()) == 2)
    started = [int(text) for text in pids.read_text("utf-8").split()]
    waiting.kill()
    waiting.wait()
    until("nothing of it is left", lambda: not any(Path(f"/proc/{pid}").exists() for pid in started), within_s=20)


def test_cases_that_a_killed_process_left_behind_are_removed_at_the_next_start(town: Town) -> None:
    left = town.homes["alba"] / "scratch" / "imagiq-left"
    left.mkdir(parents=True, exist_ok=True)
    (left / "1.safetensors").write_bytes(b"an image")
    town.up("alba")
    until("alba is up", lambda: town.status("alba")["pid"])
    assert not left.exists()


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
steps = 12
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
        study.write_text(SEGMENTATION.format(updates=15), "utf-8")
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
        assert {site: len(made) for site, made in town.made("east", "train").items()} == {"north": 12, "east": 12}
        assert "worker-died" not in town.log("east")
