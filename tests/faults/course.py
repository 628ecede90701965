"""A town whose sites train for as long as a test wants, and what their own records say of how long each of them waited.

A site marks in its journal when it begins an action, and its disk tells when the commit was written that came of it. In a
study of ``latest-of-each`` nobody ever has to wait for anybody: what passes between two commits of a site is one step of
its own, and what it waited. A site that waits for another one, or for an answer of a remote, shows by a gap.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imagiq.objects import Digest, parse_digest
from imagiq.site.home import Home
from tests.faults.conftest import PLUGIN
from tests.site.processes import ROOT, Town, town_of, until

NAMES = ("alba", "bert", "caro", "dora")
STEP_S = 1.0
MARGIN_S = 2.0
"""What a busy machine may add to a step: three towns train side by side on two processors, and all disks are one."""

LONGEST_S = 2 * STEP_S + MARGIN_S
"""So long at most a site is without a commit of its own: a step, and a wait no longer than a step."""

ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(map(str, (ROOT / "src", ROOT, PLUGIN)))}

STUDY = """\
title = "{title}"
seed = 7

[strategy]
name = "{strategy}"
{parameters}
[task]
learner = "steady"
step_s = "{step_s}"
ballast_mib = {ballast_mib}

[budget]
steps = {steps}
updates = 20
"""


@dataclass(frozen=True, kw_only=True)
class Step:
    """An action of a site, by its own records: when it began and when its commit was on the disk, in seconds."""

    recipe: str
    began_s: float
    ended_s: float


@dataclass
class Course:
    """A town with a study that goes on."""

    town: Town

    # ------------------------------------------------------------------------------------------------ what is done

    def up(self, *names: str) -> None:
        """Start sites, and wait until they have their homes: until then a command may have it, and a site ends."""
        chosen = names or self.town.names
        self.town.up(*chosen, environment=ENVIRONMENT)
        self.town.wait_until_up(*chosen)

    def open_study(
        self,
        opener: str,
        *,
        title: str = "Angina",
        strategy: str = "latest-of-each",
        steps: int = 10_000,
        step_s: float = STEP_S,
        ballast_mib: int = 0,
        parameters: str = "",
    ) -> None:
        file = self.town.homes.folder / f"{title}.toml"
        text = STUDY.format(
            title=title, strategy=strategy, steps=steps, step_s=step_s, ballast_mib=ballast_mib, parameters=parameters
        )
        file.write_text(text, "utf-8")
        self.town.homes.at(opener, "study", "open", str(file))

    def let_run(self, name: str) -> None:
        """Let a site run the learner, as its owner would who approves the study."""
        Home(self.town.homes[name]).seat().decisions.let_run("steady 1")

    def wait_until_all_train(self, *names: str, within_s: float = 60.0) -> None:
        """Wait until all have made two steps and know of each other's."""
        chosen = set(names or self.town.names)

        def do() -> bool:
            made = [self.town.made(name, "train") for name in chosen]
            return all(chosen <= one.keys() and all(len(one[name]) >= 2 for name in chosen) for one in made)

        until("all train", do, within_s=within_s, every_s=0.5)

    # ------------------------------------------------------------------------------------------- what records say

    def others_known(self, name: str) -> frozenset[Digest]:
        """Return the commits of others that a site knows."""
        return self.known(name) - {entry.digest for entry in self.town.own(name)}

    def known(self, name: str) -> frozenset[Digest]:
        """Return the commits that lie on a site's disk; looking at their names alone costs the machine little."""
        folder = self.town.seat(name) / ".imagiq" / "commits"
        names = (f"{shelf.name}{path.name}" for shelf in folder.iterdir() for path in shelf.iterdir())
        return frozenset(parse_digest(one, "A commit's file") for one in names if len(one) == 64)

    def steps(self, name: str) -> list[Step]:
        """Return what a site has done, by its journal and its disk."""
        bench = self.town.bench_of(name)
        now_s = time.time() - time.monotonic()
        begun: dict[Digest, float] = {}
        for record in bench.store.journal.read():
            at_ms = record.get("at_ms")
            if record.get("kind") == "started" and isinstance(at_ms, int):
                begun[parse_digest(record.get("action"), "A journal's action")] = at_ms / 1000
        found = []
        for entry in bench.history:
            action = entry.commit.action
            if bench.standing.name_of(entry) == name and action in begun:
                ended_s = commit_file(self.town.seat(name), entry.digest).stat().st_mtime - now_s
                found.append(Step(recipe=entry.commit.recipe.name, began_s=begun[action], ended_s=ended_s))
        return sorted(found, key=lambda step: step.ended_s)

    def longest_gap_s(self, name: str, since_s: float, until_s: float) -> tuple[float, float]:
        """Return the longest time without a commit of a site in a span of time, and its longest step of all so far."""
        steps = self.steps(name)
        ends = [step.ended_s for step in steps]
        first = max((end for end in ends if end <= since_s), default=since_s)
        within = [first, *(end for end in ends if since_s < end <= until_s), until_s]
        gap_s = max(later - earlier for earlier, later in itertools.pairwise(within))
        return gap_s, max(STEP_S, *(step.ended_s - step.began_s for step in steps if step.recipe == "train"))

    def check_nobody_waited(self, *names: str, since_s: float, until_s: float | None = None) -> None:
        """Check that no site was without a commit for longer than a step of its own and a wait of one more step."""
        ended_s = until_s or time.monotonic()
        for name in names:
            gap_s, step_s = self.longest_gap_s(name, since_s, ended_s)
            print(f"{name}: longest gap {gap_s:.2f} s, own step {step_s:.2f} s, over {ended_s - since_s:.1f} s")
            assert step_s <= STEP_S + MARGIN_S, f"a step of {name} took {step_s:.1f} s"
            assert gap_s <= LONGEST_S, f"{name} made no commit for {gap_s:.1f} s; its steps take {step_s:.1f} s"

    @contextmanager
    def fault(self, *others: str, at_least_s: float = 1.5 * LONGEST_S) -> Iterator[None]:
        """Let a fault last in the block, long enough that a wait would show; the others never wait."""
        began_s = time.monotonic()
        yield
        time.sleep(max(0.0, began_s + at_least_s - time.monotonic()))
        self.check_nobody_waited(*others, since_s=began_s)

    def wait_for_more(self, name: str) -> None:
        """Wait until a site has made another training, and another site knows of it."""
        reader = next(other for other in self.town.names if other != name and self.town.homes[other].exists())
        before = len(self.town.made(name, "train").get(name, []))
        until(
            f"{name} trains on",
            lambda: len(self.town.made(reader, "train").get(name, [])) > before,
            within_s=30,
            every_s=0.5,
        )

    def wait_until_models_are_here(self, name: str, author: str) -> None:
        """Wait until a site holds the newest model that another one has trained: it is what the next merge needs."""
        newest = self.town.made(author, "train")[author][-1]

        def holds() -> bool:
            bench = self.town.bench_of(name)
            merged = {parent.commit for entry in bench.history for parent in entry.commit.parents}
            return newest in bench.models.complete or newest in merged

        until(f"{name} holds the model of {author}", holds, within_s=30, every_s=0.5)

    def wait_until_caught_up(self, name: str, *others: str, within_s: float = 20.0) -> float:
        """Wait until a site knows all that the others know now, and they what it knows; nobody helps."""
        chosen = others or tuple(other for other in self.town.names if other != name)
        wanted = frozenset.union(*map(self.known, chosen))
        own = self.known(name)
        took_s = until(f"{name} is caught up", lambda: wanted <= self.known(name), within_s=within_s)
        until(
            f"others know what {name} knew",
            lambda: all(own <= self.known(other) for other in chosen),
            within_s=within_s,
        )
        return took_s

    def check_logs(self, *names: str) -> None:
        """Check that no site met a mistake of its own."""
        for name in names:
            log = self.town.log(name)
            assert "mistake" not in log, log[-2000:]
            assert "Traceback" not in log, log[-2000:]

    def check_sound(self, *names: str) -> None:
        """Check that no site met a mistake of its own, lost what it told of, or holds anything that is not right."""
        chosen = names or self.town.names
        self.check_logs(*chosen)
        told = frozenset[str]().union(*map(self.town.acknowledged, chosen))
        known = {str(digest)[:12] for digest in frozenset[Digest]().union(*map(self.known, chosen))}
        assert told <= known, f"lost: {told - known}"
        for name in chosen:
            self.town.homes.at(name, "verify", "--json")


def commit_file(seat: Path, digest: Digest) -> Path:
    """Return where a commit rests."""
    return seat / ".imagiq" / "commits" / str(digest)[:2] / str(digest)[2:]


@contextmanager
def course_of(folder: Path, *names: str, charter: str = "", rules: str = "") -> Iterator[Course]:
    """Make a town, and kill what runs in the end; see :func:`town_of`."""
    with town_of(folder, *(names or NAMES), charter=charter, rules=rules) as town:
        course = Course(town)
        for name in town.names:
            course.let_run(name)
        yield course
