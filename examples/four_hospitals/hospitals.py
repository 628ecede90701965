"""Four hospitals: a home for each, with its own keys and its own patients, and the process that runs it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from line import Line
from relays import IMAGIQ, Relay

import imagiq
from imagiq.errors import ImagiqError
from imagiq.site.status import StudyStatus, read_status

PATIENTS = {"north": 30, "east": 16, "south": 13, "west": 12}
DATA = """\
kind = "phantom-brain"
seed = 100
slices = 4
held_back = 0.4
"""
HERE = Path(__file__).parent

SITE = """\
name = "{name}"
title = "{title}"

[data]
hospitals = ["{name}"]
patients = [{patients}]
{data}
[learner]
threads = 1
"""


@dataclass
class Hospital:
    """A hospital.

    Attributes:
        name: Its name.
        home: Its home.
        line: By which it reaches the relay.
        process: The process that runs it.
    """

    name: str
    home: Path
    line: Line | None = None
    process: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str) -> str:
        """Run a command of imagiq in the home, and return what it prints."""
        done = subprocess.run(
            [*IMAGIQ, "-C", str(self.home), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SystemExit(
                f"{self.name}: imagiq {arguments[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    # ---------------------------------------------------------------------------------------------- its process

    def up(self) -> None:
        """Start the process."""
        with (self.home / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*IMAGIQ, "-C", str(self.home), "up", "--lines"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def down(self) -> None:
        """End the process; one that does not end is killed."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill the process, and nothing else: its workers must end by themselves."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def workers(self) -> list[int]:
        """Return the processes that train for this one."""
        assert self.process is not None
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = path.read_text("utf-8", errors="replace").rpartition(")")[2].split()
                if int(fields[1]) == self.process.pid:
                    found.append(int(path.parent.name))
        return found

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and its workers."""
        assert self.process is not None
        for pid in (self.process.pid, *self.workers()):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    # ------------------------------------------------------------------------------------------- what it tells

    def study(self) -> StudyStatus | None:
        """Return what the running process says of the study; None: nothing yet."""
        with suppress(ImagiqError):
            status = read_status(self.home)
            if self.process is not None and status.pid == self.process.pid:
                return next((study for one in status.federations for study in one.studies), None)
        return None

    @property
    def seat(self) -> Path:
        """Where its repository is."""
        return next((self.home / "federations").iterdir())

    def commits(self, *, own: bool = False) -> frozenset[str]:
        """Return the commits on its disk, or those that it wrote itself."""
        while True:
            try:
                with imagiq.open(self.seat) as repository:
                    standing, history = repository.bench.standing, repository.bench.history
                    return frozenset(e.digest for e in history if not own or standing.name_of(e) == self.name)
            except ImagiqError:  # it is just being written
                time.sleep(0.05)

    def models(self) -> dict[str, str | None]:
        """Return all merges that it knows, and the digest of what came of each."""
        with imagiq.open(self.seat) as repository:
            merges = (e for e in repository.bench.history if e.commit.recipe.name == "merge")
            return {e.digest: e.commit.tree for e in merges}

    def measured(self) -> dict[str, float]:
        """Return the Dice of each hospital's last model on the patients that it held back."""
        found: dict[str, float] = {}
        with imagiq.open(self.seat) as repository:
            for entry in repository.log(limit=100_000).entries:
                if entry.recipe == "evaluate" and "dice" in dict(entry.metrics):
                    found.setdefault(entry.site, float(dict(entry.metrics)["dice"]))
        return found


def four_hospitals(out: Path, relay: Relay) -> list[Hospital]:
    """Make four homes that found a federation, each with a line of its own to the relay."""
    hospitals = [Hospital(name, out / name) for name in PATIENTS]
    cards = {one.name: _init(one) for one in hospitals}
    founder, *others = hospitals
    members = "".join(f'\n[[member]]\ncard = "{cards[one.name]}"\n' for one in others)
    (out / "charter.toml").write_text(f'title = "Brain tumours"\n{members}', "utf-8")
    founder.run("found", str(out / "charter.toml"))
    _list_members(founder, out)
    relay.start()
    for one in hospitals:
        one.line = Line(relay.port)
    assert founder.line is not None
    founder.run("remote", "add", "relay", *relay.remote(founder.line.port))
    founder.run("sync")
    invitation = str(json.loads(founder.run("invite", "--json"))["invitation"])
    _list_members(founder, out)  # whoever holds the invitation is a guest of the relay
    time.sleep(2)
    for one in others:
        assert one.line is not None
        kind, address, *more = relay.remote(one.line.port)
        one.run("join", invitation, "--yes", "--remote", kind, address, *more)
    for one in (*hospitals, *hospitals):  # all learn that all have voted
        one.run("sync")
    return hospitals


def _list_members(founder: Hospital, out: Path) -> None:
    """Tell the relay who may come, as its keeper would with what a member sends."""
    (out / "members.txt").write_text(founder.run("members", "--for-relay"), "utf-8")


def _init(hospital: Hospital) -> str:
    shutil.rmtree(hospital.home, ignore_errors=True)
    made = subprocess.run(
        [*IMAGIQ, "init", str(hospital.home), "--name", hospital.name, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        sys.exit(made.stderr)
    name = hospital.name
    text = SITE.format(name=name, title=name.title(), patients=PATIENTS[name], data=DATA)
    (hospital.home / "site.toml").write_text(text, "utf-8")
    (hospital.home / "policy.toml").write_text('otherwise = "accept"\n', "utf-8")
    said: dict[str, Any] = json.loads(made.stdout)
    return str(said["card"])
