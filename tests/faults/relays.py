"""Relays as processes that a test can kill, cut, slow, and make lie."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.course import NAMES, Course, course_of
from tests.site.processes import ROOT, Town, until

LYING = str(Path(__file__).with_name("lying_relay.py"))


@dataclass
class Relay:
    """A relay of a town: `imagiq serve` over a sealed folder, by the list of members of the town's first site.

    Attributes:
        town: Whose.
        name: What it is called at the sites, and its folder.
        port: Where it listens, from its first start on.
        key: Its key.
        quota: How many objects each member may put at once, and a second in the long run; "": as usual.
        process: The process, while it runs.
    """

    town: Town
    name: str = "relay"
    port: int = 0
    key: str = ""
    quota: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        return self.town.homes.folder / self.name

    @property
    def _lies(self) -> Path:
        return self.town.homes.folder / f"{self.name}.lies"

    def start(self, *, before: tuple[str, ...] = ()) -> None:
        """Start it; the second time where it was before. ``before``: a command that starts it."""
        members = self.town.homes.folder / "members.txt"
        members.write_text(self.town.homes.at(self.town.names[0], "members", "--for-relay").out, "utf-8")
        said = self.town.homes.folder / f"{self.name}.said"
        command = [
            "serve",
            str(self.folder),
            "--members",
            str(members),
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
        ]
        more = {"IMAGIQ_QUOTA": self.quota} if self.quota else {}
        with said.open("wb") as out, (self.town.homes.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*before, sys.executable, LYING, *command, "--json"],
                env={
                    **os.environ,
                    "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
                    "IMAGIQ_LIES": str(self._lies),
                    **more,
                },
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                start_new_session=True,
            )
        self.town.running[f"{self.name} {self.process.pid}"] = self.process
        until(f"{self.name} listens", lambda: said.read_text("utf-8").rstrip().endswith("}"), within_s=30)
        found: dict[str, Any] = json.loads(said.read_text("utf-8"))
        self.port, self.key = int(str(found["address"]).rpartition(":")[2]), str(found["key"])

    def kill(self) -> None:
        """Kill it, as a machine fails."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def lie(self, **faults: int | str) -> None:
        """Let these things go wrong from now on, and no others."""
        new = self._lies.with_suffix(".new")
        new.write_text(json.dumps(faults), "utf-8")
        new.replace(self._lies)

    def add_to(self, *names: str, port: int = 0) -> None:
        """Let sites exchange by it; ``port``: that of the line by which they reach it."""
        for name in names:
            address = f"https://127.0.0.1:{port or self.port}"
            self.town.homes.at(name, "remote", "add", self.name, "https", address, "--key", self.key)


@dataclass(frozen=True)
class Place:
    """Sites in the middle of a study, which reach each other over one relay and nothing else."""

    course: Course
    relay: Relay


@contextmanager
def relayed(folder: Path, *names: str, rules: str = "") -> Iterator[Place]:
    """Let sites, four of them if none are named, train over a relay alone; kill what runs in the end."""
    chosen = names or NAMES
    with course_of(folder, *chosen, rules=rules) as course:
        relay = Relay(course.town)
        relay.start()
        relay.add_to(*chosen)
        for name in chosen:
            course.town.homes.at(name, "remote", "remove", "share")
        course.up()
        course.open_study(chosen[0])
        course.wait_until_all_train()
        yield Place(course, relay)
