"""Sites as real processes: started, killed, stopped for a while, and what their repositories hold."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from imagiq.bench import Bench
from imagiq.bench.repository import open_repository
from imagiq.errors import Corrupt, ImagiqError
from imagiq.history import Entry
from imagiq.objects import Digest
from imagiq.site.status import read_status
from tests.site.homes import Homes

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0
NOTHING_ELSE: Mapping[str, str] = MappingProxyType({})

STUDY = """\
title = "{title}"
seed = 7

[strategy]
name = "{strategy}"

[task]
learner = "logistic"
features = 13
learning_rate = "0.05"

[budget]
steps = {steps}
updates = {updates}
"""


def until(what: str, holds: Callable[[], Any], *, within_s: float = PATIENCE_S, every_s: float = 0.05) -> float:
    """Wait until something holds; return how many seconds that took."""
    began_s = time.monotonic()
    while not holds():
        assert time.monotonic() - began_s < within_s, f"not within {within_s:.0f} s: {what}"
        time.sleep(every_s)
    return time.monotonic() - began_s


@dataclass
class Town:
    """Homes whose sites run as processes.

    Attributes:
        homes: The homes.
        names: The sites.
        running: The processes.
    """

    homes: Homes
    names: tuple[str, ...]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def seat(self, name: str) -> Path:
        (seat,) = (self.homes[name] / "federations").iterdir()
        return seat

    # ------------------------------------------------------------------------------------------------ processes

    def up(
        self, *names: str, program: tuple[str, ...] = ("-m", "imagiq"), environment: Mapping[str, str] = NOTHING_ELSE
    ) -> None:
        for name in names or self.names:
            with (self.homes.folder / f"{name}.log").open("ab") as log:
                self.running[name] = subprocess.Popen(
                    [sys.executable, *program, "-C", str(self.homes[name]), "up"],
                    env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to the site's process alone; wait if it ends by that."""
        self.running[name].send_signal(number)
        if number == signal.SIGKILL:
            self.running.pop(name).wait()

    def stop(self) -> None:
        """Kill all that still runs."""
        for process in self.running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self.running.clear()

    def log(self, name: str) -> str:
        return (self.homes.folder / f"{name}.log").read_text("utf-8")

    def relay(self, *names: str) -> subprocess.Popen[bytes]:
        """Start a relay as a process of its own, and have sites exchange over it alone; return its process."""
        members = self.homes.folder / "members.json"
        members.write_text(self.homes.at(self.names[0], "members", "--for-relay").out, "utf-8")
        said = self.homes.folder / "relay.json"
        command = ["serve", "sealed", "--members", str(members), "--host", "127.0.0.1", "--port", "0", "--json"]
        with said.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "imagiq", *command],
                cwd=self.homes.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
                stdin=subprocess.DEVNULL,
                stdout=out,
                start_new_session=True,
            )
        self.running[f"relay {process.pid}"] = process
        until("the relay listens", lambda: said.read_text("utf-8").rstrip().endswith("}"))
        found = json.loads(said.read_text("utf-8"))
        for name in names or self.names:
            self.homes.at(name, "remote", "add", "relay", "https", found["address"], "--key", found["key"])
            self.homes.at(name, "remote", "remove", "share")
        return process

    def acknowledged(self, name: str) -> set[str]:
        """Return the beginnings of the digests of all commits that a site has told of."""
        return set(re.findall(r"(?:train|merge|evaluate|study) ([0-9a-f]{12})(?:,|$)", self.log(name), re.MULTILINE))

    def wait_until_up(self, *names: str) -> None:
        """Wait until sites that were started have their homes."""

        def is_up(name: str) -> bool:
            assert self.running[name].poll() is None, self.log(name)[-2000:]
            try:
                return read_status(self.homes[name]).pid == self.running[name].pid
            except ImagiqError:
                return False

        until(f"{names} are up", lambda: all(map(is_up, names)))

    def wait_until_back(self, name: str) -> float:
        """Wait until a site that was started has heard from a remote; return how many seconds that took."""
        pid = self.running[name].pid

        def is_back() -> bool:
            assert self.running[name].poll() is None, self.log(name)[-2000:]
            try:
                status = read_status(self.homes[name])
            except ImagiqError:
                return False
            contacts = [remote.contact_s for one in status.federations for remote in one.remotes]
            return status.pid == pid and any(contact is not None for contact in contacts)

        return until(f"{name} is back", is_back)

    # ------------------------------------------------------------------------------------------------ what is known

    def study(
        self, opener: str, *, title: str = "Angina", strategy: str = "fedavg", steps: int = 3, updates: int = 50
    ) -> None:
        file = self.homes.folder / f"{title}.toml"
        file.write_text(STUDY.format(title=title, strategy=strategy, steps=steps, updates=updates), "utf-8")
        self.homes.at(opener, "study", "open", str(file))

    def bench(self, name: str) -> Bench | None:
        """Return what a site's disk holds; None: it is just being written."""
        try:
            return open_repository(self.seat(name))
        except Corrupt:
            return None

    def bench_of(self, name: str) -> Bench:
        """Return what a site's disk holds, once it is not just being written."""
        while (bench := self.bench(name)) is None:
            time.sleep(0.02)
        return bench

    def own(self, name: str) -> list[Entry]:
        """Return what a site has written, by its own disk."""
        bench = self.bench_of(name)
        return [entry for entry in bench.history if bench.standing.name_of(entry) == name]

    def commits(self, name: str) -> frozenset[Digest]:
        bench = self.bench(name)
        return frozenset() if bench is None else frozenset(entry.digest for entry in bench.history)

    def made(self, name: str, recipe: str) -> dict[str, list[Digest]]:
        """Return by site the commits of a recipe that a site knows."""
        found: dict[str, list[Digest]] = {}
        bench = self.bench(name)
        for entry in bench.history if bench is not None else ():
            if entry.commit.recipe.name == recipe:
                found.setdefault(bench.standing.name_of(entry) if bench is not None else "", []).append(entry.digest)
        return found

    def made_in(self, title: str, name: str, recipe: str) -> list[Digest]:
        """Return the commits of a recipe that a site knows in the studies of this title."""
        bench = self.bench_of(name)
        studies = {study for study, steps in bench.studies.items() if steps.study.title == title}
        return [e.digest for e in bench.history if e.commit.recipe.name == recipe and e.commit.study in studies]

    def merges(self, name: str) -> dict[Digest, Digest | None]:
        bench = self.bench(name)
        assert bench is not None
        return {e.digest: e.commit.tree for e in bench.history if e.commit.recipe.name == "merge"}

    def status(self, name: str) -> dict[str, Any]:
        said = self.homes.at(name, "status", "--json").json
        assert isinstance(said, dict)
        return said

    def is_done(self, *names: str, title: str = "Angina") -> bool:
        """Tell whether sites say that nothing is left to do in a study."""
        for name in names or self.names:
            studies = [s for f in self.status(name)["federations"] for s in f["studies"] if s["title"] == title]
            if [study["state"] for study in studies] != ["done"]:
                return False
        return True

    def settled(self, *names: str) -> bool:
        """Tell whether sites are done and know the same."""
        chosen = names or self.names
        return self.is_done(*chosen) and len({self.commits(name) for name in chosen}) == 1


@contextmanager
def town_of(folder: Path, *names: str, charter: str = "", rules: str = "", models: int = 1) -> Iterator[Town]:
    """Make homes in one federation, with a share between them, whose owners accept all studies; kill what runs in the end.

    By default they forget as soon as they may: nothing that a test looks at may change by that.

    Args:
        folder: Where they are.
        names: The sites; the first founds.
        charter: More of the founding charter's file, before the members.
        rules: More of it under ``[rules]``.
        models: How many models of each kind the charter keeps.
    """
    homes = Homes(folder)
    homes.init(*names)
    members = "".join(f'[[member]]\ncard = "{homes.card(name)}"\n' for name in names[1:])
    rules = f"[rules]\nretention = {{ models = {models} }}\n{rules}"
    homes.found(names[0], f'title = "Heart"\n{charter}{members}{rules}')
    text = homes.invite(names[0])
    for name in names[1:]:
        homes.at(name, "join", text, "--yes")
    homes.sync(*names, rounds=2)
    for name in names:
        (homes[name] / "policy.toml").write_text('otherwise = "accept"\n', "utf-8")
    town = Town(homes, names)
    try:
        yield town
    finally:
        town.stop()
